//! A loss of power at every write boundary of short workloads, with the results that a volatile cache permits: any
//! subset of the writes since the last flush, in any order, torn at sectors.
//!
//! A twin in memory makes the same calls, and its state is recorded after each. The state that a mount finds after the
//! loss has to be one of these states, not older than the last fsync(2) or sealing that had returned. Data that were
//! overwritten in place since then can be old or new, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const DATA: u64 = 48;
const AREA: u64 = 5;
/// The number of samples at each boundary, for each random kind of survival.
const SAMPLES: usize = 6;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    ino: Ino,
    kind: Kind,
    /// The inode of `..`, for a directory.
    parent: Option<Ino>,
    stat: Stat,
    xflags: u32,
    /// The data; for a symbolic link, the target.
    data: Vec<u8>,
}

/// The files by path.
type Looks = BTreeMap<String, Look>;

/// Every file gets a mode of its own, which distinguishes it from other files of the same name.
fn identity(look: &Look) -> u32 {
    look.stat.mode
}

fn root() -> &'static Credentials {
    Caller::Privileged.credentials()
}

fn look(fs: &Fs) -> Looks {
    let mut looks = Looks::new();
    look_at(fs, Fs::ROOT, "", &mut looks);
    looks
}

fn look_at(fs: &Fs, directory: Ino, path: &str, looks: &mut Looks) {
    let fd = fs.open(root(), directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY).unwrap();
    let (mut names, mut parent) = (Vec::new(), None);
    fs.list(fd, 0, |listed| {
        match listed.name {
            b"." => (),
            b".." => parent = Some(listed.ino),
            name => names.push((String::from_utf8(name.to_vec()).unwrap(), listed.ino, listed.kind)),
        }
        true
    })
    .unwrap();
    let Ok(Reply::Stat(stat)) = fs.call(Caller::Privileged, &Call::Stat { fd }) else { panic!("no fstat of {path:?}") };
    fs.release(fd).unwrap();
    let look = Look {
        ino: directory,
        kind: Kind::Directory,
        parent,
        stat: Stat { atime: 0, ..*stat },
        xflags: 0,
        data: Vec::new(),
    };
    looks.insert(path.to_owned(), look);
    for (name, ino, kind) in names {
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        match kind {
            Kind::Directory => look_at(fs, ino, &path, looks),
            Kind::Regular => _ = looks.insert(path.clone(), look_into(fs, ino, &path)),
            _ => {
                let found = fs.attributes(ino).unwrap();
                let (mode, uid, gid, links, size) = (found.mode, found.uid, found.gid, found.links, found.size);
                let (mtime, ctime, xattrs) = (found.mtime, found.ctime, Vec::new());
                let stat = Stat { mode, uid, gid, links, size, atime: 0, mtime, ctime, xattrs };
                let data = fs.readlink(ino).unwrap_or_default();
                looks.insert(path, Look { ino, kind, parent: None, stat, xflags: 0, data });
            }
        }
    }
}

fn look_into(fs: &Fs, ino: Ino, name: &str) -> Look {
    let fd = fs.open(root(), ino, OFlag::O_RDONLY).unwrap();
    let Ok(Reply::Stat(stat)) = fs.call(Caller::Privileged, &Call::Stat { fd }) else { panic!("no fstat of {name}") };
    let read = Call::Pread { fd, offset: 0, len: stat.size as usize };
    let Ok(Reply::Data(data)) = fs.call(Caller::Privileged, &read) else { panic!("{read} of {name}") };
    let Ok(Reply::Number(xflags)) = fs.call(Caller::Privileged, &Call::GetXflags { fd }) else { panic!("{name}") };
    fs.release(fd).unwrap();
    Look { ino, kind: Kind::Regular, parent: None, stat: Stat { atime: 0, ..*stat }, xflags: xflags as u32, data }
}

/// The state of the twin after a call, and the number of requests to the disk until then.
struct Step {
    call: String,
    looks: Looks,
    events: usize,
    durable: bool,
}

/// Data that must be found after this number of requests to the disk.
struct Fact {
    events: usize,
    identity: u32,
    offset: usize,
    data: Vec<u8>,
}

