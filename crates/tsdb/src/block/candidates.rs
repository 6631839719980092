//! Which of the series that satisfy the matchers have samples in range, and what they are recognised by.

use model::{QueryContext, TimeRange};

use super::reader::Block;
use super::tombstones::{Tombstones, covers};
use crate::error::TsdbError;
use crate::identity::{LabelHasher, SeriesHash, hash_labels};

/// Candidates that have samples in range.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) ids: Vec<u32>,
    /// One per series, or none at all.
    pub(super) hashes: Vec<SeriesHash>,
}

impl Found {
    /// Adds what was found among later candidates.
    pub(super) fn append(&mut self, mut later: Self) {
        if self.ids.is_empty() {
            *self = later;
        } else {
            self.ids.append(&mut later.ids);
            self.hashes.append(&mut later.hashes);
        }
    }
}

/// A look at candidates, each of which is read and verified once.
pub(super) struct Examination<'a> {
    block: &'a Block,
    tombstones: &'a Tombstones,
    range: TimeRange,
    hasher: Option<BlockHasher<'a>>,
}

impl<'a> Examination<'a> {
    pub(super) fn new(
        block: &'a Block,
        tombstones: &'a Tombstones,
        range: TimeRange,
        with_hashes: bool,
    ) -> Result<Self, TsdbError> {
        let hasher = with_hashes.then(|| BlockHasher::new(block)).transpose()?;
        Ok(Self { block, tombstones, range, hasher })
    }

    /// The candidates that have samples in range; the first `limit` of them.
    pub(super) fn of(
        mut self,
        candidates: &[u32],
        limit: usize,
        ctx: &QueryContext,
    ) -> Result<Found, TsdbError> {
        let mut found = Found::default();
        found.ids.reserve(candidates.len().min(limit));
        for &id in candidates {
            if found.ids.len() == limit {
                break;
            }
            if let Some(hash) = self.block.0.damage.skip(ctx, self.one(id), None)? {
                found.ids.push(id);
                found.hashes.extend(hash);
            }
        }
        Ok(found)
    }

    /// What series `id` is recognised by, if that is wanted; the outer `None` when it has no chunk that may
    /// hold samples in the range.
    fn one(&mut self, id: u32) -> Result<Option<Option<SeriesHash>>, TsdbError> {
        let index = self.block.index();
        let bad = |error| index.bad_series(id, error);
        let entry = index.series(id)?;
        let chunks = match &mut self.hasher {
            None => entry.chunks(),
            Some(hasher) => {
                hasher.symbols.clear();
                entry.labels(|name, value| hasher.symbols.push((name, value)))
            }
        };
        let deleted = self.tombstones.get(u64::from(id));
        for chunk in chunks.map_err(bad)? {
            let chunk = chunk.map_err(bad)?;
            let span = TimeRange::new(chunk.min_ms, chunk.max_ms);
            if span.start_ms > self.range.end_ms {
                break;
            }
            if span.overlaps(&self.range) && !covers(deleted, span) {
                return self.hasher.as_mut().map(|hasher| hasher.hash(id)).transpose().map(Some);
            }
        }
        Ok(None)
    }
}

/// Hashes the labels of series of one block.
struct BlockHasher<'a> {
    block: &'a Block,
    hasher: LabelHasher,
    /// Name and value of each label of the series at hand.
    symbols: Vec<(u32, u32)>,
    /// The names of a series that were found in order: most series have the same.
    ordered: Vec<u32>,
    /// The symbol of the empty string, if there is one.
    empty: Option<u32>,
}

impl<'a> BlockHasher<'a> {
    fn new(block: &'a Block) -> Result<Self, TsdbError> {
        let empty = block.index().find_symbol("")?;
        Ok(Self { block, hasher: LabelHasher::default(), symbols: Vec::new(), ordered: Vec::new(), empty })
    }

    /// The hash of series `id`, whose labels are in `symbols`.
    fn hash(&mut self, id: u32) -> Result<SeriesHash, TsdbError> {
        let index = self.block.index();
        if !self.is_in_order()? || self.symbols.iter().any(|&(_, value)| Some(value) == self.empty) {
            return Ok(hash_labels(self.block.labels(id)?.iter()));
        }
        self.hasher.begin();
        for &(name, value) in &self.symbols {
            self.hasher.add(name, || index.symbol(name))?;
            self.hasher.add(value, || index.symbol(value))?;
        }
        Ok(self.hasher.finish())
    }

    /// Whether names ascend, as they nearly always do.
    fn is_in_order(&mut self) -> Result<bool, TsdbError> {
        let names = self.symbols.iter().map(|&(name, _)| name);
        if names.clone().eq(self.ordered.iter().copied()) {
            return Ok(true);
        }
        let texts = names.clone().map(|name| self.block.index().symbol(name));
        let is_in_order = texts.collect::<Result<Vec<_>, _>>()?.is_sorted_by(|a, b| a < b);
        if is_in_order {
            self.ordered.clear();
            self.ordered.extend(names);
        }
        Ok(is_in_order)
    }
}
