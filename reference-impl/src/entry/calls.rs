//! The entry by system call, with paths.

use crate::call::caller::Caller;
use crate::call::caller::Credentials;
use crate::call::flags::{STATX_SEALED, XFLAG_SEALED};
use crate::call::reply::{Outcome, Reply};
use crate::call::route::Route;
use crate::call::system_call::{At, Call, Fd};
use crate::model::data::Manner;
use crate::model::metadata::{Changes, SetTime};
use crate::model::state::State;
use crate::names::entries::{Making, RENAME_EXCHANGE, RENAME_NOREPLACE};
use crate::storage::inode::Kind;
use crate::units::BLOCK;
use crate::violation::Quirk;
use iomap_clauses::{FOREIGN_LAYERS, FOREIGN_REPORT};
use nix::errno::Errno;

impl State {
    pub(crate) fn call(&mut self, who: &Credentials, call: &Call) -> Outcome {
        match self.misbehaviour.memory {
            None => self.carry_out(who, call),
            Some(_) => self.remembering(who, call),
        }
    }

    pub(crate) fn carry_out(&mut self, who: &Credentials, call: &Call) -> Outcome {
        match call {
            Call::Open { name, flags, mode } => {
                self.open_at(who, name.as_bytes(), *flags, *mode).map(|fd| number(fd.into()))
            }
            Call::Close { fd } => self.close(*fd).map(zero),
            Call::Read { fd, len } => self.read(who, *fd, None, *len).map(Reply::Data),
            Call::Pread { fd, offset, len } => self.read(who, *fd, Some(*offset), *len).map(Reply::Data),
            Call::Write { fd, data } => self.write(who, *fd, None, data, Manner::default()).map(length),
            Call::Pwrite { fd, offset, data } => {
                self.write(who, *fd, Some(*offset), data, Manner::default()).map(length)
            }
            Call::Pwritev { fd, offset, parts, append } => {
                let manner = Manner { append: *append, ..Manner::default() };
                self.write(who, *fd, Some(*offset), &parts.concat(), manner).map(length)
            }
            Call::PwriteLimited { fd, offset, data, limit } => {
                let manner = Manner { limit: Some(*limit), ..Manner::default() };
                self.write(who, *fd, Some(*offset), data, manner).map(length)
            }
            Call::Seek { fd, offset, whence } => self.seek(who, *fd, *offset, *whence).map(number),
            Call::StatusFlags { fd } => self.descriptor(*fd).map(|it| number(it.status_flags().bits().into())),
            Call::Fsync { fd } => self.sync(who, *fd).map(zero),
            Call::Ftruncate { fd, size } => self.ftruncate(who, *fd, *size).map(zero),
            Call::Truncate { name, size } => self.truncate_at(who, name.as_bytes(), *size).map(zero),
            Call::Fallocate { fd, mode, offset, len } => self.fallocate(who, *fd, *mode, *offset, *len).map(zero),
            Call::CopyRange { from, from_offset, to, to_offset, len } => {
                self.copy_range(who, at(*from, *from_offset), at(*to, *to_offset), *len).map(length)
            }
            Call::PwriteAtomic { fd, offset, data } => self.write_atomic(who, *fd, *offset, data).map(length),
            Call::Dedupe { from, from_offset, to, to_offset, len } => {
                let (source, target) = (at(*from, *from_offset), at(*to, *to_offset));
                self.dedupe_range(who, source, target, *len as u64).map(|len| number(len as i64))
            }
            Call::Exchange { one, other } => self.exchange_contents(who, *one, *other).map(zero),
            Call::Snapshot => self.snapshot(who).map(zero),
            Call::Defragment { fd } => self.defragment(who, *fd).map(zero),
            Call::Via { route, call } => self.by(who, *route, call),
            Call::Collect => {
                self.collect();
                Ok(number(0))
            }
            Call::Shrink { size } => self.shrink(who, *size).map(zero),
            Call::RemoveDevice | Call::ReplaceDevice => self.evacuate(who).map(zero),
            Call::Register { map } => self.register(who, *map).map(|id| number(id as i64)),
            Call::Unregister { registration } => self.unregister(*registration).map(zero),
            Call::DeviceStore { registration, offset, data } => {
                self.device_stores(*registration, *offset, data).map(zero)
            }
            Call::DeviceLoad { registration, offset, len } => {
                self.device_loads(*registration, *offset, *len).map(Reply::Data)
            }
            Call::Cycle => self.cycle().map(zero),
            Call::CycleWith { option } => self.cycle_with(option).map(zero),
            Call::PowerLoss { during } => self.power_loss(who, during.as_deref()).map(zero),
            Call::PowerLossAfter { begun, call } => self.power_loss_after(who, begun, call),
            Call::Clone { from, to } => self.clone_file(who, *from, *to).map(zero),
            Call::CloneRange { from, from_offset, to, to_offset, len } => {
                let (source, target) = (at(*from, *from_offset), at(*to, *to_offset));
                self.clone_range(who, source, target, len.cast_unsigned()).map(zero)
            }
            Call::SetLease { fd, on } => self.set_lease(*fd, *on).map(zero),
            Call::GetLease { fd } => self.has_lease(*fd).map(|has| number(has.into())),
            Call::Protect { map, write } => self.protect(*map, *write).map(zero),
            Call::Map { fd, len, shared, write } => {
                self.map(who, *fd, *len, *shared, *write).map(|id| number(id as i64))
            }
            Call::Load { map, offset, len } => self.load(*map, *offset, *len).map(Reply::Data),
            Call::Store { map, offset, data } => self.store_through(*map, *offset, data).map(zero),
            Call::Unmap { map } => self.unmap(*map).map(zero),
            Call::Unlink { name } => {
                self.unlink_at(who, name.as_bytes())?;
                self.relocate_sealed(Quirk::MoveOnUnlink);
                Ok(number(0))
            }
            Call::Rename { from, to, exchange } => {
                let flags = if *exchange { RENAME_EXCHANGE } else { 0 };
                self.rename_at(who, from.as_bytes(), to.as_bytes(), flags).map(zero)
            }
            Call::RenameNew { from, to } => {
                self.rename_at(who, from.as_bytes(), to.as_bytes(), RENAME_NOREPLACE).map(zero)
            }
            Call::Link { from, to } => self.link_at(who, from.as_bytes(), to.as_bytes()).map(zero),
            Call::LinkFd { fd, to } => self.link_fd(who, *fd, to.as_bytes()).map(zero),
            Call::Symlink { target, name } => {
                self.symlink_at(who, target.as_bytes(), name.as_bytes()).map(|_| number(0))
            }
            Call::Mkdir { name, mode } => {
                self.make_at(who, name.as_bytes(), Making::of(Kind::Directory, *mode)).map(|_| number(0))
            }
            // Only some file systems have subvolumes; here a subvolume is a directory.
            Call::Subvolume { name } => {
                self.make_at(who, name.as_bytes(), Making::of(Kind::Directory, 0o700)).map(|_| number(0))
            }
            Call::Rmdir { name } => self.rmdir_at(who, name.as_bytes()).map(zero),
            Call::Mkfifo { name } => {
                self.make_at(who, name.as_bytes(), Making::of(Kind::Fifo, 0o600)).map(|_| number(0))
            }
            Call::Special { socket } => self.open_special(who, *socket).map(|fd| number(fd.into())),
            Call::Chmod { name, mode } => {
                self.change_at(who, name, Changes { mode: Some(*mode), ..Changes::default() }).map(zero)
            }
            Call::Chown { name, uid: u32::MAX, gid: u32::MAX } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                self.chown_to_nobody(who, ino).map(zero)
            }
            Call::Chown { name, uid, gid } => {
                // -1 means no change.
                let given = |id: u32| Some(id).filter(|id| *id != u32::MAX);
                self.change_at(who, name, Changes { uid: given(*uid), gid: given(*gid), ..Changes::default() })
                    .map(zero)
            }
            Call::Utimes { name, atime, mtime } => {
                let at = |seconds: i64| Some(SetTime::At(i128::from(seconds) * 1_000_000_000));
                self.change_at(who, name, Changes { atime: at(*atime), mtime: at(*mtime), ..Changes::default() })
                    .map(zero)
            }
            Call::SetXattr { name, key, value } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                self.set_xattr(who, ino, key.as_bytes(), value, 0).map(zero)
            }
            Call::RemoveXattr { name, key } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                self.remove_xattr(who, ino, key.as_bytes()).map(zero)
            }
            Call::Stat { fd } => self.stat(*fd).map(|stat| Reply::Stat(Box::new(stat))),
            // Another file system, where no file can be sealed.
            Call::Statx { name, .. } if name.starts_with("/proc") => Ok(Reply::Number(0)),
            Call::Statx { name, mask } => {
                let (attributes, of_all) = self.statx(self.resolve(who, name.as_bytes(), true)?);
                Ok(number((if *mask { of_all } else { attributes }).cast_signed()))
            }
            Call::AtomicMax { name } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                Ok(length(self.atomic_max(ino)))
            }
            Call::Watched { name, call } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                let before = self.inode(ino).modified;
                self.call(who, call)?;
                Ok(number((self.inode(ino).modified != before).into()))
            }
            Call::GetXflags { fd } => self.xflags(who, *fd).map(|flags| number(flags.into())),
            Call::ChangeXflags { fd, set, clear } => self.change_xflags(who, *fd, *set, *clear).map(zero),
            Call::ChangeFlags { fd, set, clear } => self.change_flags(who, *fd, *set, *clear).map(zero),
            Call::FreeSpace => Ok(length(self.volume.free() * BLOCK)),
            Call::SetQuota { uid, bytes } => self.limit(who, *uid, *bytes).map(zero),
            Call::Remount { read_only } => self.remount(*read_only).map(zero),
            Call::Swapon { fd } => self.swapon(who, *fd).map(zero),
            Call::Swapoff { fd } => self.swapoff(who, *fd).map(zero),
            Call::SwapOut { fd, data } => self.swap_out(*fd, data).map(zero),
            Call::SwapIn { fd, len } => self.swap_in(*fd, *len).map(Reply::Data),
            // This ioctl belongs to another file system.
            Call::Pin { .. } => Err(Errno::ENOTTY),
        }
    }

    /// A loss of power, perhaps during a call, and a restart.
    fn power_loss(&mut self, who: &Credentials, during: Option<&Call>) -> Result<(), Errno> {
        if let Some(call) = during {
            self.volume.losing_power = true;
            // The outcome is ignored: the caller is dead after the loss of power.
            let _ = self.call(who, call);
            self.volume.losing_power = false;
        }
        self.lose_power()
    }

    /// A call while another one waits for the storage with the state of a file, then a loss of power.
    fn power_loss_after(&mut self, who: &Credentials, begun: &Call, call: &Call) -> Outcome {
        self.stalled = true;
        // Its caller learns no outcome.
        let _ = self.call(who, begun);
        self.stalled = false;
        let outcome = self.call(who, call);
        self.lose_power()?;
        outcome
    }

    pub(crate) fn series(&mut self, who: &Credentials, calls: &[Call]) -> Vec<Outcome> {
        calls.iter().map(|call| self.call(who, call)).collect()
    }

    fn change_at(&mut self, who: &Credentials, path: &str, changes: Changes) -> Result<(), Errno> {
        let ino = self.resolve(who, path.as_bytes(), true)?;
        self.set_attributes(who, ino, None, changes)
    }

    /// A call made in another way. The effect is that of the plain call, except for violations.
    fn by(&mut self, who: &Credentials, route: Route, call: &Call) -> Outcome {
        if let Some(outcome) = self.break_way(route, call) {
            return outcome;
        }
        if route == Route::Overlay {
            return self.through_layer(who, call);
        }
        if route == Route::Freeze {
            self.volume.checkpoint()?;
        }
        let outer = self.route.replace(route);
        // Capabilities in another user namespace are none here.
        let who = if route == Route::Namespace { Caller::Unprivileged.credentials() } else { who };
        let outcome = self.call(who, call);
        self.route = outer;
        if let (Route::Flush, Call::Store { map, offset, data }, Ok(_)) = (route, call, &outcome) {
            self.flush(*map, *offset, data.len())?;
        }
        outcome
    }
}