struct Bench {
    disk: Arc<Mutex<VolatileDisk<MemoryDisk>>>,
    base: Vec<u8>,
    fs: Fs,
    twin: Fs,
    steps: Vec<Step>,
    facts: Vec<Fact>,
    /// The places of a file when it was sealed: the step, the file, its blocks.
    places: Vec<(usize, u32, Vec<Address>)>,
    files: u32,
    random: fastrand::Rng,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut disk = MemoryDisk::new(2 + 2 * AREA + DATA);
        let options = Options { area_blocks: Some(AREA), uuid: [7; 16], ..Options::default() };
        format(&mut disk, &options).unwrap();
        let base = disk.bytes();
        let disk = Arc::new(Mutex::new(VolatileDisk::recording(disk)));
        // A small cache, so that data are written to the disk before a sync.
        let fs = Fs::mount(Box::new(disk.clone()), 8 * BLOCK, false).unwrap();
        let twin = Fs::new(DATA as usize);
        let start = Step { call: "mkfs".into(), looks: look(&twin), events: 0, durable: true };
        let (steps, facts, places, random) = (vec![start], vec![], vec![], fastrand::Rng::with_seed(seed));
        Self { disk, base, fs, twin, steps, facts, places, files: 0, random }
    }

    fn events(&self) -> usize {
        self.disk.lock().unwrap().log().len()
    }

    fn call(&mut self, call: Call) -> Outcome {
        let outcome = self.fs.call(Caller::Privileged, &call);
        assert_eq!(outcome, self.twin.call(Caller::Privileged, &call), "{call}");
        let looks = look(&self.twin);
        let sealed = |looks: &Looks| looks.values().filter(|look| look.xflags & XFLAG_SEALED != 0).count();
        // Sealing a sealed file commits nothing.
        let changed = || sealed(&looks) != sealed(&self.steps[self.steps.len() - 1].looks);
        let durable = match &call {
            Call::Fsync { .. } => true,
            Call::Fallocate { mode, .. } => *mode == Mode::SEAL || *mode == Mode::UNSEAL,
            _ => false,
        };
        let durable = durable && outcome.is_ok() && (matches!(call, Call::Fsync { .. }) || changed());
        self.steps.push(Step { call: call.to_string(), looks, events: self.events(), durable });
        if let Call::Fallocate { fd, mode: Mode::SEAL, .. } = call
            && outcome.is_ok()
        {
            let Ok(Reply::Stat(stat)) = self.fs.call(Caller::Privileged, &Call::Stat { fd }) else { panic!("fstat") };
            let places = self.fs.agent(fd).unwrap().places().to_vec();
            self.places.push((self.steps.len() - 1, stat.mode, places));
        }
        outcome
    }

    /// Makes a call by inode, on both file systems.
    fn act<T: PartialEq + std::fmt::Debug>(&mut self, call: &str, act: impl Fn(&Fs) -> T) -> T {
        let outcome = act(&self.fs);
        assert_eq!(outcome, act(&self.twin), "{call}");
        let (looks, events) = (look(&self.twin), self.events());
        self.steps.push(Step { call: call.into(), looks, events, durable: false });
        outcome
    }

    fn ok(&mut self, call: Call) -> i64 {
        let text = call.to_string();
        match self.call(call) {
            Ok(Reply::Number(number)) => number,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn create(&mut self, name: &str) -> Fd {
        self.files += 1;
        let mode = 0o400 + self.files;
        self.ok(Call::Open { name: name.into(), flags: OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, mode }) as Fd
    }

    /// Bytes that were never written before.
    fn fresh(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.random.u8(1..)).collect()
    }

    fn write(&mut self, fd: Fd, offset: i64, len: usize) {
        let data = self.fresh(len);
        self.ok(Call::Pwrite { fd, offset, data });
    }

    fn fsync(&mut self, fd: Fd) {
        self.ok(Call::Fsync { fd });
    }

    fn fallocate(&mut self, fd: Fd, mode: Mode, offset: i64, len: i64) {
        self.ok(Call::Fallocate { fd, mode, offset, len });
    }

    fn seal(&mut self, fd: Fd) {
        self.fallocate(fd, Mode::SEAL, 0, i64::MAX);
    }

    fn unseal(&mut self, fd: Fd) {
        self.fallocate(fd, Mode::UNSEAL, 0, i64::MAX);
    }

    fn agent_writes(&mut self, fd: Fd, identity: u32, offset: usize) {
        let data = self.fresh(BLOCK);
        for fs in [&self.fs, &self.twin] {
            fs.agent(fd).unwrap().write(offset, &data);
        }
        let (looks, events) = (look(&self.twin), self.events());
        self.steps.push(Step { call: "an agent writes".into(), looks, events, durable: false });
        self.facts.push(Fact { events, identity, offset, data });
    }

    /// Cuts the power at every boundary. Returns the number of states that were checked.
    fn cut(self) -> usize {
        let log = self.disk.lock().unwrap().log().to_vec();
        let mut random = fastrand::Rng::with_seed(9);
        let mut aftermath = Aftermath::new(self.base.clone());
        let mut states = 0;
        for (done, doing) in log.iter().chain([&Event::Flush]).enumerate() {
            let chances = [Survivors::Blocks, Survivors::Sectors].iter().cycle().take(2 * SAMPLES);
            for survivors in [Survivors::None, Survivors::All].iter().chain(chances) {
                let disk = aftermath.disk(doing, *survivors, |below| random.usize(..below));
                self.verify(disk, done, *survivors);
                states += 1;
            }
            aftermath.done(doing);
        }
        states
    }

    /// Checks the state after a cut at this request of the disk.
    fn verify(&self, mut disk: MemoryDisk, done: usize, survivors: Survivors) {
        let place = || format!("after {done} events ({survivors:?} survive)");
        let report = check(&mut disk).unwrap_or_else(|error| panic!("{}: {error}", place()));
        assert_eq!(report.findings, [], "{}", place());
        let fs = Fs::mount(Box::new(disk), 8 * BLOCK, false).unwrap_or_else(|error| panic!("{}: {error}", place()));
        let found = look(&fs);
        // A call during the cut had not returned: it comes after all finished calls.
        let over = self.steps.iter().rposition(|step| step.events <= done).unwrap();
        let first = self.steps[..=over].iter().rposition(|step| step.durable).unwrap();
        let last = (over + 1).min(self.steps.len() - 1);
        let window = &self.steps[first..=last];
        let calls = || window.iter().map(|step| step.call.as_str()).collect::<Vec<_>>().join("; ");
        let metadata = |looks: &Looks| -> Vec<_> {
            let of = |look: &Look| (look.ino, look.kind, look.parent, look.stat.clone(), look.xflags);
            looks.iter().map(|(name, look)| (name.clone(), of(look))).collect()
        };
        let same = window.iter().any(|step| metadata(&step.looks) == metadata(&found));
        assert!(same, "{}: {:?} was never so in: {}", place(), metadata(&found), calls());
        for (name, look) in &found {
            let versions: Vec<&Look> = window
                .iter()
                .flat_map(|step| step.looks.values().find(|other| identity(other) == identity(look)))
                .collect();
            for (at, byte) in look.data.iter().enumerate() {
                // Bytes that a truncation cuts off may be zeros already while the size is still the old one.
                let known = versions.iter().any(|other| other.data.get(at).copied().unwrap_or_default() == *byte);
                assert!(known, "{}: byte {at} of {name:?} was never {byte} in: {}", place(), calls());
            }
            if look.xflags & XFLAG_SEALED != 0 {
                let open = Call::Open { name: name.clone(), flags: OFlag::O_RDONLY, mode: 0 };
                let Ok(Reply::Number(fd)) = fs.call(Caller::Privileged, &open) else {
                    panic!("{name} cannot be opened")
                };
                let places = fs.agent(fd as Fd).unwrap().places().to_vec();
                let sealings = self.places.iter().filter(|(step, file, _)| *step <= last && *file == identity(look));
                let mut valid = sealings.rev().scan(false, |older, (step, _, places)| {
                    (!std::mem::replace(older, *step <= first)).then_some(places)
                });
                assert!(valid.any(|valid| *valid == places), "{}: {name} moved to {places:?}", place());
            }
        }
        for fact in self.facts.iter().filter(|fact| fact.events <= done) {
            if let Some(look) = found.values().find(|look| identity(look) == fact.identity) {
                // The file may be shorter now; the check of the size is above.
                let there = look.data.get(fact.offset..fact.offset + fact.data.len());
                assert!(there.is_none_or(|there| there == fact.data), "{}: what the agent wrote is lost", place());
            }
        }
    }
}

