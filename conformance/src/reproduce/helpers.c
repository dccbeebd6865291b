#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/aio_abi.h> /* aio can_aio */
#include <linux/btrfs.h> /* BTRFS_IOC_DEFRAG_RANGE BTRFS_IOC_SCRUB BTRFS_IOC_SUBVOL_CREATE BTRFS_IOC_SNAP_DESTROY BTRFS_IOC_ENCODED_WRITE */
#include <linux/f2fs.h> /* F2FS_IOC_DEFRAGMENT F2FS_IOC_MOVE_RANGE F2FS_IOC_SEC_TRIM_FILE F2FS_IOC_START_ATOMIC_WRITE */
#include <linux/fs.h>
#include <linux/fsverity.h> /* FS_IOC_ENABLE_VERITY */
#include <linux/io_uring.h> /* ring io_uring_params */
#include <linux/posix_acl_xattr.h> /* acl */
#include <linux/userfaultfd.h> /* write_protect */
#include <pthread.h> /* pthread_create */
#include <signal.h>
#include <stdint.h> /* uint32_t uint64_t int64_t uintptr_t */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h> /* ioctl */
#include <sys/mman.h> /* mmap munmap memfd_create */
#include <sys/resource.h> /* setrlimit */
#include <sys/sendfile.h> /* sendfile */
#include <sys/socket.h> /* socket */
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h> /* syscall */
#include <sys/uio.h> /* pwritev2 process_vm_writev iovec */
#include <sys/vfs.h> /* statfs */
#include <sys/wait.h>
#include <sys/xattr.h> /* setxattr removexattr fsetxattr */
#include <time.h> /* clock_gettime */
#include <unistd.h>

static int fd[FILES];

static char *map[FILES];

static int differs;

static FILE *out;

/* The number of this thread's calls in a race, and whether the first one failed. */
static _Thread_local long calls, failed;

/* Any success was observed. */
#define ANY LONG_MIN

static void done(const char *call, long came, long observed)
{
	int error = errno;
	int same = observed == ANY ? came != -1 : observed < 0 ? came == -1 && error + observed == 0 : came == observed;

	failed |= !calls++ && came == -1;
	if (came == -1)
		fprintf(out, "%s = -1 %s (%s)", call, strerrorname_np(error), strerror(error));
	else
		fprintf(out, "%s = %ld", call, came);
	fputs(same ? "\n" : " <- not what was observed\n", out);
	if (!same)
		differs = 1;
}

/* Makes a call and compares its result with the observed one: a negative number is an errno. */
#define CALL(call, observed) done(#call, (long)(call), observed)

/* A call to the kernel or another interface that returns its errno as a negative number. */
static long checked(long value)
{
	if (value >= 0)
		return value;
	errno = -value;
	return -1;
}

/* A list: each buffer begins with a pointer to the last one. */
static void *all_buffers;

static _Thread_local char *last_buffer;

/* Aligned zeros, as O_DIRECT needs them. */
static char *buffer(size_t len)
{
	void **made = aligned_alloc(4096, 4096 + (len | 4095) + 1);

	if (!made)
		exit(2);
	last_buffer = memset((char *)made + 4096, 0, len);
	*made = __atomic_exchange_n(&all_buffers, made, __ATOMIC_SEQ_CST);
	return last_buffer;
}

/* FNV-1a. */
static unsigned int checksum(size_t len)
{
	unsigned int sum = 0x811c9dc5;

	for (size_t at = 0; at < len; at++)
		sum = (sum ^ (unsigned char)last_buffer[at]) * 0x01000193;
	return sum;
}

static void had(long len, unsigned int observed)
{
	if (checksum(len) == observed)
		return;
	fputs("  other data than were observed\n", out);
	differs = 1;
}

/* A call that fills a buffer, and the checksum of the data that it read. */
#define READ(call, observed, sum) (CALL(call, observed), had(observed, sum))

static char *pattern(unsigned char seed, size_t len)
{
	char *data = buffer(len);

	for (size_t at = 0; at < len; at++)
		data[at] = (unsigned char)((seed + at / 4096) * 31 + at % 251);
	return data;
}

