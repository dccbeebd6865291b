//! System calls, made in a directory.

use super::held::Held;
use super::routes;
use super::sys::buffer::Aligned;
use super::sys::mapping::Mapping;
use super::sys::{btrfs, caps, f2fs, process, ring, swap, vfs, xattr};
use crate::reach::{Kind, Site};
use crate::system::Outcomes;
use crate::verdict::Trouble;
use iomap_reference::{Call, Caller, Outcome, Reply, Stat, Whence, ioctl};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags};
use nix::sys::stat::{Mode as FileMode, UtimensatFlags};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::uio;
use nix::unistd::{self, UnlinkatFlags, Whence as From};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// A place for system calls: a directory, and the things that are open and mapped there.
pub(crate) struct Calls {
    held: Held,
    site: Site,
    /// The memory that was swapped out.
    memory: RefCell<Option<Mapping>>,
    pace: Cell<Pace>,
}

impl Deref for Calls {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

/// The delay of the next race, in microseconds. A positive delay is for the first side, a negative one for the second.
#[derive(Clone, Copy)]
struct Pace {
    delay: i64,
    /// The last change of the delay.
    step: i64,
}

impl Pace {
    const FIRST: Self = Self { delay: 0, step: 20 };
}

/// The longest delay, which is enough for sealing to bring data to the storage on a busy emulated processor.
const LONGEST: i64 = 100_000;

impl Calls {
    /// Calls at a site. `root` is the place where its file system is mounted.
    pub(crate) fn new(site: Site, root: PathBuf) -> Self {
        Self::with(Held::new(site.directory.clone(), root), site)
    }

    fn with(held: Held, site: Site) -> Self {
        Self { held, site, memory: RefCell::default(), pace: Cell::new(Pace::FIRST) }
    }

    /// The place where these calls are made.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Makes a file system above show the directory of these calls here.
    pub(crate) fn show_at(&mut self, above: PathBuf) {
        self.held.show_at(above);
    }

    /// Undoes registrations, unmaps and closes everything.
    pub(crate) fn clear(&self) {
        self.memory.take();
        self.held.clear();
    }