fn block(number: i64) -> i64 {
    number * BLOCK as i64
}

fn names(t: &mut Bench) {
    let fd = t.create("a");
    t.write(fd, 0, 10_000);
    t.fsync(fd);
    t.ok(Call::Rename { from: "a".into(), to: "b".into(), exchange: false });
    let other = t.create("a");
    t.write(other, 0, 40);
    t.fsync(other);
    t.write(other, 20, 5000);
    t.ok(Call::Link { from: "b".into(), to: "c".into() });
    t.ok(Call::Rename { from: "a".into(), to: "b".into(), exchange: true });
    t.fsync(other);
    t.ok(Call::SetXattr { name: "a".into(), key: "user.k".into(), value: vec![5; 300] });
    t.ok(Call::Rename { from: "a".into(), to: "b".into(), exchange: false });
    t.ok(Call::Unlink { name: "c".into() });
    t.ok(Call::Close { fd });
    t.fsync(other);
    t.ok(Call::RemoveXattr { name: "b".into(), key: "user.k".into() });
    t.ok(Call::Unlink { name: "b".into() });
    t.write(other, 0, 3 * BLOCK);
    t.fsync(other);
}

fn directories(t: &mut Bench) {
    let mkdir = |t: &mut Bench, name: &str| {
        t.files += 1;
        let mode = 0o1000 + t.files;
        t.ok(Call::Mkdir { name: name.into(), mode });
    };
    let rename = |t: &mut Bench, from: &str, to: &str, exchange| {
        t.ok(Call::Rename { from: from.into(), to: to.into(), exchange });
    };
    mkdir(t, "d");
    mkdir(t, "d/e");
    mkdir(t, "d/e/f");
    let a = t.create("d/e/f/a");
    t.write(a, 0, 5000);
    t.fsync(a);
    // Renames from one parent to another: alone, over an empty directory, and over a file.
    rename(t, "d/e/f", "f", false);
    t.ok(Call::Symlink { target: "d/e".into(), name: "f/link".into() });
    mkdir(t, "g");
    mkdir(t, "short");
    t.ok(Call::Rmdir { name: "short".into() });
    t.fsync(a);
    rename(t, "d/e", "g", false);
    let b = t.create("g/b");
    t.write(b, 0, 30);
    rename(t, "g/b", "f/a", false);
    t.ok(Call::Mkfifo { name: "g/fifo".into() });
    t.fsync(b);
    rename(t, "f", "d", true);
    rename(t, "g", "d/g", false);
    t.ok(Call::Close { fd: a });
    // A file that never had a name gets a name.
    t.files += 1;
    let mode = 0o400 + t.files;
    let temporary = |fs: &Fs| fs.temporary(root(), Fs::ROOT, OFlag::O_RDWR, mode).map(|(made, fd)| (made.ino, fd));
    let (ino, fd) = t.act("open with O_TMPFILE", temporary).unwrap();
    t.write(fd, 0, 9000);
    t.fsync(fd);
    let parent = t.act("lookup", |fs| fs.resolve(root(), b"d/g", true)).unwrap();
    t.act("linkat", |fs| fs.link(root(), ino, (parent, b"named")).map(|made| made.links)).unwrap();
    t.fsync(fd);
    // A directory that is removed while it is open.
    mkdir(t, "gone");
    let gone = t.ok(Call::Open { name: "gone".into(), flags: OFlag::O_RDONLY, mode: 0 }) as Fd;
    t.fsync(fd);
    t.ok(Call::Rmdir { name: "gone".into() });
    t.fsync(fd);
    t.ok(Call::Close { fd: gone });
    t.ok(Call::Unlink { name: "d/g/fifo".into() });
    rename(t, "d/g/named", "d/link", false);
    t.ok(Call::Rmdir { name: "d/g".into() });
    mkdir(t, "short");
    t.ok(Call::Rmdir { name: "short".into() });
    t.fsync(fd);
    t.ok(Call::Rmdir { name: "f".into() });
    t.ok(Call::Unlink { name: "d/link".into() });
    t.fsync(b);
}

