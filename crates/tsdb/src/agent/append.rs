//! Transactions: checked and gathered here, then written to the log at once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{
    AppendError, Appendable, Appender, Exemplar, Labels, Metadata, SampleValue, SeriesRef, TenantId,
};

use super::table::{Cursor, Resolved};
use super::{Agent, Inner};
use crate::head::commit::push_histogram_records;
use crate::head::exemplars::check_length;
use crate::head::isolation::Registration;
use crate::wal::histogram::{AnyHistogram, HistogramSample};
use crate::wal::record::{self, ExemplarEntry, FloatSample, Kind, MetadataEntry};
use crate::wal::{Appended, RecordBatch, WalError};

/// What a transaction gathers; reused by later ones.
#[derive(Debug)]
pub(super) struct Buffers {
    floats: Vec<FloatSample>,
    histograms: Vec<HistogramSample>,
    exemplars: Vec<ExemplarEntry>,
    metadata: Vec<(MetadataEntry, u64)>,
    records: RecordBatch,
}

impl Buffers {
    fn new(inner: &Inner) -> Self {
        Self {
            floats: Vec::new(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
            metadata: Vec::new(),
            records: RecordBatch::new(inner.options.wal_compression),
        }
    }

    fn clear(&mut self) {
        const KEEP_SAMPLES: usize = 64 << 10;
        self.floats.clear();
        self.floats.shrink_to(KEEP_SAMPLES);
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata.clear();
        self.records.clear();
    }
}

/// A transaction on an agent's log.
pub struct AgentAppender {
    inner: Arc<Inner>,
    window_ms: i64,
    cursor: Cursor,
    buffers: Option<Buffers>,
    /// Keeps references valid that this transaction got.
    _registration: Registration,
}

impl std::fmt::Debug for AgentAppender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentAppender").finish_non_exhaustive()
    }
}

impl Appendable for Agent {
    fn appender(&self, _tenant: &TenantId) -> Box<dyn Appender> {
        let inner = self.inner.clone();
        let registration = inner.activity.appender();
        let buffers = inner.buffers.lock().pop().unwrap_or_else(|| Buffers::new(&inner));
        Box::new(AgentAppender {
            window_ms: inner.out_of_order_window_ms.load(Ordering::Relaxed),
            inner,
            cursor: Cursor::default(),
            buffers: Some(buffers),
            _registration: registration,
        })
    }
}

impl AgentAppender {
    fn buffers(&mut self) -> &mut Buffers {
        self.buffers.as_mut().expect("taken only by commit and drop, which end the appender")
    }

    /// Fails unless a sample at `t_ms` is later than the newest one of its series less `window_ms`.
    #[inline]
    fn check(&mut self, series: u64, t_ms: i64, window_ms: i64) -> Result<(), AppendError> {
        let newest_ms = self.cursor.newest_ms(&self.inner.table, series).ok_or(AppendError::UnknownSeries)?;
        if t_ms > newest_ms.saturating_sub(window_ms) {
            return Ok(());
        }
        self.inner.metrics.out_of_order.inc();
        Err(AppendError::OutOfOrder)
    }

    fn push(
        &mut self,
        series: u64,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
        window_ms: i64,
    ) -> Result<(), AppendError> {
        let valid = match value {
            SampleValue::Float(_) => Ok(()),
            SampleValue::Histogram(h) => h.validate(),
            SampleValue::FloatHistogram(h) => h.validate(),
        };
        valid.map_err(|error| AppendError::InvalidHistogram(error.to_string()))?;
        self.check(series, t_ms, window_ms)?;
        let value = match value {
            SampleValue::Float(value) => {
                self.buffers().floats.push(FloatSample { series, start_ms, t_ms, value });
                return Ok(());
            }
            SampleValue::Histogram(h) => AnyHistogram::Integer(Arc::new(h.clone())),
            SampleValue::FloatHistogram(h) => AnyHistogram::Float(Arc::new(h.clone())),
        };
        self.buffers().histograms.push(HistogramSample { series, start_ms, t_ms, value });
        Ok(())
    }
}

