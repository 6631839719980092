//! Evaluation of queries.
//!
//! A query is parsed and planned ([`plan`]: equal subexpressions become one node, what does not depend on
//! the step is marked), opened ([`open`]: every node becomes an operator that knows its series, or a row
//! of scalars) and pulled ([`operator`]: block by block, in parallel). What streams is never held; what
//! is held counts against the query's byte budget.
//!
//! In reading order: [`value`], [`plan`], [`env`], [`operator`], [`open`], [`selector`] and [`range`]
//! (where samples come in), [`mapped`] (series to series), [`aggregate`], [`binary`] with [`match_steps`]
//! and [`sets`], then the functions of their own kind.

mod absent;
mod aggregate;
mod binary;
mod calls;
mod env;
mod error;
mod grouping;
mod histogram;
mod info;
mod mapped;
mod match_steps;
mod matching;
mod names;
mod open;
mod operator;
mod plan;
mod range;
mod relabel;
mod result;
mod scalar;
mod selector;
mod sets;
mod smoothed;
mod sort;
mod stats;
pub mod value;

use std::sync::Arc;
use std::time::Duration;

use model::{QueryContext, SeriesSource};

pub use error::QueryError;
pub use result::QueryResult;
pub use stats::{QueryStats, Timings};
pub use value::{MatrixSeries, QueryValue, VectorSample};

use crate::ast::{AtModifier, Expr, ValueType};
use crate::parser::{ParseOptions, parse};
use env::{Env, Settings, Tally};
use open::{Opener, Scope};
use plan::{QueryTimes, lower};
use stats::Stopwatch;
use value::StepGrid;

/// How queries are evaluated.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How long after its last sample a series is still shown.
    pub lookback: Duration,
    /// The most samples a query may hold at once.
    pub max_samples: u64,
    /// The time a query is given when its context sets none. Callers make the context from it.
    pub timeout: Duration,
    /// The step of subqueries that set none.
    pub default_subquery_step: Duration,
    /// What the language allows.
    pub parse: ParseOptions,
    /// Whether metric names are removed at the very end of a query rather than by each function.
    pub delayed_name_removal: bool,
    /// Whether series carry their metric's type and unit in labels, which then decide what is a
    /// counter.
    pub type_and_unit_labels: bool,
    /// Whether functions of counters use the start timestamps of samples.
    pub start_timestamps: bool,
    /// Whether `@` is allowed.
    pub at_modifier: bool,
    /// Whether offsets may be negative.
    pub negative_offset: bool,
    /// Whether statistics by step are made when a query asks for them.
    pub per_step_stats: bool,
    /// Whether queries are many and small, side by side, as those of rules are: then what is not large is computed on
    /// the calling thread, for waking others costs more than they would do.
    pub background: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(5 * 60),
            max_samples: 50_000_000,
            timeout: Duration::from_secs(2 * 60),
            default_subquery_step: Duration::from_secs(60),
            parse: ParseOptions::default(),
            delayed_name_removal: false,
            type_and_unit_labels: false,
            start_timestamps: false,
            at_modifier: true,
            negative_offset: true,
            per_step_stats: true,
            background: false,
        }
    }
}

/// What a single query asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueryOptions {
    /// Instead of the engine's lookback.
    pub lookback: Option<Duration>,
    /// Whether statistics by step are wanted.
    pub per_step_stats: bool,
}

/// Evaluates queries. Cheap to share; holds no state between queries.
///
/// Evaluation is synchronous and keeps the cores of the current rayon pool busy: call it from a
/// blocking thread.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    options: EngineOptions,
}