fn sealing(t: &mut Bench) {
    let fd = t.create("a");
    t.write(fd, 0, 5 * BLOCK + 100);
    t.seal(fd);
    t.write(fd, 1000, 2 * BLOCK);
    t.fsync(fd);
    t.write(fd, block(3), BLOCK);
    t.agent_writes(fd, 0o401, BLOCK * 4);
    let other = t.create("b");
    t.write(other, 0, 12 * BLOCK);
    t.write(fd, 0, 3 * BLOCK);
    t.unseal(fd);
    t.ok(Call::Ftruncate { fd, size: 6000 });
    t.write(fd, block(4), 700);
    t.seal(other);
    t.write(other, 77, 9 * BLOCK);
    t.ok(Call::Unlink { name: "b".into() });
    t.ok(Call::Close { fd: other });
    t.fsync(fd);
}

fn allocation(t: &mut Bench) {
    let fd = t.create("a");
    t.fallocate(fd, Mode::ALLOCATE, 0, block(8));
    t.write(fd, block(2) + 9, BLOCK);
    t.fsync(fd);
    t.fallocate(fd, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, block(1), block(2));
    t.write(fd, block(5), 2 * BLOCK);
    t.fallocate(fd, Mode::ZERO_RANGE, block(4) + 50, block(2));
    t.fsync(fd);
    t.write(fd, 0, 8 * BLOCK);
    t.fsync(fd);
    t.fallocate(fd, Mode::COLLAPSE_RANGE, block(1), block(2));
    t.write(fd, block(1), 2 * BLOCK);
    t.fallocate(fd, Mode::INSERT_RANGE, block(2), block(3));
    t.write(fd, block(5), BLOCK);
    t.ok(Call::Ftruncate { fd, size: 5000 });
    t.ok(Call::Ftruncate { fd, size: block(4) });
    t.write(fd, block(2), 100);
    t.fsync(fd);
}

