//! `mutants`: whether the suite notices small faults of the series.
//!
//! A mutant is built in the kept tree, and boots with the families of its clauses first; a survivor gets the whole suite.
//! The outcome of each mutant is a file, so that a run that was interrupted goes on where it was.

use crate::apply::put;
use crate::build::{Builder, From};
use crate::cache::Cache;
use crate::config::Config;
use crate::digest;
use crate::outcome::{Count, Outcome, Stage, table};
use crate::script::Script;
use crate::series::Series;
use crate::tools;
use crate::tree::Tree;
use clap::Args;
use iomap_command::{Error, Exit, Output, passing, tell_line};
use iomap_results::Results;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file systems, of those that the mutant names
    #[arg(long, value_name = "FS", num_args = 1..)]
    fs: Vec<String>,
    /// Run them again, even if there is an outcome
    #[arg(long)]
    again: bool,
    /// Print the table of the outcomes that there are, and run nothing
    #[arg(long, conflicts_with = "again")]
    table: bool,
    /// The program of the suite [default: the release build of this project]
    #[arg(long, value_name = "PROGRAM")]
    suite: Option<PathBuf>,
    #[command(flatten)]
    from: From,
    /// Mutants [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The file systems of a mutant that names none.
const DEFAULT: [&str; 2] = ["xfs", "ext4"];

pub(crate) fn run(
    series: &Series,
    cache: &Cache,
    version: Option<&str>,
    suite: &Path,
    arguments: &Arguments,
) -> Result<Exit, Error> {
    let mutants: Vec<&Script> = match arguments.names.as_slice() {
        [] => series.mutants.iter().collect(),
        names => names.iter().map(|name| series.mutant(name)).collect::<Result<_, _>>()?,
    };
    let place = cache.path("outcomes");
    if arguments.table {
        let known: Vec<Outcome> = mutants.iter().filter_map(|mutant| Outcome::read(&place, &mutant.name)).collect();
        return end(&known, mutants.len() - known.len());
    }
    let suite = arguments.suite.as_deref().unwrap_or(suite);
    if !suite.is_file() {
        let suite = suite.display();
        return Err(Error::environment(format!("{suite}: the suite is not built: cargo build --release")));
    }
    tools::need(&["qemu-system-x86_64", "depmod"])?;
    let suite_digest = digest::of_file(suite).map_err(|error| Error::file(suite, error))?;
    let mut lab = Lab { series, cache, version, suite, suite_digest, arguments, sound: BTreeMap::new() };
    let mut outcomes = Vec::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let outcome = lab.outcome(mutant, &place)?;
        tell_line(format_args!("{}/{} {outcome}", number + 1, mutants.len()));
        outcomes.push(outcome);
    }
    end(&outcomes, 0)
}

/// Prints the table, and makes the exit code.
fn end(outcomes: &[Outcome], missing: usize) -> Result<Exit, Error> {
    let count = Count::of(outcomes);
    Output::standard().write(&format!("{}\n{count}\n", table(outcomes)))?;
    if missing > 0 {
        tell_line(format_args!("{missing} of the mutants have no outcome"));
    }
    Ok(count.exit(missing))
}

/// The things that all mutants need.
struct Lab<'a> {
    series: &'a Series,
    cache: &'a Cache,
    version: Option<&'a str>,
    suite: &'a Path,
    suite_digest: String,
    arguments: &'a Arguments,
    /// For each file system, the clauses that the kernel without a mutant violates.
    sound: BTreeMap<String, BTreeSet<String>>,
}

