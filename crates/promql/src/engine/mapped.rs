//! Functions and operators that turn one series into one series, step by step.

use std::sync::Arc;

use model::Labels;

use super::binary::{Settled, settle};
use super::env::{Env, Scratch};
use super::error::EvalResult;
use super::names::LabelEffect;
use super::operator::{Collision, Operator, SharedOperator, effective, resolve_collisions};
use super::value::{StepGrid, StepValue, StepVector, is_absent};
use crate::annotations::Annotations;
use crate::ast::BinaryOp;
use crate::functions::arith;
use crate::functions::date::DatePart;
use crate::functions::math;
use crate::functions::native::HistogramStatistic;

/// What is done to each step of a series. Scalars have one value per step.
pub(crate) enum Transform {
    /// A function of floats; histograms are left out.
    Float(fn(f64) -> f64),
    /// `clamp` and relatives; histograms are left out.
    Clamp { low: Arc<[f64]>, high: Arc<[f64]> },
    /// `round`; histograms are left out.
    Round { to_nearest: Arc<[f64]> },
    /// A part of a date; histograms are left out.
    Date(DatePart),
    /// A statistic of histograms; floats are left out.
    Histogram(HistogramStatistic),
    /// Unary minus.
    Negate,
    /// The evaluation timestamp in seconds.
    StepTime(StepGrid),
    /// Nothing.
    Nothing,
    /// Floats alone.
    FloatsOnly,
    /// A vector and a scalar.
    WithScalar(WithScalar),
}

/// A binary operator between a vector and a scalar.
pub(crate) struct WithScalar {
    pub op: BinaryOp,
    pub scalar: Arc<[f64]>,
    /// Whether the scalar is on the left.
    pub swapped: bool,
    pub return_bool: bool,
    /// Where the operation starts in the query.
    pub start: usize,
}

/// A [`Transform`] of every series of an operator.
pub(crate) struct Mapped {
    env: Arc<Env>,
    input: SharedOperator,
    transform: Transform,
    effect: LabelEffect,
    is_unique: bool,
}

impl Mapped {
    /// Applies `transform` to all series of `input`. Series whose labels become equal are joined.
    pub fn open(
        env: &Arc<Env>,
        input: SharedOperator,
        transform: Transform,
        effect: LabelEffect,
        steps: usize,
    ) -> EvalResult<SharedOperator> {
        let drops = effective(env, effect) != LabelEffect::Keep;
        let is_unique = input.is_unique_without_metadata();
        let must_check = drops && !is_unique;
        let mapped =
            Arc::new(Self { env: env.clone(), input, transform, effect, is_unique: is_unique || drops });
        if must_check { resolve_collisions(mapped, env, steps, Collision::MergeSteps) } else { Ok(mapped) }
    }
}

impl Operator for Mapped {
    fn len(&self) -> usize {
        self.input.len()
    }

    fn labels(&self, i: usize) -> Labels {
        effective(&self.env, self.effect).apply(self.input.labels(i))
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        effective(&self.env, self.effect).visit(visit, |visit| self.input.visit_labels(i, visit));
    }

    fn drop_name(&self, i: usize) -> bool {
        self.effect != LabelEffect::Keep || self.input.drop_name(i)
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.is_unique
    }

    fn fixed_name(&self) -> Option<&str> {
        let dropped = effective(&self.env, self.effect) != LabelEffect::Keep;
        if dropped { Some("") } else { self.input.fixed_name() }
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        self.input.evaluate(i, scratch, out)?;
        self.transform.apply(out, &mut scratch.annotations);
        Ok(())
    }
}

impl Transform {
    fn apply(&self, out: &mut StepVector, annotations: &mut Annotations) {
        match self {
            Self::Nothing => {}
            Self::Float(function) => map_floats(out, |_, v| Some(function(v))),
            Self::Clamp { low, high } => map_floats(out, |step, v| math::clamp(v, low[step], high[step])),
            Self::Round { to_nearest } => map_floats(out, |step, v| Some(math::round(v, to_nearest[step]))),
            Self::Date(part) => map_floats(out, |_, v| Some(part.of_float(v))),
            Self::FloatsOnly => map_floats(out, |_, v| Some(v)),
            Self::StepTime(grid) => {
                out.histograms.clear();
                for step in 0..out.len() {
                    if out.is_present(step) {
                        out.values[step] = grid.time_ms(step) as f64 / 1000.0;
                    }
                }
            }
            Self::Histogram(statistic) => apply_statistic(*statistic, out),
            Self::Negate => negate(out),
            Self::WithScalar(with_scalar) => with_scalar.apply(out, annotations),
        }
    }
}