fn sharing(t: &mut Bench) {
    let (a, b) = (t.create("a"), t.create("b"));
    t.write(a, 0, 6 * BLOCK);
    t.fsync(a);
    t.ok(Call::Clone { from: a, to: b });
    t.write(b, block(1), BLOCK);
    t.fsync(b);
    t.write(a, block(2), 2 * BLOCK);
    // The blocks now belong to `b` alone, but not after a loss of power.
    t.write(b, block(2), 2 * BLOCK);
    t.ok(Call::Ftruncate { fd: a, size: 0 });
    t.write(b, 0, 6 * BLOCK);
    t.fsync(b);
    t.write(a, 0, 4 * BLOCK);
    t.fsync(a);
    t.ok(Call::Exchange { one: a, other: b });
    t.write(a, 0, 2 * BLOCK);
    t.write(b, block(1), BLOCK);
    t.fsync(a);
    let c = t.create("c");
    t.ok(Call::Clone { from: a, to: c });
    t.ok(Call::Dedupe { from: a, from_offset: 0, to: c, to_offset: 0, len: BLOCK });
    t.ok(Call::Unlink { name: "a".into() });
    t.ok(Call::Close { fd: a });
    t.seal(c);
    t.write(c, 0, 2 * BLOCK);
    t.fsync(c);
}

/// More transactions than an area holds, several times.
fn wrapping(t: &mut Bench) {
    let fd = t.create("a");
    t.write(fd, 0, 3 * BLOCK);
    for round in 0..14 {
        t.write(fd, block(round % 5), BLOCK);
        let name = ["b", "c", "d"][round as usize % 3];
        // In the first round the file does not exist.
        let _ = t.call(Call::Unlink { name: name.into() });
        let other = t.create(name);
        t.write(other, 0, 2 * BLOCK);
        t.fsync(fd);
        t.ok(Call::SetXattr { name: "a".into(), key: "user.big".into(), value: vec![round as u8; 3000] });
        t.ok(Call::Close { fd: other });
    }
    t.fsync(fd);
}

