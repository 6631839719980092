//! Binary operators between vectors, apart from set operators.
//!
//! Almost always every matching group has at most one series on the "one" side, and the labels of all
//! results differ. Then a result is a function of two series, and streams ([`Join`]). Otherwise who
//! matches whom depends on who is present at a step; that is worked out step by step over held series
//! ([`super::match_steps`]).

use std::sync::Arc;

use model::{FloatHistogram, Labels};

use super::env::{Env, HeldBytes, Scratch};
use super::error::EvalResult;
use super::grouping::{BothGroups, KeyHasher, all_differ, group_both};
use super::match_steps::match_steps;
use super::matching::{ResultLabels, changes_metric};
use super::operator::{
    HeldRows, Materialized, Operator, SharedOperator, collect_labels, count_samples, drive, take_row,
};
use super::plan::Matching;
use super::value::{ABSENT, StepValue, StepVector, is_absent};
use crate::annotations::Annotations;
use crate::ast::{BinaryOp, Cardinality};
use crate::functions::arith::{self, Outcome};

/// An operator between vectors, with what concerns all its elements.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub op: BinaryOp,
    pub return_bool: bool,
    /// Where it starts in the query.
    pub start: usize,
}

impl Operation {
    /// Applies the operator to two elements.
    pub fn combine(&self, lhs: StepValue<'_>, rhs: StepValue<'_>, annotations: &mut Annotations) -> Outcome {
        arith::combine(self.op, lhs, rhs, self.start, annotations)
    }
}

/// What the result of two elements is.
pub(crate) enum Settled {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
    /// The element that a comparison lets through.
    Element,
    /// None.
    Nothing,
}

/// The result that follows from `outcome`, with or without `bool`.
pub(crate) fn settle(outcome: Outcome, return_bool: bool) -> Settled {
    match outcome {
        Outcome::Float(value) => Settled::Float(value),
        Outcome::Histogram(histogram) => Settled::Histogram(histogram),
        Outcome::Holds(holds) if return_bool => Settled::Float(f64::from(u8::from(holds))),
        Outcome::Holds(true) => Settled::Element,
        Outcome::Holds(false) | Outcome::Nothing => Settled::Nothing,
    }
}

/// Opens an operator between two vectors.
pub(crate) fn open_binary(
    env: &Arc<Env>,
    operation: Operation,
    lhs: SharedOperator,
    rhs: SharedOperator,
    matching: &Matching,
    steps: usize,
) -> EvalResult<SharedOperator> {
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let groups = group_both(env, &*many, &*one, matching)?;
    if !matching.fills()
        && let Some(pairs) = pair_series(env, matching, &groups)?
    {
        let labels = ResultLabels::new(env, operation.op, operation.return_bool, matching);
        let join =
            Join::new(env, operation.clone(), many.clone(), one.clone(), swapped, pairs, labels, steps)?;
        if let Some(join) = join {
            return Ok(Arc::new(join));
        }
    }
    let before = env.samples.current();
    let many = hold_with_groups(env, &*many, &groups.of_lhs, steps)?;
    let one = hold_with_groups(env, &*one, &groups.of_rhs, steps)?;
    let result = match_steps(env, &operation, matching, &many, &one, groups.count, steps)?;
    env.samples.settle(before, count_samples(&result.series))?;
    Ok(Materialized::new(result).shared())
}

/// Held series and the matching group of each.
pub(crate) struct Grouped {
    pub rows: HeldRows,
    pub group_of: Vec<u32>,
}

fn hold_with_groups(env: &Env, operator: &dyn Operator, groups: &[u32], steps: usize) -> EvalResult<Grouped> {
    let mut held = Grouped { rows: HeldRows::new(env)?, group_of: Vec::new() };
    drive(operator, env, steps, |first, rows| {
        for (offset, row) in rows.iter_mut().enumerate() {
            if !row.is_all_absent() {
                held.rows.bytes.make_room(&mut held.group_of, 1)?;
                held.group_of.push(groups[first + offset]);
                held.rows.push(take_row(operator, first + offset, row))?;
            }
        }
        Ok(())
    })?;
    Ok(held)
}

