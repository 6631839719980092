//! `prometheus.WriteRequest`.

use model::MetricType;

use super::composer::Composer;
use super::{Batch, Item, Kind, Symbols, Table, put_label};
use crate::protobuf::{put_bytes, put_double, put_message, put_uint, varint_len};

/// Where in the current request values stand that are likely to come again.
#[derive(Debug)]
pub struct Recent {
    request: u32,
    values: Box<[RecentValue; VALUES]>,
    /// The last sample and its timestamp.
    last: Option<(RecentValue, i64)>,
    /// Where the head of a series was written last, and which.
    head: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct RecentValue {
    request: u32,
    at: u32,
    bits: u64,
    /// Bytes of the sample message, which its length says before the value.
    message_bytes: u8,
}

/// Values remembered; a power of two.
const VALUES: usize = 256;

impl Default for Recent {
    fn default() -> Self {
        let values = Box::new([RecentValue::default(); VALUES]);
        Self { request: 0, values, last: None, head: None }
    }
}

/// Appends the compressed request.
pub fn compose(
    batch: &Batch,
    symbols: &impl Symbols,
    table: &mut Table,
    recent: &mut Recent,
    out: &mut Vec<u8>,
) {
    let total = batch.items().map(|(item, _, payload)| {
        let len = content_bytes(item, payload);
        1 + varint_len(len as u64) + len
    });
    let total = total.sum();
    recent.begin();
    let mut composer = Composer::begin(out, total);
    for (item, ids, payload) in batch.items() {
        recent.put_head(&mut composer, content_bytes(item, payload) as u32);
        for &id in ids {
            let bytes = symbols.bytes(id);
            let at = composer.pos();
            match table.get(id) {
                Some(earlier) => composer.copy(earlier, bytes.len() as u32),
                None => composer.literal(bytes),
            }
            // The latest place has the neighbours of the series before this one, which are likely to be this one's.
            table.set(id, at);
        }
        match item.kind {
            Kind::Float => recent.put_sample(&mut composer, item.value, item.t_ms),
            Kind::Histogram | Kind::Exemplar => composer.literal(payload),
        }
    }
    let written = composer.finish();
    debug_assert_eq!(written, total, "the length at the head of a body is what is in it");
}

/// Bytes of a sample message: key and value, key and timestamp.
fn sample_bytes(t_ms: i64) -> usize {
    9 + 1 + varint_len(t_ms as u64)
}

/// Bytes of the series message of an item.
#[inline]
fn content_bytes(item: &Item, payload: &[u8]) -> usize {
    let sample = match item.kind {
        Kind::Float => 2 + sample_bytes(item.t_ms),
        Kind::Histogram | Kind::Exemplar => payload.len(),
    };
    item.label_bytes as usize + sample
}

impl Recent {
    fn begin(&mut self) {
        (self.last, self.head) = (None, None);
        self.request = self.request.wrapping_add(1);
        if self.request == 0 {
            self.values.fill(RecentValue::default());
            self.request = 1;
        }
    }

    /// Key and length of a series message. It is copied only where that makes a copy longer: it is too short for one
    /// of its own.
    #[inline]
    fn put_head(&mut self, composer: &mut Composer<'_>, len: u32) {
        let at = composer.pos();
        let width = 1 + varint_len(u64::from(len));
        match self.head {
            Some((earlier, same)) if same == len && composer.extends(earlier) => {
                composer.copy(earlier, width as u32);
            }
            _ => {
                let mut head = [0x0a_u8, 0, 0, 0, 0, 0];
                let mut rest = len;
                for byte in &mut head[1..width] {
                    *byte = rest as u8 | 0x80;
                    rest >>= 7;
                }
                head[width - 1] &= 0x7f;
                composer.literal(&head[..width]);
            }
        }
        self.head = Some((at, len));
    }

    #[inline]
    fn put_sample(&mut self, composer: &mut Composer<'_>, value: f64, t_ms: i64) {
        let bits = value.to_bits();
        let message_bytes = sample_bytes(t_ms);
        let sample = sample_field(bits, t_ms, message_bytes);
        let end = 2 + message_bytes;
        let now = RecentValue {
            request: self.request,
            at: composer.pos(),
            bits,
            message_bytes: message_bytes as u8,
        };
        let hash = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
        let known = std::mem::replace(&mut self.values[hash % VALUES], now);
        let last =
            self.last.replace((now, t_ms)).filter(|&(_, last_ms)| last_ms == t_ms).map(|(last, _)| last);
        if known == (RecentValue { at: known.at, ..now }) {
            composer.copy(known.at, VALUE_END as u32);
            match last {
                Some(last) => composer.copy(last.at + VALUE_END as u32, (end - VALUE_END) as u32),
                None => composer.literal(&sample[VALUE_END..end]),
            }
            return;
        }
        let Some(last) = last else { return composer.literal(&sample[..end]) };
        if composer.extends(last.at) {
            composer.copy(last.at, VALUE_AT as u32);
        } else {
            composer.literal(&sample[..VALUE_AT]);
        }
        // The most significant bytes stand last, beside the timestamp, and are often those of the value before.
        let same = VALUE_END - ((bits ^ last.bits).leading_zeros() / 8) as usize;
        composer.literal(&sample[VALUE_AT..same]);
        composer.copy(last.at + same as u32, (end - same) as u32);
    }
}

/// Where in a sample field the value stands.
const VALUE_AT: usize = 3;
/// Where it ends.
const VALUE_END: usize = VALUE_AT + 8;

/// A sample as a field of a series, in the first bytes of the array.
#[inline]
fn sample_field(bits: u64, t_ms: i64, message_bytes: usize) -> [u8; 32] {
    let mut sample = [0_u8; 32];
    sample[0] = 0x12;
    // At most 20: a timestamp has no more than ten bytes.
    sample[1] = message_bytes as u8;
    sample[2] = 0x09;
    sample[VALUE_AT..VALUE_END].copy_from_slice(&bits.to_le_bytes());
    sample[VALUE_END] = 0x10;
    let end = 2 + message_bytes;
    let mut rest = t_ms as u64;
    for byte in &mut sample[VALUE_END + 1..end] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    sample[end - 1] &= 0x7f;
    sample
}

/// Appends an exemplar as a field of a series.
pub fn put_exemplar<'l>(
    out: &mut Vec<u8>,
    t_ms: i64,
    value: f64,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
) {
    put_message(out, 3, |out| {
        labels.for_each(|(name, value)| put_label(out, name, value));
        put_double(out, 2, value);
        put_uint(out, 3, t_ms as u64);
    });
}

/// Metadata of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FamilyMetadata {
    /// The name of the family.
    pub family: String,
    /// Its type.
    pub metric_type: MetricType,
    /// Its help text.
    pub help: String,
    /// Its unit.
    pub unit: String,
}

/// The compressed body of a request with metadata alone.
pub fn encode_metadata(families: &[FamilyMetadata]) -> Vec<u8> {
    let mut raw = Vec::new();
    for family in families {
        put_message(&mut raw, 3, |out| {
            put_uint(out, 1, super::type_number(family.metric_type));
            put_bytes(out, 2, family.family.as_bytes());
            put_bytes(out, 4, family.help.as_bytes());
            put_bytes(out, 5, family.unit.as_bytes());
        });
    }
    let mut body = Vec::new();
    super::compress(&mut snap::raw::Encoder::new(), &raw, &mut body);
    body
}
