//! `iomap-reference rules` and `iomap-reference violations`: tables to read beside the page.

use crate::cli::format::Format;
use iomap_command::{Error, Output};
use iomap_reference::{BY_CONSTRUCTION, rules, violations};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct List {
    /// Only clauses whose id contains this
    filter: Option<String>,
    /// How the list is written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the list to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A table: the name of its rows in JSON, the name of the column beside the clause, and the rows.
struct Table {
    rows: &'static str,
    column: &'static str,
    lines: Vec<[String; 2]>,
}

/// Clause and answer of each rule, then the clauses that hold without a rule.
pub(crate) fn rule_table(list: &List) -> Result<(), Error> {
    let checked = rules().map(|(clause, answer)| [clause.id.to_owned(), answer]);
    let constructed = BY_CONSTRUCTION.iter().map(|(clause, why)| [clause.id.to_owned(), format!("always: {why}")]);
    print(list, Table { rows: "rules", column: "answer", lines: checked.chain(constructed).collect() })
}

/// Clause and name of each violation.
pub(crate) fn violation_table(list: &List) -> Result<(), Error> {
    let lines = violations().into_iter().map(|violation| [violation.clause.id.to_owned(), violation.id]).collect();
    print(list, Table { rows: "violations", column: "id", lines })
}

/// Writes the rows whose clauses the filter lets through.
fn print(list: &List, table: Table) -> Result<(), Error> {
    let wanted = |row: &&[String; 2]| list.filter.as_ref().is_none_or(|filter| row[0].contains(filter.as_str()));
    let lines = table.lines.iter().filter(wanted);
    let text = match list.format {
        Format::Human => lines.map(|[clause, other]| format!("{clause:<24}  {other}\n")).collect(),
        Format::Json => {
            let rows: Vec<Value> =
                lines.map(|[clause, other]| json!({"clause": clause, table.column: other})).collect();
            format!("{:#}\n", json!({"schema": 1, table.rows: rows}))
        }
    };
    Output::open(list.output.as_deref())?.write(&text)
}
