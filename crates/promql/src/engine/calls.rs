//! Functions of instant vectors.

use std::sync::Arc;

use super::error::{EvalResult, QueryError};
use super::histogram::{HistogramReading, Reading};
use super::mapped::{Mapped, Transform};
use super::names::LabelEffect;
use super::open::{Opener, Scope};
use super::operator::{HeldRows, HeldSeries, Materialized, SharedOperator};
use super::plan::{Kind, NodeId};
use super::relabel;
use super::selector::Facet;
use super::sort::{SortBy, open_sort};
use super::value::StepVector;
use crate::annotations::Annotation;
use crate::functions::date::DatePart;
use crate::functions::math::plain_function;
use crate::functions::native::HistogramStatistic;

/// Opens the function `name`, which is not one of a range vector.
pub(crate) fn open_call(
    opener: &mut Opener<'_>,
    id: NodeId,
    name: &'static str,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    if let Some(function) = plain_function(name) {
        return map(opener, args[0], Transform::Float(function), LabelEffect::DropMetadata, scope);
    }
    if let Some(statistic) = HistogramStatistic::from_name(name) {
        return map(opener, args[0], Transform::Histogram(statistic), LabelEffect::DropName, scope);
    }
    if let Some(part) = DatePart::from_name(name) {
        return open_date(opener, part, args, scope);
    }
    match name {
        "clamp" | "clamp_min" | "clamp_max" => open_clamp(opener, name, args, scope),
        "round" => {
            let to_nearest = optional_scalar(opener, args.get(1), 1.0, scope)?;
            map(opener, args[0], Transform::Round { to_nearest }, LabelEffect::DropMetadata, scope)
        }
        "timestamp" | "start_timestamp" => open_timestamp(opener, name, args[0], scope),
        "vector" => {
            let values = opener.scalar(args[0], scope)?;
            one_series(opener, values.to_vec())
        }
        "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
            open_reading(opener, id, name, args, scope)
        }
        "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
            open_sorted(opener, id, name, args, scope)
        }
        "label_replace" => relabel::open_label_replace(opener, args, scope),
        "label_join" => relabel::open_label_join(opener, args, scope),
        _ => Err(QueryError::Execution(format!("function {name:?} is not one of an instant vector"))),
    }
}

fn map(
    opener: &mut Opener<'_>,
    input: NodeId,
    transform: Transform,
    effect: LabelEffect,
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let input = opener.vector(input, scope)?;
    Mapped::open(&opener.env, input, transform, effect, scope.grid.len)
}

fn one_series(opener: &Opener<'_>, values: Vec<f64>) -> EvalResult<SharedOperator> {
    let values = StepVector { values, histograms: Vec::new() };
    let mut rows = HeldRows::new(&opener.env)?;
    rows.push(HeldSeries::new(model::Labels::empty(), values))?;
    Ok(Materialized::new(rows).unique_without_metadata(true).shared())
}

fn optional_scalar(
    opener: &mut Opener<'_>,
    arg: Option<&NodeId>,
    default: f64,
    scope: Scope,
) -> EvalResult<Arc<[f64]>> {
    match arg {
        Some(&arg) => opener.scalar(arg, scope),
        None => Ok(vec![default; scope.grid.len].into()),
    }
}

/// The string a node holds.
pub(crate) fn string_arg(opener: &Opener<'_>, arg: NodeId) -> EvalResult<String> {
    match &opener.plan.node(arg).kind {
        Kind::String(text) => Ok(text.clone()),
        _ => Err(QueryError::Execution("expected a string".to_owned())),
    }
}

fn open_date(
    opener: &mut Opener<'_>,
    part: DatePart,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    match args.first() {
        Some(&arg) => map(opener, arg, Transform::Date(part), LabelEffect::DropMetadata, scope),
        None => {
            let grid = scope.grid;
            one_series(opener, (0..grid.len).map(|step| part.of_timestamp(grid.time_ms(step))).collect())
        }
    }
}

