//! The names, the metadata and the descriptor of a file.

use crate::case::context::Context;
use crate::case::prepare::{open, others, pattern};
use crate::mechanism::{BLOCK_LEN, Mechanism};
use crate::situation::axes::{Access, Metadata, Names};
use crate::system::{CLOSED, Ready, System};
use crate::verdict::Trouble;
use iomap_reference::{Call, Caller, Fd, Route, Whence, XFLAG_NODUMP};
use nix::fcntl::OFlag;

/// The length of the value of [`Metadata::Xattr`]: more than an inode has room for.
const LARGE: usize = 2000;

impl Context<'_> {
    pub(super) fn renamed(&self, mut ready: Ready, name: &str) -> Result<Ready, Trouble> {
        self.setup(&Call::Rename { from: ready.name, to: name.into(), exchange: false })?;
        self.did(|done| done.names = self.situation.names);
        ready.name = name.into();
        Ok(ready)
    }

    /// Gives a file that the case has made its name in the way of the situation.
    pub(super) fn named_anew(&self, mut ready: Ready) -> Result<Ready, Trouble> {
        let name = ready.name.clone();
        let before = match self.situation.names {
            Names::Over | Names::Exchanged | Names::Moved => self.name_before(&name),
            _ => return Ok(ready),
        };
        self.setup(&Call::Rename { from: name.clone(), to: before.clone(), exchange: false })?;
        ready.name = before;
        self.named(ready, &name)
    }

    /// The name of a file before it gets the one that the case asks for.
    pub(super) fn name_before(&self, name: &str) -> String {
        match self.situation.names {
            Names::Over | Names::Exchanged => new_name(name),
            Names::Moved => {
                // The directory may be there from another file.
                let _ =
                    self.system.call(Caller::Privileged, &Call::Mkdir { name: format!("{name}-from"), mode: 0o700 });
                format!("{name}-from/file")
            }
            _ => name.to_owned(),
        }
    }

    /// Gives a file of [`Self::name_before`] its name.
    pub(super) fn named(&self, ready: Ready, name: &str) -> Result<Ready, Trouble> {
        match self.situation.names {
            Names::Over => self.over(ready, name),
            Names::Exchanged => self.exchanged(ready, name),
            Names::Moved => self.linked(ready, name),
            // The first descriptor of such a file has no name in /proc.
            Names::Temporary => {
                let fd = open(&self.system, name, OFlag::O_RDWR)?;
                self.close(ready.fd)?;
                Ok(Ready { fd, ..ready })
            }
            _ => Ok(ready),
        }
    }

    /// Gives the file another name, and takes the first one. Descriptors of the first name have none in /proc any more.
    pub(super) fn linked(&self, ready: Ready, name: &str) -> Result<Ready, Trouble> {
        self.given(&Call::Link { from: ready.name.clone(), to: name.into() }, "no links")?;
        let fd = open(&self.system, name, OFlag::O_RDWR)?;
        self.close_all(&ready)?;
        self.setup(&Call::Unlink { name: ready.name })?;
        self.did(|done| done.names = self.situation.names);
        others(&self.system, name, fd, OFlag::O_RDWR)
    }

    /// Gives the file the name of a file that was in the state.
    pub(super) fn over(&self, ready: Ready, name: &str) -> Result<Ready, Trouble> {
        let old = open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.setup(&Call::Pwrite { fd: old, offset: 0, data: pattern(2, BLOCK_LEN) })?;
        if self.mechanism == Mechanism::Seal {
            self.setup(&self.mechanism.enter(old, BLOCK_LEN)?)?;
        }
        self.close(old)?;
        self.renamed(ready, name)
    }

    /// Gives the file the name of another file, which gets the name of the file.
    pub(super) fn exchanged(&self, mut ready: Ready, name: &str) -> Result<Ready, Trouble> {
        let other = open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.close(other)?;
        self.given(&Call::Rename { from: ready.name, to: name.into(), exchange: true }, "no exchange of names")?;
        self.did(|done| done.names = Names::Exchanged);
        ready.name = name.into();
        Ok(ready)
    }

    /// Gives a file that was made without a name its first one.
    pub(in crate::case) fn given_its_name(&self, fd: Fd, name: &str) -> Result<(), Trouble> {
        self.given(&Call::LinkFd { fd, to: name.into() }, "no name for such a file")?;
        self.did(|done| done.names = Names::Temporary);
        Ok(())
    }

    pub(super) fn with_names(&self, mut ready: Ready) -> Result<Ready, Trouble> {
        if self.situation.names == Names::Three {
            let first = ready.name.clone();
            for number in [2, 3] {
                let to = further_name(&first, number);
                self.given(&Call::Link { from: first.clone(), to: to.clone() }, "no links")?;
                ready.name = to;
            }
            self.did(|done| done.names = Names::Three);
        }
        Ok(ready)
    }

    pub(super) fn with_metadata(&self, ready: Ready) -> Result<Ready, Trouble> {
        let (name, fd) = (ready.name.clone(), ready.fd);
        let calls = match self.situation.metadata {
            Metadata::New => return Ok(ready),
            Metadata::Owner => vec![Call::Chown { name, uid: 1234, gid: 4321 }],
            Metadata::Xattr => {
                vec![Call::SetXattr { name, key: "user.large".into(), value: pattern(202, LARGE as i64) }]
            }
            Metadata::Attribute => vec![Call::ChangeXflags { fd, set: XFLAG_NODUMP, clear: 0 }],
            Metadata::Project => vec![Call::ChangeXflags { fd, set: XFLAG_NODUMP, clear: 0 }.via(Route::ProjectId)],
            Metadata::Changed => {
                vec![Call::Chmod { name: name.clone(), mode: 0o640 }, Call::Utimes { name, atime: 0, mtime: 0 }]
            }
            Metadata::SetId => vec![Call::Chmod { name, mode: 0o4640 }],
        };
        calls.iter().try_for_each(|call| self.given(call, "no such metadata"))?;
        self.did(|done| done.metadata = self.situation.metadata);
        Ok(ready)
    }

    /// The file through a descriptor of the situation.
    pub(super) fn with_access(&self, mut ready: Ready) -> Result<Ready, Trouble> {
        let flags = match self.situation.access {
            Access::WriteOnly => OFlag::O_WRONLY,
            Access::ReadOnly => OFlag::O_RDONLY,
            Access::Append => OFlag::O_RDWR | OFlag::O_APPEND,
            Access::Direct => OFlag::O_RDWR | OFlag::O_DIRECT,
            Access::Dsync => OFlag::O_RDWR | OFlag::O_DSYNC,
            Access::Offset => OFlag::O_RDWR,
            Access::Single | Access::Leased => {
                for fd in [&mut ready.append, &mut ready.direct, &mut ready.reader] {
                    self.close(std::mem::replace(fd, CLOSED))?;
                }
                self.did(|done| done.access = Access::Single);
                return Ok(ready);
            }
            _ => return Ok(ready),
        };
        self.close(ready.fd)?;
        ready.fd = open(&self.system, &ready.name, flags)?;
        if self.situation.access == Access::Offset {
            self.setup(&Call::Seek { fd: ready.fd, offset: 1, whence: Whence::Set })?;
        }
        self.opened.borrow_mut().push(ready.fd);
        self.did(|done| done.access = self.situation.access);
        Ok(ready)
    }
}

/// The second or third name of a file.
pub(super) fn further_name(name: &str, number: u32) -> String {
    format!("{name}-name-{number}")
}

/// The name of a file before it gets the name of another one.
pub(super) fn new_name(name: &str) -> String {
    format!("{name}-new")
}
