// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sealed files: what filesystems have in common when they seal and unseal
 * files, and when they refuse what a seal forbids.
 */
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/iomap_immutable.h>

/**
 * seal_fallocate - what becomes of fallocate(2) if the file is sealed
 * @file: the file
 * @mode: mode of fallocate(2)
 * @offset: start of the range
 * @len: length of the range
 *
 * For filesystems, with i_rwsem held exclusively, where they do not drop it
 * any more, and before they have changed anything.
 *
 * Return: 1 if the file is not sealed and the call goes on; else the result.
 */
int seal_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);

	lockdep_assert_held_write(&inode->i_rwsem);
	if (likely(!inode_is_sealed(inode)))
		return 1;
	if (!seal_allocation_inside(inode, mode, offset, len))
		return -ETXTBSY;
	return file_modified(file);
}
EXPORT_SYMBOL_GPL(seal_fallocate);

/*
 * The same without the lock, before the filesystem is asked: 1 if it has to be
 * asked.
 */
int seal_fallocate_early(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int ret;

	if (likely(!inode_is_sealed(inode)))
		return 1;
	/* What cannot share has no unsharing. */
	if ((mode & FALLOC_FL_UNSHARE_RANGE) && !file->f_op->remap_file_range)
		return 1;
	inode_lock(inode);
	ret = seal_fallocate(file, mode, offset, len);
	inode_unlock(inode);
	return ret;
}
