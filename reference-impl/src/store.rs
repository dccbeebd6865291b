//! Storage: blocks in memory.

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
