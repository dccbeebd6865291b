//! `iomap-conformance schema`: the JSON Schema of a document.

use crate::report::schema::Document;
use clap::Args;
use iomap_command::{Error, Exit, Output};

#[derive(Args)]
pub(crate) struct SchemaArgs {
    /// Which document
    #[arg(value_enum, default_value = "results")]
    document: Document,
}

/// Prints the schema.
pub(crate) fn run(args: &SchemaArgs) -> Result<Exit, Error> {
    Output::standard().write(args.document.schema()).map(|()| Exit::Fine)
}