    fn number(&self, call: &Call) -> Result<i64, Errno> {
        match call {
            Call::Open { name, flags, mode } => {
                let mode = FileMode::from_bits_truncate(*mode);
                nix::fcntl::open(&self.path(name), *flags | OFlag::O_CLOEXEC, mode).map(|fd| self.keep(fd))
            }
            Call::Close { fd } => self.close(*fd).map(zero),
            Call::Write { fd, data } => self.with(*fd, |f| unistd::write(f, Aligned::of(data).get())).map(signed),
            Call::Pwrite { fd, offset, data } => {
                self.with(*fd, |f| uio::pwrite(f, Aligned::of(data).get(), *offset)).map(signed)
            }
            Call::Pwritev { fd, offset, parts, append } => {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                let flags = append.map_or(0, |append| if append { vfs::APPEND } else { vfs::NO_APPEND });
                self.with(*fd, |f| vfs::pwritev2(f, &parts, *offset, flags)).map(signed)
            }
            Call::PwriteLimited { fd, offset, data, limit } => {
                self.with(*fd, |f| process::pwrite_limited(f, data, *offset, *limit)).map(signed)
            }
            Call::PwriteAtomic { fd, offset, data } => {
                let data = Aligned::of(data);
                self.with(*fd, |f| vfs::pwritev2(f, &[data.get()], *offset, vfs::ATOMIC)).map(signed)
            }
            Call::Seek { fd, offset, whence } => {
                let whence = match whence {
                    Whence::Set => From::SeekSet,
                    Whence::Cur => From::SeekCur,
                    Whence::Hole => From::SeekHole,
                    Whence::Data => From::SeekData,
                };
                self.with(*fd, |f| unistd::lseek(f, *offset, whence))
            }
            Call::StatusFlags { fd } => self.with(*fd, vfs::status_flags).map(i64::from),
            Call::Fsync { fd } => self.with(*fd, |f| unistd::fsync(f)).map(zero),
            Call::Ftruncate { fd, size } => self.with(*fd, |f| unistd::ftruncate(f, *size)).map(zero),
            Call::Truncate { name, size } => unistd::truncate(&self.path(name), *size).map(zero),
            Call::Fallocate { fd, mode, offset, len } => {
                let by_ioctl = self.site.goes_by_ioctl(call);
                let make = |f: BorrowedFd| match by_ioctl {
                    true => ioctl::fallocate(f, *mode, *offset, *len),
                    false => vfs::fallocate(f, *mode, *offset, *len),
                };
                self.with(*fd, make).map(zero)
            }
            Call::CopyRange { from, from_offset, to, to_offset, len } => self
                .with(*from, |from| {
                    let (mut from_offset, mut to_offset) = (*from_offset, *to_offset);
                    self.with(*to, |to| {
                        nix::fcntl::copy_file_range(from, Some(&mut from_offset), to, Some(&mut to_offset), *len)
                    })
                })
                .map(signed),
            Call::Clone { from, to } => self.with(*from, |from| self.with(*to, |to| vfs::clone(from, to))).map(zero),
            Call::CloneRange { from, from_offset, to, to_offset, len } => {
                let [from_offset, to_offset, len] = [*from_offset, *to_offset, *len].map(i64::cast_unsigned);
                self.with(*from, |source| {
                    self.with(*to, |target| vfs::clone_range((source, from_offset), (target, to_offset), len))
                })
                .map(zero)
            }
            Call::Dedupe { from, from_offset, to, to_offset, len } => {
                let [from_offset, to_offset] = [*from_offset, *to_offset].map(i64::cast_unsigned);
                self.with(*from, |source| {
                    self.with(*to, |target| vfs::dedupe((source, from_offset), (target, to_offset), *len))
                })
                .map(signed)
            }
            Call::Register { map } => {
                let buffer = self.with_mapping(*map, ring::Buffer::new)?;
                Ok(self.keep_registration(Box::new(buffer)))
            }
            Call::Unregister { registration } => self.unregister(*registration).map(zero),
            Call::DeviceStore { registration, offset, data } => {
                self.with_registration(*registration, |device| device.write(*offset, data)).map(zero)
            }
            Call::Map { fd, len, shared, write } => {
                let mapping = self.with(*fd, |f| Mapping::new(f, *len, *shared, *write))?;
                Ok(self.keep_mapping(mapping))
            }
            Call::SetLease { fd, on } => self.with(*fd, |f| vfs::set_lease(f, *on)).map(zero),
            Call::GetLease { fd } => self.with(*fd, vfs::has_lease).map(i64::from),
            Call::Protect { map, write } => self.with_mapping(*map, |mapping| mapping.protect(*write)).map(zero),
            Call::Store { map, offset, data } => {
                self.with_mapping(*map, |mapping| mapping.store(*offset, data)).map(zero)
            }
            Call::Unmap { map } => self.unmap(*map).map(zero),
            Call::Unlink { name } => unistd::unlink(&self.path(name)).map(zero),
            Call::Rename { from, to, exchange } => {
                let flags = if *exchange { RenameFlags::RENAME_EXCHANGE } else { RenameFlags::empty() };
                let here = nix::fcntl::AT_FDCWD;
                nix::fcntl::renameat2(here, &self.path(from), here, &self.path(to), flags).map(zero)
            }
            Call::RenameNew { from, to } => {
                let (here, flags) = (nix::fcntl::AT_FDCWD, RenameFlags::RENAME_NOREPLACE);
                nix::fcntl::renameat2(here, &self.path(from), here, &self.path(to), flags).map(zero)
            }
            Call::Symlink { target, name } => {
                unistd::symlinkat(target.as_str(), nix::fcntl::AT_FDCWD, &self.path(name)).map(zero)
            }
            Call::Mkdir { name, mode } => {
                unistd::mkdir(&self.path(name), FileMode::from_bits_truncate(*mode)).map(zero)
            }
            Call::Rmdir { name } => {
                unistd::unlinkat(nix::fcntl::AT_FDCWD, &self.path(name), UnlinkatFlags::RemoveDir).map(zero)
            }
            Call::Link { from, to } => {
                let here = nix::fcntl::AT_FDCWD;
                unistd::linkat(here, &self.path(from), here, &self.path(to), AtFlags::empty()).map(zero)
            }
            Call::LinkFd { fd, to } => {
                let here = nix::fcntl::AT_FDCWD;
                self.with(*fd, |f| unistd::linkat(f, "", here, &self.path(to), AtFlags::AT_EMPTY_PATH)).map(zero)
            }
            Call::Mkfifo { name } => unistd::mkfifo(&self.path(name), FileMode::S_IRUSR | FileMode::S_IWUSR).map(zero),
            Call::Special { socket: true } => {
                use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
                socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map(|fd| self.keep(fd))
            }
            Call::Special { socket: false } => {
                nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, FileMode::empty())
                    .map(|fd| self.keep(fd))
            }
            Call::Chmod { name, mode } => {
                let (here, mode) = (nix::fcntl::AT_FDCWD, FileMode::from_bits_truncate(*mode));
                let flags = nix::sys::stat::FchmodatFlags::FollowSymlink;
                nix::sys::stat::fchmodat(here, &self.path(name), mode, flags).map(zero)
            }
            Call::Chown { name, uid, gid } => {
                unistd::chown(&self.path(name), Some((*uid).into()), Some((*gid).into())).map(zero)
            }
            Call::Utimes { name, atime, mtime } => {
                let (here, path) = (nix::fcntl::AT_FDCWD, self.path(name));
                let (atime, mtime) = (TimeSpec::seconds(*atime), TimeSpec::seconds(*mtime));
                nix::sys::stat::utimensat(here, &path, &atime, &mtime, UtimensatFlags::FollowSymlink).map(zero)
            }
            Call::SetXattr { name, key, value } => xattr::set_xattr(&self.path(name), key, value).map(zero),
            Call::RemoveXattr { name, key } => xattr::remove_xattr(&self.path(name), key).map(zero),
            Call::Statx { name, mask } => {
                let (attributes, of_all) = vfs::statx(&self.path(name))?;
                Ok((if *mask { of_all } else { attributes }).cast_signed())
            }
            Call::AtomicMax { name } => vfs::atomic_write_max(&self.path(name)).map(i64::from),
            Call::Watched { name, call } => {
                vfs::is_modified(&self.path(name), || self.make(call).map(drop)).map(i64::from)
            }
            Call::GetXflags { fd } if self.site.kind == Kind::Fuse => {
                self.with(*fd, |f| ioctl::xflags(f)).map(i64::from)
            }
            Call::GetXflags { fd } => self.with(*fd, vfs::xflags).map(i64::from),
            Call::ChangeXflags { fd, set, clear } if self.site.kind == Kind::Fuse => {
                self.with(*fd, |f| ioctl::set_xflags(f, (ioctl::xflags(f)? | set) & !clear)).map(zero)
            }
            Call::ChangeXflags { fd, set, clear } => self.with(*fd, |f| vfs::change_xflags(f, *set, *clear)).map(zero),
            Call::ChangeFlags { fd, set, clear } => self.with(*fd, |f| vfs::change_flags(&f, *set, *clear)).map(zero),
            Call::FreeSpace => {
                // Some file systems free space in the background; syncing makes them do it now.
                unistd::syncfs(File::open(self.root()).map_err(|_| Errno::EIO)?)?;
                let stat = nix::sys::statvfs::statvfs(self.root())?;
                Ok((stat.blocks_free() * stat.fragment_size()) as i64)
            }
            Call::Remount { read_only } => {
                use nix::mount::{MsFlags, mount};
                let flags = if *read_only { MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY } else { MsFlags::MS_REMOUNT };
                let none = None::<&str>;
                mount(none, self.root(), none, flags, none).map(zero)
            }
            Call::Swapon { fd } => self.with(*fd, |f| swap::swapon(&vfs::proc_path(&f), 0)).map(zero),
            Call::Swapoff { fd } => self.with(*fd, |f| swap::swapoff(&vfs::proc_path(&f))).map(zero),
            Call::SwapOut { data, .. } => {
                let memory = Mapping::anonymous(data.len())?;
                memory.store(0, data)?;
                memory.swap_out()?;
                self.memory.replace(Some(memory));
                Ok(0)
            }
            Call::Subvolume { name } => btrfs::subvolume(&self.path(name)).map(zero),
            Call::Snapshot => btrfs::snapshot(self.root()).map(zero),
            Call::Pin { fd, on } => self.with(*fd, |f| f2fs::pin(f, *on)).map(zero),
            // `make` handles the first seven. The others are not system calls, or other modules make them: see `reach`.
            Call::Read { .. } | Call::Pread { .. } | Call::Load { .. } | Call::Stat { .. } => Err(Errno::EINVAL),
            Call::DeviceLoad { .. } | Call::SwapIn { .. } | Call::Via { .. } => Err(Errno::EINVAL),
            Call::Exchange { .. } | Call::Defragment { .. } => Err(Errno::ENOSYS),
            Call::RemoveDevice | Call::ReplaceDevice => Err(Errno::ENOSYS),
            Call::CycleWith { .. } | Call::SetQuota { .. } | Call::PowerLossAfter { .. } => Err(Errno::ENOSYS),
            Call::Collect | Call::Shrink { .. } | Call::Cycle | Call::PowerLoss { .. } => Err(Errno::ENOSYS),
        }
    }

