//! Objects that a manifest names and the bucket did not have when it was asked.
//!
//! One answer of that kind proves little: a proxy, a replica that lags, a bucket that was just mounted somewhere else. An
//! object is taken for lost when it was missing several times with some time between.

use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use ulid::Ulid;

/// So often it must have been missing.
const TIMES: u32 = 3;
/// With that much time between.
const APART: Duration = Duration::from_secs(60);
/// What was not missing again within that time starts anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// Objects that were missing lately.
#[derive(Default)]
pub(crate) struct Absences(Mutex<HashMap<Ulid, Absence>>);

struct Absence {
    times: u32,
    last: Duration,
}

impl Absences {
    /// Notes that an object is missing; true when it is to be taken for lost. `now` is of a clock that never goes back.
    pub fn note(&self, id: Ulid, now: Duration) -> bool {
        let mut absences = self.0.lock();
        absences.retain(|_, absence| now.saturating_sub(absence.last) < FORGOTTEN_AFTER);
        let absence = absences.entry(id).or_insert(Absence { times: 0, last: now });
        if absence.times == 0 || now.saturating_sub(absence.last) >= APART {
            absence.times += 1;
            absence.last = now;
        }
        absence.times >= TIMES
    }

    /// Objects that were missing lately, so that somebody looks again.
    pub fn suspects(&self) -> Vec<Ulid> {
        self.0.lock().keys().copied().collect()
    }

    /// It is there.
    pub fn forget(&self, id: Ulid) {
        self.0.lock().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_again_and_again_is_lost() {
        let (absences, id) = (Absences::default(), Ulid::from_parts(1, 2));
        let at = |seconds| absences.note(id, Duration::from_secs(seconds));
        assert!(!at(0) && !at(1) && !at(59), "asked at once again proves nothing");
        assert!(!at(60) && at(120));
        assert!(!at(120 + 3600), "an hour later it starts anew");
        absences.forget(id);
        assert!(absences.suspects().is_empty());
    }
}
