//! The traits in which storage engines, query languages and collectors meet.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::context::{QueryContext, QueryStop};
use crate::histogram::{FloatHistogram, Histogram};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::meta::{Exemplar, Metadata};
use crate::sample::{SampleColumns, TimeRange};

/// Whose data is written or read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub SmolStr);

impl Default for TenantId {
    /// The one tenant there is unless multi-tenancy is on.
    fn default() -> Self {
        Self(SmolStr::new_static("anonymous"))
    }
}

/// A storage's handle of a series. It stays valid until the storage drops the series; then an append
/// answers [`AppendError::UnknownSeries`] and the caller resolves the labels again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// Where metrics are read from.
pub trait SeriesSource: Send + Sync {
    /// The series that match, pinned: the set sees one consistent state however long it lives, and
    /// never half of a commit.
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError>;

    /// The label names of matching series, sorted.
    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError>;

    /// The values of label `name` among matching series, sorted.
    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError>;

    /// Exemplars of series that match any of the matcher sets, by series, in time order.
    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError>;
}

/// What to select.
#[derive(Debug, Clone)]
pub struct SelectRequest {
    /// Samples outside are not needed. Series without any sample inside may be left out.
    pub range: TimeRange,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// Which labels the caller will look at. Honouring it is optional; it never merges series.
    pub projection: Projection,
    /// Whether the set must be in label order (on the full labels).
    pub sorted: bool,
    /// At most this many series are needed; 0 for all.
    pub limit: usize,
}

/// Which labels of each series a caller will look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Projection {
    /// All labels.
    #[default]
    All,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

/// Which series to take label names and values from.
#[derive(Debug, Clone, Default)]
pub struct LabelRequest {
    /// The time of interest, as precisely as the storage can tell cheaply. `None` for all.
    pub range: Option<TimeRange>,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// At most this many results; 0 for all.
    pub limit: usize,
}

/// A pinned set of series with random access, so that a caller may read many series in parallel and
/// one series more than once.
pub trait SeriesSet: Send + Sync {
    /// Number of series.
    fn len(&self) -> usize;

    /// Whether there is no series.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of series `i`, perhaps projected as the request allowed.
    fn labels(&self, i: usize) -> Labels;

    /// Calls `visit` with each label of series `i`, in the order of names: as [`SeriesSet::labels`],
    /// without making a label set.
    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.labels(i).iter().for_each(|(name, value)| visit(name, value));
    }

    /// Appends the samples of series `i` within `range` to `out`, in ascending time without
    /// duplicate timestamps. Staleness markers are included. `out` is not cleared.
    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError>;

    /// Appends only the last sample of series `i` within `range`, if any: the fast path of instant
    /// queries.
    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let mut all = SampleColumns::default();
        self.read(i, range, &mut all, ctx)?;
        if let Some(last) = all.len().checked_sub(1) {
            match all.histogram(last) {
                Some(histogram) => out.push_histogram(all.timestamps_ms[last], histogram.clone()),
                None => out.push_float(all.timestamps_ms[last], all.values[last]),
            }
            out.set_last_start_timestamp(all.start_timestamp_ms(last));
        }
        Ok(())
    }

    /// The samples of series `i` within `range` as encoded chunks, in order of time and without overlap, for
    /// callers that pass them on. `None` when the source has no chunks: then [`SeriesSet::read`] tells.
    fn chunks(
        &self,
        _i: usize,
        _range: TimeRange,
        _ctx: &QueryContext,
    ) -> Result<Option<Vec<RawChunk>>, SourceError> {
        Ok(None)
    }

    /// What the caller should be told although the result stands.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Samples of one series as storage and protocols encode them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawChunk {
    /// The number of the encoding, as it stands on disk.
    pub encoding: u8,
    /// Timestamp of the first sample.
    pub min_ms: i64,
    /// Timestamp of the last sample.
    pub max_ms: i64,
    /// The chunk, header included.
    pub data: Vec<u8>,
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The query may not go on.
    #[error(transparent)]
    Stopped(#[from] QueryStop),
    /// Stored data is damaged; the message names the file and place.
    #[error("{0}")]
    Corruption(String),
    /// The storage failed or is closed.
    #[error("{0}")]
    Storage(String),
}

/// The value of one sample to append.
#[derive(Debug, Clone, Copy)]
pub enum SampleValue<'a> {
    /// A float.
    Float(f64),
    /// A histogram of integer counts.
    Histogram(&'a Histogram),
    /// A histogram of float counts.
    FloatHistogram(&'a FloatHistogram),
}

/// One transaction of samples (a scrape, a remote-write request). Queries see all of it or nothing.
/// Dropping it without [`Appender::commit`] rolls back.
pub trait Appender: Send {
    /// The series with these labels, created if new. Fails on invalid labels or a series limit.
    fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError>;

    /// Adds a sample. `start_ms` is the start timestamp, 0 when unknown. An error concerns this sample
    /// alone; the transaction goes on.
    fn append(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError>;

    /// Adds a sample only if it is the newest of its series, even where out-of-order ingestion is on:
    /// staleness markers of a target that went away must not fall between samples of one that came back.
    fn append_in_order(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        self.append(series, 0, t_ms, value)
    }

    /// Adds an exemplar of a series.
    fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError>;

    /// Sets the metadata of a series' metric family.
    fn update_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError>;

    /// Makes the transaction visible and as durable as the storage promises. On failure nothing of it
    /// becomes visible.
    fn commit(self: Box<Self>) -> Result<(), AppendError>;
}

/// Opens transactions.
pub trait Appendable: Send + Sync {
    /// A new transaction for `tenant`.
    fn appender(&self, tenant: &TenantId) -> Box<dyn Appender>;
}

impl<T: Appendable + ?Sized> Appendable for Arc<T> {
    fn appender(&self, tenant: &TenantId) -> Box<dyn Appender> {
        (**self).appender(tenant)
    }
}

/// Why a sample, exemplar or transaction was refused. Texts are Prometheus's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// Older than the newest sample, and out-of-order ingestion is off.
    #[error("out of order sample")]
    OutOfOrder,
    /// The same timestamp as a stored sample, with another value.
    #[error("duplicate sample for timestamp; overrides not allowed: existing {existing}, new value {new}")]
    DuplicateTimestamp {
        /// The stored value.
        existing: f64,
        /// The refused value.
        new: f64,
    },
    /// Older than the storage accepts.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window reaches.
    #[error("too old sample")]
    TooOld,
    /// The reference is no longer valid: resolve the labels again.
    #[error("unknown series reference")]
    UnknownSeries,
    /// The server's limit of series is reached; existing series are still appended to.
    #[error("series limit of {limit} reached, not adding a series of metric {metric:?}")]
    SeriesLimit {
        /// The limit.
        limit: usize,
        /// The metric of the series that was refused.
        metric: String,
    },
    /// The labels are not a valid series.
    #[error("{0}")]
    InvalidLabels(String),
    /// The histogram is inconsistent.
    #[error("{0}")]
    InvalidHistogram(String),
    /// Native histograms are not accepted.
    #[error("native histograms are disabled")]
    HistogramsDisabled,
    /// The exemplar is out of order, a duplicate or too long.
    #[error("{0}")]
    InvalidExemplar(String),
    /// The storage failed: nothing of the transaction was kept.
    #[error("{0}")]
    Storage(String),
}
