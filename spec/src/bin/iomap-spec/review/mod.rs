//! `iomap-spec review`: finds the clauses that bear on a patch to a kernel.

mod b4;
mod bearing;
mod kernel;
mod patch;
mod reader;
mod report;
mod sarif;
mod table;
#[cfg(test)]
mod tests;

use crate::cite;
use crate::format;
use crate::input::{self, Input};
use crate::mail::{self, Flow};
use crate::output::deliver;
use crate::pages::Pages;
use crate::unwrap;
use bearing::Lookup;
use clap::Args;
use iomap_command::{Error, Exit, count, tell_line};
use iomap_spec::Spec;
use patch::Patch;
use report::Finding;
use std::path::{Path, PathBuf};
use table::Table;

#[derive(Args)]
#[command(after_help = "\
Exit codes:
  0  the patch was read, whether or not a clause bears on it
  1  there is no patch, part of it is damaged, or the table has findings
  2  the command line is wrong
  3  a file cannot be read or written

Example:
  iomap-spec review 0001-fs-refuse-fallocate.patch
  git show | iomap-spec review
  git config b4.review-perpatch-check-cmd 'iomap-spec review --format b4'
  iomap-spec review --kernel linux-6.12")]
pub(crate) struct Arguments {
    /// For a reply, for programs, for the review window of b4, or as SARIF
    #[arg(long, default_value = "human")]
    format: format::Review,
    /// The address at which the book is published, so that --format b4 and sarif lead there
    #[arg(long, value_name = "URL", env = "IOMAP_SPEC_URL", value_parser = cite::base)]
    url: Option<String>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Give every sentence and every changed line, each time
    #[arg(long)]
    full: bool,
    /// The table of entry points, instead of the one that is built in
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Read no patch: print the names in the table that this kernel source tree lacks
    #[arg(long, value_name = "TREE", conflicts_with_all = ["patch", "format", "full"])]
    kernel: Option<PathBuf>,
    /// With --kernel: print the functions that functions of the table call in their files, and that the table lacks, too
    #[arg(long, requires = "kernel")]
    callees: bool,
    /// A diff, a mail or a mailbox, perhaps compressed by gzip; standard input if there is none, or if it is -
    #[arg(value_name = "PATCH")]
    patch: Option<PathBuf>,
}

pub(crate) fn run(pages: &Pages, arguments: Arguments) -> Result<Exit, Error> {
    let spec = pages.load()?;
    let table = read_table(&spec, arguments.table.as_deref())?;
    match &arguments.kernel {
        Some(tree) => check(&table, tree, &arguments),
        None => review(&spec, &table, &arguments),
    }
}

fn read_table(spec: &Spec, file: Option<&Path>) -> Result<Table, Error> {
    let (name, text) = match file {
        None => (table::BUILT_IN.0.to_owned(), table::BUILT_IN.1.to_owned()),
        Some(file) => {
            let (name, text) = input::text(file)?;
            (name.display().to_string(), text)
        }
    };
    table::read(&name, &text, spec).map_err(|findings| {
        Error::report(Exit::Found, findings.iter().map(|finding| format!("{finding}\n")).collect::<String>())
    })
}

fn check(table: &Table, tree: &Path, arguments: &Arguments) -> Result<Exit, Error> {
    let checked = kernel::check(table, tree).map_err(|message| Error::new(Exit::Environment, message))?;
    let mut text: String = checked.findings.iter().map(|finding| format!("{finding}\n")).collect();
    let kernel::Checked { version, found, other_version, callees, .. } = checked;
    let mut missing = checked.findings.len();
    if arguments.callees {
        for (file, names) in callees {
            missing += names.len();
            let names: Vec<String> = names.into_iter().collect();
            text += &format!("{}: {file} calls and the table lacks: {}\n", table.name, names.join(" "));
        }
    }
    text += &format!("Linux {version}: {found} found, {missing} missing, {other_version} of other versions\n");
    deliver(arguments.output.as_deref(), &text)?;
    Ok(if missing == 0 { Exit::Fine } else { Exit::Found })
}

