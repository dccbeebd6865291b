//! A disk that fails: the error is reported, and acknowledged data are there afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Flush,
}

/// A disk whose n-th operation of a kind fails with a chosen error.
#[derive(Debug)]
struct Failing {
    disk: MemoryDisk,
    kind: Kind,
    /// The number of operations that still succeed; `None` if all succeed.
    left: Option<usize>,
    error: i32,
    failed: bool,
}

impl Failing {
    fn count(&mut self, kind: Kind) -> io::Result<()> {
        if let Some(left) = self.left.as_mut().filter(|_| kind == self.kind) {
            if *left == 0 {
                (self.left, self.failed) = (None, true);
                return Err(io::Error::from_raw_os_error(self.error));
            }
            *left -= 1;
        }
        Ok(())
    }
}

impl Disk for Failing {
    fn blocks(&self) -> u64 {
        self.disk.blocks()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.count(Kind::Read)?;
        self.disk.read(at, into)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.count(Kind::Write)?;
        self.disk.write(at, data)
    }

    fn write_fua(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.count(Kind::Write)?;
        self.disk.write_fua(at, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.count(Kind::Flush)?;
        self.disk.flush()
    }
}

fn number(outcome: Outcome) -> Result<i64, Errno> {
    outcome.map(|reply| if let Reply::Number(number) = reply { number } else { panic!("{reply:?}") })
}

const FILES: usize = 6;
const LEN: usize = 6 * BLOCK;

fn contents(round: usize) -> Vec<u8> {
    (0..LEN).map(|at| (round * 37 + at / 512 + 1) as u8).collect()
}

/// Writes files one after the other. Returns the number of acknowledged files, and the errors.
fn work(fs: &Fs) -> (usize, Vec<(String, Errno)>) {
    let (mut acknowledged, mut errors) = (0, Vec::new());
    for round in 0..FILES {
        let attempt = || -> Result<(), (String, Errno)> {
            let make = |call: Call| {
                let name = call.to_string();
                number(fs.call(Caller::Privileged, &call)).map_err(|errno| (name, errno))
            };
            let flags = OFlag::O_RDWR | OFlag::O_CREAT;
            let fd = make(Call::Open { name: format!("f{round}"), flags, mode: 0o600 })? as Fd;
            make(Call::Pwrite { fd, offset: 0, data: contents(round) })?;
            // Make the file durable, by one of two calls.
            make(if round % 2 == 0 {
                Call::Fsync { fd }
            } else {
                Call::Fallocate { fd, mode: Mode::SEAL, offset: 0, len: i64::MAX }
            })?;
            Ok(())
        };
        match attempt() {
            Ok(()) => acknowledged += 1,
            Err(error) => {
                errors.push(error);
                break;
            }
        }
    }
    (acknowledged, errors)
}

fn intact(fs: &Fs, round: usize) {
    let open = Call::Open { name: format!("f{round}"), flags: OFlag::O_RDONLY, mode: 0 };
    let fd = number(fs.call(Caller::Privileged, &open)).unwrap() as Fd;
    let read = fs.call(Caller::Privileged, &Call::Pread { fd, offset: 0, len: LEN + 1 });
    assert_eq!(read, Ok(Reply::Data(contents(round))), "file {round}");
    let flags = number(fs.call(Caller::Privileged, &Call::GetXflags { fd })).unwrap() as u32;
    assert_eq!(flags & XFLAG_SEALED != 0, round % 2 == 1, "file {round}");
}

/// Each operation of the workload fails once, each in a run of its own.
fn every_operation(kind: Kind, error: Errno, reported: Errno) {
    let (mut runs, mut frozen) = (0, 0);
    for operation in 0.. {
        let mut disk = MemoryDisk::new(90);
        format(&mut disk, &Options { area_blocks: Some(4), ..Options::default() }).unwrap();
        let failing = Failing { disk, kind, left: None, error: error as i32, failed: false };
        let disk = Arc::new(Mutex::new(failing));
        let fs = Fs::mount(Box::new(disk.clone()), 8 * BLOCK, false).unwrap();
        disk.lock().unwrap().left = Some(operation);
        let (mut acknowledged, errors) = work(&fs);
        if !disk.lock().unwrap().failed {
            assert_eq!((acknowledged, errors), (FILES, Vec::new()));
            assert!(runs > 3, "{runs} operations of {kind:?}");
            assert_eq!(frozen > 0, kind == Kind::Flush);
            return;
        }
        runs += 1;
        for (call, errno) in &errors {
            assert_eq!(*errno, reported, "{call}, operation {operation} of {kind:?}");
        }
        // After a failed flush of data, the contents of the disk are unknown. A snapshot is written again.
        if kind == Kind::Flush && !errors.is_empty() {
            match fs.call(Caller::Privileged, &Call::Fsync { fd: 3 }) {
                Ok(_) => acknowledged += usize::from(acknowledged % 2 == 0),
                Err(errno) => {
                    assert_eq!(errno, Errno::EIO);
                    assert_eq!(fs.call(Caller::Privileged, &Call::Remount { read_only: false }), Err(Errno::EIO));
                    frozen += 1;
                }
            }
        }
        (0..acknowledged).for_each(|round| intact(&fs, round));
        drop(fs);
        let bytes = disk.lock().unwrap().disk.bytes();
        let mut disk = MemoryDisk::from_bytes(&bytes);
        assert_eq!(check(&mut disk).unwrap().findings, [], "operation {operation} of {kind:?}");
        let fs = Fs::mount(Box::new(disk), 8 * BLOCK, false).unwrap();
        (0..acknowledged).for_each(|round| intact(&fs, round));
    }
}

#[test]
fn writes_that_fail() {
    every_operation(Kind::Write, Errno::EIO, Errno::EIO);
}

#[test]
fn writes_without_space_below() {
    every_operation(Kind::Write, Errno::ENOSPC, Errno::ENOSPC);
}

#[test]
fn flushes_that_fail() {
    every_operation(Kind::Flush, Errno::EIO, Errno::EIO);
}

/// A read fails once, and the file is complete the next time.
#[test]
fn reads_that_fail() {
    let mut disk = MemoryDisk::new(90);
    format(&mut disk, &Options { area_blocks: Some(4), ..Options::default() }).unwrap();
    let disk = Failing { disk, kind: Kind::Read, left: None, error: Errno::EIO as i32, failed: false };
    let disk = Arc::new(Mutex::new(disk));
    let fs = Fs::mount(Box::new(disk.clone()), 8 * BLOCK, false).unwrap();
    work(&fs);
    let open = Call::Open { name: "f0".into(), flags: OFlag::O_RDONLY, mode: 0 };
    let fd = number(fs.call(Caller::Privileged, &open)).unwrap() as Fd;
    disk.lock().unwrap().left = Some(0);
    let read = Call::Pread { fd, offset: 0, len: LEN };
    assert_eq!(fs.call(Caller::Privileged, &read), Err(Errno::EIO));
    (0..FILES).for_each(|round| intact(&fs, round));
}

/// The next fsync(2) repeats a failed write, because its data were kept.
#[test]
fn the_next_fsync_writes_the_rest() {
    let mut disk = MemoryDisk::new(90);
    format(&mut disk, &Options { area_blocks: Some(4), ..Options::default() }).unwrap();
    let disk = Failing { disk, kind: Kind::Write, left: None, error: Errno::EIO as i32, failed: false };
    let disk = Arc::new(Mutex::new(disk));
    let fs = Fs::mount(Box::new(disk.clone()), 64 * BLOCK, false).unwrap();
    let flags = OFlag::O_RDWR | OFlag::O_CREAT;
    let open = Call::Open { name: "f0".into(), flags, mode: 0o600 };
    let fd = number(fs.call(Caller::Privileged, &open)).unwrap() as Fd;
    fs.call(Caller::Privileged, &Call::Pwrite { fd, offset: 0, data: contents(0) }).unwrap();
    disk.lock().unwrap().left = Some(0);
    assert_eq!(fs.call(Caller::Privileged, &Call::Fsync { fd }), Err(Errno::EIO));
    assert_eq!(fs.call(Caller::Privileged, &Call::Fsync { fd }), Ok(Reply::Number(0)));
    let bytes = disk.lock().unwrap().disk.bytes();
    intact(&Fs::mount(Box::new(MemoryDisk::from_bytes(&bytes)), 64 * BLOCK, false).unwrap(), 0);
}

/// A long write, which goes past the cache, stays in the cache if the disk refuses it.
#[test]
fn long_writes_that_fail_are_kept_for_the_next_fsync() {
    const LONG: usize = 20;
    for fragmented in [false, true] {
        let mut disk = MemoryDisk::new(90);
        format(&mut disk, &Options { area_blocks: Some(4), ..Options::default() }).unwrap();
        let disk = Failing { disk, kind: Kind::Write, left: None, error: Errno::EIO as i32, failed: false };
        let disk = Arc::new(Mutex::new(disk));
        let fs = Fs::mount(Box::new(disk.clone()), 64 * BLOCK, false).unwrap();
        let open = |name: &str| {
            let open = Call::Open { name: name.into(), flags: OFlag::O_RDWR | OFlag::O_CREAT, mode: 0o600 };
            number(fs.call(Caller::Privileged, &open)).unwrap() as Fd
        };
        let write = |fd, offset: usize, data: &[u8]| {
            let write = Call::Pwrite { fd, offset: offset as i64, data: data.to_vec() };
            assert_eq!(number(fs.call(Caller::Privileged, &write)), Ok(data.len() as i64));
        };
        let (fd, other) = (open("file"), open("other"));
        if fragmented {
            write(fd, 17 * BLOCK, &[1; BLOCK]);
            write(other, 0, &[1; 2 * BLOCK]);
        }
        let data: Vec<u8> = (0..LONG * BLOCK).map(|at| (at / 512 + 1) as u8).collect();
        disk.lock().unwrap().left = Some(0);
        write(fd, 0, &data);
        assert!(disk.lock().unwrap().failed);
        assert_eq!(fs.call(Caller::Privileged, &Call::Fsync { fd }), Ok(Reply::Number(0)));
        let read = |fs: &Fs, fd| fs.call(Caller::Privileged, &Call::Pread { fd, offset: 0, len: data.len() });
        assert_eq!(read(&fs, fd), Ok(Reply::Data(data.clone())));
        let bytes = disk.lock().unwrap().disk.bytes();
        let fs = Fs::mount(Box::new(MemoryDisk::from_bytes(&bytes)), 64 * BLOCK, false).unwrap();
        let open = Call::Open { name: "file".into(), flags: OFlag::O_RDONLY, mode: 0 };
        let fd = number(fs.call(Caller::Privileged, &open)).unwrap() as Fd;
        assert_eq!(read(&fs, fd), Ok(Reply::Data(data.clone())));
    }
}