impl Lab<'_> {
    /// The outcome of a mutant, from its file or from runs.
    fn outcome(&mut self, mutant: &Script, place: &Path) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let file_systems = self.file_systems(mutant);
        // The turn ends with the build: others may build while a guest runs.
        let (kernel, key) = {
            let turn = self.cache.turn()?;
            let builder = Builder::new(self.series, self.cache, &turn, self.version, &self.arguments.from)?;
            let tree = Tree::after(self.series, Some(&builder.source), &self.series.patches, Some(mutant))?;
            let key = builder.key(&tree, Config::Plain)?;
            let known = Outcome::read(place, &mutant.name).filter(|_| !self.arguments.again);
            if let Some(known) = known.filter(|known| known.is_valid(&key, &self.suite_digest, &file_systems)) {
                return Ok(known);
            }
            passing(&format!("{}: build", mutant.name));
            match builder.mutant(&tree) {
                Ok(kernel) => (Some(kernel), key),
                // A mutant that does not compile is one of the faults of the series.
                Err(error) if error.exit() == Exit::Found => {
                    tell_line(format_args!("{}: {error}", mutant.name));
                    (None, key)
                }
                Err(error) => return Err(error),
            }
        };
        let mut outcome = Outcome::new(mutant, key, &self.suite_digest, &file_systems);
        if let Some(kernel) = kernel {
            self.stages(mutant, &kernel, &file_systems, &mut outcome)?;
        }
        outcome.decide(&expected(mutant), mutant.equivalent.is_some());
        outcome.seconds = begun.elapsed().as_secs();
        fs::create_dir_all(place).map_err(|error| Error::file(place, error))?;
        outcome.write(place)?;
        Ok(outcome)
    }

    fn file_systems(&self, mutant: &Script) -> Vec<String> {
        let named = if mutant.fs.is_empty() { DEFAULT.map(str::to_owned).to_vec() } else { mutant.fs.clone() };
        let is_wanted = |fs: &String| self.arguments.fs.is_empty() || self.arguments.fs.contains(fs);
        named.into_iter().filter(is_wanted).collect()
    }

    /// The families of the mutant's clauses on each file system until one notices it, then the whole suite.
    fn stages(
        &mut self,
        mutant: &Script,
        kernel: &Path,
        file_systems: &[String],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let expected = expected(mutant);
        for filter in families(mutant).into_iter().map(Some).chain([None]) {
            for fs in file_systems {
                let sound = self.sound(fs)?;
                passing(&format!("{}: {} on {fs}", mutant.name, filter.as_deref().unwrap_or("all")));
                outcome.stages.push(self.stage(kernel, fs, filter.as_deref(), &sound)?);
                if outcome.is_killed(&expected) {
                    passing("");
                    return Ok(());
                }
            }
            // Every expected clause has been looked at, and others have noticed it.
            if filter.is_some() && outcome.is_noticed() && filter.as_ref() == families(mutant).last() {
                break;
            }
        }
        passing("");
        Ok(())
    }

    /// The clauses that the series violates without a mutant.
    fn sound(&mut self, fs: &str) -> Result<BTreeSet<String>, Error> {
        if let Some(known) = self.sound.get(fs) {
            return Ok(known.clone());
        }
        let (kernel, key) = {
            let turn = self.cache.turn()?;
            let builder = Builder::new(self.series, self.cache, &turn, self.version, &self.arguments.from)?;
            let tree = Tree::after(self.series, Some(&builder.source), &self.series.patches, None)?;
            (builder.kernel(&tree, Config::Plain)?, builder.key(&tree, Config::Plain)?)
        };
        // The outcome is kept by kernel and suite.
        let mut name = digest::of_parts([key.as_bytes(), self.suite_digest.as_bytes(), fs.as_bytes()]);
        name.truncate(16);
        let path = self.cache.path(&format!("sound/{name}"));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) => {
                passing(&format!("without a mutant: all on {fs}"));
                let stage = self.stage(&kernel, fs, None, &BTreeSet::new())?;
                if !stage.ran {
                    return Err(Error::environment(format!("the kernel without a mutant has no results on {fs}")));
                }
                let text: String = stage.notices.iter().map(|notice| format!("{}\n", notice.clause)).collect();
                put(&path, &text)?;
                text
            }
        };
        let violated: BTreeSet<String> = text.lines().map(str::to_owned).collect();
        if !violated.is_empty() {
            let list: Vec<&str> = violated.iter().map(String::as_str).collect();
            tell_line(format_args!("without a mutant {fs} violates {}; they notice nothing", list.join(", ")));
        }
        self.sound.insert(fs.to_owned(), violated.clone());
        Ok(violated)
    }

    /// One guest with some cases.
    fn stage(&self, kernel: &Path, fs: &str, filter: Option<&str>, sound: &BTreeSet<String>) -> Result<Stage, Error> {
        let directory = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
        let file = directory.path().join("results.json");
        let mut lab = Command::new(self.suite);
        lab.args(["lab", "--mechanism", "seal", "--format", "json", "--fs", fs]);
        lab.arg("--kernel").arg(kernel).arg("--output").arg(&file);
        lab.args(filter.iter().flat_map(|filter| ["--case", filter]));
        let output = lab.stdin(Stdio::null()).stdout(Stdio::null()).output();
        let output = output.map_err(|error| Error::file(self.suite, error))?;
        let text = fs::read_to_string(&file).unwrap_or_default();
        let runs = Results::<()>::parse_all(&text).unwrap_or_else(|_| {
            // The mutant has no verdict, and the others go on.
            let said = String::from_utf8_lossy(&output.stderr);
            tell_line(format_args!("the lab: {}", said.trim().lines().last().unwrap_or("no results")));
            vec![]
        });
        Ok(Stage::of(fs, filter, &runs, sound))
    }
}

/// The clauses that a mutant has to break.
fn expected(mutant: &Script) -> BTreeSet<&str> {
    mutant.expected.iter().map(|id| id.value.as_str()).collect()
}

/// The families of the clauses that a mutant names, in its order.
fn families(mutant: &Script) -> Vec<String> {
    let mut families: Vec<String> = Vec::new();
    for id in mutant.expected.iter().chain(&mutant.clauses) {
        let family = id.value.split('.').next().unwrap_or_default().to_owned();
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}
