//! What becomes of the labels of a scraped sample: target labels, relabelling, limits.

use config::{NameValidation, RelabelConfig, ScrapeConfig};
use discovery::relabel;
use model::labels::{Quoted, is_legacy_metric_name};
use model::{Labels, LabelsBuilder, METRIC_NAME};
use wire::RawLabels;

/// What precedes the name of a scraped label that a target label displaces.
const EXPORTED_PREFIX: &str = "exported_";
/// What the labels of a series may take when no limit is configured: no target may fill the index.
const MAX_LABELS_BYTES: usize = 1 << 20;

/// Why the labels of a sample fail the whole scrape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// There is no metric name.
    #[error("missing metric name (__name__ label)")]
    NoName,
    /// A name is not allowed by the validation scheme.
    #[error("invalid metric name or label names: {0}")]
    InvalidNames(Labels),
    /// The target gave a label twice.
    #[error("label name {} is not unique: invalid sample", Quoted(.0))]
    Duplicate(String),
    /// More labels than `label_limit`.
    #[error("label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})")]
    TooMany {
        /// The metric.
        metric: String,
        /// Its labels.
        count: usize,
        /// The limit.
        limit: u64,
    },
    /// A name longer than `label_name_length_limit`.
    #[error(
        "label_name_length_limit exceeded (metric: {metric}, label name: {name}, length: {len}, limit: {limit})"
    )]
    LongName {
        /// The metric.
        metric: String,
        /// The name, cut.
        name: String,
        /// Its bytes.
        len: usize,
        /// The limit.
        limit: u64,
    },
    /// A value longer than `label_value_length_limit`.
    #[error(
        "label_value_length_limit exceeded (metric: {metric}, label name: {name}, value: {}, length: {len}, \
         limit: {limit})",
        Quoted(value)
    )]
    LongValue {
        /// The metric.
        metric: String,
        /// The name of the label, cut.
        name: String,
        /// The value, cut.
        value: String,
        /// Its bytes.
        len: usize,
        /// The limit.
        limit: u64,
    },
    /// All labels together are larger than those of any series may be.
    #[error(
        "labels too large (metric: {metric}, size: {len}, limit: {limit}): no label value may be that long"
    )]
    TooLarge {
        /// The metric, cut.
        metric: String,
        /// Bytes of names and values.
        len: usize,
        /// The limit.
        limit: usize,
    },
}

impl LabelError {
    /// Whether a limit was exceeded.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::TooMany { .. } | Self::LongName { .. } | Self::LongValue { .. } | Self::TooLarge { .. }
        )
    }
}

/// The rules of one target.
#[derive(Debug, Clone)]
pub(super) struct SampleRules {
    target: Labels,
    honor_labels: bool,
    relabel: Vec<RelabelConfig>,
    validation: NameValidation,
    label_limit: u64,
    name_length_limit: u64,
    value_length_limit: u64,
}

impl SampleRules {
    pub fn new(config: &ScrapeConfig, target: &Labels) -> Self {
        Self {
            target: target.clone(),
            honor_labels: config.honor_labels,
            relabel: config.metric_relabel_configs.clone(),
            validation: config.name_validation(),
            label_limit: config.label_limit,
            name_length_limit: config.label_name_length_limit,
            value_length_limit: config.label_value_length_limit,
        }
    }

    /// The labels under which a sample is stored; `None` if relabelling drops it.
    pub fn apply(&self, raw: &RawLabels) -> Result<Option<Labels>, LabelError> {
        let mut labels = LabelsBuilder::default();
        for (name, value) in raw.iter() {
            labels.set(name, value);
        }
        self.add_target_labels(raw, &mut labels);
        if !relabel::process(&mut labels, &self.relabel) {
            return Ok(None);
        }
        let labels = labels.build();
        if labels.is_empty() {
            return Ok(None);
        }
        if labels.get(METRIC_NAME).is_none() {
            return Err(LabelError::NoName);
        }
        // What relabelling drops may be as wrong as it likes.
        if let Some(name) = raw.duplicate().filter(|name| labels.get(name).is_some()) {
            return Err(LabelError::Duplicate(cut(name)));
        }
        // Before anything else: other errors show the labels.
        let (len, limit) = (labels.as_bytes().len(), MAX_LABELS_BYTES);
        if len > limit {
            return Err(LabelError::TooLarge { metric: cut(labels.metric_name()), len, limit });
        }
        if !self.has_valid_names(&labels) {
            return Err(LabelError::InvalidNames(labels));
        }
        self.check_limits(&labels)?;
        Ok(Some(labels))
    }

