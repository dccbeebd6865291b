//! Compares the model with a directory of this machine: the same calls by the same users must have the same outcomes.
//!
//! `ORDINARY_STEPS` and `ORDINARY_SEED` lengthen the random walk by hand. [`own_choice`] lists the differences that a
//! file system may choose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::{
    Attributes, BLOCK, Call, Capabilities, Changes, Credentials, Fs, Kind, MemoryDisk, Options, Reply, SetTime, check,
    format,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags};
use nix::sched::CloneFlags;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode as FileMode, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, Uid, UnlinkatFlags};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

/// A step of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Mkdir {
        path: String,
        mode: u32,
    },
    Rmdir {
        path: String,
    },
    /// Opens, writes if the flags permit it, reads, and closes.
    Open {
        path: String,
        flags: OFlag,
        mode: u32,
        offset: i64,
        len: usize,
    },
    Link {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        flags: RenameFlags,
    },
    Symlink {
        target: String,
        path: String,
    },
    Mkfifo {
        path: String,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    Chown {
        path: String,
        uid: u32,
        gid: u32,
    },
    Utimes {
        path: String,
        time: Time,
    },
    Truncate {
        path: String,
        size: i64,
    },
    /// getdents(2), without the order.
    List {
        path: String,
    },
    Readlink {
        path: String,
    },
    Stat {
        path: String,
        follow: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Now,
    Given,
}

/// The caller of a step: uid and gid. Root has its capabilities, other users have none.
type User = (u32, u32);

const USERS: [User; 3] = [(0, 0), (1000, 1000), (1001, 1000)];

/// The outcome of a step, without details in which both sides may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Nothing,
    Bytes(Vec<u8>),
    Names(BTreeSet<Vec<u8>>),
    Stat(Shown),
}

/// The fields of struct stat that a file system cannot choose. It can choose the size of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    mode: u32,
    links: u64,
    uid: u32,
    gid: u32,
    size: Option<u64>,
}

type Outcome = Result<Came, Errno>;

/// A random sequence: the same seed gives the same steps.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize].clone()
    }

    /// A path of few names, so that steps meet the same files; some paths contain `.`, `..` or slashes.
    fn path(&mut self) -> String {
        let depth = self.of(&[1, 1, 2, 2, 3]);
        let mut path = (0..depth).map(|_| self.of(&["a", "b", "c", "d"])).collect::<Vec<_>>().join("/");
        match self.below(40) {
            0 => path.push('/'),
            1 => path.push_str("/."),
            2 => path.push_str("/.."),
            3 => path = format!("../{}/{path}", "inside"),
            4 => path = format!("./{path}"),
            5 => path = path.replace('/', "//"),
            6 => path = format!("{path}/{}", "n".repeat(self.of(&[255, 256]))),
            _ => (),
        }
        path
    }

    fn mode(&mut self) -> u32 {
        self.of(&[0o755, 0o777, 0o1777, 0o2775, 0o4755, 0o6755, 0o2644, 0o700, 0o644, 0o600, 0o070, 0o007, 0])
    }

    fn step(&mut self) -> Step {
        let path = self.path();
        match self.below(27) {
            0..3 => Step::Mkdir { path, mode: self.mode() },
            3 => Step::Rmdir { path },
            4..9 => {
                let access = self.of(&[OFlag::O_RDONLY, OFlag::O_WRONLY, OFlag::O_RDWR]);
                let more = [
                    OFlag::empty(),
                    OFlag::empty(),
                    OFlag::O_EXCL,
                    OFlag::O_TRUNC,
                    OFlag::O_APPEND,
                    OFlag::O_DIRECTORY,
                    OFlag::O_NOFOLLOW,
                    OFlag::O_NOATIME,
                    OFlag::O_TMPFILE,
                ];
                let create = self.of(&[OFlag::empty(), OFlag::O_CREAT, OFlag::O_CREAT]);
                let mut flags = access | create | self.of(&more) | self.of(&more);
                if !flags.contains(OFlag::O_CREAT) && !flags.contains(OFlag::O_TMPFILE) {
                    // Without O_CREAT its effect is undefined.
                    flags -= OFlag::O_EXCL;
                }
                // Opening a FIFO must not block the walk.
                flags |= OFlag::O_NONBLOCK;
                let (offset, len) = (self.below(10_000) as i64, self.below(6_000) as usize);
                Step::Open { path, flags, mode: self.mode(), offset, len }
            }
            9 | 10 => Step::Link { from: path, to: self.path() },
            11 | 12 => Step::Unlink { path },
            13..17 => {
                let none = RenameFlags::empty();
                let flags = [none, none, none, RenameFlags::RENAME_NOREPLACE, RenameFlags::RENAME_EXCHANGE];
                Step::Rename { from: path, to: self.path(), flags: self.of(&flags) }
            }
            17 => {
                let target = if self.below(20) == 0 { String::new() } else { self.path() };
                Step::Symlink { target, path }
            }
            18 => Step::Mkfifo { path },
            19 => Step::Chmod { path, mode: self.mode() },
            20 => {
                let ids = [0, 1000, 1001, u32::MAX];
                Step::Chown { path, uid: self.of(&ids), gid: self.of(&ids) }
            }
            21 => Step::Utimes { path, time: self.of(&[Time::Now, Time::Given]) },
            22 => Step::Truncate { path, size: self.below(20_000) as i64 - 10 },
            23 => Step::List { path },
            24 => Step::Readlink { path },
            _ => Step::Stat { path, follow: self.below(2) == 0 },
        }
    }
}

