//! The scenario `stress` in a guest: sealed files stay where they are, the kernel has nothing to complain about, and the
//! suite finds what it finds alone, while something works on the file system.

use crate::case::prepare::pattern;
use crate::error::{Error, Result, at};
use crate::filesystem::FsKind;
use crate::host::sys::vfs::fiemap;
use crate::kernel_log::{Devices, KernelLog};
use crate::lab::protocol::{Message, Run, ScriptStep};
use crate::lab::stress::{LOADS, Load};
use crate::mechanism::{Mechanism, seal};
use crate::programs::{self, ending};
use crate::target::found::Mounted;
use crate::words;
use iomap_clauses::Observe;
use iomap_reference::{BLOCK, Call, Caller, Reply};
use iomap_results::{CaseResult, Results, Verdict};
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// The sealed files: the name, the number of blocks, and whether each block is written after one of another file.
const FILES: [(&str, usize, bool); 3] = [("small", 1, false), ("scattered", 16, true), ("large", 1024, false)];

/// The right outcome of each step.
const OK: &str = "ok";

/// While a load works, and until it has ended, this file says so to it.
const GO_ON: &str = "/tmp/go-on";

/// Repeats a round while it may and while it succeeds, and counts the rounds.
const REPEAT: &str = "n=0
while [ -e /tmp/go-on ]; do
    if bash -ec \"$ROUND\" 2>/tmp/said; then n=$((n + 1)); else said=$(tail -n 1 /tmp/said); break; fi
done
echo \"$n$said\" >/tmp/rounds";

/// The time that a case may take beside a load, in seconds: an emulated processor has work for both.
const CASE: &str = "600";

/// The longest time between two messages to the lab.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Runs the suite alone, and beside each load, on a file system.
pub(crate) fn run(run: Run, filter: Option<&str>, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
    let fs = run.fs;
    let root = Path::new("/mnt").join(fs.name());
    fs::create_dir(&root).map_err(at(&root))?;
    let mounted = Mounted::with_quotas(fs, &root)?;
    Place { fs, root, filter }.explore(&mounted, tell)?;
    mounted.unmount()
}

/// A file system with sealed files.
struct Place<'a> {
    fs: FsKind,
    root: PathBuf,
    /// The cases of the suite.
    filter: Option<&'a str>,
}

/// Something that one can see of a sealed file: where its pieces are, and its data.
type Seen = (Vec<(u64, u64, u64)>, Vec<u8>);

/// The verdict on each clause, and the reason for it.
type Verdicts = BTreeMap<String, (Verdict, Option<String>)>;

