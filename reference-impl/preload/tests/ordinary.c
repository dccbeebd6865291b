/*
 * Makes each call that the library replaces, on ordinary files in the given
 * directory, and prints the results.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
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

/* The number of a descriptor does not matter. */
static int opened(int fd)
{
	printf("open: %s\n", fd == -1 ? strerrorname_np(errno) : "done");
	return fd;
}

int main(int argc, char *argv[])
{
	char a[4096], b[4096], data[2 * PAGE] = "", *map, *private;
	struct stat st;
	off_t from = 0, to = 3;
	int fd, other, same;

	if (argc != 2)
		return 2;
	snprintf(a, sizeof(a), "%s/a", argv[1]);
	snprintf(b, sizeof(b), "%s/b", argv[1]);

	opened(open(a, O_RDONLY));
	fd = opened(open(a, O_RDWR | O_CREAT | O_EXCL, 0600));
	opened(openat(AT_FDCWD, a, O_RDWR | O_CREAT | O_EXCL, 0600));
	other = opened(creat(b, 0600));
	SHOW(read(other, data, 1));
	SHOW(close(other));
	SHOW(write(other, data, 1));
	other = opened(open(b, O_RDWR));

	SHOW(write(fd, "0123456789", 10));
	SHOW(pwrite(fd, "AB", 2, PAGE));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, -2, SEEK_END));
	SHOW(read(fd, data, sizeof(data)));
	SHOW(strncmp(data, "AB", 2));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(pread(fd, data, 4, 2));
	SHOW(strncmp(data, "2345", 4));
	SHOW(pread(fd, data, 4, -1));
	SHOW(fstat(fd, &st));
	SHOW(st.st_size);
	SHOW(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
	SHOW(fsync(fd));
	SHOW(fdatasync(fd));

	SHOW(copy_file_range(fd, &from, other, &to, 5, 0));
	SHOW(from);
	SHOW(to);
	SHOW(lseek(fd, 4, SEEK_SET));
	SHOW(copy_file_range(fd, NULL, other, NULL, 3, 0));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(other, 0, SEEK_CUR));
	SHOW(pread(other, data, sizeof(data), 0));
	SHOW(memcmp(data, "45601234", 8));

	SHOW(ftruncate(fd, 2 * PAGE));
	SHOW(ftruncate(fd, -1));
	SHOW(truncate(b, 5));
	SHOW(fallocate(other, 0, 0, PAGE));
	SHOW(fallocate(other, 0, 0, 0));
	SHOW(fstat(other, &st));
	SHOW(st.st_size);

	/* A shared mapping has the contents of the file, before and after a call. */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		       PAGE);
	if (map == MAP_FAILED || private == MAP_FAILED)
		return 1;
	SHOW(strncmp(map, "0123456789", 11));
	SHOW(strncmp(private, "AB", 3));
	memcpy(map + 2, "store", 5);
	memcpy(private, "mine", 4);
	SHOW(pread(fd, data, 11, 0));
	SHOW(strcmp(data, "01store789"));
	SHOW(pwrite(fd, "call", 4, 6));
	SHOW(strcmp(map, "01storcall"));
	SHOW(msync(map, 2 * PAGE, MS_SYNC));
	memcpy(map + PAGE, "last", 4);
	SHOW(close(fd));
	SHOW(munmap(map, 2 * PAGE));
	SHOW(munmap(private, PAGE));
	fd = opened(open(a, O_RDWR));
	SHOW(pread(fd, data, 5, PAGE));
	SHOW(strcmp(data, "last"));
	SHOW((long)mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0));

	SHOW(unlink(b));
	SHOW(unlink(b));
	SHOW(link(a, b));
	SHOW(link(a, b));
	SHOW(fstat(fd, &st));
	SHOW(st.st_nlink);
	SHOW(unlink(a));
	SHOW(rename(b, a));
	SHOW(rename(b, a));
	same = opened(open(a, O_WRONLY | O_APPEND));
	SHOW(write(same, "end", 3));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(unlink(a));
	SHOW(close(same) | close(other) | close(fd));
	return 0;
}
