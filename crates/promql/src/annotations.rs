//! What a query has to tell besides its result: warnings and infos, with the place in the query they
//! are about.
//!
//! Annotations are deduplicated by their text without the place. Of equal ones the place added last is
//! reported; those that count or measure something ([`MonotonicityFix`], overlapping start times)
//! are summed up instead and keep the first place.

use std::collections::HashMap;
use std::fmt;

use model::labels::Quoted;
use model::number::{FloatFormat, Formatted, general};
use smol_str::SmolStr;

use crate::functions::date::Rfc3339;

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// The result is probably not what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// What combined two histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HistogramOperation {
    /// The operator `+`, or an addition inside a function.
    Addition,
    /// The operator `-`, or a subtraction inside a function.
    Subtraction,
    /// An aggregation over series or time.
    Aggregation,
}

impl fmt::Display for HistogramOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        })
    }
}

/// One warning or info. Its text ([`fmt::Display`]) is its identity; names of metrics may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Annotation {
    /// A warning of the storage, without a place.
    Storage(SmolStr),
    /// A quantile outside of 0..=1, as text.
    InvalidQuantile(SmolStr),
    /// A ratio outside of -1..=1 and what was used instead, as text.
    InvalidRatio(SmolStr, SmolStr),
    /// A classic bucket whose `le` is missing or no number.
    BadBucketLabel {
        /// The metric.
        metric: SmolStr,
        /// The value of `le`.
        label: SmolStr,
    },
    /// Floats and histograms in one window of this metric.
    MixedFloatsHistograms(SmolStr),
    /// Floats and histograms in one group of an aggregation.
    MixedFloatsHistogramsAggregation,
    /// Classic buckets and a native histogram under one name.
    MixedClassicNativeHistograms(SmolStr),
    /// A counter function over a gauge histogram.
    NativeHistogramNotCounter(SmolStr),
    /// A gauge function over a counter histogram.
    NativeHistogramNotGauge(SmolStr),
    /// Exponential and custom buckets of this metric cannot be combined.
    MixedExponentialCustomHistograms(SmolStr),
    /// Histograms that a binary operator cannot combine.
    IncompatibleBucketLayout(&'static str),
    /// `sort` in a range query.
    SortInRangeQuery,
    /// Histograms with contradicting counter-reset hints were combined.
    CounterResetCollision(HistogramOperation),
    /// A sample started before the sample before it ended.
    StartTimeOverlap(SmolStr),
    /// `rate` of a metric whose name is not a counter's.
    PossibleNonCounter(SmolStr),
    /// `rate` of a metric whose type label is not a counter's.
    PossibleNonCounterLabel {
        /// The metric.
        metric: SmolStr,
        /// The value of `__type__`.
        type_label: SmolStr,
    },
    /// Classic buckets whose counts did not ascend.
    ForcedMonotonicity(SmolStr),
    /// Types a binary operator does not combine.
    IncompatibleTypes {
        /// Type of the left side.
        left: &'static str,
        /// The operator.
        operator: &'static str,
        /// Type of the right side.
        right: &'static str,
    },
    /// A histogram that the named aggregation left out.
    HistogramIgnoredInAggregation(&'static str),
    /// Histograms of this metric that a range function left out beside floats.
    HistogramIgnoredInMixedRange(SmolStr),
    /// A quantile among NaN observations.
    QuantileNanResult(SmolStr),
    /// A quantile that NaN observations move up.
    QuantileNanSkew(SmolStr),
    /// A fraction from which NaN observations are left out.
    FractionNans(SmolStr),
    /// Custom buckets with different bounds were reconciled.
    MismatchedCustomBuckets(HistogramOperation),
}

impl Annotation {
    /// The quantile `q` is outside of 0..=1.
    pub fn invalid_quantile(q: f64) -> Self {
        Self::InvalidQuantile(smol_str::format_smolstr!("{}", general(q)))
    }

    /// The ratio is outside of -1..=1 and `used` was taken instead.
    pub fn invalid_ratio(ratio: f64, used: f64) -> Self {
        Self::InvalidRatio(
            smol_str::format_smolstr!("{}", general(ratio)),
            smol_str::format_smolstr!("{}", general(used)),
        )
    }

    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Self::PossibleNonCounter(_)
            | Self::PossibleNonCounterLabel { .. }
            | Self::ForcedMonotonicity(_)
            | Self::IncompatibleTypes { .. }
            | Self::HistogramIgnoredInAggregation(_)
            | Self::HistogramIgnoredInMixedRange(_)
            | Self::QuantileNanResult(_)
            | Self::QuantileNanSkew(_)
            | Self::FractionNans(_)
            | Self::MismatchedCustomBuckets(_) => Level::Info,
            _ => Level::Warning,
        }
    }

    /// Text for the most part, with the metric's name appended where there is one.
    fn with_metric(f: &mut fmt::Formatter<'_>, text: &str, metric: &str) -> fmt::Result {
        f.write_str(text)?;
        if metric.is_empty() { Ok(()) } else { write!(f, " for metric name {}", Quoted(metric)) }
    }
}

