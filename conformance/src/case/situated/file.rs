//! The files that a case asks for, in the state or outside of it.

use super::metadata::{further_name, new_name};
use crate::case::context::Context;
use crate::case::file::File;
use crate::case::prepare::{make_by, open, pattern_after};
use crate::mechanism::{BLOCK_LEN, Mechanism};
use crate::situation::axes::{Access, History, Holders, Names, Part, Situation};
use crate::system::{Ready, System};
use crate::verdict::Trouble;
use iomap_reference::{BLOCK, Call, Caller, Fd};
use nix::fcntl::OFlag;

/// The length of what lies before the part of [`Part::End`], in blocks.
const BEFORE: i64 = 8;

/// The name of a file that is made before the case begins: the name that most cases use.
pub(in crate::case) const AHEAD: &str = "file";

impl<'a> Context<'a> {
    /// The number of bytes at the start of a file before the part in which the case acts.
    pub(crate) fn lead(&self) -> i64 {
        let before = match self.situation.part {
            Part::All => 0,
            Part::End => BEFORE * BLOCK_LEN,
        };
        self.did(|done| done.part = self.situation.part);
        self.heading().lead() as i64 + before
    }

    /// The length of the part in which the case acts: that of a file, unless the case wants another one.
    pub(crate) fn size(&self) -> i64 {
        self.did(|done| done.size = self.situation.size);
        self.situation.size.bytes().unwrap_or_else(|| self.system.page_of_map() * BLOCK_LEN)
    }

    /// The offset in the part that is a block before its end, or its start if it is smaller.
    pub(crate) fn near_end(&self) -> i64 {
        (self.size() - BLOCK_LEN).max(0)
    }

    /// The length of the part in whole blocks.
    pub(crate) fn whole(&self) -> i64 {
        (self.size() as usize).next_multiple_of(BLOCK) as i64
    }

    /// A size that ends inside a block: that of the part, or less.
    pub(crate) fn ragged(&self) -> i64 {
        if self.size() == self.whole() { self.size() - 100 } else { self.size() }
    }

    /// The mechanism whose header the file has.
    fn heading(&self) -> Mechanism {
        if self.situation.holders == Holders::Swap { Mechanism::Swapfile } else { self.mechanism }
    }

    /// The contents of a file before the part in which the case acts.
    pub(crate) fn head(&self) -> Vec<u8> {
        let header = self.heading().header();
        let rest = self.lead() - header.len() as i64;
        pattern_after(header, 201, rest)
    }

    /// The contents of a file of the situation whose part has `size` bytes.
    pub(crate) fn contents(&self, size: i64) -> Vec<u8> {
        pattern_after(self.head(), 1, size)
    }

    /// Prepares a file before the case begins, if the file system has to be without open files for that. The case gets
    /// the file when it asks for one in the state.
    pub(crate) fn ahead(&self) -> Result<(), Trouble> {
        if matches!(self.situation.history, History::Remounted | History::PowerLoss) {
            let ready = self.entered(AHEAD, self.size())?;
            self.made_ahead.replace(Some(ready));
        }
        Ok(())
    }

    /// A descriptor that is open for writing.
    pub(super) fn writer(&self, ready: &Ready) -> Fd {
        if self.situation.access == Access::ReadOnly { ready.append } else { ready.fd }
    }

    /// Ends the file of [`Self::ahead`], which nobody asked for.
    pub(in crate::case) fn drop_ahead(&self) -> Result<(), Trouble> {
        let Some(ready) = self.made_ahead.take() else { return Ok(()) };
        self.did(|done| *done = Situation { size: done.size, part: done.part, ..Situation::PLAIN });
        self.accompanied.set(false);
        let size = self.size_of(ready.fd)?;
        self.setup(&self.mechanism.leave(self.writer(&ready), size)?)?;
        self.close_all(&ready)?;
        self.opened.borrow_mut().clear();
        for name in [AHEAD.to_owned(), further_name(AHEAD, 2), further_name(AHEAD, 3), new_name(AHEAD)] {
            // The file has only some of these names.
            let _ = self.system.call(Caller::Privileged, &Call::Unlink { name });
        }
        Ok(())
    }

