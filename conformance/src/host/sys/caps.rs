//! Capabilities of the calling thread.

use nix::errno::Errno;

/// CAP_LINUX_IMMUTABLE, CAP_SYS_ADMIN and CAP_SYS_RESOURCE. Quotas do not bind a thread with CAP_SYS_RESOURCE.
pub(crate) const PRIVILEGES: u64 = 1 << 9 | 1 << 21 | 1 << 24;

/// Calls `act` without these capabilities in the effective set of this thread.
pub(crate) fn without<T>(dropped: u64, act: impl FnOnce() -> T) -> Result<T, Errno> {
    let before = capabilities()?;
    let mut without = before;
    without.effective[0] &= !(dropped as u32);
    without.effective[1] &= !((dropped >> 32) as u32);
    set_capabilities(&without)?;
    let result = act();
    set_capabilities(&before)?;
    Ok(result)
}

/// `struct __user_cap_data_struct[2]`, by set.
#[derive(Clone, Copy, Default)]
struct Capabilities {
    effective: [u32; 2],
    permitted: [u32; 2],
    inheritable: [u32; 2],
}

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread.
const HEADER: [u32; 2] = [0x2008_0522, 0];

fn capabilities() -> Result<Capabilities, Errno> {
    let (mut header, mut data) = (HEADER, [0_u32; 6]);
    // SAFETY: version 3 has two structs of three words, for which there is room.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    Errno::result(result)?;
    let set = |index: usize| [data[index], data[index + 3]];
    Ok(Capabilities { effective: set(0), permitted: set(1), inheritable: set(2) })
}

fn set_capabilities(to: &Capabilities) -> Result<(), Errno> {
    let mut header = HEADER;
    let half = |index: usize| [to.effective[index], to.permitted[index], to.inheritable[index]];
    let data = [half(0), half(1)];
    // SAFETY: version 3 has two structs of three words, and the kernel only reads them.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) }).map(|_| ())
}
