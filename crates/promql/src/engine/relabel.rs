//! `label_replace` and `label_join`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::regex::AnchoredRegex;
use model::{Labels, LabelsBuilder, METRIC_NAME};

use super::calls::string_arg;
use super::env::{HeldBytes, Scratch};
use super::error::{EvalResult, QueryError};
use super::names::is_valid_label_name;
use super::open::{Opener, Scope};
use super::operator::{Collision, Operator, SharedOperator, collect_labels, resolve_collisions};
use super::plan::NodeId;
use super::value::StepVector;

/// The series of an operator under other labels, which are computed when it is opened.
struct Relabelled {
    input: SharedOperator,
    labels: Vec<Labels>,
    /// Series whose name has been set anew, so that it stays.
    keeps_name: Vec<bool>,
    _held: HeldBytes,
}

impl Operator for Relabelled {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.labels[i].clone()
    }

    fn drop_name(&self, i: usize) -> bool {
        !self.keeps_name[i] && self.input.drop_name(i)
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        self.input.evaluate(i, scratch, out)
    }
}

/// Gives each series of a node the labels `change` makes of its own; none to leave them.
fn open_relabelled(
    opener: &mut Opener<'_>,
    input: NodeId,
    target: &str,
    scope: Scope,
    change: impl Fn(&Labels) -> Option<Labels> + Sync,
) -> EvalResult<SharedOperator> {
    let input = opener.vector(input, scope)?;
    let sets_name = target == METRIC_NAME;
    let mut bytes = HeldBytes::of(&opener.env, input.len())?;
    let names_set: Vec<AtomicBool> = (0..input.len()).map(|_| AtomicBool::new(false)).collect();
    let labels = collect_labels(input.len(), &mut bytes, |i| {
        let labels = input.labels(i);
        match change(&labels) {
            Some(changed) => {
                names_set[i].store(sets_name, Ordering::Relaxed);
                changed
            }
            None => labels,
        }
    })?;
    let keeps_name = names_set.into_iter().map(AtomicBool::into_inner).collect();
    let relabelled = Arc::new(Relabelled { input: input.clone(), labels, keeps_name, _held: bytes });
    resolve_collisions(relabelled, &opener.env, scope.grid.len, Collision::MergeSteps)
}

/// Opens `label_replace`.
pub(crate) fn open_label_replace(
    opener: &mut Opener<'_>,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let text = |arg: usize| string_arg(opener, args[arg]);
    let (target, replacement, source, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let regex = AnchoredRegex::new(&pattern).map_err(|_| {
        QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    if !is_valid_label_name(&target) {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_replace(): {target}"
        )));
    }
    open_relabelled(opener, args[0], &target, scope, |labels| {
        let mut value = String::new();
        regex.captures(labels.get_or_empty(&source))?.expand(&replacement, &mut value);
        Some(LabelsBuilder::from_labels(labels).set(&target, &value).build())
    })
}

/// Opens `label_join`.
pub(crate) fn open_label_join(
    opener: &mut Opener<'_>,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let (target, separator) = (string_arg(opener, args[1])?, string_arg(opener, args[2])?);
    let sources = args[3..].iter().map(|&arg| string_arg(opener, arg)).collect::<EvalResult<Vec<_>>>()?;
    for name in &sources {
        if !is_valid_label_name(name) {
            return Err(QueryError::Execution(format!("invalid source label name in label_join(): {name}")));
        }
    }
    if !is_valid_label_name(&target) {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_join(): {target}"
        )));
    }
    open_relabelled(opener, args[0], &target, scope, |labels| {
        let values: Vec<&str> = sources.iter().map(|name| labels.get_or_empty(name)).collect();
        Some(LabelsBuilder::from_labels(labels).set(&target, &values.join(&separator)).build())
    })
}
