//! What no grammar says.

use model::Matcher;

use super::Result;
use crate::ast::{Expr, Grouping, MetricExpr, Parser, RangeAggregation, RangeOp, Stage, VectorOp};
use crate::error::ParseError;

const NO_MATCHER: &str = "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";

/// Checks a whole query.
pub(super) fn expression(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Log(log) => {
            stages(&log.stages)?;
            matchers(&log.matchers)
        }
        Expr::Metric(metric) => series(metric),
    }
}

fn series(metric: &MetricExpr) -> Result<()> {
    match metric {
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => Ok(()),
        MetricExpr::Binary(binary) => {
            series(&binary.left)?;
            series(&binary.right)
        }
        MetricExpr::Range(range) => {
            stages(&range.log.stages)?;
            matchers(&range.log.matchers)
        }
        MetricExpr::LabelReplace(replace) => selecting(&replace.inner),
        MetricExpr::Vector(vector) => selecting(&vector.inner),
        MetricExpr::Subquery(subquery) => selecting(&subquery.inner),
    }
}

/// Checks what an aggregation works on: numbers alone select nothing.
fn selecting(metric: &MetricExpr) -> Result<()> {
    match metric {
        MetricExpr::Literal(_) => Err(ParseError::general(NO_MATCHER)),
        other => series(other),
    }
}

fn matchers(matchers: &[Matcher]) -> Result<()> {
    if matchers.iter().any(|matcher| !matcher.matches_empty()) {
        Ok(())
    } else {
        Err(ParseError::general(NO_MATCHER))
    }
}

fn stages(stages: &[Stage]) -> Result<()> {
    for stage in stages {
        let problem = match stage {
            Stage::Parser(Parser::Regexp(pattern)) => crate::stage::regexp::Regexp::new(pattern)
                .err()
                .map(|problem| format!("invalid regexp parser: {problem}")),
            Stage::Parser(Parser::Pattern(pattern)) => crate::stage::pattern::Template::parser(pattern)
                .err()
                .map(|problem| format!("invalid pattern parser: {problem}")),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(ParseError::general(problem));
        }
    }
    Ok(())
}

/// Checks that parameter, value and grouping fit the function.
pub(super) fn range_aggregation(range: &RangeAggregation) -> std::result::Result<(), String> {
    use RangeOp::{
        AbsentOverTime, AvgOverTime, BytesOverTime, BytesRate, CountOverTime, FirstOverTime, LastOverTime,
        MaxOverTime, MinOverTime, QuantileOverTime, Rate, RateCounter, StddevOverTime, StdvarOverTime,
        SumOverTime,
    };
    let name = range.op.as_str();
    match (range.op, range.parameter) {
        (QuantileOverTime, None) => return Err(format!("parameter required for operation {name}")),
        (QuantileOverTime, Some(_)) | (_, None) => {}
        (_, Some(parameter)) => {
            let parameter = model::number::general(parameter);
            return Err(format!("parameter {parameter} not supported for operation {name}"));
        }
    }
    if range.grouping.is_some() && !range.op.allows_grouping() {
        return Err(format!("grouping not allowed for {name} aggregation"));
    }
    let takes_unwrap = matches!(
        range.op,
        AvgOverTime
            | SumOverTime
            | MaxOverTime
            | MinOverTime
            | StddevOverTime
            | StdvarOverTime
            | QuantileOverTime
            | Rate
            | RateCounter
            | AbsentOverTime
            | FirstOverTime
            | LastOverTime
    );
    let takes_lines = matches!(range.op, BytesOverTime | BytesRate | CountOverTime | Rate | AbsentOverTime);
    match range.unwrap {
        Some(_) if !takes_unwrap => Err(format!("invalid aggregation {name} with unwrap")),
        None if !takes_lines => Err(format!("invalid aggregation {name} without unwrap")),
        _ => Ok(()),
    }
}

/// Checks that parameter and grouping fit the function; returns how many series it keeps.
pub(super) fn vector_aggregation(
    op: VectorOp,
    parameter: Option<&str>,
    grouping: Option<&Grouping>,
) -> std::result::Result<usize, String> {
    let name = op.as_str();
    let count = match (op.takes_count(), parameter) {
        (true, None) => return Err(format!("parameter required for operation {name}")),
        (true, Some(text)) => {
            let count: i64 = text.parse().map_err(|_| format!("invalid parameter {name}({text},"))?;
            let count = usize::try_from(count).ok().filter(|&count| count > 0);
            count.ok_or_else(|| format!("invalid parameter (must be greater than 0) {name}({text}"))?
        }
        (false, Some(text)) => return Err(format!("unsupported parameter for operation {name}({text}, ")),
        (false, None) => 0,
    };
    match (op, grouping) {
        (VectorOp::ApproxTopk, Some(_)) => Err("grouping not allowed for approx_topk aggregation".to_owned()),
        (VectorOp::Sort | VectorOp::SortDesc, Some(_)) => {
            Err("sort and sort_desc doesn't allow grouping by ".to_owned())
        }
        _ => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_series_cannot_be_asked_for() {
        let parse = |query: &str| crate::parse::parse(query).map_err(|error| error.to_string());
        for name in ["topk", "bottomk", "approx_topk"] {
            let error = parse(&format!("{name}(0, rate({{app=\"a\"}}[1m]))")).unwrap_err();
            let told = format!("invalid parameter (must be greater than 0) {name}(0");
            assert!(error.ends_with(&told), "{error}");
        }
        assert!(parse("topk(1, rate({app=\"a\"}[1m]))").is_ok());
        let error = parse("topk(1.5, rate({app=\"a\"}[1m]))").unwrap_err();
        assert_eq!(error, "parse error : invalid parameter topk(1.5,");
    }
}
