//! Operations on numbers.

use crate::ast::BinaryOp;

/// The value of an operation; `None` where a comparison does not hold and does not return a truth value.
pub(crate) fn apply(op: BinaryOp, left: f64, right: f64, returns_bool: bool) -> Option<f64> {
    if let Some(comparison) = op.comparison() {
        let holds = comparison.holds(left.partial_cmp(&right));
        return match (returns_bool, holds) {
            (true, holds) => Some(f64::from(u8::from(holds))),
            (false, true) => Some(left),
            (false, false) => None,
        };
    }
    Some(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        // Unlike in floating-point arithmetic, nothing divided by nothing and something divided by nothing are alike.
        BinaryOp::Div if right == 0.0 => f64::NAN,
        BinaryOp::Div => left / right,
        BinaryOp::Mod if right == 0.0 => f64::NAN,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        _ => f64::NAN,
    })
}

/// An operation between two numbers that are written in the query: comparisons give 0 or 1.
pub(crate) fn literals(op: BinaryOp, left: f64, right: f64) -> f64 {
    apply(op, left, right, true).unwrap_or_default()
}
