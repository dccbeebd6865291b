//! The segments of f2fs.

use super::sys::buffer::Aligned;
use iomap_reference::BLOCK;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The number of blocks of a segment.
pub(crate) const SEGMENT: usize = 512;

/// Makes f2fs write small files to another segment from now on.
pub(crate) fn next_segment(directory: &Path) -> std::io::Result<()> {
    // The number of blocks of one write that f2fs still writes to the segments of small files (DEF_MIN_HOT_BLOCKS).
    const LITTLE: usize = 16;
    let path = directory.join("next-segment");
    let mut next = File::create_new(&path)?;
    for _ in 0..2 * SEGMENT / LITTLE {
        next.write_all(&[1; LITTLE * BLOCK])?;
        next.sync_data()?;
    }
    std::fs::remove_file(&path)
}

/// `main_blkaddr` and `segment_count_main` of struct f2fs_super_block, which begins at byte 1024 and has them at its
/// bytes 92 and 68.
pub(crate) fn main_area(image: &File) -> std::io::Result<(u64, usize)> {
    let mut block = Aligned::new(BLOCK);
    std::os::unix::fs::FileExt::read_exact_at(image, block.get_mut(), 0)?;
    let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| block.get()[1024 + at + byte]));
    Ok((number(92).into(), number(68) as usize))
}
