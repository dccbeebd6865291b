//! Images, and changes of images that keep checksums correct.

use super::Choices;
use iomap_reference::*;
use nix::fcntl::OFlag;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex};

pub(crate) const AREA: usize = 6;
const DATA: usize = 24;
/// The lengths of the headers of areas and records, and the offsets of their fields. The last four bytes are the
/// checksum.
pub(crate) const AREA_HEADER: usize = 52;
pub(crate) const GENERATION: usize = 24;
const CURRENT: usize = 32;
pub(crate) const SNAPSHOT_CHECKSUM: usize = 36;
pub(crate) const SNAPSHOT_LEN: usize = 40;
pub(crate) const RECORD_HEADER: usize = 52;
pub(crate) const RECORD_LEN: usize = 40;
pub(crate) const RECORD_SEQUENCE: usize = 32;
const SUPERBLOCK: usize = 92;
pub(crate) const SEQUENCE: usize = 32;

fn number(fs: &Fs, call: Call) -> i64 {
    match fs.call(Caller::Privileged, &call) {
        Ok(Reply::Number(number)) => number,
        other => panic!("{call}: {other:?}"),
    }
}

/// An image after some work, in its state after a loss of power.
fn worked(work: impl FnOnce(&Fs)) -> Vec<u8> {
    let disk = Arc::new(Mutex::new(MemoryDisk::new((2 + 2 * AREA + DATA) as u64)));
    let options = Options {
        area_blocks: Some(AREA as u64),
        uuid: *b"0123456789abcdef",
        label: "fuzz".into(),
        ..Options::default()
    };
    format(&mut disk.clone(), &options).unwrap();
    let fs = Fs::mount(Box::new(disk.clone()), 1 << 20, false).unwrap();
    work(&fs);
    drop(fs);
    let disk = disk.lock().unwrap();
    disk.bytes()
}

/// A new image.
pub(crate) fn empty() -> Vec<u8> {
    worked(|_| ())
}

/// An image with every kind of metadata, and a log of several transactions.
pub(crate) fn image() -> Vec<u8> {
    worked(|fs| {
        let create = |name: &str| {
            number(fs, Call::Open { name: name.into(), flags: OFlag::O_RDWR | OFlag::O_CREAT, mode: 0o644 }) as Fd
        };
        let (small, sealed, sparse, clone) = (create("small"), create("sealed"), create("sparse"), create("clone"));
        number(fs, Call::Pwrite { fd: small, offset: 0, data: b"in the inode".to_vec() });
        number(fs, Call::Pwrite { fd: sealed, offset: 0, data: vec![1; 5 * BLOCK] });
        number(fs, Call::Fallocate { fd: sealed, mode: Mode::SEAL, offset: 0, len: i64::MAX });
        number(fs, Call::Pwrite { fd: sparse, offset: 7 * BLOCK as i64, data: vec![2; 2 * BLOCK] });
        number(fs, Call::Fallocate { fd: sparse, mode: Mode::ALLOCATE, offset: 0, len: 2 * BLOCK as i64 });
        number(fs, Call::Clone { from: sparse, to: clone });
        number(fs, Call::SetXattr { name: "sparse".into(), key: "user.k".into(), value: vec![3; 50] });
        number(fs, Call::Link { from: "small".into(), to: "other".into() });
        number(fs, Call::Mkdir { name: "dir".into(), mode: 0o755 });
        number(fs, Call::Mkdir { name: "dir/sub".into(), mode: 0o755 });
        number(fs, Call::Rename { from: "other".into(), to: "dir/sub/other".into(), exchange: false });
        number(fs, Call::Symlink { target: "dir/sub".into(), name: "link".into() });
        number(fs, Call::Fsync { fd: clone });
        number(fs, Call::Rename { from: "dir/sub".into(), to: "sub".into(), exchange: false });
        number(fs, Call::Mkfifo { name: "dir/fifo".into() });
        number(fs, Call::Fsync { fd: clone });
    })
}

