// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sealing and unsealing files: see include/linux/iomap_immutable.h.
 */
#include "xfs.h"
#include "xfs_fs.h"
#include "xfs_shared.h"
#include "xfs_format.h"
#include "xfs_log_format.h"
#include "xfs_trans_resv.h"
#include "xfs_mount.h"
#include "xfs_inode.h"
#include "xfs_trans.h"
#include "xfs_bmap.h"
#include "xfs_icache.h"
#include "xfs_pnfs.h"
#include "xfs_reflink.h"
#include "xfs_seal.h"

#include <linux/iomap_immutable.h>

/*
 * Is every block there and written, up to the one with the last byte, and is
 * none shared?  IOLOCK and MMAPLOCK keep the answer right: nothing is dirty,
 * and whoever allocates, shares or converts needs one of them.
 */
static int
xfs_seal_check_fit(
	struct xfs_inode	*ip)
{
	xfs_fileoff_t		end = XFS_B_TO_FSB(ip->i_mount, XFS_ISIZE(ip));
	xfs_fileoff_t		next = 0;
	struct xfs_iext_cursor	icur;
	struct xfs_bmbt_irec	got;
	bool			found;
	bool			shared = false;
	int			error;

	xfs_ilock(ip, XFS_ILOCK_EXCL);
	error = xfs_iread_extents(NULL, ip, XFS_DATA_FORK);
	if (error)
		goto out_unlock;

	found = xfs_iext_lookup_extent(ip, &ip->i_df, 0, &icur, &got);
	while (found && next < end) {
		if (got.br_startoff > next || !xfs_bmap_is_written_extent(&got))
			break;
		next = got.br_startoff + got.br_blockcount;
		found = xfs_iext_next_extent(&ip->i_df, &icur, &got);
	}
	error = -EINVAL;
	if (next < end)
		goto out_unlock;

	error = 0;
	if (xfs_is_reflink_inode(ip))
		error = xfs_reflink_inode_has_shared_extents(NULL, ip, &shared);
	if (shared)
		error = -EINVAL;
out_unlock:
	xfs_iunlock(ip, XFS_ILOCK_EXCL);
	return error;
}

/*
 * Take the reflink flag and the CoW fork away from a file that shares nothing
 * any more: a write would use them all the same.
 *
 * This is a transaction of its own: canceling the CoW fork makes it dirty, and
 * then it could not be canceled for a hold that is found later.
 */
static int
xfs_seal_clear_reflink(
	struct xfs_inode	*ip)
{
	struct xfs_mount	*mp = ip->i_mount;
	struct xfs_trans	*tp;
	int			error;

	error = xfs_trans_alloc(mp, &M_RES(mp)->tr_write, 0, 0, 0, &tp);
	if (error)
		return error;

	xfs_ilock(ip, XFS_ILOCK_EXCL);
	xfs_trans_ijoin(tp, ip, 0);

	error = xfs_reflink_cancel_cow_blocks(ip, &tp, 0, XFS_MAX_FILEOFF, true);
	if (error) {
		xfs_trans_cancel(tp);
		goto out_unlock;
	}

	ip->i_diflags2 &= ~XFS_DIFLAG2_REFLINK;
	xfs_inode_clear_cowblocks_tag(ip);
	xfs_trans_log_inode(tp, ip, XFS_ILOG_CORE);
	error = xfs_trans_commit(tp);
out_unlock:
	xfs_iunlock(ip, XFS_ILOCK_EXCL);
	return error;
}

