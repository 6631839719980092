//! Names and passwords that were right a moment ago: programs send theirs with every request, and checking one takes tens
//! of milliseconds and 19 MiB.

use std::collections::HashMap;
use std::time::Duration;

use base::clock::SharedClock;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};

/// How long it is believed that a password is still the same; changes made by this process count at once.
const LASTS: Duration = Duration::from_secs(60);
/// Entries kept; when there are more, all are forgotten.
const MAX_ENTRIES: usize = 1_000;

/// Checked credentials, as hashes.
pub struct Remembered {
    clock: SharedClock,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The user and when it was checked.
    users: HashMap<Vec<u8>, (i64, Duration)>,
    /// Grows when users change, so that what was checked before is not remembered after.
    generation: u64,
}

impl Remembered {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// The user of credentials that were checked lately; otherwise what [`Self::note`] is to be given.
    pub fn user(&self, login: &str, password: &str) -> Result<i64, u64> {
        let now = self.clock.monotonic();
        let known = self.known.lock();
        let found = known.users.get(&key(login, password)).filter(|(_, checked)| *checked + LASTS > now);
        found.map(|(user, _)| *user).ok_or(known.generation)
    }

    /// Remembers credentials that are right, unless users have changed since `generation`.
    pub fn note(&self, (login, password): (&str, &str), user: i64, generation: u64) {
        let now = self.clock.monotonic();
        let mut known = self.known.lock();
        if known.generation != generation {
            return;
        }
        if known.users.len() >= MAX_ENTRIES {
            known.users.clear();
        }
        known.users.insert(key(login, password), (user, now));
    }

    /// Users have changed.
    pub fn forget(&self) {
        let mut known = self.known.lock();
        known.generation += 1;
        known.users.clear();
    }
}

/// A login has no zero byte, so no two pairs have the same key.
fn key(login: &str, password: &str) -> Vec<u8> {
    digest(&SHA256, format!("{login}\0{password}").as_bytes()).as_ref().to_vec()
}
