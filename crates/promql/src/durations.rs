//! Evaluates duration expressions.

use crate::ast::{DurationExpr, DurationOp, DurationSpec, Expr};

/// A duration expression without a usable value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{start}:{end}: {problem}")]
pub struct DurationEvalError {
    /// The first byte of the expression in the query.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// What is wrong.
    pub problem: DurationProblem,
}

/// What is wrong with the value of a duration expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationProblem {
    /// `x / 0`
    #[error("division by zero")]
    DivisionByZero,
    /// `x % 0`
    #[error("modulo by zero")]
    ModuloByZero,
    /// Not a finite number.
    #[error("duration is NaN or infinite")]
    NotFinite,
    /// A range or step of no length.
    #[error("duration must be greater than 0")]
    NotPositive,
    /// Longer than 292 years.
    #[error("duration is out of range")]
    OutOfRange,
}

/// The longest duration in seconds: nanoseconds must fit 64 bits.
const MAX_SECONDS: f64 = i64::MAX as f64 / 1e9;

/// Sets [`DurationSpec::ms`] of every duration in the tree that is an expression. `step()` is
/// `step_ms`; `range()` is `range_ms`, the time between the query's start and end.
pub fn resolve(expr: &mut Expr, step_ms: i64, range_ms: i64) -> Result<(), DurationEvalError> {
    let query = Query { step_s: step_ms as f64 / 1000.0, range_s: range_ms as f64 / 1000.0 };
    let mut outcome = Ok(());
    expr.walk_mut(&mut |expr| {
        if outcome.is_ok() {
            outcome = query.resolve_node(expr);
        }
    });
    outcome
}

struct Query {
    step_s: f64,
    range_s: f64,
}

/// Whether a duration may be zero or negative.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Any,
    Positive,
}

impl Query {
    fn resolve_node(&self, expr: &mut Expr) -> Result<(), DurationEvalError> {
        match expr {
            Expr::Vector(selector) => self.resolve_spec(&mut selector.offset, Sign::Any),
            Expr::Matrix(matrix) => {
                self.resolve_spec(&mut matrix.range, Sign::Positive)?;
                self.resolve_spec(&mut matrix.selector.offset, Sign::Any)
            }
            Expr::Subquery(subquery) => {
                self.resolve_spec(&mut subquery.offset, Sign::Any)?;
                if let Some(step) = &mut subquery.step {
                    self.resolve_spec(step, Sign::Positive)?;
                }
                self.resolve_spec(&mut subquery.range, Sign::Positive)
            }
            _ => Ok(()),
        }
    }

    fn resolve_spec(&self, spec: &mut DurationSpec, sign: Sign) -> Result<(), DurationEvalError> {
        let Some(expr) = &spec.expr else { return Ok(()) };
        let seconds = self.evaluate(expr)?;
        let problem = if !seconds.is_finite() {
            DurationProblem::NotFinite
        } else if seconds <= 0.0 && sign == Sign::Positive {
            DurationProblem::NotPositive
        } else if seconds.abs() > MAX_SECONDS {
            DurationProblem::OutOfRange
        } else {
            spec.ms = (seconds * 1000.0) as i64;
            return Ok(());
        };
        Err(failure(expr, problem))
    }

    fn evaluate(&self, expr: &DurationExpr) -> Result<f64, DurationEvalError> {
        Ok(match expr {
            DurationExpr::Literal(literal) => literal.value,
            DurationExpr::Step(_) => self.step_s,
            DurationExpr::Range(_) => self.range_s,
            DurationExpr::Negate(inner, _) => -self.evaluate(inner)?,
            DurationExpr::Paren(inner, _) => self.evaluate(inner)?,
            DurationExpr::Binary { op, lhs, rhs, .. } => {
                let (left, right) = (self.evaluate(lhs)?, self.evaluate(rhs)?);
                match op {
                    DurationOp::Add => left + right,
                    DurationOp::Sub => left - right,
                    DurationOp::Mul => left * right,
                    DurationOp::Div if right == 0.0 => {
                        return Err(failure(expr, DurationProblem::DivisionByZero));
                    }
                    DurationOp::Div => left / right,
                    DurationOp::Mod if right == 0.0 => {
                        return Err(failure(expr, DurationProblem::ModuloByZero));
                    }
                    DurationOp::Mod => left % right,
                    DurationOp::Pow => left.powf(right),
                    DurationOp::MinOf => smaller(left, right),
                    DurationOp::MaxOf => -smaller(-left, -right),
                }
            }
        })
    }
}

/// The smaller number; NaN if either is NaN, unlike [`f64::min`].
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn failure(expr: &DurationExpr, problem: DurationProblem) -> DurationEvalError {
    let span = expr.span();
    DurationEvalError { start: span.start, end: span.end, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::{ParseOptions, parse};

    fn resolved(query: &str) -> Result<Expr, String> {
        let mut expr = parse(query, &ParseOptions::ALL).unwrap();
        resolve(&mut expr, 30_000, 600_000).map_err(|e| e.to_string())?;
        Ok(expr)
    }

    fn range_ms(query: &str) -> i64 {
        match resolved(query).unwrap() {
            Expr::Matrix(matrix) => matrix.range.ms,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn expressions_take_step_and_range_of_the_query() {
        for (query, ms) in [
            ("x[5m]", 300_000),
            ("x[5m + 30s]", 330_000),
            ("x[step() * 2]", 60_000),
            ("x[range() / 4]", 150_000),
            ("x[max_of(step(), 1m)]", 60_000),
            ("x[min_of(step(), 1m) + 1.5]", 31_500),
            ("x[2 ^ 3 ^ 1]", 8_000),
            ("x[-(1m - 3m)]", 120_000),
            ("x[100 % 30]", 10_000),
        ] {
            assert_eq!(range_ms(query), ms, "{query}");
        }
        let Expr::Vector(selector) = resolved("x offset -(1m + step())").unwrap() else { panic!() };
        assert_eq!(selector.offset.ms, -90_000);
    }

    #[test]
    fn useless_values_are_errors_that_name_the_place() {
        for (query, message) in [
            ("x[1m - 1m]", "2:9: duration must be greater than 0"),
            ("x[1m / (1m - 1m)]", "2:15: division by zero"),
            ("x[1m % (1m - 1m)]", "2:15: modulo by zero"),
            ("x[9 ^ 99]", "2:8: duration is out of range"),
            ("x[1000 ^ 1000]", "2:13: duration is NaN or infinite"),
        ] {
            assert_eq!(resolved(query).unwrap_err(), message, "{query}");
        }
    }
}
