//! `query`, `query_range` and `format_query`.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use logql::ast::Expr;
use logql::engine::series::{Series, Values};
use logql::engine::{LineParams, Sample, Steps};
use logql::labels::LabelSet;
use logql::{Engine, Limits};
use model::QueryContext;

use super::params::{BAD_ORDER, BAD_STEP, Bounds, direction, duration, integer, limit, time};
use super::respond::Failure;
use super::stats::{Spent, write};
use super::watched::Watched;
use super::{LogState, Logs, budget, encode, json, policy, run_watched};
use crate::params::Params;
use crate::screens::caller::Caller;

const DEFAULT_LIMIT: i64 = 100;
const NO_LOGS_AT_INSTANTS: &str =
    "log queries are not supported as an instant query type, please change your query to a range query type";

impl LogState {
    pub(super) fn engine<'a>(&'a self, ctx: &'a QueryContext) -> Engine<'a> {
        let limits = self.limits_of(&ctx.tenant);
        let max_series = match limits.max_series {
            0 => usize::MAX,
            limit => limit,
        };
        Engine::new(&*self.source, Limits { max_series, oldest_ns: self.oldest_ns(&limits) }, ctx)
    }
}

/// Whether labels are to be told apart by where they come from.
pub(super) fn categorizes(headers: &HeaderMap) -> bool {
    let flags = headers.get_all("x-loki-response-encoding-flags");
    let has = |text: &str| text.split(',').any(|flag| flag.trim() == "categorize-labels");
    flags.iter().any(|value| value.to_str().is_ok_and(has))
}

fn answer(data: &str, spent: &Spent, warnings: &[String]) -> String {
    let mut out = String::with_capacity(data.len() + 4096);
    out.push_str("{\"status\":\"success\"");
    encode::warnings(&mut out, warnings);
    out.push_str(",\"data\":{");
    out.push_str(data);
    out.push_str(",\"stats\":");
    write(&mut out, spent);
    out.push_str("}}");
    out
}

/// `GET /query`
pub(super) async fn instant(
    State(state): State<Logs>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let watched = Watched::instant(&params, asker);
    let body = run_watched(&state, &headers, watched, move |state, ctx, queued| {
        limit(&params, DEFAULT_LIMIT)?;
        direction(&params)?;
        let at_ns = time(&params, "time", state.now_ns())?;
        let query = logql::parse_with(params.get("query"), state.options.language)?;
        policy::admit(state, ctx, params.get("query"), &query)?;
        let Expr::Metric(query) = query else {
            return Err(Failure::bad(NO_LOGS_AT_INSTANTS));
        };
        let started = state.clock.monotonic();
        budget::admit_metric(state, ctx, &query, Bounds { start_ns: at_ns, end_ns: at_ns })?;
        let result = state.engine(ctx).series(&query, Steps::instant(at_ns))?;
        let mut data = String::new();
        encode::instant(&mut data, &result.values, at_ns);
        let seconds = (state.clock.monotonic() - started).as_secs_f64();
        let entries = if let Values::Series(series) = &result.values { series.len() } else { 1 };
        let spent = Spent { cost: result.cost, seconds, queued_seconds: queued.as_secs_f64(), entries };
        Ok(answer(&data, &spent, &ctx.take_warnings()))
    });
    Ok(json(body.await?))
}

/// `GET /query_range`
pub(super) async fn range(
    State(state): State<Logs>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let categorize = categorizes(&headers);
    let watched = Watched::range(&state, &params, asker);
    let body = run_watched(&state, &headers, watched, move |state, ctx, queued| {
        range_body(state, ctx, queued, &params, categorize)
    });
    Ok(json(body.await?))
}

