//! The JSON Schemas of the documents that the command writes.

/// A document that the command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Document {
    /// Of `run --format json`; `matrix --format json` writes a list of them
    Results,
    /// Of `run --list --format json`
    List,
    /// Of `audit --format json`
    Audit,
    /// Of `compare --format json`
    Comparison,
    /// Of `lab --format json`
    Lab,
    /// Of `lab --scenario --format json`
    Scenario,
}

impl Document {
    /// Its schema, in the dialect 2020-12.
    pub fn schema(self) -> &'static str {
        match self {
            Self::Results => include_str!("../schema/results.schema.json"),
            Self::List => include_str!("../schema/list.schema.json"),
            Self::Audit => include_str!("../schema/audit.schema.json"),
            Self::Comparison => include_str!("../schema/comparison.schema.json"),
            Self::Lab => include_str!("../schema/lab.schema.json"),
            Self::Scenario => include_str!("../schema/scenario.schema.json"),
        }
    }
}
