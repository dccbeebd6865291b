//! make(1) of a kernel.

use crate::cache::Turn;
use iomap_command::{Error, Exit, bar, passing, tell_line};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The environment of a make that may be around this command, and what would change the kernel.
const FORGOTTEN: [&str; 8] =
    ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARCH", "CROSS_COMPILE", "KBUILD_OUTPUT", "LOCALVERSION"];

fn command(top: &Path, build: &Path, turn: &Turn) -> Result<Command, Error> {
    let mut make = Command::new("make");
    make.current_dir(top).arg(format!("O={}", build.display())).stdin(turn.held()?).env("LC_ALL", "C");
    for name in FORGOTTEN {
        make.env_remove(name);
    }
    // The same kernel each time.
    make.env("KBUILD_BUILD_USER", "iomap").env("KBUILD_BUILD_HOST", "kernel").env("KBUILD_BUILD_VERSION", "1");
    make.env("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 2026");
    Ok(make)
}

/// Makes targets that take seconds.
pub(crate) fn quiet(top: &Path, build: &Path, targets: &[&str], turn: &Turn) -> Result<(), Error> {
    let output = command(top, build, turn)?.arg("--silent").args(targets).output();
    let output = output.map_err(|error| Error::environment("make").because(error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::report(Exit::Environment, format!("iomap-kernel: make {}\n{}", targets.join(" "), said.trim())))
}

/// The number of lines that a build from the beginning has printed, beside the build.
const STEPS: &str = ".iomap-steps";

/// Makes the kernel, and shows how much is left. `steps` is a first estimate for a build from the beginning.
pub(crate) fn make(top: &Path, build: &Path, jobs: usize, steps: usize, turn: &Turn) -> Result<(), Error> {
    let is_first = !build.join("vmlinux").exists();
    let known = fs::read_to_string(build.join(STEPS)).ok().and_then(|text| text.trim().parse().ok());
    let begun = Instant::now();
    let log = build.with_extension("log");
    let failed = |error| Error::file(&log, error);
    let file = File::create(&log).map_err(failed)?;
    let mut make = command(top, build, turn)?;
    make.arg(format!("-j{jobs}")).stdout(Stdio::piped()).stderr(file.try_clone().map_err(failed)?);
    let mut child = make.spawn().map_err(|error| Error::environment("make").because(error))?;
    let mut progress = Progress { begun, done: 0, total: is_first.then(|| known.unwrap_or(steps)) };
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.map_err(failed)?;
        writeln!(&file, "{line}").map_err(failed)?;
        if line.starts_with("  ") {
            progress.step(line.split_whitespace().last().unwrap_or_default());
        }
    }
    passing("");
    let status = child.wait().map_err(|error| Error::environment("make").because(error))?;
    if !status.success() {
        return Err(complaint(&log));
    }
    if is_first {
        let _ = fs::write(build.join(STEPS), progress.done.to_string());
    }
    tell_line(format_args!("built in {}, {} steps", time(begun.elapsed()), progress.done));
    Ok(())
}

/// The objects that a make has compiled.
pub(crate) struct Compiled {
    pub(crate) objects: usize,
    /// The lines of the compiler that are warnings.
    pub(crate) warnings: Vec<String>,
    pub(crate) took: Duration,
}

/// Makes targets, and counts the objects. The targets may begin with variables.
pub(crate) fn compile(top: &Path, build: &Path, jobs: usize, targets: &[&str], turn: &Turn) -> Result<Compiled, Error> {
    let begun = Instant::now();
    passing(&format!("make {}", targets.join(" ")));
    let output = command(top, build, turn)?.arg(format!("-j{jobs}")).args(targets).output();
    let output = output.map_err(|error| Error::environment("make").because(error))?;
    passing("");
    let log = build.with_extension("log");
    fs::write(&log, [&output.stdout[..], &output.stderr].concat()).map_err(|error| Error::file(&log, error))?;
    if !output.status.success() {
        return Err(complaint(&log));
    }
    let is_object = |line: &&str| line.starts_with("  CC ") || line.starts_with("  AS ");
    let objects = String::from_utf8_lossy(&output.stdout).lines().filter(is_object).count();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let warnings = said.lines().filter(|line| line.contains("warning:")).map(str::to_owned).collect();
    Ok(Compiled { objects, warnings, took: begun.elapsed() })
}

/// The first errors in the log of a build.
fn complaint(log: &Path) -> Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    let is_error = |line: &&str| line.contains("error:") || line.contains("Error ") || line.contains("No space left");
    let lines: Vec<&str> = text.lines().filter(is_error).take(10).collect();
    let exit = if text.contains("No space left") { Exit::Environment } else { Exit::Found };
    Error::report(exit, format!("{}\niomap-kernel: make has failed: {}", lines.join("\n"), log.display()))
}

/// The state of a build.
struct Progress {
    begun: Instant,
    done: usize,
    total: Option<usize>,
}

impl Progress {
    fn step(&mut self, name: &str) {
        self.done += 1;
        let Some(total) = self.total.map(|total| total.max(self.done + 1)) else {
            return passing(&format!("kernel {} {name}", self.done));
        };
        let left = left(self.begun.elapsed(), self.done, total);
        passing(&bar("kernel", self.done, total, &format!("{} left, {name}", time(left))));
    }
}

/// The time that the rest takes if it takes as long for each step as the steps until now.
fn left(since: Duration, done: usize, total: usize) -> Duration {
    let rest = u32::try_from(total.saturating_sub(done)).unwrap_or(u32::MAX);
    since * rest / u32::try_from(done.max(1)).unwrap_or(u32::MAX)
}

/// A time for people.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..6000 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_steps() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(60), 100, 400), seconds(180));
        assert_eq!(left(seconds(60), 0, 400), seconds(24_000));
        assert_eq!(left(seconds(60), 500, 400), seconds(0));
        assert_eq!([time(seconds(59)), time(seconds(61)), time(seconds(7300))], ["59 s", "2 min", "2 h 1 min"]);
    }
}
