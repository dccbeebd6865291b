//! The format of an image, and how to make one.
//!
//! All numbers are little-endian; a block has 4096 bytes, and every checksum is CRC32C.
//!
//! | blocks | contents |
//! |---|---|
//! | 0 | superblock |
//! | 1 | its copy, which is written first |
//! | 2 .. 2 + A | metadata area 0 |
//! | 2 + A .. 2 + 2A | metadata area 1 |
//! | 2 + 2A .. | data; addresses of files count from here |
//!
//! A metadata area begins with a block that has a header ([`AreaHeader`]), then comes a snapshot of all metadata, and
//! from the next block on transactions. Each begins with a [`RecordHeader`] on a block of its own. Snapshots and
//! transactions are entries of `log.rs`, one after the other, as postcard writes them.
//!
//! One area is current, the other is retired. A transaction that does not fit begins a snapshot in the other area, with
//! the next generation. There is no mark of a clean unmount: a mount always does what it does after a crash.

use crate::storage::disk::Disk;
use crate::storage::error::ImageError;
use crate::units::BLOCK;
use std::io;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first bytes of an image.
pub const MAGIC: [u8; 8] = *b"IOMAPREF";
const VERSION: u32 = 2;
const AREA_MAGIC: [u8; 8] = *b"IOMAPMET";
const RECORD_MAGIC: [u8; 8] = *b"IOMAPLOG";

/// The block of the first area.
const FIRST_AREA: u64 = 2;
/// The minimum size of an area: a header, a block of snapshot and a block of log.
const LEAST_AREA: u64 = 3;
/// The highest generation, far enough from the maximum that there is always a next one.
const LAST_GENERATION: u64 = u64::MAX >> 1;
/// The longest label, in bytes.
pub const LABEL: usize = 32;

/// The superblock, in block 0 and block 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Superblock {
    magic: [u8; 8],
    version: U32,
    block_size: U32,
    /// The number of blocks of the image, metadata included.
    blocks: U64,
    area_blocks: U64,
    /// A number that grows with each change of the superblock.
    sequence: U64,
    uuid: [u8; 16],
    /// UTF-8, padded with zeros.
    label: [u8; LABEL],
    /// The checksum of all bytes before it.
    checksum: U32,
}

/// The first bytes of a metadata area.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AreaHeader {
    magic: [u8; 8],
    uuid: [u8; 16],
    generation: U64,
    /// 1 if the area is current, 0 if it is retired.
    current: U32,
    /// The checksum of the snapshot.
    snapshot_checksum: U32,
    /// The length of the snapshot in bytes.
    snapshot_len: U64,
    /// The checksum of all bytes before it.
    checksum: U32,
}

/// The first bytes of a transaction.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RecordHeader {
    magic: [u8; 8],
    uuid: [u8; 16],
    generation: U64,
    sequence: U64,
    /// The number of bytes after this header.
    len: U64,
    /// The checksum of all bytes before it and of the bytes after the header.
    checksum: U32,
}

/// Options for a new image.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The label, of at most [`LABEL`] bytes.
    pub label: String,
    /// The number of blocks of each metadata area; by default a share of the image.
    pub area_blocks: Option<u64>,
    /// The identity of the image.
    pub uuid: [u8; 16],
    /// The times of the root directory, in nanoseconds since the epoch.
    pub time: i128,
    /// The owner of the root directory: user and group.
    pub owner: (u32, u32),
}

/// The layout of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) uuid: [u8; 16],
    pub(crate) blocks: u64,
    pub(crate) area_blocks: u64,
}

impl Layout {
    pub(crate) fn area(&self, area: usize) -> u64 {
        FIRST_AREA + area as u64 * self.area_blocks
    }

    pub(crate) fn first_data(&self) -> u64 {
        self.area(2)
    }

    pub(crate) fn data_blocks(&self) -> usize {
        (self.blocks - self.first_data()) as usize
    }

    /// The maximum number of bytes of a snapshot.
    pub(crate) fn capacity(&self) -> u64 {
        (self.area_blocks - 1) * BLOCK as u64
    }

    /// The size of an image with `data` blocks for data, and with areas of `area` blocks.
    pub(crate) fn around(data: u64, area: u64) -> u64 {
        FIRST_AREA + 2 * area + data
    }
}

/// The default size of an area: 1/64 of the image, between 128 KiB and 64 MiB.
pub(crate) fn share(blocks: u64) -> u64 {
    (blocks / 64).clamp(32, 16384)
}

impl Superblock {
    pub(crate) fn new(blocks: u64, options: &Options) -> Result<Self, ImageError> {
        let area_blocks = options.area_blocks.unwrap_or_else(|| share(blocks));
        let mut label = [0; LABEL];
        let bytes = options.label.as_bytes();
        let fits = label.get_mut(..bytes.len());
        let too_long = || ImageError::wrong(0, "label", format!("at most {LABEL} bytes"), bytes.len());
        fits.ok_or_else(too_long)?.copy_from_slice(bytes);
        let superblock = Self {
            magic: MAGIC,
            version: VERSION.into(),
            block_size: (BLOCK as u32).into(),
            blocks: blocks.into(),
            area_blocks: area_blocks.into(),
            sequence: 1.into(),
            uuid: options.uuid,
            label,
            checksum: 0.into(),
        };
        superblock.sealed().validate(0, blocks).map(|_| superblock.sealed())
    }

