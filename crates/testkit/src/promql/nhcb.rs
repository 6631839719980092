//! Native histograms with custom buckets, derived from the classic histograms of a `load`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, Span};

use super::script::{LoadedSample, LoadedSeries};

const BUCKET_LABEL: &str = "le";

/// What the series of one classic histogram say at one time.
#[derive(Debug, Default)]
struct Classic {
    /// `(upper bound, cumulative count)`
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// One series for each classic histogram among `loaded`. Fails on counts that no histogram can have.
pub(super) fn derive(loaded: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, String> {
    let mut histograms: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for series in loaded {
        let Some((base, part)) = part_of(&series.labels)? else { continue };
        let times = histograms.entry(base).or_default();
        for sample in series.samples.iter().filter(|sample| sample.histogram.is_none()) {
            let classic = times.entry(sample.t_ms).or_default();
            match part {
                Part::Bucket(bound) => classic.buckets.push((bound, sample.value)),
                Part::Count => classic.count = Some(sample.value),
                Part::Sum => classic.sum = sample.value,
            }
        }
    }
    let mut derived = Vec::with_capacity(histograms.len());
    for (labels, times) in histograms {
        let mut samples = Vec::with_capacity(times.len());
        for (t_ms, classic) in times {
            let histogram = Some(Arc::new(classic.convert()?));
            samples.push(LoadedSample { t_ms, start_ms: 0, value: 0.0, histogram });
        }
        derived.push(LoadedSeries { labels, samples });
    }
    Ok(derived)
}

/// The histogram a series belongs to, and as what; `None` for other series.
fn part_of(labels: &Labels) -> Result<Option<(Labels, Part)>, String> {
    let name = labels.metric_name();
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound =
            labels.get(BUCKET_LABEL).ok_or_else(|| format!("expected bucket label in metric {labels}"))?;
        match bound.parse::<f64>() {
            Ok(bound) if !bound.is_nan() => (base, Part::Bucket(bound)),
            _ => return Ok(None),
        }
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else if let Some(base) = name.strip_suffix("_sum") {
        (base, Part::Sum)
    } else {
        return Ok(None);
    };
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.set(METRIC_NAME, base).remove(BUCKET_LABEL);
    Ok(Some((builder.build(), part)))
}

impl Classic {
    fn convert(mut self) -> Result<FloatHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|next, kept| next.0 == kept.0);
        if let Some(&(bound, count)) = self.buckets.iter().find(|bucket| bucket.1 < 0.0) {
            return Err(format!("bucket count must be non-negative: le={bound}, count={count}"));
        }
        if let Some(pair) = self.buckets.windows(2).find(|pair| pair[1].1 < pair[0].1) {
            return Err(format!("count is not cumulative: {} < {}", pair[1].1, pair[0].1));
        }
        let count = self.count.unwrap_or_else(|| self.buckets.last().map_or(0.0, |last| last.1));
        if count < 0.0 {
            return Err(format!("count must be non-negative: count={count}"));
        }
        if self.buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let last = self.buckets[self.buckets.len() - 1].1;
        if count != last {
            return Err(format!("count mismatch: count={count} != le=+Inf count={last}"));
        }
        let whole = self.buckets.iter().all(|bucket| bucket.1 == bucket.1.round());
        let bounds: Vec<f64> =
            self.buckets.iter().map(|b| b.0).filter(|&bound| bound != f64::INFINITY).collect();
        let mut previous = 0.0;
        let absolute = self.buckets.iter().map(|&(_, cumulative)| {
            let own = cumulative - previous;
            previous = cumulative;
            own
        });
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span {
                offset: 0,
                length: u32::try_from(self.buckets.len()).unwrap_or(u32::MAX),
            }],
            positive_buckets: absolute.collect(),
            custom_values: Some(Arc::from(bounds)),
            ..FloatHistogram::default()
        };
        // Whole counts become integer histograms when scraped, which keep short gaps.
        histogram.compact(if whole { 2 } else { 0 });
        histogram.validate().map_err(|error| error.to_string())?;
        Ok(histogram)
    }
}
