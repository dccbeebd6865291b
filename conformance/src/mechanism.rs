//! How a file gets into the state, and out of it.

use crate::case::context::SIZE;
use crate::filesystem::FsKind;
use iomap_clauses::Errno;
use iomap_reference::{BLOCK, Call, FLAG_IMMUTABLE, Fd, Mode, XFLAG_IMMUTABLE, XFLAG_SEALED};
use nix::fcntl::OFlag;

/// A way to keep the placement of a file, as specified or as mainline has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mechanism {
    /// The specified interface.
    Seal,
    /// An active swap file.
    Swapfile,
    /// FS_IMMUTABLE_FL, `chattr +i`.
    ImmutableAttr,
    /// A pinned file of f2fs.
    #[value(name = "f2fs-pin")]
    F2fsPin,
    /// A device of persistent memory, which is in the state always.
    DeviceDax,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Self; 5] = [Self::Seal, Self::Swapfile, Self::ImmutableAttr, Self::F2fsPin, Self::DeviceDax];

    /// Whether a file system can have it.
    pub fn fits(self, fs: FsKind) -> bool {
        match self {
            Self::F2fsPin => fs.family() == FsKind::F2fs,
            Self::DeviceDax => fs == FsKind::Devdax,
            Self::Seal | Self::Swapfile | Self::ImmutableAttr => fs != FsKind::Devdax,
        }
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Swapfile => "swapfile",
            Self::ImmutableAttr => "immutable-attr",
            Self::F2fsPin => "f2fs-pin",
            Self::DeviceDax => "device-dax",
        }
    }

    /// What the mechanism is, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Seal => "fallocate(2) with FALLOC_FL_SEAL_BLOCK_MAP, the specified interface",
            Self::Swapfile => "an active swap file, swapon(2)",
            Self::ImmutableAttr => "the immutable attribute, FS_IMMUTABLE_FL",
            Self::F2fsPin => "a pinned file, F2FS_IOC_SET_PIN_FILE",
            Self::DeviceDax => "a device of persistent memory, /dev/dax0.0",
        }
    }

    /// The call that brings a file of so many bytes into the state. A device has none, and no case gets to make it:
    /// see [`Self::is_always_on`].
    pub fn enter(self, fd: Fd, size: i64) -> Call {
        match self {
            Self::Seal | Self::DeviceDax => Call::Fallocate { fd, mode: Mode::SEAL, offset: 0, len: size.max(1) },
            Self::Swapfile => Call::Swapon { fd },
            Self::ImmutableAttr => Call::ChangeFlags { fd, set: FLAG_IMMUTABLE, clear: 0 },
            Self::F2fsPin => Call::Pin { fd, on: true },
        }
    }

    /// The call that takes it out again.
    pub fn leave(self, fd: Fd, size: i64) -> Call {
        match self {
            Self::Seal | Self::DeviceDax => Call::Fallocate { fd, mode: Mode::UNSEAL, offset: 0, len: size.max(1) },
            Self::Swapfile => Call::Swapoff { fd },
            Self::ImmutableAttr => Call::ChangeFlags { fd, set: 0, clear: FLAG_IMMUTABLE },
            Self::F2fsPin => Call::Pin { fd, on: false },
        }
    }

    /// The bit of `fsx_xflags` that shows the state, if one does.
    pub fn state_bit(self) -> Option<u32> {
        match self {
            Self::Seal => Some(XFLAG_SEALED),
            Self::Swapfile | Self::F2fsPin | Self::DeviceDax => None,
            Self::ImmutableAttr => Some(XFLAG_IMMUTABLE),
        }
    }

    /// How a file in the state can be opened anew.
    pub fn access(self) -> OFlag {
        match self {
            Self::Seal | Self::Swapfile | Self::F2fsPin | Self::DeviceDax => OFlag::O_RDWR,
            Self::ImmutableAttr => OFlag::O_RDONLY,
        }
    }

    /// What truncation to a smaller size by name fails with in the state, if it does.
    pub fn refusal(self) -> Option<Errno> {
        match self {
            Self::Seal | Self::Swapfile => Some(Errno::ETXTBSY),
            Self::ImmutableAttr => Some(Errno::EPERM),
            Self::F2fsPin => None,
            Self::DeviceDax => Some(Errno::EINVAL),
        }
    }

    /// Whether a file is in the state from its beginning to its end, so that no call enters or leaves it.
    pub fn is_always_on(self) -> bool {
        self == Self::DeviceDax
    }

    /// Whether a file that is fit may be refused while a change of it is not committed. XFS since 6.18 says that a file
    /// is dirty (IOMAP_F_DIRTY, EINVAL) until the last transaction of its inode is in the log, even if that transaction
    /// changed only times, which the fdatasync(2) in swapon(2) does not wait for (`ili_datasync_seq`). The time of the
    /// next sync decides which transaction is the last.
    pub fn wants_committed(self) -> bool {
        self == Self::Swapfile
    }

    /// How many bytes at the start of a file belong to the mechanism. A swap file has its header there, and the one
    /// page that it offers: the kernel really swaps to that, so no case may look at it, let alone change it. A device is
    /// larger than the files of the cases, which are its end.
    pub fn lead(self) -> usize {
        match self {
            Self::Swapfile => SWAP_LEAD,
            Self::DeviceDax => DEVICE_LEN - SIZE as usize,
            Self::Seal | Self::ImmutableAttr | Self::F2fsPin => 0,
        }
    }

    /// What the lead of a file contains.
    pub fn header(self) -> Vec<u8> {
        match self {
            Self::Swapfile => swap_header(),
            Self::Seal | Self::ImmutableAttr | Self::F2fsPin | Self::DeviceDax => Vec::new(),
        }
    }
}

/// How long the device of [`Mechanism::DeviceDax`] is, in bytes.
pub const DEVICE_LEN: usize = 14 << 20;

const SWAP_LEAD: usize = 2 * BLOCK;

/// `union swap_header` of <linux/swap.h>: version 1, and page 1 the last page, so that one page is offered.
fn swap_header() -> Vec<u8> {
    let mut header = vec![0; SWAP_LEAD];
    let fields: [(usize, u32); 3] = [(1024, 1), (1028, 1), (1032, 0)];
    for (at, value) in fields {
        header[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    header[BLOCK - 10..BLOCK].copy_from_slice(b"SWAPSPACE2");
    header
}