/// The text of the annotation without its place.
impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self, Self::Storage(_)) {
            f.write_str(match self.level() {
                Level::Warning => "PromQL warning: ",
                Level::Info => "PromQL info: ",
            })?;
        }
        match self {
            Self::Storage(text) => f.write_str(text),
            Self::InvalidQuantile(q) => write!(f, "quantile value should be between 0 and 1, got {q}"),
            Self::InvalidRatio(ratio, used) => {
                write!(f, "ratio value should be between -1 and 1, got {ratio}, capping to {used}")
            }
            Self::BadBucketLabel { metric, label } => {
                write!(f, "bucket label \"le\" is missing or has a malformed value of {}", Quoted(label))?;
                Self::with_metric(f, "", metric)
            }
            Self::MixedFloatsHistograms(metric) => {
                write!(f, "encountered a mix of histograms and floats for metric name {}", Quoted(metric))
            }
            Self::MixedFloatsHistogramsAggregation => {
                f.write_str("encountered a mix of histograms and floats for aggregation")
            }
            Self::MixedClassicNativeHistograms(metric) => {
                Self::with_metric(f, "vector contains a mix of classic and native histograms", metric)
            }
            Self::NativeHistogramNotCounter(metric) => {
                write!(f, "this native histogram metric is not a counter: {}", Quoted(metric))
            }
            Self::NativeHistogramNotGauge(metric) => {
                write!(f, "this native histogram metric is not a gauge: {}", Quoted(metric))
            }
            Self::MixedExponentialCustomHistograms(metric) => write!(
                f,
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                Quoted(metric)
            ),
            Self::IncompatibleBucketLayout(operator) => {
                write!(f, "incompatible bucket layout encountered for binary operator {operator}")
            }
            Self::SortInRangeQuery => f.write_str(
                "sort is ineffective for range queries since results are always ordered by labels",
            ),
            Self::CounterResetCollision(operation) => {
                write!(f, "conflicting counter resets during histogram {operation}")
            }
            Self::StartTimeOverlap(metric) => write!(
                f,
                "sample has start time that overlaps with previous sample timestamp for metric {}",
                Quoted(metric)
            ),
            Self::PossibleNonCounter(metric) => write!(
                f,
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                Quoted(metric)
            ),
            Self::PossibleNonCounterLabel { metric, type_label } => write!(
                f,
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                Quoted(type_label),
                Quoted(metric)
            ),
            Self::ForcedMonotonicity(metric) => Self::with_metric(
                f,
                "input to histogram_quantile needed to be fixed for monotonicity \
                 (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                metric,
            ),
            Self::IncompatibleTypes { left, operator, right } => write!(
                f,
                "incompatible sample types encountered for binary operator {}: {left} {operator} {right}",
                Quoted(operator)
            ),
            Self::HistogramIgnoredInAggregation(name) => write!(f, "ignored histogram in {name} aggregation"),
            Self::HistogramIgnoredInMixedRange(metric) => write!(
                f,
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                Quoted(metric)
            ),
            Self::QuantileNanResult(metric) => Self::with_metric(
                f,
                "input to histogram_quantile has NaN observations, result is NaN",
                metric,
            ),
            Self::QuantileNanSkew(metric) => Self::with_metric(
                f,
                "input to histogram_quantile has NaN observations, result is skewed higher",
                metric,
            ),
            Self::FractionNans(metric) => Self::with_metric(
                f,
                "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                metric,
            ),
            Self::MismatchedCustomBuckets(operation) => {
                write!(f, "mismatched custom buckets were reconciled during {operation}")
            }
        }
    }
}

