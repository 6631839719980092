//! PromQL as the language of rules.

use std::sync::Arc;
use std::time::Duration;

use ::promql::engine::{Engine, QueryError, QueryOptions, QueryValue, VectorSample};
use ::promql::parser::{ParseOptions, parse};
use base::clock::SharedClock;
use base::{ByteBudget, CancelFlag, ErrorKind};
use model::{Labels, QueryContext, SeriesSource, TenantId};

use super::{Expression, Language, Queries, QueryFailure, Sample};

/// The grammar.
#[derive(Debug, Clone, Copy, Default)]
pub struct PromQlLanguage {
    /// What it allows.
    pub options: ParseOptions,
}

impl Language for PromQlLanguage {
    fn parse(&self, text: &str) -> Result<Expression, String> {
        let expr = parse(text, &self.options).map_err(|error| error.to_string())?;
        Ok(Expression { text: expr.to_string(), selectors: expr.matcher_sets() })
    }
}

/// What a query of a rule may use.
#[derive(Clone)]
pub struct QueryLimits {
    /// Whose data is read.
    pub tenant: TenantId,
    /// How long a query may take.
    pub timeout: Duration,
    /// The memory all queries share.
    pub budget: ByteBudget,
    /// Time.
    pub clock: SharedClock,
}

impl QueryLimits {
    /// What one query runs in; `cancel` ends it.
    pub fn context(&self, cancel: &CancelFlag) -> QueryContext {
        let mut ctx = QueryContext::new(self.clock.clone(), self.timeout, self.budget.clone());
        ctx.tenant = self.tenant.clone();
        ctx.cancel = cancel.clone();
        ctx
    }
}

/// Evaluates PromQL on a source of series.
#[derive(Clone)]
pub struct PromQl {
    engine: Arc<Engine>,
    source: Arc<dyn SeriesSource>,
    limits: QueryLimits,
}

impl PromQl {
    /// Evaluates with `engine` on `source` within `limits`.
    pub fn new(engine: Arc<Engine>, source: Arc<dyn SeriesSource>, limits: QueryLimits) -> Self {
        Self { engine, source, limits }
    }
}

impl Queries for PromQl {
    fn instant(&self, expression: &str, t_ms: i64, cancel: &CancelFlag) -> Result<Vec<Sample>, QueryFailure> {
        let ctx = self.limits.context(cancel);
        let options = QueryOptions::default();
        let result = self.engine.instant(&*self.source, expression, t_ms, options, &ctx).map_err(failure)?;
        match result.value {
            QueryValue::Vector(vector) => Ok(vector.into_iter().map(sample).collect()),
            QueryValue::Scalar { value, .. } => {
                Ok(vec![Sample { labels: Labels::empty(), value, histogram: None }])
            }
            QueryValue::String { .. } | QueryValue::Matrix(_) => Err(QueryFailure {
                message: "rule result is not a vector or scalar".to_owned(),
                canceled: false,
            }),
        }
    }
}

fn sample(element: VectorSample) -> Sample {
    Sample { labels: element.labels, value: element.value, histogram: element.histogram }
}

fn failure(error: QueryError) -> QueryFailure {
    QueryFailure { canceled: error.kind() == ErrorKind::Canceled, message: error.to_string() }
}
