//! The ways to bring a file into the state and to take it out: one row for each mechanism.

use crate::filesystem::FsKind;
use crate::verdict::Trouble;
use iomap_clauses::Errno;
use iomap_reference::{BLOCK, Call, FLAG_IMMUTABLE, Fd, Mode, STATX_SEALED, XFLAG_IMMUTABLE, XFLAG_SEALED};
use nix::fcntl::OFlag;

/// The unit of the cases: the block size of the file systems that the suite makes, in bytes.
pub(crate) const BLOCK_LEN: i64 = BLOCK as i64;

/// The length of a file, unless its case wants another length, in bytes.
pub(crate) const SIZE: i64 = 4 * BLOCK_LEN;

/// The file of [`Mechanism::DeviceDax`].
pub(crate) const DEVICE: &str = "dax0.0";

/// The length of [`DEVICE`], in bytes.
pub(crate) const DEVICE_LEN: usize = 14 << 20;

/// Makes the call that changes the state of an open file of this size.
type Change = fn(Fd, i64) -> Call;

/// The facts of a mechanism.
struct Row {
    /// The name on the command line and in results.
    name: &'static str,
    about: &'static str,
    /// Whether a file system can have the mechanism.
    fits: fn(FsKind) -> bool,
    /// The calls that bring a file of this size into the state and take it out. `None` for a device: it is always in
    /// the state.
    calls: Option<[Change; 2]>,
    state_bit: Option<u32>,
    statx_bit: Option<u64>,
    access: OFlag,
    refusal: Option<Errno>,
    wants_committed: bool,
    lead: usize,
    header: fn() -> Vec<u8>,
}

