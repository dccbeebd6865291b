//! Damaged and forged images: each is opened or refused, and an opened image must be usable.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tools;

use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use tools::forge::*;
use tools::{Choices, survival::survives};

/// Opens an image and makes a few calls, which are the same for all images. Returns false if the image is refused.
fn opened(bytes: &[u8]) -> bool {
    let mut random = fastrand::Rng::with_seed(3);
    let calls: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(24).collect();
    survives(bytes.to_vec(), &mut Choices::new(&calls))
}

/// The current area in the image of these tests.
const FIRST: usize = 2 * BLOCK;

#[test]
fn the_image_itself() {
    let bytes = image();
    assert_eq!(check(&mut MemoryDisk::from_bytes(&bytes)).unwrap().findings, []);
    assert!(opened(&bytes));
    assert!(records(&bytes, FIRST).len() >= 3);
}

/// Each flipped bit of the metadata is noticed if the bit is used, and has no effect otherwise.
#[test]
fn flipped_bits() {
    let bytes = image();
    let mut random = fastrand::Rng::with_seed(1);
    let mut refused = 0;
    for _ in 0..1500 {
        let mut damaged = bytes.clone();
        damaged[random.usize(..(2 + 2 * AREA) * BLOCK)] ^= 1 << random.u8(..8);
        refused += usize::from(!opened(&damaged));
    }
    assert!(refused > 0);
    // Every byte of each transaction except the last one, which could be an incomplete transaction.
    for record in &records(&bytes, FIRST)[..2] {
        for at in record.clone() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(!opened(&damaged), "byte {} of the transaction at {}", at - record.start, record.start);
        }
    }
    for at in FIRST..FIRST + AREA_HEADER {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(!opened(&damaged), "byte {}", at - FIRST);
    }
}

#[test]
fn truncated() {
    let bytes = image();
    for len in (0..bytes.len()).step_by(BLOCK / 2) {
        assert!(!opened(&bytes[..len]), "{len} bytes");
    }
}

/// Transactions and snapshots with changed contents and correct checksums.
#[test]
fn forged() {
    let bytes = image();
    let mut random = fastrand::Rng::with_seed(2);
    let records = records(&bytes, FIRST);
    let mut count = [0; 2];
    for _ in 0..6000 {
        let mut forged = bytes.clone();
        let record = &records[random.usize(..records.len())];
        for _ in 0..random.usize(1..4) {
            let at = random.usize(record.start + RECORD_HEADER..record.end);
            forged[at] = [0, 1, 0x7f, 0x80, 0xff, random.u8(..)][random.usize(..6)];
        }
        sign(&mut forged, record);
        count[usize::from(opened(&forged))] += 1;
    }
    let snapshot = &bytes[FIRST + BLOCK..][..field(&bytes, FIRST + SNAPSHOT_LEN) as usize];
    for at in 0..snapshot.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let (mut forged, mut snapshot) = (bytes.clone(), snapshot.to_vec());
            snapshot[at] = value;
            put_snapshot(&mut forged, FIRST, &snapshot);
            count[usize::from(opened(&forged))] += 1;
        }
    }
    assert!(count.iter().all(|count| *count > 100), "{count:?} refused and opened");
}

/// Transactions that are left out, repeated, or too long.
#[test]
fn spliced() {
    let bytes = image();
    let records = records(&bytes, FIRST);
    let span = |record: &std::ops::Range<usize>| record.start..record.end.next_multiple_of(BLOCK);
    // Leave a transaction out.
    let mut spliced = bytes.clone();
    spliced.copy_within(span(&records[1]), records[0].start);
    assert!(!opened(&spliced));
    // Repeat a transaction, with its own sequence number and with the next one.
    let mut spliced = bytes.clone();
    let last = records.last().unwrap();
    let after = span(last).end;
    spliced.copy_within(span(last), after);
    assert!(!opened(&spliced));
    let copy = after..after + last.len();
    spliced[after + RECORD_SEQUENCE] += 1;
    sign(&mut spliced, &copy);
    opened(&spliced);
    for len in [u64::MAX, u64::MAX - 51, 1 << 40, (AREA * BLOCK) as u64] {
        let mut forged = bytes.clone();
        forged[last.start + RECORD_LEN..][..8].copy_from_slice(&len.to_le_bytes());
        opened(&forged);
    }
}

/// Recipes of every kind; the fuzzer tries more of them.
#[test]
fn recipes() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut count = [0; 2];
    for _ in 0..1500 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(80).collect();
        let mut choices = Choices::new(&bytes);
        count[usize::from(survives(recipe(&mut choices), &mut choices))] += 1;
    }
    assert!(count.iter().all(|count| *count > 300), "{count:?} refused and opened");
}

fn mounted(bytes: Vec<u8>) -> (Fs, std::sync::Arc<std::sync::Mutex<MemoryDisk>>) {
    let disk = std::sync::Arc::new(std::sync::Mutex::new(MemoryDisk::from_bytes(&bytes)));
    (Fs::mount(Box::new(disk.clone()), 1 << 16, false).unwrap(), disk)
}

