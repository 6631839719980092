//! Silences: alerts that match one are not told while it is active.

mod encoding;
mod live;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use config::alertmanager::matchers::is_valid_name;
use config::alertmanager::{Matcher, MatcherMode};
use jiff::Timestamp;
use model::Labels;
use model::labels::Quoted;
use model::matcher::MatchOp;

use crate::alert::after;
use crate::record::next_version;

pub use encoding::{decode, encode};
pub use live::LiveSilences;

/// A silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// A UUID; empty for one that is new.
    pub id: String,
    /// An alert is silenced when it satisfies all matchers of any of these.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// Since when it is active.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Further facts.
    pub annotations: BTreeMap<String, String>,
}

/// Where in its life a silence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// It silences now.
    Active,
    /// It will.
    Pending,
    /// It did.
    Expired,
}

impl SilenceState {
    /// The state as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// The state at a moment.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now > self.ends_at {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }

    /// Whether an alert of these labels is meant.
    pub fn matches(&self, labels: &Labels) -> bool {
        let holds = |matcher: &Matcher| matcher.matches(labels.get_or_empty(&matcher.name));
        self.matcher_sets.iter().any(|set| set.iter().all(holds))
    }

    /// Fails when the silence makes no sense; the error is the reference's message.
    fn validate(&self, mode: MatcherMode) -> Result<(), String> {
        if self.matcher_sets.is_empty() {
            return Err("at least one matcher set required".to_owned());
        }
        for (s, set) in self.matcher_sets.iter().enumerate() {
            if set.is_empty() {
                return Err(format!("matcher set {s} is empty"));
            }
            if let Some(i) = set.iter().position(|matcher| !is_valid_name(&matcher.name, mode)) {
                let name = Quoted(&set[i].name);
                return Err(format!("invalid label matcher {i} in set {s}: invalid label name {name}"));
            }
            let may_be_absent = |matcher: &Matcher| match matcher.op {
                MatchOp::Equal | MatchOp::Regex => matcher.matches(""),
                MatchOp::NotEqual | MatchOp::NotRegex => false,
            };
            if set.iter().all(may_be_absent) {
                return Err(format!("matcher set {s}: at least one matcher must not match the empty string"));
            }
        }
        if self.ends_at < self.starts_at {
            return Err("end time must not be before start time".to_owned());
        }
        Ok(())
    }

    /// Whether this silence can become `new` without changing what it silenced in the past.
    fn can_become(&self, new: &Self, now: Timestamp) -> bool {
        let same = self.matcher_sets == new.matcher_sets;
        same && match self.state(now) {
            SilenceState::Active => {
                self.starts_at.as_second() == new.starts_at.as_second() && new.ends_at >= now
            }
            SilenceState::Pending => new.starts_at >= now,
            SilenceState::Expired => false,
        }
    }
}

/// Why a silence was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// There is none of that id.
    #[error("silence not found")]
    NotFound,
    /// It makes no sense.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// A limit would be exceeded.
    #[error("{0}")]
    Limit(String),
}

/// Limits and lifetimes of silences.
#[derive(Debug, Clone, Copy)]
pub struct SilenceOptions {
    /// How long an expired silence is kept.
    pub retention: Duration,
    /// The most silences, expired ones that are kept among them; 0 for no limit.
    pub max_silences: usize,
    /// The most bytes of one silence; 0 for no limit.
    pub max_silence_bytes: usize,
    /// The notation of names that is understood.
    pub mode: MatcherMode,
}

impl Default for SilenceOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(120 * 3600),
            max_silences: 0,
            max_silence_bytes: 0,
            mode: MatcherMode::default(),
        }
    }
}

