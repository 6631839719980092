//! Transactions: samples are checked and gathered here, and put into the head by [`super::commit`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use model::{
    AppendError, Appendable, Appender, Exemplar, FloatHistogram, Histogram, Labels, Metadata, SampleValue,
    SeriesRef, TenantId, is_stale_nan,
};

use super::apply::{Admission, Bounds};
use super::exemplars::ExemplarError;
use super::isolation::Registration;
use super::metrics::ByType;
use super::table::{Cold, LastKind, NO_SAMPLE, NO_SERIES, Page, Series, Slot, locate};
use super::{Head, Inner};
use crate::wal::RecordBatch;
use crate::wal::histogram::AnyHistogram;

/// A float sample of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct FloatEntry {
    /// Timestamp.
    pub t_ms: i64,
    /// Value.
    pub value: f64,
    /// Start timestamp, 0 when unknown.
    pub start_ms: i64,
    /// Series.
    pub slot: Slot,
    /// What happens when it is not the newest sample of its series.
    pub order: Order,
}

/// Whether a sample may be older than the newest one of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As far as the out-of-order window reaches.
    Any,
    /// Not even then.
    Newest,
}

impl Order {
    /// What becomes of a sample in this order at a time `bounds` decide about.
    #[inline]
    pub fn admit(self, bounds: &Bounds, last_t_ms: i64, t_ms: i64) -> Admission {
        match bounds.admit(last_t_ms, t_ms) {
            Admission::OutOfOrder if self == Self::Newest => Admission::Disordered,
            other => other,
        }
    }
}

/// A histogram sample of a transaction.
#[derive(Debug, Clone)]
pub struct HistogramEntry {
    /// Timestamp.
    pub t_ms: i64,
    /// Start timestamp, 0 when unknown.
    pub start_ms: i64,
    /// Series.
    pub slot: Slot,
    /// What happens when it is not the newest sample of its series.
    pub order: Order,
    /// Value.
    pub value: AnyHistogram,
}

/// Samples of a transaction: within a batch the floats of a series come before its histograms.
#[derive(Debug, Default)]
pub struct Batch {
    /// Floats, in the order they were appended.
    pub floats: Vec<FloatEntry>,
    /// Histograms, in the order they were appended.
    pub histograms: Vec<HistogramEntry>,
}

/// What a transaction gathers; reused by later ones.
#[derive(Debug)]
pub struct Buffers {
    /// Samples, nearly always in one batch.
    pub batches: Vec<Batch>,
    /// Exemplars.
    pub exemplars: Vec<(Slot, Exemplar)>,
    /// Changed metadata.
    pub metadata: Vec<(Slot, Metadata)>,
    /// Series that have a histogram in the last batch.
    histogram_kinds: HashMap<Slot, LastKind>,
    /// Log records.
    pub records: RecordBatch,
}

impl Buffers {
    fn new(inner: &Inner) -> Self {
        Self {
            batches: vec![Batch::default()],
            exemplars: Vec::new(),
            metadata: Vec::new(),
            histogram_kinds: HashMap::new(),
            records: RecordBatch::new(inner.options.wal_compression),
        }
    }

    fn clear(&mut self) {
        const KEEP_SAMPLES: usize = 64 << 10;
        self.batches.truncate(1);
        if let Some(batch) = self.batches.first_mut() {
            batch.floats.clear();
            batch.floats.shrink_to(KEEP_SAMPLES);
            batch.histograms.clear();
        }
        self.exemplars.clear();
        self.metadata.clear();
        self.histogram_kinds.clear();
        self.records.clear();
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.batches.iter().all(|batch| batch.floats.is_empty() && batch.histograms.is_empty())
            && self.exemplars.is_empty()
            && self.metadata.is_empty()
    }

    fn last_batch(&mut self) -> &mut Batch {
        if self.batches.is_empty() {
            self.batches.push(Batch::default());
        }
        let last = self.batches.len() - 1;
        &mut self.batches[last]
    }

    fn start_batch(&mut self) {
        self.batches.push(Batch::default());
        self.histogram_kinds.clear();
    }
}

/// A transaction on the head.
pub struct HeadAppender {
    pub(super) inner: Arc<Inner>,
    pub(super) bounds: Bounds,
    /// Series whose newest sample is older may be removed under us unless they are pinned.
    pin_before_ms: i64,
    pinned: Vec<Slot>,
    page: Option<(u32, Arc<Page>)>,
    buffers: Option<Buffers>,
    _registration: Registration,
}

