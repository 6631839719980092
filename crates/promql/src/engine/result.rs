//! From the root of a plan to the value a query returns.

use base::Reservation;
use model::{Labels, SampleColumns};
use rayon::prelude::*;

use super::env::{Env, HeldBytes};
use super::error::{EvalResult, QueryError};
use super::grouping::all_differ;
use super::names::drop_metadata;
use super::open::{Opener, Scope, once};
use super::operator::{Collision, HeldRows, HeldSeries, Operator, drive, label_bytes, merge_equal_labels};
use super::plan::{Kind, NodeId};
use super::range::{RangeSource, Windowing, samples_in};
use super::stats::{QueryStats, Stopwatch};
use super::value::{MatrixSeries, QueryValue, RangeExtension, StepGrid, StepVector, VectorSample, is_absent};
use crate::annotations::Annotations;
use crate::ast::ValueType;
use crate::functions::extended::extend_floats;

/// The outcome of a query. Its memory counts against the query's byte budget until it is dropped.
#[derive(Debug)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// What the query has to tell besides; texts by [`QueryResult::warnings_and_infos`].
    pub annotations: Annotations,
    /// What it cost.
    pub stats: QueryStats,
    query: String,
    _held: Reservation,
}

impl QueryResult {
    pub(crate) fn new(
        query: &str,
        value: QueryValue,
        annotations: Annotations,
        stats: QueryStats,
        held: Reservation,
    ) -> Self {
        Self { value, annotations, stats, query: query.to_owned(), _held: held }
    }

    /// The texts of warnings and of infos, with their places in the query; at most `max` of each, 0 for
    /// all.
    pub fn warnings_and_infos(&self, max: usize) -> (Vec<String>, Vec<String>) {
        self.annotations.as_strings(&self.query, max, max)
    }
}

/// Evaluates the root of the plan.
pub(crate) fn evaluate_root(
    opener: &mut Opener<'_>,
    scope: Scope,
    is_instant: bool,
    stopwatch: &mut Stopwatch,
) -> EvalResult<(QueryValue, Reservation)> {
    let root = opener.plan.root();
    let node = opener.plan.node(root);
    let t_ms = scope.grid.start_ms;
    let mut held = HeldBytes::new(&opener.env)?;
    let value = match (node.value_type, &node.kind) {
        (ValueType::String, Kind::String(text)) => QueryValue::String { t_ms, value: text.clone() },
        (ValueType::Scalar, _) => {
            let values = opener.scalar(root, scope)?;
            if is_instant {
                QueryValue::Scalar { t_ms, value: values[0] }
            } else {
                scalar_matrix(&values, &scope.grid)
            }
        }
        (ValueType::Matrix, _) => range_value(opener, root, scope, &mut held, stopwatch)?,
        _ if is_instant => instant_value(opener, root, scope, &mut held)?,
        _ => matrix_value(opener, root, scope, &mut held, stopwatch)?,
    };
    let warnings = opener.env.ctx.take_warnings();
    if !warnings.is_empty() {
        opener.env.annotate(|all| warnings.iter().for_each(|text| all.add_storage_warning(text)));
    }
    Ok((value, held.into_reservation()))
}

fn scalar_matrix(values: &[f64], grid: &StepGrid) -> QueryValue {
    if values.is_empty() {
        return QueryValue::Matrix(Vec::new());
    }
    let samples = SampleColumns {
        timestamps_ms: (0..grid.len).map(|step| grid.time_ms(step)).collect(),
        values: values.to_vec(),
        ..SampleColumns::default()
    };
    QueryValue::Matrix(vec![MatrixSeries { labels: Labels::empty(), samples }])
}

/// The labels a series has in the result.
fn final_labels(env: &Env, operator: &dyn Operator, i: usize) -> Labels {
    let labels = operator.labels(i);
    if env.settings.delayed_name_removal && operator.drop_name(i) { drop_metadata(labels) } else { labels }
}

fn instant_value(
    opener: &mut Opener<'_>,
    root: NodeId,
    scope: Scope,
    held: &mut HeldBytes,
) -> EvalResult<QueryValue> {
    // A plan evaluated once gives the same as one evaluated at its one step.
    let operator = opener.vector(root, scope)?;
    let env = opener.env.clone();
    let t_ms = scope.grid.start_ms;
    let mut vector = Vec::new();
    drive(&*operator, &env, 1, |first, rows| {
        let mut bytes = 0;
        for (offset, row) in rows.iter().enumerate() {
            let value = row.values[0];
            if is_absent(value) {
                continue;
            }
            let histogram = row.histogram(0).cloned();
            let labels = final_labels(&env, &*operator, first + offset);
            bytes += label_bytes(&labels) + histogram.as_ref().map_or(0, |h| h.memory_bytes());
            let value = if histogram.is_some() { 0.0 } else { value };
            held.make_room(&mut vector, 1)?;
            vector.push(VectorSample { labels, t_ms, value, histogram });
        }
        held.add(bytes)
    })?;
    env.samples.settle(0, vector.len() as i64)?;
    if env.settings.delayed_name_removal {
        refuse_equal_labels(&env, vector.len(), |i| &vector[i].labels)?;
    }
    Ok(QueryValue::Vector(vector))
}

