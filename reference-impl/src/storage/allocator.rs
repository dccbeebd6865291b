//! The owners of blocks: a bitmap of free blocks, and the references to blocks with more than one owner.

use crate::units::Address;
use std::collections::BTreeMap;
use std::ops::Range;

/// Bits in a word of the bitmap.
const WORD: usize = u64::BITS as usize;

/// Finds the lowest free block without a search, for storage of any size: each bit of a level says whether a word of
/// the level below has a bit set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocator {
    /// The first level has a bit for each block, set if the block is free. The last level is one word.
    levels: Vec<Vec<u64>>,
    blocks: usize,
    free: usize,
    /// The references beyond the first one, for blocks that have any.
    shared: BTreeMap<Address, u32>,
}

impl Allocator {
    /// An allocator of `blocks` blocks, all of them free.
    pub(crate) fn new(blocks: usize) -> Self {
        let mut levels = vec![ones(blocks)];
        while let Some(words) = levels.last().map(Vec::len).filter(|words| *words > 1) {
            levels.push(ones(words));
        }
        Self { levels, blocks, free: blocks, shared: BTreeMap::new() }
    }

    /// An allocator of blocks with these references.
    pub(crate) fn of(references: &[u32]) -> Self {
        let mut allocator = Self::new(references.len());
        for (at, count) in references.iter().enumerate().filter(|(_, count)| **count > 0) {
            allocator.mark(at, false);
            // Insert the count at once: a block can have as many references as there are files.
            if let more @ 1.. = count - 1 {
                allocator.shared.insert(at, more);
            }
        }
        allocator
    }

    /// The number of files that refer to a block.
    pub(crate) fn references(&self, at: Address) -> u32 {
        let more = || self.shared.get(&at).copied().unwrap_or_default();
        if self.is_free(at) { 0 } else { 1 + if self.shared.is_empty() { 0 } else { more() } }
    }

    /// The lowest free block, now with one reference. A block just freed is handed out again soon, right after the
    /// commit that frees it: a late write to it damages its next owner, and the suite has to notice.
    pub(crate) fn allocate(&mut self) -> Option<Address> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = level.get(at).filter(|word| **word != 0)?;
            at = at * WORD + word.trailing_zeros() as usize;
        }
        self.mark(at, false);
        Some(at)
    }

    /// The lowest free block and the free blocks that follow it, at most `most`. Each has one reference now.
    pub(crate) fn allocate_stretch(&mut self, most: u64) -> Option<Range<Address>> {
        let first = self.allocate()?;
        let mut end = first + 1;
        while ((end - first) as u64) < most && end < self.blocks && self.is_free(end) {
            self.mark(end, false);
            end += 1;
        }
        Some(first..end)
    }

    /// Adds a reference to a block.
    pub(crate) fn share(&mut self, at: Address) {
        *self.shared.entry(at).or_default() += 1;
    }

    /// Drops `times` references to a block, and frees it when none are left.
    pub(crate) fn release(&mut self, at: Address, times: u32) {
        match self.references(at).checked_sub(times) {
            None | Some(0) => {
                self.shared.remove(&at);
                self.mark(at, true);
            }
            Some(1) => _ = self.shared.remove(&at),
            Some(left) => _ = self.shared.insert(at, left - 1),
        }
    }

    /// The number of blocks in use, at or after `limit`.
    pub(crate) fn used_from(&self, limit: usize) -> usize {
        (limit..self.blocks).filter(|at| !self.is_free(*at)).count()
    }

    /// Removes the blocks from number `blocks` on; none of them may be in use.
    pub(crate) fn truncate(&mut self, blocks: usize) {
        let mut smaller = Self::new(blocks.min(self.blocks));
        (0..smaller.blocks).filter(|at| !self.is_free(*at)).for_each(|at| smaller.mark(at, false));
        smaller.shared = std::mem::take(&mut self.shared);
        *self = smaller;
    }

    /// The number of free blocks.
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// The number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    fn is_free(&self, at: Address) -> bool {
        self.levels[0][at / WORD] & 1 << (at % WORD) != 0
    }

    /// Marks a block as free or used. Updates the levels above if a word changes from or to zero.
    fn mark(&mut self, at: Address, free: bool) {
        if self.is_free(at) == free {
            return;
        }
        self.free = if free { self.free + 1 } else { self.free - 1 };
        let mut at = at;
        for level in &mut self.levels {
            let word = &mut level[at / WORD];
            let before = *word;
            *word ^= 1 << (at % WORD);
            if (before == 0) == (*word == 0) {
                return;
            }
            at /= WORD;
        }
    }
}

