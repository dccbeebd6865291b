//! Images that are damaged or forged: each is opened or refused, and what can be opened can be worked with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use nix::fcntl::OFlag;

const AREA: usize = 6;
const DATA: usize = 24;
/// Of the headers of areas and records: where their fields are, and how long they are.
const AREA_HEADER: usize = 52;
const SNAPSHOT_CHECKSUM: usize = 36;
const SNAPSHOT_LEN: usize = 40;
const RECORD_HEADER: usize = 52;
const RECORD_LEN: usize = 40;
const RECORD_SEQUENCE: usize = 32;

fn number(fs: &Fs, call: Call) -> i64 {
    match fs.call(Caller::Privileged, &call) {
        Ok(Reply::Number(number)) => number,
        other => panic!("{call}: {other:?}"),
    }
}

/// An image with a bit of everything, and a log of several transactions.
fn image() -> Vec<u8> {
    let disk = std::sync::Arc::new(std::sync::Mutex::new(MemoryDisk::new((2 + 2 * AREA + DATA) as u64)));
    let options = Options {
        area_blocks: Some(AREA as u64),
        uuid: *b"0123456789abcdef",
        label: "fuzz".into(),
        ..Options::default()
    };
    format(&mut disk.clone(), &options).unwrap();
    let fs = Fs::mount(Box::new(disk.clone()), 1 << 20, false).unwrap();
    let create = |name: &str| {
        number(&fs, Call::Open { name: name.into(), flags: OFlag::O_RDWR | OFlag::O_CREAT, mode: 0o644 }) as Fd
    };
    let (small, sealed, sparse, clone) = (create("small"), create("sealed"), create("sparse"), create("clone"));
    number(&fs, Call::Pwrite { fd: small, offset: 0, data: b"in the inode".to_vec() });
    number(&fs, Call::Fsync { fd: small });
    number(&fs, Call::Pwrite { fd: sealed, offset: 0, data: vec![1; 5 * BLOCK] });
    number(&fs, Call::Fallocate { fd: sealed, mode: Mode::SEAL, offset: 0, len: i64::MAX });
    number(&fs, Call::Pwrite { fd: sparse, offset: 7 * BLOCK as i64, data: vec![2; 2 * BLOCK] });
    number(&fs, Call::Fallocate { fd: sparse, mode: Mode::ALLOCATE, offset: 0, len: 2 * BLOCK as i64 });
    number(&fs, Call::Clone { from: sparse, to: clone });
    number(&fs, Call::SetXattr { name: "sparse".into(), key: "user.k".into(), value: vec![3; 50] });
    number(&fs, Call::Link { from: "small".into(), to: "other".into() });
    number(&fs, Call::Mkdir { name: "dir".into(), mode: 0o755 });
    number(&fs, Call::Mkdir { name: "dir/sub".into(), mode: 0o755 });
    number(&fs, Call::Rename { from: "other".into(), to: "dir/sub/other".into(), exchange: false });
    number(&fs, Call::Symlink { target: "dir/sub".into(), name: "link".into() });
    number(&fs, Call::Fsync { fd: clone });
    number(&fs, Call::Rename { from: "dir/sub".into(), to: "sub".into(), exchange: false });
    number(&fs, Call::Mkfifo { name: "dir/fifo".into() });
    number(&fs, Call::Fsync { fd: clone });
    drop(fs);
    disk.lock().unwrap().bytes().to_vec()
}

