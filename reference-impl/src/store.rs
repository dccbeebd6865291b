//! Storage: blocks in memory, and the allocator that says who owns them.

/// The unit of placement, in bytes.
pub const BLOCK: usize = 4096;

/// Where a block lives: its number on the storage.
pub type Address = usize;

/// The storage itself: what an agent reaches without asking the file system.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    bytes: Vec<u8>,
}

impl Store {
    pub(crate) fn new(blocks: usize) -> Self {
        Self { bytes: vec![0; blocks * BLOCK] }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.bytes.len() / BLOCK
    }

    pub(crate) fn block(&self, at: Address) -> &[u8] {
        &self.bytes[at * BLOCK..(at + 1) * BLOCK]
    }

    pub(crate) fn block_mut(&mut self, at: Address) -> &mut [u8] {
        &mut self.bytes[at * BLOCK..(at + 1) * BLOCK]
    }

    pub(crate) fn truncate(&mut self, blocks: usize) {
        self.bytes.truncate(blocks * BLOCK);
    }

    pub(crate) fn copy(&mut self, from: Address, to: Address) {
        self.bytes.copy_within(from * BLOCK..(from + 1) * BLOCK, to * BLOCK);
    }
}

/// How many files refer to each block. A block with more than one reference is shared.
#[derive(Clone, Debug)]
pub(crate) struct Allocator {
    references: Vec<u16>,
}

impl Allocator {
    pub(crate) fn new(blocks: usize) -> Self {
        Self { references: vec![0; blocks] }
    }

    /// The lowest free block, now with one reference. A block just freed is handed out again soon: whoever still
    /// writes to it damages its next owner, which is what the suite has to notice.
    pub(crate) fn allocate(&mut self) -> Option<Address> {
        let at = self.references.iter().position(|count| *count == 0)?;
        self.references[at] = 1;
        Some(at)
    }

    pub(crate) fn share(&mut self, at: Address) {
        self.references[at] += 1;
    }

    pub(crate) fn release(&mut self, at: Address) {
        self.references[at] -= 1;
    }

    pub(crate) fn is_shared(&self, at: Address) -> bool {
        self.references[at] > 1
    }

    pub(crate) fn used_from(&self, limit: usize) -> usize {
        self.references.iter().skip(limit).filter(|count| **count > 0).count()
    }

    pub(crate) fn truncate(&mut self, blocks: usize) {
        self.references.truncate(blocks);
    }

    pub(crate) fn free(&self) -> usize {
        self.references.iter().filter(|count| **count == 0).count()
    }
}