fn open_clamp(
    opener: &mut Opener<'_>,
    name: &str,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let (low, high) = match name {
        "clamp" => (args.get(1), args.get(2)),
        "clamp_min" => (args.get(1), None),
        _ => (None, args.get(1)),
    };
    let low = optional_scalar(opener, low, f64::NEG_INFINITY, scope)?;
    let high = optional_scalar(opener, high, f64::INFINITY, scope)?;
    map(opener, args[0], Transform::Clamp { low, high }, LabelEffect::DropMetadata, scope)
}

fn open_timestamp(
    opener: &mut Opener<'_>,
    name: &str,
    arg: NodeId,
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let is_start = name == "start_timestamp";
    if is_start && !opener.env.settings.start_timestamps {
        return opener.nothing();
    }
    let facet = if is_start { Facet::StartTimestamp } else { Facet::Timestamp };
    if let Some(input) = opener.sample_time(arg, facet, scope)? {
        return Mapped::open(
            &opener.env,
            input,
            Transform::Nothing,
            LabelEffect::DropMetadata,
            scope.grid.len,
        );
    }
    if is_start {
        // A computed value has no start.
        return opener.nothing();
    }
    map(opener, arg, Transform::StepTime(scope.grid), LabelEffect::DropMetadata, scope)
}

fn open_reading(
    opener: &mut Opener<'_>,
    id: NodeId,
    name: &str,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let (reading, vector) = match name {
        "histogram_quantile" => {
            let quantiles = quantile_arg(opener, id, args, 0, scope)?;
            (Reading::Quantile(quantiles), 1)
        }
        "histogram_quantiles" => {
            let label = string_arg(opener, args[1])?;
            let quantiles = (2..args.len())
                .map(|arg| quantile_arg(opener, id, args, arg, scope))
                .collect::<EvalResult<Vec<_>>>()?;
            (Reading::Quantiles { label, quantiles }, 0)
        }
        _ => {
            let (lower, upper) = (opener.scalar(args[0], scope)?, opener.scalar(args[1], scope)?);
            (Reading::Fraction(lower, upper), 2)
        }
    };
    let input = opener.vector(args[vector], scope)?;
    HistogramReading::open(&opener.env, input, reading, opener.arg_start(id, vector), scope.grid)
}

/// A quantile argument, with a warning for each value out of range.
fn quantile_arg(
    opener: &mut Opener<'_>,
    id: NodeId,
    args: &[NodeId],
    arg: usize,
    scope: Scope,
) -> EvalResult<Arc<[f64]>> {
    let quantiles = opener.scalar(args[arg], scope)?;
    let start = opener.arg_start(id, arg);
    opener.env.annotate(|annotations| {
        for &q in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            annotations.add(Annotation::invalid_quantile(q), start);
        }
    });
    Ok(quantiles)
}

fn open_sorted(
    opener: &mut Opener<'_>,
    id: NodeId,
    name: &str,
    args: &[NodeId],
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let by = match name {
        "sort" => SortBy::Value { descending: false },
        "sort_desc" => SortBy::Value { descending: true },
        _ => {
            let names =
                args[1..].iter().map(|&arg| string_arg(opener, arg)).collect::<EvalResult<Vec<_>>>()?;
            SortBy::Labels { names, descending: name == "sort_by_label_desc" }
        }
    };
    let input = opener.vector(args[0], scope)?;
    if scope.grid.len > 1 {
        // Series of a range query are always in the order of their labels.
        let start = opener.plan.node(id).span.start;
        opener.env.annotate(|annotations| annotations.add(Annotation::SortInRangeQuery, start));
        let transform = match by {
            SortBy::Value { .. } => Transform::FloatsOnly,
            SortBy::Labels { .. } => Transform::Nothing,
        };
        return Mapped::open(&opener.env, input, transform, LabelEffect::Keep, scope.grid.len);
    }
    open_sort(&opener.env, &*input, &by)
}