/// A silence and when it is forgotten: what instances tell each other.
#[derive(Debug, Clone, PartialEq)]
pub struct SilenceRecord {
    /// The silence.
    pub silence: Arc<Silence>,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// All silences.
#[derive(Debug, Default)]
pub struct Silences {
    options: SilenceOptions,
    by_id: HashMap<String, SilenceRecord>,
    /// Those that were not expired when they were last looked at: what alerts are matched against.
    live: Arc<LiveSilences>,
}

impl Silences {
    /// No silences yet.
    pub fn new(options: SilenceOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// What setting a silence means, to be written down and then merged: the silence as it will be, last, and
    /// before it the one it takes the place of, expired.
    ///
    /// A silence without id is new, and gets `new_id`. One with an id changes that silence; where the change
    /// would alter the past, the old one is expired and a new one made.
    pub fn plan_set(
        &self,
        mut silence: Silence,
        new_id: impl FnOnce() -> String,
        now: Timestamp,
    ) -> Result<Vec<SilenceRecord>, SilenceError> {
        silence.validate(self.options.mode).map_err(SilenceError::Invalid)?;
        let previous = match self.by_id.get(&silence.id) {
            None if !silence.id.is_empty() => return Err(SilenceError::NotFound),
            previous => previous.map(|record| &record.silence),
        };
        silence.updated_at = next_version(now, previous.map(|previous| previous.updated_at));
        if previous.is_some_and(|previous| previous.can_become(&silence, now)) {
            return Ok(vec![self.record(silence)?]);
        }
        let max = self.options.max_silences;
        if max > 0 && self.by_id.len() >= max {
            let count = self.by_id.len();
            return Err(SilenceError::Limit(format!(
                "exceeded maximum number of silences: {count} (limit: {max})"
            )));
        }
        silence.id = new_id();
        silence.starts_at = silence.starts_at.max(now);
        let record = self.record(silence)?;
        let expired = previous.and_then(|previous| self.expired(previous, now));
        Ok(expired.into_iter().chain([record]).collect())
    }

    /// What expiring a silence means, to be written down and then merged; nothing when it has expired already.
    pub fn plan_expire(&self, id: &str, now: Timestamp) -> Result<Option<SilenceRecord>, SilenceError> {
        let record = self.by_id.get(id).ok_or(SilenceError::NotFound)?;
        Ok(self.expired(&record.silence, now))
    }

    fn expired(&self, silence: &Silence, now: Timestamp) -> Option<SilenceRecord> {
        let starts_at = match silence.state(now) {
            SilenceState::Expired => return None,
            SilenceState::Active => silence.starts_at,
            SilenceState::Pending => now,
        };
        let updated_at = next_version(now, Some(silence.updated_at));
        let silence = Silence { starts_at, ends_at: now, updated_at, ..silence.clone() };
        let expires_at = after(now, self.options.retention);
        Some(SilenceRecord { silence: Arc::new(silence), expires_at })
    }

    fn record(&self, silence: Silence) -> Result<SilenceRecord, SilenceError> {
        let expires_at = after(silence.ends_at, self.options.retention);
        let record = SilenceRecord { silence: Arc::new(silence), expires_at };
        let (max, bytes) = (self.options.max_silence_bytes, encode(&record).len());
        if max > 0 && bytes > max {
            let message = format!("silence exceeded maximum size: {bytes} bytes (limit: {max} bytes)");
            return Err(SilenceError::Limit(message));
        }
        Ok(record)
    }

    /// Takes a record, from here or from elsewhere, unless a later one of its silence is known or it is to be
    /// forgotten. Says whether it was news.
    pub fn merge(&mut self, record: SilenceRecord, now: Timestamp) -> bool {
        let silence = &record.silence;
        let known = self.by_id.get(&silence.id);
        if record.expires_at < now
            || known.is_some_and(|known| known.silence.updated_at >= silence.updated_at)
        {
            return false;
        }
        let live = Arc::make_mut(&mut self.live);
        if let Some(known) = known {
            live.remove(&known.silence);
        }
        if silence.state(now) != SilenceState::Expired {
            live.add(silence);
        }
        self.by_id.insert(silence.id.clone(), record);
        true
    }

    /// The silence of an id.
    pub fn get(&self, id: &str) -> Option<&Arc<Silence>> {
        self.by_id.get(id).map(|record| &record.silence)
    }

    /// All silences, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.by_id.values().map(|record| &record.silence)
    }

    /// All records, for a snapshot or a peer.
    pub fn records(&self) -> impl Iterator<Item = &SilenceRecord> {
        self.by_id.values()
    }

    /// Number of silences in a state.
    pub fn count(&self, state: SilenceState, now: Timestamp) -> usize {
        self.iter().filter(|silence| silence.state(now) == state).count()
    }

    /// Ids of the active silences an alert of these labels satisfies, sorted.
    pub fn silencing(&self, labels: &Labels, now: Timestamp) -> Vec<String> {
        self.live.silencing(labels, now)
    }

    /// Those that alerts are matched against.
    pub fn live(&self) -> &Arc<LiveSilences> {
        &self.live
    }

    /// Forgets what has been expired for long enough. Says how many that were.
    pub fn forget_expired(&mut self, now: Timestamp) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, record| record.expires_at > now);
        let expired = self.live.expired(now);
        if !expired.is_empty() {
            let live = Arc::make_mut(&mut self.live);
            expired.iter().for_each(|silence| live.remove(silence));
        }
        before - self.by_id.len()
    }
}

#[cfg(test)]
mod tests;