static char *repeated(int byte, size_t len)
{
	return memset(buffer(len), byte, len);
}

static char *literal(const char *bytes, size_t len)
{
	return memcpy(buffer(len), bytes, len);
}

/* A swap header that offers one page, that page, and a pattern. */
static char *swap_file(unsigned char seed, size_t len)
{
	char *rest = pattern(seed, len), *data = buffer(8192 + len);
	unsigned int header[] = { 1, 1, 0 };

	memcpy(data + 1024, header, sizeof(header));
	memcpy(data + 4086, "SWAPSPACE2", 10);
	return memcpy(data + 8192, rest, len) - 8192;
}

static char *self(int file)
{
	static char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	return name;
}

/* Stores through the kernel, so that an inaccessible page causes EFAULT, not SIGBUS. */
static int store(char *to, char *data, size_t len)
{
	int scratch = memfd_create("scratch", 0);

	if (write(scratch, data, len) != (long)len)
		exit(2);
	if (pread(scratch, to, len, 0) == (long)len)
		return close(scratch);
	errno = EFAULT;
	return -1;
}

static long load(char *from, size_t len)
{
	int scratch = memfd_create("scratch", 0);

	if (write(scratch, from, len) == (long)len)
		return pread(scratch, buffer(len), len, 0);
	errno = EFAULT;
	return -1;
}

static int store_from_process(char *to, char *data, size_t len)
{
	struct iovec from = { data, len }, there = { to, len };

	return process_vm_writev(getpid(), &from, 1, &there, 1, 0) == (long)len ? 0 : -1;
}

static int store_to_proc_mem(char *to, char *data, size_t len)
{
	return pwrite(open("/proc/self/mem", O_WRONLY), data, len, (off_t)to) == (long)len ? 0 : -1;
}

static int store_by_child(char *to, char *data, size_t len)
{
	int status;
	pid_t child = fork();

	if (!child) {
		memcpy(to, data, len);
		_exit(0);
	}
	errno = EFAULT;
	return child > 0 && waitpid(child, &status, 0) == child && !status ? 0 : -1;
}

/* The store is durable afterwards, if the mapping has MAP_SYNC. */
static int store_and_flush(char *to, char *data, size_t len)
{
	if (store(to, data, len))
		return -1;
	for (size_t at = 0; at < len; at += 64)
		__builtin_ia32_clflush(to + at);
	__builtin_ia32_clflush(to + len - 1);
	__builtin_ia32_sfence();
	return 0;
}

/* A device writes to the pages of a mapping: a direct read. */
static int store_by_direct_read(char *to, char *data, size_t len)
{
	int device = open("device", O_RDWR | O_CREAT | O_DIRECT, 0600);

	unlink("device");
	if (write(device, data, len) != (long)len || fsync(device))
		exit(2);
	return pread(device, to, len, 0) == (long)len ? 0 : -1;
}

/* Since Linux 6.7. */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/* The kernel itself resolves the fault of the first store to each page. */
static int write_protect(char *start, size_t len)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	struct uffdio_range range = { (uintptr_t)start, len };
	struct uffdio_register all = { .range = range, .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = { .range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	return ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &all) ||
	       ioctl(uffd, UFFDIO_WRITEPROTECT, &protect) ? -1 : 0;
}

/* Pins the pages of a mapping for the long term. */
static int register_buffer(char *start, size_t len)
{
	uint32_t params[30] = { 0 };
	struct iovec pages = { start, len };
	int queue = syscall(SYS_io_uring_setup, 1, params);

	return queue < 0 || syscall(SYS_io_uring_register, queue, 0 /* IORING_REGISTER_BUFFERS */, &pages, 1) ? -1 : queue;
}

