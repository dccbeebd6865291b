/*
 * Prints each call with its result, an errno as a negative number, and whether
 * the suite observed the same. Ends with 0 if all is as it was observed, with 1
 * if something is not, and with 2 if it cannot work. Needs a directory:
 *
 *	cc -Wall -Wextra -Werror -o again this.c && ./again /mnt/scratch
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RWF_ATOMIC
#define RWF_ATOMIC 0x40
#endif
#define USE __attribute__((unused))

static int fd[64] USE;
static struct { char *start; size_t len; } map[64] USE;
static uint32_t sum;
static int differs;

static USE long result(long value)
{
	return value < 0 ? -errno : value;
}

static USE char *buffer_at;
/* What O_DIRECT takes: zeros that begin on a boundary. */
static USE char *buffer(size_t len)
{
	if (posix_memalign((void **)&buffer_at, 4096, len ? len : 1))
		exit(2);
	return memset(buffer_at, 0, len);
}

static USE uint32_t checksum(const char *data, size_t len)
{
	uint32_t value = 0x811c9dc5;

	for (size_t at = 0; at < len; at++)
		value = (value ^ (unsigned char)data[at]) * 0x01000193;
	return value;
}

static USE long input(long value)
{
	if (value < 0)
		return -errno;
	sum = checksum(buffer_at, value);
	return value;
}

static USE char *pattern(unsigned char seed, size_t len)
{
	char *data = buffer(len);

	for (size_t at = 0; at < len; at++)
		data[at] = (unsigned char)((seed + at / 4096) * 31 + at % 251);
	return data;
}

static USE char *repeated(int byte, size_t len)
{
	return memset(buffer(len), byte, len);
}

static USE char *literal(const char *bytes, size_t len)
{
	return memcpy(buffer(len), bytes, len);
}

/* A swap header that offers one page, that page, and a pattern. */
static USE char *swap_file(unsigned char seed, size_t len)
{
	char *rest = pattern(seed, len), *data = buffer(8192 + len);
	uint32_t header[] = { 1, 1, 0 };

	memcpy(data + 1024, header, sizeof(header));
	memcpy(data + 4086, "SWAPSPACE2", 10);
	memcpy(data + 8192, rest, len);
	return data;
}

static USE long keep(int number, int value)
{
	fd[number] = value;
	return value < 0 ? -errno : 0;
}

static USE long keep_map(int number, size_t len, int protection, int flags, int file)
{
	char *start = mmap(NULL, len, protection, flags, file, 0);

	if (start == MAP_FAILED)
		return -errno;
	map[number].start = start;
	map[number].len = len;
	return 0;
}

/* Through the kernel, so that a page that cannot be touched is EFAULT. */
static USE long touch(int map_number, size_t offset, char *data, size_t len, int store)
{
	int scratch = memfd_create("scratch", 0);
	char *at = map[map_number].start + offset;
	long count = store ? pwrite(scratch, data, len, 0) : pwrite(scratch, at, len, 0);

	if (count == (long)len)
		count = store ? pread(scratch, at, len, 0) : pread(scratch, data, len, 0);
	close(scratch);
	return count == (long)len ? 0 : -EFAULT;
}

static USE long store(int number, size_t offset, char *data, size_t len)
{
	return touch(number, offset, data, len, 1);
}

static USE long load(int number, size_t offset, size_t len)
{
	char *data = buffer(len);
	long value = touch(number, offset, data, len, 0);

	return value ? value : input(len);
}

static USE long vector(int file, char *data, size_t len, off_t offset, int flags)
{
	struct iovec one = { data, len };

	return result(pwritev2(file, &one, 1, offset, flags));
}

static USE long copy(int from, off_t from_offset, int to, off_t to_offset, size_t len)
{
	return result(copy_file_range(from, &from_offset, to, &to_offset, len, 0));
}

static USE long clone_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t len)
{
	struct file_clone_range range = { from, from_offset, len, to_offset };

	return result(ioctl(to, FICLONERANGE, &range));
}

static USE long dedupe(int from, int to, uint64_t len)
{
	struct { struct file_dedupe_range head; struct file_dedupe_range_info to; } range;

	memset(&range, 0, sizeof(range));
	range.head.src_length = len;
	range.head.dest_count = 1;
	range.to.dest_fd = to;
	if (ioctl(from, FIDEDUPERANGE, &range))
		return -errno;
	if (range.to.status)
		return range.to.status == FILE_DEDUPE_RANGE_DIFFERS ? -EBADE : range.to.status;
	return range.to.bytes_deduped;
}

static USE long times(const char *name, time_t atime, time_t mtime)
{
	struct timespec both[2] = { { atime, 0 }, { mtime, 0 } };

	return result(utimensat(AT_FDCWD, name, both, 0));
}

static USE long size(int file)
{
	struct stat st;

	return fstat(file, &st) ? -errno : st.st_size;
}

static USE long change_xflags(int file, uint32_t set, uint32_t clear)
{
	struct fsxattr attr;

	if (ioctl(file, FS_IOC_FSGETXATTR, &attr))
		return -errno;
	attr.fsx_xflags = (attr.fsx_xflags | set) & ~clear;
	return result(ioctl(file, FS_IOC_FSSETXATTR, &attr));
}

static USE long xflags(int file)
{
	struct fsxattr attr;

	return ioctl(file, FS_IOC_FSGETXATTR, &attr) ? -errno : (long)attr.fsx_xflags;
}

static USE long change_flags(int file, int set, int clear)
{
	int flags;

	if (ioctl(file, FS_IOC_GETFLAGS, &flags))
		return -errno;
	flags = (flags | set) & ~clear;
	return result(ioctl(file, FS_IOC_SETFLAGS, &flags));
}

static USE long swap(int file, int on)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	return result(on ? swapon(name, 0) : swapoff(name));
}

/* Without CAP_LINUX_IMMUTABLE and CAP_SYS_ADMIN, and with them again. */
static USE void privileges(int on)
{
	uint32_t header[2] = { 0x20080522, 0 }, data[6];
	const uint32_t both = 1 << 9 | 1 << 21;

	if (syscall(SYS_capget, header, data))
		exit(2);
	data[0] = on ? data[0] | (both & data[1]) : data[0] & ~both;
	if (syscall(SYS_capset, header, data))
		exit(2);
}

static USE void done(const char *call, long came, long observed, uint32_t observed_sum)
{
	int same = came == observed && (!observed_sum || sum == observed_sum);

	differs |= !same;
	printf("%s = %ld%s\n", call, came, same ? "" : ", which is not what was observed");
}

static void start(int argc, char **argv)
{
	char name[] = "again.XXXXXX";

	if (argc != 2 || chdir(argv[1]) || !mkdtemp(name) || chdir(name)) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		exit(2);
	}
	printf("in %s/%s\n", argv[1], name);
}

/* An active swap file would stay, and an immutable file could not be removed. */
static int end(void)
{
	for (int number = 0; number < 64; number++) {
		int file = fd[number];

		if (file > 2) {
			change_flags(file, 0, FS_IMMUTABLE_FL | FS_APPEND_FL);
			swap(file, 0);
		}
	}
	puts(differs ? "something else than what was observed" : "as it was observed");
	return differs;
}
