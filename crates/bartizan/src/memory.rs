//! How the allocator deals with memory that is no longer used.

/// What the allocator reads before it serves anyone; the environment's `MALLOC_CONF` comes after it and wins.
///
/// One arena for all threads, of which each keeps only what is small to itself, and free room of any size is taken for what is
/// wanted next: so what one query frees serves another, whoever runs it, and queries together take what they may and little more.
/// What nobody wants again is given back to the system within a fifth of a second, by a thread of the allocator's own.
#[allow(non_upper_case_globals, reason = "the allocator asks for this name")]
// SAFETY: nothing else has this name, and it is a pointer to text that ends with a zero.
#[unsafe(export_name = "malloc_conf")]
static malloc_conf: &[u8; 114] =
    b"narenas:1,lg_tcache_max:13,lg_extent_max_active_fit:20,background_thread:true,dirty_decay_ms:200,muzzy_decay_ms:0\0";

/// Keeps the system from backing memory by huge pages. Call it before any other thread runs.
pub fn start() {
    // A huge page is resident as a whole once a byte of it is used: threads that each hold a little in many pages
    // then take three times what they hold, and a head a seventh more, without being faster. A system that
    // refuses has none, or is too old to know.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
