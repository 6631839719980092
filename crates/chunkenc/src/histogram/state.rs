//! The running state of a histogram chunk: what writer and reader both know after each sample.

use model::is_stale_nan;

use super::cell::Cell;
use super::layout::{Layout, bucket_count};
use super::native::{Counts, NativeHistogram};
use crate::bits::{BitReader, BitWriter};
use crate::encoding::ChunkError;
use crate::window::XorFloat;

#[derive(Debug, Clone)]
pub struct State<H: NativeHistogram> {
    pub(crate) layout: Layout,
    pub(crate) t_ms: i64,
    delta_ms: i64,
    pub(crate) count: H::Cell,
    pub(crate) zero_count: H::Cell,
    sum: XorFloat,
    /// Positive buckets, then negative ones.
    buckets: Vec<H::Cell>,
    positive: usize,
}

impl<H: NativeHistogram> Default for State<H> {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            t_ms: i64::MIN,
            delta_ms: 0,
            count: H::Cell::default(),
            zero_count: H::Cell::default(),
            sum: XorFloat::default(),
            buckets: Vec::new(),
            positive: 0,
        }
    }
}

impl<H: NativeHistogram> State<H> {
    pub(crate) fn sum(&self) -> f64 {
        f64::from_bits(self.sum.bits)
    }

    pub(crate) fn is_stale(&self) -> bool {
        is_stale_nan(self.sum())
    }

    pub(crate) fn side(&self, negative: bool) -> (&[model::Span], &[H::Cell]) {
        let (positive_cells, negative_cells) = self.buckets.split_at(self.positive);
        match negative {
            false => (&self.layout.positive_spans, positive_cells),
            true => (&self.layout.negative_spans, negative_cells),
        }
    }

    pub(crate) fn counts(&self) -> Counts<'_, H::Cell> {
        let (positive, negative) = self.buckets.split_at(self.positive);
        Counts { count: self.count, zero_count: self.zero_count, sum: self.sum(), positive, negative }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let spans = self.layout.positive_spans.capacity() + self.layout.negative_spans.capacity();
        self.buckets.capacity() * size_of::<H::Cell>() + spans * size_of::<model::Span>()
    }

    /// Writes the layout and the first sample.
    pub(crate) fn write_first(&mut self, writer: &mut BitWriter, t_ms: i64, h: &H) {
        self.layout = h.layout();
        self.layout.write(writer);
        writer.put_varbit_int(t_ms);
        let (count, zero_count) = h.totals();
        self.count = H::Cell::start_total(writer, count);
        self.zero_count = H::Cell::start_total(writer, zero_count);
        writer.put(h.sum().to_bits(), 64);
        self.sum = XorFloat::new(h.sum().to_bits());
        let (positive, negative) = (h.side(false).1, h.side(true).1);
        let cells = positive.iter().chain(negative).map(|&raw| H::Cell::start_bucket(writer, raw));
        self.buckets = cells.collect();
        self.positive = positive.len();
        (self.t_ms, self.delta_ms) = (t_ms, 0);
    }

    /// Writes a further sample, which has the chunk's layout or is stale.
    pub(crate) fn write_next(&mut self, writer: &mut BitWriter, t_ms: i64, h: &H) {
        let delta_ms = t_ms.wrapping_sub(self.t_ms);
        writer.put_varbit_int(delta_ms.wrapping_sub(self.delta_ms));
        (self.t_ms, self.delta_ms) = (t_ms, delta_ms);
        let sum = h.sum();
        if is_stale_nan(sum) {
            self.count.write_stale(writer);
            self.zero_count.write_stale(writer);
            return self.sum.write(writer, sum.to_bits());
        }
        let (count, zero_count) = h.totals();
        self.count.write(writer, count);
        self.zero_count.write(writer, zero_count);
        self.sum.write(writer, sum.to_bits());
        let counts = h.side(false).1.iter().chain(h.side(true).1);
        for (cell, &raw) in self.buckets.iter_mut().zip(counts) {
            cell.write(writer, raw);
        }
    }

    /// Reads the layout and the first sample.
    pub(crate) fn read_first(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.layout = Layout::read(reader, H::Cell::MIN_FIRST_BITS)?;
        let positive = bucket_count(&self.layout.positive_spans) as usize;
        let total = positive + bucket_count(&self.layout.negative_spans) as usize;
        self.t_ms = reader.read_varbit_int();
        self.count = H::Cell::read_total(reader);
        self.zero_count = H::Cell::read_total(reader);
        self.sum = XorFloat::new(reader.read(64));
        self.buckets = (0..total).map(|_| H::Cell::read_bucket(reader)).collect();
        self.positive = positive;
        Ok(())
    }

    /// Reads a further sample.
    pub(crate) fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta_ms = self.delta_ms.wrapping_add(reader.read_varbit_int());
        self.t_ms = self.t_ms.wrapping_add(self.delta_ms);
        self.count.read(reader)?;
        self.zero_count.read(reader)?;
        self.sum.read(reader)?;
        if !self.is_stale() {
            for cell in &mut self.buckets {
                cell.read(reader)?;
            }
        }
        Ok(())
    }
}
