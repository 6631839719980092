//! Settings.

use std::sync::Arc;
use std::time::Duration;

use model::matcher::Matcher;
use model::source::TenantId;

/// How the engine behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// A memtable is flushed when it takes this many bytes.
    pub memtable_bytes: usize,
    /// A memtable is flushed when its first entry is this old.
    pub memtable_age: Duration,
    /// Bytes in memory and not in the bucket yet, beyond which pushes are refused.
    pub max_unflushed_bytes: usize,
    /// Bytes of the log beyond which pushes are refused.
    pub max_wal_bytes: u64,
    /// One push may have this many bytes as a record of the log.
    pub max_push_bytes: usize,
    /// How long a push waits for room before it is refused.
    pub max_wait: Duration,
    /// Level of zstd of flushed objects.
    pub flush_zstd_level: i32,
    /// Level of zstd of objects that stay.
    pub final_zstd_level: i32,
    /// A page group ends when it has this many bytes.
    pub group_bytes: usize,
    /// Size of the filters of substrings.
    pub bits_per_gram: f32,
    /// Objects of this size are not compacted any more.
    pub target_object_bytes: u64,
    /// At most that many objects are compacted at once.
    pub max_compaction_inputs: usize,
    /// How many objects of about one size are compacted into one.
    pub compaction_inputs: usize,
    /// A day that ended this long ago is compacted into as few objects as there can be.
    pub day_closes_after: Duration,
    /// That is done when nothing came for that long: until then late entries are compacted as those of an open day.
    pub quiet_after: Duration,
    /// Objects nobody names any more stay this long, for queries that still read them.
    pub removal_grace: Duration,
    /// Objects no manifest names are deleted when they are this old.
    pub orphan_age: Duration,
    /// Manifests of other writers are looked at this often, if their day is not long over; all others once an hour. `None` when
    /// there are no others.
    pub refresh_every: Option<Duration>,
    /// Indices of objects that are kept in memory.
    pub index_cache_bytes: usize,
    /// How long entries are kept, until [`crate::LogDb::set_retention`] says otherwise.
    pub retention: Retention,
    /// Where random numbers begin.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            memtable_bytes: 16 << 20,
            memtable_age: Duration::from_secs(10),
            max_unflushed_bytes: 64 << 20,
            max_wal_bytes: 4 << 30,
            max_push_bytes: 64 << 20,
            max_wait: Duration::from_secs(5),
            flush_zstd_level: 1,
            final_zstd_level: 11,
            group_bytes: 4 << 20,
            bits_per_gram: 1.25,
            target_object_bytes: 256 << 20,
            max_compaction_inputs: 16,
            compaction_inputs: 8,
            day_closes_after: Duration::from_secs(2 * 3600),
            quiet_after: Duration::from_secs(3600),
            removal_grace: Duration::from_secs(15 * 60),
            orphan_age: Duration::from_secs(2 * 3600),
            refresh_every: Some(Duration::from_secs(15)),
            index_cache_bytes: 32 << 20,
            retention: Retention { default: Some(day * 31), rules: Arc::default() },
            seed: (ulid::Ulid::new().random() >> 8) as u64,
        }
    }
}

/// How long entries are kept.
#[derive(Debug, Clone, Default)]
pub struct Retention {
    /// Of streams no rule matches; `None` is for ever.
    pub default: Option<Duration>,
    /// The first that matches decides.
    pub rules: Arc<Vec<RetentionRule>>,
}

/// How long the entries of some streams are kept.
#[derive(Debug, Clone)]
pub struct RetentionRule {
    /// Whose; `None` for every tenant.
    pub tenant: Option<TenantId>,
    /// All must match the labels of the stream.
    pub matchers: Vec<Matcher>,
    /// How long; `None` is for ever.
    pub period: Option<Duration>,
}

impl Retention {
    /// How long entries of a stream are kept; `None` is for ever.
    pub fn of(&self, tenant: &TenantId, stream: &model::Labels) -> Option<Duration> {
        let applies = |rule: &&RetentionRule| {
            rule.tenant.as_ref().is_none_or(|of| of == tenant)
                && rule.matchers.iter().all(|matcher| matcher.matches(stream.get_or_empty(&matcher.name)))
        };
        self.rules.iter().find(applies).map_or(self.default, |rule| rule.period)
    }

    /// The shortest time any entry of a tenant is kept; `None` is for ever.
    pub fn shortest(&self, tenant: &TenantId) -> Option<Duration> {
        let rules = self.rules.iter().filter(|rule| rule.tenant.as_ref().is_none_or(|of| of == tenant));
        rules.filter_map(|rule| rule.period).chain(self.default).min()
    }

    /// The longest time any entry of a tenant is kept; `None` is for ever.
    pub fn longest(&self, tenant: &TenantId) -> Option<Duration> {
        let mut longest = self.default?;
        for rule in self.rules.iter().filter(|rule| rule.tenant.as_ref().is_none_or(|of| of == tenant)) {
            longest = longest.max(rule.period?);
        }
        Some(longest)
    }
}
