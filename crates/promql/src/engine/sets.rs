//! The set operators `and`, `or` and `unless`.

use std::sync::Arc;

use model::Labels;

use super::env::{Env, HeldBytes, Scratch};
use super::error::EvalResult;
use super::grouping::{BothGroups, group_both};
use super::operator::{
    Collision, HeldSeries, Materialized, Operator, SharedOperator, count_samples, drive, hold_all,
    merge_equal_labels,
};
use super::plan::Matching;
use super::value::{StepVector, is_absent};
use crate::ast::BinaryOp;

/// At which steps some series of each group has a value.
#[derive(Debug)]
struct Presence {
    /// One slot per step for each group; empty for a group without any.
    groups: Vec<Vec<bool>>,
    bytes: HeldBytes,
}

impl Presence {
    /// Nothing is there.
    fn new(env: &Env, groups: usize) -> EvalResult<Self> {
        let bytes = HeldBytes::of(env, groups * size_of::<Vec<bool>>())?;
        Ok(Self { groups: vec![Vec::new(); groups], bytes })
    }

    fn add(&mut self, group: u32, values: &StepVector) -> EvalResult<()> {
        let steps = &mut self.groups[group as usize];
        if steps.is_empty() {
            self.bytes.add(values.len())?;
            steps.resize(values.len(), false);
        }
        for (present, &value) in steps.iter_mut().zip(&values.values) {
            *present |= !is_absent(value);
        }
        Ok(())
    }

    fn is_empty(&self, group: u32) -> bool {
        self.groups[group as usize].is_empty()
    }

    fn at(&self, group: u32, step: usize) -> bool {
        self.groups[group as usize].get(step).copied().unwrap_or(false)
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
    kept: Vec<(u32, u32)>,
    presence: Presence,
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
    let groups = group_both(env, &*input, partners, matching)?;
    let mut presence = Presence::new(env, groups.count)?;
    let before = env.samples.current();
    drive(partners, env, steps, |first, rows| {
        for (offset, row) in rows.iter().enumerate() {
            if !row.is_all_absent() {
                presence.add(groups.of_rhs[first + offset], row)?;
            }
        }
        Ok(())
    })?;
    env.samples.settle(before, 0)?;
    let may_remain = |group: u32| !wants_partner || !presence.is_empty(group);
    let remaining = || (0..).zip(&groups.of_lhs).filter(|&(_, &group)| may_remain(group));
    let count = remaining().count();
    let held = HeldBytes::of(env, count * size_of::<(u32, u32)>())?;
    let mut kept = Vec::with_capacity(count);
    kept.extend(remaining().map(|(series, &group)| (series, group)));
    Ok(Arc::new(Filtered { input, kept, presence, wants_partner, _held: held }))
}

impl Operator for Filtered {
    fn len(&self) -> usize {
        self.kept.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.input.labels(self.kept[i].0 as usize)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.input.visit_labels(self.kept[i].0 as usize, visit);
    }

    fn drop_name(&self, i: usize) -> bool {
        self.input.drop_name(self.kept[i].0 as usize)
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.input.is_unique_without_metadata()
    }

    fn fixed_name(&self) -> Option<&str> {
        self.input.fixed_name()
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let (series, group) = self.kept[i];
        self.input.evaluate(series as usize, scratch, out)?;
        for step in 0..out.len() {
            if self.presence.at(group, step) != self.wants_partner {
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
    let left = Materialized::new(hold_all(lhs, env, steps)?);
    let right = Materialized::new(hold_all(rhs, env, steps)?);
    let BothGroups { of_lhs, of_rhs, count, .. } = &group_both(env, &left, &right, matching)?;
    let mut presence = Presence::new(env, *count)?;
    for (one, &group) in left.rows().iter().zip(of_lhs) {
        presence.add(group, &one.values)?;
    }
    let (mut rows, mut others) = (left.into_rows(), right.into_rows());
    for (one, &group) in others.series.iter_mut().zip(of_rhs) {
        let mut values = std::mem::take(&mut one.values);
        (0..steps).filter(|&step| presence.at(group, step)).for_each(|step| values.clear_step(step));
        if !values.is_all_absent() {
            rows.push(HeldSeries { values, labels: one.labels.clone(), drop_name: one.drop_name })?;
        }
    }
    drop(others);
    merge_equal_labels(env, &mut rows, Collision::MergeSteps)?;
    env.samples.settle(before, count_samples(&rows.series))?;
    Ok(Materialized::new(rows).shared())
}
