//! What the pages for operators need beyond Prometheus's API: `/api/operations`.
//!
//! Answers have the envelope of that API; names are in camel case. In reading order: [`targets`] (what scrapes cost,
//! what relabelling does with a series), [`queries`] (those that run) and [`cardinality`] (where series come from).

mod cardinality;
mod queries;
mod targets;

use axum::Router;
use axum::routing::{delete, get};

use super::Shared;

/// The paths, below `/api/operations`.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/targets", get(targets::targets))
        .route("/metric_relabel_steps", get(targets::metric_relabel_steps))
        .route("/queries", get(queries::list))
        .route("/queries/{id}", delete(queries::cancel))
        .route("/cardinality", get(cardinality::cardinality))
}
