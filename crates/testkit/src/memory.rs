//! A storage in memory: all series in one map, every read a snapshot. Simple and correct, not fast.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{
    AppendError, Appendable, Appender, CounterResetHint, Exemplar, FloatHistogram, LabelRequest, Labels,
    Matcher, Metadata, QueryContext, SampleColumns, SampleValue, SelectRequest, SeriesRef, SeriesSet,
    SeriesSource, SourceError, TenantId, TimeRange,
};
use parking_lot::RwLock;

/// The storage. Clones share the data.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    series: Arc<RwLock<BTreeMap<Labels, Stored>>>,
    /// Labels by reference; references stay valid for ever.
    names: Arc<RwLock<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    labels: Vec<Labels>,
    references: HashMap<Labels, SeriesRef>,
}

impl Names {
    fn reference(&mut self, labels: &Labels) -> SeriesRef {
        if let Some(&known) = self.references.get(labels) {
            return known;
        }
        let reference = SeriesRef(self.labels.len() as u64);
        self.labels.push(labels.clone());
        self.references.insert(labels.clone(), reference);
        reference
    }

    fn labels(&self, reference: SeriesRef) -> Option<Labels> {
        self.labels.get(usize::try_from(reference.0).ok()?).cloned()
    }
}

#[derive(Debug, Clone, Default)]
struct Stored {
    samples: Arc<SampleColumns>,
    exemplars: Vec<Exemplar>,
}

impl MemoryStorage {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    fn matching(&self, matchers: &[Matcher]) -> Vec<(Labels, Stored)> {
        let series = self.series.read();
        let matching = series.iter().filter(|(labels, _)| matches_all(labels, matchers));
        matching.map(|(labels, stored)| (labels.clone(), stored.clone())).collect()
    }

    /// Labels of series that match and have a sample in the range.
    fn labels_in(&self, request: &LabelRequest) -> Vec<Labels> {
        let range = request.range.unwrap_or(TimeRange::ALL);
        let has_sample = |stored: &Stored| stored.samples.timestamps_ms.iter().any(|&t| range.contains(t));
        let matching = self.matching(&request.matchers).into_iter();
        matching.filter(|(_, stored)| has_sample(stored)).map(|(labels, _)| labels).collect()
    }
}

fn matches_all(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get_or_empty(&matcher.name)))
}

fn limited(mut values: Vec<String>, limit: usize) -> Vec<String> {
    values.sort_unstable();
    values.dedup();
    if limit > 0 {
        values.truncate(limit);
    }
    values
}

impl SeriesSource for MemoryStorage {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        ctx.check("series selection")?;
        let mut found = self.matching(&request.matchers);
        if request.limit > 0 {
            found.truncate(request.limit);
        }
        Ok(Box::new(MemorySet { series: found }))
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        ctx.check("label lookup")?;
        let found = self.labels_in(request);
        let names = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect();
        Ok(limited(names, request.limit))
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        ctx.check("label lookup")?;
        let found = self.labels_in(request);
        let values = found.iter().filter_map(|labels| labels.get(name).map(str::to_owned)).collect();
        Ok(limited(values, request.limit))
    }

    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        ctx.check("exemplar selection")?;
        let mut found = Vec::new();
        for (labels, stored) in self.series.read().iter() {
            if !matcher_sets.iter().any(|matchers| matches_all(labels, matchers)) {
                continue;
            }
            let inside = stored.exemplars.iter().filter(|exemplar| range.contains(exemplar.timestamp_ms));
            let inside: Vec<_> = inside.cloned().collect();
            if !inside.is_empty() {
                found.push((labels.clone(), inside));
            }
        }
        Ok(found)
    }
}

struct MemorySet {
    series: Vec<(Labels, Stored)>,
}

impl SeriesSet for MemorySet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].0.clone()
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        ctx.check("series reading")?;
        let samples = &self.series[i].1.samples;
        let first = samples.timestamps_ms.partition_point(|&t| t < range.start_ms);
        let end = samples.timestamps_ms.partition_point(|&t| t <= range.end_ms);
        for at in first..end.max(first) {
            push(out, &Pending::copy_of(samples, at));
        }
        Ok(())
    }
}

