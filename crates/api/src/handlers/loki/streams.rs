//! `labels`, `label/{name}/values` and `series`.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use logql::engine::stream_matchers;
use model::{Labels, Matcher, QueryContext};

use super::params::Bounds;
use super::respond::Failure;
use super::{Logs, encode, json, run};
use crate::params::Params;

/// The matcher sets of a text; none where it is empty or selects everything.
pub(super) fn matchers_of(text: &str) -> Result<Vec<Matcher>, Failure> {
    let inner = text.trim();
    let selects_all = inner
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|rest| rest.trim().is_empty());
    if inner.is_empty() || selects_all {
        return Ok(Vec::new());
    }
    Ok(stream_matchers(&logql::parse_matchers(text)?))
}

fn texts(texts: &BTreeSet<String>, ctx: &QueryContext) -> String {
    let mut out = String::from("{\"status\":\"success\"");
    encode::warnings(&mut out, &ctx.take_warnings());
    if !texts.is_empty() {
        out.push_str(",\"data\":[");
        encode::list(&mut out, texts, |out, text| encode::string(out, text));
        out.push(']');
    }
    out.push('}');
    out
}

async fn collected(
    state: Logs,
    headers: HeaderMap,
    params: Params,
    pick: impl Fn(&Labels, &mut BTreeSet<String>) + Send + 'static,
) -> Result<Response, Failure> {
    let body = run(&state, &headers, move |state, ctx| {
        let bounds = Bounds::of_labels(&params, state.now_ns())?;
        let query = params.get("query");
        let sets =
            if query.is_empty() { Vec::new() } else { vec![stream_matchers(&logql::parse_matchers(query)?)] };
        let bounds = bounds.admitted(state, ctx)?;
        let mut found = BTreeSet::new();
        for stream in state.source.streams(bounds.range(), &sets, ctx)? {
            pick(&stream, &mut found);
        }
        Ok(texts(&found, ctx))
    });
    Ok(json(body.await?))
}

/// `GET /labels`
pub(super) async fn labels(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    collected(state, headers, params, |stream, found| {
        for (name, _) in stream {
            if !found.contains(name) {
                found.insert(name.to_owned());
            }
        }
    })
    .await
}

/// `GET /label/{name}/values`
pub(super) async fn values(
    State(state): State<Logs>,
    Path(name): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    collected(state, headers, params, move |stream, found| {
        if let Some(value) = stream.get(&name)
            && !found.contains(value)
        {
            found.insert(value.to_owned());
        }
    })
    .await
}

/// `GET /series`
pub(super) async fn series(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let body = run(&state, &headers, move |state, ctx| {
        let bounds = Bounds::of_labels(&params, state.now_ns())?;
        let selectors = params.all("match[]").chain(params.all("match"));
        let sets = selectors.map(matchers_of).collect::<Result<Vec<_>, _>>()?;
        let bounds = bounds.admitted(state, ctx)?;
        let streams = state.source.streams(bounds.range(), &sets, ctx)?;
        let mut out = String::from("{\"status\":\"success\"");
        encode::warnings(&mut out, &ctx.take_warnings());
        out.push_str(",\"data\":[");
        encode::list(&mut out, &streams, encode::pairs);
        out.push_str("]}");
        Ok(out)
    });
    Ok(json(body.await?))
}