/// Numbers so large that counting on would overflow.
#[test]
fn numbers_at_their_ends() {
    let bytes = empty();
    for (copy, other) in [(u64::MAX, u64::MAX - 1), (u64::MAX, 0), (0, u64::MAX)] {
        let mut forged = bytes.clone();
        put_field(&mut forged, 0, SEQUENCE, copy);
        put_field(&mut forged, BLOCK, SEQUENCE, other);
        opened(&forged);
    }
    for generation in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let mut forged = bytes.clone();
        put_field(&mut forged, FIRST, GENERATION, generation);
        assert!(!opened(&forged), "generation {generation}");
    }
    // A snapshot begins with the next inode number, here one byte, and the time.
    let snapshot = &bytes[FIRST + BLOCK..][..field(&bytes, FIRST + SNAPSHOT_LEN) as usize];
    for time in [u128::MAX, u128::MAX - 1] {
        let (mut forged, mut snapshot) = (bytes.clone(), snapshot.to_vec());
        snapshot.splice(2..3, varint(time));
        put_snapshot(&mut forged, FIRST, &snapshot);
        assert!(!opened(&forged), "{time:#x}");
    }
}

/// After each call with extreme numbers, the image can still be mounted.
#[test]
fn as_large_as_can_be() {
    let number = |fs: &Fs, call| match fs.call(Caller::Privileged, &call) {
        Ok(Reply::Number(number)) => number,
        other => panic!("{call}: {other:?}"),
    };
    let create = || Call::Open { name: "new".into(), flags: OFlag::O_RDWR | OFlag::O_CREAT, mode: 0o600 };
    let (last, block) = (i64::MAX - (BLOCK as i64 - 1), BLOCK as i64);
    let clean = |disk: &std::sync::Mutex<MemoryDisk>| {
        let bytes = disk.lock().unwrap().bytes();
        assert_eq!(check(&mut MemoryDisk::from_bytes(&bytes)).unwrap().findings, []);
    };
    for size in [i64::MAX, last + 1, last] {
        let (fs, disk) = mounted(empty());
        let fd = number(&fs, create()) as Fd;
        number(&fs, Call::Ftruncate { fd, size });
        number(&fs, Call::Fsync { fd });
        clean(&disk);
    }
    // Blocks beyond the size can be moved only up to the highest block number.
    let (fs, disk) = mounted(empty());
    let fd = number(&fs, create()) as Fd;
    number(&fs, Call::Ftruncate { fd, size: block });
    number(&fs, Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset: last - block, len: 2 * block - 1 });
    let insert = Call::Fallocate { fd, mode: Mode::INSERT_RANGE, offset: 0, len: block };
    assert_eq!(fs.call(Caller::Privileged, &insert), Err(Errno::EINVAL));
    clean(&disk);
    for size in [0, i64::MAX, 40 * block] {
        let (fs, disk) = mounted(empty());
        assert_eq!(fs.call(Caller::Privileged, &Call::Shrink { size }), Err(Errno::EINVAL), "{size}");
        clean(&disk);
    }
}

/// After requests that a kernel would refuse, the image can still be mounted.
#[test]
fn values_that_no_file_can_have() {
    let (fs, disk) = mounted(empty());
    let (root, place) = (Caller::Privileged.credentials(), (Fs::ROOT, &b"new"[..]));
    assert_eq!(fs.set_xattr(root, Fs::ROOT, b"user.\0", b"", 0), Err(Errno::EINVAL));
    assert_eq!(fs.symlink(root, b"a\0b", place), Err(Errno::EINVAL));
    let fifo = fs.mknod(root, place, Kind::Fifo, 0o600, 5).unwrap();
    assert_eq!(fifo.rdev, 0);
    let fifo = fs.open(root, fifo.ino, OFlag::O_RDWR).unwrap();
    let (_, file) = fs.create(root, (Fs::ROOT, b"file"), OFlag::O_RDWR, 0o600).unwrap();
    fs.write(root, file, 0, b"data").unwrap();
    let exchange = Call::Exchange { one: fifo, other: file };
    assert_eq!(fs.call(Caller::Privileged, &exchange), Err(Errno::EINVAL));
    fs.unmount().unwrap();
    let bytes = disk.lock().unwrap().bytes();
    assert_eq!(check(&mut MemoryDisk::from_bytes(&bytes)).unwrap().findings, []);
}

/// After shrinking, the log has no entries from before, when the storage was larger.
#[test]
fn shrunk() {
    let (fs, disk) = mounted(empty());
    let call = |call: Call| match fs.call(Caller::Privileged, &call) {
        Ok(Reply::Number(number)) => number,
        other => panic!("{call}: {other:?}"),
    };
    let create = |name: &str, blocks: usize| {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let fd = call(Call::Open { name: name.into(), flags, mode: 0o600 }) as Fd;
        call(Call::Pwrite { fd, offset: 0, data: vec![7; blocks * BLOCK] });
        call(Call::Fsync { fd });
        call(Call::Close { fd });
    };
    create("first", 10);
    create("last", 2);
    call(Call::Unlink { name: "first".into() });
    call(Call::Cycle);
    call(Call::Shrink { size: 4 * BLOCK as i64 });
    call(Call::Cycle);
    assert_eq!(fs.space().blocks, 4);
    drop(fs);
    let bytes = disk.lock().unwrap().bytes();
    assert_eq!(check(&mut MemoryDisk::from_bytes(&bytes)).unwrap().findings, []);
}
