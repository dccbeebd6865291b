//! This kernel, on file systems that the suite makes.

use crate::error::{Error, Result};
use crate::filesystem::{FsKind, Medium};
use crate::host::areas::{self, Areas};
use crate::host::device;
use crate::host::image::Image;
use crate::host::offer::lacks;
use crate::host::pool::Pool;
use crate::host::probe::{self, Machine, needs};
use crate::host::proc;
use crate::host::sandbox::Sandbox;
use crate::host::sealing::Sealing;
use crate::host::stock::Retirement;
use crate::host::sys::vfs;
use crate::host::system::HostSystem;
use crate::kernel::is_guest;
use crate::kernel_log::Devices;
use crate::lack::{self, Needs};
use crate::mechanism::Mechanism;
use crate::programs;
use crate::reach::Kind;
use crate::system::System;
use crate::system::{Lane, Target};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::Clause;
use nix::unistd;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A file system that is made when a case needs it.
struct Spare {
    /// The place where it will be mounted.
    root: PathBuf,
    image: OnceLock<Result<Image>>,
    /// The turn of a case on this file system.
    turn: Mutex<()>,
}

impl Spare {
    fn new(root: PathBuf) -> Self {
        Self { root, image: OnceLock::new(), turn: Mutex::default() }
    }

    fn get(&self, make: impl FnOnce(PathBuf) -> Result<Image>) -> std::result::Result<&Image, &Error> {
        self.image.get_or_init(|| make(self.root.clone())).as_ref()
    }
}

/// One file system of this kernel, with one mechanism.
pub(crate) struct Host {
    // The order of dropping: first the users of a mount, then the mounts.
    pool: Option<Pool>,
    retirement: Arc<Retirement>,
    main: Arc<Image>,
    /// For cases that need a file system to themselves.
    alone: Spare,
    /// For cases whose file system loses its power. These cases take long, and the others do not wait for them.
    power: Spare,
    moment: Spare,
    /// For cases with limits for users. Other cases do not get these limits: after a loss of power, f2fs reports
    /// damaged quotas.
    limited: Spare,
    /// The devices of all these file systems.
    devices: Devices,
    cases: AtomicUsize,
    sealing: Arc<Sealing>,
    /// The reason why no case can run.
    not_offered: Option<String>,
    /// Only the file system below offers the mechanism. The cases work there, and the file system is the layer above.
    is_layer: bool,
}

impl Host {
    /// Makes and mounts the file systems.
    pub(crate) fn new(sandbox: &Sandbox, kind: FsKind, mechanism: Mechanism) -> Result<Self> {
        probe::raise_limits();
        let machine = Machine::with_images();
        if let Some(missing) = lack::missing(&machine, &needs(kind)) {
            return Err(missing.into());
        }
        let areas = if mechanism == Mechanism::Swapfile { Areas::new()? } else { Areas::unlimited() };
        let swap = Needs { swap_areas: areas::FEWEST as u64, ..Needs::default() };
        if let Some(missing) = lack::missing(&machine, &swap).filter(|_| mechanism == Mechanism::Swapfile) {
            return Err(missing.into());
        }
        let root = |name: &str| sandbox.directory(&format!("{}-{name}", kind.name()));
        let devices = Devices::default();
        let threads = |error: std::io::Error| Error::about("lacking memory: no thread", error);
        let main = Arc::new(Image::new(kind, root("main")?, &devices)?);
        let mut host = Self {
            pool: None,
            retirement: Arc::new(Retirement::new(Arc::new(areas)).map_err(threads)?),
            main,
            alone: Spare::new(root("alone")?),
            power: Spare::new(root("power")?),
            moment: Spare::new(root("moment")?),
            limited: Spare::new(root("limited")?),
            devices,
            cases: AtomicUsize::default(),
            sealing: Arc::default(),
            not_offered: None,
            is_layer: false,
        };
        let place = host.place(&host.main, None)?;
        let not_offered = lacks(&place, mechanism)?;
        drop(place);
        if not_offered.is_some() && host.main.below().is_some() {
            host.is_layer = true;
            let place = host.place(&host.main, None)?;
            let offered = lacks(&place, mechanism)?.is_none();
            drop(place);
            host.is_layer = offered;
        }
        host.not_offered = not_offered;
        if mechanism == Mechanism::Swapfile && host.not_offered.is_none() {
            host.pool = Some(Pool::new(&host.main, &host.retirement).map_err(threads)?);
        }
        Ok(host)
    }

