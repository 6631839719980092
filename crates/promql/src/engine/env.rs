//! What all operators of one query share: limits, options, annotations, counters, spare buffers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use base::Reservation;
use model::{QueryContext, SampleColumns};

use super::error::{EvalResult, QueryError};
use super::value::{StepVector, WindowBounds};
use crate::annotations::Annotations;
use crate::functions::range::{RangeFunction, RangeKernel};

/// Behaviour of evaluation that does not change within a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub lookback_ms: i64,
    pub default_subquery_step_ms: i64,
    pub delayed_name_removal: bool,
    pub type_and_unit_labels: bool,
    pub start_timestamps: bool,
    pub max_samples: i64,
    pub per_step_stats: bool,
    pub background: bool,
}

/// The shared state of one running query.
#[derive(Debug)]
pub(crate) struct Env {
    pub ctx: QueryContext,
    pub settings: Settings,
    pub samples: SampleAccount,
    annotations: Mutex<Annotations>,
    spare: Mutex<Vec<Scratch>>,
    kernels: AtomicUsize,
    counts: Mutex<SampleCounts>,
}

impl Env {
    pub fn new(ctx: QueryContext, settings: Settings) -> Self {
        Self {
            ctx,
            settings,
            samples: SampleAccount::new(settings.max_samples),
            annotations: Mutex::default(),
            spare: Mutex::default(),
            kernels: AtomicUsize::new(0),
            counts: Mutex::default(),
        }
    }

    /// A number by which one operator finds its kernel in every [`Scratch`].
    pub fn next_kernel(&self) -> usize {
        self.kernels.fetch_add(1, Ordering::Relaxed)
    }

    /// Fails when the query has to end.
    pub fn check(&self) -> EvalResult<()> {
        Ok(self.ctx.check("expression evaluation")?)
    }

    /// Runs `work` with buffers of its own, and takes over what it counted and noted.
    pub fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> EvalResult<T>) -> EvalResult<T> {
        let mut scratch = lock(&self.spare).pop().unwrap_or_default();
        let result = work(&mut scratch);
        if !scratch.annotations.is_empty() {
            lock(&self.annotations).merge(std::mem::take(&mut scratch.annotations));
        }
        let held = std::mem::take(&mut scratch.held);
        self.ctx.progress.add_samples(scratch.counts.read);
        lock(&self.counts).take_from(&mut scratch.counts);
        lock(&self.spare).push(scratch);
        let result = result?;
        self.samples.add(held)?;
        Ok(result)
    }

    /// Adds annotations outside of any [`Scratch`].
    pub fn annotate(&self, add: impl FnOnce(&mut Annotations)) {
        add(&mut lock(&self.annotations));
    }

    /// Takes all annotations out.
    pub fn take_annotations(&self) -> Annotations {
        std::mem::take(&mut lock(&self.annotations))
    }

    /// Takes all counts out.
    pub fn take_counts(&self) -> SampleCounts {
        std::mem::take(&mut lock(&self.counts))
    }
}

/// Bytes held by a part of evaluation that grows as it goes, against the query's budget.
///
/// A value that counts as such bytes declares them after its data, so that dropping it frees the memory
/// before it gives the bytes back.
#[derive(Debug)]
pub(crate) struct HeldBytes(Reservation);

impl HeldBytes {
    pub fn new(env: &Env) -> EvalResult<Self> {
        Self::of(env, 0)
    }

    /// Holds `bytes`.
    pub fn of(env: &Env, bytes: usize) -> EvalResult<Self> {
        Ok(Self(env.ctx.reserve(bytes)?))
    }

    /// Holds `bytes` less.
    pub fn give_back(&mut self, bytes: usize) {
        self.shrink_to(self.0.bytes().saturating_sub(bytes));
    }

    /// Takes over what `other` holds.
    pub fn absorb(&mut self, other: HeldBytes) {
        self.0.absorb(other.0);
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.0.shrink_to(bytes);
    }

    /// The reservation itself.
    pub fn into_reservation(self) -> Reservation {
        self.0
    }

