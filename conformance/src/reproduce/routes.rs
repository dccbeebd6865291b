//! The other ways to make a call, as expressions of C.

use iomap_reference::Route;

/// The expression for each route. A word in braces stands for an argument of the plain call.
#[rustfmt::skip] // One route, one line.
static ROUTES: &[(Route, &str)] = &[
    (Route::Dsync, "pwritev2({fd}, &(struct iovec){ {data}, {len} }, 1, {offset}, RWF_DSYNC)"),
    (Route::Uncached, "pwritev2({fd}, &(struct iovec){ {data}, {len} }, 1, {offset}, RWF_DONTCACHE)"),
    (Route::Aio, "aio(IOCB_CMD_PWRITE, {fd}, {data}, {len}, {offset})"),
    (Route::Ring, "ring(IORING_OP_WRITE, {fd}, {data}, {len}, {place})"),
    (Route::RingFixed, "ring(IORING_OP_WRITE_FIXED, {fd}, {data}, {len}, {place})"),
    (Route::Splice, "splice_out({fd}, {data}, {len}, {offset}, 0)"),
    (Route::Sendfile, "send_out({fd}, {data}, {len}, {offset})"),
    (Route::Gift, "splice_out({fd}, {data}, {len}, {offset}, SPLICE_F_MOVE)"),
    (Route::Mprotect, "({map} = mmap(NULL, {len}, PROT_READ, MAP_SHARED, {fd}, 0)) == MAP_FAILED ? -1 : mprotect({map}, {len}, PROT_READ | PROT_WRITE)"),
    (Route::Mlock, "({map} = {mapping}) == MAP_FAILED ? -1 : mlock({map}, {len})"),
    (Route::Populate, "({map} = {mapping}) == MAP_FAILED ? -1 : madvise({map}, {len}, MADV_POPULATE_WRITE)"),
    (Route::Userfault, "({map} = {mapping}) == MAP_FAILED ? -1 : write_protect({map}, {len})"),
    (Route::MapSync, "{map} = mmap(NULL, {len}, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, {fd}, 0)"),
    (Route::Mremap, "({map} = {mapping}) == MAP_FAILED ? -1 : ({map} = mremap({map}, {len}, {len}, MREMAP_MAYMOVE | MREMAP_FIXED, mmap(NULL, {len}, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) == MAP_FAILED ? -1 : 0"),
    (Route::Unmapped, "({map} = mmap(NULL, {len} + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, {fd}, 0)) == MAP_FAILED ? -1 : munmap((char *){map} + ({len} + 4095) / 4096 * 4096, 4096)"),
    (Route::ProcessVm, "store_from_process({to}, {data}, {len})"),
    (Route::ProcMem, "store_to_proc_mem({to}, {data}, {len})"),
    (Route::DirectInto, "store_by_direct_read({to}, {data}, {len})"),
    (Route::Fork, "store_by_child({to}, {data}, {len})"),
    (Route::Flush, "store_and_flush({to}, {data}, {len})"),
    (Route::XfsReserve, "ioctl({fd}, XFS_IOC_RESVSP64, &(struct xfs_flock64){ .l_start = {offset}, .l_len = {len} })"),
    (Route::XfsUnreserve, "ioctl({fd}, XFS_IOC_UNRESVSP64, &(struct xfs_flock64){ .l_start = {offset}, .l_len = {len} })"),
    (Route::XfsZero, "ioctl({fd}, XFS_IOC_ZERO_RANGE, &(struct xfs_flock64){ .l_start = {offset}, .l_len = {len} })"),
    (Route::XfsExchange, "ioctl({other}, XFS_IOC_EXCHANGE_RANGE, &(struct xfs_exchange_range){ .file1_fd = {fd}, .length = file_size({fd}) })"),
    (Route::Ext4Move, "ioctl({fd}, EXT4_IOC_MOVE_EXT, &(struct move_extent){ .donor_fd = {other}, .len = (file_size({fd}) + 4095) / 4096 })"),
    (Route::Ext4Boot, "ioctl({fd}, EXT4_IOC_SWAP_BOOT)"),
    (Route::Ext4Migrate, "change_flags({fd}, 0, FS_EXTENT_FL) ?: ioctl({fd}, EXT4_IOC_MIGRATE)"),
    (Route::XfsFsr, "run(\"xfs_fsr -v\", {fd})"),
    (Route::E4defrag, "run(\"e4defrag -v\", {fd})"),
    (Route::BtrfsDefragRange, "ioctl({fd}, BTRFS_IOC_DEFRAG_RANGE, &(struct btrfs_ioctl_defrag_range_args){ .len = -1, .flags = BTRFS_DEFRAG_RANGE_COMPRESS | BTRFS_DEFRAG_RANGE_START_IO, .compress_type = 1 })"),
    (Route::F2fsDefragment, "ioctl({fd}, F2FS_IOC_DEFRAGMENT, &(struct f2fs_defragment){ .len = (file_size({fd}) + 4095) / 4096 * 4096 })"),
    (Route::F2fsMove, "ioctl({fd}, F2FS_IOC_MOVE_RANGE, &(struct f2fs_move_range){ .dst_fd = {other}, .len = file_size({fd}) })"),
    (Route::F2fsErase, "ioctl({fd}, F2FS_IOC_SEC_TRIM_FILE, &(struct f2fs_sectrim_range){ {offset}, {len}, F2FS_TRIM_FILE_ZEROOUT })"),
    (Route::F2fsAtomic, "ioctl({fd}, F2FS_IOC_START_ATOMIC_WRITE) ?: pwrite({fd}, {data}, {len}, {offset}) != {len} ? -1 : ioctl({fd}, F2FS_IOC_COMMIT_ATOMIC_WRITE) ?: {len}"),
    (Route::BtrfsProperty, "setxattr(self({fd}), \"btrfs.compression\", \"zlib\", 4, 0)"),
    (Route::ProjectId, "change_attributes({fd}, (struct fsxattr){ .fsx_projid = 42 })"),
    (Route::ExtentSize, "change_attributes({fd}, (struct fsxattr){ .fsx_xflags = FS_XFLAG_EXTSIZE, .fsx_extsize = 65536 })"),
    (Route::CowExtentSize, "change_attributes({fd}, (struct fsxattr){ .fsx_xflags = FS_XFLAG_COWEXTSIZE, .fsx_cowextsize = 65536 })"),
    (Route::Dax, "change_attributes({fd}, (struct fsxattr){ .fsx_xflags = FS_XFLAG_DAX })"),
    (Route::LinkByDescriptor, "linkat(AT_FDCWD, self(open({name}, O_RDONLY)), AT_FDCWD, {to}, AT_SYMLINK_FOLLOW)"),
    (Route::Whiteout, "renameat2(AT_FDCWD, {name}, AT_FDCWD, {to}, RENAME_WHITEOUT)"),
    (Route::Acl, "setxattr({name}, \"system.posix_acl_access\", acl({mode}), 28, 0)"),
    (Route::Fchmod, "fchmod(open({name}, O_RDONLY), {mode})"),
    (Route::Fchown, "fchown(open({name}, O_RDONLY), {uid}, {gid})"),
    (Route::Futimens, "futimens(open({name}, O_RDONLY), (struct timespec[]){ { {atime}, 0 }, { {mtime}, 0 } })"),
    (Route::Now, "utimensat(AT_FDCWD, {name}, (struct timespec[]){ { 0, UTIME_NOW }, { 0, UTIME_NOW } }, 0)"),
    (Route::Fsetxattr, "fsetxattr(open({name}, O_RDONLY), {key}, {data}, {len}, 0)"),
    (Route::Freeze, "ioctl({fd}, FIFREEZE, 0) ?: ioctl({fd}, FITHAW, 0)"),
    (Route::Trim, "ioctl({fd}, FITRIM, &(struct fstrim_range){ .len = -1 })"),
    (Route::SyncRange, "sync_file_range({fd}, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)"),
    (Route::Fadvise, "checked(-posix_fadvise({fd}, 0, 0, POSIX_FADV_DONTNEED))"),
    (Route::BtrfsScrub, "ioctl({fd}, BTRFS_IOC_SCRUB, &(struct btrfs_ioctl_scrub_args){ .devid = 1, .end = -1 })"),
    (Route::BtrfsDestroy, "destroy_subvolume_of({name})"),
    (Route::FileGetattr, "file_attributes({fd})"),
    (Route::BtrfsEncoded, "ioctl({fd}, BTRFS_IOC_ENCODED_WRITE, &(struct btrfs_ioctl_encoded_io_args){ .iov = &(struct iovec){ \"\\x78\\xda\\xed\\xc1\\x01\\x0d\\0\\0\\0\\xc2\\xa0\\xf7\\x4f\\x6d\\x0f\\x07\\x14\\0\\0\\0\\xf0\\x6e\\x10\\0\\0\\x01\", 26 }, .iovcnt = 1, .offset = {offset}, .len = {len}, .unencoded_len = {len}, .compression = BTRFS_ENCODED_IO_COMPRESSION_ZLIB })"),
    (Route::Verity, "ioctl({fd}, FS_IOC_ENABLE_VERITY, &(struct fsverity_enable_arg){ .version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096 })"),
    (Route::Preferred, "swapon(self({fd}), SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK)"),
];

