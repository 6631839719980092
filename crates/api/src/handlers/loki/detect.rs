//! `patterns`, `detected_labels`, `detected_fields` and `detected_field/{name}/values`.

use std::fmt::Write;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use logql::ast::LogExpr;
use logql::engine::detect::FieldParams;
use model::QueryContext;

use super::params::{Bounds, integer};
use super::query::plain_steps;
use super::respond::Failure;
use super::watched::Watched;
use super::{LogState, Logs, encode, json, run, run_watched};
use crate::params::Params;
use crate::screens::caller::Caller;

const DEFAULT_FIELDS: i64 = 1000;
const DEFAULT_LINES: i64 = 100;
const MAX_LINES: i64 = 5000;

/// `GET /patterns`
pub(super) async fn patterns(
    State(state): State<Logs>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let watched = Watched::lines(&state, &params, asker);
    let body = run_watched(&state, &headers, watched, move |state, ctx, _| {
        let mut steps = plain_steps(&params, state.now_ns())?;
        let matchers = logql::parse_matchers(params.get("query"))?;
        let bounds = Bounds { start_ns: steps.start_ns, end_ns: steps.end_ns }.admitted(state, ctx)?;
        (steps.start_ns, steps.end_ns) = (bounds.start_ns, bounds.end_ns);
        let found = state.engine(ctx).patterns(&matchers, steps)?;
        let mut out = String::from("{\"status\":\"success\",\"data\":[");
        encode::list(&mut out, &found, |out, pattern| {
            out.push_str("{\"pattern\":");
            encode::string(out, &pattern.pattern);
            out.push_str(",\"level\":");
            encode::string(out, &pattern.level);
            out.push_str(",\"samples\":[");
            encode::list(out, &pattern.samples, |out, (at, lines)| {
                let _ = write!(out, "[{at},{lines}]");
            });
            out.push_str("]}");
        });
        out.push_str("]}");
        Ok(out)
    });
    Ok(json(body.await?))
}

/// `GET /detected_labels`
pub(super) async fn labels(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let body = run(&state, &headers, move |state, ctx| {
        let bounds = Bounds::ordered(&params, state.now_ns())?;
        let query = params.get("query");
        let matchers = if query.is_empty() { None } else { Some(logql::parse_matchers(query)?) };
        let bounds = bounds.admitted(state, ctx)?;
        let found = state.engine(ctx).detected_labels(bounds.range(), matchers.as_deref())?;
        if found.is_empty() {
            return Ok("{}".to_owned());
        }
        let mut out = String::from("{\"detectedLabels\":[");
        encode::list(&mut out, &found, |out, label| {
            out.push_str("{\"label\":");
            encode::string(out, &label.label);
            let _ = write!(out, ",\"cardinality\":{}}}", label.cardinality);
        });
        out.push_str("]}");
        Ok(out)
    });
    Ok(json(body.await?))
}

/// Which lines are looked at, and how many of their fields are told.
fn field_params(
    state: &LogState,
    ctx: &QueryContext,
    params: &Params,
) -> Result<(LogExpr, FieldParams), Failure> {
    let bounds = Bounds::ordered(params, state.now_ns())?;
    let lines = integer(params, "line_limit", DEFAULT_LINES)?;
    let limit = integer(params, "limit", DEFAULT_FIELDS)?;
    let query = logql::parse_log(params.get("query"))?;
    let bounds = bounds.admitted(state, ctx)?;
    let lines = usize::try_from(lines.clamp(0, MAX_LINES)).unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(0);
    Ok((query, FieldParams { range: bounds.range(), lines, limit }))
}

/// `GET /detected_fields`
pub(super) async fn fields(
    State(state): State<Logs>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let watched = Watched::lines(&state, &params, asker);
    let body = run_watched(&state, &headers, watched, move |state, ctx, _| {
        let (query, wanted) = field_params(state, ctx, &params)?;
        let found = state.engine(ctx).detected_fields(&query, &wanted)?;
        let mut out = String::from("{");
        if !found.is_empty() {
            out.push_str("\"fields\":[");
            encode::list(&mut out, &found, |out, field| {
                out.push_str("{\"label\":");
                encode::string(out, &field.label);
                let _ = write!(
                    out,
                    ",\"type\":\"{}\",\"cardinality\":{},\"parsers\":",
                    field.kind, field.cardinality
                );
                if field.parsers.is_empty() {
                    out.push_str("null");
                } else {
                    out.push('[');
                    encode::list(out, &field.parsers, |out, parser| encode::string(out, parser));
                    out.push(']');
                }
                if !field.json_path.is_empty() {
                    out.push_str(",\"jsonPath\":[");
                    encode::list(out, &field.json_path, |out, step| encode::string(out, step));
                    out.push(']');
                }
                out.push('}');
            });
            out.push_str("],");
        }
        let _ = write!(out, "\"limit\":{}}}", wanted.limit);
        Ok(out)
    });
    Ok(json(body.await?))
}

/// `GET /detected_field/{name}/values`
pub(super) async fn values(
    State(state): State<Logs>,
    Path(name): Path<String>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let watched = Watched::lines(&state, &params, asker);
    let body = run_watched(&state, &headers, watched, move |state, ctx, _| {
        let (query, wanted) = field_params(state, ctx, &params)?;
        let found = state.engine(ctx).detected_values(&query, &name, &wanted)?;
        let mut out = String::from("{");
        if !found.is_empty() {
            out.push_str("\"values\":[");
            encode::list(&mut out, &found, |out, value| encode::string(out, value));
            out.push_str("],");
        }
        let _ = write!(out, "\"limit\":{}}}", wanted.limit);
        Ok(out)
    });
    Ok(json(body.await?))
}
