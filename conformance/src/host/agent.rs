//! The storage agent of this kernel. It accesses the image below, at the places that the file had when the agent was
//! made.
//!
//! The loop device reads and writes the image through the same page cache, so both see each other's bytes at once.

use super::sys::buffer::Aligned;
use super::sys::vfs::{self, FiemapExtent};
use super::{device, proc};
use crate::filesystem::{Addresses, FsKind};
use crate::programs;
use crate::system::StorageAgent;
use crate::verdict::Trouble;
use crate::words;
use std::fs::File;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Access to the storage that a file had when the access was given.
pub(crate) struct BackingAgent {
    image: Arc<File>,
    pieces: Vec<FiemapExtent>,
    chunks: Vec<Chunk>,
    /// The address from which on only the file system can write.
    end: u64,
}

/// A range of btrfs's own addresses, and its place on the device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    start: u64,
    length: u64,
    device: u64,
}

impl BackingAgent {
    pub(crate) fn new(file: BorrowedFd, kind: FsKind, root: &Path, image: Arc<File>) -> Result<Self, Trouble> {
        let mut pieces =
            vfs::fiemap(file).map_err(|errno| Trouble::Setup(format!("FS_IOC_FIEMAP: {}", words::name(errno))))?;
        pieces.retain(|piece| !piece.is_inline());
        let facts = kind.facts();
        let chunks = match facts.addresses {
            Addresses::Chunks => chunks(root)?,
            Addresses::Device => vec![Chunk { start: 0, length: u64::MAX, device: 0 }],
        };
        Ok(Self { image, pieces, chunks, end: device::writable(facts.medium) })
    }

    /// The places of [offset, offset + len) of the file in the image: offset in the buffer, address, length.
    fn spans(&self, offset: i64, len: usize) -> Result<Vec<(usize, u64, usize)>, Trouble> {
        let (from, to) = (offset as u64, offset as u64 + len as u64);
        let mut spans = Vec::new();
        for piece in &self.pieces {
            let (start, end) = (piece.logical.max(from), (piece.logical + piece.length).min(to));
            if start < end {
                let address = self.device(piece.physical + (start - piece.logical))?;
                spans.push(((start - from) as usize, address, (end - start) as usize));
            }
        }
        // Otherwise bytes would be lost without a word.
        let covered: usize = spans.iter().map(|span| span.2).sum();
        match covered == len {
            true => Ok(spans),
            false => Err(Trouble::Setup(format!("the file has storage for {covered} of {len} bytes at {offset}"))),
        }
    }

    fn device(&self, address: u64) -> Result<u64, Trouble> {
        let chunk =
            self.chunks.iter().find(|chunk| (chunk.start..chunk.start.saturating_add(chunk.length)).contains(&address));
        chunk
            .map(|chunk| address - chunk.start + chunk.device)
            .ok_or_else(|| Trouble::Setup(format!("address {address} is in no chunk")))
    }
}

impl StorageAgent for BackingAgent {
    fn span(&self) -> Result<Range<i64>, Trouble> {
        let place = |piece: &FiemapExtent| self.device(piece.physical).map(|start| (start, start + piece.length));
        let places = self.pieces.iter().map(place).collect::<Result<Vec<_>, Trouble>>()?;
        let (start, end) = (places.iter().map(|place| place.0).min(), places.iter().map(|place| place.1).max());
        start.zip(end).map(|(start, end)| start as i64..end as i64).ok_or_else(|| Trouble::Setup("no storage".into()))
    }

    fn read(&self, offset: i64, len: usize) -> Result<Vec<u8>, Trouble> {
        let mut data = vec![0; len];
        for (at, address, count) in self.spans(offset, len)? {
            let mut piece = Aligned::new(count);
            self.image.read_exact_at(piece.get_mut(), address).map_err(io_trouble)?;
            data[at..at + count].copy_from_slice(piece.get());
        }
        Ok(data)
    }

    fn write(&self, offset: i64, data: &[u8]) -> Result<(), Trouble> {
        for (at, address, count) in self.spans(offset, data.len())? {
            if address >= self.end {
                let why =
                    "the file is in a zone that is written from its beginning to its end: no agent can write inside";
                return Err(Trouble::NotOffered(why.into()));
            }
            self.image.write_all_at(Aligned::of(&data[at..at + count]).get(), address).map_err(io_trouble)?;
        }
        Ok(())
    }
}

fn io_trouble(error: std::io::Error) -> Trouble {
    Trouble::Setup(format!("the image: {error}"))
}

/// The chunks of btrfs, from its chunk tree. The suite's file systems have one device and no redundancy of data.
fn chunks(root: &Path) -> Result<Vec<Chunk>, Trouble> {
    let device = proc::mount_of(root)
        .map(|mount| mount.source)
        .ok_or_else(|| Trouble::Setup("the device of the mount is unknown".into()))?;
    let program = programs::find("btrfs").ok_or_else(|| Trouble::Setup("the program btrfs is missing".into()))?;
    let mut command = Command::new(program);
    command.args(["inspect-internal", "dump-tree", "-t", "chunk"]).arg(device);
    let output = programs::within_limit(&mut command).map_err(|failure| Trouble::Setup(failure.into()))?;
    Ok(parse_chunks(&String::from_utf8_lossy(&output)))
}

fn parse_chunks(dump: &str) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for line in dump.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.trim_end_matches(')').parse::<u64>().ok()
        };
        match words.as_slice() {
            // item 1 key (FIRST_CHUNK_TREE CHUNK_ITEM 13631488) itemoff 16105 itemsize 80
            [.., "itemsize", _] if words.contains(&"CHUNK_ITEM") => {
                chunks.extend(after("CHUNK_ITEM").map(|start| Chunk { start, length: 0, device: 0 }));
            }
            // length 8388608 owner 2 stripe_len 65536 type DATA
            ["length", ..] => {
                chunks.iter_mut().last().into_iter().for_each(|c| c.length = after("length").unwrap_or(0))
            }
            // stripe 0 devid 1 offset 13631488
            ["stripe", "0", ..] => {
                chunks.iter_mut().last().into_iter().for_each(|c| c.device = after("offset").unwrap_or(0));
            }
            _ => (),
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_tree_as_btrfs_progs_prints_it() {
        let dump = "\titem 1 key (FIRST_CHUNK_TREE CHUNK_ITEM 13631488) itemoff 16105 itemsize 80\n\
            \t\tlength 8388608 owner 2 stripe_len 65536 type DATA\n\
            \t\tio_align 65536 io_width 65536 sector_size 4096\n\
            \t\tnum_stripes 1 sub_stripes 1\n\
            \t\t\tstripe 0 devid 1 offset 22020096\n\
            \t\t\tdev_uuid 3f1c\n";
        assert_eq!(parse_chunks(dump), [Chunk { start: 13_631_488, length: 8_388_608, device: 22_020_096 }]);
    }
}
