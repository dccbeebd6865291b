//! Any image must be refused with an error, or be usable and stay consistent. Neither may take much more memory than
//! the image has bytes. The input is a recipe for an image, because random bytes never have correct checksums.
#![no_main]

#[path = "../../tests/tools/mod.rs"]
mod tools;

use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tools::{Choices, forge::recipe, survival::survives};

/// Counts allocated memory. The limits of libFuzzer are for one allocation, or for the process including the fuzzer.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The allowed memory for each byte of an image, and the allowed additional memory. The latter is for serde, which
/// allocates for the stated length of data before it checks their real length.
const TIMES: usize = 16;
const BESIDES: usize = 8 << 20;

// SAFETY: the allocator of the system does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        if live > LIMIT.load(Relaxed) && !std::thread::panicking() {
            panic!("{} bytes more, and {live} are in use", layout.size());
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let image = recipe(&mut choices);
    LIMIT.store(LIVE.load(Relaxed) + TIMES * image.len() + BESIDES, Relaxed);
    survives(image, &mut choices);
    LIMIT.store(usize::MAX, Relaxed);
});