    fn add_target_labels(&self, raw: &RawLabels, labels: &mut LabelsBuilder) {
        if self.honor_labels {
            for (name, value) in &self.target {
                // An empty label counts too: with it targets that speak for others, as a push gateway does,
                // keep their own `instance` away.
                if raw.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            return;
        }
        let mut displaced: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.target {
            if let Some(existing) = labels.get(name) {
                displaced.push((name.to_owned(), existing.to_owned()));
            }
            labels.set(name, value);
        }
        // The shortest first, so that `exported_a` keeps its name when both it and `a` are displaced.
        displaced.sort_by_key(|(name, _)| name.len());
        for (name, value) in displaced {
            let mut new_name = format!("{EXPORTED_PREFIX}{name}");
            while labels.get(&new_name).is_some() {
                new_name.insert_str(0, EXPORTED_PREFIX);
            }
            labels.set(&new_name, &value);
        }
    }

    fn has_valid_names(&self, labels: &Labels) -> bool {
        labels.iter().all(|(name, value)| {
            let valid_metric = name != METRIC_NAME
                || self.validation != NameValidation::Legacy
                || is_legacy_metric_name(value);
            valid_metric && self.validation.is_valid_label_name(name)
        })
    }

    fn check_limits(&self, labels: &Labels) -> Result<(), LabelError> {
        let metric = || cut(labels.metric_name());
        let exceeds = |len: usize, limit: u64| limit > 0 && len as u64 > limit;
        let count = labels.len();
        if exceeds(count, self.label_limit) {
            return Err(LabelError::TooMany { metric: metric(), count, limit: self.label_limit });
        }
        for (name, value) in labels {
            if exceeds(name.len(), self.name_length_limit) {
                let (len, limit) = (name.len(), self.name_length_limit);
                return Err(LabelError::LongName { metric: metric(), name: cut(name), len, limit });
            }
            if exceeds(value.len(), self.value_length_limit) {
                let (len, limit) = (value.len(), self.value_length_limit);
                let (name, value) = (cut(name), cut(value));
                return Err(LabelError::LongValue { metric: metric(), name, value, len, limit });
            }
        }
        Ok(())
    }

    /// The labels of a series about the scrape itself, such as `up`.
    pub fn report_labels(&self, name: &str) -> Labels {
        let mut labels = LabelsBuilder::from_labels(&self.target);
        labels.set(METRIC_NAME, name);
        labels.build()
    }
}

/// At most 50 characters: enough to recognise what is meant.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(honor_labels: bool, target: &[(&str, &str)]) -> SampleRules {
        SampleRules {
            target: Labels::from_pairs(target.iter().copied()),
            honor_labels,
            relabel: Vec::new(),
            validation: NameValidation::default(),
            label_limit: 0,
            name_length_limit: 0,
            value_length_limit: 0,
        }
    }

    fn apply(rules: &SampleRules, pairs: &[(&str, &str)]) -> Result<String, String> {
        let mut raw = RawLabels::default();
        pairs.iter().for_each(|(name, value)| raw.push(name, value));
        rules.apply(&raw).map(|l| l.map_or("dropped".into(), |l| l.to_string())).map_err(|e| e.to_string())
    }

    #[test]
    fn target_labels_win_or_yield() {
        let target = [("a", "t"), ("exported_a", "t2"), ("job", "j")];
        let scraped = [("__name__", "m"), ("a", "1"), ("exported_a", "2"), ("b", "3")];
        assert_eq!(
            apply(&rules(false, &target), &scraped).unwrap(),
            r#"{__name__="m", a="t", b="3", exported_a="t2", exported_exported_a="1", exported_exported_exported_a="2", job="j"}"#
        );
        assert_eq!(
            apply(&rules(true, &target), &scraped).unwrap(),
            r#"{__name__="m", a="1", b="3", exported_a="2", job="j"}"#
        );
    }

    #[test]
    fn an_empty_label_keeps_the_targets_away_if_honoured() {
        let (target, scraped) = ([("instance", "gateway")], [("__name__", "m"), ("instance", "")]);
        assert_eq!(apply(&rules(true, &target), &scraped).unwrap(), r#"{__name__="m"}"#);
        assert_eq!(apply(&rules(false, &target), &scraped).unwrap(), r#"{__name__="m", instance="gateway"}"#);
    }

    #[test]
    fn limits_and_invalid_labels_fail_with_their_names() {
        let mut rules = rules(false, &[]);
        (rules.label_limit, rules.name_length_limit, rules.value_length_limit) = (2, 8, 5);
        for (pairs, expected) in [
            (&[("a", "1")][..], "missing metric name (__name__ label)"),
            (&[("__name__", "m"), ("a", "1"), ("a", "2")], "label name \"a\" is not unique: invalid sample"),
            (
                &[("__name__", "m"), ("a", "1"), ("b", "1")],
                "label_limit exceeded (metric: m, number of labels: 3, limit: 2)",
            ),
            (
                &[("__name__", "m"), ("abcdefghi", "1")],
                "label_name_length_limit exceeded (metric: m, label name: abcdefghi, length: 9, limit: 8)",
            ),
            (
                &[("__name__", "m"), ("a", "123456")],
                "label_value_length_limit exceeded (metric: m, label name: a, value: \"123456\", length: 6, limit: 5)",
            ),
        ] {
            assert_eq!(apply(&rules, pairs).unwrap_err(), expected);
        }
        let huge = "x".repeat(MAX_LABELS_BYTES);
        let error = apply(&rules, &[("__name__", "m"), ("a", &huge)]).unwrap_err();
        assert!(error.starts_with("labels too large (metric: m, size: 10"), "{error}");
        rules.validation = NameValidation::Legacy;
        let error = apply(&rules, &[("__name__", "a.b")]).unwrap_err();
        assert_eq!(error, "invalid metric name or label names: {__name__=\"a.b\"}");
    }
}
