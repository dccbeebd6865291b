//! The traces of calls in the memory of a file system with a conditional violation.

use crate::call::caller::{Caller, Credentials};
use crate::call::mode::Mode;
use crate::call::reply::{Outcome, Reply};
use crate::call::route::Route;
use crate::call::system_call::{Call, Fd, MapId};
use crate::conditions::{Past, Present};
use crate::model::memory::Memory;
use crate::model::state::State;
use crate::units::Ino;
use nix::fcntl::OFlag;
use std::mem::discriminant;

/// A part of a file: offset and length.
type Part = Option<(u64, u64)>;

/// A file of a call, before the call.
#[derive(Clone, Copy, Debug)]
struct Before {
    ino: Ino,
    sealed: bool,
    size: u64,
}

impl State {
    /// Makes a call, and remembers it.
    pub(crate) fn remembering(&mut self, who: &Credentials, call: &Call) -> Outcome {
        let files = self.files_of(who, call);
        let before: Vec<Before> = files.iter().filter_map(|file| self.before(file.ino)).collect();
        let outer = self.misbehaviour.memory.as_mut().map(|memory| {
            let present = files.first().cloned();
            (std::mem::replace(&mut memory.files, files), std::mem::replace(&mut memory.present, present))
        });
        let outcome = self.carry_out(who, call);
        if let Some(mut memory) = self.misbehaviour.memory.take() {
            self.remember(&mut memory, call, &outcome, &before);
            (memory.files, memory.present) = outer.unwrap_or_default();
            self.misbehaviour.memory = Some(memory);
        }
        outcome
    }

    fn before(&self, ino: Ino) -> Option<Before> {
        self.volume.inodes.get(&ino).map(|file| Before { ino, sealed: file.sealed, size: file.size })
    }

