/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __XFS_SEAL_H__
#define __XFS_SEAL_H__

int xfs_file_seal(struct file *file, bool seal, loff_t len);

#endif /* __XFS_SEAL_H__ */
