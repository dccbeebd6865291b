//! Damaged images, and the conditions that must hold for them: for the tests here and for `fuzz/`.
#![allow(dead_code, reason = "each of them uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod forge;
pub(crate) mod survival;

/// A series of bytes that make decisions. After the last byte, every decision is 0.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let wide = if end > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (wide | usize::from(self.byte())) % end.max(1)
    }

    pub(crate) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number at or near a limit or an overflow.
    pub(crate) fn number(&mut self) -> u128 {
        const BORDERS: [u128; 16] = [
            0,
            64,
            255,
            4096,
            1 << 16,
            1 << 31,
            1 << 32,
            1 << 51,
            1 << 52,
            i64::MAX as u128 / 2,
            i64::MAX as u128,
            u64::MAX as u128,
            i64::MAX as u128 * 2_000_000_000,
            1 << 100,
            i128::MAX as u128,
            u128::MAX,
        ];
        let border = self.of(&BORDERS);
        border.wrapping_add_signed(i128::from(self.byte().cast_signed()))
    }
}
