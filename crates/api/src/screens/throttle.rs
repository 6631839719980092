//! Guessing passwords takes long: after a few wrong ones a login waits.

use std::collections::HashMap;
use std::time::Duration;

use base::clock::SharedClock;
use parking_lot::Mutex;

/// Wrong passwords of one login within the window before it has to wait.
const MAX_FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Logins remembered; when there are more, those whose window is over are forgotten, and then all.
const MAX_LOGINS: usize = 10_000;

/// Wrong passwords, by login.
pub struct Throttle {
    clock: SharedClock,
    failures: Mutex<HashMap<String, Vec<Duration>>>,
}

impl Throttle {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, failures: Mutex::default() }
    }

    /// How long a login has to wait before the next try.
    pub fn wait(&self, login: &str) -> Option<Duration> {
        let now = self.clock.monotonic();
        let failures = self.failures.lock();
        let recent = failures.get(&key(login))?;
        let oldest = recent.len().checked_sub(MAX_FAILURES).map(|at| recent[at])?;
        (oldest + WINDOW).checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// Notes a wrong password. Logins there is no user of count, too: an answer must not tell them apart.
    pub fn note_failure(&self, login: &str) {
        let now = self.clock.monotonic();
        let mut failures = self.failures.lock();
        if failures.len() >= MAX_LOGINS {
            failures.retain(|_, times| times.last().is_some_and(|&time| time + WINDOW > now));
        }
        if failures.len() >= MAX_LOGINS {
            failures.clear();
        }
        let times = failures.entry(key(login)).or_default();
        times.retain(|&time| time + WINDOW > now);
        times.push(now);
    }

    /// Forgets the wrong passwords of who has the right one.
    pub fn note_success(&self, login: &str) {
        self.failures.lock().remove(&key(login));
    }
}

/// Logins differ not by case, and no key is longer than a login can be.
fn key(login: &str) -> String {
    login.chars().take(200).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_make_a_login_wait() {
        let clock = base::SimClock::at(1_000);
        let throttle = Throttle::new(clock.clone());
        for _ in 0..MAX_FAILURES {
            assert_eq!(throttle.wait("ann"), None);
            throttle.note_failure("ann");
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(throttle.wait("Ann"), Some(WINDOW - Duration::from_secs(5)));
        assert_eq!(throttle.wait("bob"), None);
        clock.advance(WINDOW - Duration::from_secs(5));
        assert_eq!(throttle.wait("ann"), None);
        throttle.note_failure("ann");
        assert!(throttle.wait("ann").is_some());
        throttle.note_success("ANN");
        assert_eq!(throttle.wait("ann"), None);
    }
}