static long ring(int opcode, int file, char *data, size_t len, off_t offset)
{
	struct io_uring_params p = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &p);
	struct iovec fixed = { data, len };
	char *queues = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	struct io_uring_sqe *entry = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);

	if (ring < 0 || queues == MAP_FAILED || entry == MAP_FAILED ||
	    ((opcode == IORING_OP_WRITE_FIXED || opcode == IORING_OP_READ_FIXED) &&
	     syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &fixed, 1)))
		return -1;
	*entry = (struct io_uring_sqe){ .opcode = opcode, .fd = file, .off = offset, .addr = (uintptr_t)data, .len = len };
	*(unsigned int *)(queues + p.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -1;
	close(ring);
	return checked(((struct io_uring_cqe *)(queues + p.cq_off.cqes))->res);
}

static long aio(int opcode, int file, char *data, size_t len, off_t offset)
{
	static aio_context_t context;
	struct iocb request = { .aio_lio_opcode = opcode, .aio_fildes = file, .aio_buf = (uintptr_t)data,
				.aio_nbytes = len, .aio_offset = offset }, *all = &request;
	struct io_event event;

	if ((!context && syscall(SYS_io_setup, 1, &context)) || syscall(SYS_io_submit, context, 1, &all) != 1 ||
	    syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
		return -1;
	return checked(event.res);
}

/* From a pipe, to which the data are copied (flags 0) or given (SPLICE_F_MOVE). */
static long splice_out(int file, char *data, size_t len, off_t offset, unsigned int flags)
{
	struct iovec gift = { data, len };
	size_t moved = 0;
	long more = 1;
	int ends[2];

	if (pipe2(ends, O_NONBLOCK) || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
	    (flags ? vmsplice(ends[1], &gift, 1, SPLICE_F_GIFT) : write(ends[1], data, len)) != (long)len)
		exit(2);
	while (moved < len && (more = splice(ends[0], NULL, file, &offset, len - moved, flags)) > 0)
		moved += more;
	return moved ? (long)moved : more;
}

static long splice_in(int file, char *data, size_t len, off_t offset)
{
	int ends[2];
	long moved;

	if (pipe2(ends, O_NONBLOCK) || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0)
		exit(2);
	moved = splice(file, &offset, ends[1], NULL, len, 0);
	return moved < 0 ? moved : read(ends[0], data, moved);
}

/* It writes at the file offset, so the offset is restored. */
static long send_out(int file, char *data, size_t len, off_t offset)
{
	int error, scratch = memfd_create("scratch", 0);
	off_t before = lseek(file, 0, SEEK_CUR);
	long sent;

	if (write(scratch, data, len) != (long)len || lseek(file, offset, SEEK_SET) < 0)
		exit(2);
	sent = sendfile(file, scratch, &(off_t){ 0 }, len);
	error = errno;
	lseek(file, before, SEEK_SET);
	errno = error;
	return sent;
}

static long send_in(int file, char *data, size_t len, off_t offset)
{
	int scratch = memfd_create("scratch", 0);
	long sent = sendfile(scratch, file, &offset, len);

	return sent < 0 ? sent : pread(scratch, data, sent, 0);
}

/* By a child with this limit, which SIGXFSZ ends. */
static long limited_pwrite(int file, char *data, size_t len, off_t offset, rlim_t limit)
{
	long came = -EFBIG;
	int ends[2];
	pid_t child;

	if (pipe(ends) || (child = fork()) < 0)
		exit(2);
	if (!child) {
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ limit, limit });
		came = pwrite(file, data, len, offset);
		came = came < 0 ? -errno : came;
		_exit(write(ends[1], &came, sizeof(came)) != sizeof(came));
	}
	close(ends[1]);
	if (read(ends[0], &came, sizeof(came)) < 0 || waitpid(child, NULL, 0) < 0)
		exit(2);
	close(ends[0]);
	return checked(came);
}

/* Since Linux 6.9, 6.11 and 6.14. */
#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

#ifndef RWF_ATOMIC
#define RWF_ATOMIC 0x40
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

static int dedupe(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t len)
{
	struct { struct file_dedupe_range head; struct file_dedupe_range_info to; } range = {
		.head = { .src_offset = from_offset, .src_length = len, .dest_count = 1 },
		.to = { .dest_fd = to, .dest_offset = to_offset } };

	if (ioctl(from, FIDEDUPERANGE, &range))
		return -1;
	if (range.to.status == FILE_DEDUPE_RANGE_DIFFERS)
		return checked(-EBADE);
	return range.to.status ? checked(range.to.status) : (long)range.to.bytes_deduped;
}