impl std::fmt::Debug for HeadAppender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadAppender").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Appendable for Head {
    fn appender(&self, _tenant: &TenantId) -> Box<dyn Appender> {
        Box::new(self.head_appender())
    }
}

impl Head {
    /// A new transaction.
    pub fn head_appender(&self) -> HeadAppender {
        let inner = self.inner.clone();
        // Registered before the bounds are read: a truncation that changes them afterwards waits for us.
        let registration = inner.activity.appender();
        inner.metrics.appenders_created.inc();
        inner.metrics.levels.appenders.fetch_add(1, Ordering::Relaxed);
        let bounds = inner.bounds();
        let pin_before_ms = match inner.pin_all.load(Ordering::SeqCst) {
            true => i64::MAX,
            false => inner.truncated_ms.load(Ordering::SeqCst),
        };
        let buffers = inner.buffers.lock().pop().unwrap_or_else(|| Buffers::new(&inner));
        HeadAppender {
            inner,
            bounds,
            pin_before_ms,
            pinned: Vec::new(),
            page: None,
            buffers: Some(buffers),
            _registration: registration,
        }
    }
}

impl Inner {
    fn bounds(&self) -> Bounds {
        Bounds {
            min_valid_ms: self.appendable_min_valid_ms(),
            head_max_ms: self.metrics.levels.max_ms.load(Ordering::Relaxed),
            out_of_order_window_ms: self.out_of_order_window_ms.load(Ordering::Relaxed),
        }
    }

    /// The series with these labels, created if new and allowed. The second part tells whether it is new.
    pub(super) fn get_or_create(&self, labels: &Labels) -> Result<(Slot, bool), AppendError> {
        if let Some(slot) = self.index.read().index.find(labels, &self.table) {
            return Ok((slot, false));
        }
        let mut state = self.index.write();
        if let Some(slot) = state.index.find(labels, &self.table) {
            return Ok((slot, false));
        }
        let limit = self.series_limit.load(Ordering::Relaxed);
        if limit > 0 && state.index.len() >= limit {
            return Err(self.refuse(limit, labels));
        }
        let slot = state.next_slot;
        if slot >= super::load::FOREIGN_SLOTS {
            return Err(AppendError::Storage("series numbers are used up: restart the server".to_owned()));
        }
        state.next_slot += 1;
        let encoded = state.index.insert(labels, slot);
        self.put_series(slot, Cold { labels: encoded, ..Cold::default() });
        self.unlogged.lock().push((slot, labels.clone()));
        drop(state);
        self.metrics.series_created.inc();
        self.metrics.levels.series.fetch_add(1, Ordering::Relaxed);
        Ok((slot, true))
    }

    pub(super) fn put_series(&self, slot: Slot, cold: Cold) {
        let (number, at) = locate(slot);
        let page = self.table.page_or_new(number);
        let mut series = page.series.write();
        series[at] = Series { cold: Some(Box::new(cold)), ..Series::default() };
        page.set_last_t_ms(at, NO_SAMPLE);
    }

    fn refuse(&self, limit: usize, labels: &Labels) -> AppendError {
        const MAX_METRICS: usize = 10_000;
        let metric = labels.metric_name().to_owned();
        self.metrics.series_refused.inc();
        let mut refused = self.refused.lock();
        if refused.len() < MAX_METRICS || refused.contains_key(&metric) {
            let count = refused.entry(metric.clone()).or_insert(0);
            *count += 1;
            if *count == 1 {
                tracing::warn!(limit, metric, "series limit reached: new series are refused");
            }
        }
        AppendError::SeriesLimit { limit, metric }
    }
}

impl HeadAppender {
    fn buffers(&mut self) -> &mut Buffers {
        self.buffers.as_mut().expect("taken only by commit and drop, which end the appender")
    }

    /// The page and place of a series, and its newest timestamp.
    #[inline]
    fn find(&mut self, series: SeriesRef) -> Result<(Slot, usize, i64), AppendError> {
        let Ok(slot) = Slot::try_from(series.0) else { return Err(self.unknown()) };
        let (number, at) = locate(slot);
        if self.page.as_ref().is_none_or(|(n, _)| *n != number) {
            self.page = self.inner.table.page(number).map(|page| (number, page));
        }
        let last_t_ms = match &self.page {
            Some((_, page)) => page.last_t_ms(at),
            None => NO_SERIES,
        };
        if last_t_ms < self.pin_before_ms {
            self.pin(slot, at)?;
        } else if last_t_ms == NO_SERIES {
            return Err(self.unknown());
        }
        Ok((slot, at, last_t_ms))
    }