fn range_body(
    state: &LogState,
    ctx: &QueryContext,
    queued: Duration,
    params: &Params,
    categorize: bool,
) -> Result<String, Failure> {
    let limit = limit(params, DEFAULT_LIMIT)?;
    let direction = direction(params)?;
    let bounds = Bounds::read_hour(params, state.now_ns())?;
    let step_ns = bounds.step_ns(params)?;
    if bounds.end_ns.saturating_sub(bounds.start_ns) / step_ns > state.options.max_points {
        return Err(Failure::bad(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    let interval_ns = match params.get("interval") {
        "" => 0,
        text => duration(text)?,
    };
    if interval_ns < 0 {
        return Err(Failure::bad("interval must be >= 0"));
    }
    let query = logql::parse_with(params.get("query"), state.options.language)?;
    policy::admit(state, ctx, params.get("query"), &query)?;
    let asked = bounds;
    let bounds = bounds.admitted(state, ctx)?;
    let started = state.clock.monotonic();
    let mut data = String::new();
    let (cost, entries) = match &query {
        Expr::Log(log) => {
            if asked.end_ns == asked.start_ns {
                return Err(Failure::bad(BAD_ORDER));
            }
            let most = state.limits_of(&ctx.tenant).max_entries;
            if most > 0 && limit > most {
                return Err(Failure::bad(format!(
                    "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {most})"
                )));
            }
            let range = bounds.range();
            budget::admit_lines(state, ctx, log, range)?;
            let lines = LineParams { range, limit, direction, interval_ns, categorize };
            let result = state.engine(ctx).lines(log, &lines)?;
            encode::streams(&mut data, &result.streams, categorize);
            (result.cost, result.entries)
        }
        Expr::Metric(metric) => {
            let steps = aligned(bounds, step_ns);
            budget::admit_metric(state, ctx, metric, bounds)?;
            let result = state.engine(ctx).series(metric, steps)?;
            let series = match result.values {
                Values::Series(series) => series,
                Values::Scalar(value) => vec![constant(value, steps)],
            };
            encode::matrix(&mut data, &series);
            (result.cost, series.len())
        }
    };
    let seconds = (state.clock.monotonic() - started).as_secs_f64();
    let spent = Spent { cost, seconds, queued_seconds: queued.as_secs_f64(), entries };
    Ok(answer(&data, &spent, &ctx.take_warnings()))
}

/// The steps of a range: multiples of the step, so that the same question asked a little later has the same points.
fn aligned(bounds: Bounds, step_ns: i64) -> Steps {
    let down = |ns: i64| ns.div_euclid(step_ns).saturating_mul(step_ns);
    let end_ns = down(bounds.end_ns.saturating_add(step_ns - 1));
    Steps { start_ns: down(bounds.start_ns), end_ns, step_ns }
}

fn constant(value: f64, steps: Steps) -> Series {
    let samples = (0..steps.len()).map(|step| Sample { timestamp_ns: steps.at(step), value });
    Series { labels: LabelSet::default(), samples: samples.collect() }
}

/// `GET /format_query`
pub(super) async fn format(State(state): State<Logs>, params: Params) -> Response {
    let parsed = logql::parse_with(params.get("query"), state.options.language);
    let (status, key, text) = match parsed {
        Ok(query) => (StatusCode::OK, "\"success\",\"data\":", logql::format::pretty(&query)),
        Err(error) => (StatusCode::BAD_REQUEST, "\"invalid-query\",\"error\":", error.to_string()),
    };
    let mut out = format!("{{\"status\":{key}");
    encode::string(&mut out, &text);
    out.push('}');
    (status, json(out)).into_response()
}

/// The steps of requests that are about steps, but not about series.
pub(super) fn plain_steps(params: &Params, now_ns: i64) -> Result<Steps, Failure> {
    let bounds = Bounds::ordered(params, now_ns)?;
    let step_ns = bounds.step_ns(params)?;
    integer(params, "limit", 0)?;
    if step_ns <= 0 {
        return Err(Failure::bad(BAD_STEP));
    }
    Ok(Steps { start_ns: bounds.start_ns, end_ns: bounds.end_ns, step_ns })
}