/// An image whose second area is current, with files and a directory without names, which only a crash leaves. A
/// snapshot keeps storage, and one file is fragmented.
fn worn() -> Vec<u8> {
    worked(|fs| {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let open = |name: &str, flags| number(fs, Call::Open { name: name.into(), flags, mode: 0o644 }) as Fd;
        let pieces = open("pieces", flags);
        for block in [0, 9, 2, 7, 4] {
            number(fs, Call::Pwrite { fd: pieces, offset: block * BLOCK as i64, data: vec![4; BLOCK] });
        }
        let len = 3 * BLOCK as i64;
        number(fs, Call::Fallocate { fd: pieces, mode: Mode::KEEP_SIZE, offset: 12 * BLOCK as i64, len });
        number(fs, Call::Snapshot);
        number(fs, Call::Pwrite { fd: pieces, offset: 10, data: vec![5; 100] });
        // Repeat until the log continues in the other area.
        for round in 0.. {
            let name = format!("many{round}");
            number(fs, Call::Mkdir { name: name.clone(), mode: 0o755 });
            number(fs, Call::Fsync { fd: pieces });
            if round >= 4 {
                number(fs, Call::Rmdir { name });
                break;
            }
        }
        number(fs, Call::Rename { from: "many1".into(), to: "many0/one".into(), exchange: false });
        number(fs, Call::Rename { from: "many2".into(), to: "many0/one/two".into(), exchange: false });
        number(fs, Call::Link { from: "pieces".into(), to: "many0/one/two/again".into() });
        number(fs, Call::Mkdir { name: "removed".into(), mode: 0o700 });
        open("removed", OFlag::O_RDONLY);
        let gone = open("gone", flags);
        number(fs, Call::Pwrite { fd: gone, offset: 0, data: vec![6; 2 * BLOCK] });
        open(".", OFlag::O_RDWR | OFlag::O_TMPFILE);
        number(fs, Call::Fsync { fd: pieces });
        number(fs, Call::Unlink { name: "gone".into() });
        number(fs, Call::Rmdir { name: "removed".into() });
        number(fs, Call::Fsync { fd: pieces });
    })
}

static IMAGES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| [empty(), image(), worn()]);

