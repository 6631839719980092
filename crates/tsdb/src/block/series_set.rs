//! Blocks as a [`SeriesSource`].

use std::sync::Arc;

use base::Reservation;
use model::{
    Exemplar, LabelRequest, Labels, Matcher, Projection, QueryContext, RawChunk, SampleColumns,
    SelectRequest, SeriesSet, SeriesSource, SourceError, TimeRange,
};
use rayon::prelude::*;

use super::candidates::{Examination, Found};
use super::index_reader::ChunkMeta;
use super::reader::{Block, Inner};
use super::select::{label_names, label_values, select_series};
use super::tombstones::Tombstones;
use crate::error::TsdbError;
use crate::identity::SeriesHash;
use crate::merge::Part;
use crate::rechunk::{join, push_kept};

/// Every how many series a select looks whether it may go on; also the series of one parallel task.
const CHECK_STEP: usize = 1024;
const STAGE: &str = "querying storage";

impl SeriesSource for Block {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        Ok(Box::new(BlockSeriesSet::select(self, request, false, ctx)?.0))
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        ctx.check(STAGE)?;
        let names = label_names(&self.0.index, &request.matchers);
        let mut names = self.0.damage.skip(ctx, names, Vec::new())?;
        if request.limit > 0 {
            names.truncate(request.limit);
        }
        Ok(names)
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        ctx.check(STAGE)?;
        let values = label_values(&self.0.index, name, &request.matchers, request.limit);
        Ok(self.0.damage.skip(ctx, values, Vec::new())?)
    }

    /// Blocks hold no exemplars.
    fn exemplars(
        &self,
        _range: TimeRange,
        _matcher_sets: &[Vec<Matcher>],
        _ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        Ok(Vec::new())
    }
}

impl Block {
    /// As [`SeriesSource::select`], for a set that is joined with others.
    pub(crate) fn select_part(
        &self,
        request: &SelectRequest,
        ctx: &QueryContext,
    ) -> Result<Part, SourceError> {
        let (set, hashes) = BlockSeriesSet::select(self, request, true, ctx)?;
        Ok(Part { set: Box::new(set), hashes, end_ms: self.range().end_ms })
    }
}

/// Series of one block. Only references are kept; labels and chunks are read from the mapped files.
#[derive(Debug)]
pub struct BlockSeriesSet {
    block: Arc<Inner>,
    tombstones: Arc<Tombstones>,
    ids: Vec<u32>,
    projection: Names,
    _memory: Reservation,
}

/// A [`Projection`] on the symbols of one block.
#[derive(Debug)]
enum Names {
    All,
    Only(Vec<u32>),
    Without(Vec<u32>),
}

impl Names {
    fn keeps(&self, name: u32) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&name),
            Self::Without(names) => !names.contains(&name),
        }
    }
}

impl BlockSeriesSet {
    /// The series and, where wanted, what they are recognised by.
    fn select(
        block: &Block,
        request: &SelectRequest,
        with_hashes: bool,
        ctx: &QueryContext,
    ) -> Result<(Self, Vec<SeriesHash>), TsdbError> {
        ctx.check(STAGE)?;
        let index = &block.0.index;
        let symbols = |names: &[String]| {
            let found = names.iter().map(|name| index.find_symbol(name));
            found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
        };
        let projection = match &request.projection {
            Projection::All => Names::All,
            Projection::Only(names) => Names::Only(symbols(names)?),
            Projection::Without(names) => Names::Without(symbols(names)?),
        };
        let tombstones = block.tombstones();
        let candidates = block.0.damage.skip(ctx, select_series(index, &request.matchers), Vec::new())?;
        // The candidates; what was found of each task, and all of it in one list.
        let hash_bytes = if with_hashes { size_of::<SeriesHash>() } else { 0 };
        let found_bytes = 2 * (size_of::<u32>() + hash_bytes);
        let mut memory = ctx.reserve(candidates.len() * (size_of::<u32>() + found_bytes))?;
        let examine = |candidates: &[u32], limit: usize| {
            ctx.check(STAGE)?;
            Examination::new(block, &tombstones, request.range, with_hashes)?.of(candidates, limit, ctx)
        };
        let mut found = Found::default();
        if request.limit > 0 {
            for candidates in candidates.chunks(CHECK_STEP) {
                found.append(examine(candidates, request.limit - found.ids.len())?);
                if found.ids.len() == request.limit {
                    break;
                }
            }
        } else {
            let tasks = candidates.par_chunks(CHECK_STEP).map(|candidates| examine(candidates, usize::MAX));
            for part in tasks.collect::<Result<Vec<_>, TsdbError>>()? {
                found.append(part);
            }
        }
        memory.shrink_to(found.ids.capacity() * size_of::<u32>() + found.hashes.capacity() * hash_bytes);
        let (block, ids) = (block.0.clone(), found.ids);
        Ok((Self { block, tombstones, ids, projection, _memory: memory }, found.hashes))
    }

