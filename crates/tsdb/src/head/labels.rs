//! The head as a source of series: label queries, and the order of labels.

use hashbrown::{HashMap, HashSet};
use model::{
    Exemplar, LabelRequest, Labels, Matcher, QueryContext, SelectRequest, SeriesSet, SeriesSource,
    SourceError, TimeRange,
};

use super::index::Index;
use super::matching::matching_series;
use super::read::STAGE;
use super::symbols::Symbol;
use super::table::Slot;
use super::{Head, Inner};

/// The places of `slots` in the order of their labels.
pub(super) fn label_order(inner: &Inner, slots: &[Slot]) -> Vec<usize> {
    let state = inner.index.read();
    let index = &state.index;
    let mut encoded: Vec<Box<[u32]>> = vec![Box::default(); slots.len()];
    let mut by_slot: Vec<_> = slots.iter().copied().enumerate().collect();
    by_slot.sort_unstable_by_key(|&(_, slot)| slot);
    let ascending: Vec<_> = by_slot.iter().map(|&(_, slot)| slot).collect();
    inner.table.for_each(&ascending, |i, _, series, _| {
        if let Some(cold) = &series.cold {
            encoded[by_slot[i].0] = cold.labels.clone();
        }
    });
    let ranks = ranks_of(index, &encoded);
    let key = |labels: &[u32]| -> Vec<(u32, u32)> {
        let Some((&shape, values)) = labels.split_first() else { return Vec::new() };
        index
            .shapes
            .names(shape)
            .iter()
            .zip(values)
            .map(|(name, value)| (ranks[name], ranks[value]))
            .collect()
    };
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_cached_key(|&i| key(&encoded[i]));
    order
}

/// What [`label_order`] takes for `slots`, which ascend, at most: label sets and their keys, and the places of symbols.
pub(super) fn label_order_bytes(inner: &Inner, slots: &[Slot]) -> usize {
    const SERIES_BYTES: usize = 96;
    const SYMBOL_BYTES: usize = size_of::<Symbol>() + size_of::<(u32, u32)>() + 16;
    let mut bytes = slots.len() * SERIES_BYTES;
    inner.table.for_each(slots, |_, _, series, _| {
        bytes += series.cold.as_ref().map_or(0, |cold| cold.labels.len() * SYMBOL_BYTES);
    });
    bytes
}

/// The places of all symbols the label sets use in the order of their texts.
fn ranks_of(index: &Index, encoded: &[Box<[u32]>]) -> HashMap<Symbol, u32> {
    let mut used: HashSet<Symbol> = HashSet::new();
    for labels in encoded {
        if let Some((&shape, values)) = labels.split_first() {
            used.extend(values);
            used.extend(index.shapes.names(shape));
        }
    }
    let mut sorted: Vec<_> = used.into_iter().collect();
    sorted.sort_unstable_by(|&a, &b| index.symbols.text(a).cmp(index.symbols.text(b)));
    sorted.into_iter().zip(0..).collect()
}

impl SeriesSource for Head {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        Ok(Box::new(self.select_head(request, ctx)?))
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        ctx.check(STAGE)?;
        let state = self.inner.index.read();
        let index = &state.index;
        let mut names: Vec<String> = Vec::new();
        if !self.overlaps(request.range) {
            return Ok(names);
        }
        if request.matchers.is_empty() {
            names.extend(index.names().map(|(name, _)| name.to_owned()));
        } else {
            let slots = matching_series(index, &self.inner.table, &request.matchers);
            let mut shapes = HashSet::new();
            self.inner.table.for_each(&slots, |_, _, series, _| {
                shapes.extend(series.cold.as_ref().and_then(|cold| cold.labels.first().copied()));
            });
            let symbols: HashSet<_> = shapes.iter().flat_map(|&shape| index.shapes.names(shape)).collect();
            names.extend(symbols.into_iter().map(|&symbol| index.symbols.text(symbol).to_owned()));
        }
        Ok(sorted_and_limited(names, request.limit))
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        ctx.check(STAGE)?;
        let state = self.inner.index.read();
        let index = &state.index;
        let Some((symbol, values)) = index.name(name).filter(|_| self.overlaps(request.range)) else {
            return Ok(Vec::new());
        };
        let mut found: Vec<String> = Vec::new();
        if request.matchers.is_empty() {
            found.extend(values.values.keys().map(|&value| index.symbols.text(value).to_owned()));
        } else {
            let slots = matching_series(index, &self.inner.table, &request.matchers);
            let mut symbols = HashSet::new();
            self.inner.table.for_each(&slots, |_, _, series, _| {
                symbols.extend(series.cold.as_ref().and_then(|cold| index.value_of(&cold.labels, symbol)));
            });
            found.extend(symbols.into_iter().map(|value| index.symbols.text(value).to_owned()));
        }
        Ok(sorted_and_limited(found, request.limit))
    }

    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        ctx.check(STAGE)?;
        Ok(self.inner.exemplars.read().select(range, matcher_sets))
    }
}

impl Head {
    /// Whether the head may have samples in `range`.
    pub fn overlaps(&self, range: Option<TimeRange>) -> bool {
        let Some(range) = range else { return true };
        let in_order = TimeRange::new(self.min_ms(), self.max_ms());
        let late = self.out_of_order_bounds().map(|(min_ms, max_ms)| TimeRange::new(min_ms, max_ms));
        !in_order.is_empty() && in_order.overlaps(&range) || late.is_some_and(|late| late.overlaps(&range))
    }
}

fn sorted_and_limited(mut texts: Vec<String>, limit: usize) -> Vec<String> {
    texts.sort_unstable();
    if limit > 0 {
        texts.truncate(limit);
    }
    texts
}
