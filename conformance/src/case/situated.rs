//! The preparation of a file as its situation has it.
//!
//! A case asks for a file, in the state or outside of it. The steps here bring the file into the situation. A step that
//! a target does not offer makes the situation unfit for the case; this says nothing about a clause.

use crate::case::context::{Context, Undo};
use crate::case::file::File;
use crate::case::prepare::{make_by, open, others, pattern, setup};
use crate::mechanism::{BLOCK_LEN, Mechanism, SIZE};
use crate::situation::axes::{
    AXES, Access, Company, History, Holders, Metadata, Names, Part, Past, Placement, Privilege, Situation, Size,
};
use crate::system::{Ready, System};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{
    BLOCK, Call, Caller, FLAG_APPEND, FLAG_IMMUTABLE, Fd, MapId, Mode, Reply, Route, Whence, XFLAG_APPEND,
    XFLAG_IMMUTABLE, XFLAG_NODUMP, XFLAG_SEALED,
};
use nix::fcntl::OFlag;

/// The length of what lies before the part of [`Part::End`], in blocks.
const BEFORE: i64 = 24;

/// The length of a file of [`Size::Many`], in blocks.
const MANY: i64 = 40;

/// The length of the storage beyond the end of [`Placement::Beyond`], in blocks.
const BEHIND: i64 = 3;

/// The name of a file that is made before the case begins: the name that most cases use.
const AHEAD: &str = "file";

/// The length of the value of [`Metadata::Xattr`]: more than an inode has room for.
const LARGE: usize = 2000;

impl<'a> Context<'a> {
    /// The number of bytes at the start of a file before the part in which the case acts.
    pub(crate) fn lead(&self) -> i64 {
        let before = match self.situation.part {
            Part::All => 0,
            Part::End => BEFORE * BLOCK_LEN,
        };
        self.did(|done| done.part = self.situation.part);
        self.mechanism.lead() as i64 + before
    }

    /// The length of the part in which the case acts: that of a file, unless the case wants another one.
    pub(crate) fn size(&self) -> i64 {
        self.did(|done| done.size = self.situation.size);
        match self.situation.size {
            Size::Blocks => SIZE,
            Size::Less => SIZE - 1,
            Size::More => SIZE + 1,
            Size::Many => MANY * BLOCK_LEN,
            Size::Block => BLOCK_LEN,
            Size::Part => BLOCK_LEN / 3,
            Size::Byte => 1,
        }
    }

    /// The offset in the part that is a block before its end, or its start if it is smaller.
    pub(crate) fn near_end(&self) -> i64 {
        (self.size() - BLOCK_LEN).max(0)
    }

    /// The length of the part in whole blocks.
    pub(crate) fn whole(&self) -> i64 {
        (self.size() as usize).next_multiple_of(BLOCK) as i64
    }

    /// The contents of a file before the part in which the case acts.
    pub(crate) fn head(&self) -> Vec<u8> {
        let header = self.mechanism.header();
        let rest = self.lead() - header.len() as i64;
        [header, pattern(201, rest)].concat()
    }

    /// The caller of a call that is judged.
    pub(super) fn caller(&self, call: &Call) -> Caller {
        if self.situation.caller == Privilege::All || wants_privilege(call) {
            return Caller::Privileged;
        }
        self.did(|done| done.caller = Privilege::None);
        Caller::Unprivileged
    }

    /// The number of rounds in which a case looks for a moment. In a situation, many runs share the search.
    pub(crate) fn rounds(&self, plain: usize) -> usize {
        if self.situation.is_plain() { plain } else { plain.div_ceil(8) }
    }

    /// Notes that an axis had its effect.
    fn did(&self, note: impl FnOnce(&mut Situation)) {
        let mut done = self.applied.get();
        note(&mut done);
        self.applied.set(done);
    }

    /// The reason why the run says nothing about its situation, if there is one. A case that is violated, or ends by an
    /// error, before all of the situation is there has this verdict.
    pub(crate) fn unfit(&self, ended_before: bool) -> Option<String> {
        // A lack in the plain situation is a lack of the case: that is its verdict.
        if self.situation.is_plain() {
            return None;
        }
        let applied = self.applied.get();
        let missed =
            self.situation.axes().find(|axis| !ended_before && applied.get(*axis) != self.situation.get(*axis));
        let without_effect = |axis: usize| format!("the case does not meet the axis {}", AXES[axis].name);
        self.unfit.borrow().clone().or_else(|| missed.map(without_effect))
    }