static off_t file_size(int file)
{
	struct stat st;

	return fstat(file, &st) ? -1 : st.st_size;
}

/* xfs_fs.h of xfsprogs. */
struct xfs_flock64 {
	int16_t l_type, l_whence;
	int64_t l_start, l_len;
	int32_t l_sysid;
	uint32_t l_pid;
	int32_t l_pad[4];
};
#define XFS_IOC_RESVSP64 _IOW('X', 42, struct xfs_flock64)
#define XFS_IOC_UNRESVSP64 _IOW('X', 43, struct xfs_flock64)
#define XFS_IOC_ZERO_RANGE _IOW('X', 57, struct xfs_flock64)

/* xfs_fs.h of xfsprogs, since Linux 6.10. It wants mkfs.xfs -i exchange=1. */
struct xfs_exchange_range {
	int32_t file1_fd;
	uint32_t pad;
	uint64_t file1_offset, file2_offset, length, flags;
};
#define XFS_IOC_EXCHANGE_RANGE _IOW('X', 129, struct xfs_exchange_range)

/* xfs_fs.h of xfsprogs: struct xfs_swapext, which ends with a struct xfs_bstat. */
struct xfs_swapext {
	int64_t sx_version, sx_fdtarget, sx_fdtmp, sx_offset, sx_length;
	char sx_pad[16];
	uint64_t bs_ino;
	uint16_t bs_mode, bs_nlink;
	uint32_t bs_uid, bs_gid, bs_rdev;
	int32_t bs_blksize;
	int64_t bs_size, bs_atime[2], bs_mtime[2], bs_ctime[2];
	uint64_t bs_rest[6];
};
#define XFS_IOC_SWAPEXT _IOWR('X', 109, struct xfs_swapext)

static int swap_extents(int target, int other)
{
	struct stat st;
	struct xfs_swapext range;

	if (fstat(target, &st))
		return -1;
	range = (struct xfs_swapext){
		.sx_fdtarget = target, .sx_fdtmp = other, .sx_length = st.st_size,
		.bs_ino = st.st_ino, .bs_mode = st.st_mode, .bs_size = st.st_size,
		.bs_mtime = { st.st_mtim.tv_sec, st.st_mtim.tv_nsec },
		.bs_ctime = { st.st_ctim.tv_sec, st.st_ctim.tv_nsec },
	};
	return ioctl(target, XFS_IOC_SWAPEXT, &range);
}

/* fs/ext4/ext4.h of the kernel: lengths in blocks. */
struct move_extent {
	uint32_t reserved, donor_fd;
	uint64_t orig_start, donor_start, len, moved_len;
};
#define EXT4_IOC_MOVE_EXT _IOWR('f', 15, struct move_extent)

/* fs/ext4/ext4.h of the kernel. */
#define EXT4_IOC_MIGRATE _IO('f', 9)
#define EXT4_IOC_SWAP_BOOT _IO('f', 17)

static int subvolume(const char *name)
{
	struct btrfs_ioctl_vol_args args = { 0 };

	strncpy(args.name, name, sizeof(args.name) - 1);
	return ioctl(open(".", O_RDONLY | O_CLOEXEC), BTRFS_IOC_SUBVOL_CREATE, &args);
}

static int destroy_subvolume_of(const char *file)
{
	struct btrfs_ioctl_vol_args args = { 0 };

	memcpy(args.name, file, strcspn(file, "/"));
	return ioctl(open(".", O_RDONLY | O_CLOEXEC), BTRFS_IOC_SNAP_DESTROY, &args);
}

static char *memory;

static int swap_out(char *data, size_t len)
{
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	memcpy(memory, data, len);
	return madvise(memory, len, MADV_PAGEOUT);
}

static long swap_in(char *data, size_t len)
{
	memcpy(data, memory, len);
	return len;
}