    /// Makes a call as this caller.
    pub(crate) fn call(&self, caller: Caller, call: &Call) -> Outcome {
        match caller {
            Caller::Privileged => self.make(call),
            Caller::Unprivileged => caps::without(caps::PRIVILEGES, || self.make(call))?,
            Caller::Owner => caps::without(u64::MAX, || self.make(call))?,
        }
    }

    /// Makes two series of calls at the same time. Only the first series may map. The moment to test lies between
    /// winning and losing: the side that won the last race begins later in this one, by a step that grows until the
    /// other side wins.
    pub(crate) fn race(&self, one: &[Call], other: &[Call]) -> Result<Outcomes, Trouble> {
        self.site.ask_for_race(one, other)?;
        let Pace { delay, step } = self.pace.get();
        let [mine, theirs] = [delay, -delay].map(|delay| Duration::from_micros(delay.max(0).cast_unsigned()));
        let outcomes = self.while_making(theirs, other, || {
            spin(mine);
            one.iter().map(|call| self.make(call)).collect::<Vec<_>>()
        })?;
        let wanted = match (outcomes.0.first(), outcomes.1.first()) {
            (_, Some(Err(_))) => 1,
            (Some(Err(_)), _) => -1,
            // Where only one side can fail, it has not because the other begins too late.
            _ => -delay.signum(),
        };
        let step = match wanted * step.signum() {
            0 => step,
            1 => step * 2,
            _ => -step / 2,
        };
        let step = if step.abs() < 5 { 5 * wanted } else { step };
        self.pace.set(Pace { delay: (delay + wanted.abs() * step).clamp(-LONGEST, LONGEST), step });
        Ok(outcomes)
    }

