//! The same call on files that are not sealed (rule.ordinary): an error that any file meets says nothing about a seal.

use crate::case::context::{Context, Undo};
use crate::case::file::File;
use crate::case::prepare::make_written;
use crate::system::{Ready, System};
use iomap_clauses::Errno;
use iomap_reference::{Call, Caller, Fd, MapId, Reply};
use nix::fcntl::OFlag;

impl Context<'_> {
    /// Whether a call that failed just now fails in the same way on files that are not sealed. It does not, where the
    /// clause gives an answer itself, or where such files cannot be made.
    pub(super) fn twins_fail(&self, caller: Caller, call: &Call, errno: Errno) -> bool {
        let answered = self.clause.is_none_or(|clause| clause.allows(Some(errno)) || !clause.excuses(errno));
        if answered || self.mechanism.is_always_on() {
            return false;
        }
        self.system.looking(|| {
            let Some((call, twins)) = self.on_twins(call) else { return false };
            let outcome = self.system.call(caller, &call);
            match (call, &outcome) {
                (Call::Open { .. }, Ok(Reply::Number(fd))) => self.undo(Undo::Close(*fd as Fd)),
                (Call::Map { .. }, Ok(Reply::Number(map))) => self.undo(Undo::Unmap(*map as MapId)),
                _ => (),
            }
            for twin in twins {
                // A case with many calls would fill the file system.
                let _ = self.system.call(Caller::Privileged, &Call::Ftruncate { fd: twin.fd, size: 0 });
                self.system.retire(self.mechanism, twin);
            }
            outcome.err() == Some(errno)
        })
    }

    /// A call on twins of all its files, and these twins. `None` if none of the files is in the state, if the case has
    /// opened one of them in its own way, and for calls that no twin can stand for.
    fn on_twins(&self, call: &Call) -> Option<(Call, Vec<Ready>)> {
        let files: Vec<Ready> = self.cleanup.borrow().iter().filter_map(Undo::file).cloned().collect();
        let mut twins: Vec<(Ready, Ready)> = Vec::new();
        let mut call = call.clone();
        for subject in subjects(&mut call)? {
            let file = files.iter().find(|file| subject.is_of(file))?;
            if twins.iter().all(|(one, _)| one.fd != file.fd) {
                twins.push((file.clone(), self.twin(file)?));
            }
            let (_, twin) = twins.iter().find(|(one, _)| one.fd == file.fd)?;
            subject.move_to(file, twin);
        }
        let sealed = |file: &Ready| File { context: self, ready: file.clone() }.state(file.fd) != Ok(false);
        if !twins.iter().any(|(file, _)| sealed(file)) {
            return None;
        }
        Some((call, twins.into_iter().map(|(_, twin)| twin).collect()))
    }

    /// A file of the same size that is not sealed.
    fn twin(&self, ready: &Ready) -> Option<Ready> {
        let number = self.twins.replace(self.twins.get() + 1);
        let file = File { context: self, ready: ready.clone() };
        let size = file.stat().ok()?.size as i64 - file.at(0);
        make_written(&self.system, self.mechanism, &format!("twin-{number}"), &self.head(), size).ok()
    }
}

/// A file in the arguments of a call.
enum Subject<'a> {
    Fd(&'a mut Fd),
    Name(&'a mut String),
}

impl Subject<'_> {
    fn is_of(&self, file: &Ready) -> bool {
        match self {
            Self::Fd(fd) => [file.fd, file.append, file.direct, file.reader].contains(fd),
            Self::Name(name) => **name == file.name,
        }
    }

    fn move_to(self, one: &Ready, other: &Ready) {
        match self {
            Self::Fd(fd) => {
                let pairs = [
                    (one.fd, other.fd),
                    (one.append, other.append),
                    (one.direct, other.direct),
                    (one.reader, other.reader),
                ];
                *fd = pairs.iter().find(|(old, _)| old == fd).map_or(*fd, |(_, new)| *new);
            }
            Self::Name(name) => *name = other.name.clone(),
        }
    }
}

/// The files of a call. `None` for calls that no twin can stand for.
fn subjects(call: &mut Call) -> Option<Vec<Subject<'_>>> {
    use Subject::{Fd, Name};
    Some(match call {
        Call::Fallocate { mode, .. } if mode.changes_state() => None?,
        Call::Open { flags, .. } if flags.contains(OFlag::O_CREAT) => None?,
        Call::Read { fd, .. } | Call::Pread { fd, .. } | Call::Write { fd, .. } | Call::Pwrite { fd, .. } => {
            vec![Fd(fd)]
        }
        Call::Pwritev { fd, .. } | Call::PwriteAtomic { fd, .. } | Call::PwriteLimited { fd, .. } => vec![Fd(fd)],
        Call::Seek { fd, .. } | Call::Fsync { fd } | Call::Ftruncate { fd, .. } | Call::Map { fd, .. } => vec![Fd(fd)],
        Call::Fallocate { fd, .. } | Call::ChangeFlags { fd, .. } | Call::ChangeXflags { fd, .. } => vec![Fd(fd)],
        Call::Defragment { fd } => vec![Fd(fd)],
        Call::CopyRange { from, to, .. } | Call::Clone { from, to } => vec![Fd(from), Fd(to)],
        Call::CloneRange { from, to, .. } | Call::Dedupe { from, to, .. } => vec![Fd(from), Fd(to)],
        Call::Exchange { one, other } => vec![Fd(one), Fd(other)],
        Call::Open { name, .. } | Call::Truncate { name, .. } | Call::Chmod { name, .. } => vec![Name(name)],
        Call::Chown { name, .. } | Call::Utimes { name, .. } | Call::SetXattr { name, .. } => vec![Name(name)],
        Call::Via { call, .. } => subjects(call)?,
        _ => None?,
    })
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
        let t = Context::new(&system, Mechanism::Seal, Trace::default()).about(clause);
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
