//! From selected series to answers.

use chunkenc::{Encoding, RawValue, SeriesEncoder};
use model::{
    Labels, Projection, QueryContext, RawChunk, SampleColumns, SampleValue, SelectRequest, SeriesSet,
    SourceError, TimeRange,
};
use wire::remote_read::chunks::{Chunk, chunk_bytes, put_message_of_series};
use wire::remote_read::put_frame;
use wire::remote_read::samples::{Writer, put_float, put_float_histogram, put_histogram};

use super::{Asked, Failure};
use crate::handlers::Shared;

/// Answers queries with what the storage has.
pub(super) struct Selected<'a> {
    pub state: &'a Shared,
    /// Labels every series gets unless it has them.
    pub external: &'a [(String, String)],
    pub ctx: &'a QueryContext,
}

impl Selected<'_> {
    fn select(&self, asked: &Asked, sorted: bool) -> Result<Box<dyn SeriesSet>, Failure> {
        let request = SelectRequest {
            range: asked.range,
            matchers: asked.matchers.clone(),
            projection: Projection::All,
            sorted,
            limit: 0,
        };
        let set = self.state.source.select(&request, self.ctx)?;
        for warning in set.warnings() {
            tracing::warn!(warning, "warning of a remote read query");
        }
        Ok(set)
    }

    /// The labels of a series and the external ones.
    fn labels(&self, set: &dyn SeriesSet, i: usize) -> Labels {
        let own = set.labels(i);
        if self.external.is_empty() {
            return own;
        }
        let external = self.external.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Labels::from_pairs(external.chain(own.iter()))
    }

    /// The answer with samples, compressed.
    pub fn samples(&self, asked: &[Asked]) -> Result<Vec<u8>, Failure> {
        let mut writer = Writer::default();
        let mut memory = self.ctx.budget.reserve(0)?;
        let mut series = SeriesSamples::default();
        for asked in asked {
            let set = self.select(asked, false)?;
            let mut left = match self.state.read.options.read_sample_limit {
                0 => usize::MAX,
                limit => limit,
            };
            for i in 0..set.len() {
                self.ctx.check("remote read").map_err(SourceError::from)?;
                series.clear();
                if !asked.only_labels {
                    series.read(&*set, i, asked.range, self.ctx)?;
                    if series.is_empty() {
                        continue;
                    }
                }
                left = left.checked_sub(series.len()).ok_or_else(|| self.too_many_samples())?;
                let _series = self.ctx.budget.reserve(series.memory_bytes())?;
                let before = writer.len();
                writer.series(self.labels(&*set, i).iter(), |out| series.put(out));
                // The buffer doubles as it grows.
                memory.grow(2 * (writer.len() - before))?;
            }
            writer.end_result();
        }
        let message = writer.finish();
        let _compressed = self.ctx.budget.reserve(message.len() + message.len() / 6)?;
        wire::decompress::compress_snappy(&message).map_err(Failure::internal)
    }

    fn too_many_samples(&self) -> Failure {
        let limit = self.state.read.options.read_sample_limit;
        Failure::bad_request(format!("exceeded sample limit ({limit})"))
    }

    /// Sends the chunks of a query in frames; false when nobody reads them any more.
    pub fn stream(
        &self,
        query: usize,
        asked: &Asked,
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> Result<bool, Failure> {
        let set = self.select(asked, true)?;
        for i in 0..set.len() {
            self.ctx.check("remote read").map_err(SourceError::from)?;
            let chunks = chunks_of(&*set, i, asked.range, self.ctx)?;
            let held = chunks.iter().map(|chunk| chunk.data.len() + size_of::<RawChunk>()).sum::<usize>();
            // The chunks, a frame of them, and the frames that wait.
            let frame = self.state.read.options.read_max_bytes_in_frame.min(held);
            let _memory = self.ctx.budget.reserve(held + frame * (2 + super::FRAMES_WAITING))?;
            if !self.send_series(query, &self.labels(&*set, i), &chunks, send) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn send_series(
        &self,
        query: usize,
        labels: &Labels,
        chunks: &[RawChunk],
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> bool {
        let room = self.state.read.options.read_max_bytes_in_frame.saturating_sub(labels.as_bytes().len());
        let all: Vec<Chunk<'_>> = chunks.iter().map(as_sent).collect();
        let mut rest = all.as_slice();
        let mut message = Vec::new();
        while !rest.is_empty() {
            let mut bytes = 0;
            // The chunk that fills the frame still goes into it, so that a frame is never empty.
            let fits = rest.iter().take_while(|chunk| {
                let fits = bytes < room || bytes == 0;
                bytes += chunk_bytes(chunk);
                fits
            });
            let (now, after) = rest.split_at(fits.count());
            rest = after;
            message.clear();
            put_message_of_series(&mut message, query, labels.iter(), now);
            let mut frame = Vec::with_capacity(message.len() + 14);
            put_frame(&mut frame, &message);
            if !send(frame) {
                return false;
            }
        }
        true
    }
}

fn as_sent(chunk: &RawChunk) -> Chunk<'_> {
    let RawChunk { encoding, min_ms, max_ms, data } = chunk;
    Chunk { min_ms: *min_ms, max_ms: *max_ms, encoding: u64::from(*encoding), data }
}

/// The chunks of a series: as stored, or made of its samples.
fn chunks_of(
    set: &dyn SeriesSet,
    i: usize,
    range: TimeRange,
    ctx: &QueryContext,
) -> Result<Vec<RawChunk>, SourceError> {
    if let Some(chunks) = set.chunks(i, range, ctx)? {
        return Ok(chunks);
    }
    let mut columns = SampleColumns::default();
    set.read(i, range, &mut columns, ctx)?;
    let mut encoder = SeriesEncoder::new();
    for at in 0..columns.len() {
        let value = match columns.histogram(at) {
            Some(histogram) => SampleValue::FloatHistogram(histogram),
            None => SampleValue::Float(columns.values[at]),
        };
        let appended = encoder.append(columns.start_timestamp_ms(at), columns.timestamps_ms[at], value);
        appended.map_err(damaged)?;
    }
    let chunk = |chunk: chunkenc::EncodedChunk| RawChunk {
        encoding: chunk.encoding.as_byte(),
        min_ms: chunk.min_ms,
        max_ms: chunk.max_ms,
        data: chunk.bytes,
    };
    Ok(encoder.finish().into_iter().map(chunk).collect())
}

fn damaged(error: chunkenc::ChunkError) -> SourceError {
    SourceError::Corruption(error.to_string())
}

/// The samples of one series: histograms keep the counts they are stored with.
#[derive(Default)]
struct SeriesSamples {
    columns: SampleColumns,
    /// Histograms of integer counts by their place in the columns.
    integers: Vec<(usize, model::Histogram)>,
}

impl SeriesSamples {
    fn len(&self) -> usize {
        self.columns.len()
    }

    fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    fn clear(&mut self) {
        self.columns.clear();
        self.integers.clear();
    }

    fn memory_bytes(&self) -> usize {
        let integers = self.integers.iter().map(|(_, h)| h.memory_bytes()).sum::<usize>();
        self.columns.memory_bytes() + integers
    }

    fn read(
        &mut self,
        set: &dyn SeriesSet,
        i: usize,
        range: TimeRange,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        set.read(i, range, &mut self.columns, ctx)?;
        if self.columns.histograms.is_empty() {
            return Ok(());
        }
        // Columns are for computing and have float counts only; what is stored may be integers.
        let Some(chunks) = set.chunks(i, range, ctx)? else { return Ok(()) };
        let mut at = 0;
        for chunk in &chunks {
            let encoding = Encoding::from_byte(chunk.encoding).map_err(damaged)?;
            let visited = chunkenc::for_each(&chunk.data, encoding, |sample| {
                while self.columns.timestamps_ms.get(at).is_some_and(|&t_ms| t_ms < sample.t_ms) {
                    at += 1;
                }
                if let RawValue::Histogram(h) = sample.value
                    && self.columns.timestamps_ms.get(at) == Some(&sample.t_ms)
                {
                    self.integers.push((at, h.0));
                }
                Ok::<_, chunkenc::ChunkError>(())
            });
            visited.map_err(damaged)?;
        }
        Ok(())
    }

    /// Appends floats, then histograms, as the message has them.
    fn put(&self, out: &mut Vec<u8>) {
        let columns = &self.columns;
        for at in (0..columns.len()).filter(|&at| columns.histogram(at).is_none()) {
            put_float(out, columns.timestamps_ms[at], columns.values[at]);
        }
        let mut integers = self.integers.iter().peekable();
        for at in 0..columns.histograms.len() {
            let Some(float) = columns.histogram(at) else { continue };
            let t_ms = columns.timestamps_ms[at];
            match integers.next_if(|(place, _)| *place == at) {
                Some((_, integer)) => put_histogram(out, t_ms, integer),
                None => put_float_histogram(out, t_ms, float),
            }
        }
    }
}
