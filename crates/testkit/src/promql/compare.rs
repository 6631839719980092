//! Compares results with expectations. Numbers may differ by a millionth, relatively.

use model::labels::Quoted;
use model::number::general;
use model::{FloatHistogram, SampleColumns, Span, is_stale_nan};
use promql::engine::{MatrixSeries, QueryValue, VectorSample};
use promql::parser::series::SequenceValue;

use super::script::{Eval, EvalTime, ExpectedSeries, ExpectedValue};

/// The relative error allowed.
const EPSILON: f64 = 1e-6;

/// Compares the value of a query with what `eval` expects.
pub(super) fn compare(eval: &Eval, value: &QueryValue) -> Result<(), String> {
    match (value, &eval.expected) {
        (QueryValue::Scalar { value, .. }, ExpectedValue::Scalar(wanted)) => {
            if almost_equal(*wanted, *value) {
                return Ok(());
            }
            Err(format!("expected scalar {} but got {}", general(*wanted), general(*value)))
        }
        (QueryValue::Scalar { value, .. }, _) => {
            Err(format!("expected vector or matrix result, but got scalar {}", general(*value)))
        }
        (QueryValue::String { value, .. }, expected) => {
            let wanted = if let ExpectedValue::String(wanted) = expected { wanted } else { "" };
            if wanted == value {
                return Ok(());
            }
            Err(format!("expected string {} but got {}", Quoted(wanted), Quoted(value)))
        }
        (QueryValue::Vector(samples), ExpectedValue::Series(wanted)) => compare_vector(eval, wanted, samples),
        (QueryValue::Matrix(series), ExpectedValue::Series(wanted)) => compare_matrix(eval, wanted, series),
        (other, ExpectedValue::Scalar(_)) => {
            Err(format!("expected scalar result, but got {}", other.type_name()))
        }
        (other, ExpectedValue::String(_)) => {
            Err(format!("expected string result, but got {}", other.type_name()))
        }
    }
}

fn find<'a>(wanted: &'a [ExpectedSeries], labels: &model::Labels) -> Option<&'a ExpectedSeries> {
    wanted.iter().find(|series| series.labels == *labels)
}

fn compare_vector(eval: &Eval, wanted: &[ExpectedSeries], samples: &[VectorSample]) -> Result<(), String> {
    for (place, sample) in samples.iter().enumerate() {
        let labels = &sample.labels;
        let Some(expected) = find(wanted, labels) else {
            return Err(format!("unexpected metric {labels} in result, has value {}", shown(sample)));
        };
        if eval.expectations.ordered && expected.position != place + 1 {
            let (wanted, got) = (expected.position, place + 1);
            return Err(format!("expected metric {labels} at position {wanted} but was at {got}"));
        }
        let matches = match (expected.values.first(), &sample.histogram) {
            (Some(SequenceValue::Histogram { histogram, hint_given }), Some(got)) => {
                histograms_equal(histogram, got, *hint_given)
            }
            (Some(SequenceValue::Float(wanted)), None) => almost_equal(*wanted, sample.value),
            _ => false,
        };
        if !matches {
            let wanted = expected.values.first().map_or_else(|| "no value".to_owned(), shown_value);
            return Err(format!("expected {wanted} for {labels} but got {}", shown(sample)));
        }
    }
    match wanted.iter().find(|series| !samples.iter().any(|sample| sample.labels == series.labels)) {
        Some(missing) => Err(format!("expected metric {} not found", missing.labels)),
        None => Ok(()),
    }
}

fn compare_matrix(eval: &Eval, wanted: &[ExpectedSeries], matrix: &[MatrixSeries]) -> Result<(), String> {
    if eval.expectations.ordered {
        return Err("expected ordered result, but query returned a matrix".to_owned());
    }
    check_sorted(matrix)?;
    for series in matrix {
        let labels = &series.labels;
        let Some(expected) = find(wanted, labels) else {
            return Err(format!(
                "unexpected metric {labels} in result, has {}",
                shown_samples(&series.samples)
            ));
        };
        compare_samples(eval, expected, &series.samples).map_err(|problem| {
            format!("{problem} for {labels} (result has {})", shown_samples(&series.samples))
        })?;
    }
    match wanted.iter().find(|series| !matrix.iter().any(|got| got.labels == series.labels)) {
        Some(missing) => Err(format!("expected metric {} not found", missing.labels)),
        None => Ok(()),
    }
}

/// Fails unless series are in label order, as every matrix is.
pub(super) fn check_sorted(matrix: &[MatrixSeries]) -> Result<(), String> {
    match matrix.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        Some(pair) => {
            let (before, after) = (&pair[0].labels, &pair[1].labels);
            Err(format!("matrix results should be sorted by labels, but {before} comes before {after}"))
        }
        None => Ok(()),
    }
}

