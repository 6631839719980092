//! The labels of a new series: checked as Prometheus's receiver checks them, and held to the tenant's limits.

use std::fmt;

use model::labels::is_legacy_label_name;
use model::{Labels, METRIC_NAME};
use wire::quote::quoted;
use wire::remote_write::decode::RawPair;

use crate::limits::Limits;

/// Bytes the labels of a series may take when no limit is configured: nobody may fill the index.
const MAX_LABELS_BYTES: usize = 1 << 20;
/// Bytes of labels an error repeats at most.
const SHOWN_BYTES: usize = 1024;

/// The labels of one series, sorted by name; reused.
#[derive(Debug, Default)]
pub(crate) struct LabelSet<'r> {
    pairs: Vec<RawPair<'r>>,
}

/// Why a series is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LabelsRefused {
    /// No metric name, or a name or value that is none. Texts of this and the next are Prometheus's.
    #[error("invalid metric name or labels, got {0}")]
    Invalid(String),
    /// A name occurs twice.
    #[error("invalid labels for series, labels {labels}, duplicated label {name}")]
    Duplicate {
        /// All labels.
        labels: String,
        /// The name.
        name: String,
    },
    /// More labels than allowed.
    #[error(
        "limits.max_label_names_per_series: {count} labels, more than the limit of {limit}: series {labels}"
    )]
    TooMany {
        /// Labels there are.
        count: usize,
        /// The limit.
        limit: u64,
        /// All labels.
        labels: String,
    },
    /// A long name.
    #[error(
        "limits.max_label_name_length: a name of {len} bytes, more than the limit of {limit}: series {labels}"
    )]
    LongName {
        /// Its length in bytes.
        len: usize,
        /// The limit.
        limit: u64,
        /// All labels.
        labels: String,
    },
    /// A long value.
    #[error(
        "limits.max_label_value_length: the value of {name} has {len} bytes, more than the limit of {limit}: \
         series {labels}"
    )]
    LongValue {
        /// The label.
        name: String,
        /// Its length in bytes.
        len: usize,
        /// The limit.
        limit: u64,
        /// All labels.
        labels: String,
    },
    /// All labels together are larger than those of any series may be.
    #[error("labels of {len} bytes, more than any series may have ({limit}): series {labels}")]
    TooLarge {
        /// Bytes of names and values.
        len: usize,
        /// The limit.
        limit: usize,
        /// All labels.
        labels: String,
    },
}

impl LabelsRefused {
    /// Whether a limit was exceeded, rather than a rule broken.
    pub fn is_limit(&self) -> bool {
        !matches!(self, Self::Invalid(_) | Self::Duplicate { .. })
    }

    /// A word for counting.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Duplicate { .. } => "invalid_labels",
            Self::TooMany { .. } => "max_label_names_per_series",
            Self::LongName { .. } => "label_name_too_long",
            Self::LongValue { .. } => "label_value_too_long",
            Self::TooLarge { .. } => "labels_too_large",
        }
    }
}

impl<'r> LabelSet<'r> {
    /// Removes all labels.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Adds a label.
    pub fn push(&mut self, pair: RawPair<'r>) {
        self.pairs.push(pair);
    }

    /// Removes the labels of this name.
    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|pair| pair.0 != name.as_bytes());
    }

    /// Puts the labels in order; of equal names the first stays first.
    pub fn sort(&mut self) {
        if !self.pairs.is_sorted_by_key(|pair| pair.0) {
            self.pairs.sort_by_key(|pair| pair.0);
        }
    }

    /// The labels as series of the storage have them. They must be sorted.
    pub fn check(&self, limits: &Limits) -> Result<Labels, LabelsRefused> {
        let mut texts = Vec::with_capacity(self.pairs.len());
        for (name, value) in &self.pairs {
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
                return Err(self.invalid());
            };
            if name.is_empty() || (name == METRIC_NAME && value.is_empty()) {
                return Err(self.invalid());
            }
            texts.push((name, value));
        }
        if !texts.iter().any(|(name, _)| *name == METRIC_NAME) {
            return Err(self.invalid());
        }
        if let Some(twice) = texts.windows(2).find(|two| two[0].0 == two[1].0) {
            let (labels, name) = (self.to_string(), twice[0].0.chars().take(SHOWN_BYTES).collect());
            return Err(LabelsRefused::Duplicate { labels, name });
        }
        self.check_limits(&texts, limits)?;
        Ok(Labels::from_sorted(texts.into_iter().filter(|(_, value)| !value.is_empty())))
    }

    #[cold]
    fn invalid(&self) -> LabelsRefused {
        LabelsRefused::Invalid(self.to_string())
    }

    fn check_limits(&self, texts: &[(&str, &str)], limits: &Limits) -> Result<(), LabelsRefused> {
        let exceeds = |len: usize, limit: u64| limit > 0 && len as u64 > limit;
        let labels = || self.to_string();
        let (count, limit) = (texts.len(), limits.max_label_names);
        if exceeds(count, limit) {
            return Err(LabelsRefused::TooMany { count, limit, labels: labels() });
        }
        let mut all = 0;
        for (name, value) in texts {
            all += name.len() + value.len();
            let (len, limit) = (name.len(), limits.max_label_name_length);
            if exceeds(len, limit) {
                return Err(LabelsRefused::LongName { len, limit, labels: labels() });
            }
            let (len, limit) = (value.len(), limits.max_label_value_length);
            if exceeds(len, limit) {
                let name = name.chars().take(SHOWN_BYTES).collect();
                return Err(LabelsRefused::LongValue { name, len, limit, labels: labels() });
            }
        }
        let (len, limit) = (all, MAX_LABELS_BYTES);
        if len > limit { Err(LabelsRefused::TooLarge { len, limit, labels: labels() }) } else { Ok(()) }
    }

    /// The labels of an exemplar; `None` if they are none.
    pub fn exemplar_labels(&self) -> Option<Labels> {
        let mut texts: Vec<(&str, &str)> = Vec::with_capacity(self.pairs.len());
        for (name, value) in &self.pairs {
            let (name, value) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
            match texts.last_mut() {
                Some(last) if last.0 == name => last.1 = value,
                _ => texts.push((name, value)),
            }
        }
        Some(Labels::from_sorted(texts.into_iter().filter(|(_, value)| !value.is_empty())))
    }
}