/// Where and by how much the counts of classic buckets were raised to make them ascend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonotonicityFix {
    /// The lowest bound of a raised bucket.
    pub min_bucket: f64,
    /// The highest bound of a raised bucket.
    pub max_bucket: f64,
    /// The largest raise.
    pub max_diff: f64,
}

/// What an annotation carries besides its text; summed up over equal annotations.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Detail {
    None,
    Occurrences(u64),
    Monotonicity { fix: MonotonicityFix, min_ms: i64, max_ms: i64, samples: u64 },
}

impl Detail {
    /// Takes in the detail of an equal annotation; false when there is nothing to sum up.
    fn absorb(&mut self, other: Self) -> bool {
        match (self, other) {
            (Self::Occurrences(n), Self::Occurrences(more)) => *n += more,
            (
                Self::Monotonicity { fix, min_ms, max_ms, samples },
                Self::Monotonicity { fix: fix2, min_ms: min2, max_ms: max2, samples: more },
            ) => {
                fix.min_bucket = fix.min_bucket.min(fix2.min_bucket);
                fix.max_bucket = fix.max_bucket.max(fix2.max_bucket);
                fix.max_diff = fix.max_diff.max(fix2.max_diff);
                *min_ms = (*min_ms).min(min2);
                *max_ms = (*max_ms).max(max2);
                *samples += more;
            }
            _ => return false,
        }
        true
    }
}

#[derive(Debug, Clone)]
struct Entry {
    annotation: Annotation,
    start: usize,
    detail: Detail,
}

/// The annotations of a query, in the order in which they first occurred.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    entries: Vec<Entry>,
    index: HashMap<Annotation, usize>,
}

