//! What scrapes cost, and what relabelling does with the series of a target.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::envelope::success;
use crate::error::ApiError;
use crate::handlers::Shared;
use crate::handlers::targets::{active_json, object, relabelled_labels, required, steps_json, unknown_pool};
use crate::params::Params;

/// `GET /targets`: all targets as `/api/v1/targets` has them, each with what its last scrape cost, and why some cannot
/// be scraped at all.
///
/// `{"active": [{…, "cost": {"samples", "samplesKept", "seriesAdded", "bodyBytes"}}], "dropped": [{"discoveredLabels",
/// "scrapePool"}], "droppedCounts": {"<pool>": 2}, "unusable": [{"scrapePool", "error"}]}`
pub async fn targets(State(state): State<Shared>) -> Response {
    let active = state.targets.active().into_iter().map(|target| {
        let mut shown = active_json(&state.options, &target);
        shown["cost"] = json!(target.cost);
        shown
    });
    let dropped = state.targets.dropped().into_iter();
    let dropped =
        dropped.map(|t| json!({ "discoveredLabels": object(&t.discovered_labels), "scrapePool": t.pool }));
    success(&json!({
        "active": active.collect::<Vec<Value>>(),
        "dropped": dropped.collect::<Vec<Value>>(),
        "droppedCounts": state.targets.dropped_counts(),
        "unusable": state.targets.unusable(),
    }))
}

/// `GET /metric_relabel_steps?scrapePool=…&labels={"__name__":…}`: what each of the rules of a pool for metrics does
/// with the labels of a series, in the form of `/api/v1/targets/relabel_steps`.
pub async fn metric_relabel_steps(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let pool = required(&params, "scrapePool")?;
    let labels = relabelled_labels(&params)?;
    let steps = state.targets.metric_relabel_steps(pool, &labels).ok_or_else(|| unknown_pool(pool))?;
    Ok(success(&json!({ "steps": steps_json(steps) })))
}
