//! ioctl(2): a constant for each request, and one place that makes the call.

use nix::errno::Errno;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use zerocopy::{FromBytes, IntoBytes};

/// A request, and the type of its argument. Only the constants of `sys/` are made by these functions. Each constant
/// stands beside the type that the kernel's header has for it.
pub(super) struct Request<T> {
    number: libc::c_ulong,
    argument: PhantomData<fn(&mut T)>,
}

/// The argument of a request that takes a number and not a pointer.
pub(super) struct Number;

/// The directions in the number of a request, as the caller sees them.
const WRITE: libc::c_ulong = 1;
const READ: libc::c_ulong = 2;

impl<T> Request<T> {
    /// A request whose number does not describe its argument.
    pub(super) const fn numbered(number: u32) -> Self {
        Self { number: number as libc::c_ulong, argument: PhantomData }
    }

    /// `_IOR`: the kernel writes the argument.
    pub(super) const fn read(group: u8, number: u8) -> Self {
        Self::sized(READ, group, number)
    }

    /// `_IOW`: the kernel reads the argument.
    pub(super) const fn write(group: u8, number: u8) -> Self {
        Self::sized(WRITE, group, number)
    }

    /// `_IOWR`: the kernel reads and writes the argument.
    pub(super) const fn read_write(group: u8, number: u8) -> Self {
        Self::sized(READ | WRITE, group, number)
    }

    const fn sized(direction: libc::c_ulong, group: u8, number: u8) -> Self {
        let size = size_of::<T>() as libc::c_ulong;
        let number = direction << 30 | size << 16 | (group as libc::c_ulong) << 8 | number as libc::c_ulong;
        Self { number, argument: PhantomData }
    }
}

impl Request<()> {
    /// `_IO`: no argument.
    pub(super) const fn bare(group: u8, number: u8) -> Self {
        Self::sized(0, group, number)
    }
}

/// Makes a request. The kernel may write any bytes to the argument: they are a value of its type, by [`FromBytes`].
pub(super) fn ioctl<T>(file: &impl AsFd, request: &Request<T>, argument: &mut T) -> Result<(), Errno>
where
    T: FromBytes + IntoBytes,
{
    enter(file, request.number, std::ptr::from_mut(argument).cast()).map(drop)
}

/// Makes a request that takes a number, and returns one.
pub(super) fn ioctl_with_number(file: &impl AsFd, request: &Request<Number>, number: usize) -> Result<i32, Errno> {
    enter(file, request.number, std::ptr::without_provenance_mut(number))
}

fn enter(file: &impl AsFd, number: libc::c_ulong, argument: *mut libc::c_void) -> Result<i32, Errno> {
    // SAFETY: the argument is a number that the kernel does not follow, or a value of the type that the request's
    // constant has. That type is as large as the data that the kernel reads and writes, and the value lives during the
    // call.
    Errno::result(unsafe { libc::ioctl(file.as_fd().as_raw_fd(), number as libc::Ioctl, argument) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_headers_have_them() {
        assert_eq!(Request::<[u64; 4]>::write(0x94, 13).number, 0x4020_940d);
        assert_eq!(Request::<[u64; 3]>::read_write(b'X', 121).number, 0xc018_5879);
        assert_eq!(Request::<u32>::read(b'X', 125).number, 0x8004_587d);
        assert_eq!(Request::bare(b'f', 9).number, 0x6609);
    }
}
