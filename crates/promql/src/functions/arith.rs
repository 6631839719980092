//! Binary operators applied to two values.

use std::sync::Arc;

use model::histogram::{HistogramError, Keep, Reconciled};
use model::{CounterResetHint, FloatHistogram};

use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::ast::BinaryOp;
use crate::engine::value::StepValue;

/// What a binary operator makes of two values.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(Arc<FloatHistogram>),
    /// Of a comparison: whether it holds. What value that lets through is up to the caller.
    Holds(bool),
    /// Nothing, not even for a comparison with `bool`; an annotation tells why.
    Nothing,
}

/// The result of an arithmetic operator on floats. Comparisons give 1 or 0; operators that are none of
/// floats give NaN.
#[inline]
pub fn floats(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        op if op.is_comparison() => f64::from(u8::from(compare(op, left, right))),
        _ => f64::NAN,
    }
}

/// Whether a comparison holds between floats; false for other operators.
#[inline]
pub fn compare(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Less => left < right,
        BinaryOp::LessEqual => left <= right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterEqual => left >= right,
        _ => false,
    }
}

/// Applies `op`, which is no set operator, to two values. `start` is where the operation stands in the
/// query.
pub fn combine(
    op: BinaryOp,
    left: StepValue<'_>,
    right: StepValue<'_>,
    start: usize,
    annotations: &mut Annotations,
) -> Outcome {
    let outcome = match (left, right) {
        (StepValue::Float(left), StepValue::Float(right)) => combine_floats(op, left, right),
        (StepValue::Float(left), StepValue::Histogram(right)) => {
            (op == BinaryOp::Mul).then(|| scaled(right, |h| h.mul(left)))
        }
        (StepValue::Histogram(left), StepValue::Float(right)) => match op {
            BinaryOp::Mul => Some(scaled(left, |h| h.mul(right))),
            BinaryOp::Div => Some(scaled(left, |h| h.div(right))),
            BinaryOp::TrimUpper => Some(trimmed(left, right, Keep::Below)),
            BinaryOp::TrimLower => Some(trimmed(left, right, Keep::Above)),
            _ => None,
        },
        (StepValue::Histogram(left), StepValue::Histogram(right)) => match op {
            BinaryOp::Equal => Some(Outcome::Holds(left == right)),
            BinaryOp::NotEqual => Some(Outcome::Holds(left != right)),
            BinaryOp::Add => {
                Some(combine_histograms(op, HistogramOperation::Addition, left, right, start, annotations))
            }
            BinaryOp::Sub => {
                Some(combine_histograms(op, HistogramOperation::Subtraction, left, right, start, annotations))
            }
            _ => None,
        },
    };
    outcome.unwrap_or_else(|| {
        let (left, right) = (type_name(left), type_name(right));
        annotations.add(Annotation::IncompatibleTypes { left, operator: op.as_str(), right }, start);
        Outcome::Nothing
    })
}