/// As Prometheus writes label sets, cut where it becomes long.
impl fmt::Display for LabelSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        let mut shown = 0;
        for (i, (name, value)) in self.pairs.iter().enumerate() {
            if shown > SHOWN_BYTES {
                f.write_str(", ...")?;
                break;
            }
            shown += name.len() + value.len();
            let separator = if i == 0 { "" } else { ", " };
            match std::str::from_utf8(name) {
                Ok(legacy) if is_legacy_label_name(legacy) && legacy.len() <= SHOWN_BYTES => {
                    write!(f, "{separator}{legacy}={}", quoted(value))?;
                }
                _ => write!(f, "{separator}{}={}", quoted(name), quoted(value))?,
            }
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], limits: &Limits) -> Result<String, String> {
        let mut set = LabelSet::default();
        pairs.iter().for_each(|(name, value)| set.push((name.as_bytes(), value.as_bytes())));
        set.sort();
        set.check(limits).map(|labels| labels.to_string()).map_err(|refused| refused.to_string())
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_dropped() {
        let labels = check(&[("b", "2"), ("__name__", "up"), ("a", "")], &Limits::NONE);
        assert_eq!(labels.unwrap(), r#"{__name__="up", b="2"}"#);
    }

    #[test]
    fn what_is_no_series_is_told_with_its_labels() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("a", "b")], r#"invalid metric name or labels, got {a="b"}"#),
            (&[("__name__", "")], r#"invalid metric name or labels, got {__name__=""}"#),
            (&[], "invalid metric name or labels, got {}"),
            (&[("__name__", "x"), ("", "v")], r#"invalid metric name or labels, got {""="v", __name__="x"}"#),
            (
                &[("a", "1"), ("__name__", "x"), ("a", "")],
                r#"invalid labels for series, labels {__name__="x", a="1", a=""}, duplicated label a"#,
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(check(pairs, &Limits::NONE).unwrap_err(), expected);
        }
        let mut set = LabelSet::default();
        set.push((b"__name__", b"\xff"));
        let refused = set.check(&Limits::NONE).unwrap_err();
        assert_eq!(refused.to_string(), r#"invalid metric name or labels, got {__name__="\xff"}"#);
    }

    #[test]
    fn limits_are_named_with_value_and_series() {
        let limits = Limits {
            max_label_names: 2,
            max_label_name_length: 8,
            max_label_value_length: 4,
            ..Limits::NONE
        };
        let told = |pairs: &[(&str, &str)]| check(pairs, &limits).unwrap_err();
        assert_eq!(
            told(&[("__name__", "x"), ("a", "1"), ("b", "2")]),
            "limits.max_label_names_per_series: 3 labels, more than the limit of 2: \
             series {__name__=\"x\", a=\"1\", b=\"2\"}"
        );
        assert!(told(&[("__name__", "x"), ("too_long_a_name", "1")]).starts_with(
            "limits.max_label_name_length: a name of 15 bytes, more than the limit of 8: series {"
        ));
        assert!(told(&[("__name__", "x"), ("a", "12345")]).starts_with(
            "limits.max_label_value_length: the value of a has 5 bytes, more than the limit of 4: series {"
        ));
        assert!(check(&[("__name__", "x"), ("a", "1234")], &limits).is_ok());
    }

    #[test]
    fn no_error_repeats_a_whole_hostile_series() {
        let long = "x".repeat(2 << 20);
        let told = check(&[("__name__", "x"), ("a", &long)], &Limits::NONE).unwrap_err();
        assert!(told.starts_with("labels of 2097162 bytes"), "{}", &told[..200]);
        assert!(told.len() < 2000);
        let names: Vec<String> = (0..100_000).map(|i| format!("l{i}")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert!(check(&pairs, &Limits::NONE).unwrap_err().len() < 8000);
    }
}
