//! Other ways to make a call. Statements of the specification about a call hold for each of these ways.

use iomap_clauses::*;
use std::fmt;

/// Another way to make a system call. `Call::Via` has the equivalent plain call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says what each is")]
pub enum Route {
    Dsync,
    Uncached,
    Aio,
    Ring,
    RingFixed,
    Splice,
    Sendfile,
    Gift,
    Mprotect,
    Mlock,
    Populate,
    Userfault,
    MapSync,
    Mremap,
    Unmapped,
    ProcessVm,
    ProcMem,
    DirectInto,
    Fork,
    Flush,
    Rdma,
    RdmaRead,
    XfsReserve,
    XfsUnreserve,
    XfsZero,
    XfsExchange,
    Ext4Move,
    Ext4Boot,
    Ext4Migrate,
    XfsFsr,
    E4defrag,
    BtrfsDefragRange,
    BtrfsProperty,
    F2fsDefragment,
    F2fsMove,
    F2fsErase,
    F2fsAtomic,
    ProjectId,
    ExtentSize,
    CowExtentSize,
    Dax,
    LinkByDescriptor,
    Whiteout,
    Acl,
    Fchmod,
    Fchown,
    Futimens,
    Now,
    Fsetxattr,
    Freeze,
    Trim,
    SyncRange,
    Fadvise,
    BtrfsScrub,
    BtrfsDestroy,
    BtrfsEncoded,
    Verity,
    Preferred,
    FileGetattr,
    Namespace,
    Overlay,
}

/// The facts of a route.
struct Row {
    route: Route,
    /// The name in cases and violations.
    id: &'static str,
    /// The actual call, for people.
    text: &'static str,
    /// The clauses that must hold for this way, too.
    clauses: &'static [&'static Clause],
}

const WRITES: &[&Clause] = &[&WRITE_INSIDE, &WRITE_CROSSING, &WRITE_BEYOND];
const READS_AND_WRITES: &[&Clause] = &[&READ_ANY, &WRITE_INSIDE, &WRITE_CROSSING, &WRITE_BEYOND];
const QUEUES: &[&Clause] = &[&READ_ANY, &WRITE_INSIDE, &WRITE_CROSSING, &WRITE_BEYOND, &WRITE_APPEND];
const MAPPED: &[&Clause] = &[&WRITE_MAPPED];
const DEVICES: &[&Clause] = &[&HOLD_REGISTER, &HOLD_REFUSAL, &HOLD_REGISTRATION, &AGENT_MEMORY];
const EXCHANGES: &[&Clause] = &[&SHARE_EXCHANGE, &SHARE_EXCHANGE_OTHER];