static int run(const char *program, int file)
{
	char name[PATH_MAX] = "", command[PATH_MAX + 64];

	if (readlink(self(file), name, sizeof(name) - 1) < 0)
		return -1;
	snprintf(command, sizeof(command), "%s '%s' >/dev/null 2>&1", program, name);
	return system(command) & 0x7f ? -1 : 0;
}

static long xflags(int file)
{
	struct fsxattr attr;

	return ioctl(file, FS_IOC_FSGETXATTR, &attr) ? -1 : (long)attr.fsx_xflags;
}

/* file_getattr(2) of Linux 6.17 and struct file_attr. */
static long file_attributes(int file)
{
	struct {
		uint64_t shown;
		uint32_t rest[4];
	} attr = { 0 };

	return syscall(468, file, "", &attr, sizeof(attr), AT_EMPTY_PATH) ? -1 : (long)attr.shown;
}

static long statx_attributes(const char *name)
{
	struct statx shown;

	return statx(AT_FDCWD, name, 0, 0, &shown) ? -1 : (long)shown.stx_attributes;
}

static long statx_mask(const char *name)
{
	struct statx shown;

	return statx(AT_FDCWD, name, 0, 0, &shown) ? -1 : (long)shown.stx_attributes_mask;
}

static int change_xflags(int file, uint32_t set, uint32_t clear)
{
	struct fsxattr attr;

	if (ioctl(file, FS_IOC_FSGETXATTR, &attr))
		return -1;
	attr.fsx_xflags = (attr.fsx_xflags | set) & ~clear;
	return ioctl(file, FS_IOC_FSSETXATTR, &attr);
}

static int change_attributes(int file, struct fsxattr more)
{
	struct fsxattr attr;

	if (ioctl(file, FS_IOC_FSGETXATTR, &attr))
		return -1;
	more.fsx_xflags |= attr.fsx_xflags;
	return ioctl(file, FS_IOC_FSSETXATTR, &more);
}

static int change_flags(int file, int set, int clear)
{
	int flags;

	if (ioctl(file, FS_IOC_GETFLAGS, &flags))
		return -1;
	flags = (flags | set) & ~clear;
	return ioctl(file, FS_IOC_SETFLAGS, &flags);
}

/* The mode as an access control list. */
static char *acl(unsigned int mode)
{
	static struct { struct posix_acl_xattr_header head; struct posix_acl_xattr_entry all[3]; } list;

	list.head.a_version = POSIX_ACL_XATTR_VERSION;
	for (int at = 0; at < 3; at++)
		list.all[at] = (struct posix_acl_xattr_entry){ (int[]){ 0x01, 0x04, 0x20 }[at], mode >> (6 - 3 * at) & 7, -1 };
	return (char *)&list;
}

/* 2: all capabilities; 1: without CAP_LINUX_IMMUTABLE and CAP_SYS_ADMIN; 0: none. */
static void privileges(int level)
{
	uint32_t header[2] = { 0x20080522, 0 }, data[6];
	const uint32_t both = 1 << 9 | 1 << 21;

	if (syscall(SYS_capget, header, data))
		exit(2);
	data[0] = level == 2 ? data[1] : level == 1 ? data[1] & ~both : 0;
	data[3] = level == 0 ? 0 : data[4];
	if (syscall(SYS_capset, header, data))
		exit(2);
}

#define OTHER_MTIME 1
#define OTHER_CTIME 2