    /// Notes that the situation does not fit the case.
    fn does_not_fit(&self, why: &str) {
        self.unfit.borrow_mut().get_or_insert_with(|| why.to_owned());
    }

    /// Looks at a call of the case: some calls have another outcome in the situation, for a reason of their own.
    pub(super) fn concerns(&self, call: &Call) {
        if self.situation.is_plain() || self.preparing.get() {
            return;
        }
        if matches!(call, Call::Cycle | Call::CycleWith { .. } | Call::Remount { .. })
            && (self.situation.holders != Holders::None || self.situation.company == Company::Busy)
        {
            self.does_not_fit("the case unmounts the file system");
        }
        if self.situation.names == Names::Gone && names(call).iter().any(|name| self.gone.borrow().contains(name)) {
            self.does_not_fit("the case uses a name of the file");
        }
        if let Some(why) = of_access(self.situation.access, call, &self.opened.borrow()) {
            self.does_not_fit(why);
        }
    }

    /// Notes that the case takes the file out of the state.
    pub(super) fn leaves(&self) {
        if !matches!(self.situation.holders, Holders::None | Holders::Descriptor) {
            self.does_not_fit("a file that is held stays in the state");
        }
    }

    /// Looks at an outcome that the case needs.
    pub(super) fn failed(&self, errno: Errno) {
        let wants_space = match self.situation.company {
            Company::Full => errno == Errno::ENOSPC,
            Company::Limited => errno == Errno::EDQUOT,
            _ => false,
        };
        if wants_space && self.accompanied.get() {
            self.does_not_fit("the case needs space");
        }
    }

