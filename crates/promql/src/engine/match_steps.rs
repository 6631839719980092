//! Matching of vectors whose partners change from step to step.

use std::collections::HashMap;

use model::Labels;

use super::binary::{Grouped, Operation, Settled, settle};
use super::env::{Env, HeldBytes};
use super::error::{EvalResult, QueryError};
use super::matching::ResultLabels;
use super::operator::HeldRows;
use super::plan::Matching;
use super::value::StepValue;
use crate::annotations::Annotations;
use crate::ast::Cardinality;
use crate::functions::arith::Outcome;

/// Applies `operation` to the elements of `many` and `one` that match at each step.
pub(crate) fn match_steps(
    env: &Env,
    operation: &Operation,
    matching: &Matching,
    many: &Grouped,
    one: &Grouped,
    groups: usize,
    steps: usize,
) -> EvalResult<HeldRows> {
    let mut held = HeldBytes::of(env, groups * (size_of::<Option<usize>>() + size_of::<bool>()))?;
    let mut matcher = StepMatcher {
        operation,
        matching,
        labels: ResultLabels::new(env, operation.op, operation.return_bool, matching),
        many,
        one,
        partner: vec![None; groups],
        is_matched: vec![false; groups],
        last_match: Vec::new(),
        results: HeldRows::new(env)?,
        last_step: Vec::new(),
        by_labels: HashMap::new(),
        by_pair: HashMap::new(),
        steps,
        annotations: Annotations::default(),
        held: &mut held,
    };
    for step in 0..steps {
        env.check()?;
        matcher.step(step)?;
    }
    let StepMatcher { mut results, annotations, .. } = matcher;
    env.annotate(|all| all.merge(annotations));
    results.series.retain(|series| !series.values.is_all_absent());
    Ok(results)
}

/// The elements of a result: by place among the held series, or missing and filled.
type Pair = (Option<usize>, Option<usize>);

struct StepMatcher<'a> {
    operation: &'a Operation,
    matching: &'a Matching,
    labels: ResultLabels,
    many: &'a Grouped,
    one: &'a Grouped,
    /// The element of the "one" side of each group at this step.
    partner: Vec<Option<usize>>,
    /// Whether each group has a result at this step.
    is_matched: Vec<bool>,
    /// The step and the group in which each result was last found.
    last_match: Vec<Option<(usize, usize)>>,
    results: HeldRows,
    /// The step at which each result last got a value.
    last_step: Vec<Option<usize>>,
    by_labels: HashMap<Labels, usize>,
    by_pair: HashMap<Pair, usize>,
    steps: usize,
    annotations: Annotations,
    /// Bytes of everything but the results.
    held: &'a mut HeldBytes,
}

