//! The functions of libc that a preloaded library replaces.
#![expect(unsafe_code, reason = "the edge to the program and to libc")]

use crate::mounted::Mounted;
use crate::shim::{descriptor, is_mapped, name, shim};
use iomap_reference::ioctl::{self, FsXattr};
use iomap_reference::{BLOCK, Call, Fd, Mode, STATX_SEALED, Stat, XFLAG_SEALED};
use libc::{c_char, c_int, c_uint, c_ulong, c_void, mode_t, off_t, size_t, ssize_t};
use nix::errno::Errno;
use std::ffi::CStr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::LazyLock;

/// From <linux/fs.h>.
const FS_IOC_FSGETXATTR: c_ulong = ioctl::FS_IOC_FSGETXATTR as c_ulong;
const FS_IOC_FSSETXATTR: c_ulong = ioctl::FS_IOC_FSSETXATTR as c_ulong;
const FICLONE: c_ulong = 0x4004_9409;

/// Defines each function under each of its names. The expression returns the answer of the model, or `None` to call
/// libc. off_t and off64_t are the same, and so are the structs and functions with and without 64.
macro_rules! interpose {
    ($([$($name:ident),+] $arguments:tt -> $result:ty = $answer:expr;)+) => {
        $($(interpose!(@ $name $arguments -> $result = $answer);)+)+
    };
    (@ $name:ident ($($argument:ident: $type:ty),+) -> $result:ty = $answer:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),+) -> $result {
            type Next = unsafe extern "C" fn($($type),+) -> $result;
            static NEXT: LazyLock<Next> = LazyLock::new(|| {
                // SAFETY: libc's function of this name has this type.
                unsafe { libc_function(concat!(stringify!($name), "\0")) }
            });
            #[allow(unused_unsafe, reason = "some functions take no pointers")]
            // SAFETY: the program guarantees its pointers for this call as for libc.
            let answer: Option<Result<i64, Errno>> = unsafe { $answer };
            match answer {
                Some(Ok(value)) => value as $result,
                Some(Err(errno)) => {
                    errno.set();
                    -1_i64 as $result
                }
                // SAFETY: these are the program's own arguments.
                None => unsafe { NEXT($($argument),+) },
            }
        }
    };
}