/// One sample on its way from or into columns.
#[derive(Debug, Clone)]
struct Pending {
    t_ms: i64,
    start_ms: i64,
    value: f64,
    histogram: Option<Arc<FloatHistogram>>,
}

impl Pending {
    fn copy_of(samples: &SampleColumns, at: usize) -> Self {
        Self {
            t_ms: samples.timestamps_ms[at],
            start_ms: samples.start_timestamp_ms(at),
            value: samples.values[at],
            histogram: samples.histogram(at).cloned(),
        }
    }

    fn equals(&self, samples: &SampleColumns, at: usize) -> bool {
        let same_value = self.value.to_bits() == samples.values[at].to_bits();
        same_value && self.histogram.as_ref() == samples.histogram(at)
    }
}

fn push(out: &mut SampleColumns, sample: &Pending) {
    match &sample.histogram {
        Some(histogram) => out.push_histogram(sample.t_ms, histogram.clone()),
        None => out.push_float(sample.t_ms, sample.value),
    }
    out.set_last_start_timestamp(sample.start_ms);
}

impl Appendable for MemoryStorage {
    /// Tenants share one set of series here.
    fn appender(&self, _tenant: &TenantId) -> Box<dyn Appender> {
        Box::new(MemoryAppender { storage: self.clone(), pending: Vec::new(), exemplars: Vec::new() })
    }
}

struct MemoryAppender {
    storage: MemoryStorage,
    pending: Vec<(Labels, Pending)>,
    exemplars: Vec<(Labels, Exemplar)>,
}

impl MemoryAppender {
    fn labels(&self, series: SeriesRef) -> Result<Labels, AppendError> {
        self.storage.names.read().labels(series).ok_or(AppendError::UnknownSeries)
    }
}

impl Appender for MemoryAppender {
    fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned()));
        }
        Ok(self.storage.names.write().reference(labels))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        let labels = self.labels(series)?;
        let (value, histogram) = match value {
            SampleValue::Float(value) => (value, None),
            SampleValue::Histogram(histogram) => {
                histogram.validate().map_err(|e| AppendError::InvalidHistogram(e.to_string()))?;
                (histogram.sum, Some(Arc::new(histogram.to_float())))
            }
            SampleValue::FloatHistogram(histogram) => {
                histogram.validate().map_err(|e| AppendError::InvalidHistogram(e.to_string()))?;
                (histogram.sum, Some(Arc::new(histogram.clone())))
            }
        };
        self.pending.push((labels, Pending { t_ms, start_ms, value, histogram }));
        Ok(())
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let labels = self.labels(series)?;
        self.exemplars.push((labels, exemplar.clone()));
        Ok(())
    }

    fn update_metadata(&mut self, series: SeriesRef, _metadata: &Metadata) -> Result<(), AppendError> {
        self.labels(series).map(|_| ())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        // All or nothing: the map is replaced when every sample fits.
        let mut series = self.storage.series.write();
        let mut next = series.clone();
        for (labels, sample) in self.pending {
            let stored = next.entry(labels).or_default();
            insert(Arc::make_mut(&mut stored.samples), sample)?;
        }
        for (labels, exemplar) in self.exemplars {
            let exemplars = &mut next.entry(labels).or_default().exemplars;
            let at = exemplars.partition_point(|e| e.timestamp_ms <= exemplar.timestamp_ms);
            exemplars.insert(at, exemplar);
        }
        *series = next;
        Ok(())
    }
}

/// What is known about counter resets at a histogram when it is read back. Storage engines keep
/// counter histograms in chunks without resets: all but the first of a chunk are known not to be reset,
/// and the first is in doubt.
fn stored_hint(previous: Option<&FloatHistogram>, histogram: &FloatHistogram) -> CounterResetHint {
    if histogram.counter_reset_hint == CounterResetHint::Gauge {
        return CounterResetHint::Gauge;
    }
    let starts_chunk = previous.is_none_or(|previous| {
        previous.counter_reset_hint == CounterResetHint::Gauge
            || histogram.counter_reset_hint == CounterResetHint::CounterReset
            || (previous.is_stale() && !histogram.is_stale())
            || previous.schema != histogram.schema
            || previous.zero_threshold != histogram.zero_threshold
            || previous.custom_bounds() != histogram.custom_bounds()
            || (!histogram.is_stale() && unhinted(histogram).detect_reset(previous))
    });
    if starts_chunk { CounterResetHint::Unknown } else { CounterResetHint::NotCounterReset }
}

