//! Memory an allocator keeps for later: how it is asked to give that back.
//!
//! Only the binary knows the allocator, and only those who do large work know when it is done.

use std::sync::OnceLock;

static RELEASE: OnceLock<fn()> = OnceLock::new();

/// Sets what [`release`] calls; only the first call has an effect.
pub fn on_release(release: fn()) {
    RELEASE.get_or_init(|| release);
}

/// Gives back to the system what this thread has freed. Call it after work that took megabytes.
pub fn release() {
    if let Some(release) = RELEASE.get() {
        release();
    }
}
