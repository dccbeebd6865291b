/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Immutable iomap files, for programs in C and C++: iomap_immutable(7).
 *
 * The numbers are provisional. Where the headers of a kernel have them,
 * those of the kernel are used: include this header after <linux/fs.h>.
 *
 * A program in C defines _GNU_SOURCE before its first #include.
 */
#ifndef IOMAP_IMMUTABLE_H
#define IOMAP_IMMUTABLE_H

#include <fcntl.h>
#include <sys/stat.h>

#ifndef STATX_BASIC_STATS
#error "define _GNU_SOURCE before the first #include, for statx(2) and fallocate(2)"
#endif

/* Modes of fallocate(2), only for files of a mount that offers sealing. */
#ifndef FALLOC_FL_SEAL_BLOCK_MAP
#define FALLOC_FL_SEAL_BLOCK_MAP 0x100
#endif
#ifndef FALLOC_FL_UNSEAL_BLOCK_MAP
#define FALLOC_FL_UNSEAL_BLOCK_MAP 0x200
#endif

/* A flag of FS_IOC_FSGETXATTR and file_getattr(2). */
#ifndef FS_XFLAG_IOMAP_IMMUTABLE
#define FS_XFLAG_IOMAP_IMMUTABLE 0x40000000U
#endif

/* An attribute of statx(2), and its bit in the mask of attributes. */
#ifndef STATX_ATTR_IOMAP_IMMUTABLE
#define STATX_ATTR_IOMAP_IMMUTABLE (1ULL << 48)
#endif

/* The answers of iomap_immutable_probe(). */
enum iomap_immutable_state {
	IOMAP_IMMUTABLE_UNKNOWN,	/* files of this mount cannot be sealed */
	IOMAP_IMMUTABLE_UNSEALED,	/* they can, and this one is not */
	IOMAP_IMMUTABLE_SEALED		/* this one is */
};

/*
 * Ask about an open file, also one that was opened with O_PATH. The probe
 * changes nothing and tries no call that seals. It returns a value of
 * enum iomap_immutable_state, or -1 with errno as statx(2) sets it.
 */
static inline int
iomap_immutable_probe(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, 0, &st) == -1)
		return -1;
	if (!(st.stx_attributes_mask & STATX_ATTR_IOMAP_IMMUTABLE))
		return IOMAP_IMMUTABLE_UNKNOWN;
	return st.stx_attributes & STATX_ATTR_IOMAP_IMMUTABLE ?
	       IOMAP_IMMUTABLE_SEALED : IOMAP_IMMUTABLE_UNSEALED;
}

#endif