/// The result of reading the input.
struct Read {
    patches: Vec<Patch>,
    /// The kinds of parts that are not text, and remarks about lost parts.
    remarks: Vec<String>,
    is_damaged: bool,
    /// The kind of the input, if it is not a patch.
    kind: Option<&'static str>,
}

/// The patches in a diff, a mail or a mailbox.
fn patches(bytes: &[u8]) -> Read {
    let is_empty = |patch: &Patch| patch.hunks.is_empty() && patch.damage.is_empty();
    let unwrapped = unwrap::unwrap(bytes);
    let is_damaged = unwrapped.remark.is_some();
    let mut remarks: Vec<String> = unwrapped.remark.into_iter().collect();
    let parts = mail::parts(&unwrapped.bytes).into_iter().map(|part| {
        remarks.extend(part.remark);
        let subject = part.subject.as_deref().map(patch::shown);
        Patch { subject, ..reader::read(&part.text, part.flow) }
    });
    let mut patches: Vec<Patch> = parts.filter(|patch| !is_empty(patch)).collect();
    let mut kind = None;
    if patches.is_empty() {
        // A diff is still a diff if a few lines above it look like a mail header.
        let text = String::from_utf8_lossy(&unwrapped.bytes);
        let text = unwrap::plain(&text);
        patches.push(reader::read(&text, Flow::Fixed));
        kind = reader::kind(&text);
    }
    Read { patches, remarks, is_damaged, kind }
}

fn review(spec: &Spec, table: &Table, arguments: &Arguments) -> Result<Exit, Error> {
    let Input { name, bytes } = arguments.patch.as_deref().map_or_else(input::standard, input::read)?;
    let name = name.display();
    let Read { patches, remarks, is_damaged, kind } = patches(&bytes);
    let lookup = Lookup::new(table);
    let findings: Vec<Finding<'_>> = patches
        .iter()
        .map(|patch| {
            let hunks = patch.hunks.iter().map(|hunk| (hunk, lookup.hits(hunk))).collect();
            Finding { patch, hunks }
        })
        .collect();
    let (mut hunks, mut bearing) = (0, 0);
    let remarks: Vec<String> = remarks.into_iter().map(|remark| format!("iomap-spec: {name}: {remark}")).collect();
    let (mut damage, mut notes) = if is_damaged { (remarks, vec![]) } else { (vec![], remarks) };
    for (number, finding) in findings.iter().enumerate() {
        hunks += finding.hunks.len();
        bearing += finding.hunks.iter().filter(|(_, hits)| !hits.is_empty()).count();
        // The line number counts lines of the decoded mail, not lines of the file.
        let place = match &finding.patch.subject {
            Some(_) => format!("{name}: mail {}, line", number + 1),
            None => format!("{name}: line"),
        };
        let told = |(line, message): &(usize, String)| format!("iomap-spec: {place} {line}: {message}");
        damage.extend(finding.patch.damage.iter().map(told));
        notes.extend(finding.patch.notes.iter().map(told));
    }
    if hunks == 0 && damage.is_empty() {
        let what = kind.map_or(String::new(), |what| format!("{what}; "));
        let message = format!(
            "iomap-spec: {name}: no unified diff in these {}: {what}make one with git format-patch or diff -up",
            count(bytes.len(), "byte")
        );
        notes.push(message);
        if let format::Review::B4 = arguments.format {
            deliver(arguments.output.as_deref(), &b4::unread(&notes))?;
        }
        return Err(Error::report(Exit::Found, notes.join("\n")));
    }
    let text = match arguments.format {
        format::Review::Human => report::human(spec, &findings, arguments.full),
        format::Review::Json => report::json(spec, &findings),
        format::Review::B4 => b4::array(spec, &findings, &damage, arguments.url.as_deref()),
        format::Review::Sarif => sarif::document(spec, &findings, arguments.url.as_deref()),
    };
    deliver(arguments.output.as_deref(), &text)?;
    for note in notes {
        tell_line(format_args!("{note}"));
    }
    if bearing == 0 && hunks > 0 {
        tell_line(format_args!("iomap-spec: {name}: no clause bears on {}", count(hunks, "hunk")));
    }
    if damage.is_empty() { Ok(Exit::Fine) } else { Err(Error::report(Exit::Found, damage.join("\n"))) }
}
