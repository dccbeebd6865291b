//! `mutants`: whether the suite notices small faults of the series.
//!
//! A mutant is built in the kept tree, and boots with the families of its clauses in plain situations, then in all pairs
//! of values; a survivor gets the whole suite. The outcome of each mutant is a file, so that a run that was interrupted
//! goes on where it was.

use crate::apply::put;
use crate::build::{Builder, From};
use crate::cache::Cache;
use crate::config::Config;
use crate::digest;
use crate::outcome::{Count, Outcome, Part, Stage, table};
use crate::record::record;
use crate::script::Script;
use crate::series::Series;
use crate::tools;
use crate::tree::Tree;
use clap::Args;
use iomap_command::{Error, Exit, Output, passing, tell_line};
use iomap_results::Results;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The file systems, of those that the mutant names
    #[arg(long, value_name = "FS", num_args = 1..)]
    fs: Vec<String>,
    /// Run them again, even if there is an outcome
    #[arg(long)]
    again: bool,
    /// Print the table of the outcomes that there are, and run nothing
    #[arg(long, conflicts_with = "again")]
    table: bool,
    /// Write the outcomes that there are to mutants.json of the series, and run nothing
    #[arg(long, conflicts_with_all = ["again", "table", "names"])]
    record: bool,
    /// The number of runs in situations of each family, chosen from all pairs
    #[arg(long, value_name = "RUNS", default_value_t = 10_000)]
    budget: usize,
    /// The engine of the guests, as `lab` takes it: if it has to find out, it tries each new kernel
    #[arg(long, value_name = "NAME", default_value = "auto")]
    accelerator: String,
    /// The program of the suite [default: the release build of this project]
    #[arg(long, value_name = "PROGRAM")]
    suite: Option<PathBuf>,
    #[command(flatten)]
    from: From,
    /// Mutants [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The seed that chooses the runs of a budget, the same for each mutant and for the kernel without one.
const SEED: &str = "1";

/// The file systems of a mutant that names none.
const DEFAULT: [&str; 2] = ["xfs", "ext4"];

pub(crate) fn run(
    series: &Series,
    cache: &Cache,
    version: Option<&str>,
    suite: &Path,
    arguments: &Arguments,
) -> Result<Exit, Error> {
    let mutants: Vec<&Script> = match arguments.names.as_slice() {
        [] => series.mutants.iter().collect(),
        names => names.iter().map(|name| series.mutant(name)).collect::<Result<_, _>>()?,
    };
    let place = cache.path("outcomes");
    let known = || mutants.iter().filter_map(|mutant| Outcome::read(&place, mutant)).collect::<Vec<_>>();
    if arguments.record {
        return record(series, &known());
    }
    if arguments.table {
        let known = known();
        return end(&known, mutants.len() - known.len());
    }
    let suite = arguments.suite.as_deref().unwrap_or(suite);
    if !suite.is_file() {
        let suite = suite.display();
        return Err(Error::environment(format!("{suite}: the suite is not built: cargo build --release")));
    }
    tools::need(&["qemu-system-x86_64", "depmod"])?;
    let suite_digest = digest::of_file(suite).map_err(|error| Error::file(suite, error))?;
    fs::create_dir_all(&place).map_err(|error| Error::file(&place, error))?;
    let lab = Lab { series, cache, version, suite, suite_digest, arguments };
    let all = lab.works(&mutants, &place)?;
    let outcomes = if all.iter().any(|work| work.known.is_none()) { lab.outcomes(all, &place)? } else { told(all) };
    end(&outcomes, 0)
}

/// The outcomes that are known, with a line for each.
fn told(all: Vec<Work>) -> Vec<Outcome> {
    let count = all.len();
    let known = all.into_iter().filter_map(|work| work.known);
    known.enumerate().inspect(|(number, outcome)| tell(*number, count, outcome)).map(|(_, outcome)| outcome).collect()
}

fn tell(number: usize, count: usize, outcome: &Outcome) {
    tell_line(format_args!("{}/{count} {outcome}", number + 1));
}

/// Prints the table, and makes the exit code.
fn end(outcomes: &[Outcome], missing: usize) -> Result<Exit, Error> {
    let count = Count::of(outcomes);
    Output::standard().write(&format!("{}\n{count}\n", table(outcomes)))?;
    if missing > 0 {
        tell_line(format_args!("{missing} of the mutants have no outcome"));
    }
    Ok(count.exit(missing))
}

/// A mutant with its outcome, or what is needed to get one.
struct Work<'a> {
    mutant: &'a Script,
    file_systems: Vec<String>,
    /// The identity of its kernel.
    key: String,
    known: Option<Outcome>,
}

