//! `iomap-file find`: the sealed files below directories.

use crate::report::{Report, unknown};
use crate::state::{State, state_of_name};
use iomap_command::{Error, Exit, Output};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Find {
    /// Directories or files
    #[arg(default_value = ".", value_name = "PLACE")]
    places: Vec<PathBuf>,
    /// End each name with a NUL, for `xargs -0`
    #[arg(short = '0', long)]
    null: bool,
    /// Descend into other file systems too
    #[arg(long)]
    cross_file_systems: bool,
}

/// Prints the name of each sealed file.
pub(crate) fn run(args: &Find) -> Result<Exit, Error> {
    let mut walk = Walk { args, report: Report::default(), output: Output::standard() };
    for place in &args.places {
        walk.place(place)?;
    }
    Ok(walk.report.end())
}

struct Walk<'a> {
    args: &'a Find,
    report: Report,
    output: Output,
}

/// The number of files of a place that were asked about, and of those whose file system knows the state.
#[derive(Default)]
struct Count {
    asked: usize,
    known: usize,
}

impl Walk<'_> {
    fn place(&mut self, place: &Path) -> Result<(), Error> {
        let mut count = Count::default();
        match fs::symlink_metadata(place) {
            Ok(data) if data.is_dir() => self.directory(place, data.dev(), &mut count)?,
            Ok(data) if data.is_file() => self.file(place, &mut count)?,
            Ok(_) => self.report.add(place, "neither a directory nor a regular file"),
            Err(error) => self.report.add(place, error),
        }
        if count.asked > 0 && count.known == 0 {
            self.report.add(place, unknown("so sealed files are not seen"));
        }
        Ok(())
    }

    /// Looks below a directory, in the order of names.
    fn directory(&mut self, top: &Path, device: u64, count: &mut Count) -> Result<(), Error> {
        let mut open = vec![top.to_path_buf()];
        while let Some(path) = open.pop() {
            let mut entries = Vec::new();
            let read = fs::read_dir(&path).and_then(|found| {
                for entry in found {
                    entries.push(entry?.path());
                }
                Ok(())
            });
            if let Err(error) = read {
                self.report.add(&path, error);
            }
            entries.sort();
            let mut below = Vec::new();
            for entry in entries {
                match fs::symlink_metadata(&entry) {
                    Ok(data) if !self.belongs(&data, device) => (),
                    Ok(data) if data.is_dir() => below.push(entry),
                    Ok(data) if data.is_file() => self.file(&entry, count)?,
                    Ok(_) => (),
                    // The file was removed after its name was read.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
                    Err(error) => self.report.add(&entry, error),
                }
            }
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }

    fn belongs(&self, data: &Metadata, device: u64) -> bool {
        self.args.cross_file_systems || data.dev() == device
    }

    fn file(&mut self, path: &Path, count: &mut Count) -> Result<(), Error> {
        match state_of_name(path) {
            Ok(state) => {
                count.asked += 1;
                count.known += usize::from(state != State::Unknown);
                if state == State::Sealed {
                    let end = if self.args.null { b'\0' } else { b'\n' };
                    self.output.write_bytes(&[path.as_os_str().as_bytes(), &[end]].concat())?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
            Err(error) => self.report.add(path, error),
        }
        Ok(())
    }
}