pub(crate) fn field(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The places of the transactions in the area that begins at byte `area`. Their lengths can be forged.
pub(crate) fn records(bytes: &[u8], area: usize) -> Vec<Range<usize>> {
    let end = area + AREA * BLOCK;
    let after = |at: usize, len: u64| at + len.min(end as u64) as usize;
    let mut at = after(area + BLOCK, field(bytes, area + SNAPSHOT_LEN)).next_multiple_of(BLOCK);
    let mut records = Vec::new();
    while at < end && bytes[at..].starts_with(b"IOMAPLOG") {
        let record = at..after(at + RECORD_HEADER, field(bytes, at + RECORD_LEN)).min(end);
        at = record.end.next_multiple_of(BLOCK);
        records.push(record);
    }
    records
}

/// Corrects the checksum of a transaction.
pub(crate) fn sign(bytes: &mut [u8], record: &Range<usize>) {
    let header = crc32c::crc32c(&bytes[record.start..record.start + RECORD_HEADER - 4]);
    let sum = crc32c::crc32c_append(header, &bytes[record.start + RECORD_HEADER..record.end]);
    bytes[record.start + RECORD_HEADER - 4..][..4].copy_from_slice(&sum.to_le_bytes());
}

/// Corrects the checksum of the header of an area or of the image.
fn sign_header(bytes: &mut [u8], at: usize) {
    let len = if at < 2 * BLOCK { SUPERBLOCK } else { AREA_HEADER };
    let sum = crc32c::crc32c(&bytes[at..at + len - 4]);
    bytes[at + len - 4..][..4].copy_from_slice(&sum.to_le_bytes());
}

/// Replaces a number in the header of an area or of the image.
pub(crate) fn put_field(bytes: &mut [u8], header: usize, field: usize, number: u64) {
    bytes[header + field..][..8].copy_from_slice(&number.to_le_bytes());
    sign_header(bytes, header);
}

/// Replaces the snapshot in the area that begins at byte `area`, and corrects the checksums.
pub(crate) fn put_snapshot(bytes: &mut [u8], area: usize, snapshot: &[u8]) {
    bytes[area + BLOCK..][..snapshot.len()].copy_from_slice(snapshot);
    bytes[area + SNAPSHOT_LEN..][..8].copy_from_slice(&(snapshot.len() as u64).to_le_bytes());
    bytes[area + SNAPSHOT_CHECKSUM..][..4].copy_from_slice(&crc32c::crc32c(snapshot).to_le_bytes());
    sign_header(bytes, area);
}

/// An image, and its metadata.
struct Forgery {
    bytes: Vec<u8>,
    /// The offset of the current area.
    area: usize,
    /// The snapshot, then the transactions without their headers.
    payloads: Vec<Vec<u8>>,
}

impl Forgery {
    fn of(bytes: Vec<u8>) -> Self {
        let current = |area: &usize| bytes[area + CURRENT] == 1;
        let area = [2 * BLOCK, (2 + AREA) * BLOCK].into_iter().find(current).unwrap();
        let snapshot = area + BLOCK..area + BLOCK + field(&bytes, area + SNAPSHOT_LEN) as usize;
        let records = records(&bytes, area).into_iter().map(|record| record.start + RECORD_HEADER..record.end);
        let payloads = std::iter::once(snapshot).chain(records).map(|range| bytes[range].to_vec()).collect();
        Self { bytes, area, payloads }
    }

    /// Changes bytes of the metadata without knowledge of their meaning.
    fn alter(&mut self, choices: &mut Choices) {
        let count = self.payloads.len();
        let (index, other) = (choices.below(count), choices.below(count));
        let piece = self.payloads[other].clone();
        let payload = &mut self.payloads[index];
        let at = choices.below(payload.len() + 1);
        // Most numbers are one byte.
        let replaced = at..(at + choices.of(&[1, 0, 1, 2, 10])).min(payload.len());
        match choices.below(8) {
            0 | 1 => drop(payload.splice(replaced, [choices.byte()])),
            2 | 3 => drop(payload.splice(replaced, varint(choices.number()))),
            4 => {
                let len = choices.below(48);
                payload.splice(replaced, choices.bytes(len).to_vec());
            }
            5 => drop(payload.drain(at..(at + choices.below(32)).min(payload.len()))),
            6 => {
                let from = choices.below(piece.len() + 1);
                let to = (from + choices.below(512)).min(piece.len());
                payload.splice(at..at, piece[from..to].to_vec());
            }
            // Transactions left out, repeated or reordered; or one with everything repeated.
            _ => match choices.below(4) {
                0 if index > 0 => drop(self.payloads.remove(index)),
                1 => self.payloads.insert(count, piece),
                2 if index > 0 && other > 0 => self.payloads.swap(index, other),
                _ => payload.splice(at..at, piece).for_each(drop),
            },
        }
    }

    /// The image with these metadata, as far as they fit into the area.
    fn written(mut self) -> Vec<u8> {
        let (area, end) = (self.area, self.area + AREA * BLOCK);
        let generation = field(&self.bytes, area + GENERATION);
        self.bytes[area + BLOCK..end].fill(0);
        let snapshot = &mut self.payloads[0];
        snapshot.truncate((AREA - 1) * BLOCK);
        put_snapshot(&mut self.bytes, area, snapshot);
        let mut at = area + BLOCK + snapshot.len().next_multiple_of(BLOCK);
        for (sequence, payload) in (1_u64..).zip(&self.payloads[1..]) {
            let record = at..at + RECORD_HEADER + payload.len();
            if record.end > end {
                break;
            }
            let uuid = &self.bytes[40..56].to_vec();
            let numbers = [generation, sequence, payload.len() as u64].map(u64::to_le_bytes).concat();
            let header = [&b"IOMAPLOG"[..], uuid, &numbers, &[0; 4]].concat();
            self.bytes[record.clone()].copy_from_slice(&[&header, &payload[..]].concat());
            sign(&mut self.bytes, &record);
            at = record.end.next_multiple_of(BLOCK);
        }
        self.bytes
    }
}

/// A number in the encoding of postcard.
pub(crate) fn varint(mut number: u128) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Changes a field of a header, and corrects its checksum.
fn alter_header(bytes: &mut [u8], choices: &mut Choices) {
    let areas = [2 * BLOCK, (2 + AREA) * BLOCK];
    let records: Vec<Range<usize>> = areas.iter().flat_map(|area| records(bytes, *area)).collect();
    let number = choices.number() as u64;
    let mut put = |at: usize, wide: bool| {
        let width = if wide { 8 } else { 4 };
        bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
    };
    match choices.below(8) {
        0..=2 => {
            let (field, wide) =
                choices.of(&[(SEQUENCE, true), (16, true), (24, true), (40, true), (8, false), (12, false)]);
            let both = choices.byte();
            for (copy, at) in [0, BLOCK].into_iter().enumerate() {
                if both & 1 << copy == 0 {
                    put(at + field, wide);
                }
            }
            [0, BLOCK].into_iter().for_each(|at| sign_header(bytes, at));
        }
        3..=5 => {
            let area = choices.of(&areas);
            let (field, wide) = choices.of(&[(GENERATION, true), (SNAPSHOT_LEN, true), (CURRENT, false), (8, true)]);
            put(area + field, wide);
            sign_header(bytes, area);
        }
        _ if records.is_empty() => (),
        _ => {
            let mut record = records[choices.below(records.len())].clone();
            put(record.start + choices.of(&[RECORD_SEQUENCE, RECORD_LEN, GENERATION, 8]), true);
            let len = field(bytes, record.start + RECORD_LEN).min(bytes.len() as u64) as usize;
            record.end = (record.start + RECORD_HEADER + len).min(bytes.len());
            sign(bytes, &record);
        }
    }
}

/// Changes without a correct checksum.
fn damage(bytes: &mut Vec<u8>, choices: &mut Choices) {
    let blocks = bytes.len() / BLOCK;
    let (one, other) = (choices.below(blocks) * BLOCK, choices.below(blocks) * BLOCK);
    match choices.below(8) {
        0..=2 => bytes[one + choices.below(BLOCK)] ^= 1 << choices.below(8),
        3 => bytes[one + choices.below(64)] = choices.byte(),
        4 => bytes.copy_within(one..one + BLOCK, other),
        5 => bytes[one..one + BLOCK].fill(choices.byte()),
        6 => bytes.resize(bytes.len() + choices.below(3) * BLOCK, choices.byte()),
        _ => bytes.truncate(one + choices.below(BLOCK)),
    }
}

/// An image with forged metadata, forged headers, or damage, or with some of each.
pub(crate) fn recipe(choices: &mut Choices) -> Vec<u8> {
    let base = choices.below(IMAGES.len());
    let (forgeries, headers, damages) =
        choices.of(&[(1, 0, 0), (2, 0, 0), (4, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 2, 2), (0, 0, 1)]);
    let mut forgery = Forgery::of(IMAGES[base].clone());
    (0..forgeries).for_each(|_| forgery.alter(choices));
    let mut bytes = forgery.written();
    (0..headers).for_each(|_| alter_header(&mut bytes, choices));
    for _ in 0..damages {
        if bytes.len() >= BLOCK {
            damage(&mut bytes, choices);
        }
    }
    bytes
}
