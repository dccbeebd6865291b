//! Memory for O_DIRECT.

/// A buffer whose data begins on a block boundary, as O_DIRECT wants it.
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0_u8; len + iomap_reference::BLOCK];
        let start = bytes.as_ptr().align_offset(iomap_reference::BLOCK).min(iomap_reference::BLOCK);
        Self { bytes, start, len }
    }

    pub(crate) fn of(data: &[u8]) -> Self {
        let mut aligned = Self::new(data.len());
        aligned.get_mut().copy_from_slice(data);
        aligned
    }

    pub(crate) fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}
