//! The HTTP surface: Prometheus's API v1, federation, self-metrics, lifecycle and administration.
//!
//! It knows HTTP and JSON and nothing of storage engines or scraping: those it meets through
//! [`model::SeriesSource`] and the traits in [`state`]. In reading order: [`state`] (what handlers
//! need), [`notifications`], [`metrics`], [`queries`] (those that run), [`params`] and [`error`] (requests in, failures out), [`json`] and [`envelope`] (answers),
//! [`handlers`] (one file a subject), [`ui`] (the screens), [`openapi`] (the table of the API's paths, which describes it), [`screens`] (users and what they keep), `websocket`, [`router`] and [`server`] (listening, TLS,
//! authentication).

pub mod alertmanager;
pub mod envelope;
pub mod error;
pub mod handlers;
pub mod json;
pub mod metrics;
pub mod notifications;
pub mod openapi;
pub mod params;
pub mod queries;
pub mod router;
pub mod screens;
pub mod server;
pub mod state;
pub mod ui;
mod websocket;

pub use error::ApiError;
pub use router::router;
pub use server::Server;
pub use state::{ApiOptions, ApiState};
