//! A guest with the suite: its cases, their results, and the reasons for missing results.

use crate::error::Result;
use crate::lab::board::{Listener, News};
use crate::lab::cache::Cache;
use crate::lab::document::failed;
use crate::lab::job::Job;
use crate::lab::machine::console;
use crate::lab::machine::kernel::BootKernel;
use crate::lab::machine::qemu::{Attendance, Machine};
use crate::lab::machine::session::{Session, Silence, attend};
use crate::lab::options::Options;
use crate::lab::protocol::{Message, Run, Work};
use crate::results::Results;
use iomap_command::tell_line;
use iomap_results::LogLine;
use std::fmt;
use std::time::Duration;

/// The maximum time without a message, for a guest with a debugger.
const PATIENCE_OF_DEBUGGERS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Boots a guest for a job, and returns the results of its runs. An error means that the guest was not started.
pub(crate) fn carry_out(job: &Job, options: &Options, cache: &Cache, listener: &Listener) -> Result<Vec<Results>> {
    let situations = options.chosen_situations();
    let work = Work::Suite { runs: job.runs.clone(), filter: options.case.clone(), situations };
    let initramfs = job.initramfs(options, work, cache)?;
    let console = console::place(cache, &[job.kernel.release(), job.fs.name()])?;
    let attendance = if options.gdb { Attendance::Debugger } else { Attendance::Batch };
    let machine = job.machine(options, &initramfs, &console).attended(attendance);
    listener(News::Starts(&machine.line()));
    let mut patience = options.patience();
    if options.gdb {
        let symbols = job.kernel.symbols.as_ref().map_or("VMLINUX".into(), |path| path.display().to_string());
        tell_line(format_args!("gdb {symbols} -ex 'target remote :1234'"));
        patience = PATIENCE_OF_DEBUGGERS;
    }
    let ended = boot(&machine, &job.runs, patience, listener);
    if let Some((reason, tail)) = &ended.trouble {
        listener(News::Milestone(&format!("{reason}\n{tail}  {}", console.display())));
    }
    Ok(ended.results)
}

/// The end of a guest.
struct Ended {
    /// The results of each run. A run that did not end has `error` for each clause.
    results: Vec<Results>,
    /// The reason why a run did not end, and the last lines of the console.
    trouble: Option<(String, String)>,
}

/// The messages of a guest so far.
struct Heard {
    /// The results of each run that has ended.
    found: Vec<Option<Results>>,
    /// The reason for each run that failed.
    reasons: Vec<Option<String>>,
    /// The number of cases that have ended.
    cases: usize,
    /// The cases that have begun but not ended.
    running: Vec<String>,
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let during = if self.running.is_empty() { "" } else { ", during " };
        write!(f, "after {} cases{during}{}", self.cases, self.running.join(", "))
    }
}

/// Boots a guest and collects the results of its runs.
fn boot(machine: &Machine, runs: &[Run], patience: Duration, listener: &Listener) -> Ended {
    let (found, reasons) = (vec![None; runs.len()], vec![None; runs.len()]);
    let mut heard = Heard { found, reasons, cases: 0, running: Vec::new() };
    let (ended, said) = attend(machine, patience, |session| listen(session, runs, &mut heard, listener));
    // The console has a better reason than the process for its end, or for the end of the messages.
    let whole = ended.err().map(|reason| format!("{reason}, {heard}"));
    let end = console::end(&said).map(|reason| reason + &without_modules(machine.kernel));
    let Heard { found, reasons, .. } = heard;
    let trouble = whole.clone().or_else(|| reasons.iter().flatten().next().cloned());
    let trouble = trouble.map(|reason| (end.clone().unwrap_or(reason), console::tail(&said)));
    let alarms = console::alarms(&said);
    let results = runs.iter().zip(found).zip(&reasons).map(|((run, found), reason)| {
        let reason = end.as_deref().or(reason.as_deref()).or(whole.as_deref()).unwrap_or("no results");
        let mut results = found.unwrap_or_else(|| failed(run, &machine.kernel.identity, reason));
        // The suite in the guest has already reported the alarms during its cases.
        let more = alarms.iter().filter(|text| results.kernel_log.iter().all(|line| line.text != **text));
        let more: Vec<LogLine> = more.map(|text| LogLine { text: text.clone(), during: Vec::new() }).collect();
        results.kernel_log.extend(more);
        results
    });
    Ended { results: results.collect(), trouble }
}

/// A remark on the end of a guest whose kernel had no modules: it may have needed some.
fn without_modules(kernel: &BootKernel) -> String {
    match kernel.modules {
        Some(_) => String::new(),
        None => format!(
            "; no modules of {} were found beside the image or on this machine: name its package or its build tree",
            kernel.release()
        ),
    }
}

/// Collects the messages of a guest until the last one.
fn listen(session: &Session, runs: &[Run], heard: &mut Heard, listener: &Listener) -> std::result::Result<(), Silence> {
    loop {
        match session.hear()?.1 {
            Message::Ready => listener(News::Milestone("booted")),
            Message::Begins(case) => heard.running.push(case),
            Message::Ended(case) => {
                if heard.cases == 0 {
                    listener(News::Milestone("the first case has ended"));
                }
                heard.cases += 1;
                listener(News::Case(heard.cases, &case));
                heard.running.retain(|other| *other != case);
            }
            Message::Results(results) => {
                let same = |run: &Run| run.fs.name() == results.fs && run.mechanism.name() == results.mechanism;
                let number = runs.iter().position(same).ok_or("results of another run")?;
                listener(News::Milestone(&format!("{} done", results.mechanism)));
                heard.found[number] = Some(*results);
            }
            Message::Failed(number, reason) => {
                listener(News::Milestone(&reason));
                heard.reasons.get_mut(number).into_iter().for_each(|known| *known = Some(reason.clone()));
            }
            Message::Power(_) | Message::Step(_) => (),
            Message::Done => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::FsKind;
    use crate::lab::cache::Cache;
    use crate::lab::machine::qemu::{Accelerator, missing};
    use crate::mechanism::Mechanism;

    /// A kernel that finds no program to start panics, and the console shows that.
    #[test]
    fn a_panic() {
        if let Some(missing) = missing() {
            return iomap_testing::tools::not_tested(missing);
        }
        let kernel = BootKernel::find("6.1", &Cache::open().unwrap()).unwrap().remove(0);
        let directory = tempfile::tempdir().unwrap();
        let nothing = directory.path().join("nothing");
        std::fs::write(&nothing, [0; 512]).unwrap();
        let console = directory.path().join("console");
        let machine = Machine::new(&kernel, Accelerator::Tcg, 512, &nothing, &console, Vec::new());
        let runs = [Mechanism::Swapfile, Mechanism::Seal].map(|mechanism| Run { fs: FsKind::Xfs, mechanism });
        let ended = boot(&machine, &runs, Duration::from_secs(120), &|_| ());
        let (why, tail) = ended.trouble.unwrap();
        assert!(why.starts_with("the kernel panicked: Kernel panic - not syncing: VFS: "), "{why}");
        assert!(tail.contains("Kernel panic"), "{tail}");
        let reasons = ended.results.iter().flat_map(|results| &results.clauses).map(|clause| clause.reason.as_deref());
        let testable = iomap_clauses::ALL.iter().filter(|clause| clause.is_testable()).count();
        assert!(reasons.eq(std::iter::repeat_n(Some(why.as_str()), 2 * testable)));
    }
}
