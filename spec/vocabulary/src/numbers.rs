//! The provisional numbers of the interface, in one table. `include/iomap_immutable.h` has the same numbers, as a test
//! checks.

/// A provisional number of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The name of the constant in C.
    pub name: &'static str,
    /// The value of the constant.
    pub value: u64,
    /// The header of the kernel with constants of this kind, in `include/uapi/linux`.
    pub header: &'static str,
    /// The beginning of the names of all constants of this kind.
    pub prefix: &'static str,
}

/// The mode of fallocate(2) that seals.
pub const FALLOC_FL_SEAL_BLOCK_MAP: u32 = 0x100;
/// The mode of fallocate(2) that unseals.
pub const FALLOC_FL_UNSEAL_BLOCK_MAP: u32 = 0x200;
/// The flag of a sealed file in FS_IOC_FSGETXATTR and file_getattr(2). 0x00100000 and below are taken.
pub const FS_XFLAG_IOMAP_IMMUTABLE: u32 = 0x4000_0000;
/// The attribute of a sealed file in statx(2). Its bit in the mask says that files of the mount can be sealed.
pub const STATX_ATTR_IOMAP_IMMUTABLE: u64 = 1 << 48;

/// Every provisional number.
pub const NUMBERS: [Number; 4] = [
    number("FALLOC_FL_SEAL_BLOCK_MAP", FALLOC_FL_SEAL_BLOCK_MAP as u64, "falloc.h", "FALLOC_FL_"),
    number("FALLOC_FL_UNSEAL_BLOCK_MAP", FALLOC_FL_UNSEAL_BLOCK_MAP as u64, "falloc.h", "FALLOC_FL_"),
    number("FS_XFLAG_IOMAP_IMMUTABLE", FS_XFLAG_IOMAP_IMMUTABLE as u64, "fs.h", "FS_XFLAG_"),
    number("STATX_ATTR_IOMAP_IMMUTABLE", STATX_ATTR_IOMAP_IMMUTABLE, "stat.h", "STATX_ATTR_"),
];

const fn number(name: &'static str, value: u64, header: &'static str, prefix: &'static str) -> Number {
    Number { name, value, header, prefix }
}