/* Change the state, and return when that is durable. */
static int
xfs_seal_change(
	struct xfs_inode	*ip,
	bool			seal)
{
	struct xfs_mount	*mp = ip->i_mount;
	struct xfs_trans	*tp;
	int			error;

	error = xfs_trans_alloc(mp, &M_RES(mp)->tr_ichange, 0, 0, 0, &tp);
	if (error)
		return error;

	xfs_ilock(ip, XFS_ILOCK_EXCL);
	xfs_trans_ijoin(tp, ip, 0);

	error = seal_set_state(VFS_I(ip), seal);
	if (error) {
		xfs_trans_cancel(tp);
		goto out_unlock;
	}

	/* From here on only a shutdown keeps it from becoming durable. */
	if (seal)
		ip->i_diflags2 |= XFS_DIFLAG2_SEALED;
	else
		ip->i_diflags2 &= ~XFS_DIFLAG2_SEALED;
	xfs_trans_ichgtime(tp, ip, XFS_ICHGTIME_CHG);
	xfs_trans_log_inode(tp, ip, XFS_ILOG_CORE);
	xfs_trans_set_sync(tp);
	error = xfs_trans_commit(tp);
out_unlock:
	xfs_iunlock(ip, XFS_ILOCK_EXCL);
	return error;
}

/*
 * Bring a file into the form in which it can be sealed, as far as no program
 * can see it.  The caller holds IOLOCK and MMAPLOCK.
 */
static int
xfs_seal_settle(
	struct file		*file)
{
	struct xfs_inode	*ip = XFS_I(file_inode(file));
	int			error;

	if (xfs_is_always_cow_inode(ip))
		return -EOPNOTSUPP;

	error = vfs_fsync(file, 0);
	if (error)
		return error;
	error = xfs_seal_check_fit(ip);
	if (error)
		return error;

	/* Do nothing for a file that will not be sealed. */
	error = seal_check_holds(VFS_I(ip));
	if (error)
		return error;
	error = xfs_add_seal_feature(ip->i_mount);
	if (error)
		return error;

	if (xfs_is_reflink_inode(ip))
		return xfs_seal_clear_reflink(ip);
	return 0;
}

/*
 * Wait for the blocks of files that are gone: they may be shared with the file.
 *
 * xfs_inodegc_flush alone can return early, because an unlink elsewhere puts
 * the work off by a jiffy that the flush has just queued.  What was queued when
 * no cpu had anything queued is in workers, and for those the flush does wait.
 * A storm of unlinks must not keep the caller here for ever.
 */
static void
xfs_seal_flush_gone(
	struct xfs_mount	*mp)
{
	unsigned int		rounds = 16;
	bool			taken;

	do {
		taken = cpumask_empty(&mp->m_inodegc_cpumask);
		xfs_inodegc_flush(mp);
	} while (!taken && --rounds);
}

/*
 * FALLOC_FL_SEAL_BLOCK_MAP and FALLOC_FL_UNSEAL_BLOCK_MAP.
 *
 * Returns 0 if the state has changed, 1 if it is as it was, or an error.
 */
int
xfs_file_seal(
	struct file		*file,
	bool			seal,
	loff_t			len)
{
	struct inode		*inode = file_inode(file);
	struct xfs_inode	*ip = XFS_I(inode);
	uint			iolock = XFS_IOLOCK_EXCL | XFS_MMAPLOCK_EXCL;
	bool			retry;
	int			error;

	if (seal && xfs_is_reflink_inode(ip))
		xfs_seal_flush_gone(ip->i_mount);

	xfs_ilock(ip, iolock);
	do {
		retry = false;
		/*
		 * An asynchronous direct write does not keep the lock, and it
		 * changes the size when it ends: before that is compared.
		 * Not xfs_break_dax_layouts: that would wait for the pins for
		 * which sealing fails.
		 */
		if (seal)
			inode_dio_wait(inode);
		error = seal_begin(inode, seal, len);
		/* pNFS clients give back their layouts, without the lock. */
		if (!error && seal)
			error = xfs_break_leased_layouts(inode, &iolock, &retry);
	} while (!error && retry);
	if (!error && seal)
		error = xfs_seal_settle(file);
	if (!error)
		error = xfs_seal_change(ip, seal);
	xfs_iunlock(ip, iolock);
	return error;
}