/// The kernel of a mutant.
struct Built {
    /// None if it does not compile: a fault of the series.
    kernel: Option<PathBuf>,
    time: Duration,
}

/// The kernel without a mutant.
struct Sound {
    kernel: PathBuf,
    key: String,
    /// For each stage that it was needed for, the clauses that it violates there.
    violated: BTreeMap<String, BTreeSet<String>>,
}

/// The things that all mutants need.
struct Lab<'a> {
    series: &'a Series,
    cache: &'a Cache,
    version: Option<&'a str>,
    suite: &'a Path,
    suite_digest: String,
    arguments: &'a Arguments,
}

impl Lab<'_> {
    /// The work for each mutant.
    fn works<'a>(&self, mutants: &[&'a Script], place: &Path) -> Result<Vec<Work<'a>>, Error> {
        let turn = self.cache.turn()?;
        let builder = Builder::new(self.series, self.cache, &turn, self.version, &self.arguments.from)?;
        let mut all = Vec::new();
        for mutant in mutants {
            let file_systems = self.file_systems(mutant);
            let tree = Tree::after(self.series, Some(&builder.source), &self.series.patches, Some(mutant))?;
            let key = builder.key(&tree, Config::Plain)?;
            let known = Outcome::read(place, mutant).filter(|_| !self.arguments.again);
            let parts = self.parts(mutant);
            let known = known.filter(|known| known.is_valid(&key, &self.suite_digest, &file_systems, &parts));
            all.push(Work { mutant, file_systems, key, known });
        }
        Ok(all)
    }

    fn file_systems(&self, mutant: &Script) -> Vec<String> {
        let named = if mutant.fs.is_empty() { DEFAULT.map(str::to_owned).to_vec() } else { mutant.fs.clone() };
        let is_wanted = |fs: &String| self.arguments.fs.is_empty() || self.arguments.fs.contains(fs);
        named.into_iter().filter(is_wanted).collect()
    }

    /// The parts of the suite for a mutant, in their order.
    fn parts(&self, mutant: &Script) -> Vec<Part> {
        let families = families(mutant);
        let pairs = families.iter().cloned().map(|family| Part::Pairs(family, self.arguments.budget));
        families.iter().cloned().map(Part::Family).chain(pairs).chain([Part::Whole]).collect()
    }

    /// The outcome of each mutant. While one runs in its guest, the next is built.
    fn outcomes(&self, all: Vec<Work>, place: &Path) -> Result<Vec<Outcome>, Error> {
        let mut sound = self.sound()?;
        let new = || all.iter().filter(|work| work.known.is_none());
        for fs in new().flat_map(|work| &work.file_systems).collect::<BTreeSet<_>>() {
            self.violated(&mut sound, fs, &Part::Whole)?;
        }
        let scripts: Vec<&Script> = new().map(|work| work.mutant).collect();
        // A kernel waits here, and so a third is not built before the first has been used.
        let (send, kernels) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                for mutant in scripts {
                    let built = self.built(mutant);
                    let is_last = built.is_err();
                    if send.send(built).is_err() || is_last {
                        break;
                    }
                }
            });
            let count = all.len();
            let mut outcomes = Vec::new();
            for (number, work) in all.into_iter().enumerate() {
                let outcome = match work.known {
                    Some(known) => known,
                    None => {
                        let built = kernels.recv().map_err(|error| Error::environment("a build").because(error))??;
                        self.outcome(work, &built, &mut sound, place)?
                    }
                };
                tell(number, count, &outcome);
                outcomes.push(outcome);
            }
            Ok(outcomes)
        })
    }

    /// Builds a mutant. The turn ends with the build: others may build while a guest runs.
    fn built(&self, mutant: &Script) -> Result<Built, Error> {
        let turn = self.cache.turn()?;
        let begun = Instant::now();
        let builder = Builder::new(self.series, self.cache, &turn, self.version, &self.arguments.from)?;
        let tree = Tree::after(self.series, Some(&builder.source), &self.series.patches, Some(mutant))?;
        let kernel = match builder.mutant(&tree) {
            Ok(kernel) => Some(kernel),
            Err(error) if error.exit() == Exit::Found => {
                tell_line(format_args!("{}: {error}", mutant.name));
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Built { kernel, time: begun.elapsed() })
    }

    /// The outcome of a mutant, which becomes a file.
    fn outcome(&self, work: Work, built: &Built, sound: &mut Sound, place: &Path) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let Work { mutant, file_systems, key, .. } = work;
        let mut outcome = Outcome::new(mutant, &self.series.digest(), key, &self.suite_digest, &file_systems);
        if let Some(kernel) = &built.kernel {
            self.stages(mutant, kernel, &file_systems, sound, &mut outcome)?;
            passing("");
        }
        outcome.decide();
        outcome.seconds = (built.time + begun.elapsed()).as_secs();
        outcome.write(place)?;
        Ok(outcome)
    }

    /// The parts of the suite on each file system, until an expected clause is violated.
    fn stages(
        &self,
        mutant: &Script,
        kernel: &Path,
        file_systems: &[String],
        sound: &mut Sound,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        for part in self.parts(mutant) {
            // The whole suite is for a mutant about which nothing is known yet.
            if part == Part::Whole && outcome.is_noticed() {
                break;
            }
            for fs in file_systems {
                passing(&format!("{}: {part} on {fs}", mutant.name));
                let mut stage = self.stage(kernel, fs, &part)?;
                if !stage.notices.is_empty() {
                    let known = self.violated(sound, fs, &part)?;
                    stage.notices.retain(|notice| !known.contains(&notice.clause));
                }
                outcome.stages.push(stage);
                if outcome.is_killed() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The kernel without a mutant.
    fn sound(&self) -> Result<Sound, Error> {
        let turn = self.cache.turn()?;
        let builder = Builder::new(self.series, self.cache, &turn, self.version, &self.arguments.from)?;
        let tree = Tree::after(self.series, Some(&builder.source), &self.series.patches, None)?;
        let (kernel, key) = (builder.kernel(&tree, Config::Plain)?, builder.key(&tree, Config::Plain)?);
        Ok(Sound { kernel, key, violated: BTreeMap::new() })
    }

    /// The clauses that the series violates without a mutant. A part in plain situations is a part of the whole.
    fn violated(&self, sound: &mut Sound, fs: &str, part: &Part) -> Result<BTreeSet<String>, Error> {
        let part = if part.budget().is_none() { &Part::Whole } else { part };
        let name = format!("{part} on {fs}");
        if let Some(known) = sound.violated.get(&name) {
            return Ok(known.clone());
        }
        // The outcome is kept by kernel and suite.
        let budget = part.budget().unwrap_or(0).to_string();
        let parts = [&sound.key, &self.suite_digest, &name, &budget];
        let file = digest::short(parts.map(|part| part.as_bytes()));
        let path = self.cache.path(&format!("sound/{file}"));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) => {
                passing(&format!("without a mutant: {name}"));
                let stage = self.stage(&sound.kernel, fs, part)?;
                if !stage.ran {
                    return Err(Error::environment(format!("the kernel without a mutant has no results on {fs}")));
                }
                let text: String = stage.notices.iter().map(|notice| format!("{}\n", notice.clause)).collect();
                put(&path, &text)?;
                text
            }
        };
        let violated: BTreeSet<String> = text.lines().map(str::to_owned).collect();
        if !violated.is_empty() {
            let list: Vec<&str> = violated.iter().map(String::as_str).collect();
            tell_line(format_args!("without a mutant {name} violates {}; they notice nothing", list.join(", ")));
        }
        sound.violated.insert(name, violated.clone());
        Ok(violated)
    }

    /// One guest with a part of the suite.
    fn stage(&self, kernel: &Path, fs: &str, part: &Part) -> Result<Stage, Error> {
        let begun = Instant::now();
        let directory = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
        let file = directory.path().join("results.json");
        let mut lab = Command::new(self.suite);
        lab.args(["lab", "--mechanism", "seal", "--format", "json", "--fs", fs]);
        lab.args(["--accelerator", &self.arguments.accelerator]);
        lab.arg("--kernel").arg(kernel).arg("--output").arg(&file);
        lab.args(part.family().iter().flat_map(|family| ["--case", family]));
        if let Some(budget) = part.budget() {
            lab.args(["--budget", &budget.to_string(), "--seed", SEED]);
        }
        let output = lab.stdin(Stdio::null()).stdout(Stdio::null()).output();
        let output = output.map_err(|error| Error::file(self.suite, error))?;
        let text = fs::read_to_string(&file).unwrap_or_default();
        let runs = Results::<()>::parse_all(&text).unwrap_or_else(|_| {
            // The mutant has no verdict, and the others go on.
            let said = String::from_utf8_lossy(&output.stderr);
            tell_line(format_args!("the lab: {}", said.trim().lines().last().unwrap_or("no results")));
            vec![]
        });
        Ok(Stage::of(fs, part, &runs, begun.elapsed()))
    }
}

/// The families of the clauses that a mutant names, in its order.
fn families(mutant: &Script) -> Vec<String> {
    let mut families: Vec<String> = Vec::new();
    for id in mutant.expected.iter().chain(&mutant.clauses) {
        let family = id.value.split('.').next().unwrap_or_default().to_owned();
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}