    /// The files of a call, in its order.
    fn files_of(&self, who: &Credentials, call: &Call) -> Vec<Present> {
        let size = |fd: Fd| self.descriptor(fd).map_or(0, |descriptor| self.inode(descriptor.ino).size);
        let at = |offset: i64, len: usize| Some((offset.cast_unsigned(), len as u64));
        let (first, second): ((Option<Fd>, Option<Ino>, Part), _) = match call {
            Call::Close { fd }
            | Call::Fsync { fd }
            | Call::Stat { fd }
            | Call::StatusFlags { fd }
            | Call::Ftruncate { fd, .. }
            | Call::GetXflags { fd }
            | Call::ChangeXflags { fd, .. }
            | Call::ChangeFlags { fd, .. }
            | Call::Defragment { fd }
            | Call::SetLease { fd, .. }
            | Call::GetLease { fd }
            | Call::LinkFd { fd, .. }
            | Call::Swapon { fd }
            | Call::Swapoff { fd }
            | Call::SwapOut { fd, .. }
            | Call::SwapIn { fd, .. } => (self.by_fd(*fd, None), None),
            Call::Read { fd, len } => (self.by_fd(*fd, self.here(*fd, *len)), None),
            Call::Write { fd, data } => (self.by_fd(*fd, self.here(*fd, data.len())), None),
            Call::Pread { fd, offset, len } => (self.by_fd(*fd, at(*offset, *len)), None),
            Call::Pwrite { fd, offset, data }
            | Call::PwriteAtomic { fd, offset, data }
            | Call::PwriteLimited { fd, offset, data, .. } => (self.by_fd(*fd, at(*offset, data.len())), None),
            Call::Pwritev { fd, offset, parts, .. } => {
                (self.by_fd(*fd, at(*offset, parts.iter().map(Vec::len).sum())), None)
            }
            Call::Seek { fd, offset, .. } => (self.by_fd(*fd, at(*offset, 1)), None),
            Call::Fallocate { fd, offset, len, .. } => {
                (self.by_fd(*fd, Some((offset.unsigned_abs(), len.unsigned_abs()))), None)
            }
            Call::Map { fd, len, .. } => (self.by_fd(*fd, at(0, *len)), None),
            Call::Load { map, offset, len } => (self.by_map(*map, Some((*offset as u64, *len as u64))), None),
            Call::Store { map, offset, data } => (self.by_map(*map, Some((*offset as u64, data.len() as u64))), None),
            Call::Unmap { map } | Call::Protect { map, .. } | Call::Register { map } => (self.by_map(*map, None), None),
            Call::Unregister { registration } => (self.by_map(*registration, None), None),
            Call::DeviceLoad { registration, offset, len } => {
                (self.by_map(*registration, Some((*offset as u64, *len as u64))), None)
            }
            Call::DeviceStore { registration, offset, data } => {
                (self.by_map(*registration, Some((*offset as u64, data.len() as u64))), None)
            }
            Call::CopyRange { from, from_offset, to, to_offset, len }
            | Call::Dedupe { from, from_offset, to, to_offset, len } => {
                (self.by_fd(*from, at(*from_offset, *len)), Some(self.by_fd(*to, at(*to_offset, *len))))
            }
            Call::CloneRange { from, from_offset, to, to_offset, len } => {
                let len = if *len == 0 { size(*from) as usize } else { len.unsigned_abs() as usize };
                (self.by_fd(*from, at(*from_offset, len)), Some(self.by_fd(*to, at(*to_offset, len))))
            }
            Call::Clone { from, to } | Call::Exchange { one: from, other: to } => {
                let len = size(*from) as usize;
                (self.by_fd(*from, at(0, len)), Some(self.by_fd(*to, at(0, len))))
            }
            Call::Open { name, .. }
            | Call::Truncate { name, .. }
            | Call::Unlink { name }
            | Call::Chmod { name, .. }
            | Call::Chown { name, .. }
            | Call::Utimes { name, .. }
            | Call::SetXattr { name, .. }
            | Call::RemoveXattr { name, .. }
            | Call::Statx { name, .. }
            | Call::AtomicMax { name } => (self.by_name(name), None),
            Call::Rename { from, to, .. } | Call::RenameNew { from, to } => {
                (self.by_name(from), Some(self.by_name(to)))
            }
            Call::Link { from, .. } => (self.by_name(from), None),
            _ => ((None, None, None), None),
        };
        let other = second.and_then(|(_, ino, _)| ino);
        let one = first.1;
        let present = |(fd, ino, range): (Option<Fd>, Option<Ino>, Part), other, second| {
            let kind = Some(discriminant(call));
            ino.map(|ino| Present { ino, fd, range, other, second, kind, who: Some(who.clone()) })
        };
        let second = second.and_then(|file| present(file, one, true));
        present(first, other, false).into_iter().chain(second).collect()
    }

    fn by_fd(&self, fd: Fd, part: Part) -> (Option<Fd>, Option<Ino>, Part) {
        (Some(fd), self.descriptor(fd).ok().map(|descriptor| descriptor.ino), part)
    }

    fn by_map(&self, id: MapId, part: Part) -> (Option<Fd>, Option<Ino>, Part) {
        let mapped = self.mappings.get(&id).or(self.registrations.get(&id).map(|it| &it.pages));
        (None, mapped.map(|pages| pages.ino), part)
    }

    fn by_name(&self, name: &str) -> (Option<Fd>, Option<Ino>, Part) {
        (None, self.resolve(Caller::Privileged.credentials(), name.as_bytes(), true).ok(), None)
    }

    /// The part that a call at the offset of its descriptor is about.
    fn here(&self, fd: Fd, len: usize) -> Part {
        self.descriptor(fd).ok().map(|descriptor| (descriptor.position, len as u64))
    }

