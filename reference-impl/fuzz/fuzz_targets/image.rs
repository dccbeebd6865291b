//! Any image: it is refused with what is wrong, or it can be worked with and stays consistent. Neither takes much more
//! memory than the image has bytes. The input is a recipe, for of random bytes no checksum is right.
#![no_main]

#[path = "../../tests/tools/mod.rs"]
mod tools;

use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tools::{Choices, forge::recipe, survival::survives};

/// Counts, because libFuzzer's limits are for one allocation, or for the process with all that the fuzzer has.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The memory that an image may take, for each of its bytes and besides. Besides, serde allocates for data that claim
/// to be long, before it looks at how much there is.
const TIMES: usize = 16;
const BESIDES: usize = 8 << 20;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        if live > LIMIT.load(Relaxed) && !std::thread::panicking() {
            panic!("{} bytes more, and {live} are in use", layout.size());
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
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