/// The routes that no program has: RDMA needs a library, a namespace another process, and an overlay mounts.
#[cfg(test)]
pub(super) const WITHOUT: [Route; 4] = [Route::Rdma, Route::RdmaRead, Route::Namespace, Route::Overlay];

/// The expressions for routes of reads, if the plain call reads.
#[rustfmt::skip]
static READS: &[(Route, &str)] = &[
    (Route::Aio, "aio(IOCB_CMD_PREAD, {fd}, {data}, {len}, {offset})"),
    (Route::Ring, "ring(IORING_OP_READ, {fd}, {data}, {len}, {offset})"),
    (Route::RingFixed, "ring(IORING_OP_READ_FIXED, {fd}, {data}, {len}, {offset})"),
    (Route::Splice, "splice_in({fd}, {data}, {len}, {offset})"),
    (Route::Sendfile, "send_in({fd}, {data}, {len}, {offset})"),
];

/// The expression for a route with these arguments, if there is one.
pub(super) fn expression(route: Route, reads: bool, arguments: &[(&str, String)]) -> Option<String> {
    let rows = if reads { READS } else { ROUTES };
    let (_, text) = rows.iter().find(|(it, _)| *it == route)?;
    Some(arguments.iter().fold((*text).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_an_expression() {
        let all = Route::all().filter(|route| !WITHOUT.contains(route));
        let without: Vec<_> = all.filter(|route| expression(*route, false, &[]).is_none()).collect();
        assert!(without.is_empty(), "{without:?}");
    }
}