    fn remember(&self, memory: &mut Memory, call: &Call, outcome: &Outcome, before: &[Before]) {
        self.remember_files(memory, call, outcome, before);
        self.remember_names(memory, call, outcome, before);
        match (call, outcome) {
            (Call::Cycle | Call::CycleWith { .. }, Ok(_)) => memory.pasts.values_mut().for_each(|past| {
                past.remounts += 1;
                past.dirty = false;
            }),
            (Call::PowerLoss { .. } | Call::PowerLossAfter { .. }, _) => {
                memory.pasts.retain(|ino, _| self.volume.inodes.get(ino).is_some());
                memory.pasts.values_mut().for_each(|past| {
                    past.power_losses += 1;
                    past.sealer_closed |= past.sealer.take().is_some();
                    past.opened_sealed.clear();
                });
            }
            (Call::Snapshot, Ok(_)) => memory.pasts.values_mut().for_each(|past| {
                past.snapshots += 1;
                past.shared = true;
            }),
            (Call::Snapshot, Err(_)) => memory.pasts.values_mut().for_each(|past| past.snapshots += 1),
            (Call::Collect, _) => memory.pasts.values_mut().for_each(|past| past.collections += 1),
            (Call::Remount { read_only: true }, Ok(_)) => memory.was_read_only = true,
            _ => (),
        }
    }

    /// The past of the files of a call.
    fn remember_files(&self, memory: &mut Memory, call: &Call, outcome: &Outcome, before: &[Before]) {
        let opened = match (call, outcome) {
            (Call::Open { .. }, Ok(Reply::Number(fd))) => self.descriptor(*fd as Fd).ok().map(|it| it.ino),
            _ => None,
        };
        let new = opened.filter(|ino| before.iter().all(|it| it.ino != *ino)).and_then(|ino| self.before(ino));
        for (role, file) in before.iter().chain(&new).enumerate() {
            let checkpoints_before = self.volume.checkpoints;
            let past = memory.pasts.entry(file.ino).or_insert_with(|| Past { checkpoints_before, ..Past::default() });
            *past.calls.entry(discriminant(call)).or_default() += 1;
            match outcome {
                Ok(reply) => self.succeeded(past, call, reply, *file, role),
                Err(_) => {
                    past.refusals += u32::from(file.sealed);
                    let seals = matches!(call, Call::Fallocate { mode, .. } if mode.contains(Mode::SEAL));
                    past.seals_refused += u32::from(seals && !file.sealed);
                }
            }
            let Some(now) = self.volume.inodes.get(&file.ino) else {
                memory.sealed_gone |= file.sealed;
                continue;
            };
            past.inline |= now.inline.is_some();
            past.sparse |= now.inline.is_none() && now.hole().is_some();
            past.preallocated |= now.map.all().any(|run| !run.written);
            past.shrunk |= now.size < file.size;
        }
        match (call, outcome) {
            (Call::Map { fd, .. }, Ok(Reply::Number(id))) => _ = memory.made_with.insert(*id as MapId, *fd),
            (Call::Register { map }, Ok(Reply::Number(id))) => {
                let fd = memory.made_with.get(map).copied();
                memory.made_with.extend(fd.map(|fd| (*id as MapId, fd)));
                if memory.orphans.contains(map) {
                    memory.orphans.insert(*id as MapId);
                }
            }
            (Call::Close { fd }, Ok(_)) => {
                memory.orphans.extend(memory.made_with.extract_if(|_, by| by == fd).map(|(id, _)| id));
            }
            _ => (),
        }
    }