/// Opens an image or is refused, uses it, and leaves it consistent. True if it could be opened.
fn opened(bytes: &[u8]) -> bool {
    let mut disk = MemoryDisk::from_bytes(bytes.to_vec());
    let report = check(&mut disk);
    let disk = std::sync::Arc::new(std::sync::Mutex::new(disk));
    let fs = match Fs::mount(Box::new(disk.clone()), 1 << 16, false) {
        Ok(fs) => fs,
        Err(error) => {
            assert!(
                report.is_err() || report.is_ok_and(|report| !report.findings.is_empty()),
                "fsck is silent: {error}"
            );
            return false;
        }
    };
    for name in ["small", "sealed", "sparse", "clone", "sub/other", "link/other", "dir/../sub/new", "new"] {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let open = Call::Open { name: name.into(), flags, mode: 0o600 };
        let Ok(Reply::Number(fd)) = fs.call(Caller::Privileged, &open) else { continue };
        let fd = fd as Fd;
        let _ = fs.call(Caller::Privileged, &Call::Pread { fd, offset: 0, len: 1 << 16 });
        let _ = fs.call(Caller::Privileged, &Call::Pwrite { fd, offset: 100, data: vec![9; BLOCK] });
        let _ = fs.call(Caller::Privileged, &Call::Ftruncate { fd, size: 3000 });
        let _ = fs.call(Caller::Privileged, &Call::Seek { fd, offset: 0, whence: Whence::Hole });
        let _ = fs.call(Caller::Privileged, &Call::Fsync { fd });
    }
    for call in [
        Call::Unlink { name: "clone".into() },
        Call::Rename { from: "sub".into(), to: "dir/sub".into(), exchange: false },
        Call::Rename { from: "dir".into(), to: "dir/sub/dir".into(), exchange: false },
        Call::Rename { from: "dir/sub".into(), to: "dir".into(), exchange: true },
        Call::Unlink { name: "dir/fifo".into() },
        Call::Rmdir { name: "dir".into() },
        Call::Mkdir { name: "dir/sub/new".into(), mode: 0o755 },
    ] {
        let _ = fs.call(Caller::Privileged, &call);
    }
    let _ = fs.unmount();
    let mut disk = MemoryDisk::from_bytes(disk.lock().unwrap().bytes().to_vec());
    let after = check(&mut disk).unwrap();
    // Only a copy of the superblock can be wrong in an image that was opened.
    let other = after
        .findings
        .iter()
        .find(|finding| !finding.place.starts_with("block 0") && !finding.place.starts_with("block 1"));
    assert_eq!(other, None);
    true
}

fn field(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where the transactions of area 0 are.
fn records(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let area = 2 * BLOCK;
    let mut at = area + BLOCK + (field(bytes, area + SNAPSHOT_LEN) as usize).next_multiple_of(BLOCK);
    let mut records = Vec::new();
    while bytes[at..].starts_with(b"IOMAPLOG") {
        let end = at + RECORD_HEADER + field(bytes, at + RECORD_LEN) as usize;
        records.push(at..end);
        at = end.next_multiple_of(BLOCK);
    }
    assert!(records.len() >= 3, "{} transactions", records.len());
    records
}

/// Makes the checksum of a transaction right again.
fn sign(bytes: &mut [u8], record: &std::ops::Range<usize>) {
    let header = crc32c::crc32c(&bytes[record.start..record.start + RECORD_HEADER - 4]);
    let sum = crc32c::crc32c_append(header, &bytes[record.start + RECORD_HEADER..record.end]);
    bytes[record.start + RECORD_HEADER - 4..][..4].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn the_image_itself() {
    let bytes = image();
    assert_eq!(check(&mut MemoryDisk::from_bytes(bytes.clone())).unwrap().findings, []);
    assert!(opened(&bytes));
    records(&bytes);
}

/// One bit of the metadata is noticed wherever it is used, and never matters where it is not.
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
    // Every byte of a transaction but the last, which could be one that never became whole.
    for record in &records(&bytes)[..2] {
        for at in record.clone() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(!opened(&damaged), "byte {} of the transaction at {}", at - record.start, record.start);
        }
    }
    for at in (0..AREA_HEADER).map(|at| 2 * BLOCK + at) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(!opened(&damaged), "byte {at}");
    }
}

#[test]
fn truncated() {
    let bytes = image();
    for len in (0..bytes.len()).step_by(BLOCK / 2) {
        assert!(!opened(&bytes[..len]), "{len} bytes");
    }
}

/// Transactions and snapshots with other contents, and checksums that are right.
#[test]
fn forged() {
    let bytes = image();
    let mut random = fastrand::Rng::with_seed(2);
    let records = records(&bytes);
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
    let area = 2 * BLOCK;
    let len = field(&bytes, area + SNAPSHOT_LEN) as usize;
    for at in 0..len {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut forged = bytes.clone();
            forged[area + BLOCK + at] = value;
            let sum = crc32c::crc32c(&forged[area + BLOCK..area + BLOCK + len]);
            forged[area + SNAPSHOT_CHECKSUM..][..4].copy_from_slice(&sum.to_le_bytes());
            let sum = crc32c::crc32c(&forged[area..area + AREA_HEADER - 4]);
            forged[area + AREA_HEADER - 4..][..4].copy_from_slice(&sum.to_le_bytes());
            count[usize::from(opened(&forged))] += 1;
        }
    }
    assert!(count.iter().all(|count| *count > 100), "{count:?} refused and opened");
}

/// Transactions that are left out, repeated, or longer than they can be.
#[test]
fn spliced() {
    let bytes = image();
    let records = records(&bytes);
    let span = |record: &std::ops::Range<usize>| record.start..record.end.next_multiple_of(BLOCK);
    // Left out.
    let mut spliced = bytes.clone();
    spliced.copy_within(span(&records[1]), records[0].start);
    assert!(!opened(&spliced));
    // Repeated, with its own number and with the next.
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
