//! Operators: an expression opened for evaluation.
//!
//! An operator knows its output series (their number and labels) before any sample is decoded, and
//! evaluates one series at all steps at a time, in any order and from many threads. So consumers pull
//! series block by block with [`drive`], and what streams is never held in full.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use model::Labels;
use rayon::prelude::*;

use super::env::{Env, HeldBytes, Scratch, histogram_weight};
use super::error::{EvalResult, QueryError};
use super::grouping::{AllLabels, KeyHasher, all_differ};
use super::names::LabelEffect;
use super::value::StepVector;

/// An expression of type vector, opened for evaluation.
pub(crate) trait Operator: Send + Sync {
    /// Number of output series, some of which may turn out to have no value at any step.
    fn len(&self) -> usize;

    /// The labels of series `i`. May allocate: consumers ask once per query.
    fn labels(&self, i: usize) -> Labels;

    /// Calls `visit` with each label of series `i`, in the order of names: as [`Operator::labels`],
    /// without making a label set.
    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.labels(i).iter().for_each(|(name, value)| visit(name, value));
    }

    /// Whether the metric name of series `i` is to be removed from the query's result. Only used with
    /// delayed name removal.
    fn drop_name(&self, _i: usize) -> bool {
        false
    }

    /// Whether all series still differ once the metric's name, type and unit are removed.
    fn is_unique_without_metadata(&self) -> bool {
        false
    }

    /// The name of the metric, when all series have the same and it is known for free.
    fn fixed_name(&self) -> Option<&str> {
        None
    }

    /// Evaluates series `i` at all steps into `out`, which is reset first.
    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()>;
}

/// A shared operator.
pub(crate) type SharedOperator = Arc<dyn Operator>;

/// Bytes of series evaluated at once, over which work is spread.
const BLOCK_BYTES: usize = 1 << 20;
/// Below this much work, spreading it costs more time than it saves.
const SEQUENTIAL_SLOTS: usize = 128;
/// Below this much work, nobody waits so long that it is worth what spreading it costs in all.
const BACKGROUND_SLOTS: usize = 16_384;
/// Series evaluated one after the other between two looks at the time and at whether the query has to end.
const SERIES_PER_CHECK: usize = 16;

/// Evaluates all series of `operator` and hands them to `fold` in order, in blocks that begin at the
/// given series. While one block is folded, the next one is evaluated on the other cores. `fold` may
/// take vectors out of the block.
pub(crate) fn drive(
    operator: &dyn Operator,
    env: &Env,
    steps: usize,
    mut fold: impl FnMut(usize, &mut [StepVector]) -> EvalResult<()> + Send,
) -> EvalResult<()> {
    let series = operator.len();
    let sequential_slots = if env.settings.background { BACKGROUND_SLOTS } else { SEQUENTIAL_SLOTS };
    if series.saturating_mul(steps) <= sequential_slots {
        return drive_sequentially(operator, env, fold);
    }
    let threads = rayon::current_num_threads();
    let row_bytes = steps * 8 + size_of::<StepVector>();
    let rows = (BLOCK_BYTES / row_bytes).max(4 * threads).min(series);
    let blocks = series.div_ceil(rows);
    let _reserved = HeldBytes::of(env, rows * row_bytes * blocks.min(2))?;
    let block_range = |block: usize| block * rows..((block + 1) * rows).min(series);
    let mut current = vec![StepVector::default(); rows];
    let mut next = vec![StepVector::default(); if blocks > 1 { rows } else { 0 }];
    fill(operator, env, block_range(0), &mut current)?;
    for block in 0..blocks {
        let range = block_range(block);
        if block + 1 == blocks {
            return fold(range.start, &mut current[..range.len()]);
        }
        let (folded, filled) = rayon::join(
            || fold(range.start, &mut current[..range.len()]),
            || fill(operator, env, block_range(block + 1), &mut next),
        );
        folded.and(filled)?;
        std::mem::swap(&mut current, &mut next);
    }
    Ok(())
}

fn drive_sequentially(
    operator: &dyn Operator,
    env: &Env,
    mut fold: impl FnMut(usize, &mut [StepVector]) -> EvalResult<()>,
) -> EvalResult<()> {
    let mut vector = [StepVector::default()];
    env.with_scratch(|scratch| {
        for i in 0..operator.len() {
            if i % SERIES_PER_CHECK == 0 {
                env.check()?;
            }
            operator.evaluate(i, scratch, &mut vector[0])?;
            // Counted at once: the limit holds for what the next series loads on top of it.
            env.samples.add(std::mem::take(&mut scratch.held))?;
            fold(i, &mut vector)?;
        }
        Ok(())
    })
}

