//! The suite in a guest: one run, as a separate process.

use crate::case::definition::Case;
use crate::cases;
use crate::error::{Error, Result};
use crate::host::sandbox::Sandbox;
use crate::kernel_log::KernelLog;
use crate::lab::guest::port::say;
use crate::lab::protocol::{Message, Run};
use crate::programs;
use crate::run::expectations::Expectations;
use crate::run::plan::{Place, Plan, Situations};
use crate::run::select::Selection;
use crate::run::trials;
use crate::run::trials::{Event, Progress, Subject};
use crate::run::watchdog::Guard;
use crate::target;
use std::sync::Arc;

/// The number of cases that run at the same time, as on real hardware, because they wait for disks and grace periods.
const THREADS: usize = 8;

/// Carries out a run. Each case that begins or ends becomes a message to the host, and so do the results: they are
/// there before the file systems are unmounted, which a kernel may never do.
pub(crate) fn run(
    Run { fs, mechanism }: Run,
    filter: Option<&str>,
    situations: Option<(usize, u64)>,
    tell: &mut dyn FnMut(&Message) -> Result<()>,
) -> Result<()> {
    let expectations = Expectations::of(&[mechanism.name()], fs.name(), &crate::kernel::release())
        .map_err(|error| Error::about("expectations", error))?;
    let sandbox = Sandbox::enter()?;
    let target = target::of_kernel(&sandbox, fs, mechanism)?;
    let subject = Subject { target: "lab", mechanism, fs: fs.name() };
    let all: Vec<&Case> = cases::list::all().collect();
    let cases = Selection::of(filter).among(&all);
    let progress: Progress = Arc::new(|event: Event| {
        let message = match event {
            Event::Begins(name) => Message::Begins(name.to_owned()),
            Event::Ended(name) => Message::Ended(name.to_owned()),
        };
        // Sending fails if the host no longer listens.
        let _ = say(&mut std::io::stdout(), &message);
    });
    // Messages of the kernel before and after the run are on the console.
    let log = target.devices().and_then(|devices| KernelLog::open(devices).ok());
    let guard = Arc::new(Guard::new(programs::TIMEOUT, log));
    let plan = match situations {
        Some((budget, seed)) => {
            let place = Place { mechanism, kernel: true, inline: fs.inline() };
            Plan::new(&cases, place, Situations::Pairs).rotated(budget, seed)
        }
        None => Plan::plain(&cases),
    };
    let results = trials::run(&target, &subject, (&plan.runs, THREADS), &expectations, &guard, &progress);
    tell(&Message::Results(Box::new(results)))
}