fn unhinted(histogram: &FloatHistogram) -> FloatHistogram {
    FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..histogram.clone() }
}

/// Adds a sample in its place. The same sample twice is one.
fn insert(samples: &mut SampleColumns, mut sample: Pending) -> Result<(), AppendError> {
    let at = samples.timestamps_ms.partition_point(|&t| t < sample.t_ms);
    if let Some(histogram) = sample.histogram.as_mut() {
        let previous = at.checked_sub(1).and_then(|before| samples.histogram(before));
        let hint = stored_hint(previous.map(Arc::as_ref), histogram);
        Arc::make_mut(histogram).counter_reset_hint = hint;
    }
    if at == samples.len() {
        push(samples, &sample);
        return Ok(());
    }
    if samples.timestamps_ms[at] == sample.t_ms {
        if sample.equals(samples, at) {
            return Ok(());
        }
        return Err(AppendError::DuplicateTimestamp { existing: samples.values[at], new: sample.value });
    }
    let mut all: Vec<Pending> = (0..samples.len()).map(|i| Pending::copy_of(samples, i)).collect();
    all.insert(at, sample);
    samples.clear();
    all.iter().for_each(|sample| push(samples, sample));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(storage: &MemoryStorage, labels: &Labels, samples: &[(i64, f64)]) -> Result<(), AppendError> {
        let mut appender = storage.appender(&TenantId::default());
        let series = appender.resolve(labels)?;
        for &(t_ms, value) in samples {
            appender.append(series, 0, t_ms, SampleValue::Float(value))?;
        }
        appender.commit()
    }

    fn all(storage: &MemoryStorage) -> Vec<SampleColumns> {
        let (range, matchers) = (TimeRange::ALL, Vec::new());
        let projection = model::Projection::All;
        let request = SelectRequest { range, matchers, projection, sorted: true, limit: 0 };
        let ctx = QueryContext::unbounded();
        let set = storage.select(&request, &ctx).unwrap();
        let read = |i| {
            let mut out = SampleColumns::default();
            set.read(i, TimeRange::ALL, &mut out, &ctx).unwrap();
            out
        };
        (0..set.len()).map(read).collect()
    }

    #[test]
    fn samples_are_kept_in_order_and_conflicts_undo_the_transaction() {
        let storage = MemoryStorage::new();
        let up = Labels::from_pairs([("__name__", "up")]);
        append(&storage, &up, &[(10, 1.0), (30, 3.0)]).unwrap();
        append(&storage, &up, &[(20, 2.0), (10, 1.0)]).unwrap();
        let refused = append(&storage, &up, &[(40, 4.0), (30, 9.0)]).unwrap_err();
        assert_eq!(refused, AppendError::DuplicateTimestamp { existing: 3.0, new: 9.0 });
        assert_eq!(all(&storage)[0].timestamps_ms, [10, 20, 30]);
        assert_eq!(all(&storage)[0].values, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_set_does_not_see_later_commits() {
        let storage = MemoryStorage::new();
        let up = Labels::from_pairs([("__name__", "up")]);
        append(&storage, &up, &[(10, 1.0)]).unwrap();
        let ctx = QueryContext::unbounded();
        let (range, projection) = (TimeRange::ALL, model::Projection::All);
        let request = SelectRequest {
            range,
            matchers: vec![Matcher::equal("__name__", "up")],
            projection,
            sorted: true,
            limit: 0,
        };
        let set = storage.select(&request, &ctx).unwrap();
        append(&storage, &up, &[(20, 2.0)]).unwrap();
        let mut out = SampleColumns::default();
        set.read(0, TimeRange::ALL, &mut out, &ctx).unwrap();
        assert_eq!(out.timestamps_ms, [10]);
    }
}