// open, openat and ioctl are variadic in C. On Linux their variadic argument is in the same place as a named one.
interpose! {
    [open, open64](path: *const c_char, flags: c_int, mode: mode_t) -> c_int =
        named(path).map(|name| shim().open(name, flags, mode));
    [openat, openat64](_directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int =
        named(path).map(|name| shim().open(name, flags, mode));
    [creat, creat64](path: *const c_char, mode: mode_t) -> c_int =
        named(path).map(|name| shim().open(name, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode));
    [close](fd: c_int) -> c_int =
        then_libc(descriptor(fd).map(|fd| shim().close(fd)));
    [read](fd: c_int, buffer: *mut c_void, len: size_t) -> ssize_t =
        descriptor(fd).map(|fd| fill(buffer, shim().data(&Call::Read { fd, len })));
    [pread, pread64](fd: c_int, buffer: *mut c_void, len: size_t, offset: off_t) -> ssize_t =
        descriptor(fd).map(|fd| fill(buffer, shim().data(&Call::Pread { fd, offset, len })));
    [write](fd: c_int, buffer: *const c_void, len: size_t) -> ssize_t =
        descriptor(fd).map(|fd| shim().number(&Call::Write { fd, data: bytes(buffer, len)? }));
    [pwrite, pwrite64](fd: c_int, buffer: *const c_void, len: size_t, offset: off_t) -> ssize_t =
        descriptor(fd).map(|fd| shim().number(&Call::Pwrite { fd, offset, data: bytes(buffer, len)? }));
    [lseek, lseek64](fd: c_int, offset: off_t, whence: c_int) -> off_t =
        descriptor(fd).map(|fd| shim().seek(fd, offset, whence));
    [fsync](fd: c_int) -> c_int =
        descriptor(fd).map(|fd| shim().number(&Call::Fsync { fd }));
    [fdatasync](fd: c_int) -> c_int =
        descriptor(fd).map(|fd| shim().number(&Call::Fsync { fd }));
    [ftruncate, ftruncate64](fd: c_int, size: off_t) -> c_int =
        descriptor(fd).map(|fd| shim().number(&Call::Ftruncate { fd, size }));
    [truncate, truncate64](path: *const c_char, size: off_t) -> c_int =
        named(path).map(|name| shim().number(&Call::Truncate { name, size }));
    [fallocate, fallocate64](fd: c_int, mode: c_int, offset: off_t, len: off_t) -> c_int =
        match descriptor(fd) {
            Some(fd) => Some(shim().number(&Call::Fallocate { fd, mode: Mode(mode as u32), offset, len })),
            None => change(fd, Mode(mode as u32), offset, len),
        };
    [ioctl](fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int =
        match descriptor(fd) {
            Some(fd) => Some(control(fd, request, argument)),
            None => attributes(fd, request, argument),
        };
    [copy_file_range](
        from: c_int, from_offset: *mut off_t, to: c_int, to_offset: *mut off_t, len: size_t, flags: c_uint
    ) -> ssize_t =
        both(descriptor(from), descriptor(to), |from, to| match flags {
            0 => shim().copy_range((from, from_offset.as_mut()), (to, to_offset.as_mut()), len),
            _ => Err(Errno::EINVAL),
        });
    [unlink](path: *const c_char) -> c_int =
        named(path).map(|name| shim().number(&Call::Unlink { name }));
    [rename](from: *const c_char, to: *const c_char) -> c_int =
        both(named(from), named(to), |from, to| shim().number(&Call::Rename { from, to, exchange: false }));
    [link](from: *const c_char, to: *const c_char) -> c_int =
        both(named(from), named(to), |from, to| shim().number(&Call::Link { from, to }));
    [fstat, fstat64](fd: c_int, result: *mut libc::stat) -> c_int =
        descriptor(fd).map(|fd| shim().stat(fd).map(|stat| show(&stat, result)));
    [statx](directory: c_int, path: *const c_char, flags: c_int, mask: c_uint, result: *mut libc::statx) -> c_int =
        match descriptor(directory) {
            Some(fd) if is_empty(path) => Some(extended(fd).map(|shown| { result.write(shown); 0 })),
            None if is_empty(path) => attribute(directory, path, flags, mask, result),
            _ => named(path).map(|name| {
                let opened = shim().open(name, libc::O_RDONLY, 0)? as c_int;
                let shown = descriptor(opened).ok_or(Errno::EBADF).and_then(extended);
                libc::close(opened);
                result.write(shown?);
                Ok(0)
            }),
        };
    [mmap, mmap64](
        address: *mut c_void, len: size_t, protection: c_int, flags: c_int, fd: c_int, offset: off_t
    ) -> *mut c_void =
        descriptor(fd).map(|fd| {
            let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(len)).ok_or(Errno::EINVAL)?;
            let shared = flags & libc::MAP_TYPE != libc::MAP_PRIVATE;
            shim().map(fd, end, (shared, protection & libc::PROT_WRITE != 0), |memory| {
                let start = libc::mmap(address, len, protection, flags, memory, offset);
                if start == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(range(start, len)) }
            })
        });
    [munmap](address: *mut c_void, len: size_t) -> c_int =
        then_libc(is_mapped(&range(address, len)).then(|| shim().unmap(&range(address, len))));
    [msync](address: *mut c_void, len: size_t, _flags: c_int) -> c_int =
        is_mapped(&range(address, len)).then(|| shim().store());
}

/// The libc function that this library replaces, by its NUL-terminated name. `F` is a pointer to a function of its
/// type.
unsafe fn libc_function<F>(name: &str) -> F {
    // SAFETY: the name is NUL-terminated.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) };
    assert!(!found.is_null(), "libc has no {name}");
    // SAFETY: the caller vouches for the type, and a pointer to a function has the size of any pointer.
    unsafe { std::mem::transmute_copy(&found) }
}

