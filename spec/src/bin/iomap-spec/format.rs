//! The formats of output.

use clap::ValueEnum;

/// For people or for programs.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

/// How findings are reported.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Report {
    Human,
    Json,
    Github,
}

/// How a review is reported.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Review {
    Human,
    Json,
    B4,
    Sarif,
}