    fn place<'a>(
        &'a self,
        image: &'a Image,
        turn: Option<MutexGuard<'a, ()>>,
    ) -> std::result::Result<HostSystem<'a>, Trouble> {
        let number = self.cases.fetch_add(1, Ordering::Relaxed);
        let directory = image.root().join(format!("case-{number}"));
        std::fs::create_dir(&directory).map_err(|error| Trouble::Setup(format!("mkdir: {error}")))?;
        if turn.is_some() {
            // The suite made the directory, not the case: it has to exist after a loss of power.
            let synced = File::open(image.root()).map_err(vfs::errno).and_then(unistd::syncfs);
            synced.map_err(|errno| Trouble::Setup(format!("syncfs: {}", words::name(errno))))?;
        }
        if let Some((below, files)) = image.below().filter(|_| self.is_layer) {
            let site = (Kind::Host, Arc::default());
            let place = files.join(format!("case-{number}"));
            return Ok(HostSystem::new(place, below, None, &self.retirement, turn, site)
                .of_a_case()
                .shown_at(directory));
        }
        let stock = self.pool.as_ref().filter(|_| turn.is_none()).map(Pool::stock);
        let site = (Kind::Host, self.sealing.clone());
        Ok(HostSystem::new(directory, image, stock, &self.retirement, turn, site).of_a_case())
    }
}

impl Target for Host {
    fn system(&self, _: &Clause, lane: Lane) -> std::result::Result<Box<dyn System + '_>, Trouble> {
        let spare = match lane {
            Lane::Shared => return Ok(Box::new(self.place(&self.main, None)?)),
            Lane::Alone => &self.alone,
            Lane::Power => &self.power,
            Lane::Moment => &self.moment,
            Lane::Limits => &self.limited,
        };
        let turn = spare.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, limits) = (self.main.kind(), lane == Lane::Limits);
        let image = spare.get(|root| match limits {
            true => Image::with_quotas(kind, root, &self.devices),
            false => Image::new(kind, root, &self.devices),
        });
        let image = image.map_err(|why| match self.lacking() {
            None if limits => Trouble::NotOffered(format!("no limits for users: {why}")),
            // The reason names the lack, except if a program failed.
            Some(lack) if limits => Trouble::Setup(format!("{lack}: {why}")),
            _ => Trouble::Setup(why.to_string()),
        })?;
        Ok(Box::new(self.place(image, Some(turn))?))
    }

    fn lacks(&self, _: Mechanism) -> Option<String> {
        self.not_offered.clone()
    }

    fn is_layer(&self) -> bool {
        self.is_layer
    }

    fn lacking(&self) -> Option<String> {
        lack::now(self.main.machine())
    }

    fn spoilt(&self, lane: Lane) -> Option<String> {
        let root = match lane {
            Lane::Shared => Some(self.main.root()),
            Lane::Alone => Some(&*self.alone.root),
            Lane::Limits => Some(&*self.limited.root),
            // The suite itself stops these file systems.
            Lane::Power | Lane::Moment => None,
        };
        lack::lost_data(self.main.machine()).or_else(|| proc::given_up(root?))
    }

    fn devices(&self) -> Option<Devices> {
        Some(self.devices.clone())
    }
}

/// The first thing that is missing for the host target, in one line, or `None`.
pub fn missing(kind: FsKind) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("target host needs root: it makes, mounts and swaps to file systems of its own".into());
    }
    if !kind.is_on_a_loop_device() && !is_guest() {
        return Some(format!("target host has no {}: only guests have its devices, see lab", kind.name()));
    }
    if kind.facts().medium == Medium::Server {
        return Some(format!("target host has no {}: the server of this guest has one file system", kind.name()));
    }
    if kind.is_on_a_loop_device() && !Path::new(device::LOOP_CONTROL).exists() {
        return Some(format!("target host needs loop devices: {} is missing", device::LOOP_CONTROL));
    }
    without_programs(kind).map(|what| format!("target host needs {what}"))
}

/// The first program that is missing to make a file system, and the command that installs it.
pub(crate) fn without_programs(kind: FsKind) -> Option<String> {
    let (missing, package) = kind.programs().find(|(name, _)| programs::find(name).is_none())?;
    Some(format!("{missing} for {}: apt-get install {package}", kind.name()))
}