    /// Makes room for `more` elements and holds the bytes of the whole vector; while it moves, those of the
    /// old one as well.
    pub fn make_room<T>(&mut self, vec: &mut Vec<T>, more: usize) -> EvalResult<()> {
        let (old, wanted) = (vec.capacity(), vec.len() + more);
        if wanted <= old {
            return Ok(());
        }
        let capacity = wanted.max(old + old / 2).max(8);
        self.add(capacity * size_of::<T>())?;
        vec.reserve_exact(capacity - vec.len());
        self.give_back(old * size_of::<T>());
        Ok(())
    }

    /// Makes room for `more` entries and holds the bytes of the whole table, as
    /// [`HeldBytes::make_room`] does for vectors.
    pub fn make_table_room<K: Eq + Hash, V>(
        &mut self,
        map: &mut HashMap<K, V>,
        more: usize,
    ) -> EvalResult<()> {
        let (old, wanted) = (map.capacity(), map.len() + more);
        if wanted <= old {
            return Ok(());
        }
        let capacity = wanted.max(old * 2);
        self.add(table_bytes::<K, V>(capacity))?;
        map.reserve(capacity - map.len());
        self.give_back(table_bytes::<K, V>(old));
        Ok(())
    }

    /// Holds `bytes` more.
    pub fn add(&mut self, bytes: usize) -> EvalResult<()> {
        Ok(self.0.grow(bytes)?)
    }

    /// Holds at least `bytes` in all.
    pub fn raise_to(&mut self, bytes: usize) -> EvalResult<()> {
        self.add(bytes.saturating_sub(self.0.bytes()))
    }
}

/// Bytes of a hash table with room for so many entries.
fn table_bytes<K, V>(entries: usize) -> usize {
    // The standard table is a power of two of buckets, of which one in eight stays empty, and a byte of
    // control for each.
    if entries == 0 { 0 } else { (entries * 8).div_ceil(7).next_power_of_two() * (size_of::<(K, V)>() + 1) }
}

/// A panic while holding one of these locks leaves plain data behind: go on with it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How many samples the query holds at once, against its limit.
///
/// The count follows the reference: a selector's or range function's values count for as long as the
/// operator that consumes them runs, then only that operator's result counts. Evaluation itself holds
/// fewer, because values are streamed.
#[derive(Debug)]
pub(crate) struct SampleAccount {
    max: i64,
    current: AtomicI64,
    peak: AtomicI64,
}

impl SampleAccount {
    fn new(max: i64) -> Self {
        Self { max, current: AtomicI64::new(0), peak: AtomicI64::new(0) }
    }

    /// Samples held now.
    pub fn current(&self) -> i64 {
        self.current.load(Ordering::Relaxed)
    }

    /// The most samples held at any time.
    pub fn peak(&self) -> i64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Adds samples; fails beyond the limit.
    pub fn add(&self, samples: i64) -> EvalResult<()> {
        if samples == 0 {
            return Ok(());
        }
        let current = self.current.fetch_add(samples, Ordering::Relaxed) + samples;
        self.peak.fetch_max(current, Ordering::Relaxed);
        if current > self.max { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// Fails when holding `samples` more for a moment is beyond the limit.
    pub fn check_more(&self, samples: i64) -> EvalResult<()> {
        let total = self.current() + samples;
        if total <= self.max {
            self.peak.fetch_max(total, Ordering::Relaxed);
            return Ok(());
        }
        Err(QueryError::TooManySamples)
    }

    /// Replaces everything counted since `before` was read by a result of `samples`.
    pub fn settle(&self, before: i64, samples: i64) -> EvalResult<()> {
        self.current.store(before, Ordering::Relaxed);
        self.add(samples)
    }
}

/// How samples loaded by an operator count in the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tally {
    /// At the step they were loaded for.
    AtStep,
    /// At each of so many steps: the operator is evaluated once for all.
    AtEach(usize),
    /// Only as read: whoever consumes them counts them.
    ReadOnly,
}

/// Samples loaded, as the statistics of a query tell.
#[derive(Debug, Default)]
pub(crate) struct SampleCounts {
    /// For each step all samples of its window.
    pub total: u64,
    /// Samples read from storage.
    pub read: u64,
    /// `total` by step; empty when not asked for.
    pub per_step: Vec<u64>,
}

impl SampleCounts {
    fn take_from(&mut self, other: &mut Self) {
        self.total += std::mem::take(&mut other.total);
        self.read += std::mem::take(&mut other.read);
        if self.per_step.len() < other.per_step.len() {
            self.per_step.resize(other.per_step.len(), 0);
        }
        for (sum, count) in self.per_step.iter_mut().zip(other.per_step.drain(..)) {
            *sum += count;
        }
    }

