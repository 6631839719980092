//! Matching of vectors whose partners change from step to step.

use std::collections::HashMap;

use model::Labels;

use super::binary::{Grouped, Operation, Settled, settle};
use super::env::Env;
use super::error::{EvalResult, QueryError};
use super::matching::ResultLabels;
use super::operator::HeldSeries;
use super::plan::Matching;
use super::value::{StepValue, StepVector};
use crate::annotations::Annotations;
use crate::ast::Cardinality;
use crate::functions::arith::Outcome;

/// Applies `operation` to the elements of `many` and `one` that match at each step.
pub(crate) fn match_steps(
    env: &Env,
    operation: &Operation,
    matching: &Matching,
    many: Vec<Grouped>,
    one: Vec<Grouped>,
    groups: usize,
    steps: usize,
) -> EvalResult<Vec<HeldSeries>> {
    let mut matcher = StepMatcher {
        operation,
        matching,
        labels: ResultLabels::new(env, operation.op, operation.return_bool, matching),
        many: &many,
        one: &one,
        partner: vec![None; groups],
        is_matched: vec![false; groups],
        last_match: Vec::new(),
        results: Vec::new(),
        last_step: Vec::new(),
        by_labels: HashMap::new(),
        by_pair: HashMap::new(),
        steps,
        annotations: Annotations::default(),
    };
    for step in 0..steps {
        env.check()?;
        matcher.step(step)?;
    }
    let StepMatcher { results, annotations, .. } = matcher;
    env.annotate(|all| all.merge(annotations));
    Ok(results.into_iter().filter(|series| !series.values.is_all_absent()).collect())
}

/// The elements of a result: by place among the held series, or missing and filled.
type Pair = (Option<usize>, Option<usize>);

struct StepMatcher<'a> {
    operation: &'a Operation,
    matching: &'a Matching,
    labels: ResultLabels,
    many: &'a [Grouped],
    one: &'a [Grouped],
    /// The element of the "one" side of each group at this step.
    partner: Vec<Option<usize>>,
    /// Whether each group has a result at this step.
    is_matched: Vec<bool>,
    /// The step and the group in which each result was last found.
    last_match: Vec<Option<(usize, usize)>>,
    results: Vec<HeldSeries>,
    /// The step at which each result last got a value.
    last_step: Vec<Option<usize>>,
    by_labels: HashMap<Labels, usize>,
    by_pair: HashMap<Pair, usize>,
    steps: usize,
    annotations: Annotations,
}

impl StepMatcher<'_> {
    fn is_swapped(&self) -> bool {
        self.matching.cardinality == Cardinality::OneToMany
    }

    fn step(&mut self, step: usize) -> EvalResult<()> {
        let present = |series: &[Grouped]| series.iter().any(|s| s.series.values.is_present(step));
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
        for (m, element) in many.iter().enumerate() {
            let Some(value) = element.series.values.get(step) else { continue };
            match (self.partner[element.group], fill_one) {
                (Some(o), _) => {
                    let Some(partner) = one[o].series.values.get(step) else { continue };
                    self.result(step, element.group, (Some(m), Some(o)), value, partner)?;
                }
                (None, Some(fill)) => {
                    self.result(step, element.group, (Some(m), None), value, StepValue::Float(fill.value()))?;
                }
                (None, None) => {}
            }
        }
        let Some(fill) = fill_many else { return Ok(()) };
        for (o, element) in one.iter().enumerate() {
            let Some(partner) = element.series.values.get(step) else { continue };
            if !self.is_matched[element.group] {
                self.result(step, element.group, (None, Some(o)), StepValue::Float(fill.value()), partner)?;
            }
        }
        Ok(())
    }

    fn find_partners(&mut self, step: usize) -> EvalResult<()> {
        self.partner.fill(None);
        for (o, element) in self.one.iter().enumerate() {
            if !element.series.values.is_present(step) {
                continue;
            }
            if let Some(other) = self.partner[element.group].replace(o) {
                return Err(self.several_partners(&element.series.labels, &self.one[other].series.labels));
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
        let result = self.result_of(pair);
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
        let values = &mut self.results[result].values;
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
    fn result_of(&mut self, pair: Pair) -> usize {
        if let Some(&known) = self.by_pair.get(&pair) {
            return known;
        }
        let stand_in = |other: &Grouped| self.matching.group_labels(&other.series.labels);
        let (many, one) = match pair {
            (Some(m), Some(o)) => (self.many[m].series.labels.clone(), self.one[o].series.labels.clone()),
            (Some(m), None) => (self.many[m].series.labels.clone(), stand_in(&self.many[m])),
            (None, Some(o)) => (stand_in(&self.one[o]), self.one[o].series.labels.clone()),
            (None, None) => (Labels::empty(), Labels::empty()),
        };
        let labels = self.labels.of(&many, &one);
        let result = *self.by_labels.entry(labels.clone()).or_insert_with(|| {
            let drop_name = self.operation.return_bool;
            self.results.push(HeldSeries { labels, drop_name, values: StepVector::absent(self.steps) });
            self.last_step.push(None);
            self.last_match.push(None);
            self.results.len() - 1
        });
        self.by_pair.insert(pair, result);
        result
    }
}
