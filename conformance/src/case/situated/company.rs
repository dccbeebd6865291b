//! The other users of a file, and the rest of the file system.

use crate::case::context::{Context, Undo};
use crate::case::prepare::{open, pattern};
use crate::mechanism::BLOCK_LEN;
use crate::situation::axes::{Company, Holders};
use crate::system::{Ready, System};
use crate::verdict::Trouble;
use iomap_reference::{BLOCK, Call, Caller, Outcome, Reply, Stat};
use nix::fcntl::OFlag;

impl Context<'_> {
    /// The other users of a file that the case has brought into the state.
    pub(in crate::case) fn held_in_state(&self, ready: &Ready, len: i64) -> Result<(), Trouble> {
        let there = self.bears_holders() || self.situation.holders == Holders::Descriptor;
        if there { Ok(()) } else { self.step(|| self.hold(ready, len)) }
    }

    /// The other users of a file in the state.
    pub(super) fn hold(&self, ready: &Ready, len: i64) -> Result<(), Trouble> {
        if self.situation.holders == Holders::None {
            return Ok(());
        }
        // Also an empty file can be mapped.
        let len = len.max(1) as usize;
        let map = |fd, len, shared| self.mapped(fd, len, shared, shared);
        let unmap = |map| self.setup(&Call::Unmap { map }).map(drop);
        let register = |fd| {
            let map = map(fd, len, true)?;
            let registered = self.registered(map);
            unmap(map)?;
            registered
        };
        let fd = open(&self.system, &ready.name, OFlag::O_RDWR)?;
        let mut keeps = false;
        match self.situation.holders {
            Holders::None => (),
            Holders::Descriptor => {
                for _ in 1..6 {
                    self.undo(Undo::Close(open(&self.system, &ready.name, OFlag::O_RDWR)?));
                }
                keeps = true;
            }
            Holders::Mapping => self.undo(Undo::Unmap(map(fd, len, true)?)),
            Holders::Private => self.undo(Undo::Unmap(map(fd, BLOCK, false)?)),
            Holders::Two => {
                let first = map(fd, len, true)?;
                self.undo(Undo::Unmap(map(fd, len, true)?));
                unmap(first)?;
            }
            Holders::Registration => self.undo(Undo::Unregister(register(fd)?)),
            Holders::Registrations => {
                let first = register(fd)?;
                self.undo(Undo::Unregister(register(fd)?));
                self.setup(&Call::Unregister { registration: first })?;
            }
            Holders::Swap => {
                self.given(&Call::Swapon { fd }, "no swap file")?;
                self.undo(Undo::Swapoff(fd));
                keeps = true;
            }
            Holders::Readers => {
                for len in [len, BLOCK] {
                    let map = self.mapped(fd, len, true, false)?;
                    self.undo(Undo::Unmap(map));
                    if len == BLOCK {
                        for _ in 0..2 {
                            self.undo(Undo::Unregister(self.registered(map)?));
                        }
                    }
                }
            }
        }
        if keeps {
            // Undone in reverse order.
            let place = self.cleanup.borrow().len().saturating_sub(1);
            self.cleanup.borrow_mut().insert(place, Undo::Close(fd));
        } else {
            self.close(fd)?;
        }
        self.did(|done| done.holders = self.situation.holders);
        Ok(())
    }

    /// The first byte of each mapping of the situation.
    pub(in crate::case) fn mapped_bytes(&self) -> Vec<Outcome> {
        let maps = match self.situation.holders {
            Holders::Mapping | Holders::Private | Holders::Two | Holders::Readers => self.mappings(),
            _ => Vec::new(),
        };
        let load = |map| self.system.call(Caller::Privileged, &Call::Load { map, offset: 0, len: 1 });
        maps.into_iter().map(load).collect()
    }

    /// The other file of the situation: its metadata and its contents.
    pub(in crate::case) fn look_at_company(&self) -> Result<Option<(Stat, Vec<u8>)>, Trouble> {
        if !matches!(self.situation.company, Company::Sealed | Company::Clones | Company::Snapshot | Company::Busy)
            || !self.accompanied.get()
        {
            return Ok(None);
        }
        let fd = open(&self.system, "company", OFlag::O_RDONLY)?;
        let Reply::Stat(stat) = self.setup(&Call::Stat { fd })? else { return Ok(None) };
        let data = self.setup_data(&Call::Pread { fd, offset: 0, len: stat.size as usize })?;
        self.close(fd)?;
        Ok(Some((*stat, data)))
    }

    /// The free space, where no other case uses the file system and no effect comes late.
    pub(in crate::case) fn exact_space(&self) -> Option<i64> {
        match self.system.patience().is_zero().then(|| self.system.aside(&Call::FreeSpace)) {
            Some(Ok(Reply::Number(free))) => Some(free),
            _ => None,
        }
    }

    /// Makes the company that is there before the file.
    pub(in crate::case) fn join(&self) -> Result<(), Trouble> {
        if self.applied.get().company == self.situation.company {
            return Ok(());
        }
        let beside = |name: &str| {
            let fd = open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT)?;
            self.setup(&Call::Pwrite { fd, offset: 0, data: pattern(204, 2 * BLOCK_LEN) })?;
            self.setup(&Call::Fsync { fd })?;
            Ok(fd)
        };
        match self.situation.company {
            Company::Sealed => {
                for name in ["company", "company-2"] {
                    let fd = beside(name)?;
                    self.setup(&self.mechanism.enter(fd, 2 * BLOCK_LEN)?)?;
                    self.close(fd)?;
                }
            }
            Company::Clones => {
                let fd = beside("company")?;
                let to = open(&self.system, "company-clone", OFlag::O_RDWR | OFlag::O_CREAT)?;
                self.given(&Call::Clone { from: fd, to }, "no sharing")?;
                self.close(fd)?;
                self.close(to)?;
            }
            Company::Snapshot => {
                let fd = beside("company")?;
                self.given(&Call::Snapshot, "no snapshots")?;
                self.close(fd)?;
            }
            Company::Busy => {
                for number in 0..16 {
                    self.close(open(&self.system, &format!("company-{number}"), OFlag::O_RDWR | OFlag::O_CREAT)?)?;
                }
                let fd = beside("company")?;
                let map = self.mapped(fd, BLOCK, true, true)?;
                self.undo(Undo::Unmap(map));
                // Linux registers no pages of files in the page cache since 6.5 (writable_file_mapping_allowed).
                match self.registered(map) {
                    Ok(registration) => self.undo(Undo::Unregister(registration)),
                    Err(Trouble::NotOffered(_) | Trouble::NotReachable(_)) => (),
                    Err(trouble) => return Err(trouble),
                }
                self.close(fd)?;
            }
            Company::Alone | Company::Moved | Company::Full | Company::Limited => return Ok(()),
        }
        self.did(|done| done.company = self.situation.company);
        Ok(())
    }

    /// The events in the file system after the file was made.
    pub(super) fn moved_or_full(&self) -> Result<(), Trouble> {
        match self.situation.company {
            Company::Moved => self.given(&Call::Collect, "nothing moves files")?,
            // The descriptor of the filler would keep the file system busy.
            Company::Full => self.close(self.fill()?)?,
            Company::Limited => {
                self.given(&Call::SetQuota { uid: 0, bytes: 1 }, "no quota")?;
                self.undo(Undo::Limit(0));
            }
            _ => return Ok(()),
        }
        self.did(|done| done.company = self.situation.company);
        Ok(())
    }
}