/// The bytes that a step writes; they show the offset at which they were written.
fn written(offset: i64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (offset as usize + at) as u8 | 1).collect()
}

/// The maximum number of bytes that a step reads.
const ALL: usize = 1 << 20;

/// The model, with the walk in one of its directories.
struct Model {
    fs: Fs,
    /// The disk of the image, if the model is on an image.
    disk: Option<Arc<Mutex<MemoryDisk>>>,
}

/// A cache that is much smaller than the data of the walk.
const CACHE: usize = 16 * BLOCK;
/// The number of steps for which an image stays mounted.
const MOUNTED: usize = 50;

fn credentials((uid, gid): User) -> Credentials {
    let capabilities = if uid == 0 { Capabilities::ALL } else { Capabilities::NONE };
    Credentials { uid, gid, groups: Vec::new(), capabilities }
}

/// The path of the walk's directory in the model.
fn inside(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("inside/{path}") }
}

impl Model {
    fn new() -> Self {
        Self { fs: Fs::new(4096), disk: None }.prepared()
    }

    fn on_image() -> Self {
        let mut disk = MemoryDisk::new(4096);
        format(&mut disk, &Options { area_blocks: Some(256), ..Options::default() }).unwrap();
        let disk = Arc::new(Mutex::new(disk));
        let fs = Fs::mount(Box::new(disk.clone()), CACHE, false).unwrap();
        Self { fs, disk: Some(disk) }.prepared()
    }

    fn prepared(self) -> Self {
        let root = credentials((0, 0));
        let made = self.fs.call_as(&root, &Call::Mkdir { name: "inside".into(), mode: 0o777 });
        assert_eq!(made, Ok(Reply::Number(0)));
        self
    }

    /// Checks that the image is consistent and has every file, and mounts it again.
    fn remounted(self) -> Self {
        let Some(disk) = self.disk else { return self };
        self.fs.unmount().unwrap();
        assert_eq!(check(&mut *disk.lock().unwrap()).unwrap().findings, []);
        let fs = Fs::mount(Box::new(disk.clone()), CACHE, false).unwrap();
        Self { fs, disk: Some(disk) }
    }

    fn call(&self, user: User, call: &Call) -> Outcome {
        self.fs.call_as(&credentials(user), call).map(|_| Came::Nothing)
    }

    fn resolve(&self, user: User, path: &str, follow: bool) -> Result<u64, Errno> {
        self.fs.resolve(&credentials(user), inside(path).as_bytes(), follow)
    }