/// The series of either side that make up results.
struct Pairs {
    of: Vec<(u32, u32)>,
    bytes: HeldBytes,
}

/// The partner of each series of the "many" side, which is the left one of `groups`, that has one; `None`
/// when a group has several series on the "one" side, or on either side of one-to-one.
fn pair_series(env: &Env, matching: &Matching, groups: &BothGroups) -> EvalResult<Option<Pairs>> {
    const NONE: u32 = u32::MAX;
    let _working = HeldBytes::of(env, groups.count * (size_of::<u32>() + size_of::<bool>()))?;
    let mut partner = vec![NONE; groups.count];
    for (series, &group) in groups.of_rhs.iter().enumerate() {
        if std::mem::replace(&mut partner[group as usize], series as u32) != NONE {
            return Ok(None);
        }
    }
    let most = groups.of_lhs.len();
    let mut bytes = HeldBytes::of(env, most * size_of::<(u32, u32)>())?;
    let mut pairs = Vec::with_capacity(most);
    let mut is_taken = vec![false; groups.count];
    for (series, &group) in groups.of_lhs.iter().enumerate() {
        let taken = std::mem::replace(&mut is_taken[group as usize], true);
        if taken && matching.cardinality == Cardinality::OneToOne {
            return Ok(None);
        }
        if partner[group as usize] != NONE {
            pairs.push((series as u32, partner[group as usize]));
        }
    }
    bytes.give_back((most - pairs.len()) * size_of::<(u32, u32)>());
    pairs.shrink_to_fit();
    Ok(Some(Pairs { of: pairs, bytes }))
}

/// Results that are each a function of one series on either side.
struct Join {
    operation: Operation,
    many: SharedOperator,
    one: OneSide,
    /// Whether the "many" side is the right one.
    swapped: bool,
    /// The series of either side.
    pairs: Vec<(u32, u32)>,
    labels: ResultLabels,
    /// The labels of the "one" side, where results take some over.
    one_labels: Vec<Labels>,
    steps: usize,
    _held: HeldBytes,
}

/// The side of which each series may have many partners.
enum OneSide {
    /// Each has one: evaluate it with its partner.
    Streamed(SharedOperator),
    /// Held, so that it is evaluated once and not for each partner.
    Held(Vec<StepVector>, #[allow(dead_code, reason = "held until it is dropped")] HeldBytes),
}

impl Join {
    /// `None` when labels of results are not unique.
    #[allow(clippy::too_many_arguments, reason = "the parts of one value, made in one place")]
    fn new(
        env: &Arc<Env>,
        operation: Operation,
        many: SharedOperator,
        one: SharedOperator,
        swapped: bool,
        pairs: Pairs,
        labels: ResultLabels,
        steps: usize,
    ) -> EvalResult<Option<Self>> {
        let Pairs { of: pairs, mut bytes } = pairs;
        let one_labels = if labels.includes() {
            collect_labels(one.len(), &mut bytes, |i| one.labels(i))?
        } else {
            Vec::new()
        };
        if !labels.are_unique(env, &*many) {
            let hash = |i: usize, hasher: &mut KeyHasher| {
                let (m, o) = pairs[i];
                let one = one_labels.get(o as usize).cloned().unwrap_or_default();
                hasher.hash_labels(&labels.of(&many.labels(m as usize), &one))
            };
            if !all_differ(env, pairs.len(), hash)? {
                return Ok(None);
            }
        }
        let matched_once = pairs.len() <= one.len() && {
            let mut is_matched = vec![false; one.len()];
            pairs.iter().all(|&(_, o)| !std::mem::replace(&mut is_matched[o as usize], true))
        };
        let one = if matched_once { OneSide::Streamed(one) } else { hold_rows(&*one, env, steps)? };
        Ok(Some(Self { operation, many, one, swapped, pairs, labels, one_labels, steps, _held: bytes }))
    }