/// Words with the first `bits` bits set, and no others.
fn ones(bits: usize) -> Vec<u64> {
    let mut words = vec![u64::MAX; bits.div_ceil(WORD)];
    if let Some(last) = words.last_mut().filter(|_| !bits.is_multiple_of(WORD)) {
        *last = (1 << (bits % WORD)) - 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes around one, two and three levels.
    const SIZES: [usize; 8] = [0, 1, 63, 64, 65, 4096, 4097, 300_000];

    #[test]
    fn every_block_is_handed_out_once_and_in_order() {
        for blocks in SIZES {
            let mut allocator = Allocator::new(blocks);
            assert!((0..blocks).all(|at| allocator.allocate() == Some(at)), "{blocks}");
            assert_eq!((allocator.allocate(), allocator.free()), (None, 0), "{blocks}");
            assert_eq!(allocator.allocate_stretch(1), None, "{blocks}");
        }
    }

    #[test]
    fn the_block_just_freed_comes_next() {
        let mut allocator = Allocator::new(10_000);
        while allocator.allocate().is_some() {}
        for at in [9_999, 0, 64, 4_097] {
            allocator.release(at, 1);
            assert_eq!(allocator.free(), 1);
            assert_eq!(allocator.allocate(), Some(at));
        }
    }

    #[test]
    fn a_stretch_ends_before_a_block_in_use() {
        let mut allocator = Allocator::of(&[0, 0, 1, 0, 0, 0]);
        let stretches = [3, 9, 2, 1].map(|most| allocator.allocate_stretch(most));
        assert_eq!(stretches, [Some(0..2), Some(3..6), None, None]);
        assert_eq!(allocator.free(), 0);
        (3..6).for_each(|at| allocator.release(at, 1));
        assert_eq!((allocator.allocate_stretch(2), allocator.references(4), allocator.free()), (Some(3..5), 1, 1));
    }

    #[test]
    fn a_shared_block_is_free_with_its_last_reference() {
        let mut allocator = Allocator::new(2);
        let at = allocator.allocate().unwrap();
        allocator.share(at);
        allocator.share(at);
        for (shared, free) in [(true, 1), (false, 1), (false, 2)] {
            allocator.release(at, 1);
            assert_eq!((allocator.references(at) > 1, allocator.free()), (shared, free));
        }
    }

    #[test]
    fn references_are_as_given() {
        let given = [0, 1, 3, 0, 2, 0];
        let mut allocator = Allocator::of(&given);
        assert_eq!((0..given.len()).map(|at| allocator.references(at)).collect::<Vec<_>>(), given);
        assert_eq!((allocator.free(), allocator.allocate(), allocator.allocate()), (3, Some(0), Some(3)));
        (0..3).for_each(|_| allocator.release(2, 1));
        assert_eq!((allocator.references(2), allocator.allocate()), (0, Some(2)));
    }

    #[test]
    fn giving_up_the_end_keeps_what_is_in_use() {
        let mut allocator = Allocator::new(5_000);
        (0..100).for_each(|_| _ = allocator.allocate());
        allocator.release(7, 1);
        assert_eq!((allocator.used_from(0), allocator.used_from(64)), (99, 36));
        allocator.truncate(200);
        assert_eq!((allocator.free(), allocator.allocate(), allocator.allocate()), (101, Some(7), Some(100)));
    }
}
