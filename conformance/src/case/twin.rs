//! The same call on a file that is not sealed (rule.ordinary): an error that any file meets says nothing about a seal.

use crate::case::file::File;
use crate::case::prepare::make_written;
use crate::system::{Ready, System};
use iomap_clauses::Errno;
use iomap_reference::{Call, Caller, Fd};

/// The answers of a seal, of its checks, and of the attributes that other mechanisms are: no twin is asked for these.
const OF_THE_STATE: [Errno; 6] =
    [Errno::ETXTBSY, Errno::EPERM, Errno::EBUSY, Errno::EBADF, Errno::EINVAL, Errno::EOPNOTSUPP];

impl File<'_> {
    /// Whether a call that failed on this file just now fails in the same way on one that is not sealed. Where no such
    /// file can be made, it does not.
    pub(super) fn twin_fails(&self, caller: Caller, call: &Call, errno: Errno) -> bool {
        let context = self.context;
        if OF_THE_STATE.contains(&errno) || context.mechanism().is_always_on() {
            return false;
        }
        let number = context.twins.replace(context.twins.get() + 1);
        context.system.looking(|| {
            let size = self.stat().map(|stat| stat.size as i64 - self.at(0)).unwrap_or_default();
            let name = format!("twin-{number}");
            let Ok(ready) = make_written(&context.system, context.mechanism(), &name, size) else { return false };
            let twin = context.holding(ready);
            let Some(call) = on(call, &self.ready, &twin.ready) else { return false };
            context.system.call(caller, &call).err() == Some(errno)
        })
    }
}

/// A call on one file, made on another one instead. `None` for calls that no twin can stand for.
fn on(call: &Call, one: &Ready, other: &Ready) -> Option<Call> {
    let mut call = call.clone();
    let pairs =
        [(one.fd, other.fd), (one.append, other.append), (one.direct, other.direct), (one.reader, other.reader)];
    let moved = |fd: &mut Fd| pairs.iter().find(|(old, _)| old == fd).map(|(_, new)| *fd = *new);
    match &mut call {
        Call::Fallocate { mode, .. } if mode.changes_state() => None?,
        Call::Read { fd, .. } | Call::Pread { fd, .. } | Call::Write { fd, .. } | Call::Pwrite { fd, .. } => moved(fd)?,
        Call::Pwritev { fd, .. } | Call::PwriteAtomic { fd, .. } | Call::PwriteLimited { fd, .. } => moved(fd)?,
        Call::Seek { fd, .. } | Call::Fsync { fd } | Call::Ftruncate { fd, .. } | Call::Map { fd, .. } => moved(fd)?,
        Call::Fallocate { fd, .. } | Call::ChangeFlags { fd, .. } | Call::ChangeXflags { fd, .. } => moved(fd)?,
        Call::CopyRange { from, to, .. } => moved(to).or_else(|| moved(from))?,
        Call::Truncate { name, .. } | Call::Chmod { name, .. } | Call::Chown { name, .. } => *name = other.name.clone(),
        Call::Utimes { name, .. } | Call::SetXattr { name, .. } => *name = other.name.clone(),
        Call::Via { call: inner, .. } => **inner = on(inner, one, other)?,
        _ => None?,
    }
    Some(call)
}

#[cfg(test)]
mod tests {
    use crate::case::context::Context;
    use crate::case::file::Effect;
    use crate::case::trace::Trace;
    use crate::mechanism::{Mechanism, SIZE};
    use crate::system::{Ready, StorageAgent, System};
    use crate::verdict::{Trouble, judge};
    use iomap_clauses::{Clause, Errno, TRUNCATE_SAME_SIZE, WRITE_FULL, WRITE_INSIDE};
    use iomap_reference::{Call, Caller, Fd, Fs, Outcome};
    use iomap_results::Verdict;
    use std::cell::Cell;

    /// A system that answers an error to truncation and to short writes, of all files or of the first one only.
    struct Broken {
        fs: Fs,
        errno: Errno,
        first_only: bool,
        first: Cell<Option<Fd>>,
    }

    impl System for Broken {
        fn call(&self, caller: Caller, call: &Call) -> Outcome {
            let fd = match call {
                Call::Ftruncate { fd, .. } => *fd,
                Call::Pwrite { fd, data, .. } if data.len() == 1 => *fd,
                _ => return self.fs.call(caller, call),
            };
            let first = self.first.get().unwrap_or(fd);
            self.first.set(Some(first));
            if fd == first || !self.first_only { Err(self.errno) } else { self.fs.call(caller, call) }
        }

        fn agent(&self, _: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
            Err(Trouble::Setup("no agent".into()))
        }

        fn retire(&self, _: Mechanism, _: Ready) {}
    }

    fn verdict(clause: &Clause, errno: Errno, first_only: bool) -> Verdict {
        let system = Broken { fs: Fs::new(64), errno, first_only, first: Cell::default() };
        let t = Context::new(&system, Mechanism::Seal, Trace::default());
        let file = t.sealed().unwrap();
        let call = match clause.family() {
            "truncate" => Call::Ftruncate { fd: file.fd(), size: SIZE },
            _ => Call::Pwrite { fd: file.fd(), offset: 0, data: vec![1] },
        };
        judge(clause, &file.act(&call, Effect::Times), &[]).0
    }

    #[test]
    fn an_error_that_every_file_meets_is_no_violation() {
        assert_eq!(verdict(&TRUNCATE_SAME_SIZE, Errno::EIO, false), Verdict::NotOffered);
        assert_eq!(verdict(&WRITE_INSIDE, Errno::EIO, false), Verdict::NotOffered);
    }

    #[test]
    fn an_error_of_sealed_files_only_is_one() {
        assert_eq!(verdict(&TRUNCATE_SAME_SIZE, Errno::EIO, true), Verdict::Violated);
        assert_eq!(verdict(&WRITE_INSIDE, Errno::EIO, true), Verdict::Violated);
    }

    #[test]
    fn an_error_that_a_clause_excludes_by_name_is_one() {
        for errno in [Errno::ENOSPC, Errno::EDQUOT] {
            assert_eq!(verdict(&WRITE_FULL, errno, false), Verdict::Violated);
            assert_eq!(verdict(&WRITE_INSIDE, errno, false), Verdict::NotOffered);
        }
    }
}
