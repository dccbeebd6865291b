//! The flags of libtest, which choose cases.

use crate::case::definition::Case;
use crate::cases;
use crate::cli::command::Cli;
use crate::run::select::{Nothing, Selection, nearest};
use clap::{Args, CommandFactory};
use iomap_command::Error;

/// The flags of libtest, under their names.
#[derive(Args)]
#[command(next_help_heading = "Choosing cases")]
pub(crate) struct Libtest {
    /// Only these cases: a family, a clause, a case, a pattern with *, or a part
    /// of such a name
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// A filter is the whole name of a clause or case
    #[arg(long)]
    pub(crate) exact: bool,
    /// Leave out these cases
    #[arg(long, value_name = "FILTER")]
    pub(crate) skip: Vec<String>,
    /// List the cases, do not run them
    #[arg(long)]
    pub(crate) list: bool,
    /// The number of cases that run at the same time
    #[arg(short = 'j', long = "test-threads", value_name = "N", value_parser = at_least_one)]
    pub(crate) test_threads: Option<usize>,
    /// Means --format terse
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) quiet: bool,
    /// Runs all cases, because no case is ignored
    #[arg(long, hide = true)]
    include_ignored: bool,
    /// Runs no case, because no case is ignored
    #[arg(long, hide = true)]
    pub(crate) ignored: bool,
    /// Runs the cases, because cases are tests
    #[arg(long, hide = true)]
    test: bool,
    /// Runs no case, because no case is a benchmark
    #[arg(long, hide = true, conflicts_with = "test")]
    pub(crate) bench: bool,
    /// Has no effect: output is never captured
    #[arg(long, alias = "no-capture", hide = true)]
    nocapture: bool,
    /// Has no effect: output is always shown
    #[arg(long, hide = true)]
    show_output: bool,
    /// Refused: cases run in the order of the page
    #[arg(long, hide = true)]
    shuffle: bool,
    /// Refused: cases run in the order of the page
    #[arg(long, hide = true, value_name = "SEED")]
    shuffle_seed: Option<u64>,
    /// Refused: --timings has the times
    #[arg(long, hide = true)]
    report_time: bool,
    /// Has no effect: no option needs it
    #[arg(short = 'Z', hide = true, value_parser = ["unstable-options"])]
    unstable: Vec<String>,
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number, at least 1"),
        Ok(number) => Ok(number),
    }
}

impl Libtest {
    pub(crate) fn selection(&self) -> Selection {
        Selection { filters: self.filters.clone(), skip: self.skip.clone(), exact: self.exact }
    }

    /// The cases of these filters, at least one.
    pub(crate) fn cases_of(&self, filters: &[String]) -> Result<Vec<&'static Case>, Error> {
        let shuffles = self.shuffle || self.shuffle_seed.is_some();
        for (flag, given, reason) in [
            ("--ignored", self.ignored, "no case is ignored, so nothing would run"),
            ("--bench", self.bench, "no case is a benchmark, so nothing would run"),
            ("--shuffle", shuffles, "cases begin in the order of the page, and each has files of its own"),
            ("--report-time", self.report_time, "--timings and --format json have the time of each case"),
        ] {
            if given {
                return Err(Error::usage(format!("{flag}: {reason}")));
            }
        }
        let selection = Selection { filters: filters.to_vec(), ..self.selection() };
        selection.some_of(&every_case()).map_err(meant_nothing)
    }
}

pub(crate) fn every_case() -> Vec<&'static Case> {
    cases::list::all().collect()
}

/// A filter without a match may be a mistyped command, or a command after its options.
fn meant_nothing(nothing: Nothing) -> Error {
    let Nothing::Unknown { filter, .. } = &nothing else { return Error::usage(nothing.to_string()) };
    let command = Cli::command();
    let commands = command.get_subcommands().filter(|it| !it.is_hide_set()).map(|it| it.get_name().to_owned());
    let hint = match nearest(filter, commands.chain(["help".into()])).first() {
        Some(same) if same == filter => format!("; the command {same} comes before its options"),
        Some(near) => format!("; if a command was meant: {near}"),
        None => String::new(),
    };
    Error::usage(format!("{nothing}{hint}; --list has all cases"))
}