fn compare_samples(eval: &Eval, expected: &ExpectedSeries, got: &SampleColumns) -> Result<(), String> {
    let (start_ms, end_ms, step_ms) = match eval.time {
        EvalTime::Range { start_ms, end_ms, step_ms } => (start_ms, end_ms, step_ms),
        EvalTime::Instant { samples: Some(times), .. } => times,
        EvalTime::Instant { .. } => {
            return Err("expected an instant vector, but got samples of a range vector".to_owned());
        }
    };
    let mut wanted = Vec::with_capacity(expected.values.len());
    for (i, value) in expected.values.iter().enumerate() {
        let t_ms = start_ms + step_ms * i64::try_from(i).unwrap_or(i64::MAX);
        if t_ms > end_ms {
            let count = expected.values.len();
            return Err(format!(
                "expected {count} points, but query time range cannot return this many points"
            ));
        }
        if *value != SequenceValue::Omitted {
            wanted.push((t_ms, value));
        }
    }
    if wanted.len() != got.len() {
        return Err(format!("expected {} points, but got {}", wanted.len(), got.len()));
    }
    for (i, (t_ms, value)) in wanted.into_iter().enumerate() {
        let got_ms = got.timestamps_ms[i];
        if got_ms != t_ms {
            return Err(format!("expected timestamp {t_ms} at index {i}, but got {got_ms}"));
        }
        let matches = match (value, got.histogram(i)) {
            (SequenceValue::Histogram { histogram, hint_given }, Some(got)) => {
                histograms_equal(histogram, got, *hint_given)
            }
            (SequenceValue::Float(wanted), None) => almost_equal(*wanted, got.values[i]),
            _ => false,
        };
        if !matches {
            return Err(format!("expected {} at index {i} (t={t_ms})", shown_value(value)));
        }
    }
    Ok(())
}

/// Equal up to a relative error. Staleness markers equal only each other; other NaNs equal each other.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Equal up to relative errors of counts and sum. The counter-reset hint matters only where the
/// script states it.
fn histograms_equal(wanted: &FloatHistogram, got: &FloatHistogram, with_hint: bool) -> bool {
    let compacted = |histogram: &FloatHistogram| {
        let mut copy = histogram.clone();
        copy.compact(0);
        copy
    };
    let (wanted, got) = (compacted(wanted), compacted(got));
    let all_equal =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| almost_equal(a, b));
    wanted.schema == got.schema
        && almost_equal(wanted.count, got.count)
        && almost_equal(wanted.sum, got.sum)
        && (!wanted.uses_custom_buckets() || wanted.custom_bounds() == got.custom_bounds())
        && wanted.zero_threshold == got.zero_threshold
        && almost_equal(wanted.zero_count, got.zero_count)
        && bucket_indexes(&wanted.positive_spans) == bucket_indexes(&got.positive_spans)
        && bucket_indexes(&wanted.negative_spans) == bucket_indexes(&got.negative_spans)
        && all_equal(&wanted.positive_buckets, &got.positive_buckets)
        && all_equal(&wanted.negative_buckets, &got.negative_buckets)
        && (!with_hint || wanted.counter_reset_hint == got.counter_reset_hint)
}

/// Runs of buckets as `(first index, length)`, however the spans are cut.
fn bucket_indexes(spans: &[Span]) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::with_capacity(spans.len());
    let mut next = 0;
    for span in spans {
        next += i64::from(span.offset);
        let length = i64::from(span.length);
        match runs.last_mut() {
            Some(run) if run.0 + run.1 == next => run.1 += length,
            _ if length > 0 => runs.push((next, length)),
            _ => {}
        }
        next += length;
    }
    runs
}

fn shown(sample: &VectorSample) -> String {
    match &sample.histogram {
        Some(histogram) => histogram.test_expression(),
        None => general(sample.value).to_string(),
    }
}

fn shown_value(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".to_owned(),
        SequenceValue::Float(value) => general(*value).to_string(),
        SequenceValue::Histogram { histogram, .. } => histogram.test_expression(),
    }
}

fn shown_samples(samples: &SampleColumns) -> String {
    let one = |i: usize| {
        let value = match samples.histogram(i) {
            Some(histogram) => histogram.test_expression(),
            None => general(samples.values[i]).to_string(),
        };
        format!("{value} @[{}]", samples.timestamps_ms[i])
    };
    (0..samples.len()).map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_equal_numbers_are_equal() {
        assert!(almost_equal(1.0, 1.000_001));
        assert!(!almost_equal(1.0, 1.000_01));
        assert!(almost_equal(f64::NAN, -f64::NAN));
        assert!(!almost_equal(f64::NAN, model::stale_nan()));
        assert!(almost_equal(f64::INFINITY, f64::INFINITY));
        assert!(!almost_equal(f64::INFINITY, f64::MAX));
        assert!(!almost_equal(0.0, 1e-12));
    }

    #[test]
    fn spans_that_cut_runs_differently_are_equal() {
        let whole = [Span { offset: 2, length: 3 }];
        let cut =
            [Span { offset: 2, length: 1 }, Span { offset: 0, length: 2 }, Span { offset: 5, length: 0 }];
        assert_eq!(bucket_indexes(&whole), bucket_indexes(&cut));
    }
}
