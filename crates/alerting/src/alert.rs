//! Alerts: what is told, since when, and until when.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, OnceLock};

use config::alertmanager::MatcherMode;
use config::alertmanager::matchers::is_valid_name;
use jiff::Timestamp;
use model::Labels;
use model::labels::Quoted;

use crate::annotations::Annotations;

/// The label that holds the name of an alert.
pub const ALERT_NAME: &str = "alertname";

/// A hash of all labels, by which an alert is known. It is FNV-1a of names and values, each ended by a byte
/// 255: the one that alerts have elsewhere, so that links and records stay valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of a label set.
    pub fn of(labels: &Labels) -> Self {
        let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let texts = labels.iter().flat_map(|(name, value)| [name, value]);
        let bytes = texts.flat_map(|text| text.bytes().chain([255]));
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, add))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The hash that the log of notifications knows an alert of these labels by.
pub fn log_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(labels.as_bytes().len() + 16);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(255);
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}

/// Hashes of the labels of an alert, which are needed again and again, once they were computed. Two alerts are
/// equal whether or not they were.
#[derive(Default)]
pub struct Hashes(OnceLock<(Fingerprint, u64)>);

impl Clone for Hashes {
    /// A copy has none: its labels may be changed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Hashes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashes")
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What it is known by.
    pub labels: Labels,
    /// What is said about it; values may be empty.
    pub annotations: Annotations,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it was, or will be, resolved; `None` in a notification on an alert that still fires.
    pub ends_at: Option<Timestamp>,
    /// When it was last heard of.
    pub updated_at: Timestamp,
    /// Whether the end was set here, for want of one in what was received.
    pub timeout: bool,
    /// Where the alert comes from.
    pub generator_url: Arc<str>,
    /// Hashes of the labels.
    pub hashes: Hashes,
}

impl Alert {
    /// What the alert is known by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.hashes().0
    }

    fn hashes(&self) -> (Fingerprint, u64) {
        *self.hashes.0.get_or_init(|| (Fingerprint::of(&self.labels), log_hash(&self.labels)))
    }

    /// The name of the alert; empty when it has none.
    pub fn name(&self) -> &str {
        self.labels.get_or_empty(ALERT_NAME)
    }

    /// Whether the alert is resolved at a moment.
    pub fn is_resolved(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// The hash that the log of notifications knows the alert by.
    pub fn log_hash(&self) -> u64 {
        self.hashes().1
    }

    /// Fails when the alert makes no sense; the error is the reference's message.
    pub fn validate(&self, mode: MatcherMode) -> Result<(), String> {
        if self.ends_at.is_some_and(|end| end < self.starts_at) {
            return Err("start time must be before end time".to_owned());
        }
        if self.labels.is_empty() {
            return Err("at least one label pair required".to_owned());
        }
        let labels = self.labels.iter().map(|(name, _)| ("label set", name));
        let annotations = self.annotations.iter().map(|(name, _)| ("annotations", name));
        match labels.chain(annotations).find(|(_, name)| !is_valid_name(name, mode)) {
            Some((what, name)) => Err(format!("invalid {what}: invalid name {}", Quoted(name))),
            None => Ok(()),
        }
    }

    /// Whether the times of two alerts of the same labels overlap, so that they are one.
    pub fn overlaps(&self, older: &Self) -> bool {
        let within =
            |at: Timestamp, alert: &Self| at > alert.starts_at && alert.ends_at.is_some_and(|end| at < end);
        self.ends_at.is_some_and(|end| within(end, older)) || within(self.starts_at, older)
    }

    /// One alert of two of the same labels. The one heard of last says what it is; it began when the first of
    /// them did, and an end that somebody named weighs more than one that was assumed here.
    #[must_use]
    pub fn merge(&self, other: &Self, now: Timestamp) -> Self {
        let (older, newer) = if other.updated_at < self.updated_at { (other, self) } else { (self, other) };
        let mut merged = newer.clone();
        // The labels are the same.
        merged.hashes = Hashes(newer.hashes.0.clone());
        merged.starts_at = newer.starts_at.min(older.starts_at);
        let lasts_longer = older.ends_at > newer.ends_at;
        let keeps_end = if newer.is_resolved(now) { older.is_resolved(now) } else { !older.timeout };
        if lasts_longer && keeps_end {
            merged.ends_at = older.ends_at;
        }
        merged
    }

    /// The order alerts have in notifications: by job, then instance, then all labels.
    pub fn order(&self, other: &Self) -> Ordering {
        for name in ["job", "instance"] {
            match (self.labels.get(name), other.labels.get(name)) {
                (None, None) => {}
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(a), Some(b)) if a != b => return a.cmp(b),
                (Some(_), Some(_)) => {}
            }
        }
        order_sets(&self.labels, &other.labels)
    }
}

