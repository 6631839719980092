//! What runs the queries of a script.

use std::sync::Arc;
use std::time::Duration;

use model::{QueryContext, SeriesSource};
use promql::engine::{Engine, EngineOptions, QueryError, QueryOptions, QueryResult, QueryValue};
use promql::parser::ParseOptions;

/// What a query answered.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The value.
    pub value: QueryValue,
    /// Warnings, with their places in the query.
    pub warnings: Vec<String>,
    /// Infos, with their places in the query.
    pub infos: Vec<String>,
}

/// Evaluates the queries of a script. Errors are the text a user would see.
pub trait ScriptEngine {
    /// Evaluates `query` at `t_ms`.
    fn instant(&self, source: &Arc<dyn SeriesSource>, query: &str, t_ms: i64) -> Result<Outcome, String>;

    /// Evaluates `query` from `start_ms` to `end_ms` every `step_ms`.
    fn range(
        &self,
        source: &Arc<dyn SeriesSource>,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Outcome, String>;
}

/// The options the reference runs its own scripts with: everything experimental is on, and queries
/// may hold few samples.
pub fn script_options() -> EngineOptions {
    EngineOptions {
        lookback: Duration::from_secs(5 * 60),
        max_samples: 10_000,
        timeout: Duration::from_secs(100),
        default_subquery_step: Duration::from_secs(60),
        parse: ParseOptions::ALL,
        delayed_name_removal: true,
        start_timestamps: true,
        ..EngineOptions::default()
    }
}

impl ScriptEngine for Engine {
    fn instant(&self, source: &Arc<dyn SeriesSource>, query: &str, t_ms: i64) -> Result<Outcome, String> {
        let ctx = QueryContext::unbounded();
        outcome(Engine::instant(self, source.as_ref(), query, t_ms, QueryOptions::default(), &ctx))
    }

    fn range(
        &self,
        source: &Arc<dyn SeriesSource>,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Outcome, String> {
        let (ctx, options) = (QueryContext::unbounded(), QueryOptions::default());
        outcome(Engine::range(self, source.as_ref(), query, start_ms, end_ms, step_ms, options, &ctx))
    }
}

fn outcome(result: Result<QueryResult, QueryError>) -> Result<Outcome, String> {
    let result = result.map_err(|error| error.to_string())?;
    let (warnings, infos) = result.warnings_and_infos(0);
    Ok(Outcome { value: result.value, warnings, infos })
}