macro_rules! mechanisms {
    ($($(#[$about:meta])+ $mechanism:ident: $row:expr;)+) => {
        /// A way to keep the placement of a file, as specified or as mainline has it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
        pub enum Mechanism {
            $($(#[$about])+ $mechanism,)+
        }

        impl Mechanism {
            /// Every mechanism.
            pub const ALL: [Self; [$(stringify!($mechanism)),+].len()] = [$(Self::$mechanism),+];

            fn row(self) -> &'static Row {
                match self {
                    $(Self::$mechanism => const { &$row },)+
                }
            }
        }
    };
}

mechanisms! {
    /// The specified interface.
    Seal: Row {
        name: "seal",
        about: "fallocate(2) with FALLOC_FL_SEAL_BLOCK_MAP, the specified interface",
        calls: Some([seal, unseal]),
        state_bit: Some(XFLAG_SEALED),
        statx_bit: Some(STATX_SEALED),
        refusal: Some(Errno::ETXTBSY),
        ..PLAIN
    };
    /// An active swap file.
    Swapfile: Row {
        name: "swapfile",
        about: "an active swap file, swapon(2)",
        // Swap on a mount of the own server waits for itself: the server needs memory to write what is swapped out.
        fits: |fs| !matches!(fs, FsKind::Devdax | FsKind::Nfs),
        calls: Some([|fd, _| Call::Swapon { fd }, |fd, _| Call::Swapoff { fd }]),
        refusal: Some(Errno::ETXTBSY),
        wants_committed: true,
        lead: SWAP_LEAD,
        header: swap_header,
        ..PLAIN
    };
    /// FS_IMMUTABLE_FL, `chattr +i`.
    ImmutableAttr: Row {
        name: "immutable-attr",
        about: "the immutable attribute, FS_IMMUTABLE_FL",
        calls: Some([
            |fd, _| Call::ChangeFlags { fd, set: FLAG_IMMUTABLE, clear: 0 },
            |fd, _| Call::ChangeFlags { fd, set: 0, clear: FLAG_IMMUTABLE },
        ]),
        state_bit: Some(XFLAG_IMMUTABLE),
        statx_bit: Some(libc::STATX_ATTR_IMMUTABLE as u64),
        access: OFlag::O_RDONLY,
        refusal: Some(Errno::EPERM),
        ..PLAIN
    };
    /// A pinned file of f2fs.
    #[value(name = "f2fs-pin")]
    F2fsPin: Row {
        name: "f2fs-pin",
        about: "a pinned file, F2FS_IOC_SET_PIN_FILE",
        fits: |fs| matches!(fs.family(), FsKind::F2fs),
        calls: Some([|fd, _| Call::Pin { fd, on: true }, |fd, _| Call::Pin { fd, on: false }]),
        ..PLAIN
    };
    /// A device of persistent memory, which is in the state always.
    DeviceDax: Row {
        name: "device-dax",
        about: "a device of persistent memory, /dev/dax0.0",
        fits: |fs| matches!(fs, FsKind::Devdax),
        refusal: Some(Errno::EINVAL),
        // The device is larger than the files of the cases, which lie at its end.
        lead: DEVICE_LEN - SIZE as usize,
        ..PLAIN
    };
}

const PLAIN: Row = Row {
    name: "",
    about: "",
    fits: |fs| !matches!(fs, FsKind::Devdax),
    calls: None,
    state_bit: None,
    statx_bit: None,
    access: OFlag::O_RDWR,
    refusal: None,
    wants_committed: false,
    lead: 0,
    header: Vec::new,
};

impl Mechanism {
    /// Whether a file system can have the mechanism.
    pub fn fits(self, fs: FsKind) -> bool {
        (self.row().fits)(fs)
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// A short description.
    pub fn about(self) -> &'static str {
        self.row().about
    }

    /// The call that brings a file of `size` bytes into the state. For a device, which has no such call, the mechanism
    /// is not offered.
    pub fn enter(self, fd: Fd, size: i64) -> Result<Call, Trouble> {
        self.calls().map(|[enter, _]| enter(fd, size))
    }

    /// The call that takes the file out of the state.
    pub fn leave(self, fd: Fd, size: i64) -> Result<Call, Trouble> {
        self.calls().map(|[_, leave]| leave(fd, size))
    }

    fn calls(self) -> Result<[Change; 2], Trouble> {
        let why = || Trouble::NotOffered("a device is in the state always: no call enters or leaves it".into());
        self.row().calls.ok_or_else(why)
    }

    /// Whether a file is always in the state, so that no call enters or leaves it.
    pub fn is_always_on(self) -> bool {
        self.row().calls.is_none()
    }

    /// The bit of `fsx_xflags` that shows the state, if a bit does.
    pub fn state_bit(self) -> Option<u32> {
        self.row().state_bit
    }

    /// The bit of `stx_attributes` that shows the state, if a bit does.
    pub fn statx_bit(self) -> Option<u64> {
        self.row().statx_bit
    }

    /// The access with which a file in the state can be opened.
    pub fn access(self) -> OFlag {
        self.row().access
    }

    /// The error of a truncation by name to a smaller size in the state, if it fails.
    pub fn refusal(self) -> Option<Errno> {
        self.row().refusal
    }

    /// Whether a fit file may be refused as long as one of its changes is not committed. XFS since 6.18 reports a file
    /// as dirty (IOMAP_F_DIRTY, EINVAL) until the last transaction of its inode is in the log. That transaction may
    /// have changed only times; then the fdatasync(2) in swapon(2) does not wait for it (`ili_datasync_seq`). The time
    /// of the next sync decides which transaction is the last.
    pub fn wants_committed(self) -> bool {
        self.row().wants_committed
    }

    /// The number of bytes at the start of a file that belong to the mechanism. A swap file has there its header and
    /// the one page that it offers. The kernel really swaps to that page, so no case may read or change it.
    pub fn lead(self) -> usize {
        self.row().lead
    }

    /// The contents of the lead of a file.
    pub fn header(self) -> Vec<u8> {
        (self.row().header)()
    }
}

/// FALLOC_FL_SEAL_BLOCK_MAP of a whole file.
pub(crate) fn seal(fd: Fd, size: i64) -> Call {
    Call::Fallocate { fd, mode: Mode::SEAL, offset: 0, len: size.max(1) }
}

/// FALLOC_FL_UNSEAL_BLOCK_MAP of a whole file.
pub(crate) fn unseal(fd: Fd, size: i64) -> Call {
    Call::Fallocate { fd, mode: Mode::UNSEAL, offset: 0, len: size.max(1) }
}

const SWAP_LEAD: usize = 2 * BLOCK;

/// `union swap_header` of <linux/swap.h>: version 1, and page 1 as the last page, so that the file offers one page.
fn swap_header() -> Vec<u8> {
    let mut header = vec![0; SWAP_LEAD];
    let fields: [(usize, u32); 3] = [(1024, 1), (1028, 1), (1032, 0)];
    for (at, value) in fields {
        header[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    header[BLOCK - 10..BLOCK].copy_from_slice(b"SWAPSPACE2");
    header
}