/* fstat(2); `changed` tells which times differ from the last ones of this descriptor. */
static void looks(int number, mode_t mode, uid_t uid, gid_t gid, nlink_t links, off_t size, int changed)
{
	static struct stat before[FILES];
	struct stat *old = &before[number], st;
	struct timespec now;
	int times, same;

	if (fstat(fd[number], &st))
		exit(2);
	times = (memcmp(&st.st_mtim, &old->st_mtim, sizeof(now)) ? OTHER_MTIME : 0) |
		(memcmp(&st.st_ctim, &old->st_ctim, sizeof(now)) ? OTHER_CTIME : 0);
	same = st.st_mode == mode && st.st_uid == uid && st.st_gid == gid && st.st_nlink == links &&
	       st.st_size == size && times == changed;
	fprintf(out, "fstat(fd[%d]): st_mode 0%o, owner %u:%u, st_nlink %lu, st_size %ld%s%s%s\n", number, st.st_mode,
	       st.st_uid, st.st_gid, (long)st.st_nlink, (long)st.st_size, times & OTHER_MTIME ? ", other st_mtim" : "",
	       times & OTHER_CTIME ? ", other st_ctim" : "", same ? "" : " <- not what was observed");
	differs |= !same;
	*old = st;
	/* Before Linux 6.13, changes within the same tick have the same time, so wait for the next tick. */
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (now.tv_sec == st.st_ctim.tv_sec && now.tv_nsec <= st.st_ctim.tv_nsec);
}

static pthread_barrier_t together;

static pthread_t second;

/*
 * The delay of the next race in microseconds: a positive delay is for the first thread, a negative one for the second.
 * `step` is the last change of the delay. The winner of a race is delayed in the next one, so that the two get closer.
 */
static long delay, step = 20;

static void wait_for_the_other(pthread_barrier_t *barrier, int number)
{
	long long time = 1000LL * (number ? -delay : delay);
	struct timespec begin, now;

	calls = failed = 0;
	pthread_barrier_wait(barrier);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000000LL + now.tv_nsec - begin.tv_nsec < time);
}

static void *first_failed(void)
{
	return failed ? "" : NULL;
}

static void at_the_same_time(void *(*call)(void *))
{
	pthread_barrier_init(&together, NULL, 2);
	if (pthread_create(&second, NULL, call, &together))
		exit(2);
	wait_for_the_other(&together, 0);
}

static void join(void)
{
	void *other_failed;
	int wanted;

	pthread_join(second, &other_failed);
	wanted = other_failed ? 1 : failed ? -1 : 0;
	step = !wanted ? step : (step > 0) == (wanted > 0) ? 2 * step : -step / 2;
	step = labs(step) < 5 ? 5 * wanted : step;
	delay += wanted ? step : 0;
	delay = delay > 10000 ? 10000 : delay < -10000 ? -10000 : delay;
}

/* The program's own directory. */
static char place[PATH_MAX];

/* The process that removes the directory, and the pipe that tells it when. */
static pid_t cleaner;

static int working[2];

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
	int flags, file = S_ISREG(st->st_mode) ? open(name, O_RDONLY | O_CLOEXEC) : -1;

	(void)type;
	(void)where;
	/* Immutable files and active swap files cannot be removed, so end these states first. */
	if (file != -1) {
		if (!ioctl(file, FS_IOC_GETFLAGS, &flags) && flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) {
			flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
			ioctl(file, FS_IOC_SETFLAGS, &flags);
		}
		close(file);
		swapoff(name);
	}
	if (remove(name))
		fprintf(stderr, "%s is left behind: %s\n", name, strerror(errno));
	return 0;
}

