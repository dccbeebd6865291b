//! The counter of the processor.

/// The time-stamp counter. In a guest whose clock counts instructions, it is their number.
#[cfg(target_arch = "x86_64")]
pub(crate) fn now() -> u64 {
    // SAFETY: every x86-64 has the instruction, and it changes no memory.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The suite does not know the counters of other processors.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn now() -> u64 {
    0
}