fn type_name(value: StepValue<'_>) -> &'static str {
    match value {
        StepValue::Float(_) => "float",
        StepValue::Histogram(_) => "histogram",
    }
}

fn combine_floats(op: BinaryOp, left: f64, right: f64) -> Option<Outcome> {
    match op {
        BinaryOp::TrimLower | BinaryOp::TrimUpper => None,
        op if op.is_comparison() => Some(Outcome::Holds(compare(op, left, right))),
        op => Some(Outcome::Float(floats(op, left, right))),
    }
}

fn scaled(histogram: &FloatHistogram, scale: impl FnOnce(&mut FloatHistogram)) -> Outcome {
    let mut result = histogram.clone();
    scale(&mut result);
    result.compact(0);
    Outcome::Histogram(Arc::new(result))
}

fn trimmed(histogram: &FloatHistogram, limit: f64, keep: Keep) -> Outcome {
    let mut result = histogram.clone();
    result.trim(limit, keep);
    Outcome::Histogram(Arc::new(result))
}

fn combine_histograms(
    op: BinaryOp,
    operation: HistogramOperation,
    left: &FloatHistogram,
    right: &FloatHistogram,
    start: usize,
    annotations: &mut Annotations,
) -> Outcome {
    let mut result = left.clone();
    let done = if operation == HistogramOperation::Addition { result.add(right) } else { result.sub(right) };
    match done {
        Ok(Reconciled { counter_reset_collision, custom_bounds }) => {
            if counter_reset_collision {
                // The contradiction is not resolved: no value rather than one of unknown meaning.
                annotations.add(Annotation::CounterResetCollision(operation), start);
                return Outcome::Nothing;
            }
            if custom_bounds {
                annotations.add(Annotation::MismatchedCustomBuckets(operation), start);
            }
        }
        Err(error) => {
            if error == HistogramError::IncompatibleSchema {
                annotations.add(Annotation::IncompatibleBucketLayout(op.as_str()), start);
            }
            return Outcome::Nothing;
        }
    }
    if operation == HistogramOperation::Subtraction {
        result.counter_reset_hint = CounterResetHint::Gauge;
    }
    result.compact(0);
    Outcome::Histogram(Arc::new(result))
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::*;

    fn histogram(counts: &[f64], hint: CounterResetHint) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            counter_reset_hint: hint,
            count: counts.iter().sum(),
            sum: 5.0,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        })
    }

    fn run(op: BinaryOp, left: StepValue<'_>, right: StepValue<'_>) -> (Outcome, Vec<String>) {
        let mut annotations = Annotations::default();
        let outcome = combine(op, left, right, 0, &mut annotations);
        (outcome, annotations.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn floats_combine() {
        let value = |op| floats(op, 7.0, -2.0);
        use BinaryOp::*;
        assert_eq!([Add, Sub, Mul, Div, Mod, Pow].map(value), [5.0, 9.0, -14.0, -3.5, 1.0, 1.0 / 49.0]);
        assert_eq!([Less, Greater, Equal, NotEqual].map(value), [0.0, 1.0, 0.0, 1.0]);
        assert!(floats(Mod, 1.0, 0.0).is_nan());
        assert_eq!(floats(Pow, -1.0, f64::INFINITY), 1.0);
        assert!(!compare(Equal, f64::NAN, f64::NAN));
        assert!(compare(NotEqual, f64::NAN, f64::NAN));
        let (outcome, notes) = run(TrimUpper, StepValue::Float(1.0), StepValue::Float(2.0));
        assert_eq!(outcome, Outcome::Nothing);
        assert_eq!(
            notes,
            ["PromQL info: incompatible sample types encountered for binary operator \"</\": float </ float"]
        );
    }

    #[test]
    fn histograms_scale_by_floats() {
        let one = histogram(&[2.0, 4.0], CounterResetHint::Unknown);
        let (outcome, notes) = run(BinaryOp::Mul, StepValue::Float(2.0), StepValue::Histogram(&one));
        let Outcome::Histogram(doubled) = outcome else { panic!("{outcome:?}") };
        assert_eq!((doubled.count, &doubled.positive_buckets[..]), (12.0, &[4.0, 8.0][..]));
        assert!(notes.is_empty());
        let (outcome, notes) = run(BinaryOp::Div, StepValue::Float(2.0), StepValue::Histogram(&one));
        assert_eq!(outcome, Outcome::Nothing);
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn histograms_add_subtract_and_compare() {
        let (a, b) = (
            histogram(&[2.0, 4.0], CounterResetHint::Unknown),
            histogram(&[2.0, 1.0], CounterResetHint::Unknown),
        );
        let (left, right) = (StepValue::Histogram(&a), StepValue::Histogram(&b));
        let (Outcome::Histogram(difference), _) = run(BinaryOp::Sub, left, right) else {
            panic!("no histogram")
        };
        assert_eq!(difference.counter_reset_hint, CounterResetHint::Gauge);
        // The first bucket is empty and compacted away.
        assert_eq!(difference.positive_buckets, [3.0]);
        assert_eq!(run(BinaryOp::Equal, left, left).0, Outcome::Holds(true));
        assert_eq!(run(BinaryOp::NotEqual, left, right).0, Outcome::Holds(true));
    }

    #[test]
    fn contradicting_reset_hints_give_nothing() {
        let a = histogram(&[2.0], CounterResetHint::CounterReset);
        let b = histogram(&[2.0], CounterResetHint::NotCounterReset);
        let (outcome, notes) = run(BinaryOp::Add, StepValue::Histogram(&a), StepValue::Histogram(&b));
        assert_eq!(outcome, Outcome::Nothing);
        assert_eq!(notes, ["PromQL warning: conflicting counter resets during histogram addition"]);
    }
}