/// After success in the model, libc is called too, so that the kernel releases its resources.
fn then_libc(answer: Option<Result<i64, Errno>>) -> Option<Result<i64, Errno>> {
    answer.filter(Result::is_err)
}

/// Calls with two files: both must belong to the model, or neither.
fn both<T>(
    one: Option<T>,
    other: Option<T>,
    call: impl FnOnce(T, T) -> Result<i64, Errno>,
) -> Option<Result<i64, Errno>> {
    match (one, other) {
        (None, None) => None,
        (Some(one), Some(other)) => Some(call(one, other)),
        _ => Some(Err(Errno::EXDEV)),
    }
}

/// The range of the pages of a mapping.
fn range(start: *mut c_void, len: size_t) -> Range<usize> {
    start as usize..(start as usize).saturating_add(len).next_multiple_of(BLOCK)
}

unsafe fn named(path: *const c_char) -> Option<String> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the program passed a NUL-terminated string.
    name(unsafe { CStr::from_ptr(path) })
}

unsafe fn bytes(buffer: *const c_void, len: size_t) -> Result<Vec<u8>, Errno> {
    match (buffer.is_null(), len) {
        (_, 0) => Ok(Vec::new()),
        (true, _) => Err(Errno::EFAULT),
        // SAFETY: the program's buffer has this length.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(buffer.cast(), len) }.to_vec()),
    }
}

unsafe fn fill(buffer: *mut c_void, data: Result<Vec<u8>, Errno>) -> Result<i64, Errno> {
    let data = data?;
    if buffer.is_null() && !data.is_empty() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the model returns no more bytes than the program has room for.
    unsafe { std::ptr::copy(data.as_ptr(), buffer.cast(), data.len()) };
    Ok(data.len() as i64)
}

unsafe fn control(fd: Fd, request: c_ulong, argument: *mut c_void) -> Result<i64, Errno> {
    match request {
        FS_IOC_FSGETXATTR => {
            let xflags = shim().number(&Call::GetXflags { fd })?;
            // SAFETY: the argument is a struct fsxattr.
            unsafe { answer(argument, xflags as u32) }
        }
        FS_IOC_FSSETXATTR => {
            // SAFETY: the argument is a struct fsxattr.
            let set = unsafe { asked(argument) }?;
            shim().number(&Call::ChangeXflags { fd, set, clear: !set })
        }
        FICLONE => {
            let from = descriptor(argument as usize as c_int).ok_or(Errno::EXDEV)?;
            shim().number(&Call::Clone { from, to: fd })
        }
        _ => Err(Errno::ENOTTY),
    }
}

/// fallocate(2) with a mode that seals or unseals, on a mounted reference.
unsafe fn change(fd: c_int, mode: Mode, offset: off_t, len: off_t) -> Option<Result<i64, Errno>> {
    if !mode.changes_state() {
        return None;
    }
    // SAFETY: it is the program's own descriptor.
    unsafe { mounted(fd) }.map(|file| file.change(mode, offset, len).map(|()| 0))
}

/// ioctl(2) on the flags of a file on a mounted reference.
unsafe fn attributes(fd: c_int, request: c_ulong, argument: *mut c_void) -> Option<Result<i64, Errno>> {
    if !matches!(request, FS_IOC_FSGETXATTR | FS_IOC_FSSETXATTR) {
        return None;
    }
    // SAFETY: it is the program's own descriptor, and the argument of both is a struct fsxattr.
    unsafe {
        mounted(fd).map(|file| match request {
            FS_IOC_FSGETXATTR => answer(argument, file.xflags),
            _ => asked(argument).and_then(|xflags| file.set_xflags(xflags)).map(|()| 0),
        })
    }
}

unsafe fn mounted<'program>(fd: c_int) -> Option<Mounted<'program>> {
    // Numbers below 0 are no descriptors, and BorrowedFd does not take them.
    // SAFETY: the program keeps its descriptor open during the call.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) }).and_then(Mounted::find)
}

