//! Threads that open objects and ask their filters, which may be far away: whoever only computes must not wait with them.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Objects that are waited for at once, however few cores there are.
const MIN_THREADS: usize = 2;

/// Runs work whose parallel parts are to run on those threads. Where there can be none, they run where those of others do.
pub(super) fn apart<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // What a simulation does follows from its seed only on one thread.
    if cfg!(test) {
        return work();
    }
    static THREADS: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let threads = THREADS.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let name = |n| format!("logs-select-{n}");
        ThreadPoolBuilder::new().num_threads(cores.max(MIN_THREADS)).thread_name(name).build().ok()
    });
    match threads {
        Some(threads) => threads.install(work),
        None => work(),
    }
}
