/*
 * Makes calls that only files of the reference support, and calls with a file
 * of each kind, which are refused. Takes a name of each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

#define SHOW(call) show(#call, (long)(call))

static void show(const char *call, long result)
{
	if (result == -1)
		printf("%s: %s\n", call, strerrorname_np(errno));
	else
		printf("%s: %ld\n", call, result);
}

int main(int argc, char *argv[])
{
	struct iovec part = { .iov_base = "data", .iov_len = 4 };
	struct fsxattr attr;
	int ours, other;
	char *map;

	if (argc != 3)
		return 2;
	ours = open(argv[1], O_RDWR | O_CREAT, 0600);
	other = open(argv[2], O_RDWR | O_CREAT, 0600);
	if (ours == -1 || other == -1 || ftruncate(ours, 2 * PAGE) == -1)
		return 1;

	SHOW(ioctl(ours, FS_IOC_FSGETXATTR, &attr));
	attr.fsx_xflags |= FS_XFLAG_NODUMP;
	SHOW(ioctl(ours, FS_IOC_FSSETXATTR, &attr));
	attr.fsx_xflags |= 0x40000000;
	SHOW(ioctl(ours, FS_IOC_FSSETXATTR, &attr));
	SHOW(ioctl(ours, FS_IOC_FSGETXATTR, &attr));
	SHOW(attr.fsx_xflags == FS_XFLAG_NODUMP);

	SHOW(ioctl(ours, FICLONE, other));
	SHOW(copy_file_range(ours, NULL, other, NULL, 1, 0));
	SHOW(rename(argv[1], argv[2]));
	SHOW(link(argv[2], argv[1]));
	SHOW(writev(ours, &part, 1));
	SHOW(fcntl(ours, F_GETFD) & FD_CLOEXEC);

	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, ours, 0);
	if (map == MAP_FAILED)
		return 1;
	SHOW(munmap(map + PAGE, PAGE));
	SHOW(map[PAGE]);
	SHOW(munmap(map, 2 * PAGE));
	SHOW(munmap(map, 0));
	return 0;
}
