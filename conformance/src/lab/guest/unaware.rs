//! The turns of the scenario `unaware` in a guest.

use crate::case::prepare::pattern;
use crate::error::{Error, Result, at};
use crate::lab::guest::power::disk;
use crate::lab::protocol::{Message, ScriptStep, Turn};
use crate::lab::unaware::{DISKS, End, LOOKS, Look, Medium, refusals};
use crate::mechanism::{Mechanism, SIZE, seal};
use crate::target::found::Mounted;
use crate::words;
use iomap_reference::{Call, Caller, Reply};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount, umount};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the sealed file.
const FILE: &str = "sealed";

/// Carries out a turn with every disk.
pub(crate) fn run(turn: Turn, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
    for medium in &DISKS {
        let device = disk(medium.name).ok_or_else(|| Error::from(format!("no disk {}", medium.name)))?;
        let root = Path::new("/mnt").join(medium.name);
        fs::create_dir_all(&root).map_err(at(&root))?;
        let place = Place { medium, device, root };
        let mut say = |what: &str, outcome: String, right: &[String]| {
            let (step, expected) = (format!("{}: {what}", medium.name), Some(right.to_vec()));
            tell(&Message::Step(ScriptStep { step, outcome, traffic: String::new(), expected }))
        };
        match turn {
            Turn::Seal => place.seal(&mut say)?,
            Turn::Look => place.look(&mut say)?,
            Turn::Return => place.come_back(&mut say)?,
        }
    }
    Ok(())
}

/// Reports a step, its outcome, and the right outcomes.
type Say<'a> = &'a mut dyn FnMut(&str, String, &[String]) -> Result<()>;

struct Place<'a> {
    medium: &'a Medium,
    device: PathBuf,
    root: PathBuf,
}

impl Place<'_> {
    fn data() -> Vec<u8> {
        pattern(1, SIZE)
    }

    /// Makes a file and seals it. The disk may be cut off as soon as the step is reported.
    fn seal(&self, say: Say) -> Result<()> {
        let mounted = Mounted::mount(self.medium.fs, &self.device, &self.root)?;
        if let Some(lack) = mounted.lacks("", Mechanism::Seal) {
            return Err(format!("the first kernel has to seal files: {lack}").into());
        }
        let path = self.root.join(FILE);
        fs::write(&path, Self::data()).map_err(at(&path))?;
        let system = mounted.system("");
        let call = |call: &Call| system.call(Caller::Privileged, call);
        let fd = match call(&Call::Open { name: FILE.into(), flags: OFlag::O_RDWR, mode: 0 }) {
            Ok(Reply::Number(fd)) => fd as i32,
            other => return Err(format!("the file is not opened: {}", words::outcome(&other)).into()),
        };
        let sealed = call(&seal(fd, SIZE));
        drop(system);
        match self.medium.end {
            End::Unmounted => mounted.unmount()?,
            // It stays mounted until the power is cut.
            End::Cut => std::mem::forget(mounted),
        }
        say("the file is sealed", of(sealed.map(drop)), &[OK.into()])
    }

    /// Looks at the disk first by programs, as the other kernel left it, and then mounts it.
    fn look(&self, say: Say) -> Result<()> {
        for look in LOOKS.iter().filter(|look| look.fs == self.medium.fs) {
            let what = format!("{} {}", look.program, look.arguments[0]);
            say(&what, self.said(look)?, &[told(look.status, look.says)])?;
        }
        let writable = self.mount(MsFlags::empty());
        if writable.is_ok() {
            umount(&self.root).map_err(at(&self.root))?;
        }
        say("mount for writing", of(writable), &refusals())?;
        let mounted = self.mount(MsFlags::MS_RDONLY);
        say("mount read-only", of(mounted), &[OK.into()])?;
        if mounted.is_ok() {
            say("  the file has its data", self.has_data(), &[OK.into()])?;
            say("  remount for writing", of(self.mount(MsFlags::MS_REMOUNT)), &refusals())?;
            umount(&self.root).map_err(at(&self.root))?;
        }
        Ok(())
    }

    /// The kernel that sealed the file finds it as it was.
    fn come_back(&self, say: Say) -> Result<()> {
        let mounted = self.mount(MsFlags::empty());
        say("mount for writing", of(mounted), &[OK.into()])?;
        if mounted.is_err() {
            return Ok(());
        }
        say("  the file has its data", self.has_data(), &[OK.into()])?;
        let path = self.root.join(FILE);
        let cut = nix::unistd::truncate(&path, SIZE / 2);
        say("  truncation of the file", of(cut), &[words::name(Errno::ETXTBSY)])?;
        umount(&self.root).map_err(at(&self.root))
    }

    fn mount(&self, flags: MsFlags) -> nix::Result<()> {
        mount(Some(&self.device), &self.root, Some(self.medium.fs.name()), flags, None::<&str>)
    }

    fn has_data(&self) -> String {
        match fs::read(self.root.join(FILE)) {
            Ok(data) if data == Self::data() => OK.into(),
            Ok(_) => "other data".into(),
            Err(error) => error.to_string(),
        }
    }

    /// The exit status of a program, with the words that are expected, or else with its last line.
    fn said(&self, look: &Look) -> Result<String> {
        let output = Command::new(look.program).args(look.arguments).arg(&self.device).env("PATH", "/bin").output();
        let output = output.map_err(|error| Error::about(look.program, error))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let words = if said.contains(look.says) { look.says } else { said.trim().lines().last().unwrap_or_default() };
        Ok(told(output.status.code().unwrap_or(-1), words))
    }
}

/// The outcome of a step that went well.
const OK: &str = "ok";

fn of(outcome: nix::Result<()>) -> String {
    outcome.map_or_else(words::name, |()| OK.into())
}

fn told(status: i32, words: &str) -> String {
    format!("exit {status}: {words}")
}
