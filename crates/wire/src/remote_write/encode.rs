//! From samples to the bytes of a request.
//!
//! A sender gathers samples in a [`Batch`] and has an [`Encoder`] make a compressed body of it. What makes that cheap
//! is that labels are interned: a series is a few numbers, and the encoder knows of each number where in
//! the body its bytes were written last. In version 1.0 it therefore writes the compressed form at once (see
//! `composer`), a copy of earlier bytes instead of the labels; in version 2.0 the numbers become references.
//!
//! In reading order: [`Batch`], [`Encoder`], `composer`, `v1`, `v2`, `histogram`, [`without_older`], [`halves`].

mod composer;
mod edit;
pub(crate) mod histogram;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use model::{FloatHistogram, Histogram, MetricType};

pub use edit::{NotOurs, Part, halves, without_older};
pub use v1::{FamilyMetadata, encode_metadata};

use super::MessageType;
use crate::protobuf::{put_bytes, put_varint, varint_len};

/// Interned bytes by number.
pub trait Symbols {
    /// The bytes of `id`: for version 1.0 what [`put_label`] appended, for version 2.0 a string.
    fn bytes(&self, id: u32) -> &[u8];

    /// A number above all that are in use.
    fn bound(&self) -> u32;
}

/// Appends a label as a field of a series of version 1.0.
pub fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let field = |text: &str| 1 + varint_len(text.len() as u64) + text.len();
    out.push(0x0a);
    put_varint(out, (field(name) + field(value)) as u64);
    put_bytes(out, 1, name.as_bytes());
    put_bytes(out, 2, value.as_bytes());
}

/// A series as the encoder sees it.
#[derive(Debug, Clone, Copy)]
pub struct SeriesSymbols<'a> {
    /// For version 1.0 one number a label, for version 2.0 two: name and value. In the order of the names.
    pub ids: &'a [u32],
    /// Bytes of all that is behind `ids`; only version 1.0 needs it.
    pub bytes: u32,
    /// What is known about the metric; only version 2.0 sends it.
    pub metadata: Option<SeriesMetadata>,
}

/// Metadata of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesMetadata {
    /// The type.
    pub metric_type: MetricType,
    /// The help text's number.
    pub help: u32,
    /// The unit's number.
    pub unit: u32,
}

/// How many of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Float samples.
    pub samples: usize,
    /// Histogram samples.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

impl Counts {
    /// All together.
    pub fn total(&self) -> usize {
        self.samples + self.histograms + self.exemplars
    }

    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
    }
}

/// A histogram of either kind, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum HistogramRef<'a> {
    /// With integer counts.
    Integer(&'a Histogram),
    /// With float counts.
    Float(&'a FloatHistogram),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Histogram,
    Exemplar,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    t_ms: i64,
    start_ms: i64,
    value: f64,
    /// Ends in the lists of the batch; an item begins where the one before ends.
    ids_end: u32,
    payload_end: u32,
    label_bytes: u32,
    /// The item an exemplar of version 2.0 goes with: receivers refuse series of exemplars alone.
    parent: Option<u32>,
    kind: Kind,
    /// With metadata, the last two ids are help and unit.
    metadata: Option<MetricType>,
}

/// Samples that will become one request, in the order in which they were added.
#[derive(Debug)]
pub struct Batch {
    message: MessageType,
    ids: Vec<u32>,
    payload: Vec<u8>,
    items: Vec<Item>,
    counts: Counts,
    lowest_ms: i64,
    highest_ms: i64,
}

impl Batch {
    /// An empty batch.
    pub fn new(message: MessageType) -> Self {
        Self {
            message,
            ids: Vec::new(),
            payload: Vec::new(),
            items: Vec::new(),
            counts: Counts::default(),
            lowest_ms: i64::MAX,
            highest_ms: i64::MIN,
        }
    }

    /// Number of samples and exemplars.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many of each kind.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The earliest and latest timestamp; the first is later than the second in an empty batch.
    pub fn bounds_ms(&self) -> (i64, i64) {
        (self.lowest_ms, self.highest_ms)
    }

    /// Removes all; memory is kept for the next samples.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.payload.clear();
        self.items.clear();
        self.counts = Counts::default();
        (self.lowest_ms, self.highest_ms) = (i64::MAX, i64::MIN);
    }

    /// Adds a float sample.
    #[inline]
    pub fn push_float(&mut self, series: SeriesSymbols<'_>, start_ms: i64, t_ms: i64, value: f64) {
        self.counts.samples += 1;
        self.push(series, Kind::Float, (start_ms, t_ms, value));
    }

    /// Adds a histogram sample.
    pub fn push_histogram(
        &mut self,
        series: SeriesSymbols<'_>,
        start_ms: i64,
        t_ms: i64,
        value: HistogramRef<'_>,
    ) {
        self.counts.histograms += 1;
        let (field, start_ms) = match self.message {
            MessageType::V1 => (4, 0),
            MessageType::V2 => (3, start_ms),
        };
        histogram::put(&mut self.payload, field, start_ms, t_ms, value);
        self.push(series, Kind::Histogram, (start_ms, t_ms, 0.0));
    }

    /// Adds an exemplar.
    pub fn push_exemplar<'l>(
        &mut self,
        series: SeriesSymbols<'_>,
        t_ms: i64,
        value: f64,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
    ) {
        self.counts.exemplars += 1;
        match self.message {
            MessageType::V1 => v1::put_exemplar(&mut self.payload, t_ms, value, labels),
            // Its strings get their references when the request is made.
            MessageType::V2 => labels.flat_map(|(name, value)| [name, value]).for_each(|text| {
                put_varint(&mut self.payload, text.len() as u64);
                self.payload.extend_from_slice(text.as_bytes());
            }),
        }
        self.push(series, Kind::Exemplar, (0, t_ms, value));
        if self.message == MessageType::V2 {
            self.attach_last(series.ids);
        }
    }

    /// Finds the newest sample of the series the last item is an exemplar of.
    fn attach_last(&mut self, labels: &[u32]) {
        let count = self.items.len();
        let start = |at: usize| at.checked_sub(1).map_or(0, |before| self.items[before].ids_end as usize);
        let is_of_series = |at: &usize| {
            let item = &self.items[*at];
            let ids = &self.ids[start(*at)..item.ids_end as usize];
            item.kind != Kind::Exemplar && ids.get(..labels.len()) == Some(labels)
        };
        let parent = (0..count - 1).rev().find(is_of_series).map(|at| at as u32);
        self.items[count - 1].parent = parent;
    }

    #[inline]
    fn push(&mut self, series: SeriesSymbols<'_>, kind: Kind, (start_ms, t_ms, value): (i64, i64, f64)) {
        self.ids.extend_from_slice(series.ids);
        if let Some(metadata) = series.metadata {
            self.ids.extend_from_slice(&[metadata.help, metadata.unit]);
        }
        self.lowest_ms = self.lowest_ms.min(t_ms);
        self.highest_ms = self.highest_ms.max(t_ms);
        self.items.push(Item {
            t_ms,
            start_ms,
            value,
            ids_end: self.ids.len() as u32,
            payload_end: self.payload.len() as u32,
            label_bytes: series.bytes,
            parent: None,
            kind,
            metadata: series.metadata.map(|metadata| metadata.metric_type),
        });
    }

    /// The items with their ids and payload.
    fn items(&self) -> impl Iterator<Item = (&Item, &[u32], &[u8])> {
        let (mut id, mut byte) = (0, 0);
        self.items.iter().map(move |item| {
            let (ids_end, payload_end) = (item.ids_end as usize, item.payload_end as usize);
            let parts = (item, &self.ids[id..ids_end], &self.payload[byte..payload_end]);
            (id, byte) = (ids_end, payload_end);
            parts
        })
    }
}

