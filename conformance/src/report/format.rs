//! The formats of results.

use crate::report::junit::{self, Clauses};
use crate::report::{human, kcidb, ktap};
use crate::results::Results;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A summary by clause, with reasons
    #[value(alias = "pretty")]
    Human,
    /// A summary of unexpected results only, with the sums
    Terse,
    /// One JSON document; `schema` prints its schema
    Json,
    /// KTAP version 1, for kselftest and CI systems
    Ktap,
    /// JUnit, for CI systems: an expected violation counts as skipped
    Junit,
    /// The same with the clause of each test, for tools that trace requirements
    JunitClauses,
    /// A submission to KCIDB: an expected violation has a known issue
    Kcidb,
}

/// Writes results.
pub fn write(results: &Results, format: Format, submitter: &kcidb::Submitter) -> String {
    match format {
        Format::Human => human::write(results),
        Format::Terse => human::terse(results),
        Format::Json => json(results),
        Format::Ktap => ktap::write(results),
        Format::Junit => junit::write(results, Clauses::Named),
        Format::JunitClauses => junit::write(results, Clauses::AsProperties),
        Format::Kcidb => json(&kcidb::write(results, submitter)),
    }
}

/// Pretty-printed JSON with a newline at the end.
pub fn json(value: &impl serde::Serialize) -> String {
    // Serialising fails only for keys that are not strings or for custom serialisers, which no value here has.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
