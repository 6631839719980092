//! The set operators `and`, `or` and `unless`.

use std::sync::Arc;

use model::Labels;

use super::env::{Env, HeldBytes, Scratch};
use super::error::EvalResult;
use super::grouping::group_both;
use super::operator::{
    Collision, HeldSeries, Materialized, Operator, SharedOperator, count_samples, drive, hold_all,
    merge_equal_labels,
};
use super::plan::Matching;
use super::value::{StepVector, is_absent};
use crate::ast::BinaryOp;

/// At which steps some series of a group has a value.
#[derive(Debug, Clone, Default)]
struct Presence {
    /// One slot per step; empty when there is none.
    steps: Vec<bool>,
}

impl Presence {
    fn add(&mut self, values: &StepVector) {
        self.steps.resize(values.len(), false);
        for (present, &value) in self.steps.iter_mut().zip(&values.values) {
            *present |= !is_absent(value);
        }
    }

    fn at(&self, step: usize) -> bool {
        self.steps.get(step).copied().unwrap_or(false)
    }
}

/// Evaluates a set operator.
pub(crate) fn open_set(
    env: &Arc<Env>,
    op: BinaryOp,
    lhs: SharedOperator,
    rhs: SharedOperator,
    matching: &Matching,
    steps: usize,
) -> EvalResult<SharedOperator> {
    match op {
        BinaryOp::Or => open_or(env, &*lhs, &*rhs, matching, steps),
        _ => open_filter(env, op == BinaryOp::And, lhs, &*rhs, matching, steps),
    }
}

/// `and` and `unless`: the elements of the left side with, or without, a partner.
struct Filtered {
    input: SharedOperator,
    /// The series of `input` that may have elements left, and the group of each.
    kept: Vec<(usize, u32)>,
    presence: Vec<Presence>,
    wants_partner: bool,
    _held: HeldBytes,
}

fn open_filter(
    env: &Arc<Env>,
    wants_partner: bool,
    input: SharedOperator,
    partners: &dyn Operator,
    matching: &Matching,
    steps: usize,
) -> EvalResult<SharedOperator> {
    let (of_input, of_partners, groups) = group_both(&*input, partners, matching);
    let mut presence = vec![Presence::default(); groups];
    let mut bytes = HeldBytes::new(env)?;
    let before = env.samples.current();
    drive(partners, env, steps, |first, rows| {
        for (offset, row) in rows.iter().enumerate() {
            if !row.is_all_absent() {
                let presence = &mut presence[of_partners[first + offset] as usize];
                if presence.steps.is_empty() {
                    bytes.add(steps)?;
                }
                presence.add(row);
            }
        }
        Ok(())
    })?;
    env.samples.settle(before, 0)?;
    let may_remain = |group: u32| !wants_partner || !presence[group as usize].steps.is_empty();
    let kept = of_input.into_iter().enumerate().filter(|&(_, group)| may_remain(group)).collect();
    Ok(Arc::new(Filtered { input, kept, presence, wants_partner, _held: bytes }))
}

impl Operator for Filtered {
    fn len(&self) -> usize {
        self.kept.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.input.labels(self.kept[i].0)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.input.visit_labels(self.kept[i].0, visit);
    }

    fn drop_name(&self, i: usize) -> bool {
        self.input.drop_name(self.kept[i].0)
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.input.is_unique_without_metadata()
    }

    fn fixed_name(&self) -> Option<&str> {
        self.input.fixed_name()
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let (series, group) = self.kept[i];
        self.input.evaluate(series, scratch, out)?;
        let presence = &self.presence[group as usize];
        for step in 0..out.len() {
            if presence.at(step) != self.wants_partner {
                out.clear_step(step);
            }
        }
        Ok(())
    }
}

fn open_or(
    env: &Arc<Env>,
    lhs: &dyn Operator,
    rhs: &dyn Operator,
    matching: &Matching,
    steps: usize,
) -> EvalResult<SharedOperator> {
    let before = env.samples.current();
    let left = Materialized::new(env, hold_all(lhs, env, steps)?)?;
    let right = Materialized::new(env, hold_all(rhs, env, steps)?)?;
    let (of_left, of_right, groups) = group_both(&left, &right, matching);
    let mut presence = vec![Presence::default(); groups];
    for (one, group) in left.series.iter().zip(of_left) {
        presence[group as usize].add(&one.values);
    }
    let mut series = left.series;
    for (one, group) in right.series.into_iter().zip(of_right) {
        let presence = &presence[group as usize];
        let HeldSeries { mut values, labels, drop_name } = one;
        (0..steps).filter(|&step| presence.at(step)).for_each(|step| values.clear_step(step));
        if !values.is_all_absent() {
            series.push(HeldSeries { values, labels, drop_name });
        }
    }
    let merged = merge_equal_labels(series, Collision::MergeSteps)?;
    env.samples.settle(before, count_samples(&merged))?;
    Ok(Materialized::new(env, merged)?.shared())
}