impl StepMatcher<'_> {
    fn is_swapped(&self) -> bool {
        self.matching.cardinality == Cardinality::OneToMany
    }

    fn step(&mut self, step: usize) -> EvalResult<()> {
        let present = |side: &Grouped| side.rows.series.iter().any(|s| s.values.is_present(step));
        let (many_present, one_present) = (present(self.many), present(self.one));
        let nothing_matches =
            if self.matching.fills() { !many_present && !one_present } else { !many_present || !one_present };
        if nothing_matches {
            return Ok(());
        }
        self.is_matched.fill(false);
        self.find_partners(step)?;
        // As in the reference, `fill_left` stands in on the "many" side even where that is the right one.
        let (fill_many, fill_one) = (self.matching.fill_left, self.matching.fill_right);
        let (many, one) = (self.many, self.one);
        for (m, element) in many.rows.series.iter().enumerate() {
            let Some(value) = element.values.get(step) else { continue };
            let group = many.group_of[m] as usize;
            match (self.partner[group], fill_one) {
                (Some(o), _) => {
                    let Some(partner) = one.rows.series[o].values.get(step) else { continue };
                    self.result(step, group, (Some(m), Some(o)), value, partner)?;
                }
                (None, Some(fill)) => {
                    self.result(step, group, (Some(m), None), value, StepValue::Float(fill.value()))?;
                }
                (None, None) => {}
            }
        }
        let Some(fill) = fill_many else { return Ok(()) };
        for (o, element) in one.rows.series.iter().enumerate() {
            let Some(partner) = element.values.get(step) else { continue };
            let group = one.group_of[o] as usize;
            if !self.is_matched[group] {
                self.result(step, group, (None, Some(o)), StepValue::Float(fill.value()), partner)?;
            }
        }
        Ok(())
    }

    fn find_partners(&mut self, step: usize) -> EvalResult<()> {
        self.partner.fill(None);
        for (o, element) in self.one.rows.series.iter().enumerate() {
            if !element.values.is_present(step) {
                continue;
            }
            if let Some(other) = self.partner[self.one.group_of[o] as usize].replace(o) {
                return Err(self.several_partners(&element.labels, &self.one.rows.series[other].labels));
            }
        }
        Ok(())
    }

    fn several_partners(&self, a: &Labels, b: &Labels) -> QueryError {
        let side = if self.is_swapped() { "left" } else { "right" };
        let group = self.matching.group_labels(a);
        let (mut first, mut second) = (a.to_string(), b.to_string());
        if first > second {
            std::mem::swap(&mut first, &mut second);
        }
        QueryError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    fn result(
        &mut self,
        step: usize,
        group: usize,
        pair: Pair,
        many: StepValue<'_>,
        one: StepValue<'_>,
    ) -> EvalResult<()> {
        let (lhs, rhs) = if self.is_swapped() { (one, many) } else { (many, one) };
        let outcome = self.operation.combine(lhs, rhs, &mut self.annotations);
        if outcome == Outcome::Nothing {
            return Ok(());
        }
        let result = self.result_of(pair)?;
        if self.matching.cardinality == Cardinality::OneToOne {
            if self.is_matched[group] {
                return Err(QueryError::Execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                        .to_owned(),
                ));
            }
        } else if self.last_match[result].replace((step, group)) == Some((step, group)) {
            return Err(QueryError::Execution(
                "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
            ));
        }
        self.is_matched[group] = true;
        let settled = settle(outcome, self.operation.return_bool);
        if matches!(settled, Settled::Nothing) {
            return Ok(());
        }
        if self.last_step[result].replace(step) == Some(step) {
            return Err(QueryError::same_labelset());
        }
        let values = &mut self.results.series[result].values;
        match (settled, lhs) {
            (Settled::Float(value), _) | (Settled::Element, StepValue::Float(value)) => {
                values.set_float(step, value);
            }
            (Settled::Histogram(histogram), _) => values.set_histogram(step, histogram),
            (Settled::Element, StepValue::Histogram(histogram)) => {
                values.set_histogram(step, histogram.clone())
            }
            (Settled::Nothing, _) => {}
        }
        Ok(())
    }

    /// The result that a pair of elements contributes to.
    fn result_of(&mut self, pair: Pair) -> EvalResult<usize> {
        if let Some(&known) = self.by_pair.get(&pair) {
            return Ok(known);
        }
        let labels_of = |side: &Grouped, i: usize| side.rows.series[i].labels.clone();
        let stand_in = |side: &Grouped, i: usize| self.matching.group_labels(&side.rows.series[i].labels);
        let (many, one) = match pair {
            (Some(m), Some(o)) => (labels_of(self.many, m), labels_of(self.one, o)),
            (Some(m), None) => (labels_of(self.many, m), stand_in(self.many, m)),
            (None, Some(o)) => (stand_in(self.one, o), labels_of(self.one, o)),
            (None, None) => (Labels::empty(), Labels::empty()),
        };
        let labels = self.labels.of(&many, &one);
        self.held.make_table_room(&mut self.by_pair, 1)?;
        let result = match self.by_labels.get(&labels) {
            Some(&known) => known,
            None => {
                self.held.make_table_room(&mut self.by_labels, 1)?;
                self.held.make_room(&mut self.last_step, 1)?;
                self.held.make_room(&mut self.last_match, 1)?;
                let drop_name = self.operation.return_bool;
                let result = self.results.push_absent(labels.clone(), drop_name, self.steps)?;
                self.by_labels.insert(labels, result);
                self.last_step.push(None);
                self.last_match.push(None);
                result
            }
        };
        self.by_pair.insert(pair, result);
        Ok(result)
    }
}