    /// Notes a call that succeeded in the past of a file; `role` is 1 for the second file of the call.
    fn succeeded(&self, past: &mut Past, call: &Call, reply: &Reply, file: Before, role: usize) {
        let writes = |past: &mut Past| {
            past.writes_sealed += u32::from(file.sealed);
            past.dirty = true;
        };
        match call {
            Call::Fallocate { mode, .. } if mode.contains(Mode::SEAL) && file.sealed => (),
            Call::Fallocate { fd, mode, .. } if mode.contains(Mode::SEAL) => {
                past.seals += 1;
                (past.sealer, past.sealer_closed, past.dirty) = (Some(*fd), false, false);
                past.opened_sealed.clear();
            }
            Call::Fallocate { mode, .. } if mode.contains(Mode::UNSEAL) => past.unseals += u32::from(file.sealed),
            Call::Fallocate { mode, .. } => past.punched |= mode.contains(Mode::PUNCH_HOLE),
            Call::Write { .. }
            | Call::Pwrite { .. }
            | Call::Pwritev { .. }
            | Call::PwriteAtomic { .. }
            | Call::PwriteLimited { .. } => writes(past),
            Call::Store { .. } | Call::DeviceStore { .. } => {
                writes(past);
                past.written_mapped = true;
            }
            Call::CopyRange { .. } if role == 1 => writes(past),
            Call::CopyRange { .. } => past.copied_from = true,
            Call::Clone { .. } | Call::CloneRange { .. } | Call::Dedupe { .. } => past.shared = true,
            Call::Exchange { .. } => past.exchanged = true,
            Call::Defragment { .. } => past.moved = true,
            Call::Fsync { .. } => (past.synced, past.dirty) = (true, false),
            Call::Open { flags, .. } => {
                let Reply::Number(fd) = reply else { return };
                past.temporary |= flags.contains(OFlag::O_TMPFILE);
                if file.sealed {
                    past.opened_sealed.push(*fd as Fd);
                }
            }
            Call::Close { fd } => {
                past.opened_sealed.retain(|opened| opened != fd);
                if past.sealer == Some(*fd) {
                    (past.sealer, past.sealer_closed) = (None, true);
                }
            }
            Call::Unmap { .. } | Call::Unregister { .. } => {
                past.was_mapped |= matches!(call, Call::Unmap { .. });
                past.was_registered |= matches!(call, Call::Unregister { .. });
                let held = self.volume.inodes.get(&file.ino).is_some_and(|now| now.mappings + now.registrations > 0);
                past.holder_gone |= held;
            }
            Call::Swapon { .. } => past.was_swap = true,
            Call::SetLease { on: true, .. } => past.was_leased = true,
            Call::Chown { .. } => past.chowned = true,
            Call::Chmod { .. } => past.mode_set = true,
            Call::Utimes { .. } => past.times_set = true,
            Call::ChangeXflags { .. } if self.route == Some(Route::ProjectId) => past.project_set = true,
            Call::ChangeXflags { .. } | Call::ChangeFlags { .. } => past.flags_set = true,
            _ => (),
        }
    }

    /// The names that a call gave and took.
    fn remember_names(&self, memory: &mut Memory, call: &Call, outcome: &Outcome, before: &[Before]) {
        if outcome.is_err() {
            return;
        }
        let Memory { pasts, old_names, .. } = memory;
        let directory = |name: &str| name.rsplit_once('/').map(|(directory, _)| directory.to_owned());
        let mut change = |file: Option<&Before>, act: &dyn Fn(&mut Past)| {
            if let Some(past) = file.and_then(|file| pasts.get_mut(&file.ino)) {
                act(past);
            }
        };
        match call {
            Call::Open { name, flags, .. } if flags.contains(OFlag::O_CREAT) && before.is_empty() => {
                let made = self.by_name(name).1.and_then(|ino| self.before(ino));
                let old = old_names.contains(name);
                change(made.as_ref(), &|past| past.old_name |= old);
            }
            Call::Rename { from, to, exchange } => {
                let (replaced, moved) = (before.len() > 1, directory(from) != directory(to));
                change(before.first(), &|past| {
                    past.renamed |= !exchange;
                    past.renamed_over |= replaced && !exchange;
                    past.exchanged_names |= *exchange;
                    past.old_name |= replaced || old_names.contains(to);
                    past.changed_directory |= moved;
                });
                change(before.get(1), &|past| {
                    past.exchanged_names |= *exchange;
                    past.lost_name |= !exchange;
                    past.old_name |= *exchange;
                });
                old_names.insert(from.clone());
            }
            Call::RenameNew { from, to } => {
                let moved = directory(from) != directory(to);
                change(before.first(), &|past| {
                    past.renamed = true;
                    past.changed_directory |= moved;
                });
                old_names.insert(from.clone());
            }
            Call::LinkFd { to, .. } => {
                let old = old_names.contains(to);
                change(before.first(), &|past| past.old_name |= old);
            }
            Call::Link { from, to } => {
                let (moved, old) = (directory(from) != directory(to), old_names.contains(to));
                change(before.first(), &|past| {
                    past.changed_directory |= moved;
                    past.old_name |= old;
                });
            }
            Call::Unlink { name } => {
                change(before.first(), &|past| past.lost_name = true);
                old_names.insert(name.clone());
            }
            _ => (),
        }
    }
}