/// For each symbol a number that holds for the current request only.
#[derive(Debug, Default)]
struct Table {
    request: u32,
    entries: Vec<(u32, u32)>,
}

impl Table {
    /// Starts a request; all numbers are unset.
    fn begin(&mut self, bound: u32) {
        self.request = self.request.wrapping_add(1);
        if self.request == 0 {
            self.entries.clear();
            self.request = 1;
        }
        if self.entries.len() < bound as usize {
            self.entries.resize(bound as usize, (0, 0));
        }
    }

    #[inline]
    fn get(&self, id: u32) -> Option<u32> {
        let (request, number) = self.entries[id as usize];
        (request == self.request).then_some(number)
    }

    #[inline]
    fn set(&mut self, id: u32, number: u32) {
        self.entries[id as usize] = (self.request, number);
    }
}

/// Makes requests of batches; keeps its tables between them.
pub struct Encoder {
    table: Table,
    v1: v1::Recent,
    raw: Vec<u8>,
    snappy: snap::raw::Encoder,
    last_bytes: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder.
    pub fn new() -> Self {
        Self {
            table: Table::default(),
            v1: v1::Recent::default(),
            raw: Vec::new(),
            snappy: snap::raw::Encoder::new(),
            last_bytes: 0,
        }
    }

    /// The body of a request with all samples of `batch`, compressed with Snappy's block format.
    pub fn encode(&mut self, batch: &Batch, symbols: &impl Symbols) -> Vec<u8> {
        self.table.begin(symbols.bound());
        let mut body = Vec::with_capacity(self.last_bytes + self.last_bytes / 8 + 64);
        match batch.message {
            MessageType::V1 => v1::compose(batch, symbols, &mut self.table, &mut self.v1, &mut body),
            MessageType::V2 => {
                self.raw.clear();
                v2::put_request(batch, symbols, &mut self.table, &mut self.raw);
                compress(&mut self.snappy, &self.raw, &mut body);
                self.raw.shrink_to(KEEP_RAW_BYTES);
            }
        }
        self.last_bytes = body.len();
        body
    }
}

/// Buffers grown beyond this by an unusual request are given back.
const KEEP_RAW_BYTES: usize = 1 << 20;

/// Replaces `out` with `raw`, compressed.
fn compress(snappy: &mut snap::raw::Encoder, raw: &[u8], out: &mut Vec<u8>) {
    out.resize(snap::raw::max_compress_len(raw.len()), 0);
    let written =
        snappy.compress(raw, out).expect("the buffer is as large as asked for, the input below 4 GiB");
    out.truncate(written);
}

/// The number of a type, the same in both versions.
fn type_number(metric_type: MetricType) -> u64 {
    match metric_type {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}