fn fill(operator: &dyn Operator, env: &Env, range: Range<usize>, rows: &mut [StepVector]) -> EvalResult<()> {
    let per_task = range.len().div_ceil(8 * rayon::current_num_threads()).max(1);
    rows[..range.len()].par_chunks_mut(per_task).enumerate().try_for_each(|(task, rows)| {
        let first = range.start + task * per_task;
        env.with_scratch(|scratch| {
            for (offset, row) in rows.iter_mut().enumerate() {
                if offset % SERIES_PER_CHECK == 0 {
                    env.check()?;
                }
                operator.evaluate(first + offset, scratch, row)?;
            }
            Ok(())
        })
    })
}

/// Label sets collected before they are counted.
const LABELS_AT_ONCE: usize = 4096;

/// The label sets `make` makes of `0..len`, counted in `bytes`; made in parallel when there are many.
pub(crate) fn collect_labels(
    len: usize,
    bytes: &mut HeldBytes,
    make: impl Fn(usize) -> Labels + Sync,
) -> EvalResult<Vec<Labels>> {
    bytes.add(len * size_of::<Labels>())?;
    let mut all = Vec::with_capacity(len);
    for first in (0..len).step_by(LABELS_AT_ONCE) {
        let range = first..(first + LABELS_AT_ONCE).min(len);
        if range.len() < LABELS_AT_ONCE {
            all.extend(range.map(&make));
        } else {
            all.par_extend(range.into_par_iter().map(&make));
        }
        bytes.add(all[first..].iter().map(label_bytes).sum())?;
    }
    Ok(all)
}

/// Bytes of a label set, apart from the handle of it.
pub(crate) fn label_bytes(labels: &Labels) -> usize {
    // Two counters before the text, and what allocators round up by.
    labels.as_bytes().len() + 32
}

/// One series of [`HeldRows`].
#[derive(Debug, Clone)]
pub(crate) struct HeldSeries {
    pub labels: Labels,
    pub drop_name: bool,
    pub values: StepVector,
}

impl HeldSeries {
    pub fn new(labels: Labels, values: StepVector) -> Self {
        Self { labels, drop_name: false, values }
    }

    /// Bytes besides those of the struct itself.
    fn content_bytes(&self) -> usize {
        self.values.memory_bytes() + label_bytes(&self.labels)
    }
}

/// Series whose values are held in memory, against the query's byte budget.
#[derive(Debug)]
pub(crate) struct HeldRows {
    pub series: Vec<HeldSeries>,
    pub bytes: HeldBytes,
}

impl HeldRows {
    /// No series.
    pub fn new(env: &Env) -> EvalResult<Self> {
        Ok(Self { series: Vec::new(), bytes: HeldBytes::new(env)? })
    }

    /// Adds a series, or fails when it is beyond the budget.
    pub fn push(&mut self, series: HeldSeries) -> EvalResult<()> {
        self.bytes.make_room(&mut self.series, 1)?;
        self.bytes.add(series.content_bytes())?;
        self.series.push(series);
        Ok(())
    }

    /// Adds a series without value at any step; returns its place.
    pub fn push_absent(&mut self, labels: Labels, drop_name: bool, steps: usize) -> EvalResult<usize> {
        self.push(HeldSeries { labels, drop_name, values: StepVector::absent(steps) })?;
        Ok(self.series.len() - 1)
    }
}

/// [`HeldRows`] as an operator.
#[derive(Debug)]
pub(crate) struct Materialized {
    rows: HeldRows,
    is_unique_without_metadata: bool,
}

impl Materialized {
    /// All of `rows` must have a value at some step.
    pub fn new(rows: HeldRows) -> Self {
        Self { rows, is_unique_without_metadata: false }
    }

    /// Says that the series differ without the metric's metadata.
    #[must_use]
    pub fn unique_without_metadata(mut self, is_unique: bool) -> Self {
        self.is_unique_without_metadata = is_unique;
        self
    }

    /// The held series.
    pub fn rows(&self) -> &[HeldSeries] {
        &self.rows.series
    }

    /// The held series to go on with.
    pub fn into_rows(self) -> HeldRows {
        self.rows
    }

