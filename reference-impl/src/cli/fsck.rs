//! `iomap-reference fsck`: looks for inconsistencies in an image.

use crate::cli::format::Format;
use iomap_command::{Error, Exit, Output};
use iomap_reference::{Disk, FileDisk, Finding, ImageError, Report, check};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Fsck {
    /// The image: a file or a block device, which is only read
    image: PathBuf,
    /// How the findings are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the findings to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes a line for each finding, or a document. The exit code tells whether there are findings.
pub(crate) fn run(args: &Fsck) -> Result<Exit, Error> {
    let path = args.image.display();
    let mut disk = FileDisk::open(&args.image, true).map_err(|error| Error::file(&args.image, error))?;
    let report = match check(&mut disk) {
        Ok(report) => report,
        Err(error @ ImageError::Io { .. }) => return Err(Error::file(&args.image, error)),
        // The disk has no file system of this format.
        Err(error) => Report::empty(disk.blocks(), Finding::from(&error)),
    };
    let text = match args.format {
        Format::Human if report.findings.is_empty() => {
            let Report { inodes, sealed, used, blocks, .. } = &report;
            format!("{path}: clean: inodes {inodes}, sealed {sealed}, blocks {used} of {blocks}\n")
        }
        Format::Human => report.findings.iter().map(|finding| format!("{path}: {finding}\n")).collect(),
        Format::Json => {
            let mut document = json!(report);
            document["schema"] = json!(1);
            format!("{document:#}\n")
        }
    };
    Output::open(args.output.as_deref())?.write(&text)?;
    Ok(if report.findings.is_empty() { Exit::Fine } else { Exit::Found })
}