/// Maps the floats of a series and leaves out its histograms.
fn map_floats(out: &mut StepVector, function: impl Fn(usize, f64) -> Option<f64>) {
    if out.has_histograms() {
        for step in 0..out.len() {
            if out.histogram(step).is_some() {
                out.clear_step(step);
            }
        }
        out.histograms.clear();
    }
    for (step, value) in out.values.iter_mut().enumerate() {
        if !is_absent(*value) {
            *value = function(step, *value).unwrap_or(super::value::ABSENT);
        }
    }
}

fn apply_statistic(statistic: HistogramStatistic, out: &mut StepVector) {
    let histograms = std::mem::take(&mut out.histograms);
    if histograms.is_empty() {
        let steps = out.len();
        return out.reset(steps);
    }
    for (step, histogram) in histograms.into_iter().enumerate() {
        match histogram {
            Some(histogram) => out.values[step] = statistic.of(&histogram),
            None => out.clear_step(step),
        }
    }
}

fn negate(out: &mut StepVector) {
    for value in &mut out.values {
        if !is_absent(*value) {
            *value = -*value;
        }
    }
    for histogram in out.histograms.iter_mut().flatten() {
        Arc::make_mut(histogram).mul(-1.0);
    }
}

impl WithScalar {
    fn apply(&self, out: &mut StepVector, annotations: &mut Annotations) {
        if !out.has_histograms() && !matches!(self.op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
            return self.apply_to_floats(&mut out.values);
        }
        for step in 0..out.len() {
            self.apply_to_step(step, out, annotations);
        }
    }

    fn apply_to_floats(&self, values: &mut [f64]) {
        if self.op.is_comparison() {
            for (value, &scalar) in values.iter_mut().zip(&self.scalar[..]) {
                if is_absent(*value) {
                    continue;
                }
                let (lhs, rhs) = if self.swapped { (scalar, *value) } else { (*value, scalar) };
                let holds = arith::compare(self.op, lhs, rhs);
                if self.return_bool {
                    *value = f64::from(u8::from(holds));
                } else if !holds {
                    *value = super::value::ABSENT;
                }
            }
            return;
        }
        // The operator is matched outside of the loops, so that each is plain arithmetic.
        match self.op {
            BinaryOp::Add => self.each(values, |a, b| a + b),
            BinaryOp::Sub => self.each(values, |a, b| a - b),
            BinaryOp::Mul => self.each(values, |a, b| a * b),
            BinaryOp::Div => self.each(values, |a, b| a / b),
            op => self.each(values, |a, b| arith::floats(op, a, b)),
        }
    }

    fn each(&self, values: &mut [f64], function: impl Fn(f64, f64) -> f64) {
        for (value, &scalar) in values.iter_mut().zip(&self.scalar[..]) {
            if !is_absent(*value) {
                *value = if self.swapped { function(scalar, *value) } else { function(*value, scalar) };
            }
        }
    }

    fn apply_to_step(&self, step: usize, out: &mut StepVector, annotations: &mut Annotations) {
        let Some(element) = out.get(step) else { return };
        let scalar = StepValue::Float(self.scalar[step]);
        let (lhs, rhs) = if self.swapped { (scalar, element) } else { (element, scalar) };
        let outcome = arith::combine(self.op, lhs, rhs, self.start, annotations);
        match settle(outcome, self.return_bool) {
            Settled::Float(value) => out.set_float(step, value),
            Settled::Histogram(histogram) => out.set_histogram(step, histogram),
            // A comparison lets the vector's element through, whichever side it is on.
            Settled::Element => {}
            Settled::Nothing => out.clear_step(step),
        }
    }
}

/// An operator evaluated at one step, whose values hold for all steps.
pub(crate) struct Broadcast {
    pub input: SharedOperator,
    pub steps: usize,
}

impl Operator for Broadcast {
    fn len(&self) -> usize {
        self.input.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.input.labels(i)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.input.visit_labels(i, visit);
    }

    fn drop_name(&self, i: usize) -> bool {
        self.input.drop_name(i)
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.input.is_unique_without_metadata()
    }

    fn fixed_name(&self) -> Option<&str> {
        self.input.fixed_name()
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        self.input.evaluate(i, scratch, out)?;
        if out.has_histograms() {
            out.histograms.resize(self.steps, out.histograms[0].clone());
        }
        let value = out.values[0];
        out.values.resize(self.steps, value);
        if !is_absent(value) {
            scratch.held += self.steps as i64 - 1;
        }
        Ok(())
    }
}