/// The order of label sets in the reference: a smaller set first, then by name, then by value.
pub fn order_sets(a: &Labels, b: &Labels) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| {
        // Names that differ decide before any value does.
        let names = a.iter().map(|(name, _)| name).cmp(b.iter().map(|(name, _)| name));
        names.then_with(|| a.iter().map(|(_, value)| value).cmp(b.iter().map(|(_, value)| value)))
    })
}

/// A label set as it stands in the keys of groups: `{a="1", b="2"}`.
pub fn show_set(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", Quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// A moment of milliseconds; one that is out of range is the end of time.
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// A moment after another; one that is out of range is the end of time.
pub fn after(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A moment before another; one that is out of range is the beginning of time.
pub fn before(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(start: i64, end: i64, updated: i64, timeout: bool) -> Alert {
        Alert {
            labels: Labels::from_pairs([("alertname", "Down"), ("job", "api")]),
            annotations: Annotations::default(),
            starts_at: from_ms(start),
            ends_at: Some(from_ms(end)),
            updated_at: from_ms(updated),
            timeout,
            generator_url: "".into(),
            hashes: Hashes::default(),
        }
    }

    #[test]
    fn fingerprints_are_those_of_the_field() {
        // The hash of no labels is the offset basis.
        assert_eq!(Fingerprint::of(&Labels::empty()).to_string(), "cbf29ce484222325");
        // FNV-1a of `a` 255 `b` 255.
        let one = Fingerprint::of(&Labels::from_pairs([("a", "b")]));
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in [b'a', 255, b'b', 255] {
            hash = (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
        }
        assert_eq!(one, Fingerprint(hash));
    }

    #[test]
    fn an_explicit_end_weighs_more_than_an_assumed_one() {
        let now = from_ms(50);
        let explicit = alert(0, 100, 10, false);
        let assumed = alert(5, 80, 20, true);
        let merged = explicit.merge(&assumed, now);
        assert_eq!((merged.starts_at, merged.ends_at), (from_ms(0), Some(from_ms(100))));
        let resolved = alert(5, 40, 30, false);
        assert_eq!(assumed.merge(&resolved, now).ends_at, Some(from_ms(40)), "news of an end ends it");
        assert_eq!(resolved.merge(&assumed, now), assumed.merge(&resolved, now), "in any order");
    }

    #[test]
    fn alerts_are_ordered_by_job_and_instance_first() {
        let of = |pairs: &[(&str, &str)]| Alert {
            labels: Labels::from_pairs(pairs.iter().copied()),
            ..alert(0, 1, 0, false)
        };
        let mut alerts = [
            of(&[("alertname", "A")]),
            of(&[("alertname", "B"), ("job", "b")]),
            of(&[("alertname", "C"), ("job", "a"), ("instance", "2")]),
            of(&[("alertname", "C"), ("job", "a"), ("instance", "1")]),
        ];
        alerts.sort_by(Alert::order);
        let names: Vec<String> = alerts.iter().map(|alert| show_set(&alert.labels)).collect();
        assert_eq!(
            names,
            [
                r#"{alertname="C", instance="1", job="a"}"#,
                r#"{alertname="C", instance="2", job="a"}"#,
                r#"{alertname="B", job="b"}"#,
                r#"{alertname="A"}"#,
            ]
        );
    }
}