/// A file system above this one, which passes calls on and does not seal.
impl State {
    fn through_layer(&mut self, who: &Credentials, call: &Call) -> Outcome {
        let breaks = |clause| self.misbehaviour.against(clause).is_some();
        let (seals, shows) = (breaks(&FOREIGN_LAYERS), breaks(&FOREIGN_REPORT));
        match call {
            Call::Fallocate { mode, .. } if mode.changes_state() && !seals => Err(Errno::EOPNOTSUPP),
            Call::GetXflags { .. } if !shows => without(self.call(who, call)?, XFLAG_SEALED.into()),
            Call::Statx { .. } if !shows => without(self.call(who, call)?, STATX_SEALED),
            _ => self.call(who, call),
        }
    }
}

/// The bits of a reply without this one.
fn without(reply: Reply, bit: u64) -> Outcome {
    match reply {
        Reply::Number(bits) => Ok(number((bits.cast_unsigned() & !bit).cast_signed())),
        other => Ok(other),
    }
}

fn at(fd: Fd, offset: i64) -> At {
    At { fd, offset: offset.cast_unsigned() }
}

fn number(value: i64) -> Reply {
    Reply::Number(value)
}

fn zero((): ()) -> Reply {
    Reply::Number(0)
}

fn length(value: usize) -> Reply {
    Reply::Number(value as i64)
}
