/*
 * Changes and queries the state of new files in the given directory, and prints
 * the results: above all, which error comes first while a file is mapped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEAL 0x100
#define UNSEAL 0x200
#define SEALED 0x40000000
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
	static const char data[PAGE];
	char name[4096], *map, *private;
	struct fsxattr attr;
	int fd, readonly, other;

	if (argc != 2)
		return 2;
	snprintf(name, sizeof(name), "%s/file", argv[1]);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	readonly = open(name, O_RDONLY);
	if (fd == -1 || readonly == -1 || write(fd, data, PAGE) != PAGE)
		return 1;

	/* The mapping of another file does not matter. */
	snprintf(name, sizeof(name), "%s/other", argv[1]);
	other = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (other == -1 || write(other, data, PAGE) != PAGE)
		return 1;
	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other, 0) == MAP_FAILED)
		return 1;

	SHOW(fallocate(-1, SEAL, 0, PAGE));
	SHOW(fallocate(fd, SEAL, 0, 0));
	SHOW(fallocate64(fd, SEAL | UNSEAL, 0, PAGE));
	private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, readonly, 0);
	if (private == MAP_FAILED)
		return 1;
	SHOW(fallocate(fd, SEAL | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	SHOW(fallocate(readonly, SEAL, 0, PAGE));
	SHOW(fallocate(fd, SEAL, 1, PAGE));
	SHOW(fallocate(fd, SEAL, 0, PAGE - 1));
	SHOW(fallocate(fd, UNSEAL, 0, PAGE));
	SHOW(fallocate(fd, SEAL, 0, PAGE));
	SHOW(munmap(private, PAGE));
	SHOW(fallocate(fd, SEAL, 0, PAGE));

	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	SHOW(fallocate(fd, SEAL, 0, PAGE));
	SHOW(fallocate(readonly, UNSEAL, 0, PAGE));
	SHOW(fallocate(fd, UNSEAL, 0, PAGE - 1));
	SHOW(fallocate(fd, UNSEAL, 0, PAGE));

	/* The same through a descriptor that is open for reading only. */
	memset(&attr, 0xff, sizeof(attr));
	SHOW(ioctl(readonly, FS_IOC_FSGETXATTR, &attr));
	SHOW(attr.fsx_xflags == SEALED);
	SHOW(attr.fsx_extsize == 0 && attr.fsx_projid == 0);
	attr.fsx_xflags |= FS_XFLAG_NODUMP;
	SHOW(ioctl(fd, FS_IOC_FSSETXATTR, &attr));
	attr.fsx_xflags = FS_XFLAG_NODUMP;
	SHOW(ioctl(fd, FS_IOC_FSSETXATTR, &attr));
	SHOW(ioctl(fd, FS_IOC_FSGETXATTR, &attr));
	SHOW(attr.fsx_xflags == (SEALED | FS_XFLAG_NODUMP));
	SHOW(ioctl(fd, FS_IOC_FSGETXATTR, NULL));
	SHOW(ioctl(fd, FS_IOC_FSSETXATTR, NULL));

	SHOW(munmap(map, PAGE));
	SHOW(fallocate64(fd, UNSEAL, 0, PAGE));
	SHOW(ftruncate(fd, 2 * PAGE));
	SHOW(fallocate(fd, SEAL, 0, 2 * PAGE));

	/* A store fills the hole, even without fsync(2). */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	map[PAGE] = 1;
	SHOW(fallocate(fd, SEAL, 0, 2 * PAGE));
	SHOW(munmap(map, 2 * PAGE));
	SHOW(fallocate(fd, SEAL, 0, 2 * PAGE));
	SHOW(ftruncate(fd, PAGE));
	return 0;
}
