//! Results, for people and for machines.

pub mod human;
pub mod ktap;

use crate::results::Results;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A summary by clause, with reasons
    Human,
    /// One JSON document
    Json,
    /// KTAP version 1, for kselftest and CI systems
    Ktap,
}

/// Writes results.
pub fn write(results: &Results, format: Format) -> String {
    match format {
        Format::Human => human::write(results),
        Format::Json => json(results),
        Format::Ktap => ktap::write(results),
    }
}

/// Pretty-printed JSON with a newline at the end.
pub fn json(value: &impl serde::Serialize) -> String {
    // Every value here has string keys and no custom serialiser, which is all that could fail.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
