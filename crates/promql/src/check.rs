//! Types and other rules that the grammar does not express.

use model::labels::{METRIC_NAME, Quoted};
use syntax::Span;

use crate::ast::{
    AggregateExpr, AggregateOp, BinaryExpr, Call, Cardinality, Expr, ValueType, VectorSelector,
};

/// An expression that is well-formed but makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckError {
    /// What it is about.
    pub span: Span,
    /// What is wrong.
    pub message: String,
}

fn error<T>(span: Span, message: impl Into<String>) -> Result<T, CheckError> {
    Err(CheckError { span, message: message.into() })
}

/// Checks a tree and completes it: set operators get their cardinality, vector matching is removed
/// where an operand is a scalar, and the selector argument of `info` is marked. Reports the first error.
pub fn check(expr: &mut Expr) -> Result<ValueType, CheckError> {
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Vector(selector) => check_selector(selector)?,
        Expr::Matrix(matrix) => check_selector(&matrix.selector)?,
        Expr::Paren(paren) => {
            check(&mut paren.expr)?;
        }
        Expr::Unary(unary) => {
            let operand = check(&mut unary.expr)?;
            if !is_numeric(operand) {
                let what = "unary expression only allowed on expressions of type scalar or instant vector";
                return error(unary.span, format!("{what}, got \"{}\"", operand.documented()));
            }
        }
        Expr::Subquery(subquery) => {
            let inner = check(&mut subquery.expr)?;
            if inner != ValueType::Vector {
                let message = format!("subquery is only allowed on instant vector, got {inner} instead");
                return error(subquery.span, message);
            }
        }
        Expr::Aggregate(aggregate) => check_aggregate(aggregate)?,
        Expr::Binary(binary) => check_binary(binary)?,
        Expr::Call(call) => check_call(call)?,
    }
    Ok(expr.value_type())
}

fn is_numeric(value_type: ValueType) -> bool {
    matches!(value_type, ValueType::Scalar | ValueType::Vector)
}

fn expect(expr: &mut Expr, wanted: ValueType, place: &str) -> Result<(), CheckError> {
    let got = check(expr)?;
    if got != wanted {
        let (wanted, got) = (wanted.documented(), got.documented());
        return error(expr.span(), format!("expected type {wanted} in {place}, got {got}"));
    }
    Ok(())
}

fn check_aggregate(aggregate: &mut AggregateExpr) -> Result<(), CheckError> {
    expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
    let wanted = if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
    match &mut aggregate.param {
        Some(param) => expect(param, wanted, "aggregation parameter"),
        None => Ok(()),
    }
}

fn check_binary(binary: &mut BinaryExpr) -> Result<(), CheckError> {
    let (left, right) = (check(&mut binary.lhs)?, check(&mut binary.rhs)?);
    let (op, span) = (binary.op, binary.span);
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if binary.return_bool && !op.is_comparison() {
        return error(binary.op_span, "bool modifier can only be used on comparison operators");
    }
    if op.is_comparison() && !binary.return_bool && scalars {
        return error(binary.op_span, "comparisons between scalars must use BOOL modifier");
    }
    let Some(matching) = &mut binary.matching else { return Ok(()) };
    if op.is_set() && matching.cardinality == Cardinality::OneToOne {
        matching.cardinality = Cardinality::ManyToMany;
    }
    if let Some(label) = matching.labels.iter().find(|label| matching.on && matching.include.contains(label))
    {
        let message = format!("label {} must not occur in ON and GROUP clause at once", Quoted(label));
        return error(binary.op_span, message);
    }
    for (operand, side) in [(left, &binary.lhs), (right, &binary.rhs)] {
        if !is_numeric(operand) {
            let message = "binary expression must contain only scalar and instant vector types";
            return error(side.span(), message);
        }
    }
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if left != ValueType::Vector || right != ValueType::Vector {
        if !matching.labels.is_empty() {
            return error(span, "vector matching only allowed between instant vectors");
        }
        if fills {
            return error(span, "filling in missing series only allowed between instant vectors");
        }
        if op.is_set() {
            return error(span, format!("set operator \"{op}\" not allowed in binary scalar expression"));
        }
        binary.matching = None;
    } else if op.is_set() {
        if matching.cardinality != Cardinality::ManyToMany {
            return error(span, format!("no grouping allowed for \"{op}\" operation"));
        }
        if fills {
            return error(span, "filling in missing series not allowed for set operators");
        }
    }
    Ok(())
}

fn check_call(call: &mut Call) -> Result<(), CheckError> {
    let (function, got) = (call.function, call.args.len());
    let name = function.name;
    let (fewest, most) = function.arg_count();
    if most == Some(fewest) && got != fewest {
        return error(call.span, format!("expected {fewest} argument(s) in call to \"{name}\", got {got}"));
    }
    if got < fewest {
        return error(
            call.span,
            format!("expected at least {fewest} argument(s) in call to \"{name}\", got {got}"),
        );
    }
    if let Some(most) = most.filter(|&most| got > most) {
        return error(
            call.span,
            format!("expected at most {most} argument(s) in call to \"{name}\", got {got}"),
        );
    }
    if name == "info" {
        check_info_selector(call)?;
    }
    for (i, arg) in call.args.iter_mut().enumerate() {
        let Some(wanted) = function.arg_type(i) else { break };
        let got = check(arg)?;
        if got != wanted {
            let (wanted, got) = (wanted.documented(), got.documented());
            let message = format!("expected type {wanted} in call to function \"{name}\", got {got}");
            return error(arg.span(), message);
        }
    }
    Ok(())
}

/// The second argument of `info` is written as a selector but selects nothing: it holds conditions
/// on the labels of info metrics.
fn check_info_selector(call: &mut Call) -> Result<(), CheckError> {
    let call_span = call.span;
    let Some(arg) = call.args.get_mut(1) else { return Ok(()) };
    let (got, arg_span) = (arg.value_type(), arg.span());
    if got != ValueType::Vector {
        let message =
            format!("expected type instant vector in call to function \"info\", got {}", got.documented());
        return error(call_span, message);
    }
    match arg {
        Expr::Vector(selector) if selector.name.is_none() => {
            selector.label_conditions_only = true;
            Ok(())
        }
        Expr::Vector(_) => error(arg_span, "expected label selectors only, got vector selector instead"),
        _ => error(arg_span, "expected label selectors only"),
    }
}

fn check_selector(selector: &VectorSelector) -> Result<(), CheckError> {
    if let Some(name) = &selector.name {
        // The matcher of the name before the braces is the last one.
        let inside = &selector.matchers[..selector.matchers.len().saturating_sub(1)];
        if let Some(other) = inside.iter().find(|matcher| matcher.name == METRIC_NAME) {
            let (name, other) = (Quoted(name), Quoted(&other.value));
            return error(selector.span, format!("metric name must not be set twice: {name} or {other}"));
        }
        return Ok(());
    }
    // Selecting everything is most often a slip, and expensive.
    if !selector.label_conditions_only && selector.matchers.iter().all(|matcher| matcher.matches_empty()) {
        return error(selector.span, "vector selector must contain at least one non-empty matcher");
    }
    Ok(())
}