/// Fills in the result of FS_IOC_FSGETXATTR.
unsafe fn answer(argument: *mut c_void, xflags: u32) -> Result<i64, Errno> {
    // SAFETY: the pointer is NULL or points to the program's struct fsxattr.
    *unsafe { argument.cast::<FsXattr>().as_mut() }.ok_or(Errno::EFAULT)? = FsXattr { xflags, ..FsXattr::default() };
    Ok(0)
}

/// The flags that FS_IOC_FSSETXATTR sets.
unsafe fn asked(argument: *mut c_void) -> Result<u32, Errno> {
    // SAFETY: the pointer is NULL or points to the program's struct fsxattr.
    unsafe { argument.cast::<FsXattr>().as_ref() }.map(|attributes| attributes.xflags).ok_or(Errno::EFAULT)
}

unsafe fn is_empty(path: *const c_char) -> bool {
    // SAFETY: the program gave a terminated string, or nothing.
    !path.is_null() && unsafe { CStr::from_ptr(path) }.is_empty()
}

/// statx(2) of a file of the model.
fn extended(fd: Fd) -> Result<libc::statx, Errno> {
    let stat = shim().stat(fd)?;
    let xflags = shim().number(&Call::GetXflags { fd })? as u32;
    // SAFETY: zeros are valid for each field.
    let mut shown: libc::statx = unsafe { std::mem::zeroed() };
    shown.stx_mask = libc::STATX_BASIC_STATS;
    shown.stx_mode = (libc::S_IFREG | stat.mode) as u16;
    shown.stx_nlink = stat.links as _;
    (shown.stx_uid, shown.stx_gid) = (stat.uid, stat.gid);
    shown.stx_size = stat.size;
    shown.stx_blksize = BLOCK as _;
    shown.stx_blocks = stat.size.next_multiple_of(BLOCK as u64) / 512;
    (shown.stx_mtime, shown.stx_ctime) = (time(stat.mtime), time(stat.ctime));
    say(&mut shown, xflags);
    Ok(shown)
}

/// statx(2) of an open file on a mounted reference: FUSE passes on no attribute of its own.
unsafe fn attribute(
    fd: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    result: *mut libc::statx,
) -> Option<Result<i64, Errno>> {
    // SAFETY: it is the program's own descriptor.
    let xflags = unsafe { mounted(fd) }?.xflags;
    // SAFETY: these are the program's own arguments.
    let done = unsafe { libc::syscall(libc::SYS_statx, fd, path, flags, mask, result) };
    Some(Errno::result(done).map(|_| {
        // SAFETY: the kernel has just written the program's struct.
        say(unsafe { &mut *result }, xflags);
        0
    }))
}

fn say(shown: &mut libc::statx, xflags: u32) {
    shown.stx_attributes_mask |= STATX_SEALED;
    if xflags & XFLAG_SEALED != 0 {
        shown.stx_attributes |= STATX_SEALED;
    }
}

fn time(time: i128) -> libc::statx_timestamp {
    // SAFETY: zeros are valid for each field.
    let mut shown: libc::statx_timestamp = unsafe { std::mem::zeroed() };
    shown.tv_sec = time.div_euclid(1_000_000_000) as i64;
    shown.tv_nsec = time.rem_euclid(1_000_000_000) as u32;
    shown
}

unsafe fn show(stat: &Stat, result: *mut libc::stat) -> i64 {
    let seconds = |time: i128| ((time / 1_000_000_000) as i64, (time % 1_000_000_000) as i64);
    // SAFETY: zeros are valid for each field.
    let mut shown: libc::stat = unsafe { std::mem::zeroed() };
    shown.st_mode = libc::S_IFREG | stat.mode;
    shown.st_nlink = stat.links as _;
    (shown.st_uid, shown.st_gid) = (stat.uid, stat.gid);
    shown.st_size = stat.size as i64;
    shown.st_blksize = BLOCK as _;
    shown.st_blocks = (stat.size.next_multiple_of(BLOCK as u64) / 512) as _;
    (shown.st_mtime, shown.st_mtime_nsec) = seconds(stat.mtime);
    (shown.st_ctime, shown.st_ctime_nsec) = seconds(stat.ctime);
    // SAFETY: the program's struct has room for this one.
    unsafe { result.write(shown) };
    0
}