/// Writes that are long enough to go past the cache: into holes, and over allocated, shared and own blocks.
fn long(t: &mut Bench) {
    let (a, b) = (t.create("a"), t.create("b"));
    t.write(a, block(3), BLOCK);
    t.write(a, 700, 20 * BLOCK);
    t.fsync(a);
    t.write(a, 0, 18 * BLOCK);
    t.ok(Call::Clone { from: a, to: b });
    t.write(b, block(2), 17 * BLOCK);
    t.write(b, 5, 100);
    t.fsync(b);
    t.write(b, 0, 20 * BLOCK);
    t.ok(Call::Ftruncate { fd: a, size: 0 });
    t.fsync(a);
    t.fallocate(a, Mode::ALLOCATE, 0, block(20));
    t.write(a, block(1), 18 * BLOCK);
    t.seal(b);
    t.write(b, 0, 20 * BLOCK);
    t.ok(Call::Unlink { name: "a".into() });
    t.fsync(b);
}

/// Space that was given up is reused when no other space is left.
fn full(t: &mut Bench) {
    let a = t.create("a");
    t.write(a, 0, 30 * BLOCK);
    let d = t.create("d");
    t.write(d, 0, 40);
    t.fsync(a);
    let b = t.create("b");
    t.write(b, 0, 18 * BLOCK);
    let data = t.fresh(BLOCK);
    assert_eq!(t.call(Call::Pwrite { fd: b, offset: block(18), data }), Err(Errno::ENOSPC));
    t.seal(b);
    t.write(b, 5, 4 * BLOCK);
    t.ok(Call::Ftruncate { fd: a, size: block(4) });
    // The data leave the inode while no block is free before a commit.
    t.write(d, 20, 2000);
    let c = t.create("c");
    t.write(c, 0, 25 * BLOCK);
    t.fsync(b);
    t.ok(Call::Unlink { name: "c".into() });
    t.ok(Call::Close { fd: c });
    t.write(a, block(4), 25 * BLOCK);
    t.fsync(a);
}

/// Random calls in random order.
fn chance(t: &mut Bench) {
    let fds = [t.create("a"), t.create("b"), t.create("c")];
    for _ in 0..60 {
        let (fd, other) = (fds[t.random.usize(..3)], fds[t.random.usize(..3)]);
        let offset = block(t.random.i64(0..6)) + [0, 0, 100][t.random.usize(..3)];
        let len = t.random.usize(1..3 * BLOCK);
        let data = t.fresh(len);
        let allocate = |mode, offset, len| Call::Fallocate { fd, mode, offset: offset - offset % block(1), len };
        let call = match t.random.u8(..16) {
            0 => Call::Fsync { fd },
            1 => allocate(Mode::SEAL, 0, i64::MAX),
            2 => allocate(Mode::UNSEAL, 0, i64::MAX),
            3 => allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, offset, block(2)),
            4 => allocate(Mode::COLLAPSE_RANGE, offset, block(1)),
            5 => allocate(Mode::INSERT_RANGE, offset, block(1)),
            6 => allocate(Mode::ALLOCATE, offset, block(3)),
            7 if fd != other => Call::Clone { from: fd, to: other },
            8 if fd != other => Call::Exchange { one: fd, other },
            9 => Call::Ftruncate { fd, size: offset },
            10 => Call::Rename { from: "a".into(), to: "b".into(), exchange: true },
            11 => Call::Collect,
            12 => Call::Fallocate { fd, mode: Mode::WRITE_ZEROES, offset, len: block(1) },
            _ => Call::Pwrite { fd, offset, data },
        };
        let _ = t.call(call);
    }
}

/// Runs a workload, cuts it at every boundary, and prints the number of cuts.
fn every_boundary(workload: impl Fn(&mut Bench), seed: u64) {
    let mut bench = Bench::new(seed);
    workload(&mut bench);
    let events = bench.events();
    println!("{events} events, {} states", bench.cut());
}

macro_rules! workloads {
    ($($name:ident: $workload:expr, $seed:expr;)*) => { $(#[test] fn $name() { every_boundary($workload, $seed); })* };
}

workloads! {
    power_loss_around_names: names, 1;
    power_loss_around_directories: directories, 11;
    power_loss_around_sealing: sealing, 2;
    power_loss_around_allocation: allocation, 3;
    power_loss_around_sharing: sharing, 4;
    power_loss_around_the_end_of_an_area: wrapping, 5;
    power_loss_on_a_full_disk: full, 6;
    power_loss_around_long_writes: long, 12;
    power_loss_by_chance: chance, 7;
    power_loss_by_other_chance: chance, 8;
    power_loss_by_a_third_chance: chance, 10;
}
