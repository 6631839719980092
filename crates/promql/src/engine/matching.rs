//! How elements of two vectors find each other.

use model::{Labels, LabelsBuilder};

use super::env::Env;
use super::grouping::{GroupKey, append_with, append_without};
use super::names::drop_metadata;
use super::plan::Matching;
use crate::ast::{BinaryOp, Cardinality};

impl GroupKey for Matching {
    fn append(&self, labels: &Labels, key: &mut Vec<u8>) {
        if self.on {
            append_with(labels, &self.labels, key);
        } else {
            append_without(labels, &self.labels, true, key);
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultLabels<'a> {
    pub matching: &'a Matching,
    pub drops_metadata: bool,
}

impl<'a> ResultLabels<'a> {
    pub fn new(env: &Env, op: BinaryOp, return_bool: bool, matching: &'a Matching) -> Self {
        let drops_metadata = changes_metric(op) || (return_bool && !env.settings.delayed_name_removal);
        Self { matching, drops_metadata }
    }

    /// The labels of the result of an element of the "many" side (the left one of one-to-one) and its
    /// partner.
    pub fn of(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = self.matching;
        let mut labels = if self.drops_metadata { drop_metadata(many.clone()) } else { many.clone() };
        if matching.cardinality == Cardinality::OneToOne {
            labels = if matching.on { labels.keep(&matching.labels) } else { labels.drop(&matching.labels) };
        }
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder = LabelsBuilder::from_labels(&labels);
        for name in &matching.include {
            builder.set(name, one.get_or_empty(name));
        }
        builder.build()
    }
}
