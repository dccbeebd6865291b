//! The command `iomap-reference`: what the reference does, as tables to read beside the page.

use clap::{Args, Parser, Subcommand, ValueEnum};
use iomap_reference::{BY_CONSTRUCTION, rules, violations};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  iomap-reference rules                  the checks, in their order
  iomap-reference rules truncate         those of clauses with `truncate`
  iomap-reference violations             the ways in which it can be broken

Exit codes: 0 fine, 2 usage, 3 the output cannot be written.";

/// Shows the rules of the reference, a file system that does as the pages say.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the rules in the order of the checks, each with its clause
    Rules(List),
    /// Lists the ways in which the reference can break a clause
    Violations(List),
}

#[derive(Args)]
struct List {
    /// Only clauses whose id contains this
    filter: Option<String>,
    /// How the list is written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the list to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Human,
    /// One JSON document
    Json,
}

fn main() -> ExitCode {
    let (list, rows, key) = match Cli::parse().command {
        Command::Rules(list) => (list, rule_rows(), "rules"),
        Command::Violations(list) => (list, violation_rows(), "violations"),
    };
    let rows: Vec<[String; 2]> =
        rows.into_iter().filter(|row| list.filter.as_ref().is_none_or(|f| row[0].contains(f.as_str()))).collect();
    let text = match list.format {
        Format::Human => rows.iter().map(|[left, right]| format!("{left:<24}  {right}\n")).collect(),
        Format::Json => document(key, &rows),
    };
    let written = match &list.output {
        Some(path) => std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display())),
        None => match std::io::stdout().write_all(text.as_bytes()) {
            // The reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|e| format!("standard output: {e}")),
        },
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("iomap-reference: {message}");
            ExitCode::from(3)
        }
    }
}

/// Clause and answer of each rule, then what holds without one.
fn rule_rows() -> Vec<[String; 2]> {
    let checked = rules().map(|(clause, answer)| [clause.id.to_owned(), answer]);
    let constructed = BY_CONSTRUCTION.iter().map(|(clause, why)| [clause.id.to_owned(), format!("always: {why}")]);
    checked.chain(constructed).collect()
}

/// Clause and name of each violation.
fn violation_rows() -> Vec<[String; 2]> {
    violations().into_iter().map(|violation| [violation.clause.id.to_owned(), violation.id]).collect()
}

fn document(key: &str, rows: &[[String; 2]]) -> String {
    let name = if key == "rules" { "answer" } else { "id" };
    let rows: Vec<Value> = rows.iter().map(|[clause, other]| json!({"clause": clause, name: other})).collect();
    format!("{:#}\n", json!({"schema": 1, key: rows}))
}
