//! `/api/prom/query`: entries in the shape they had before there were series.

use std::fmt::Write;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use logql::engine::LineParams;

use super::params::{Bounds, direction, limit};
use super::respond::Failure;
use super::watched::Watched;
use super::{Logs, encode, json, policy, run_watched};
use crate::params::Params;
use crate::screens::caller::Caller;

/// `GET /api/prom/query`
pub(super) async fn query(
    State(state): State<Logs>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let watched = Watched::lines(&state, &params, asker);
    let body = run_watched(&state, &headers, watched, move |state, ctx, _| {
        let (limit, direction) = (limit(&params, 100)?, direction(&params)?);
        let bounds = Bounds::ordered(&params, state.now_ns())?;
        let query = logql::parse_log(params.get("query"))?;
        policy::admit(state, ctx, params.get("query"), &logql::ast::Expr::Log(query.clone()))?;
        let bounds = bounds.admitted(state, ctx)?;
        let most = state.limits_of(&ctx.tenant).max_entries;
        let limit = if most > 0 { limit.min(most) } else { limit };
        let lines = LineParams { range: bounds.range(), limit, direction, interval_ns: 0, categorize: false };
        let result = state.engine(ctx).lines(&query, &lines)?;
        let mut out = String::from("{\"streams\":[");
        encode::list(&mut out, &result.streams, |out, (labels, entries)| {
            out.push_str("{\"labels\":");
            encode::string(out, &labels.to_string());
            out.push_str(",\"entries\":[");
            encode::list(out, entries, |out, entry| {
                let at = Timestamp::from_nanosecond(i128::from(entry.timestamp_ns)).unwrap_or_default();
                let _ = write!(out, "{{\"ts\":\"{at}\",\"line\":");
                encode::string(out, &String::from_utf8_lossy(&entry.line));
                out.push('}');
            });
            out.push_str("]}");
        });
        out.push_str("]}");
        Ok(out)
    });
    Ok(json(body.await?))
}