    /// The superblock with its checksum.
    fn sealed(mut self) -> Self {
        self.checksum = checksum(self.as_bytes()).into();
        self
    }

    /// The superblock of a smaller image.
    pub(crate) fn resized(mut self, blocks: u64) -> Self {
        self.blocks = blocks.into();
        self.sequence = self.sequence.get().wrapping_add(1).into();
        self.sealed()
    }

    /// The layout of a validated superblock.
    pub(crate) fn layout(&self) -> Layout {
        Layout { uuid: self.uuid, blocks: self.blocks.get(), area_blocks: self.area_blocks.get() }
    }

    pub(crate) fn label(&self) -> String {
        String::from_utf8_lossy(&self.label).trim_end_matches('\0').to_owned()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.get()
    }

    /// Checks all numbers of a superblock before they are used.
    fn validate(&self, block: u64, disk: u64) -> Result<Layout, ImageError> {
        let (blocks, area) = (self.blocks.get(), self.area_blocks.get());
        let test = |ok: bool, what, expected: String, found: String| {
            if ok { Ok(()) } else { Err(ImageError::wrong(block, what, expected, found)) }
        };
        let magic = String::from_utf8_lossy(&MAGIC).into_owned();
        test(self.magic == MAGIC, "superblock, magic", magic, format!("{:02x?}", self.magic))?;
        let sum = checksum(self.as_bytes());
        test(self.checksum == sum, "superblock, checksum", hex(sum), hex(self.checksum.get()))?;
        test(self.version == VERSION, "superblock, version", VERSION.to_string(), self.version.to_string())?;
        test(
            self.block_size == BLOCK as u32,
            "superblock, block size",
            BLOCK.to_string(),
            self.block_size.to_string(),
        )?;
        test(blocks <= disk, "superblock, size", format!("at most the {disk} blocks there are"), blocks.to_string())?;
        let most = (blocks.saturating_sub(FIRST_AREA + 1)) / 2;
        let range = format!("{LEAST_AREA} to {most} blocks for an image of {blocks}");
        test((LEAST_AREA..=most).contains(&area), "superblock, metadata area", range, area.to_string())?;
        Ok(self.layout())
    }

    /// Reads one copy of the superblock.
    pub(crate) fn read(disk: &mut dyn Disk, block: u64) -> Result<(Self, Layout), ImageError> {
        if disk.blocks() <= FIRST_AREA {
            return Err(ImageError::wrong(block, "size", "an image", format!("{} blocks", disk.blocks())));
        }
        let data = read(disk, block, 1)?;
        let (superblock, _) = Self::read_from_prefix(&data)
            .map_err(|_| ImageError::wrong(block, "superblock", "a superblock", "less"))?;
        let layout = superblock.validate(block, disk.blocks())?;
        Ok((superblock, layout))
    }

    /// Writes both copies in turn, so that one is valid at any time.
    pub(crate) fn write(&self, disk: &mut dyn Disk) -> io::Result<()> {
        disk.write_fua(1, &padded(self.as_bytes(), &[]))?;
        disk.write_fua(0, &padded(self.as_bytes(), &[]))
    }
}

impl AreaHeader {
    pub(crate) fn new(layout: &Layout, generation: u64, current: bool, snapshot: &[u8]) -> Self {
        let mut header = Self {
            magic: AREA_MAGIC,
            uuid: layout.uuid,
            generation: generation.into(),
            current: u32::from(current).into(),
            snapshot_checksum: crc32c::crc32c(snapshot).into(),
            snapshot_len: (snapshot.len() as u64).into(),
            checksum: 0.into(),
        };
        header.checksum = checksum(header.as_bytes()).into();
        header
    }

    pub(crate) fn read(disk: &mut dyn Disk, layout: &Layout, area: usize) -> Result<Self, ImageError> {
        let block = layout.area(area);
        let data = read(disk, block, 1)?;
        let wrong = |what, expected: String, found: String| Err(ImageError::wrong(block, what, expected, found));
        let Ok((header, _)) = Self::read_from_prefix(&data) else {
            return wrong("area header", "a header".into(), "less".into());
        };
        let sum = checksum(header.as_bytes());
        match () {
            () if header.magic != AREA_MAGIC => {
                let magic = String::from_utf8_lossy(&AREA_MAGIC).into_owned();
                wrong("area header, magic", magic, format!("{:02x?}", header.magic))
            }
            () if header.checksum != sum => wrong("area header, checksum", hex(sum), hex(header.checksum.get())),
            () if header.uuid != layout.uuid => wrong("area header, uuid", uuid(&layout.uuid), uuid(&header.uuid)),
            () if header.generation() > LAST_GENERATION => {
                let most = format!("at most {LAST_GENERATION}");
                wrong("area header, generation", most, header.generation.to_string())
            }
            () if header.snapshot_len.get() > layout.capacity() => {
                let most = format!("at most {} bytes", layout.capacity());
                wrong("area header, length of the snapshot", most, header.snapshot_len.to_string())
            }
            () => Ok(header),
        }
    }

