/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sealed files: their size and their place on storage cannot change.
 */
#ifndef _LINUX_IOMAP_IMMUTABLE_H
#define _LINUX_IOMAP_IMMUTABLE_H

#include <linux/fs.h>

/*
 * Is the file sealed?
 *
 * The answer lasts while i_rwsem is held, or mmap_lock of a process that maps
 * the file.  Without them it is a hint.
 */
static inline bool inode_is_sealed(const struct inode *inode)
{
	return READ_ONCE(inode->i_flags) & S_IOMAP_IMMUTABLE;
}

#endif /* _LINUX_IOMAP_IMMUTABLE_H */
