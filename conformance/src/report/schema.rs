//! The documents whose schemas the command can print.

use iomap_results::Schema;

/// A document that the command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Document {
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
    /// The schema of the document, in the dialect 2020-12.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::Results => Schema::Results.text(),
            Self::List => Schema::List.text(),
            Self::Audit => Schema::Audit.text(),
            Self::Comparison => Schema::Comparison.text(),
            Self::Lab => Schema::Lab.text(),
            Self::Scenario => include_str!("../../schema/scenario.schema.json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mechanism::Mechanism;
    use clap::ValueEnum;

    /// The schema of results lists all mechanisms that can be in results.
    #[test]
    fn schemas_have_every_mechanism() {
        let names: Vec<&str> = Mechanism::value_variants().iter().map(|it| it.name()).collect();
        assert_eq!(names, iomap_results::MECHANISMS);
    }
}