impl Place<'_> {
    fn explore(&self, mounted: &Mounted, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
        if let Some(lack) = mounted.lacks("", Mechanism::Seal) {
            return Err(format!("the kernel has to seal files: {lack}").into());
        }
        FILES.iter().try_for_each(|file| self.make(mounted, *file))?;
        let before = self.seen()?;
        let mut log = KernelLog::open(Devices::default()).map_err(|error| Error::about("/dev/kmsg", error))?;
        let alone = self.verdicts(tell)?;
        let is_wrong = |verdict| matches!(verdict, Verdict::Violated | Verdict::Error);
        let wrong = alone.iter().filter(|(_, (verdict, _))| is_wrong(*verdict));
        self.say(
            tell,
            "the suite alone",
            list(&wrong.map(named).collect::<Vec<_>>()),
            format!("{} clauses", alone.len()),
        )?;
        for load in LOADS.iter().filter(|load| load.fs.contains(&self.fs)) {
            if programs::find(load.program).is_none() {
                let (step, outcome) = (format!("{}: {}", self.fs.name(), load.name), format!("no {}", load.program));
                tell(&Message::Step(ScriptStep { step, outcome, traffic: String::new(), expected: None }))?;
                continue;
            }
            let work = self.begin(load)?;
            let beside = self.verdicts(tell);
            let rounds = self.end(work, tell)?;
            let step = |what: &str| format!("{}: {what}", load.name);
            self.say(tell, load.name, if rounds.1.is_empty() { OK.into() } else { rounds.1 }, rounds.0)?;
            let (others, late) = differences(&alone, &beside?);
            self.say(tell, &step("the suite"), others, late)?;
            let now = self.seen()?;
            let moved = FILES.iter().zip(before.iter().zip(&now)).filter(|(_, (before, now))| before != now);
            self.say(
                tell,
                &step("sealed files"),
                list(&moved.map(|(file, _)| file.0).collect::<Vec<_>>()),
                String::new(),
            )?;
            self.say(tell, &step("the kernel"), log.alarms().into_iter().next().unwrap_or(OK.into()), String::new())?;
        }
        Ok(())
    }

    fn say(
        &self,
        tell: &mut dyn FnMut(&Message) -> Result<()>,
        what: &str,
        outcome: String,
        traffic: String,
    ) -> Result<()> {
        let (step, expected) = (format!("{}: {what}", self.fs.name()), Some(vec![OK.into()]));
        tell(&Message::Step(ScriptStep { step, outcome, traffic, expected }))
    }

    /// Makes a file and seals it.
    fn make(&self, mounted: &Mounted, (name, blocks, is_scattered): (&str, usize, bool)) -> Result<()> {
        let path = self.root.join(name);
        let failed = |error| Error::about(path.display(), error);
        let (file, data) = (File::create(&path).map_err(failed)?, pattern(1, (blocks * BLOCK) as i64));
        if is_scattered {
            let path = self.root.join(format!("{name}-beside"));
            let beside = File::create(&path).map_err(at(&path))?;
            for (number, block) in data.chunks(BLOCK).enumerate() {
                for file in [&file, &beside] {
                    file.write_all_at(block, (number * BLOCK) as u64).and_then(|()| file.sync_all()).map_err(failed)?;
                }
            }
        } else {
            file.write_all_at(&data, 0).map_err(failed)?;
        }
        let system = mounted.system("");
        let call = |call: &Call| system.call(Caller::Privileged, call);
        let sealed = match call(&Call::Open { name: name.into(), flags: OFlag::O_RDWR, mode: 0 }) {
            Ok(Reply::Number(fd)) => call(&seal(fd as i32, data.len() as i64)),
            other => other,
        };
        let refused = |errno| Error::from(format!("{} is not sealed: {}", path.display(), words::name(errno)));
        sealed.map(drop).map_err(refused)
    }

    /// The sealed files, as they are now.
    fn seen(&self) -> Result<Vec<Seen>> {
        let seen = |(name, ..): &(&str, usize, bool)| {
            let path = self.root.join(name);
            let file = File::open(&path).map_err(at(&path))?;
            let pieces = fiemap(file.as_fd()).map_err(|errno| Error::about(path.display(), errno))?;
            let places = pieces.iter().map(|piece| (piece.logical, piece.physical, piece.length)).collect();
            Ok((places, fs::read(&path).map_err(at(&path))?))
        };
        FILES.iter().map(seen).collect()
    }

    /// The verdicts of the suite in a directory of the file system.
    fn verdicts(&self, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<Verdicts> {
        let (directory, output) = (self.root.join("suite"), "/tmp/stress.json");
        fs::create_dir_all(&directory).map_err(at(&directory))?;
        let mut suite = Command::new("/proc/self/exe");
        suite.args(["--target", &format!("dir={}", directory.display()), "--mechanism", "seal"]);
        suite.args(["--format", "json", "--output", output, "--timeout", CASE]).args(self.filter).env("PATH", "/bin");
        let suite = suite.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let status = patiently(suite.map_err(|error| Error::about("the suite", error))?, tell)?;
        let text =
            fs::read_to_string(output).map_err(|_| Error::from(format!("the suite {status}, without results")))?;
        fs::remove_file(output).map_err(|error| Error::about(output, error))?;
        let results = Results::<()>::parse(&text).map_err(|error| Error::about(output, error))?;
        let why = |cases: &[CaseResult]| cases.iter().find_map(|case| case.detail.clone());
        let rows =
            results.clauses.into_iter().map(|row| (row.id, (row.verdict, row.reason.or_else(|| why(&row.cases)))));
        Ok(rows.collect())
    }

    /// Starts a load in a fresh directory.
    fn begin(&self, load: &Load) -> Result<Child> {
        let directory = self.root.join("load");
        fs::create_dir(&directory).map_err(at(&directory))?;
        fs::write(GO_ON, "").map_err(|error| Error::about(GO_ON, error))?;
        let mut bash = Command::new("bash");
        bash.args(["-c", REPEAT]).env("PATH", "/bin").env("ROOT", &self.root).env("ROUND", load.round);
        let bash = bash.current_dir(&directory).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        bash.map_err(|error| Error::about("bash", error))
    }

    /// Waits for the end of a load. Returns the number of its rounds, and the reason why it ended before, if it did.
    fn end(&self, work: Child, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<(String, String)> {
        fs::remove_file(GO_ON).map_err(|error| Error::about(GO_ON, error))?;
        patiently(work, tell)?;
        let directory = self.root.join("load");
        fs::remove_dir_all(&directory).map_err(at(&directory))?;
        let rounds = fs::read_to_string("/tmp/rounds").map_err(|error| Error::about("/tmp/rounds", error))?;
        let end = rounds.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rounds.len());
        let (rounds, why) = rounds.split_at(end);
        let why = if rounds == "0" && why.trim().is_empty() { "not once" } else { why.trim() };
        Ok((format!("rounds {rounds}"), why.to_owned()))
    }
}