    /// Calls `act` while another thread makes calls, which begin after `delay`.
    pub(crate) fn while_making<T>(
        &self,
        delay: Duration,
        series: &[Call],
        act: impl FnOnce() -> T,
    ) -> Result<(T, Vec<Outcome>), Trouble> {
        let held = self.held.duplicate().map_err(|error| Trouble::Setup(format!("dup: {error}")))?;
        let site = self.site.clone();
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let calls = Self::with(Held::from(held), site);
                together.wait();
                spin(delay);
                series.iter().map(|call| calls.make(call)).collect()
            });
            together.wait();
            let first = act();
            let second = second.join().map_err(|_| Trouble::Setup("the thread of the second call panicked".into()))?;
            Ok((first, second))
        })
    }

    fn make(&self, call: &Call) -> Outcome {
        // Cases ask before they call (`System::reach`) and report the reason. This line is for a case that does not
        // ask.
        self.site.ask(call).map_err(|_| Errno::EOPNOTSUPP)?;
        match call {
            Call::Read { fd, len } => self.read(*len, |buffer| self.with(*fd, |f| unistd::read(f, buffer))),
            Call::Pread { fd, offset, len } => {
                self.read(*len, |buffer| self.with(*fd, |f| uio::pread(f, buffer, *offset)))
            }
            Call::Load { map, offset, len } => {
                self.with_mapping(*map, |mapping| mapping.load(*offset, *len)).map(Reply::Data)
            }
            Call::DeviceLoad { registration, offset, len } => {
                self.with_registration(*registration, |device| device.read(*offset, *len)).map(Reply::Data)
            }
            Call::SwapIn { len, .. } => {
                self.memory.borrow().as_ref().ok_or(Errno::EFAULT)?.load(0, *len).map(Reply::Data)
            }
            Call::Stat { fd } => self.with(*fd, stat).map(|stat| Reply::Stat(Box::new(stat))),
            Call::Via { route, call } => routes::make(self, *route, call),
            other => self.number(other).map(Reply::Number),
        }
    }

    fn read(&self, len: usize, act: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Outcome {
        let mut buffer = Aligned::with_room(len)?;
        let count = act(buffer.get_mut())?;
        let mut data = Vec::new();
        data.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        data.extend_from_slice(&buffer.get()[..count]);
        Ok(Reply::Data(data))
    }
}

fn stat(file: BorrowedFd) -> Result<Stat, Errno> {
    let stat = nix::sys::stat::fstat(file)?;
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Ok(Stat {
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink,
        size: stat.st_size as u64,
        atime: nanoseconds(stat.st_atime, stat.st_atime_nsec),
        mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        xattrs: xattr::user_xattrs(file)?,
    })
}

/// Repeats a call that fails with EBUSY. On a busy machine the kernel releases a file some time after close(2).
pub(crate) fn unless_busy(patience: Duration, mut act: impl FnMut() -> Outcome) -> Outcome {
    let deadline = Instant::now() + patience;
    loop {
        match act() {
            Err(Errno::EBUSY) if Instant::now() < deadline => std::thread::yield_now(),
            outcome => return outcome,
        }
    }
}

/// Waits without giving up the processor, because that would take longer.
pub(crate) fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn signed(count: usize) -> i64 {
    count as i64
}

fn zero((): ()) -> i64 {
    0
}
