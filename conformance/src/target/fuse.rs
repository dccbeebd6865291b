//! The reference behind FUSE: real system calls, on one mount for each case. A thread of this process serves the mount.
//!
//! The mounts are in the suite's own mount namespace, which ends with the process, however the process ends. The thread
//! has its own table of descriptors. If /dev/fuse were in the table of the threads that wait for an answer, a process
//! that is killed would wait for itself for ever.

use super::reference::{BLOCKS, Reference};
use crate::error::{Error, Result, at};
use crate::host::calls::{Calls, unless_busy};
use crate::host::sandbox::Sandbox;
use crate::host::sys::process;
use crate::kernel_log::Devices;
use crate::mechanism::Mechanism;
use crate::reach::{Kind, Site, is_done_by_the_daemon};
use crate::system::{Lane, Outcomes, Ready, StorageAgent, System, Target};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::*;
use iomap_reference::{Call, Caller, Fd, Fs, MountOptions, Outcome, Reply, Violation};
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, umount2};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

/// Clauses about facts that a daemon is not told, each with the reason.
static UNTOLD: &[(&Clause, &str)] = &[
    (&REFUSE_BUSY, UNSEEN_MAPPINGS),
    (&SEAL_MAPPED, UNSEEN_MAPPINGS),
    (&UNSEAL_MAPPED, UNSEEN_MAPPINGS),
    (&RACE_MAPPING, UNSEEN_MAPPINGS),
];

const UNSEEN_MAPPINGS: &str = "a daemon is not told who has a file mapped";

/// The device through which a daemon serves a mount.
const DEVICE: &str = "/dev/fuse";

/// The reference, mounted for each case.
pub(crate) struct Fuse {
    stage: PathBuf,
    /// Whether the sandbox is a user namespace.
    ordinary: bool,
    violation: Option<Violation>,
    mounts: AtomicUsize,
}

impl Fuse {
    /// The reference, or a reference that breaks a clause.
    pub(crate) fn new(sandbox: &Sandbox, violation: Option<Violation>) -> Result<Self> {
        let (stage, ordinary) = (sandbox.directory("fuse")?, sandbox.is_ordinary());
        let fuse = Self { stage, ordinary, violation, mounts: AtomicUsize::new(0) };
        // Mount once: the first mount shows what is missing.
        fuse.mounted(Fs::new(BLOCKS)).map(|_| fuse)
    }

    fn mounted(&self, fs: Fs) -> Result<FuseSystem> {
        let number = self.mounts.fetch_add(1, Ordering::Relaxed);
        let root = self.stage.join(format!("mount-{number}"));
        std::fs::create_dir(&root).map_err(at(&root))?;
        let site = Site { ordinary: self.ordinary, ..Site::new(Kind::Fuse, None, root.clone()) };
        let calls = Calls::new(site, root.clone());
        let system = FuseSystem { fs, calls, root, daemon: RefCell::default() };
        system.mount().map_err(|error| match File::options().read(true).write(true).open(DEVICE) {
            // The reason is the missing device: without it, fusermount3 cannot help.
            Err(error) => Error::about(format!("mounting the reference: {DEVICE}"), error),
            Ok(_) => Error::about("mounting the reference", error),
        })?;
        Ok(system)
    }
}

impl Target for Fuse {
    fn system(&self, clause: &Clause, _: Lane) -> std::result::Result<Box<dyn System + '_>, Trouble> {
        if let Some((_, why)) = UNTOLD.iter().find(|(untold, _)| *untold == clause) {
            return Err(Trouble::NotReachable((*why).into()));
        }
        let fs = Reference::new(self.violation.clone()).file_system();
        self.mounted(fs)
            .map(|system| Box::new(system) as Box<dyn System>)
            .map_err(|error| Trouble::Setup(error.to_string()))
    }

    fn lacks(&self, mechanism: Mechanism) -> Option<String> {
        Reference::new(None).lacks(mechanism)
    }

    fn devices(&self) -> Option<Devices> {
        Some(Devices::default())
    }
}

/// One mount, and the file system behind it.
struct FuseSystem {
    fs: Fs,
    calls: Calls,
    root: PathBuf,
    /// The thread that serves the mount.
    daemon: RefCell<Option<JoinHandle<()>>>,
}

