//! What the program does when it is killed, when its disk fails it, and when targets and users mean harm.
//!
//! In reading order: [`server`] and [`target`] (what the tests are made of), [`crash`], [`disk`], [`damage`],
//! [`lock`], [`replay`], [`limits`], [`budget`], [`hostile`].

mod budget;
mod crash;
mod damage;
pub mod disk;
mod hostile;
mod limits;
mod lock;
mod replay;
pub mod server;
pub mod target;

use std::time::Duration;

use base::Clock;

/// How long anything may take that is waited for. Only a failing test ever waits this long.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Looks again and again until there is what is looked for.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = base::SystemClock::new();
    let started = clock.monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.monotonic() - started < DEADLINE, "waited in vain for {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "the pace at which another process is asked; nothing depends on it"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
}