    fn take(&self, user: User, step: &Step) -> Outcome {
        match step {
            Step::Mkdir { path, mode } => self.call(user, &Call::Mkdir { name: inside(path), mode: *mode }),
            Step::Rmdir { path } => self.call(user, &Call::Rmdir { name: inside(path) }),
            Step::Link { from, to } => self.call(user, &Call::Link { from: inside(from), to: inside(to) }),
            Step::Unlink { path } => self.call(user, &Call::Unlink { name: inside(path) }),
            Step::Rename { from, to, flags } if *flags == RenameFlags::RENAME_NOREPLACE => {
                self.call(user, &Call::RenameNew { from: inside(from), to: inside(to) })
            }
            Step::Rename { from, to, flags } => {
                let exchange = *flags == RenameFlags::RENAME_EXCHANGE;
                self.call(user, &Call::Rename { from: inside(from), to: inside(to), exchange })
            }
            Step::Symlink { target, path } => {
                self.call(user, &Call::Symlink { target: target.clone(), name: inside(path) })
            }
            Step::Mkfifo { path } => self.call(user, &Call::Mkfifo { name: inside(path) }),
            Step::Chmod { path, mode } => self.call(user, &Call::Chmod { name: inside(path), mode: *mode }),
            Step::Chown { path, uid, gid } => {
                self.call(user, &Call::Chown { name: inside(path), uid: *uid, gid: *gid })
            }
            Step::Truncate { path, size } => self.call(user, &Call::Truncate { name: inside(path), size: *size }),
            Step::Utimes { path, time } => {
                let time = Some(if *time == Time::Now { SetTime::Now } else { SetTime::At(5) });
                let changes = Changes { atime: time, mtime: time, ..Changes::default() };
                let ino = self.resolve(user, path, true)?;
                self.fs.set_attributes(&credentials(user), ino, None, changes).map(|_| Came::Nothing)
            }
            Step::Readlink { path } => self.fs.readlink(self.resolve(user, path, false)?).map(Came::Bytes),
            Step::Stat { path, follow } => {
                self.fs.attributes(self.resolve(user, path, *follow)?).map(|stat| Came::Stat(shown(&stat)))
            }
            Step::List { path } => {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
                let fd = self.open(user, path, flags, 0)?;
                let mut names = BTreeSet::new();
                self.fs.list(fd, 0, |listed| names.insert(listed.name.to_vec()))?;
                self.fs.release(fd)?;
                Ok(Came::Names(names))
            }
            Step::Open { path, flags, mode, offset, len } => {
                let fd = self.open(user, path, *flags, *mode)?;
                let who = credentials(user);
                let wrote = self.fs.write(&who, fd, *offset, &written(*offset, *len));
                let read = self.fs.read(&who, fd, 0, ALL);
                self.fs.release(fd)?;
                came(wrote, read)
            }
        }
    }

    fn open(&self, user: User, path: &str, flags: OFlag, mode: u32) -> Result<i32, Errno> {
        match self.fs.call_as(&credentials(user), &Call::Open { name: inside(path), flags, mode })? {
            Reply::Number(fd) => Ok(fd as i32),
            other => panic!("open returned {other:?}"),
        }
    }
}

/// Combines the outcomes of a write and a read of an opened file.
fn came(wrote: Result<usize, Errno>, read: Result<Vec<u8>, Errno>) -> Outcome {
    match (wrote, read) {
        (Err(Errno::ESPIPE), _) | (_, Err(Errno::ESPIPE)) => Ok(Came::Nothing),
        (Err(errno), Err(_)) => Err(errno),
        (Ok(_), Err(Errno::EBADF)) => Ok(Came::Nothing),
        (_, read) => read.map(Came::Bytes),
    }
}

fn shown(stat: &Attributes) -> Shown {
    let kind = match stat.kind {
        Kind::Regular => nix::libc::S_IFREG,
        Kind::Directory => nix::libc::S_IFDIR,
        Kind::Symlink => nix::libc::S_IFLNK,
        Kind::Fifo => nix::libc::S_IFIFO,
        Kind::Socket => nix::libc::S_IFSOCK,
        Kind::Character => nix::libc::S_IFCHR,
        Kind::Block => nix::libc::S_IFBLK,
    };
    let size = (stat.kind != Kind::Directory).then_some(stat.size);
    Shown { mode: kind | stat.mode, links: stat.links, uid: stat.uid, gid: stat.gid, size }
}

