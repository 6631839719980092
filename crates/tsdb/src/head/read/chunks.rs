//! Series of the head as encoded chunks.

use chunkenc::{RawSample, SeriesEncoder};
use model::{RawChunk, SourceError, TimeRange};

use super::super::chunk_store::ChunkRef;
use super::super::ooo::{OutOfOrderSample, Value};
use super::{HeadSeriesSet, Late, Scratch, corrupt, with_scratch};
use crate::block::tombstones::subtract;
use crate::rechunk::{join, push_encoded, push_kept};
use crate::wal::histogram::AnyHistogram;

impl HeadSeriesSet {
    /// The samples of series `i` within `range` as chunks.
    pub(super) fn encoded(&self, i: usize, range: TimeRange) -> Result<Vec<RawChunk>, SourceError> {
        let mut chunks = Vec::new();
        let in_order = self.in_order_range(i, range);
        if !in_order.is_empty() {
            with_scratch(|scratch| self.encode_in_order(i, in_order, scratch, &mut chunks))?;
        }
        match self.late.get(&i) {
            None => Ok(chunks),
            Some(late) => {
                self.encode_late(i, late, range, &mut chunks)?;
                join(chunks).map_err(corrupt)
            }
        }
    }

    fn deleted(&self, i: usize) -> &[TimeRange] {
        self.tombstones.get(u64::from(self.slots[i]))
    }

    fn encode_in_order(
        &self,
        i: usize,
        range: TimeRange,
        scratch: &mut Scratch,
        out: &mut Vec<RawChunk>,
    ) -> Result<(), SourceError> {
        if !scratch.take(&self.inner, self.slots[i], range) {
            return Ok(());
        }
        for &chunk in &scratch.stored {
            self.encode_stored(i, chunk, range, out)?;
        }
        let Some(encoding) = scratch.open_encoding else { return Ok(()) };
        // The copy may hold samples of later commits, which `range` ends before.
        let Some(span) = chunkenc::time_range(&scratch.open, encoding).map_err(corrupt)? else {
            return Ok(());
        };
        push_kept((encoding, &scratch.open), span, subtract(range, self.deleted(i)), out).map_err(corrupt)
    }

    fn encode_stored(
        &self,
        i: usize,
        chunk: ChunkRef,
        range: TimeRange,
        out: &mut Vec<RawChunk>,
    ) -> Result<(), SourceError> {
        let pushed = self.inner.store.with_chunk(chunk, |c| {
            let span = TimeRange::new(c.min_ms, c.max_ms);
            push_kept((c.encoding, c.data), span, subtract(range, self.deleted(i)), out)
        });
        pushed.map_err(|damage| SourceError::Corruption(damage.to_string()))?.map_err(corrupt)
    }

    fn encode_late(
        &self,
        i: usize,
        late: &Late,
        range: TimeRange,
        out: &mut Vec<RawChunk>,
    ) -> Result<(), SourceError> {
        for chunk in &late.chunks {
            self.encode_stored(i, chunk.chunk, range, out)?;
        }
        let deleted = self.deleted(i);
        let is_kept = |t_ms| range.contains(t_ms) && !deleted.iter().any(|interval| interval.contains(t_ms));
        let mut encoder = SeriesEncoder::new();
        for sample in late.samples.iter().filter(|sample| is_kept(sample.t_ms)) {
            encoder.append_raw(&raw(sample)).map_err(corrupt)?;
        }
        push_encoded(&mut encoder, out);
        Ok(())
    }
}

fn raw(sample: &OutOfOrderSample) -> RawSample {
    let value = match &sample.value {
        Value::Float(value) => (*value).into(),
        Value::Histogram(AnyHistogram::Integer(h)) => model::Histogram::clone(h).into(),
        Value::Histogram(AnyHistogram::Float(h)) => model::FloatHistogram::clone(h).into(),
    };
    RawSample { start_ms: sample.start_ms, t_ms: sample.t_ms, value }
}