impl FuseSystem {
    fn mount(&self) -> io::Result<()> {
        let (fs, root) = (self.fs.clone(), self.root.clone());
        let (sender, receiver) = channel();
        let daemon = std::thread::spawn(move || {
            let options = MountOptions { source: "iomap-conformance".into(), ..MountOptions::default() };
            let session =
                process::own_descriptors().map_err(io::Error::from).and_then(|()| fs.session(&root, &options));
            // `mount` waits for this message.
            let _ = match session {
                Ok(session) => {
                    let _ = sender.send(Ok(()));
                    session.run()
                }
                Err(error) => sender.send(Err(error)).map_err(io::Error::other),
            };
        });
        receiver.recv().map_err(io::Error::other)??;
        self.daemon.replace(Some(daemon));
        Ok(())
    }

    fn unmount(&self) -> Outcome {
        unless_busy(self.patience(), || umount2(&self.root, MntFlags::empty()).map(|()| Reply::Number(0)))?;
        // The thread ends with the mount.
        let _ = self.daemon.take().map(JoinHandle::join);
        Ok(Reply::Number(0))
    }

    /// Calls `act` with the daemon's own descriptor of an open file.
    fn inside<T>(
        &self,
        fd: Fd,
        act: impl FnOnce(Fd) -> std::result::Result<T, Errno>,
    ) -> std::result::Result<T, Errno> {
        let stat = self.calls.with(fd, |file| nix::sys::stat::fstat(file))?;
        let own = self.fs.open(Caller::Privileged.credentials(), stat.st_ino, OFlag::O_RDWR)?;
        let result = act(own);
        // The power may have been lost meanwhile.
        let _ = self.fs.release(own);
        result
    }

    /// Operations of administrators, and losses of power.
    fn administer(&self, caller: Caller, call: &Call) -> Option<Outcome> {
        let here = |call: &Call| self.fs.call(caller, call);
        Some(match call {
            call if is_done_by_the_daemon(call) => here(call),
            Call::Defragment { fd } => self.inside(*fd, |fd| here(&Call::Defragment { fd })),
            Call::Remount { .. } => unless_busy(self.patience(), || self.calls.call(caller, call)),
            Call::Cycle | Call::CycleWith { .. } => {
                let done = self.unmount().and_then(|_| here(call));
                done.and(self.mount().map(|()| Reply::Number(0)).map_err(|_| Errno::EIO))
            }
            Call::PowerLoss { during } => {
                let lost = self.lose_power(during.as_deref());
                // The open files and the cache of the kernel are lost too.
                self.calls.clear();
                lost.and(self.unmount()).and(self.mount().map(|()| Reply::Number(0)).map_err(|_| Errno::EIO))
            }
            _ => return None,
        })
    }

    fn lose_power(&self, during: Option<&Call>) -> Outcome {
        let here = |during| self.fs.call(Caller::Privileged, &Call::PowerLoss { during });
        match during {
            None => here(None),
            Some(Call::Fallocate { fd, mode, offset, len }) => self.inside(*fd, |fd| {
                here(Some(Box::new(Call::Fallocate { fd, mode: *mode, offset: *offset, len: *len })))
            }),
            Some(_) => Err(Errno::ENOSYS),
        }
    }
}

impl System for FuseSystem {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        self.administer(caller, call).unwrap_or_else(|| self.calls.call(caller, call))
    }

    fn reach(&self, call: &Call) -> std::result::Result<(), Trouble> {
        self.calls.site().ask(call)
    }

    fn race(&self, one: &[Call], other: &[Call]) -> std::result::Result<Outcomes, Trouble> {
        self.calls.race(one, other)
    }

    fn agent(&self, fd: Fd) -> std::result::Result<Box<dyn StorageAgent>, Trouble> {
        match self.inside(fd, |fd| self.fs.agent(fd)) {
            Ok(agent) => Ok(Box::new(agent)),
            Err(errno) => Err(Trouble::Setup(format!("no access to the storage: {}", words::name(errno)))),
        }
    }

    fn retire(&self, _: Mechanism, file: Ready) {
        drop(self.calls.release(&file));
    }
}

impl Drop for FuseSystem {
    fn drop(&mut self) {
        self.calls.clear();
        // If a file is still open, the mount ends with the namespace.
        let _ = self.unmount();
        let _ = std::fs::remove_dir(&self.root);
    }
}