/// A query as it was asked.
struct Request<'a> {
    query: &'a str,
    times: QueryTimes,
    is_instant: bool,
    options: QueryOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// The options.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates `query` at `t_ms`, in milliseconds since the Unix epoch.
    pub fn instant(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        t_ms: i64,
        options: QueryOptions,
        ctx: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        let times = QueryTimes { start_ms: t_ms, end_ms: t_ms, step_ms: 0 };
        self.run(source, &Request { query, times, is_instant: true, options }, ctx)
    }

    /// Evaluates `query` from `start_ms` to `end_ms` every `step_ms`, which must be positive.
    #[allow(clippy::too_many_arguments, reason = "the parameters of a range query, as the API has them")]
    pub fn range(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: QueryOptions,
        ctx: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::Invalid(
                "zero or negative query resolution step widths are not accepted".to_owned(),
            ));
        }
        let times = QueryTimes { start_ms, end_ms, step_ms };
        self.run(source, &Request { query, times, is_instant: false, options }, ctx)
    }

    /// Parses `query` and resolves its durations for a query at these times.
    fn prepare(&self, request: &Request<'_>) -> Result<Expr, QueryError> {
        let mut expr =
            parse(request.query, &self.options.parse).map_err(|e| QueryError::Invalid(e.to_string()))?;
        self.check_modifiers(&expr)?;
        let value_type = expr.value_type();
        if !request.is_instant && !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
            return Err(QueryError::Invalid(format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                value_type.documented()
            )));
        }
        let times = request.times;
        crate::durations::resolve(&mut expr, times.step_ms, times.end_ms - times.start_ms)
            .map_err(|e| QueryError::Invalid(e.to_string()))?;
        Ok(expr)
    }

    fn check_modifiers(&self, expr: &Expr) -> Result<(), QueryError> {
        let mut found: Option<&str> = None;
        let mut note = |at: Option<AtModifier>, offset_ms: i64| {
            if at.is_some() && !self.options.at_modifier {
                found = Some("@ modifier is disabled");
            } else if offset_ms < 0 && !self.options.negative_offset {
                found = Some("negative offset is disabled");
            }
        };
        expr.walk(&mut |expr| match expr {
            Expr::Vector(selector) => note(selector.at, selector.offset.ms),
            Expr::Matrix(matrix) => note(matrix.selector.at, matrix.selector.offset.ms),
            Expr::Subquery(subquery) => note(subquery.at, subquery.offset.ms),
            _ => {}
        });
        found.map_or(Ok(()), |text| Err(QueryError::Invalid(text.to_owned())))
    }

    fn settings(&self, options: QueryOptions) -> Settings {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let lookback =
            options.lookback.filter(|lookback| !lookback.is_zero()).unwrap_or(self.options.lookback);
        Settings {
            lookback_ms: ms(lookback),
            default_subquery_step_ms: ms(self.options.default_subquery_step).max(1),
            delayed_name_removal: self.options.delayed_name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            start_timestamps: self.options.start_timestamps,
            background: self.options.background,
            max_samples: i64::try_from(self.options.max_samples).unwrap_or(i64::MAX),
            per_step_stats: self.options.per_step_stats && options.per_step_stats,
        }
    }

    fn run(
        &self,
        source: &dyn SeriesSource,
        request: &Request<'_>,
        ctx: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        let mut stopwatch = Stopwatch::start(ctx.clock().clone());
        let expr = self.prepare(request)?;
        ctx.check("query execution")?;
        let plan = lower(&expr, request.times);
        let QueryTimes { start_ms, end_ms, step_ms } = request.times;
        let grid = if request.is_instant {
            StepGrid::instant(start_ms)
        } else {
            StepGrid::range(start_ms, end_ms, step_ms)
        };
        let env = Arc::new(Env::new(ctx.clone(), self.settings(request.options)));
        stopwatch.prepared();
        let mut opener = Opener::new(env.clone(), &plan, request.query, source);
        let scope = Scope { grid, tally: Tally::AtStep };
        let _steps = opener.hold_steps(&grid)?;
        let (value, held) = result::evaluate_root(&mut opener, scope, request.is_instant, &mut stopwatch)?;
        let stats = stopwatch.finish(&env, &grid);
        Ok(QueryResult::new(request.query, value, env.take_annotations(), stats, held))
    }
}

#[cfg(test)]
mod tests;
