//! Queries of logs in the list of those that run.

use axum::Extension;
use logql::ast::Expr;
use model::QueryContext;

use super::LogState;
use super::params::Bounds;
use crate::handlers::query::name_of;
use crate::params::Params;
use crate::queries::{Asked, Language, QueryKind, RunningQuery};
use crate::screens::caller::Caller;

/// How a query was asked, as the list shows it.
pub(super) struct Watched {
    query: String,
    asked: Asked,
}

impl Watched {
    /// A query about one moment.
    pub fn instant(params: &Params, asker: Option<Extension<Caller>>) -> Self {
        Self::new(params.get("query"), QueryKind::Instant, asker)
    }

    /// A query about the bounds of its parameters: of lines, or of series with a step. What is wrong with the parameters
    /// the query itself will say.
    pub fn range(state: &LogState, params: &Params, asker: Option<Extension<Caller>>) -> Self {
        let query = params.get("query");
        let lines = Self::lines(state, params, asker.clone());
        let (start_ms, end_ms, step_ns) = match Bounds::read_hour(params, state.now_ns()) {
            Ok(bounds) => (bounds.start_ns / NS, bounds.end_ns / NS, bounds.step_ns(params)),
            Err(_) => return lines,
        };
        match (logql::parse_with(query, state.options.language), step_ns) {
            (Ok(Expr::Metric(_)), Ok(step_ns)) => {
                Self::new(query, QueryKind::Range { start_ms, end_ms, step_ms: step_ns / NS }, asker)
            }
            _ => lines,
        }
    }

    /// A query that looks at lines between the bounds of its parameters.
    pub fn lines(state: &LogState, params: &Params, asker: Option<Extension<Caller>>) -> Self {
        let now_ns = state.now_ns();
        let bounds = Bounds::read_hour(params, now_ns).unwrap_or(Bounds { start_ns: now_ns, end_ns: now_ns });
        Self::between(params.get("query"), bounds, asker)
    }

    /// A query that looks at lines between two moments.
    pub fn between(query: &str, bounds: Bounds, asker: Option<Extension<Caller>>) -> Self {
        let (start_ms, end_ms) = (bounds.start_ns / NS, bounds.end_ns / NS);
        Self::new(query, QueryKind::Lines { start_ms, end_ms }, asker)
    }

    fn new(query: &str, kind: QueryKind, asker: Option<Extension<Caller>>) -> Self {
        let asked = Asked { language: Language::LogQl, kind, asker: name_of(asker) };
        Self { query: query.to_owned(), asked }
    }

    /// Notes that it came.
    pub fn begin(self, state: &LogState, ctx: &QueryContext) -> RunningQuery {
        state.running.begin(&self.query, self.asked, ctx)
    }
}

/// Nanoseconds of a millisecond.
const NS: i64 = 1_000_000;
