//! A storage that writes down what it is given.

use std::sync::{Arc, Mutex};

use base::SimClock;
use model::{
    AppendError, Appender, Exemplar, Histogram, Labels, Metadata, SampleValue, SeriesRef, is_stale_nan,
};
use serde_json::{Value, json};

use super::super::*;
use crate::cache::SECRET_BYTES;

/// The time of the requests, and not long after it.
pub const NOW_MS: i64 = 1_700_000_600_000;

#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    series: Vec<Labels>,
    /// Series below are forgotten: their references mean nothing any more.
    forgotten: usize,
    committed: Vec<Value>,
    resolved: usize,
    /// What appends are answered with, by metric name.
    refusals: Vec<(String, AppendError)>,
    commit_error: Option<AppendError>,
}

impl Recorder {
    pub fn committed(&self) -> Vec<Value> {
        self.0.lock().unwrap().committed.clone()
    }

    /// How often labels were looked up.
    pub fn resolved(&self) -> usize {
        self.0.lock().unwrap().resolved
    }

    pub fn forget_series(&self) {
        let mut recorded = self.0.lock().unwrap();
        recorded.forgotten = recorded.series.len();
    }

    pub fn refuse(&self, metric: &str, error: AppendError) {
        self.0.lock().unwrap().refusals.push((metric.to_owned(), error));
    }

    pub fn fail_commit(&self, error: Option<AppendError>) {
        self.0.lock().unwrap().commit_error = error;
    }
}

impl Appendable for Recorder {
    fn appender(&self, _: &TenantId) -> Box<dyn Appender> {
        Box::new(Transaction { recorder: self.clone(), samples: Vec::new() })
    }
}

struct Transaction {
    recorder: Recorder,
    samples: Vec<(SeriesRef, Value)>,
}

impl Transaction {
    fn add(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        let recorded = self.recorder.0.lock().unwrap();
        let at = series.0 as usize;
        if at < recorded.forgotten {
            return Err(AppendError::UnknownSeries);
        }
        let labels = &recorded.series[at];
        if let Some((_, error)) = recorded.refusals.iter().find(|(metric, _)| metric == labels.metric_name())
        {
            return Err(error.clone());
        }
        if let SampleValue::Histogram(histogram) = value {
            histogram.validate().map_err(|error| AppendError::InvalidHistogram(error.to_string()))?;
        }
        let pairs: serde_json::Map<_, _> = labels.iter().map(|(n, v)| (n.to_owned(), v.into())).collect();
        let mut sample = json!({"labels": pairs, "st": start_ms, "t": t_ms});
        match value {
            SampleValue::Float(value) => sample["v"] = number(value),
            SampleValue::Histogram(histogram) => sample["h"] = told(histogram),
            SampleValue::FloatHistogram(_) => panic!("all histograms are whole"),
        }
        drop(recorded);
        self.samples.push((series, sample));
        Ok(())
    }
}

impl Appender for Transaction {
    fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let mut recorded = self.recorder.0.lock().unwrap();
        recorded.resolved += 1;
        let known = (recorded.forgotten..recorded.series.len()).find(|at| recorded.series[*at] == *labels);
        let at = known.unwrap_or_else(|| {
            recorded.series.push(labels.clone());
            recorded.series.len() - 1
        });
        Ok(SeriesRef(at as u64))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        self.add(series, start_ms, t_ms, value)
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let (last, sample) = self.samples.last_mut().unwrap();
        assert_eq!(*last, series);
        let pairs: serde_json::Map<_, _> =
            exemplar.labels.iter().map(|(n, v)| (n.to_owned(), v.into())).collect();
        if sample["ex"].is_null() {
            sample["ex"] = json!([]);
        }
        sample["ex"].as_array_mut().unwrap().push(json!({
            "labels": pairs, "v": number(exemplar.value), "t": exemplar.timestamp_ms, "has": exemplar.has_timestamp,
        }));
        Ok(())
    }

    fn update_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        let (last, sample) = self.samples.last_mut().unwrap();
        assert_eq!(*last, series);
        sample["meta"] =
            json!([metadata.metric_type.as_str(), metadata.unit.as_str(), metadata.help.as_str()]);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        let mut recorded = self.recorder.0.lock().unwrap();
        if let Some(error) = &recorded.commit_error {
            return Err(error.clone());
        }
        recorded.committed.extend(self.samples.into_iter().map(|(_, sample)| sample));
        Ok(())
    }
}

fn number(value: f64) -> Value {
    match value {
        value if is_stale_nan(value) => "stale".into(),
        value => model::number::general(value).to_string().into(),
    }
}

fn told(histogram: &Histogram) -> Value {
    if histogram.is_stale() {
        return json!("stale");
    }
    let spans = |spans: &[model::Span]| -> Value {
        spans.iter().map(|span| json!({"Offset": span.offset, "Length": span.length})).collect()
    };
    let side = |of: &[model::Span], deltas: &[i64]| super::buckets(&spans(of), &json!(deltas));
    json!({"hint": histogram.counter_reset_hint as u8, "schema": histogram.schema, "zt": format!("{:.9e}", histogram.zero_threshold),
        "zc": histogram.zero_count, "count": histogram.count, "sum": number(histogram.sum),
        "cv": histogram.custom_bounds(), "positive": side(&histogram.positive_spans, &histogram.positive_buckets),
        "negative": side(&histogram.negative_spans, &histogram.negative_buckets)})
}

/// A receiver that stores in `recorder`.
pub fn receiver(recorder: &Recorder, options: Options, registry: &Registry) -> OtlpReceiver {
    let clock = SimClock::at(NOW_MS);
    OtlpReceiver::new(Arc::new(recorder.clone()), options, Box::new([7; SECRET_BYTES]), clock, registry)
}

/// The value of `name{label=value}`; 0 where it is not published.
pub fn counter(registry: &Registry, metric: &str) -> f64 {
    let (name, labels) = metric.strip_suffix('}').unwrap().split_once('{').unwrap();
    let family = registry.gather().into_iter().find(|family| family.name == name);
    let point = family.into_iter().flat_map(|family| family.points).find(|point| {
        point.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
            == labels
    });
    match point.map(|point| point.value) {
        Some(base::metrics::Value::Number(value)) => value,
        _ => 0.0,
    }
}