    fn combine(&self, many: &mut StepVector, one: &StepVector, annotations: &mut Annotations) {
        let is_trim = matches!(self.operation.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        if many.has_histograms() || one.has_histograms() || is_trim {
            return self.combine_steps(many, one, annotations);
        }
        let op = self.operation.op;
        if op.is_comparison() {
            return self.compare(&mut many.values, &one.values);
        }
        // The operator is matched outside of the loops, so that each is plain arithmetic.
        match op {
            BinaryOp::Add => self.each(many, one, |a, b| a + b),
            BinaryOp::Sub => self.each(many, one, |a, b| a - b),
            BinaryOp::Mul => self.each(many, one, |a, b| a * b),
            BinaryOp::Div => self.each(many, one, |a, b| a / b),
            op => self.each(many, one, |a, b| arith::floats(op, a, b)),
        }
    }

    fn each(&self, many: &mut StepVector, one: &StepVector, function: impl Fn(f64, f64) -> f64) {
        for (value, &partner) in many.values.iter_mut().zip(&one.values) {
            if is_absent(*value) || is_absent(partner) {
                *value = ABSENT;
            } else {
                *value = if self.swapped { function(partner, *value) } else { function(*value, partner) };
            }
        }
    }

    fn compare(&self, many: &mut [f64], one: &[f64]) {
        for (value, &partner) in many.iter_mut().zip(one) {
            if is_absent(*value) || is_absent(partner) {
                *value = ABSENT;
                continue;
            }
            let (lhs, rhs) = if self.swapped { (partner, *value) } else { (*value, partner) };
            let holds = arith::compare(self.operation.op, lhs, rhs);
            *value = match (self.operation.return_bool, holds) {
                (true, holds) => f64::from(u8::from(holds)),
                (false, true) => lhs,
                (false, false) => ABSENT,
            };
        }
    }

    fn combine_steps(&self, many: &mut StepVector, one: &StepVector, annotations: &mut Annotations) {
        for step in 0..self.steps {
            let (Some(value), Some(partner)) = (many.get(step), one.get(step)) else {
                many.clear_step(step);
                continue;
            };
            let (lhs, rhs) = if self.swapped { (partner, value) } else { (value, partner) };
            let outcome = self.operation.combine(lhs, rhs, annotations);
            match settle(outcome, self.operation.return_bool) {
                Settled::Float(value) => many.set_float(step, value),
                Settled::Histogram(histogram) => many.set_histogram(step, histogram),
                Settled::Element if self.swapped => many.copy_step(step, one, step),
                Settled::Element => {}
                Settled::Nothing => many.clear_step(step),
            }
        }
    }
}

fn hold_rows(operator: &dyn Operator, env: &Env, steps: usize) -> EvalResult<OneSide> {
    let mut bytes = HeldBytes::of(env, operator.len() * size_of::<StepVector>())?;
    let mut held = Vec::with_capacity(operator.len());
    drive(operator, env, steps, |_, rows| {
        bytes.add(rows.iter().map(StepVector::memory_bytes).sum())?;
        held.extend(rows.iter_mut().map(std::mem::take));
        Ok(())
    })?;
    Ok(OneSide::Held(held, bytes))
}

impl Operator for Join {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let (many, one) = self.pairs[i];
        let one = self.one_labels.get(one as usize).cloned().unwrap_or_default();
        self.labels.of(&self.many.labels(many as usize), &one)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        if self.labels.includes() {
            return self.labels(i).iter().for_each(|(name, value)| visit(name, value));
        }
        let mut at = 0;
        self.many.visit_labels(self.pairs[i].0 as usize, &mut |name, value| {
            if self.labels.passes_on(&mut at, name) {
                visit(name, value);
            }
        });
    }

    fn drop_name(&self, _i: usize) -> bool {
        self.operation.return_bool
    }

    fn is_unique_without_metadata(&self) -> bool {
        // Results are known to differ as they are, so also without metadata where that is removed.
        changes_metric(self.operation.op)
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let (many, one) = self.pairs[i];
        self.many.evaluate(many as usize, scratch, out)?;
        match &self.one {
            OneSide::Held(rows, _) => self.combine(out, &rows[one as usize], &mut scratch.annotations),
            OneSide::Streamed(operator) => {
                let mut partner = scratch.vector(self.steps);
                operator.evaluate(one as usize, scratch, &mut partner)?;
                self.combine(out, &partner, &mut scratch.annotations);
                scratch.put_vector(partner);
            }
        }
        Ok(())
    }
}