#[rustfmt::skip] // One route, one line.
static ROWS: &[Row] = &[
    Row { route: Route::Dsync, id: "dsync", text: "pwritev2(2) with RWF_DSYNC", clauses: WRITES },
    Row { route: Route::Uncached, id: "uncached", text: "pwritev2(2) with RWF_DONTCACHE", clauses: WRITES },
    Row { route: Route::Aio, id: "aio", text: "io_submit(2)", clauses: QUEUES },
    Row { route: Route::Ring, id: "ring", text: "io_uring", clauses: QUEUES },
    Row { route: Route::RingFixed, id: "ring_fixed", text: "io_uring with a registered buffer", clauses: QUEUES },
    Row { route: Route::Splice, id: "splice", text: "splice(2)", clauses: READS_AND_WRITES },
    Row { route: Route::Sendfile, id: "sendfile", text: "sendfile(2)", clauses: READS_AND_WRITES },
    Row { route: Route::Gift, id: "gift", text: "vmsplice(2) with SPLICE_F_GIFT, and splice(2)", clauses: WRITES },
    Row { route: Route::Mprotect, id: "mprotect", text: "PROT_WRITE added by mprotect(2)", clauses: MAPPED },
    Row { route: Route::Mlock, id: "mlock", text: "with mlock(2)", clauses: MAPPED },
    Row { route: Route::Populate, id: "populate", text: "with MADV_POPULATE_WRITE", clauses: MAPPED },
    Row { route: Route::Userfault, id: "userfault", text: "write-protected by userfaultfd(2)", clauses: MAPPED },
    Row { route: Route::MapSync, id: "map_sync", text: "with MAP_SYNC", clauses: MAPPED },
    Row { route: Route::Mremap, id: "mremap", text: "moved by mremap(2)", clauses: MAPPED },
    Row { route: Route::Unmapped, id: "munmap", text: "of which munmap(2) has removed a part", clauses: MAPPED },
    Row { route: Route::ProcessVm, id: "process_vm", text: "process_vm_writev(2)", clauses: MAPPED },
    Row { route: Route::ProcMem, id: "proc_mem", text: "write to /proc/self/mem", clauses: MAPPED },
    Row { route: Route::DirectInto, id: "direct_into", text: "read of another file with O_DIRECT", clauses: MAPPED },
    Row { route: Route::Fork, id: "fork", text: "by a child of fork(2), which has inherited the mapping", clauses: MAPPED },
    Row { route: Route::Flush, id: "flush", text: "store, CLFLUSH and SFENCE", clauses: &[&DURABLE_AGENT] },
    Row { route: Route::Rdma, id: "rdma", text: "ibv_reg_mr(3)", clauses: DEVICES },
    Row { route: Route::RdmaRead, id: "rdma_read", text: "ibv_reg_mr(3) for reading", clauses: &[&HOLD_REGISTRATION] },
    Row { route: Route::XfsReserve, id: "xfs_resvsp", text: "XFS_IOC_RESVSP64", clauses: &[&FALLOCATE_KEEP_BEYOND] },
    Row { route: Route::XfsUnreserve, id: "xfs_unresvsp", text: "XFS_IOC_UNRESVSP64", clauses: &[&FALLOCATE_PUNCH] },
    Row { route: Route::XfsZero, id: "xfs_zero", text: "XFS_IOC_ZERO_RANGE", clauses: &[&FALLOCATE_ZERO] },
    Row { route: Route::XfsExchange, id: "xfs_exchange", text: "XFS_IOC_EXCHANGE_RANGE", clauses: EXCHANGES },
    Row { route: Route::Ext4Move, id: "ext4_move", text: "EXT4_IOC_MOVE_EXT", clauses: EXCHANGES },
    Row { route: Route::Ext4Boot, id: "ext4_boot", text: "EXT4_IOC_SWAP_BOOT", clauses: &[&MOVER_MIGRATE] },
    Row { route: Route::Ext4Migrate, id: "ext4_migrate", text: "EXT4_IOC_MIGRATE", clauses: &[&MOVER_MIGRATE] },
    Row { route: Route::XfsFsr, id: "xfs_fsr", text: "xfs_fsr(8)", clauses: &[&MOVER_DEFRAGMENT] },
    Row { route: Route::E4defrag, id: "e4defrag", text: "e4defrag(8)", clauses: &[&MOVER_DEFRAGMENT] },
    Row { route: Route::BtrfsDefragRange, id: "btrfs_range", text: "BTRFS_IOC_DEFRAG_RANGE with compression", clauses: &[&MOVER_DEFRAGMENT] },
    Row { route: Route::BtrfsProperty, id: "btrfs_property", text: "setxattr(2) of btrfs.compression", clauses: &[&MOVER_ATTRIBUTE] },
    Row { route: Route::F2fsDefragment, id: "f2fs_defragment", text: "F2FS_IOC_DEFRAGMENT", clauses: &[&MOVER_DEFRAGMENT] },
    Row { route: Route::F2fsMove, id: "f2fs_move", text: "F2FS_IOC_MOVE_RANGE", clauses: EXCHANGES },
    Row { route: Route::F2fsErase, id: "f2fs_sec_trim", text: "F2FS_IOC_SEC_TRIM_FILE", clauses: &[&FALLOCATE_ZERO] },
    Row { route: Route::F2fsAtomic, id: "f2fs_atomic", text: "F2FS_IOC_START_ATOMIC_WRITE and F2FS_IOC_COMMIT_ATOMIC_WRITE", clauses: &[&WRITE_ATOMIC] },
    Row { route: Route::ProjectId, id: "project", text: "FS_IOC_FSSETXATTR of the project", clauses: &[&META_PROJECT] },
    Row { route: Route::ExtentSize, id: "extsize", text: "FS_IOC_FSSETXATTR of the extent size hint", clauses: &[&QUERY_OTHERS] },
    Row { route: Route::CowExtentSize, id: "cowextsize", text: "FS_IOC_FSSETXATTR of the hint for copies", clauses: &[&QUERY_OTHERS] },
    Row { route: Route::Dax, id: "dax", text: "FS_IOC_FSSETXATTR with FS_XFLAG_DAX", clauses: &[&MOVER_DAX] },
    Row { route: Route::LinkByDescriptor, id: "descriptor", text: "linkat(2) of /proc/self/fd", clauses: &[&NAME_LINK] },
    Row { route: Route::Whiteout, id: "whiteout", text: "renameat2(2) with RENAME_WHITEOUT", clauses: &[&NAME_RENAME] },
    Row { route: Route::Acl, id: "acl", text: "setxattr(2) of an access control list", clauses: &[&META_CHMOD] },
    Row { route: Route::Fchmod, id: "fchmod", text: "fchmod(2)", clauses: &[&META_CHMOD] },
    Row { route: Route::Fchown, id: "fchown", text: "fchown(2)", clauses: &[&META_CHOWN] },
    Row { route: Route::Futimens, id: "futimens", text: "futimens(3)", clauses: &[&META_UTIMES] },
    Row { route: Route::Now, id: "now", text: "utimensat(2) with UTIME_NOW", clauses: &[&META_UTIMES] },
    Row { route: Route::Fsetxattr, id: "fsetxattr", text: "fsetxattr(2)", clauses: &[&META_XATTR] },
    Row { route: Route::Freeze, id: "freeze", text: "FIFREEZE and FITHAW", clauses: &[&AGENT_WRITES] },
    Row { route: Route::Trim, id: "trim", text: "FITRIM", clauses: &[&AGENT_WRITES] },
    Row { route: Route::SyncRange, id: "sync_range", text: "sync_file_range(2)", clauses: &[&AGENT_WRITES] },
    Row { route: Route::Fadvise, id: "fadvise", text: "posix_fadvise(2) with POSIX_FADV_DONTNEED", clauses: &[&AGENT_WRITES] },
    Row { route: Route::BtrfsScrub, id: "btrfs_scrub", text: "BTRFS_IOC_SCRUB", clauses: &[&AGENT_WRITES] },
    Row { route: Route::BtrfsDestroy, id: "btrfs_destroy", text: "BTRFS_IOC_SNAP_DESTROY of the subvolume", clauses: &[&NAME_UNLINK] },
    Row { route: Route::BtrfsEncoded, id: "btrfs_encoded", text: "BTRFS_IOC_ENCODED_WRITE", clauses: &[&REFUSE_OTHER] },
    Row { route: Route::Verity, id: "verity", text: "FS_IOC_ENABLE_VERITY", clauses: &[&MOVER_VERITY] },
    Row { route: Route::Preferred, id: "preferred", text: "swapon(2) with SWAP_FLAG_PREFER", clauses: &[&SWAP_ON] },
    Row { route: Route::FileGetattr, id: "file_getattr", text: "file_getattr(2)", clauses: &[&QUERY_FILE_GETATTR] },
    Row { route: Route::Namespace, id: "namespace", text: "by root of a user namespace", clauses: &[&SEAL_PRIVILEGE, &UNSEAL_PRIVILEGE] },
    Row { route: Route::Overlay, id: "overlay", text: "through an overlay that is mounted over the file", clauses: &[&FOREIGN_LAYERS, &FOREIGN_REPORT] },
];

impl Route {
    /// Every route.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.route)
    }

    fn row(self) -> &'static Row {
        // Every route has a row, as the test `every_route_has_a_row` shows.
        ROWS.iter().find(|row| row.route == self).unwrap_or(&ROWS[0])
    }

    /// The name in cases and violations.
    pub fn id(self) -> &'static str {
        self.row().id
    }

    /// The clauses that must hold for this way, too.
    pub fn clauses(self) -> &'static [&'static Clause] {
        self.row().clauses
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_row() {
        // The last variant is in the last row, and every row is at the place of its variant.
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(row.route as usize, place, "{:?}", row.route);
        }
        assert_eq!(ROWS.len(), Route::Overlay as usize + 1);
    }
}
