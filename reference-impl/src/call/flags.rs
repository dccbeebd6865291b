//! The flags of files, of FS_IOC_GETFLAGS and FS_IOC_FSGETXATTR.

/// `FS_IMMUTABLE_FL` of FS_IOC_SETFLAGS.
pub const FLAG_IMMUTABLE: u32 = 0x10;
/// `FS_APPEND_FL` of FS_IOC_SETFLAGS.
pub const FLAG_APPEND: u32 = 0x20;
/// `FS_COMPR_FL` of FS_IOC_SETFLAGS.
pub const FLAG_COMPRESS: u32 = 0x04;
/// `FS_JOURNAL_DATA_FL` of FS_IOC_SETFLAGS.
pub const FLAG_JOURNAL: u32 = 0x4000;
/// `FS_VERITY_FL`, which only FS_IOC_ENABLE_VERITY sets.
pub const FLAG_VERITY: u32 = 0x0010_0000;
/// `FS_NOCOW_FL` of FS_IOC_SETFLAGS.
pub const FLAG_NOCOW: u32 = 0x0080_0000;

/// `FS_XFLAG_IMMUTABLE` of FS_IOC_FSGETXATTR.
pub const XFLAG_IMMUTABLE: u32 = 0x08;
/// `FS_XFLAG_APPEND` of FS_IOC_FSGETXATTR.
pub const XFLAG_APPEND: u32 = 0x10;
/// `FS_XFLAG_NODUMP` of FS_IOC_FSGETXATTR.
pub const XFLAG_NODUMP: u32 = 0x80;
/// `FS_XFLAG_IOMAP_IMMUTABLE`: provisional, see the page. 0x00100000 and below are taken.
pub const XFLAG_SEALED: u32 = 0x4000_0000;
/// `STATX_ATTR_IOMAP_IMMUTABLE`: provisional, see the page.
pub const STATX_SEALED: u64 = 1 << 48;
