//! The unit of storage, and the allocator that says how many own each.

/// The unit of placement, in bytes.
pub const BLOCK: usize = 4096;

/// Where a block lives: its number on the storage.
pub type Address = usize;

/// How many files refer to each block. A block with more than one reference is shared.
#[derive(Clone, Debug)]
pub(crate) struct Allocator {
    references: Vec<u32>,
    free: usize,
    /// No block before this one is free.
    lowest: Address,
}

impl Allocator {
    /// An allocator of blocks with so many references each.
    pub(crate) fn of(references: Vec<u32>) -> Self {
        let free = references.iter().filter(|count| **count == 0).count();
        Self { references, free, lowest: 0 }
    }

    /// The lowest free block, now with one reference. A block just freed is handed out again soon, right
    /// after the commit that frees it: whoever still
    /// writes to it damages its next owner, which is what the suite has to notice.
    pub(crate) fn allocate(&mut self) -> Option<Address> {
        let at = self.lowest + self.references[self.lowest..].iter().position(|count| *count == 0)?;
        self.references[at] = 1;
        (self.free, self.lowest) = (self.free - 1, at + 1);
        Some(at)
    }

    pub(crate) fn share(&mut self, at: Address) {
        self.references[at] += 1;
    }

    pub(crate) fn release(&mut self, at: Address) {
        self.references[at] -= 1;
        if self.references[at] == 0 {
            (self.free, self.lowest) = (self.free + 1, self.lowest.min(at));
        }
    }

    pub(crate) fn references(&self, at: Address) -> u32 {
        self.references[at]
    }

    pub(crate) fn used_from(&self, limit: usize) -> usize {
        self.references.iter().skip(limit).filter(|count| **count > 0).count()
    }

    pub(crate) fn truncate(&mut self, blocks: usize) {
        self.references.truncate(blocks);
        *self = Self::of(std::mem::take(&mut self.references));
    }

    pub(crate) fn free(&self) -> usize {
        self.free
    }
}