    fn chunk_metas(
        &self,
        id: u32,
        mut visit: impl FnMut(ChunkMeta) -> Result<bool, TsdbError>,
    ) -> Result<(), TsdbError> {
        let bad = |error| self.block.index.bad_series(id, error);
        for chunk in self.block.index.series(id)?.chunks().map_err(bad)? {
            if !visit(chunk.map_err(bad)?)? {
                break;
            }
        }
        Ok(())
    }

    /// A chunk, unless it is damaged.
    fn chunk(
        &self,
        reference: u64,
        ctx: &QueryContext,
    ) -> Result<Option<(chunkenc::Encoding, &[u8])>, TsdbError> {
        self.block.damage.skip(ctx, self.block.chunks.chunk(reference).map(Some), None)
    }

    fn decode_error(&self, id: u32, error: chunkenc::ChunkError) -> TsdbError {
        TsdbError::corrupt(&self.block.dir, format!("chunk of series {id}: {error}"))
    }
}

impl SeriesSet for BlockSeriesSet {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let labels = self.block.labels_where(self.ids[i], |name| self.projection.keeps(name));
        // The series and the symbol table were verified when the set was made, so this cannot fail
        // unless the file changed under us; reading the samples then fails, and says so.
        labels.unwrap_or_default()
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        // As above.
        let _ = self.block.visit_labels_where(self.ids[i], |name| self.projection.keeps(name), visit);
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        ctx.check(STAGE)?;
        let id = self.ids[i];
        self.chunk_metas(id, |chunk| {
            let span = TimeRange::new(chunk.min_ms, chunk.max_ms);
            if span.start_ms > range.end_ms {
                return Ok(false);
            }
            if span.overlaps(&range) {
                let Some((encoding, bytes)) = self.chunk(chunk.reference, ctx)? else { return Ok(true) };
                for kept in
                    Inner::kept_ranges(&self.tombstones, id, range).filter(|kept| kept.overlaps(&span))
                {
                    let decoded = chunkenc::decode_into(bytes, encoding, kept, usize::MAX, out);
                    decoded.map_err(|error| self.decode_error(id, error))?;
                }
            }
            Ok(true)
        })?;
        Ok(())
    }

    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        ctx.check(STAGE)?;
        let id = self.ids[i];
        let mut candidates = Vec::new();
        self.chunk_metas(id, |chunk| {
            let span = TimeRange::new(chunk.min_ms, chunk.max_ms);
            if span.overlaps(&range) {
                candidates.push(chunk);
            }
            Ok(span.start_ms <= range.end_ms)
        })?;
        let kept: Vec<TimeRange> = Inner::kept_ranges(&self.tombstones, id, range).collect();
        for chunk in candidates.into_iter().rev() {
            let span = TimeRange::new(chunk.min_ms, chunk.max_ms);
            let Some((encoding, bytes)) = self.chunk(chunk.reference, ctx)? else { continue };
            for &kept in kept.iter().rev().filter(|kept| kept.overlaps(&span)) {
                let found = chunkenc::decode_last(bytes, encoding, kept, usize::MAX, out);
                if found.map_err(|error| self.decode_error(id, error))? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn chunks(
        &self,
        i: usize,
        range: TimeRange,
        ctx: &QueryContext,
    ) -> Result<Option<Vec<RawChunk>>, SourceError> {
        ctx.check(STAGE)?;
        let id = self.ids[i];
        let mut out = Vec::new();
        self.chunk_metas(id, |chunk| {
            let span = TimeRange::new(chunk.min_ms, chunk.max_ms);
            if span.start_ms > range.end_ms {
                return Ok(false);
            }
            if span.overlaps(&range)
                && let Some(encoded) = self.chunk(chunk.reference, ctx)?
            {
                let kept = Inner::kept_ranges(&self.tombstones, id, range);
                push_kept(encoded, span, kept, &mut out).map_err(|error| self.decode_error(id, error))?;
            }
            Ok(true)
        })?;
        // Blocks of overlapping origin may have overlapping chunks.
        Ok(Some(join(out).map_err(|error| self.decode_error(id, error))?))
    }
}