    pub(crate) fn is_current(&self) -> bool {
        self.current == 1
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// The block of the area with the first transaction.
    pub(crate) fn log(&self) -> u64 {
        1 + self.snapshot_len.get().div_ceil(BLOCK as u64)
    }

    pub(crate) fn snapshot(&self, disk: &mut dyn Disk, layout: &Layout, area: usize) -> Result<Vec<u8>, ImageError> {
        let block = layout.area(area) + 1;
        let len = self.snapshot_len.get();
        let mut data = read(disk, block, len.div_ceil(BLOCK as u64))?;
        data.truncate(len as usize);
        let sum = crc32c::crc32c(&data);
        match self.snapshot_checksum == sum {
            true => Ok(data),
            false => Err(ImageError::wrong(block, "snapshot, checksum", hex(self.snapshot_checksum.get()), hex(sum))),
        }
    }

    pub(crate) fn block(&self) -> Vec<u8> {
        padded(self.as_bytes(), &[])
    }
}

impl RecordHeader {
    /// A transaction in the form of the disk.
    pub(crate) fn record(layout: &Layout, generation: u64, sequence: u64, payload: &[u8]) -> Vec<u8> {
        let mut header = Self {
            magic: RECORD_MAGIC,
            uuid: layout.uuid,
            generation: generation.into(),
            sequence: sequence.into(),
            len: (payload.len() as u64).into(),
            checksum: 0.into(),
        };
        header.checksum = header.sum(payload).into();
        padded(header.as_bytes(), payload)
    }

    /// The sequence number of the header in a block, if there is one of this generation.
    pub(crate) fn peek(
        disk: &mut dyn Disk,
        layout: &Layout,
        generation: u64,
        block: u64,
    ) -> Result<Option<u64>, ImageError> {
        let data = read(disk, block, 1)?;
        let header = Self::read_from_prefix(&data).ok().map(|(header, _)| header);
        Ok(header.filter(|header| header.is_of(layout, generation)).map(|header| header.sequence.get()))
    }

    fn is_of(&self, layout: &Layout, generation: u64) -> bool {
        self.magic == RECORD_MAGIC && self.uuid == layout.uuid && self.generation == generation
    }

    fn sum(&self, payload: &[u8]) -> u32 {
        crc32c::crc32c_append(checksum(self.as_bytes()), payload)
    }

    /// The transaction at a block, which is `room` blocks before the end of its area: its sequence number, its payload,
    /// and its number of blocks. `None` if there is no complete transaction of this generation.
    pub(crate) fn read(
        disk: &mut dyn Disk,
        layout: &Layout,
        generation: u64,
        block: u64,
        room: u64,
    ) -> Result<Option<(u64, Vec<u8>, u64)>, ImageError> {
        let mut data = read(disk, block, 1)?;
        let Ok((header, _)) = Self::read_from_prefix(&data) else { return Ok(None) };
        if !header.is_of(layout, generation) {
            return Ok(None);
        }
        let size = size_of::<Self>() as u64;
        let blocks = header.len.get().saturating_add(size).div_ceil(BLOCK as u64);
        if blocks > room {
            return Ok(None);
        }
        data.extend(read(disk, block + 1, blocks - 1)?);
        let payload = data[size as usize..(size + header.len.get()) as usize].to_vec();
        let whole = header.checksum == header.sum(&payload);
        Ok(whole.then_some((header.sequence.get(), payload, blocks)))
    }
}

/// The checksum of a header, whose last field it is; the field itself is not covered.
fn checksum(header: &[u8]) -> u32 {
    crc32c::crc32c(&header[..header.len() - size_of::<U32>()])
}

/// A header and its payload, padded to whole blocks.
fn padded(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut data = [header, payload].concat();
    data.resize(data.len().next_multiple_of(BLOCK), 0);
    data
}

pub(crate) fn read(disk: &mut dyn Disk, block: u64, count: u64) -> Result<Vec<u8>, ImageError> {
    // No caller reads more than an area, and an area fits on the disk.
    let mut data = vec![0; count as usize * BLOCK];
    disk.read(block, &mut data).map_err(|error| ImageError::io(format!("reading block {block}"), error))?;
    Ok(data)
}

fn hex(number: u32) -> String {
    format!("{number:#010x}")
}

/// The usual text form of a uuid.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    let hex = |range: std::ops::Range<usize>| bytes[range].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-")
}