    /// As an operator.
    pub fn shared(self) -> SharedOperator {
        Arc::new(self)
    }
}

impl Operator for Materialized {
    fn len(&self) -> usize {
        self.rows.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.rows.series[i].labels.clone()
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.rows.series[i].labels.iter().for_each(|(name, value)| visit(name, value));
    }

    fn drop_name(&self, i: usize) -> bool {
        self.rows.series[i].drop_name
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.is_unique_without_metadata
    }

    fn evaluate(&self, i: usize, _scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let values = &self.rows.series[i].values;
        out.values.clone_from(&values.values);
        out.histograms.clone_from(&values.histograms);
        Ok(())
    }
}

/// Evaluates everything and keeps the series that have a value at some step.
pub(crate) fn hold_all(operator: &dyn Operator, env: &Env, steps: usize) -> EvalResult<HeldRows> {
    let mut held = HeldRows::new(env)?;
    drive(operator, env, steps, |first, rows| {
        for (offset, row) in rows.iter_mut().enumerate() {
            if !row.is_all_absent() {
                held.push(take_row(operator, first + offset, row))?;
            }
        }
        Ok(())
    })?;
    Ok(held)
}

/// Series `i` with the values that were evaluated for it.
pub(crate) fn take_row(operator: &dyn Operator, i: usize, row: &mut StepVector) -> HeldSeries {
    HeldSeries { labels: operator.labels(i), drop_name: operator.drop_name(i), values: std::mem::take(row) }
}

/// Number of samples in `series`, with histograms by weight.
pub(crate) fn count_samples(series: &[HeldSeries]) -> i64 {
    let weigh = |values: &StepVector| {
        let histograms: u64 =
            values.histograms.iter().flatten().map(|h| histogram_weight(h).max(1) - 1).sum();
        let present = values.values.iter().filter(|&&v| !super::value::is_absent(v)).count();
        present as i64 + histograms.cast_signed()
    };
    series.iter().map(|s| weigh(&s.values)).sum()
}

/// What to do with series whose labels have become equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collision {
    /// An error, even when they have values at different steps.
    Refuse,
    /// They become one series; an error when they have values at the same step.
    MergeSteps,
}

/// Joins series of equal labels in `rows` as `rule` says, in order of first occurrence.
pub(crate) fn merge_equal_labels(env: &Env, rows: &mut HeldRows, rule: Collision) -> EvalResult<()> {
    let series = &mut rows.series;
    let mut bytes = HeldBytes::new(env)?;
    let mut place: HashMap<Labels, usize> = HashMap::new();
    bytes.make_table_room(&mut place, series.len())?;
    let mut kept = 0;
    for i in 0..series.len() {
        match place.entry(series[i].labels.clone()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(kept);
                series.swap(kept, i);
                kept += 1;
            }
            std::collections::hash_map::Entry::Occupied(_) if rule == Collision::Refuse => {
                return Err(QueryError::same_labelset());
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                let (merged, rest) = series.split_at_mut(i);
                merge_steps(&mut merged[*entry.get()].values, &rest[0].values)?;
            }
        }
    }
    series.truncate(kept);
    Ok(())
}

fn merge_steps(into: &mut StepVector, from: &StepVector) -> EvalResult<()> {
    for step in 0..from.len() {
        if from.is_present(step) {
            if into.is_present(step) {
                return Err(QueryError::same_labelset());
            }
            into.copy_step(step, from, step);
        }
    }
    Ok(())
}

/// How an operator that maps series one to one changes their labels.
pub(crate) fn effective(env: &Env, effect: LabelEffect) -> LabelEffect {
    // With delayed removal names are only marked, and removed from the query's result.
    if env.settings.delayed_name_removal { LabelEffect::Keep } else { effect }
}

/// `operator` itself, or its series joined when labels have become equal.
pub(crate) fn resolve_collisions(
    operator: SharedOperator,
    env: &Env,
    steps: usize,
    rule: Collision,
) -> EvalResult<SharedOperator> {
    let hash = |i: usize, hasher: &mut KeyHasher| hasher.hash(&*operator, &AllLabels, i);
    if all_differ(env, operator.len(), hash)? {
        return Ok(operator);
    }
    let before = env.samples.current();
    let mut rows = hold_all(&*operator, env, steps)?;
    merge_equal_labels(env, &mut rows, rule)?;
    env.samples.settle(before, count_samples(&rows.series))?;
    Ok(Materialized::new(rows).unique_without_metadata(true).shared())
}