    fn at_step(&mut self, step: usize, samples: u64) {
        if self.per_step.len() <= step {
            self.per_step.resize(step + 1, 0);
        }
        self.per_step[step] += samples;
    }

    /// Counts `loaded(step)` samples for each of `steps` steps.
    pub fn add(&mut self, tally: Tally, per_step: bool, steps: usize, loaded: impl Fn(usize) -> u64) {
        match tally {
            Tally::ReadOnly => {}
            Tally::AtStep => {
                for step in 0..steps {
                    let samples = loaded(step);
                    self.total += samples;
                    if per_step && samples > 0 {
                        self.at_step(step, samples);
                    }
                }
            }
            Tally::AtEach(times) => {
                let samples: u64 = (0..steps).map(loaded).sum();
                self.total += samples * times as u64;
                if per_step {
                    (0..times).for_each(|step| self.at_step(step, samples));
                }
            }
        }
    }
}

/// Buffers of one thread, reused from series to series; and what it counts and notes meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub annotations: Annotations,
    pub counts: SampleCounts,
    /// Samples to add to the account of held samples.
    pub held: i64,
    columns: Vec<SampleColumns>,
    windows: Vec<Vec<WindowBounds>>,
    vectors: Vec<StepVector>,
    kernels: Vec<Option<RangeKernel>>,
    reserved: Option<Reservation>,
}

impl Scratch {
    /// A spare vector of `len` absent steps; give it back with [`Scratch::put_vector`].
    pub fn vector(&mut self, len: usize) -> StepVector {
        let mut vector = self.vectors.pop().unwrap_or_default();
        vector.reset(len);
        vector
    }

    /// Gives a vector back.
    pub fn put_vector(&mut self, vector: StepVector) {
        self.vectors.push(vector);
    }

    /// Spare empty columns; give them back with [`Scratch::put_columns`].
    pub fn columns(&mut self) -> SampleColumns {
        self.columns.pop().unwrap_or_default()
    }

    /// Gives columns back.
    pub fn put_columns(&mut self, mut columns: SampleColumns) {
        columns.clear();
        self.columns.push(columns);
    }

    /// Spare empty window bounds; give them back with [`Scratch::put_windows`].
    pub fn windows(&mut self) -> Vec<WindowBounds> {
        self.windows.pop().unwrap_or_default()
    }

    /// Gives window bounds back.
    pub fn put_windows(&mut self, mut windows: Vec<WindowBounds>) {
        windows.clear();
        self.windows.push(windows);
    }

    /// This thread's kernel of the operator with number `slot`; give it back with
    /// [`Scratch::put_kernel`].
    pub fn kernel(&mut self, slot: usize, function: RangeFunction) -> RangeKernel {
        self.kernels.get_mut(slot).and_then(Option::take).unwrap_or_else(|| RangeKernel::new(function))
    }

    /// Gives the kernel of `slot` back.
    pub fn put_kernel(&mut self, slot: usize, kernel: RangeKernel) {
        if self.kernels.len() <= slot {
            self.kernels.resize_with(slot + 1, || None);
        }
        self.kernels[slot] = Some(kernel);
    }

    /// Makes sure the query's byte budget has room for `columns`, the largest seen by this thread.
    pub fn reserve_columns(&mut self, env: &Env, columns: &SampleColumns) -> EvalResult<()> {
        // Capacities are kept, so what counts is the largest series, not the sum.
        let bytes = columns.timestamps_ms.len() * 16;
        let bytes = if columns.histograms.is_empty() { bytes } else { columns.memory_bytes() };
        match &mut self.reserved {
            Some(held) if held.bytes() >= bytes => {}
            Some(held) => held.grow(bytes - held.bytes())?,
            None if bytes < 64 << 10 => {}
            None => self.reserved = Some(env.ctx.reserve(bytes)?),
        }
        Ok(())
    }
}

/// How many samples a histogram counts as: its bytes against those of a float sample.
pub(crate) fn histogram_weight(histogram: &model::FloatHistogram) -> u64 {
    ((histogram.memory_bytes() + 8) / 16) as u64
}
