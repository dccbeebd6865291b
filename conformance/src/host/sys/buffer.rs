//! Memory for O_DIRECT.

use nix::errno::Errno;

/// A buffer whose data begins on a block boundary, as O_DIRECT wants it.
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(len: usize) -> Self {
        Self::over(vec![0; len + iomap_reference::BLOCK], len)
    }

    /// The same for a length that a kernel answered. Fails with ENOMEM.
    pub(crate) fn with_room(len: usize) -> Result<Self, Errno> {
        let mut bytes = Vec::new();
        let all = len.checked_add(iomap_reference::BLOCK).ok_or(Errno::ENOMEM)?;
        bytes.try_reserve_exact(all).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(all, 0);
        Ok(Self::over(bytes, len))
    }

    fn over(bytes: Vec<u8>, len: usize) -> Self {
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
