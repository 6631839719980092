//! What the allocator does with memory that is no longer used.

use std::ffi::c_long;

use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_t};

/// The option that says how long freed memory is kept for the next allocation; the binding does not name it.
const PURGE_DELAY: mi_option_t = 15;
/// The allocator's own default is a second, in which concurrent queries could free their budget many times.
const PURGE_DELAY_MS: c_long = 10;

/// Makes memory small, and the allocator give it back soon. Call it before any other thread runs.
pub fn start() {
    // A huge page is resident as a whole once a byte of it is used: threads that each hold a little in many pages
    // then take three times what they hold, and a head a seventh more, without being faster. The allocator
    // asks for huge pages before anyone can tell it not to. A system that refuses has none, or is too old to know.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // SAFETY: the option exists in the linked version, and any number is a valid delay.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
    base::memory::on_release(release);
}

fn release() {
    // SAFETY: it may be called on any thread, and touches only what is free.
    unsafe { mi_collect(true) };
}