fn matrix_value(
    opener: &mut Opener<'_>,
    root: NodeId,
    scope: Scope,
    held: &mut HeldBytes,
    stopwatch: &mut Stopwatch,
) -> EvalResult<QueryValue> {
    let operator = opener.vector(root, scope)?;
    let env = opener.env.clone();
    let mut rows = HeldRows::new(&env)?;
    if scope.grid.len > 0 {
        drive(&*operator, &env, scope.grid.len, |first, block| {
            for (offset, row) in block.iter_mut().enumerate() {
                if row.is_all_absent() {
                    continue;
                }
                let labels = final_labels(&env, &*operator, first + offset);
                // Its steps are counted when it is pushed; here its samples.
                rows.bytes.add(row.memory_bytes() * 2 + size_of::<MatrixSeries>())?;
                rows.push(HeldSeries::new(labels, std::mem::take(row)))?;
            }
            Ok(())
        })?;
    }
    if env.settings.delayed_name_removal {
        merge_equal_labels(&env, &mut rows, Collision::MergeSteps)?;
    }
    let HeldRows { series, bytes } = rows;
    held.absorb(bytes);
    let matrix: Vec<MatrixSeries> = series
        .into_par_iter()
        .with_min_len(64)
        .map(|series| MatrixSeries {
            labels: series.labels,
            samples: samples_of(&series.values, &scope.grid),
        })
        .collect();
    let remains = |series: &MatrixSeries| {
        series.samples.memory_bytes() + label_bytes(&series.labels) + size_of::<MatrixSeries>()
    };
    held.shrink_to(matrix.iter().map(remains).sum());
    env.samples.settle(0, matrix.iter().map(|s| s.samples.len() as i64).sum())?;
    Ok(QueryValue::Matrix(sort_matrix(matrix, stopwatch)))
}

fn samples_of(values: &StepVector, grid: &StepGrid) -> SampleColumns {
    let mut samples = SampleColumns::default();
    if !values.has_histograms() {
        let present = values.values.iter().filter(|&&v| !is_absent(v)).count();
        samples.timestamps_ms.reserve_exact(present);
        samples.values.reserve_exact(present);
    }
    for (step, &value) in values.values.iter().enumerate() {
        if is_absent(value) {
            continue;
        }
        match values.histogram(step) {
            Some(histogram) => samples.push_histogram(grid.time_ms(step), histogram.clone()),
            None => samples.push_float(grid.time_ms(step), value),
        }
    }
    samples
}

fn sort_matrix(mut matrix: Vec<MatrixSeries>, stopwatch: &mut Stopwatch) -> Vec<MatrixSeries> {
    stopwatch.evaluated();
    matrix.par_sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    matrix
}

/// The value of a range vector in an instant query.
fn range_value(
    opener: &mut Opener<'_>,
    root: NodeId,
    scope: Scope,
    held: &mut HeldBytes,
    stopwatch: &mut Stopwatch,
) -> EvalResult<QueryValue> {
    let (source, windowing) = opener.range(root, once(scope))?;
    let env = opener.env.clone();
    let mut matrix = Vec::new();
    for i in 0..source.len() {
        env.check()?;
        let mut samples = env.with_scratch(|scratch| {
            let mut columns = SampleColumns::default();
            source.load(i, &env, scratch, &mut columns)?;
            let loaded = samples_in(&columns, 0..columns.len());
            scratch.held += loaded.cast_signed();
            scratch.counts.add(scope.tally, env.settings.per_step_stats, 1, |_| loaded);
            Ok(columns)
        })?;
        show_extended(&mut samples, &windowing)?;
        if samples.is_empty() {
            continue;
        }
        let labels = range_labels(&env, &source, i);
        held.add(samples.memory_bytes() + label_bytes(&labels))?;
        samples.start_timestamps_ms = Vec::new();
        held.make_room(&mut matrix, 1)?;
        matrix.push(MatrixSeries { labels, samples });
    }
    if env.settings.delayed_name_removal {
        refuse_equal_labels(&env, matrix.len(), |i| &matrix[i].labels)?;
    }
    Ok(QueryValue::Matrix(sort_matrix(matrix, stopwatch)))
}

fn range_labels(env: &Env, source: &RangeSource, i: usize) -> Labels {
    let labels = source.labels(i);
    if env.settings.delayed_name_removal && source.drop_name(i) { drop_metadata(labels) } else { labels }
}

fn refuse_equal_labels<'a>(
    env: &Env,
    len: usize,
    labels: impl Fn(usize) -> &'a Labels + Sync,
) -> EvalResult<()> {
    let differ = all_differ(env, len, |i, hasher| hasher.hash_labels(labels(i)))?;
    if differ { Ok(()) } else { Err(QueryError::same_labelset()) }
}

/// Replaces what was loaded around an extended range by values at its ends.
fn show_extended(samples: &mut SampleColumns, windowing: &Windowing) -> EvalResult<()> {
    let modifier = match windowing.extension {
        RangeExtension::None => return Ok(()),
        RangeExtension::Anchored => "anchored",
        RangeExtension::Smoothed => "smoothed",
    };
    if !samples.histograms.is_empty() {
        return Err(QueryError::Execution(format!("{modifier} modifier is not supported with histograms")));
    }
    let end_ms = windowing.shift.apply(windowing.grid.start_ms);
    let start_ms = end_ms - windowing.range_ms;
    let is_smoothed = windowing.extension == RangeExtension::Smoothed;
    let (times, values) =
        extend_floats(&samples.timestamps_ms, &samples.values, start_ms, end_ms, is_smoothed);
    samples.timestamps_ms = times;
    samples.values = values;
    Ok(())
}
