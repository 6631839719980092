//! Operators: an expression opened for evaluation.
//!
//! An operator knows its output series (their number and labels) before any sample is decoded, and
//! evaluates one series at all steps at a time, in any order and from many threads. So consumers pull
//! series block by block with [`drive`], and what streams is never held in full.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use base::Reservation;
use model::Labels;
use rayon::prelude::*;

use super::env::{Env, HeldBytes, Scratch, histogram_weight};
use super::error::{EvalResult, QueryError};
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

/// Values evaluated at once, over which work is spread: about 1 MiB.
const BLOCK_SLOTS: usize = 128 << 10;
/// Below this much work, spreading it costs more than it saves.
const SEQUENTIAL_SLOTS: usize = 128;

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
    if series.saturating_mul(steps) <= SEQUENTIAL_SLOTS {
        return drive_sequentially(operator, env, fold);
    }
    let threads = rayon::current_num_threads();
    let rows = (BLOCK_SLOTS / steps.max(1)).max(4 * threads).min(series);
    let blocks = series.div_ceil(rows);
    let _reserved = env.ctx.reserve(rows * (steps * 8 + size_of::<StepVector>()) * blocks.min(2))?;
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
    for i in 0..operator.len() {
        env.with_scratch(|scratch| {
            env.check()?;
            operator.evaluate(i, scratch, &mut vector[0])
        })?;
        fold(i, &mut vector)?;
    }
    Ok(())
}

fn fill(operator: &dyn Operator, env: &Env, range: Range<usize>, rows: &mut [StepVector]) -> EvalResult<()> {
    let per_task = range.len().div_ceil(8 * rayon::current_num_threads()).max(1);
    rows[..range.len()].par_chunks_mut(per_task).enumerate().try_for_each(|(task, rows)| {
        let first = range.start + task * per_task;
        env.with_scratch(|scratch| {
            env.check()?;
            for (offset, row) in rows.iter_mut().enumerate() {
                operator.evaluate(first + offset, scratch, row)?;
            }
            Ok(())
        })
    })
}

/// The labels of all series, collected in parallel when there are many.
pub(crate) fn all_labels(operator: &dyn Operator) -> Vec<Labels> {
    let series = operator.len();
    if series < 4096 {
        return (0..series).map(|i| operator.labels(i)).collect();
    }
    (0..series).into_par_iter().map(|i| operator.labels(i)).collect()
}

/// One series of [`Materialized`].
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
}

/// Series whose values are held in memory.
#[derive(Debug)]
pub(crate) struct Materialized {
    pub series: Vec<HeldSeries>,
    is_unique_without_metadata: bool,
    _reserved: Option<Reservation>,
}

impl Materialized {
    /// Holds `series` against the query's byte budget. All of them must have a value at some step.
    pub fn new(env: &Env, series: Vec<HeldSeries>) -> EvalResult<Self> {
        let bytes = held_bytes(&series);
        let reserved = if bytes > 0 { Some(env.ctx.reserve(bytes)?) } else { None };
        Ok(Self { series, is_unique_without_metadata: false, _reserved: reserved })
    }

    /// Says that the series differ without the metric's metadata.
    #[must_use]
    pub fn unique_without_metadata(mut self, is_unique: bool) -> Self {
        self.is_unique_without_metadata = is_unique;
        self
    }

    /// As an operator.
    pub fn shared(self) -> SharedOperator {
        Arc::new(self)
    }
}

impl Operator for Materialized {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].labels.clone()
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.series[i].labels.iter().for_each(|(name, value)| visit(name, value));
    }

    fn drop_name(&self, i: usize) -> bool {
        self.series[i].drop_name
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.is_unique_without_metadata
    }

    fn evaluate(&self, i: usize, _scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let values = &self.series[i].values;
        out.values.clone_from(&values.values);
        out.histograms.clone_from(&values.histograms);
        Ok(())
    }
}

/// Evaluates everything and keeps the series that have a value at some step.
pub(crate) fn hold_all(operator: &dyn Operator, env: &Env, steps: usize) -> EvalResult<Vec<HeldSeries>> {
    // Declared first, so that a failure gives the bytes back after the series are gone.
    let mut bytes = HeldBytes::new(env)?;
    let mut held = Vec::new();
    drive(operator, env, steps, |first, rows| {
        let before = held.len();
        for (offset, row) in rows.iter_mut().enumerate() {
            if !row.is_all_absent() {
                let i = first + offset;
                let values = std::mem::take(row);
                held.push(HeldSeries {
                    labels: operator.labels(i),
                    drop_name: operator.drop_name(i),
                    values,
                });
            }
        }
        bytes.add(held_bytes(&held[before..]))
    })?;
    Ok(held)
}

/// Bytes of held series, without their labels.
pub(crate) fn held_bytes(series: &[HeldSeries]) -> usize {
    series.iter().map(|s| s.values.memory_bytes() + size_of::<HeldSeries>()).sum()
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

/// `series` with those of equal labels joined as `rule` says, in order of first occurrence.
pub(crate) fn merge_equal_labels(series: Vec<HeldSeries>, rule: Collision) -> EvalResult<Vec<HeldSeries>> {
    let mut place: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut merged: Vec<HeldSeries> = Vec::with_capacity(series.len());
    for one in series {
        match place.entry(one.labels.clone()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(one);
            }
            std::collections::hash_map::Entry::Occupied(_) if rule == Collision::Refuse => {
                return Err(QueryError::same_labelset());
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                merge_steps(&mut merged[*entry.get()].values, &one.values)?;
            }
        }
    }
    Ok(merged)
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

/// Whether two series of `operator` have equal labels.
pub(crate) fn has_equal_labels(operator: &dyn Operator) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(operator.len());
    !all_labels(operator).into_iter().all(|labels| seen.insert(labels))
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
    if !has_equal_labels(&*operator) {
        return Ok(operator);
    }
    let before = env.samples.current();
    let merged = merge_equal_labels(hold_all(&*operator, env, steps)?, rule)?;
    env.samples.settle(before, count_samples(&merged))?;
    Ok(Materialized::new(env, merged)?.unique_without_metadata(true).shared())
}
