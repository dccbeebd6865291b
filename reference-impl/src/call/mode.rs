//! The modes of fallocate(2).

use std::fmt;

/// Mode bits of fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Mode {
    /// Allocate, and extend the size: no bit.
    pub const ALLOCATE: Self = Self(0);
    /// FALLOC_FL_KEEP_SIZE.
    pub const KEEP_SIZE: Self = Self(1);
    /// FALLOC_FL_PUNCH_HOLE; only valid with KEEP_SIZE.
    pub const PUNCH_HOLE: Self = Self(1 << 1);
    /// FALLOC_FL_COLLAPSE_RANGE.
    pub const COLLAPSE_RANGE: Self = Self(1 << 3);
    /// FALLOC_FL_ZERO_RANGE.
    pub const ZERO_RANGE: Self = Self(1 << 4);
    /// FALLOC_FL_INSERT_RANGE.
    pub const INSERT_RANGE: Self = Self(1 << 5);
    /// FALLOC_FL_UNSHARE_RANGE.
    pub const UNSHARE_RANGE: Self = Self(1 << 6);
    /// FALLOC_FL_WRITE_ZEROES, since Linux 6.17. The patches of 2017 used this number for sealing: a kernel that has
    /// this mode wipes the range, so the suite never passes it to a kernel.
    pub const WRITE_ZEROES: Self = Self(1 << 7);
    /// FALLOC_FL_SEAL_BLOCK_MAP: provisional, see the page.
    pub const SEAL: Self = Self(iomap_vocabulary::FALLOC_FL_SEAL_BLOCK_MAP);
    /// FALLOC_FL_UNSEAL_BLOCK_MAP: provisional, see the page.
    pub const UNSEAL: Self = Self(iomap_vocabulary::FALLOC_FL_UNSEAL_BLOCK_MAP);

    /// Whether a bit for sealing or unsealing is set.
    pub fn changes_state(self) -> bool {
        self.0 & (Self::SEAL.0 | Self::UNSEAL.0) != 0
    }

    /// Whether every bit has a name.
    pub fn has_name(self) -> bool {
        self.0 & !NAMES.iter().fold(0, |bits, (mode, _)| bits | mode.0) == 0
    }

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Mode {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The bits that have names, with their names.
pub(crate) const NAMES: &[(Mode, &str)] = &[
    (Mode::KEEP_SIZE, "KEEP_SIZE"),
    (Mode::PUNCH_HOLE, "PUNCH_HOLE"),
    (Mode::COLLAPSE_RANGE, "COLLAPSE_RANGE"),
    (Mode::ZERO_RANGE, "ZERO_RANGE"),
    (Mode::INSERT_RANGE, "INSERT_RANGE"),
    (Mode::UNSHARE_RANGE, "UNSHARE_RANGE"),
    (Mode::WRITE_ZEROES, "WRITE_ZEROES"),
    (Mode::SEAL, "SEAL_BLOCK_MAP"),
    (Mode::UNSEAL, "UNSEAL_BLOCK_MAP"),
];

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> =
            NAMES.iter().filter(|(m, _)| self.contains(*m)).map(|(_, name)| format!("FALLOC_FL_{name}")).collect();
        let unnamed = self.0 & !NAMES.iter().fold(0, |bits, (m, _)| bits | m.0);
        match (named.is_empty(), unnamed) {
            (true, 0) => f.write_str("0"),
            (true, bits) => write!(f, "{bits:#x}"),
            (false, 0) => f.write_str(&named.join(" | ")),
            (false, bits) => write!(f, "{} | {bits:#x}", named.join(" | ")),
        }
    }
}
