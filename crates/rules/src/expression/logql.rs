//! LogQL as the language of rules.

use std::sync::Arc;

use ::logql::ast::{Expr, MetricExpr};
use ::logql::engine::Steps;
use ::logql::engine::series::Values;
use ::logql::{Engine, Limits, QueryError};
use base::CancelFlag;
use model::logs::LogSource;
use model::{Labels, QueryStop, SourceError};

use super::{Expression, Language, Queries, QueryFailure, QueryLimits, Sample};

/// What a rule whose expression selects lines is told: there is nothing to record, and nothing that could fire.
const NOT_SERIES: &str = "rule result is not a vector or scalar";

/// The grammar.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogQlLanguage;

impl Language for LogQlLanguage {
    fn parse(&self, text: &str) -> Result<Expression, String> {
        let metric = metric(text)?;
        // It reads logs, which no rule writes.
        Ok(Expression { text: metric.to_string(), selectors: Vec::new() })
    }
}

fn metric(text: &str) -> Result<MetricExpr, String> {
    match ::logql::parse(text).map_err(|error| error.to_string())? {
        Expr::Metric(metric) => Ok(metric),
        Expr::Log(_) => Err(NOT_SERIES.to_owned()),
    }
}

/// Evaluates LogQL on a source of logs.
#[derive(Clone)]
pub struct LogQl {
    source: Arc<dyn LogSource>,
    limits: QueryLimits,
    max_series: usize,
}

impl LogQl {
    /// Evaluates on `source` within `limits`; no result may have more than `max_series` series, 0 for any number.
    pub fn new(source: Arc<dyn LogSource>, limits: QueryLimits, max_series: usize) -> Self {
        Self { source, limits, max_series }
    }
}

impl Queries for LogQl {
    fn instant(&self, expression: &str, t_ms: i64, cancel: &CancelFlag) -> Result<Vec<Sample>, QueryFailure> {
        let query = metric(expression).map_err(|message| QueryFailure { message, canceled: false })?;
        let ctx = self.limits.context(cancel);
        let limits = Limits { max_series: self.max_series, ..Limits::default() };
        let engine = Engine::new(&*self.source, limits, &ctx);
        let at = Steps::instant(t_ms.saturating_mul(1_000_000));
        let result = engine.series(&query, at).map_err(failure)?;
        let of = |labels, value| Sample { labels, value, histogram: None };
        Ok(match result.values {
            Values::Scalar(value) => vec![of(Labels::empty(), value)],
            Values::Series(series) => series
                .iter()
                .filter_map(|one| Some(of(Labels::from_pairs(one.labels.iter()), one.samples.last()?.value)))
                .collect(),
        })
    }
}

fn failure(error: QueryError) -> QueryFailure {
    let stopped = matches!(&error, QueryError::Source(SourceError::Stopped(QueryStop::Canceled(_))));
    QueryFailure { canceled: stopped, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_of_series_are_rules() {
        let parse = |text: &str| LogQlLanguage.parse(text);
        let rule = parse("sum by (app)(rate({app=~\".+\"} |= \"error\" [5m])) > 3").unwrap();
        assert_eq!(rule.text, "(sum by (app)(rate({app=~\".+\"} |= \"error\"[5m])) > 3)");
        assert!(rule.selectors.is_empty());
        assert_eq!(parse("{app=\"a\"}").unwrap_err(), NOT_SERIES);
        assert!(parse("rate({app=\"a\"}").unwrap_err().starts_with("parse error"));
    }
}
