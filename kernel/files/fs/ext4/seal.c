// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sealing and unsealing files: see include/linux/iomap_immutable.h.
 */
#include <linux/fs.h>
#include <linux/iomap_immutable.h>
#include <linux/iversion.h>

#include "ext4.h"
#include "ext4_jbd2.h"

/* Can files of this kind be sealed, and is this one large enough? */
static int ext4_seal_check_kind(struct inode *inode)
{
	if (IS_ENCRYPTED(inode) || IS_VERITY(inode))
		return -EOPNOTSUPP;
	if (ext4_should_journal_data(inode) ||
	    ext4_test_inode_flag(inode, EXT4_INODE_JOURNAL_DATA))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Is every block there and written, up to the one with the last byte?  i_rwsem
 * and the invalidate lock keep the answer right.
 */
static int ext4_seal_check_written(struct inode *inode)
{
	ext4_lblk_t end = EXT4_B_TO_LBLK(inode, i_size_read(inode));
	struct ext4_map_blocks map = {};
	int found;

	/* Data on their way out of the inode have left it with the flush. */
	if (ext4_has_inline_data(inode))
		return -EINVAL;

	while (map.m_lblk < end) {
		map.m_len = end - map.m_lblk;
		map.m_flags = 0;
		found = ext4_map_blocks(NULL, inode, &map, 0);
		if (found < 0)
			return found;
		if (!found || !(map.m_flags & EXT4_MAP_MAPPED))
			return -EINVAL;
		map.m_lblk += found;
	}
	return 0;
}

/*
 * Bring the mark for kernels that do not know sealed files to its place in the
 * superblock.  They recover the journal after they have looked at it there.
 */
static int ext4_seal_add_feature(struct super_block *sb)
{
	/* Whoever finds the feature set can rely on its being on the disk. */
	static DEFINE_MUTEX(lock);
	struct buffer_head *bh = EXT4_SB(sb)->s_sbh;
	journal_t *journal = EXT4_SB(sb)->s_journal;
	handle_t *handle;
	int error, error2;

	mutex_lock(&lock);
	error = 0;
	if (ext4_has_feature_seal(sb))
		goto out;

	handle = ext4_journal_start_sb(sb, EXT4_HT_MISC, 1);
	if (IS_ERR(handle)) {
		error = PTR_ERR(handle);
		goto out;
	}
	error = ext4_journal_get_write_access(handle, sb, bh, EXT4_JTR_NONE);
	if (!error) {
		lock_buffer(bh);
		ext4_set_feature_seal(sb);
		ext4_superblock_csum_set(sb);
		unlock_buffer(bh);
		error = ext4_handle_dirty_metadata(handle, NULL, bh);
	}
	error2 = ext4_journal_stop(handle);
	if (!error)
		error = error2;
	if (error)
		goto out;

	jbd2_journal_lock_updates(journal);
	error = jbd2_journal_flush(journal, 0);
	jbd2_journal_unlock_updates(journal);
out:
	mutex_unlock(&lock);
	return error;
}

/* Flush the file and see whether it can be sealed. */
static int ext4_seal_settle(struct file *file)
{
	struct inode *inode = file_inode(file);
	int error;

	error = ext4_seal_check_kind(inode);
	if (error)
		return error;

	/* Not ext4_break_layouts(): that waits for the pins that are EBUSY. */
	inode_dio_wait(inode);
	error = vfs_fsync(file, 0);
	if (error)
		return error;
	error = ext4_seal_check_written(inode);
	if (error)
		return error;

	/* Do nothing for a file that will not be sealed. */
	error = seal_check_holds(inode);
	if (error)
		return error;
	return ext4_seal_add_feature(inode->i_sb);
}

/* Change the state, and return when that is durable. */
static int ext4_seal_change(struct inode *inode, bool seal)
{
	struct ext4_iloc iloc;
	handle_t *handle;
	int error, error2;

	handle = ext4_journal_start(inode, EXT4_HT_INODE, 2);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	error = ext4_reserve_inode_write(handle, inode, &iloc);
	if (error)
		goto out_stop;

	error = seal_set_state(inode, seal);
	if (error) {
		brelse(iloc.bh);
		goto out_stop;
	}

	/* From here on only an aborted journal keeps it from being durable. */
	if (seal)
		ext4_set_inode_flag(inode, EXT4_INODE_SEALED);
	else
		ext4_clear_inode_flag(inode, EXT4_INODE_SEALED);
	inode_set_ctime_current(inode);
	inode_inc_iversion(inode);
	ext4_handle_sync(handle);
	error = ext4_mark_iloc_dirty(handle, inode, &iloc);
out_stop:
	error2 = ext4_journal_stop(handle);
	return error ? error : error2;
}

/*
 * Unseal a file of a mount with data=journal: its data are journaled from here
 * on.  See ext4_change_inode_journal_flag().
 */
static int ext4_unseal_journaled(struct inode *inode)
{
	int alloc_ctx, error;

	inode_dio_wait(inode);
	filemap_invalidate_lock(inode->i_mapping);
	error = filemap_write_and_wait(inode->i_mapping);
	if (error)
		goto out_unlock;

	alloc_ctx = ext4_writepages_down_write(inode->i_sb);
	error = ext4_seal_change(inode, false);
	if (!error)
		ext4_set_aops(inode);
	ext4_writepages_up_write(inode->i_sb, alloc_ctx);
out_unlock:
	filemap_invalidate_unlock(inode->i_mapping);
	return error;
}

/*
 * FALLOC_FL_SEAL_BLOCK_MAP and FALLOC_FL_UNSEAL_BLOCK_MAP.
 *
 * Returns 0 if the state has changed, 1 if it is as it was, or an error.
 */
int ext4_file_seal(struct file *file, bool seal, loff_t len)
{
	struct inode *inode = file_inode(file);
	int error;

	inode_lock(inode);
	error = seal_begin(inode, seal, len);
	if (error)
		goto out_unlock;

	if (seal) {
		filemap_invalidate_lock(inode->i_mapping);
		error = ext4_seal_settle(file);
		if (!error)
			error = ext4_seal_change(inode, true);
		filemap_invalidate_unlock(inode->i_mapping);
	} else if (test_opt(inode->i_sb, DATA_FLAGS) == EXT4_MOUNT_JOURNAL_DATA) {
		error = ext4_unseal_journaled(inode);
	} else {
		error = ext4_seal_change(inode, false);
	}
out_unlock:
	inode_unlock(inode);
	return error;
}