/// A directory of this machine. It is the root directory of this thread, so no step leads out of it.
struct Machine;

/// Acts as another user until it is dropped: only in this thread, and only for file systems.
struct Acting;

impl Acting {
    fn new((uid, gid): User) -> Self {
        // Set the user last, because that drops the capabilities which setting the group needs.
        unistd::setfsgid(Gid::from_raw(gid));
        unistd::setfsuid(Uid::from_raw(uid));
        Self
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        unistd::setfsuid(Uid::from_raw(0));
        unistd::setfsgid(Gid::from_raw(0));
    }
}

impl Machine {
    fn new(root: &Path) -> Self {
        // The thread gets a root directory and umask of its own. No umask, so that every user of the test gets the same
        // modes.
        nix::sched::unshare(CloneFlags::CLONE_FS).unwrap();
        unistd::chroot(root).unwrap();
        unistd::chdir("/").unwrap();
        nix::sys::stat::umask(FileMode::empty());
        unistd::mkdir("inside", FileMode::from_bits_truncate(0o777)).unwrap();
        Self
    }

    fn take(&self, user: User, step: &Step) -> Outcome {
        let _acting = Acting::new(user);
        let here = AT_FDCWD;
        let mode = |mode: &u32| FileMode::from_bits_truncate(*mode);
        let nothing = |result: nix::Result<()>| result.map(|()| Came::Nothing);
        match step {
            Step::Mkdir { path, mode: bits } => nothing(unistd::mkdir(inside(path).as_str(), mode(bits))),
            Step::Rmdir { path } => nothing(unistd::unlinkat(here, inside(path).as_str(), UnlinkatFlags::RemoveDir)),
            Step::Link { from, to } => {
                nothing(unistd::linkat(here, inside(from).as_str(), here, inside(to).as_str(), AtFlags::empty()))
            }
            Step::Unlink { path } => nothing(unistd::unlink(inside(path).as_str())),
            Step::Rename { from, to, flags } => {
                nothing(nix::fcntl::renameat2(here, inside(from).as_str(), here, inside(to).as_str(), *flags))
            }
            Step::Symlink { target, path } => nothing(unistd::symlinkat(target.as_str(), here, inside(path).as_str())),
            Step::Mkfifo { path } => nothing(unistd::mkfifo(inside(path).as_str(), mode(&0o600))),
            Step::Chmod { path, mode: bits } => {
                let flags = FchmodatFlags::FollowSymlink;
                nothing(nix::sys::stat::fchmodat(here, inside(path).as_str(), mode(bits), flags))
            }
            Step::Chown { path, uid, gid } => {
                let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                nothing(unistd::chown(inside(path).as_str(), Some(uid), Some(gid)))
            }
            Step::Truncate { path, size } => nothing(unistd::truncate(inside(path).as_str(), *size)),
            Step::Utimes { path, time } => {
                let time = if *time == Time::Now { TimeSpec::UTIME_NOW } else { TimeSpec::new(0, 5) };
                let flags = UtimensatFlags::FollowSymlink;
                nothing(nix::sys::stat::utimensat(here, inside(path).as_str(), &time, &time, flags))
            }
            Step::Readlink { path } => {
                nix::fcntl::readlink(inside(path).as_str()).map(|target| Came::Bytes(target.as_bytes().to_vec()))
            }
            Step::Stat { path, follow: true } => nix::sys::stat::stat(inside(path).as_str()).map(stat),
            Step::Stat { path, follow: false } => nix::sys::stat::lstat(inside(path).as_str()).map(stat),
            Step::List { path } => {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
                let mut listing = nix::dir::Dir::open(inside(path).as_str(), flags, FileMode::empty())?;
                let names = listing.iter().map(|entry| entry.map(|entry| entry.file_name().to_bytes().to_vec()));
                names.collect::<Result<_, _>>().map(Came::Names)
            }
            Step::Open { path, flags, mode: bits, offset, len } => {
                let file = match nix::fcntl::open(inside(path).as_str(), *flags, mode(bits)) {
                    // A FIFO without a reader; the kernel handles it, not the file system.
                    Err(Errno::ENXIO) => return Ok(Came::Nothing),
                    file => file?,
                };
                let wrote = nix::sys::uio::pwrite(file.as_fd(), &written(*offset, *len), *offset);
                let mut buffer = vec![0; ALL];
                let read = nix::sys::uio::pread(file.as_fd(), &mut buffer, 0);
                came(wrote, read.map(|len| buffer[..len].to_vec()))
            }
        }
    }
}

