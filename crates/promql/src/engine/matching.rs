//! How elements of two vectors find each other.

use model::{Labels, LabelsBuilder, METRIC_NAME};

use super::env::Env;
use super::grouping::{GroupKey, is_among};
use super::names::is_metadata_label;
use super::operator::Operator;
use super::plan::Matching;
use crate::ast::{BinaryOp, Cardinality};

impl GroupKey for Matching {
    fn takes(&self, at: &mut usize, name: &str) -> bool {
        if self.on {
            is_among(&self.labels, at, name)
        } else {
            name != METRIC_NAME && !is_among(&self.labels, at, name)
        }
    }
}

impl Matching {
    /// The labels two elements must share to match.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        if self.on { labels.keep(&self.labels) } else { labels.drop(&self.labels).without_name() }
    }

    /// Whether a missing partner is replaced by a value.
    pub fn fills(&self) -> bool {
        self.fill_left.is_some() || self.fill_right.is_some()
    }
}

/// Whether the result of an operator is no longer a value of the metric.
pub(crate) fn changes_metric(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

/// Computes the labels of results.
#[derive(Debug, Clone)]
pub(crate) struct ResultLabels {
    matching: Matching,
    drops_metadata: bool,
}

impl ResultLabels {
    pub fn new(env: &Env, op: BinaryOp, return_bool: bool, matching: &Matching) -> Self {
        let drops_metadata = changes_metric(op) || (return_bool && !env.settings.delayed_name_removal);
        Self { matching: matching.clone(), drops_metadata }
    }

    /// Whether labels are copied from the "one" side.
    pub fn includes(&self) -> bool {
        !self.matching.include.is_empty()
    }

    /// Whether results are known to differ in their labels. `many` are the series of the "many" side,
    /// of which one-to-one matching uses at most one in each group.
    pub fn are_unique(&self, env: &Env, many: &dyn Operator) -> bool {
        if self.includes() {
            return false;
        }
        if self.matching.cardinality == Cardinality::OneToOne {
            // Groups differ in their labels; what is dropped beyond those of the group is the metadata.
            return self.matching.on || !self.drops_metadata || !env.settings.type_and_unit_labels;
        }
        !self.drops_metadata || many.is_unique_without_metadata()
    }

    /// Whether an element of the "many" side (the left one of one-to-one) passes this label on. Asked
    /// for in the order of names, with `at` at 0 first.
    pub fn passes_on(&self, at: &mut usize, name: &str) -> bool {
        let is_matched = is_among(&self.matching.labels, at, name);
        !(self.drops_metadata && is_metadata_label(name))
            && (self.matching.cardinality != Cardinality::OneToOne || is_matched == self.matching.on)
    }

    /// The labels of the result of an element of the "many" side and its partner.
    pub fn of(&self, many: &Labels, one: &Labels) -> Labels {
        let mut at = 0;
        let passed_on: Vec<(&str, &str)> =
            many.iter().filter(|(name, _)| self.passes_on(&mut at, name)).collect();
        let labels = Labels::from_sorted(passed_on.into_iter());
        if !self.includes() {
            return labels;
        }
        let mut builder = LabelsBuilder::from_labels(&labels);
        for name in &self.matching.include {
            builder.set(name, one.get_or_empty(name));
        }
        builder.build()
    }
}