impl Annotations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of different annotations.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an annotation about the expression that starts at byte `start` of the query.
    pub fn add(&mut self, annotation: Annotation, start: usize) {
        let detail = match annotation {
            Annotation::StartTimeOverlap(_) => Detail::Occurrences(1),
            _ => Detail::None,
        };
        self.put(Entry { annotation, start, detail });
    }

    /// Adds that the buckets of `metric` were made to ascend at the evaluation time `t_ms`.
    pub fn add_forced_monotonicity(&mut self, metric: &str, start: usize, t_ms: i64, fix: MonotonicityFix) {
        let detail = Detail::Monotonicity { fix, min_ms: t_ms, max_ms: t_ms, samples: 1 };
        self.put(Entry { annotation: Annotation::ForcedMonotonicity(metric.into()), start, detail });
    }

    /// Adds a warning of the storage.
    pub fn add_storage_warning(&mut self, text: &str) {
        self.add(Annotation::Storage(text.into()), 0);
    }

    /// Adds all annotations of `other`, as if they had been added after these.
    pub fn merge(&mut self, other: Self) {
        if self.entries.is_empty() {
            *self = other;
            return;
        }
        for entry in other.entries {
            self.put(entry);
        }
    }

    fn put(&mut self, entry: Entry) {
        // The same thing is mostly found at one step after another: no lookup for that.
        let at = match self.entries.last() {
            Some(last) if last.annotation == entry.annotation => Some(self.entries.len() - 1),
            Some(_) => self.index.get(&entry.annotation).copied(),
            None => None,
        };
        match at {
            Some(at) => {
                let known = &mut self.entries[at];
                if !known.detail.absorb(entry.detail) {
                    known.start = entry.start;
                }
            }
            None => {
                self.index.insert(entry.annotation.clone(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// Number of warnings and of infos.
    pub fn count(&self) -> (usize, usize) {
        let infos = self.entries.iter().filter(|e| e.annotation.level() == Level::Info).count();
        (self.len() - infos, infos)
    }

    /// The annotations without places.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.entries.iter().map(|e| &e.annotation)
    }

    /// The texts of warnings and infos with places in `query`, at most so many of each (0 for all); a
    /// last line says how many were left out.
    pub fn as_strings(
        &self,
        query: &str,
        max_warnings: usize,
        max_infos: usize,
    ) -> (Vec<String>, Vec<String>) {
        (
            self.texts(query, Level::Warning, max_warnings, "warning"),
            self.texts(query, Level::Info, max_infos, "info"),
        )
    }

    fn texts(&self, query: &str, level: Level, max: usize, name: &str) -> Vec<String> {
        let of_level = self.entries.iter().filter(|e| e.annotation.level() == level);
        let total = of_level.clone().count();
        let shown = if max == 0 { total } else { max };
        let mut texts: Vec<String> = of_level.take(shown).map(|e| e.text(query)).collect();
        if total > shown {
            texts.push(format!("{} more {name} annotations omitted", total - shown));
        }
        texts
    }
}

impl Entry {
    fn text(&self, query: &str) -> String {
        if query.is_empty() || matches!(self.annotation, Annotation::Storage(_)) {
            return self.annotation.to_string();
        }
        let place = Place { query, start: self.start };
        match self.detail {
            Detail::Occurrences(n) if n > 1 => format!("{} ({n} occurrences) ({place})", self.annotation),
            Detail::Monotonicity { fix, min_ms, max_ms, samples } => format!(
                "{}, from buckets {} to {}, with a max diff of {}, over {samples} samples from {} to {} ({place})",
                self.annotation,
                general(fix.min_bucket),
                general(fix.max_bucket),
                Formatted(fix.max_diff, FloatFormat::Significant(2)),
                Rfc3339(min_ms / 1000),
                Rfc3339(max_ms / 1000),
            ),
            _ => format!("{} ({place})", self.annotation),
        }
    }
}

/// A byte offset as `line:column`, both counted from 1, columns in bytes.
struct Place<'a> {
    query: &'a str,
    start: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(before) = self.query.as_bytes().get(..self.start) else {
            return f.write_str("invalid position");
        };
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
        write!(f, "{line}:{column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_annotations_are_reported_once_at_the_last_place() {
        let mut annotations = Annotations::default();
        annotations.add(Annotation::invalid_quantile(1.5), 2);
        annotations.add(Annotation::PossibleNonCounter("m".into()), 9);
        annotations.add(Annotation::invalid_quantile(1.5), 7);
        let (warnings, infos) = annotations.as_strings("0123\n5678", 0, 0);
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:3)"]);
        assert_eq!(
            infos,
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"m\" (2:5)"
            ]
        );
        assert_eq!(annotations.count(), (1, 1));
    }

    #[test]
    fn a_limit_leaves_a_line_about_the_rest() {
        let mut annotations = Annotations::default();
        for name in ["a", "b", "c"] {
            annotations.add(Annotation::MixedFloatsHistograms(name.into()), 0);
        }
        let (warnings, infos) = annotations.as_strings("x", 2, 1);
        assert_eq!(warnings.len(), 3);
        assert_eq!(warnings[2], "1 more warning annotations omitted");
        assert!(infos.is_empty());
    }

    #[test]
    fn monotonicity_is_summed_up_over_samples() {
        let mut annotations = Annotations::default();
        let fix = |min_bucket, max_bucket, max_diff| MonotonicityFix { min_bucket, max_bucket, max_diff };
        annotations.add_forced_monotonicity("m", 3, 60_000, fix(1.0, 5.0, 2.0));
        let mut later = Annotations::default();
        later.add_forced_monotonicity("m", 5, 0, fix(2.0, 1e6, 123.0));
        annotations.merge(later);
        let (_, infos) = annotations.as_strings("0123456", 0, 0);
        assert_eq!(
            infos,
            ["PromQL info: input to histogram_quantile needed to be fixed for monotonicity \
             (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) \
             for metric name \"m\", from buckets 1 to 1e+06, with a max diff of 1.2e+02, over 2 samples \
             from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:4)"]
        );
    }

    #[test]
    fn overlaps_are_counted() {
        let mut annotations = Annotations::default();
        annotations.add(Annotation::StartTimeOverlap("m".into()), 1);
        annotations.add(Annotation::StartTimeOverlap("m".into()), 4);
        let text = "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric \"m\"";
        assert_eq!(annotations.as_strings("abc", 0, 0).0, [format!("{text} (2 occurrences) (1:2)")]);
        assert_eq!(annotations.as_strings("", 0, 0).0, [text]);
    }

    #[test]
    fn storage_warnings_have_no_place() {
        let mut annotations = Annotations::default();
        annotations.add_storage_warning("remote read failed");
        assert_eq!(annotations.as_strings("up", 0, 0).0, ["remote read failed"]);
    }
}