    /// Makes a step of the preparation. If the target does not offer it, the situation is unfit.
    fn step<T>(&self, step: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let before = self.preparing.replace(true);
        let done = step();
        self.preparing.set(before);
        done.inspect_err(|trouble| {
            if let Trouble::NotOffered(why) | Trouble::NotReachable(why) = trouble {
                self.does_not_fit(why);
            }
        })
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

    /// Ends the file of [`Self::ahead`], which nobody asked for.
    pub(super) fn drop_ahead(&self) -> Result<(), Trouble> {
        let Some(ready) = self.made_ahead.take() else { return Ok(()) };
        self.did(|done| *done = Situation { size: done.size, part: done.part, ..Situation::PLAIN });
        self.accompanied.set(false);
        let size = self.size_of(ready.fd)?;
        self.setup(&self.mechanism.leave(ready.fd, size)?)?;
        self.close_all(&ready)?;
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
        let ready = self.step(|| {
            self.drop_ahead()?;
            let ready = self.with_access(self.with_metadata(self.with_names(ready)?)?)?;
            let ready = match self.situation.history {
                History::Refused | History::Remounted | History::PowerLoss => self.afterwards(ready, false)?,
                _ => ready,
            };
            self.held_outside(ready)
        })?;
        self.finished(ready)
    }

    fn is_about_a_refused_seal(&self) -> bool {
        self.clause.is_some_and(|clause| clause.family() == "seal" && !clause.ok)
    }

    /// Whether the situation is another reason for the error of a call to seal (rule.either).
    pub(super) fn is_other_reason(&self, errno: Errno) -> bool {
        let held = !matches!(self.applied.get().holders, Holders::None | Holders::Descriptor);
        errno == Errno::EBUSY && held && self.is_about_a_refused_seal()
    }

    /// The other users of a file outside of the state. A mapping or a registration keeps the file from coming into the
    /// state, so that only a case in which another reason does that has them.
    fn held_outside(&self, ready: Ready) -> Result<Ready, Trouble> {
        if self.is_about_a_refused_seal() || self.situation.holders == Holders::Descriptor {
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
    fn entered(&self, name: &str, size: i64) -> Result<Ready, Trouble> {
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
        self.setup(&self.mechanism.enter(ready.fd, self.lead() + size)?)?;
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
    fn finished(&'a self, ready: Ready) -> Result<File<'a>, Trouble> {
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
            Ok(())
        })?;
        Ok(file)
    }

    /// The file of the situation before the events at the end of its history.
    fn subject(&self, name: &str, size: i64) -> Result<Ready, Trouble> {
        if !self.accompanied.get() {
            self.join()?;
        }
        let data = [self.head(), pattern(1, size)].concat();
        let ready = self.with_metadata(self.with_names(self.written(name, &data)?)?)?;
        match self.situation.history {
            History::Unsynced => self.did(|done| done.history = History::Unsynced),
            _ => self.setup(&Call::Fsync { fd: ready.fd }).map(drop)?,
        }
        self.entered_before(&ready, &data)?;
        self.with_access(ready)
    }

    fn written(&self, name: &str, data: &[u8]) -> Result<Ready, Trouble> {
        let made_as = match self.situation.names {
            Names::Over | Names::Exchanged => new_name(name),
            Names::Moved => {
                // The directory may be there from another file.
                let _ =
                    self.system.call(Caller::Privileged, &Call::Mkdir { name: format!("{name}-from"), mode: 0o700 });
                format!("{name}-from/file")
            }
            _ => name.to_owned(),
        };
        let placed = |fd| {
            self.placed(&made_as, fd, data)?;
            if self.situation.names == Names::Temporary {
                self.given(&Call::LinkFd { fd, to: name.into() }, "no name for such a file")?;
                self.did(|done| done.names = Names::Temporary);
            }
            self.lived(&made_as, fd, data)
        };
        let how = match self.situation.names {
            Names::Temporary => OFlag::O_TMPFILE,
            _ => OFlag::O_CREAT | OFlag::O_EXCL,
        };
        let ready = make_by(&self.system, self.mechanism, &made_as, how, placed)?;
        match self.situation.names {
            Names::Over => self.over(ready, name),
            Names::Exchanged => self.exchanged(ready, name),
            Names::Moved => self.renamed(ready, name),
            _ => Ok(ready),
        }
    }

    /// Writes a whole file in the manner of its placement.
    fn placed(&self, name: &str, fd: Fd, data: &[u8]) -> Result<(), Trouble> {
        if data.is_empty() {
            return Ok(());
        }
        let len = data.len() as i64;
        let write = |fd, offset, data: &[u8]| self.setup(&Call::Pwrite { fd, offset, data: data.into() }).map(drop);
        let sync = |fd| self.setup(&Call::Fsync { fd }).map(drop);
        let backwards = || {
            let mut blocks = data.chunks(BLOCK).enumerate().rev();
            blocks.try_for_each(|(block, bytes)| write(fd, block as i64 * BLOCK_LEN, bytes))
        };
        let allocate = |mode, len| self.given(&Call::Fallocate { fd, mode, offset: 0, len }, "no allocation");
        if len < BLOCK_LEN && !matches!(self.situation.placement, Placement::Preallocated | Placement::Resized) {
            // A file that begins as a small one can be inside its inode.
            write(fd, 0, &pattern(206, BLOCK_LEN))?;
            self.setup(&Call::Ftruncate { fd, size: len })?;
        }
        match self.situation.placement {
            Placement::Whole => write(fd, 0, data)?,
            Placement::Scattered => {
                let spacer = open(&self.system, &format!("{name}-spacer"), OFlag::O_RDWR | OFlag::O_CREAT)?;
                // Only the blocks of the case are scattered: each costs a sync of two files.
                let (head, rest) = data.split_at((self.lead() as usize).min(data.len()));
                write(fd, 0, head)?;
                for (block, bytes) in rest.chunks(BLOCK).enumerate() {
                    let offset = block as i64 * BLOCK_LEN;
                    write(fd, head.len() as i64 + offset, bytes)?;
                    sync(fd)?;
                    write(spacer, offset, bytes)?;
                    sync(spacer)?;
                }
                self.close(spacer)?;
            }
            Placement::Backwards => backwards()?,
            Placement::Preallocated => {
                allocate(Mode::ALLOCATE, len)?;
                write(fd, 0, data)?;
            }
            Placement::Unshared => {
                write(fd, 0, data)?;
                sync(fd)?;
                let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC;
                let to = open(&self.system, &format!("{name}-clone"), flags)?;
                self.given(&Call::Clone { from: fd, to }, "no sharing")?;
                self.close(to)?;
                write(fd, 0, data)?;
            }
            Placement::Filled => {
                self.setup(&Call::Ftruncate { fd, size: len })?;
                backwards()?;
                allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, len)?;
                backwards()?;
            }
            Placement::Beyond => {
                allocate(Mode::KEEP_SIZE, len + BEHIND * BLOCK_LEN)?;
                write(fd, 0, data)?;
            }
            Placement::Resized => {
                write(fd, 0, &data[..1])?;
                write(fd, 0, &[data, &pattern(205, BEHIND * BLOCK_LEN)].concat())?;
                self.setup(&Call::Ftruncate { fd, size: len })?;
            }
        }
        self.did(|done| done.placement = self.situation.placement);
        Ok(())
    }

    /// The calls that a file has behind it before it comes into the state. They leave its contents as they are.
    fn lived(&self, name: &str, fd: Fd, data: &[u8]) -> Result<(), Trouble> {
        let other = |name: &str| open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT);
        let write = |fd, offset, data: &[u8]| self.setup(&Call::Pwrite { fd, offset, data: data.into() }).map(drop);
        let past = self.situation.past;
        match past {
            Past::None | Past::Device | Past::Written => return Ok(()),
            Past::Moved => {
                let one = other(&format!("{name}-other"))?;
                write(one, 0, data)?;
                for _ in 0..2 {
                    self.given(&Call::Exchange { one, other: fd }, "no exchange")?;
                }
                self.close(one)?;
                self.given(&Call::Defragment { fd }, "no defragmentation")?;
            }
            Past::Copied => {
                let to = other(&format!("{name}-copy"))?;
                let copy = Call::CopyRange { from: fd, from_offset: 0, to, to_offset: 0, len: data.len() };
                self.given(&copy, "no copy")?;
                self.close(to)?;
                // Some file systems copy by sharing, which ends with the copy.
                self.setup(&Call::Unlink { name: format!("{name}-copy") })?;
            }
            Past::Stored => {
                let map = self.mapped(fd, data.len(), true, true)?;
                self.setup(&Call::Store { map, offset: 0, data: data[..1].into() })?;
                self.setup(&Call::Unmap { map })?;
            }
            Past::Leased => {
                for on in [true, false] {
                    self.given(&Call::SetLease { fd, on }, "no lease")?;
                }
            }
            Past::Swap => {
                // What swapon(2) wants: the header of a swap file, on storage.
                write(fd, 0, &Mechanism::Swapfile.header())?;
                self.setup(&Call::Fsync { fd })?;
                self.given(&Call::Swapon { fd }, "no swap file")?;
                self.setup(&Call::Swapoff { fd })?;
                write(fd, 0, data)?;
                self.setup(&Call::Ftruncate { fd, size: data.len() as i64 })?;
            }
        }
        self.did(|done| done.past = past);
        Ok(())
    }

    /// The calls that a file in the state has behind it.
    fn lived_in_state(&self, ready: &Ready, len: i64) -> Result<(), Trouble> {
        if !matches!(self.situation.past, Past::Written | Past::Device) {
            return Ok(());
        }
        let fd = open(&self.system, &ready.name, OFlag::O_RDWR)?;
        match self.situation.past {
            Past::Written => {
                let data = self.setup_data(&Call::Pread { fd, offset: 0, len: 1 })?;
                self.setup(&Call::Pwrite { fd, offset: 0, data })?;
            }
            _ => {
                let map = self.mapped(fd, len as usize, true, true)?;
                let registration = self.registered(map)?;
                let data = self.setup_data(&Call::Load { map, offset: 0, len: 1 })?;
                self.setup(&Call::DeviceStore { registration, offset: 0, data })?;
                self.setup(&Call::Unregister { registration })?;
                self.setup(&Call::Unmap { map })?;
                if len >= BLOCK_LEN {
                    self.setup(&Call::Fsync { fd })?;
                    let agent = self.system.agent(fd)?;
                    agent.write(0, &agent.read(0, BLOCK)?)?;
                }
            }
        }
        self.close(fd)?;
        self.did(|done| done.past = self.situation.past);
        Ok(())
    }

    /// A mapping, if the target offers one.
    fn mapped(&self, fd: Fd, len: usize, shared: bool, write: bool) -> Result<MapId, Trouble> {
        let call = Call::Map { fd, len, shared, write };
        self.reach(&call)?;
        match self.system.call(Caller::Privileged, &call) {
            Ok(Reply::Number(map)) => Ok(map as MapId),
            other => Err(Trouble::NotOffered(format!("no mapping: {}", words::outcome(&other)))),
        }
    }

    /// A registration of a mapping, if the target offers one.
    fn registered(&self, map: MapId) -> Result<MapId, Trouble> {
        let call = Call::Register { map };
        self.reach(&call)?;
        match self.system.call(Caller::Privileged, &call) {
            Ok(Reply::Number(registration)) => Ok(registration as MapId),
            other => Err(Trouble::NotOffered(format!("no registration: {}", words::outcome(&other)))),
        }
    }

    fn renamed(&self, mut ready: Ready, name: &str) -> Result<Ready, Trouble> {
        self.setup(&Call::Rename { from: ready.name, to: name.into(), exchange: false })?;
        self.did(|done| done.names = self.situation.names);
        ready.name = name.into();
        Ok(ready)
    }

    /// Gives the file the name of a file that was in the state.
    fn over(&self, ready: Ready, name: &str) -> Result<Ready, Trouble> {
        let old = open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.setup(&Call::Pwrite { fd: old, offset: 0, data: pattern(2, BLOCK_LEN) })?;
        if self.mechanism == Mechanism::Seal {
            self.setup(&self.mechanism.enter(old, BLOCK_LEN)?)?;
        }
        self.close(old)?;
        self.renamed(ready, name)
    }

    /// Gives the file the name of another file, which gets the name of the file.
    fn exchanged(&self, mut ready: Ready, name: &str) -> Result<Ready, Trouble> {
        let other = open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.close(other)?;
        self.given(&Call::Rename { from: ready.name, to: name.into(), exchange: true }, "no exchange of names")?;
        self.did(|done| done.names = Names::Exchanged);
        ready.name = name.into();
        Ok(ready)
    }

    fn with_names(&self, mut ready: Ready) -> Result<Ready, Trouble> {
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

    fn with_metadata(&self, ready: Ready) -> Result<Ready, Trouble> {
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

    /// The former stays of a file in the state.
    fn entered_before(&self, ready: &Ready, data: &[u8]) -> Result<(), Trouble> {
        let times = match self.situation.history {
            History::Again | History::Overwritten => 1,
            History::Twice => 2,
            _ => return Ok(()),
        };
        let (fd, len) = (ready.fd, data.len() as i64);
        for _ in 0..times {
            if self.mechanism.wants_committed() {
                self.setup(&Call::Fsync { fd })?;
            }
            self.setup(&self.mechanism.enter(fd, len)?)?;
            self.setup(&self.mechanism.leave(fd, len)?)?;
        }
        if self.situation.history == History::Overwritten {
            for data in [[self.head(), pattern(203, len - self.lead())].concat(), data.to_vec()] {
                self.setup(&Call::Pwrite { fd, offset: 0, data })?;
                self.setup(&Call::Fsync { fd })?;
            }
        }
        self.did(|done| done.history = self.situation.history);
        Ok(())
    }

    /// The file through a descriptor of the situation.
    fn with_access(&self, mut ready: Ready) -> Result<Ready, Trouble> {
        let flags = match self.situation.access {
            Access::WriteOnly => OFlag::O_WRONLY,
            Access::Append => OFlag::O_RDWR | OFlag::O_APPEND,
            Access::Direct => OFlag::O_RDWR | OFlag::O_DIRECT,
            Access::Dsync => OFlag::O_RDWR | OFlag::O_DSYNC,
            Access::Offset => OFlag::O_RDWR,
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

    /// The events at the end of the history.
    fn afterwards(&self, ready: Ready, entered: bool) -> Result<Ready, Trouble> {
        let ready = match self.situation.history {
            History::Refused => {
                self.refused_before(&ready, entered)?;
                ready
            }
            History::Remounted | History::PowerLoss => self.restarted(&ready)?,
            _ => return Ok(ready),
        };
        self.did(|done| done.history = self.situation.history);
        Ok(ready)
    }

    /// Makes calls that the specification refuses. If one is not refused, the situation is unfit: other cases judge
    /// that.
    fn refused_before(&self, ready: &Ready, entered: bool) -> Result<(), Trouble> {
        let fd = ready.fd;
        let allocate = |mode, offset, len| Call::Fallocate { fd, mode, offset, len };
        let size = self.size_of(fd)?;
        let (calls, expected): (Vec<Call>, _) = match entered {
            true => (
                vec![
                    Call::Ftruncate { fd, size: size - 1 },
                    Call::Truncate { name: ready.name.clone(), size: size + 1 },
                    allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, 0, BLOCK_LEN),
                    allocate(Mode::KEEP_SIZE, size, BLOCK_LEN),
                    Call::Pwrite { fd, offset: size, data: vec![1] },
                ],
                Errno::ETXTBSY,
            ),
            false => (vec![allocate(Mode::SEAL, BLOCK_LEN, size), allocate(Mode::SEAL, 0, size - 1)], Errno::EINVAL),
        };
        // Most targets have no snapshots.
        if entered && self.reach(&Call::Snapshot).is_ok() {
            let _ = self.system.call(Caller::Privileged, &Call::Snapshot);
        }
        for call in calls {
            self.reach(&call)?;
            let came = self.system.call(Caller::Privileged, &call);
            if came != Err(expected) {
                return Err(Trouble::NotOffered(format!("{call} is not refused: {}", words::outcome(&came))));
            }
        }
        Ok(())
    }

    fn size_of(&self, fd: Fd) -> Result<i64, Trouble> {
        match self.setup(&Call::Stat { fd })? {
            Reply::Stat(stat) => Ok(stat.size as i64),
            other => Err(Trouble::Setup(format!("fstat = {}", words::reply(&other)))),
        }
    }

    /// The file after the file system was unmounted and mounted, or lost its power.
    fn restarted(&self, ready: &Ready) -> Result<Ready, Trouble> {
        if !self.cleanup.borrow().is_empty() {
            return Err(Trouble::NotOffered("other files of the case are open".into()));
        }
        let call = match self.situation.history {
            History::PowerLoss => Call::PowerLoss { during: None },
            _ => Call::Cycle,
        };
        self.reach(&call)?;
        self.setup(&Call::Fsync { fd: ready.fd })?;
        self.close_all(ready)?;
        self.setup(&call)?;
        if call == Call::Cycle {
            for call in [Call::Remount { read_only: true }, Call::Remount { read_only: false }, Call::Cycle] {
                self.reach(&call)?;
                self.setup(&call)?;
            }
        }
        self.reopen(&ready.name)
    }

    /// All descriptors of a file that exists.
    fn reopen(&self, name: &str) -> Result<Ready, Trouble> {
        let access = self.mechanism.access();
        let ready = others(&self.system, name, open(&self.system, name, access)?, access)?;
        self.with_access(ready)
    }

    fn close(&self, fd: Fd) -> Result<(), Trouble> {
        setup(&self.system, &Call::Close { fd }).map(drop)
    }

    fn close_all(&self, ready: &Ready) -> Result<(), Trouble> {
        [ready.fd, ready.append, ready.direct, ready.reader].into_iter().try_for_each(|fd| self.close(fd))
    }

    /// The other users of a file in the state.
    fn hold(&self, ready: &Ready, len: i64) -> Result<(), Trouble> {
        if self.situation.holders == Holders::None {
            return Ok(());
        }
        let len = len as usize;
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
            self.undo(Undo::Close(fd));
        } else {
            self.close(fd)?;
        }
        self.did(|done| done.holders = self.situation.holders);
        Ok(())
    }

    /// Makes the company that is there before the file.
    fn join(&self) -> Result<(), Trouble> {
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
                self.undo(Undo::Unregister(self.registered(map)?));
                self.close(fd)?;
            }
            Company::Alone | Company::Moved | Company::Full | Company::Limited => return Ok(()),
        }
        self.did(|done| done.company = self.situation.company);
        Ok(())
    }

    /// The events in the file system after the file was made.
    fn moved_or_full(&self) -> Result<(), Trouble> {
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

/// The second or third name of a file.
fn further_name(name: &str, number: u32) -> String {
    format!("{name}-name-{number}")
}

/// The name of a file before it gets the name of another one.
fn new_name(name: &str) -> String {
    format!("{name}-new")
}

/// Whether a call needs a capability.
fn wants_privilege(call: &Call) -> bool {
    match call {
        Call::Fallocate { mode, .. } => mode.changes_state(),
        Call::ChangeFlags { set, clear, .. } | Call::ChangeXflags { set, clear, .. } => {
            (set | clear) & (FLAG_IMMUTABLE | FLAG_APPEND | XFLAG_IMMUTABLE | XFLAG_APPEND | XFLAG_SEALED) != 0
        }
        // The route mounts a file system.
        Call::Via { route: Route::Overlay, .. } => true,
        Call::Via { call, .. } | Call::Watched { call, .. } => wants_privilege(call),
        Call::Swapon { .. } | Call::Swapoff { .. } | Call::Pin { .. } | Call::Collect | Call::Snapshot => true,
        Call::Shrink { .. } | Call::RemoveDevice | Call::ReplaceDevice | Call::Defragment { .. } => true,
        Call::Cycle | Call::CycleWith { .. } | Call::Remount { .. } | Call::Chown { .. } => true,
        _ => false,
    }
}

/// The names in the arguments of a call.
fn names(call: &Call) -> Vec<String> {
    match call {
        Call::Open { name, .. } | Call::Truncate { name, .. } | Call::Unlink { name } => vec![name.clone()],
        Call::Chmod { name, .. } | Call::Chown { name, .. } | Call::Utimes { name, .. } => vec![name.clone()],
        Call::SetXattr { name, .. } | Call::RemoveXattr { name, .. } => vec![name.clone()],
        Call::Statx { name, .. } | Call::AtomicMax { name } => vec![name.clone()],
        Call::Rename { from, to, .. } | Call::RenameNew { from, to } | Call::Link { from, to } => {
            vec![from.clone(), to.clone()]
        }
        Call::LinkFd { to, .. } => vec![to.clone()],
        Call::Watched { name, call } => [vec![name.clone()], names(call)].concat(),
        Call::Via { call, .. } => names(call),
        _ => Vec::new(),
    }
}

/// The reason why a call through one of these descriptors has another outcome than through a plain one.
fn of_access(access: Access, call: &Call, opened: &[Fd]) -> Option<&'static str> {
    let block = |number: i64| number % BLOCK_LEN == 0;
    let is = |fd: &Fd| opened.contains(fd);
    let reads = match call {
        Call::Via { call, .. } | Call::Watched { call, .. } => return of_access(access, call, opened),
        Call::Map { fd, .. } | Call::Read { fd, .. } | Call::Pread { fd, .. } => is(fd),
        Call::CopyRange { from, .. } | Call::Clone { from, .. } | Call::CloneRange { from, .. } => is(from),
        Call::Dedupe { from, .. } => is(from),
        Call::Exchange { one, other } => is(one) || is(other),
        Call::Defragment { fd } => is(fd),
        _ => false,
    };
    let writes = match call {
        Call::Pwrite { fd, .. } | Call::Pwritev { fd, .. } | Call::PwriteLimited { fd, .. } => is(fd),
        Call::PwriteAtomic { fd, .. } | Call::Write { fd, .. } => is(fd),
        Call::CopyRange { to, .. } | Call::Clone { to, .. } | Call::CloneRange { to, .. } => is(to),
        Call::Dedupe { to, .. } => is(to),
        _ => false,
    };
    let aligned = match call {
        Call::Pwrite { offset, data, .. } | Call::PwriteLimited { offset, data, .. } => {
            block(*offset) && block(data.len() as i64)
        }
        Call::Write { data, .. } => block(data.len() as i64),
        Call::CopyRange { from_offset, to_offset, len, .. } => {
            block(*from_offset) && block(*to_offset) && block(*len as i64)
        }
        Call::Read { .. } | Call::Pread { .. } | Call::Pwritev { .. } => false,
        _ => true,
    };
    let at_offset = matches!(call, Call::Read { fd, .. } | Call::Write { fd, .. } if is(fd));
    match access {
        Access::Offset if at_offset => Some("the case uses the offset of the descriptor"),
        Access::WriteOnly if reads => Some("the descriptor is not open for reading"),
        Access::Append if writes => Some("the descriptor writes at the end only"),
        Access::Direct if (reads || writes) && !aligned => Some("the descriptor reads and writes whole blocks"),
        _ => None,
    }
}