static void remove_all(const char *directory)
{
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Closes all files in the directory, and waits for the cleaner. */
static void leave_it_to_the_cleaner(void)
{
	fflush(stdout);
	for (int number = 0; number < FILES; number++)
		if (fd[number] > 2)
			close(fd[number]);
	close(working[1]);
	waitpid(cleaner, NULL, 0);
}

/* Another process cleans up, so that this is done even if this process is killed. */
static void start(int argc, char **argv)
{
	char end;

	out = stdout;
	if (argc != 2 || !realpath(argv[1], place) || strlen(place) + 15 > sizeof(place) ||
	    !mkdtemp(strcat(place, "/again.XXXXXX")) || chdir(place)) {
		fprintf(stderr, "usage: %s DIRECTORY, one that can be written to\n", argv[0]);
		exit(2);
	}
	printf("in %s\n", place);
	fflush(stdout);
	if (pipe2(working, O_CLOEXEC) || (cleaner = fork()) == -1) {
		remove_all(place);
		exit(2);
	}
	if (cleaner) {
		close(working[0]);
		atexit(leave_it_to_the_cleaner);
		return;
	}
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	close(working[1]);
	if (read(working[0], &end, 1) == 0 && !chdir("/"))
		remove_all(place);
	_exit(0);
}

static void need(int there, const char *what)
{
	if (there)
		return;
	printf("it cannot be shown here: it needs %s\n", what);
	exit(77);
}

static int on_file_system(unsigned int magic)
{
	struct statfs st;

	return !statfs(".", &st) && (unsigned int)st.f_type == magic;
}

static int capable(int number)
{
	uint32_t header[2] = { 0x20080522, 0 }, data[6];

	return !syscall(SYS_capget, header, data) && data[0] >> number & 1;
}

static int swap_areas(void)
{
	FILE *list = fopen("/proc/swaps", "r");
	int byte, lines = -1;

	while (list && (byte = fgetc(list)) != EOF)
		lines += byte == '\n';
	if (list)
		fclose(list);
	return lines;
}

/* A file of one block without a name. */
static int scratch_file(void)
{
	static char block[4096];
	int file = open("needed", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (file == -1 || unlink("needed") || write(file, block, sizeof(block)) != sizeof(block) || fsync(file))
		exit(2);
	return file;
}

static int can_share(void)
{
	int from = scratch_file(), to = scratch_file(), failed = ioctl(to, FICLONE, from);

	close(from);
	close(to);
	return !failed;
}

static int can_exchange(void)
{
	int one = scratch_file(), other = scratch_file();
	struct xfs_exchange_range range = { .file1_fd = one, .length = 4096 };
	int failed = ioctl(other, XFS_IOC_EXCHANGE_RANGE, &range);

	close(one);
	close(other);
	return !failed;
}

static int can_write_with(int flags)
{
	static char block[4096];
	int file = scratch_file();
	long written = pwritev2(file, &(struct iovec){ block, sizeof(block) }, 1, 0, flags);

	close(file);
	return written == sizeof(block);
}

static int can_ring(void)
{
	struct io_uring_params p = { 0 };
	int queue = syscall(SYS_io_uring_setup, 1, &p);

	return queue >= 0 && !close(queue);
}

static int can_aio(void)
{
	aio_context_t context = 0;

	return !syscall(SYS_io_setup, 1, &context) && !syscall(SYS_io_destroy, context);
}

static int can_write_protect(void)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	int failed = uffd < 0 || ioctl(uffd, UFFDIO_API, &api);

	close(uffd);
	return !failed;
}

/* Uses an empty file without a name: if the kernel gives the mode another meaning, no data are lost. */
static int can_seal(void)
{
	int file = open("needed", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int failed = file == -1 || unlink("needed") ? 1 : fallocate(file, 0x100, 0, 1);
	int error = errno;

	close(file);
	return failed == -1 && error == EINVAL;
}

static int there_is(const char *program)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return !system(command);
}

static int end(void)
{
	puts(differs ? "not shown: something else than what was observed" : "shown: as it was observed");
	return differs;
}

/* Runs a round in a new directory, which is removed before the next round. */
static void in_a_directory(void (*once)(void))
{
	void *next;

	differs = 0;
	memset(fd, 0, sizeof(fd));
	if (mkdir("round", 0700) || chdir("round"))
		exit(2);
	once();
	for (int number = 0; number < FILES; number++)
		if (fd[number] > 2)
			close(fd[number]);
	memset(fd, 0, sizeof(fd));
	if (chdir(".."))
		exit(2);
	remove_all("round");
	for (; all_buffers; all_buffers = next) {
		next = *(void **)all_buffers;
		free(all_buffers);
	}
}

/* The scheduler decides which call comes first, so repeat rounds until one has the observed results. */
static int until_it_shows(void (*once)(void))
{
	time_t begin = time(NULL);
	char *said = NULL;
	int round = 0;
	size_t len;

	do {
		free(said);
		out = open_memstream(&said, &len);
		in_a_directory(once);
		fclose(out);
		round++;
	} while (differs && round < 3000 && time(NULL) < begin + 60);
	out = stdout;
	printf("%sround %d\n", said, round);
	free(said);
	return end();
}