/// Waits for the end of a process, and lets the lab know that the guest is alive.
fn patiently(mut process: Child, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<String> {
    let (send, ended) = channel();
    thread::spawn(move || {
        // Sending fails if the listener has failed.
        let _ = send.send(process.wait());
    });
    loop {
        match ended.recv_timeout(SIGN_OF_LIFE) {
            Ok(status) => return status.map(ending).map_err(|error| Error::about("a process", error)),
            Err(_) => tell(&Message::Ready)?,
        }
    }
}

/// The clauses with another verdict, and those of them about time. An emulated processor that works for a load makes
/// every call late, so a violation of these says nothing here.
fn differences(alone: &Verdicts, beside: &Verdicts) -> (String, String) {
    let is_other = |clause, verdict: &Verdict| alone.get(clause).is_none_or(|(before, _)| before != verdict);
    let others = beside.iter().filter(|(clause, (verdict, _))| is_other(*clause, verdict));
    let is_late = |(clause, (verdict, _)): &(&String, &(Verdict, Option<String>))| {
        *verdict == Verdict::Violated
            && iomap_clauses::ALL.iter().any(|it| it.id == **clause && it.observe.contains(&Observe::Time))
    };
    let (late, others): (Vec<_>, Vec<_>) = others.partition(is_late);
    let late: Vec<&str> = late.iter().map(|(clause, _)| clause.as_str()).collect();
    let note = if late.is_empty() { String::new() } else { format!("late {}", late.join(", ")) };
    (list(&others.into_iter().map(named).collect::<Vec<_>>()), note)
}

/// A clause with its verdict and the beginning of the reason.
fn named((clause, (verdict, why)): (&String, &(Verdict, Option<String>))) -> String {
    let why = why.as_deref().and_then(|why| why.lines().next()).map_or(String::new(), |why| format!(" ({why})"));
    format!("{clause} {verdict}{why}")
}

/// All of them, or that there are none.
fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    if items.is_empty() { OK.into() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_call_is_no_other_verdict() {
        let verdicts = |rows: &[(&str, Verdict)]| -> Verdicts {
            rows.iter().map(|(clause, verdict)| ((*clause).to_owned(), (*verdict, Some("it is\nso".into())))).collect()
        };
        let alone = verdicts(&[("truncate.same_prompt", Verdict::Holds), ("truncate.shrink", Verdict::Holds)]);
        assert_eq!(differences(&alone, &alone), ("ok".into(), String::new()));
        let late = verdicts(&[("truncate.same_prompt", Verdict::Violated), ("truncate.shrink", Verdict::Holds)]);
        assert_eq!(differences(&alone, &late), ("ok".into(), "late truncate.same_prompt".into()));
        let wrong = verdicts(&[("truncate.same_prompt", Verdict::Error), ("truncate.shrink", Verdict::Violated)]);
        let said = "truncate.same_prompt error (it is), truncate.shrink violated (it is)";
        assert_eq!(differences(&alone, &wrong), (said.into(), String::new()));
    }
}
