//! Scrape pools, targets and what they say about their metrics.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Response;
use model::labels::Labels;
use model::{Matcher, Metadata};
use serde_json::{Value, json};

use super::Shared;
use crate::envelope::success;
use crate::error::ApiError;
use crate::params::Params;
use crate::state::{ActiveTarget, ApiOptions, RelabelStep};

/// Go's zero time, which is what clients see before the first scrape.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// `GET /scrape_pools`
pub async fn scrape_pools(State(state): State<Shared>) -> Response {
    success(&json!({ "scrapePools": state.targets.pools() }))
}

/// `GET /scrape_pools/config`
pub async fn scrape_pool_config(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let pool = required(&params, "scrapePool")?;
    match state.targets.pool_config(pool) {
        Some(yaml) => Ok(success(&json!({ "yaml": yaml }))),
        None => Err(unknown_pool(pool)),
    }
}

/// `GET /targets`
pub async fn targets(State(state): State<Shared>, params: Params) -> Response {
    let wanted = params.get("scrapePool");
    let is_wanted = |pool: &str| wanted.is_empty() || wanted == pool;
    let shown = params.get("state").to_lowercase();
    let any = shown.is_empty() || shown == "any";
    let mut data = json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": null });
    if any || shown == "active" {
        let active = state.targets.active().into_iter().filter(|t| is_wanted(&t.pool));
        data["activeTargets"] = active.map(|target| active_json(&state.options, &target)).collect();
    }
    if any || shown == "dropped" {
        let dropped = state.targets.dropped().into_iter().filter(|t| is_wanted(&t.pool));
        data["droppedTargetCounts"] = json!(state.targets.dropped_counts());
        data["droppedTargets"] = dropped
            .map(|t| json!({ "discoveredLabels": object(&t.discovered_labels), "scrapePool": t.pool }))
            .collect();
    }
    success(&data)
}

pub(super) fn active_json(options: &ApiOptions, target: &ActiveTarget) -> Value {
    let last_scrape = target.last_scrape_ms.map_or_else(|| NEVER.to_owned(), super::status::rfc3339);
    json!({
        "discoveredLabels": object(&target.discovered_labels),
        "labels": object(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": global_url(options, &target.scrape_url),
        "lastError": target.last_error,
        "lastScrape": last_scrape,
        "lastScrapeDuration": target.last_scrape_duration.as_secs_f64(),
        "health": target.health,
        "scrapeInterval": target.scrape_interval,
        "scrapeTimeout": target.scrape_timeout,
    })
}

/// The URL of a target as a user's browser can reach it: loopback means this host's external name.
fn global_url(options: &ApiOptions, scrape_url: &str) -> String {
    let Ok(mut url) = url::Url::parse(scrape_url) else { return scrape_url.to_owned() };
    if !matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]" | "::1")) {
        return scrape_url.to_owned();
    }
    let own_port = options.listen_address.rsplit(':').next().and_then(|port| port.parse().ok());
    let external = &options.external_url;
    // A URL that cannot take the new host, scheme or port keeps what it has.
    if own_port.is_some() && url.port_or_known_default() == own_port {
        let _ = url.set_scheme(external.scheme());
        let _ = url.set_port(external.port());
    }
    let _ = url.set_host(external.host_str());
    url.into()
}

/// `GET /targets/metadata`
pub async fn target_metadata(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let limit = params.number("limit", "limit must be a number")?.and_then(|n| usize::try_from(n).ok());
    let matchers = match params.get("match_target") {
        "" => Vec::new(),
        text => crate::params::selector(text)
            .map_err(|error| ApiError::invalid_parameter("match_target", error))?,
    };
    let family = params.get("metric");
    let all = state.targets.metadata(family).into_iter();
    let mut data: Vec<Value> = Vec::new();
    let mut last = None;
    for entry in all.filter(|entry| matches(&entry.target, &matchers)) {
        let is_next_target = last.as_ref() != Some(&entry.target);
        // The limit is for targets to begin with: what the last of them has is listed whole.
        if is_next_target && limit.is_some_and(|limit| data.len() >= limit) {
            break;
        }
        let mut value = metadata_json(&entry.metadata);
        value["target"] = object(&entry.target);
        if family.is_empty() {
            value["metric"] = json!(entry.family);
        }
        data.push(value);
        last = Some(entry.target);
    }
    Ok(success(&data))
}

fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get_or_empty(&matcher.name)))
}

/// `GET /metadata`
pub async fn metadata(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let limit = params.number("limit", "limit must be a number")?.and_then(|n| usize::try_from(n).ok());
    let per_metric = params.number("limit_per_metric", "limit_per_metric must be a number")?;
    let per_metric = per_metric.and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    let mut seen = BTreeSet::new();
    let mut families: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in state.targets.metadata(params.get("metric")) {
        if !families.contains_key(&entry.family) && limit.is_some_and(|limit| families.len() >= limit) {
            continue;
        }
        let known = families.entry(entry.family.clone()).or_default();
        let fits = per_metric.is_none_or(|limit| known.len() < limit);
        let (m, value) = (&entry.metadata, metadata_json(&entry.metadata));
        if fits && seen.insert((entry.family, m.metric_type.as_str(), m.unit.clone(), m.help.clone())) {
            known.push(value);
        }
    }
    Ok(success(&families))
}

fn metadata_json(metadata: &Metadata) -> Value {
    json!({ "type": metadata.metric_type.as_str(), "help": metadata.help.as_str(), "unit": metadata.unit.as_str() })
}

/// `GET /targets/relabel_steps`
pub async fn relabel_steps(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let pool = required(&params, "scrapePool")?;
    let labels = relabelled_labels(&params)?;
    let steps = state.targets.relabel_steps(pool, &labels).ok_or_else(|| unknown_pool(pool))?;
    Ok(success(&json!({ "steps": steps_json(steps) })))
}

/// The parameter `labels`: an object of names and values.
pub(super) fn relabelled_labels(params: &Params) -> Result<Labels, ApiError> {
    let pairs: BTreeMap<String, String> = serde_json::from_str(required(params, "labels")?)
        .map_err(|error| ApiError::bad_data(format!("error parsing labels: {error}")))?;
    Ok(Labels::from_pairs(pairs))
}

pub(super) fn steps_json(steps: Vec<RelabelStep>) -> Vec<Value> {
    let step =
        |step: RelabelStep| json!({ "rule": step.rule, "output": object(&step.output), "keep": step.keep });
    steps.into_iter().map(step).collect()
}

pub(super) fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, ApiError> {
    match params.get(name) {
        "" => Err(ApiError::bad_data(format!("no {name} parameter provided"))),
        value => Ok(value),
    }
}

pub(super) fn unknown_pool(pool: &str) -> ApiError {
    ApiError::bad_data(format!("error retrieving scrape config: scrape pool {pool:?} not found"))
}

pub(super) fn object(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}
