//! `prefixes`: whether the kernel compiles after each patch of the series.
//!
//! The patches are taken away one after the other, from the last on, in a tree that is kept: make(1) then compiles the
//! objects that a patch changes, and those that include a header that it changes. In this direction the tree of an
//! earlier build is the first, and the headers that all of the kernel includes, which the first patch changes, stay.
//! Nothing is linked.

use crate::build::{Builder, From};
use crate::cache::Cache;
use crate::config::Config;
use crate::make::{Compiled, compile, time};
use crate::series::Series;
use crate::tree::Tree;
use clap::Args;
use iomap_command::{Error, Exit, Output, count};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The kind of the kernel
    #[arg(long, value_enum, default_value = "plain")]
    config: Config,
    #[command(flatten)]
    from: From,
}

/// The target of all objects of the kernel. The archives of them are not linked.
const OBJECTS: &str = ".";

pub(crate) fn run(series: &Series, cache: &Cache, version: Option<&str>, arguments: &Arguments) -> Result<Exit, Error> {
    let turn = cache.turn()?;
    let builder = Builder::new(series, cache, &turn, version, &arguments.from)?;
    let mut faults = 0;
    for len in (1..=series.patches.len()).rev() {
        let patches = &series.patches[..len];
        let tree = Tree::after(series, Some(&builder.source), patches, None)?;
        let (top, build) = builder.prepared(&tree, arguments.config)?;
        let compile = |targets: &[&str]| compile(&top, &build, builder.jobs, targets, &turn);
        let mut done = compile(&[OBJECTS])?;
        // The files of the series keep the stricter rules for new code.
        let own: Vec<String> = patches
            .iter()
            .flat_map(|patch| &patch.files)
            .filter_map(|file| Some(format!("{}.o", file.value.strip_suffix(".c")?)))
            .collect();
        if !own.is_empty() {
            let targets: Vec<&str> = ["W=1"].into_iter().chain(own.iter().map(String::as_str)).collect();
            done.warnings.extend(compile(&targets)?.warnings);
        }
        let name = patches.last().map_or("", |patch| &patch.name);
        let Compiled { objects, warnings, took } = done;
        faults += warnings.len();
        let line = format!(
            "{name:<25} {:>13} {:>9}  {}",
            count(objects, "object"),
            time(took),
            count(warnings.len(), "warning")
        );
        Output::standard()
            .write(&format!("{line}\n{}", warnings.iter().map(|it| format!("  {it}\n")).collect::<String>()))?;
    }
    Ok(if faults == 0 { Exit::Fine } else { Exit::Found })
}
