//! `iomap-conformance schema`: the JSON Schema of a document.

use crate::cli::output::{Output, Stop};
use crate::report::schema::Document;
use clap::Args;

#[derive(Args)]
pub(crate) struct SchemaArgs {
    /// Which document
    #[arg(value_enum, default_value = "results")]
    document: Document,
}

/// Prints the schema.
pub(crate) fn run(args: &SchemaArgs) -> Result<u8, Stop> {
    Output::Stdout.write(args.document.schema()).map(|()| 0)
}