    #[cold]
    fn unknown(&self) -> AppendError {
        self.inner.metrics.series_not_found.inc();
        AppendError::UnknownSeries
    }

    /// Keeps a series that a truncation could remove until this transaction ends.
    #[cold]
    fn pin(&mut self, slot: Slot, at: usize) -> Result<(), AppendError> {
        if self.pinned.last() == Some(&slot) {
            return Ok(());
        }
        let mut pinned = self.inner.pinned.lock();
        // Removal looks at the pins under the same lock.
        let is_live = self.page.as_ref().is_some_and(|(_, page)| page.last_t_ms(at) != NO_SERIES);
        if is_live {
            *pinned.entry(slot).or_insert(0) += 1;
            drop(pinned);
            self.pinned.push(slot);
            return Ok(());
        }
        drop(pinned);
        Err(self.unknown())
    }

    /// An empty head takes its first time from the first sample.
    #[cold]
    fn init_bounds(&mut self, t_ms: i64) {
        self.inner.widen_bounds(t_ms, t_ms);
        self.bounds = self.inner.bounds();
    }

    #[inline]
    fn append_float(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: f64,
        order: Order,
    ) -> Result<(), AppendError> {
        let (slot, at, last_t_ms) = self.find(series)?;
        if self.bounds.head_max_ms == i64::MIN {
            self.init_bounds(t_ms);
        }
        match order.admit(&self.bounds, last_t_ms, t_ms) {
            Admission::InOrder => {}
            Admission::SameTime => self.check_same_float(at, value)?,
            Admission::OutOfOrder => self.note_lateness(t_ms),
            other => return Err(self.refusal(other, t_ms, true)),
        }
        if t_ms == NO_SERIES {
            return Err(AppendError::OutOfBounds);
        }
        let buffers = self.buffers();
        if !buffers.histogram_kinds.is_empty()
            && let Some(&kind) = buffers.histogram_kinds.get(&slot)
        {
            if is_stale_nan(value) {
                let value = stale_histogram(kind, value);
                let entry = HistogramEntry { t_ms, start_ms, slot, order, value };
                buffers.last_batch().histograms.push(entry);
                return Ok(());
            }
            buffers.start_batch();
        }
        buffers.last_batch().floats.push(FloatEntry { t_ms, value, start_ms, slot, order });
        Ok(())
    }

    #[cold]
    fn check_same_float(&self, at: usize, value: f64) -> Result<(), AppendError> {
        let Some((_, page)) = &self.page else { return Ok(()) };
        let same = page.series.read()[at].same_float(value);
        same.map_err(|existing| AppendError::DuplicateTimestamp { existing, new: value })
    }

    /// Counts how far a sample is behind the newest of the head, whether it is taken or not.
    #[cold]
    fn note_lateness(&self, t_ms: i64) {
        let late_ms = self.bounds.head_max_ms.saturating_sub(t_ms);
        if late_ms > 0 {
            self.inner.metrics.lateness_seconds.observe(late_ms as f64 / 1000.0);
        }
    }

    #[cold]
    fn refusal(&self, admission: Admission, t_ms: i64, is_float: bool) -> AppendError {
        self.note_lateness(t_ms);
        let count = |by_type: &ByType| if is_float { by_type.float.inc() } else { by_type.histogram.inc() };
        let metrics = &self.inner.metrics;
        match admission {
            Admission::TooOld => {
                count(&metrics.too_old);
                AppendError::TooOld
            }
            Admission::OutOfBounds => {
                count(&metrics.out_of_bounds);
                AppendError::OutOfBounds
            }
            _ => {
                count(&metrics.out_of_order);
                AppendError::OutOfOrder
            }
        }
    }