fn stat(stat: FileStat) -> Came {
    let directory = stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR;
    let size = (!directory).then_some(stat.st_size as u64);
    Came::Stat(Shown { mode: stat.st_mode, links: stat.st_nlink, uid: stat.st_uid, gid: stat.st_gid, size })
}

/// Whether Linux answers the step before a file system sees it, partly depending on the administrator's settings below
/// `/proc/sys/fs`.
fn own_choice((uid, _): User, step: &Step) -> bool {
    match step {
        // protected_hardlinks: only the owner may link a file, even if others may write to the directory.
        Step::Link { .. } => uid != 0,
        // In a sticky directory, Linux refuses every type except files and FIFOs before it finds that the path is a
        // link.
        Step::Open { flags, .. } => uid != 0 && flags.contains(OFlag::O_CREAT | OFlag::O_NOFOLLOW),
        // protected_symlinks, _regular and _fifos: in a sticky directory, links and files of other users are refused.
        Step::Mkdir { mode, .. } | Step::Chmod { mode, .. } => mode & 0o1002 == 0o1002 && *PROTECTS,
        _ => false,
    }
}

static PROTECTS: LazyLock<bool> = LazyLock::new(|| {
    let set =
        |name| std::fs::read_to_string(format!("/proc/sys/fs/protected_{name}")).is_ok_and(|set| set.trim() != "0");
    ["symlinks", "regular", "fifos"].into_iter().any(set)
});

/// The steps so far, and the outcomes of the last one on the model and on this machine.
type Difference = (Vec<(User, Step)>, Outcome, Outcome);

/// Walks these steps on both, up to the first difference.
fn walk(mut model: Model, root: &Path, seed: u64, steps: usize) -> Result<(), Difference> {
    let machine = Machine::new(root);
    let mut random = Random(seed);
    let mut taken = Vec::new();
    for number in 1..=steps {
        if number.is_multiple_of(MOUNTED) {
            model = model.remounted();
        }
        // Prefer root, which is refused least, so that many steps succeed.
        let user = if random.below(2) == 0 { USERS[0] } else { random.of(&USERS) };
        let step = random.step();
        if own_choice(user, &step) {
            continue;
        }
        taken.push((user, step.clone()));
        let (modelled, real) = (model.take(user, &step), machine.take(user, &step));
        if modelled != real {
            return Err((taken, modelled, real));
        }
    }
    model.remounted();
    Ok(())
}

#[test]
fn the_model_does_as_this_machine_does() {
    walks(Model::new);
}

#[test]
fn an_image_does_as_this_machine_does() {
    walks(Model::on_image);
}

fn walks(model: fn() -> Model) {
    if !Uid::effective().is_root() {
        eprintln!("not root: nobody else can act as several users");
        return;
    }
    // Read these settings now, because /proc is not visible during the walk.
    LazyLock::force(&PROTECTS);
    let number = |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (first, steps) = (number("ORDINARY_SEED", 1_u64), number("ORDINARY_STEPS", 6_000_u64));
    // Short walks: in a long one, hardly any new kind of step succeeds towards the end.
    let length = 1_000;
    for seed in first..first + steps.div_ceil(length) {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (root, mixed) = (scratch.path(), seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let walked =
            std::thread::scope(|scope| scope.spawn(|| walk(model(), root, mixed, length as usize)).join().unwrap());
        if let Err((taken, modelled, real)) = walked {
            let last = taken.len().saturating_sub(40);
            taken[last..].iter().for_each(|((uid, gid), step)| println!("{uid}:{gid} {step:?}"));
            panic!("seed {seed}, step {}: the model {modelled:?}, this machine {real:?}", taken.len());
        }
    }
}
