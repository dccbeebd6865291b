//! The programs for the cases of a run, and the directory for them.

use crate::case::definition::Case;
use crate::reproduce::c::Obstacle;
use crate::reproduce::origin::Origin;
use crate::reproduce::{c, xfs_io};
use crate::results::{CaseResult, Results};
use crate::system::Step;
use iomap_command::Error;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The programs for one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reproducer {
    /// The name of the case, such as `truncate-shrink`.
    pub name: String,
    /// The C program, or the reason why there is none.
    pub c: Result<String, Obstacle>,
    /// The script, if xfs_io can make all calls.
    pub xfs_io: Option<String>,
}

/// The programs for a case that is violated or could not do its work.
pub(crate) fn reproducer(origin: &Origin, clause: &str, case: &CaseResult) -> Reproducer {
    let name = case.name.replace("::", "-").replace(['[', ',', '='], "-").replace(']', "");
    let plain = case.name.split('[').next().unwrap_or_default();
    let about = crate::cases::list::all().find(|it| it.full_name() == plain).map_or("", |case: &Case| case.about);
    let place = if origin.kernel.is_empty() { "" } else { &format!(", Linux {}, {}", origin.kernel, origin.fs) };
    let head = format!("{}: {about} ({clause}{place})", case.name);
    let made: Vec<&Step> = case.steps.iter().filter(|step| step.outcome.is_some()).collect();
    Reproducer { name, c: c::program(&head, origin, &made), xfs_io: xfs_io::script(&head, origin, &made) }
}

/// The directory for the programs. It is opened before the run, because the run may hide it.
pub(crate) struct Directory {
    path: PathBuf,
    open: File,
}

impl Directory {
    /// Makes the directory if it is missing, and opens it. The error is one line for people.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let opened = std::fs::create_dir_all(path).and_then(|()| File::open(path));
        opened.map(|open| Self { path: path.into(), open }).map_err(|error| Error::file(path, error))
    }

    /// Writes the programs for every case that is violated or could not do its work, and returns a line about them. The
    /// error is one line for people.
    pub(crate) fn write(&self, results: &Results) -> Result<String, Error> {
        let (mut programs, mut scripts, mut without) = (0, 0, Vec::new());
        for (clause, case) in results.clauses.iter().flat_map(|clause| clause.cases.iter().map(move |it| (clause, it)))
        {
            if case.steps.is_empty() {
                continue;
            }
            let made = reproducer(&Origin::of(results), &clause.id, case);
            let write = |extension: &str, text: &str| {
                let name = format!("{}.{extension}", made.name);
                let path = Path::new("/proc/self/fd").join(self.open.as_raw_fd().to_string()).join(&name);
                std::fs::write(path, text).map_err(|error| Error::file(&self.path.join(name), error))
            };
            match &made.c {
                Ok(text) => write("c", text).map(|()| programs += 1)?,
                Err(why) => without.push(format!("\nnone for {}: {why}", case.name)),
            }
            if let Some(text) = &made.xfs_io {
                write("xfs_io.sh", text).map(|()| scripts += 1)?;
            }
        }
        let place = self.path.display();
        Ok(format!("{place}: {programs} C programs, {scripts} of them also as scripts of xfs_io{}", without.concat()))
    }
}