impl Appender for AgentAppender {
    fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned()));
        }
        let (inner, limit) = (&self.inner, self.inner.options.series_limit);
        let log = |series| inner.unlogged.lock().push((series, labels.clone()));
        match inner.table.resolve(labels, limit, log) {
            Resolved::Known(series) => Ok(SeriesRef(series)),
            Resolved::New(series) => {
                inner.metrics.active_series.add(1.0);
                // Its page may be new since it was looked for.
                self.cursor = Cursor::default();
                Ok(SeriesRef(series))
            }
            Resolved::Full => {
                Err(AppendError::SeriesLimit { limit, metric: labels.metric_name().to_owned() })
            }
        }
    }

    fn append(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        self.push(series.0, start_ms, t_ms, value, self.window_ms)
    }

    fn append_in_order(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        self.push(series.0, 0, t_ms, value, 0)
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        if self.cursor.newest_ms(&self.inner.table, series.0).is_none() {
            return Err(AppendError::InvalidExemplar(format!(
                "unknown series ref when trying to add exemplar: {}",
                series.0
            )));
        }
        check_length(exemplar).map_err(|error| AppendError::InvalidExemplar(error.to_string()))?;
        let hash = hash_of(|state| {
            exemplar.labels.as_bytes().hash(state);
            (exemplar.value.to_bits(), exemplar.timestamp_ms).hash(state);
        });
        // The same again is no mistake, but need not be sent again.
        if self.inner.exemplars.lock().insert(series.0, hash) == Some(hash) {
            return Ok(());
        }
        let Exemplar { labels, value, timestamp_ms: t_ms, .. } = exemplar.clone();
        self.buffers().exemplars.push(ExemplarEntry { series: series.0, t_ms, value, labels });
        Ok(())
    }

    fn update_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        if !self.inner.options.metadata_records {
            return Ok(());
        }
        if self.cursor.newest_ms(&self.inner.table, series.0).is_none() {
            return Err(AppendError::UnknownSeries);
        }
        let hash = hash_of(|state| metadata.hash(state));
        if self.inner.metadata.lock().get(&series.0) != Some(&hash) {
            let entry = MetadataEntry {
                series: series.0,
                metric_type: metadata.metric_type,
                unit: metadata.unit.to_string(),
                help: metadata.help.to_string(),
            };
            self.buffers().metadata.push((entry, hash));
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), AppendError> {
        let mut buffers = self.buffers.take().expect("taken only by commit and drop, which end the appender");
        let committed = self.inner.commit(&mut buffers, &mut self.cursor);
        self.buffers = Some(buffers);
        committed.map_err(|error| AppendError::Storage(format!("write to WAL: {error}")))
    }
}

impl Drop for AgentAppender {
    fn drop(&mut self) {
        const KEPT_BUFFERS: usize = 16;
        if let Some(mut buffers) = self.buffers.take() {
            buffers.clear();
            let mut pool = self.inner.buffers.lock();
            if pool.len() < KEPT_BUFFERS {
                pool.push(buffers);
            }
        }
    }
}

fn hash_of(write: impl FnOnce(&mut xxhash_rust::xxh3::Xxh3)) -> u64 {
    let mut state = xxhash_rust::xxh3::Xxh3::new();
    write(&mut state);
    state.finish()
}

impl Inner {
    /// Writes what a transaction gathered. On failure nothing of it is kept.
    fn commit(&self, buffers: &mut Buffers, cursor: &mut Cursor) -> Result<(), WalError> {
        self.encode(buffers)?;
        {
            let mut series_batch = self.commit.lock();
            // Whichever transaction comes first logs the series all others created so far: a sample never stands
            // in the log before its series.
            let created = std::mem::take(&mut *self.unlogged.lock());
            let written = encode_series(&created, &mut series_batch)
                .and_then(|()| self.wal.append(&[&series_batch, &buffers.records]));
            series_batch.clear();
            if let Err(error) = written {
                self.unlogged.lock().extend(created);
                return Err(error);
            }
        }
        let floats = buffers.floats.iter().map(|float| (float.series, float.t_ms));
        let histograms = buffers.histograms.iter().map(|histogram| (histogram.series, histogram.t_ms));
        let mut highest_ms = i64::MIN;
        for (series, t_ms) in floats.chain(histograms) {
            highest_ms = highest_ms.max(t_ms);
            if !cursor.note(&self.table, series, t_ms) {
                self.metrics.out_of_order.inc();
            }
        }
        self.metrics.floats_appended.add(buffers.floats.len() as u64);
        self.metrics.histograms_appended.add(buffers.histograms.len() as u64);
        self.metrics.exemplars_appended.add(buffers.exemplars.len() as u64);
        self.wal.tail().note_appended(Appended {
            floats: buffers.floats.len() as u64,
            histograms: buffers.histograms.len() as u64,
            exemplars: buffers.exemplars.len() as u64,
            highest_ms,
        });
        if !buffers.metadata.is_empty() {
            let logged = buffers.metadata.iter().map(|(entry, hash)| (entry.series, *hash));
            self.metadata.lock().extend(logged);
        }
        Ok(())
    }

    fn encode(&self, buffers: &mut Buffers) -> Result<(), WalError> {
        let with_start = self.options.start_timestamps;
        let Buffers { floats, histograms, exemplars, metadata, records } = buffers;
        for part in metadata.chunks(10_000) {
            let entries: Vec<_> = part.iter().map(|(entry, _)| entry.clone()).collect();
            records.push(|out| record::put_metadata(out, &entries))?;
        }
        records.push(|out| {
            out.reserve(20 + floats.len() * 12);
            record::put_floats(out, floats, with_start);
        })?;
        if !histograms.is_empty() {
            push_histogram_records(records, histograms, with_start)?;
        }
        if !exemplars.is_empty() {
            records.push(|out| record::put_exemplars(out, exemplars))?;
        }
        Ok(())
    }
}

fn encode_series(created: &[(u64, Labels)], batch: &mut RecordBatch) -> Result<(), WalError> {
    // Records of bounded size keep replay's memory bounded.
    for part in created.chunks(5_000) {
        batch.push(|out| {
            record::begin(out, Kind::Series);
            for (series, labels) in part {
                record::put_series(out, *series, labels);
            }
        })?;
    }
    Ok(())
}