    /// A file of `size` bytes outside of the state, all written and on storage.
    pub(crate) fn file(&'a self, name: &str, size: i64) -> Result<File<'a>, Trouble> {
        let ready = self.step(|| {
            self.drop_ahead()?;
            let ready = self.subject(name, size)?;
            let ready = self.afterwards(ready, false)?;
            self.held_outside(ready)
        })?;
        self.finished(ready)
    }

    /// A file that the case has prepared itself, in the parts of the situation that do not change its storage.
    pub(crate) fn settled(&'a self, ready: Ready) -> Result<File<'a>, Trouble> {
        // Its descriptors can change; the file that comes out of this is the one to take care of.
        self.cleanup.borrow_mut().retain(|undo| undo.file().is_none_or(|it| it.fd != ready.fd));
        let ready = self.step(|| {
            self.drop_ahead()?;
            let ready = self.with_access(self.with_metadata(self.with_names(self.named_anew(ready)?)?)?)?;
            let ready = match self.situation.history {
                History::Refused | History::Frozen | History::Remounted | History::PowerLoss => {
                    self.afterwards(ready, false)?
                }
                _ => ready,
            };
            self.held_outside(ready)
        })?;
        self.finished(ready)
    }

    /// The other users of a file outside of the state. A mapping or a registration keeps the file from coming into the
    /// state, so that only a case that does not change the state has them.
    pub(super) fn held_outside(&self, ready: Ready) -> Result<Ready, Trouble> {
        if self.bears_holders() || self.situation.holders == Holders::Descriptor {
            let size = self.size_of(ready.fd)?;
            self.hold(&ready, size)?;
        }
        Ok(ready)
    }

    /// A file of `size` bytes in the state.
    pub(crate) fn sealed_file(&'a self, name: &str, size: i64) -> Result<File<'a>, Trouble> {
        let ahead = self.made_ahead.borrow_mut().take_if(|_| (name, size) == (AHEAD, self.size()));
        let ready = match ahead {
            Some(ready) => ready,
            None => {
                self.step(|| self.drop_ahead())?;
                self.entered(name, size)?
            }
        };
        self.step(|| self.hold(&ready, self.lead() + size))?;
        self.finished(ready)
    }

    /// The same before it has other users.
    pub(super) fn entered(&self, name: &str, size: i64) -> Result<Ready, Trouble> {
        let ready = self.step(|| self.subject(name, size))?;
        let other = match self.situation.access {
            Access::Other => Some(open(&self.system, &ready.name, OFlag::O_RDWR)?),
            _ => None,
        };
        if self.mechanism.wants_committed() {
            self.setup(&Call::Fsync { fd: ready.fd })?;
        }
        if self.situation.history == History::Refused {
            self.step(|| self.refused_before(&ready, false))?;
        }
        self.setup(&self.mechanism.enter(self.writer(&ready), self.lead() + size)?)?;
        self.step(|| {
            self.lived_in_state(&ready, self.lead() + size)?;
            let mut ready = self.afterwards(ready, true)?;
            if let Some(other) = other {
                self.close(ready.fd)?;
                ready.fd = other;
                self.did(|done| done.access = Access::Other);
            }
            if self.situation.access == Access::Later {
                self.close_all(&ready)?;
                ready = self.reopen(&ready.name)?;
                self.did(|done| done.access = Access::Later);
            }
            Ok(ready)
        })
    }

    /// The end of each preparation.
    pub(super) fn finished(&'a self, ready: Ready) -> Result<File<'a>, Trouble> {
        let file = self.holding(ready);
        self.step(|| {
            if !self.accompanied.replace(true) {
                self.moved_or_full()?;
            }
            if self.situation.names == Names::Gone {
                let name = file.ready.name.clone();
                self.given(&Call::Unlink { name: name.clone() }, "no way to remove the name")?;
                self.gone.borrow_mut().push(name);
                self.did(|done| done.names = Names::Gone);
            }
            if self.situation.access == Access::Leased {
                self.given(&Call::SetLease { fd: file.fd(), on: true }, "no lease")?;
                self.did(|done| done.access = Access::Leased);
            }
            Ok(())
        })?;
        Ok(file)
    }

    /// Brings a file to storage, unless its situation is one of files that never were synced.
    pub(crate) fn on_storage(&self, fd: Fd) -> Result<(), Trouble> {
        if self.situation.history == History::Unsynced {
            self.did(|done| done.history = History::Unsynced);
            return Ok(());
        }
        self.setup(&Call::Fsync { fd }).map(drop)
    }

    /// The file of the situation before the events at the end of its history.
    pub(super) fn subject(&self, name: &str, size: i64) -> Result<Ready, Trouble> {
        if !self.accompanied.get() {
            self.join()?;
        }
        let data = self.contents(size);
        let ready = self.with_metadata(self.with_names(self.written(name, &data)?)?)?;
        self.on_storage(ready.fd)?;
        self.with_access(self.entered_before(ready, &data, true)?)
    }

    pub(super) fn written(&self, name: &str, data: &[u8]) -> Result<Ready, Trouble> {
        let made_as = self.name_before(name);
        let placed = |fd| {
            self.placed(&made_as, fd, data)?;
            if self.situation.names == Names::Temporary {
                self.given_its_name(fd, name)?;
            }
            self.lived(&made_as, fd, data)
        };
        let how = match self.situation.names {
            Names::Temporary => OFlag::O_TMPFILE,
            _ => OFlag::O_CREAT | OFlag::O_EXCL,
        };
        let ready = make_by(&self.system, self.mechanism, &made_as, how, placed)?;
        self.named(ready, name)
    }
}