    fn append_histogram(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: AnyHistogram,
        order: Order,
    ) -> Result<(), AppendError> {
        let valid = match &value {
            AnyHistogram::Integer(h) => h.validate(),
            AnyHistogram::Float(h) => h.validate(),
        };
        valid.map_err(|error| AppendError::InvalidHistogram(error.to_string()))?;
        let (slot, at, last_t_ms) = self.find(series)?;
        if self.bounds.head_max_ms == i64::MIN {
            self.init_bounds(t_ms);
        }
        match order.admit(&self.bounds, last_t_ms, t_ms) {
            Admission::InOrder => {}
            Admission::OutOfOrder => self.note_lateness(t_ms),
            Admission::SameTime => {
                let same = self.page.as_ref().is_none_or(|(_, p)| p.series.read()[at].same_histogram(&value));
                if !same {
                    let new = value.sum();
                    return Err(AppendError::DuplicateTimestamp { existing: f64::NAN, new });
                }
            }
            other => return Err(self.refusal(other, t_ms, false)),
        }
        if t_ms == NO_SERIES {
            return Err(AppendError::OutOfBounds);
        }
        let kind = match value {
            AnyHistogram::Integer(_) => LastKind::Histogram,
            AnyHistogram::Float(_) => LastKind::FloatHistogram,
        };
        let buffers = self.buffers();
        if buffers.histogram_kinds.get(&slot).is_some_and(|&other| other != kind) {
            buffers.start_batch();
        }
        buffers.histogram_kinds.insert(slot, kind);
        buffers.last_batch().histograms.push(HistogramEntry { t_ms, start_ms, slot, order, value });
        Ok(())
    }

    fn append_any(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
        order: Order,
    ) -> Result<(), AppendError> {
        let histogram = match value {
            SampleValue::Float(value) => return self.append_float(series, start_ms, t_ms, value, order),
            SampleValue::Histogram(h) => AnyHistogram::Integer(Arc::new(h.clone())),
            SampleValue::FloatHistogram(h) => AnyHistogram::Float(Arc::new(h.clone())),
        };
        self.append_histogram(series, start_ms, t_ms, histogram, order)
    }

    fn give_back(&mut self) {
        if let Some(mut buffers) = self.buffers.take() {
            const KEPT_BUFFERS: usize = 16;
            buffers.clear();
            let mut pool = self.inner.buffers.lock();
            if pool.len() < KEPT_BUFFERS {
                pool.push(buffers);
            }
        }
    }
}

/// The staleness marker of a series whose newest sample is a histogram.
pub fn stale_histogram(kind: LastKind, marker: f64) -> AnyHistogram {
    if kind == LastKind::FloatHistogram {
        AnyHistogram::Float(Arc::new(FloatHistogram { sum: marker, ..FloatHistogram::default() }))
    } else {
        AnyHistogram::Integer(Arc::new(Histogram { sum: marker, ..Histogram::default() }))
    }
}

impl Appender for HeadAppender {
    fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned()));
        }
        loop {
            let (slot, _) = self.inner.get_or_create(labels)?;
            let series = SeriesRef(u64::from(slot));
            // It may be removed between being found and being pinned: then it is created again.
            match self.find(series) {
                Ok(_) => return Ok(series),
                Err(_) => self.page = None,
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
        self.append_any(series, start_ms, t_ms, value, Order::Any)
    }

    fn append_in_order(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        self.append_any(series, 0, t_ms, value, Order::Newest)
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        if self.inner.exemplars.read().capacity() == 0 {
            return Ok(());
        }
        let (slot, _, _) = self.find(series)?;
        let Some(labels) = self.inner.labels_of(slot) else { return Err(self.unknown()) };
        let checked = self.inner.exemplars.read().check(&labels, exemplar);
        match checked {
            Ok(()) => self.buffers().exemplars.push((slot, exemplar.clone())),
            Err(ExemplarError::Duplicate | ExemplarError::Disabled) => {}
            Err(error) => return Err(AppendError::InvalidExemplar(error.to_string())),
        }
        Ok(())
    }

    fn update_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        if !self.inner.options.metadata_records {
            return Ok(());
        }
        let (slot, _, _) = self.find(series)?;
        let known = self.inner.metadata.read().get(&slot).is_some_and(|known| **known == *metadata);
        if !known {
            self.buffers().metadata.push((slot, metadata.clone()));
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), AppendError> {
        let mut buffers = self.buffers.take().expect("taken only by commit and drop, which end the appender");
        let committed = self.inner.commit(&self.bounds, &mut buffers);
        self.buffers = Some(buffers);
        committed.map_err(|error| AppendError::Storage(format!("write to WAL: {error}")))
    }
}

impl Drop for HeadAppender {
    fn drop(&mut self) {
        self.give_back();
        self.inner.metrics.levels.appenders.fetch_sub(1, Ordering::Relaxed);
        if !self.pinned.is_empty() {
            let mut pinned = self.inner.pinned.lock();
            for slot in &self.pinned {
                if let Some(count) = pinned.get_mut(slot) {
                    *count -= 1;
                    if *count == 0 {
                        pinned.remove(slot);
                    }
                }
            }
        }
    }
}
