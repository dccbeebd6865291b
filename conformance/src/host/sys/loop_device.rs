//! Loop devices.

use super::ioctl::{Number, Request, ioctl, ioctl_with_number};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;
use zerocopy::{FromBytes, IntoBytes};

const LOOP_CTL_GET_FREE: Request<Number> = Request::numbered(0x4c82);
const LOOP_CONFIGURE: Request<LoopConfig> = Request::numbered(0x4c0a);

/// `struct loop_config` of <linux/loop.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `struct loop_info64`.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct LoopInfo {
    numbers: [u64; 5],
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// The number of a loop device that is free now, or was free a moment ago.
pub(crate) fn free(control: &File) -> Result<i32, Errno> {
    ioctl_with_number(control, &LOOP_CTL_GET_FREE, 0)
}

/// LOOP_CONFIGURE with LO_FLAGS_AUTOCLEAR: the device detaches itself after its last use.
pub(crate) fn attach(device: &File, backing: &File) -> Result<(), Errno> {
    const LO_FLAGS_AUTOCLEAR: u32 = 4;
    let mut file_name = [0; 64];
    let label = b"iomap-conformance";
    file_name[..label.len()].copy_from_slice(label);
    let mut config = LoopConfig {
        fd: backing.as_raw_fd() as u32,
        block_size: 0,
        info: LoopInfo {
            numbers: [0; 5],
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LO_FLAGS_AUTOCLEAR,
            file_name,
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    ioctl(device, &LOOP_CONFIGURE, &mut config)
}
