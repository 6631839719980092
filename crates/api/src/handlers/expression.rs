//! Formatting a query and showing its syntax tree.

use axum::extract::State;
use axum::response::Response;
use model::Matcher;
use promql::ast::{
    AtModifier, DurationExpr, DurationSpec, Expr, NumberLiteral, RangeEdges, VectorMatching, VectorSelector,
};
use promql::function_table::{Arity, Function};
use serde_json::{Value, json};

use super::Shared;
use crate::envelope::success;
use crate::error::ApiError;
use crate::params::Params;

fn parse(state: &Shared, params: &Params) -> Result<Expr, ApiError> {
    super::parse(state, params).map_err(|error| ApiError::invalid_parameter("query", error))
}

/// `GET|POST /format_query`
pub async fn format_query(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    Ok(success(&promql::printer::prettify(&parse(&state, &params)?)))
}

/// `GET|POST /parse_query`
pub async fn parse_query(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    Ok(success(&tree(&parse(&state, &params)?)))
}

/// The tree as the query page of Prometheus's UI reads it.
fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Number(number) => json!({ "type": "numberLiteral", "val": plain_number(number) }),
        Expr::String(string) => json!({ "type": "stringLiteral", "val": string.value }),
        Expr::Paren(paren) => json!({ "type": "parenExpr", "expr": tree(&paren.expr) }),
        Expr::Unary(unary) => {
            json!({ "type": "unaryExpr", "op": unary.op.as_str(), "expr": tree(&unary.expr) })
        }
        Expr::Binary(binary) => json!({
            "type": "binaryExpr",
            "op": binary.op.as_str(),
            "lhs": tree(&binary.lhs),
            "rhs": tree(&binary.rhs),
            "matching": binary.matching.as_ref().map(matching),
            "bool": binary.return_bool,
        }),
        Expr::Aggregate(aggregate) => json!({
            "type": "aggregation",
            "op": aggregate.op.as_str(),
            "expr": tree(&aggregate.expr),
            "param": aggregate.param.as_deref().map(tree),
            "grouping": aggregate.grouping,
            "without": aggregate.without,
        }),
        Expr::Call(call) => json!({
            "type": "call",
            "func": function(call.function),
            "args": call.args.iter().map(tree).collect::<Vec<_>>(),
        }),
        Expr::Vector(selector) => vector_selector("vectorSelector", selector),
        Expr::Matrix(matrix) => {
            let mut value = vector_selector("matrixSelector", &matrix.selector);
            value["range"] = json!(matrix.range.ms);
            value["rangeExpr"] = duration(&matrix.range);
            value
        }
        Expr::Subquery(subquery) => json!({
            "type": "subquery",
            "expr": tree(&subquery.expr),
            "range": subquery.range.ms,
            "rangeExpr": duration(&subquery.range),
            "offset": subquery.offset.ms,
            "offsetExpr": duration(&subquery.offset),
            "step": subquery.step.as_ref().map_or(0, |step| step.ms),
            "stepExpr": subquery.step.as_ref().map_or(Value::Null, duration),
            "timestamp": timestamp(subquery.at),
            "startOrEnd": start_or_end(subquery.at),
        }),
    }
}

fn plain_number(number: &NumberLiteral) -> String {
    model::number::format_float(number.value, model::number::FloatFormat::Plain)
}

fn vector_selector(kind: &str, selector: &VectorSelector) -> Value {
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": selector.offset.ms,
        "offsetExpr": duration(&selector.offset),
        "matchers": selector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(selector.at),
        "startOrEnd": start_or_end(selector.at),
        "anchored": selector.edges == RangeEdges::Anchored,
        "smoothed": selector.edges == RangeEdges::Smoothed,
    })
}

fn matcher(matcher: &Matcher) -> Value {
    json!({ "name": matcher.name, "value": matcher.value, "type": matcher.op.as_str() })
}

fn matching(matching: &VectorMatching) -> Value {
    json!({
        "card": matching.cardinality.as_str(),
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

fn function(function: &Function) -> Value {
    let variadic = match function.arity {
        Arity::Exactly => 0,
        Arity::UpTo(times) => i64::try_from(times).unwrap_or(i64::MAX),
        Arity::Unbounded => -1,
    };
    json!({
        "name": function.name,
        "argTypes": function.args.iter().map(|arg| arg.as_str()).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": function.returns.as_str(),
    })
}

fn timestamp(at: Option<AtModifier>) -> Option<i64> {
    match at {
        Some(AtModifier::Timestamp(t_ms)) => Some(t_ms),
        _ => None,
    }
}

fn start_or_end(at: Option<AtModifier>) -> Option<&'static str> {
    match at {
        Some(AtModifier::Start) => Some("start"),
        Some(AtModifier::End) => Some("end"),
        _ => None,
    }
}

fn duration(spec: &DurationSpec) -> Value {
    spec.expr.as_deref().map_or(Value::Null, |expr| duration_expr(expr, false))
}

fn duration_expr(expr: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, lhs: Value, rhs: Value| json!({ "type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped });
    match expr {
        DurationExpr::Literal(number) => {
            json!({ "type": "numberLiteral", "val": plain_number(number), "duration": number.is_duration })
        }
        DurationExpr::Step(_) => node("step", Value::Null, Value::Null),
        DurationExpr::Range(_) => node("range", Value::Null, Value::Null),
        DurationExpr::Negate(inner, _) => node("-", Value::Null, duration_expr(inner, false)),
        DurationExpr::Paren(inner, _) => duration_expr(inner, true),
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            node(op.as_str(), duration_expr(lhs, false), duration_expr(rhs, false))
        }
    }
}
