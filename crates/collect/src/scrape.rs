//! Scraping: pools of targets, one task each.
//!
//! In reading order: [`target`] (what is scraped), `rules` (labels of samples), `cache` (from the text of a
//! series to its reference), `metadata`, `fetch` (bodies), `ingest` (bodies to samples), `synthesis` (start
//! timestamps that targets do not tell), `report` (`up` and its companions), `grid` (when a target is due),
//! `task` (the loop of one target), `pool` (the targets of one job), [`manager`] (all jobs), [`metrics`] and `failure_log`.

mod cache;
mod failure_log;
mod fetch;
mod grid;
mod ingest;
pub mod manager;
mod metadata;
pub mod metrics;
mod pool;
mod report;
mod rules;
mod synthesis;
pub mod target;
mod task;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use fetch::FetchError;
pub use ingest::IngestError;
pub use manager::{Manager, PoolView, ScrapedTarget};
pub use metrics::ScrapeMetrics;
pub use rules::LabelError;
pub use target::{Health, LastScrape, ScrapeCost, Target, TargetError};

/// Settings that flags decide, for all jobs.
#[derive(Debug, Clone)]
pub struct ScrapeOptions {
    /// Hand metadata on to the storage.
    pub append_metadata: bool,
    /// Add a zero sample at the start of counters and histograms (`created-timestamp-zero-ingestion`).
    pub start_timestamp_zero_ingestion: bool,
    /// Hand start timestamps on to the storage.
    pub start_timestamps: bool,
    /// Make up start timestamps of counters whose targets tell none (`st-synthesis`).
    pub start_timestamp_synthesis: bool,
    /// Add `__type__` and `__unit__` labels.
    pub type_and_unit_labels: bool,
    /// Tells this server from others that scrape the same targets, so that they do it at different times:
    /// usually the host name.
    pub host: String,
    /// A delay before the first scrape of each target, on top of its place in the interval.
    pub initial_offset: Duration,
    /// Scrape each target once more at shutdown.
    pub scrape_on_shutdown: bool,
    /// How late a scrape may begin and still be stored at the time it was due; `None` stores all scrapes at
    /// the time they began.
    pub timestamp_tolerance: Option<Duration>,
}

impl Default for ScrapeOptions {
    fn default() -> Self {
        Self {
            append_metadata: false,
            start_timestamp_zero_ingestion: false,
            start_timestamps: false,
            start_timestamp_synthesis: false,
            type_and_unit_labels: false,
            host: String::new(),
            initial_offset: Duration::ZERO,
            scrape_on_shutdown: false,
            timestamp_tolerance: Some(Duration::from_millis(2)),
        }
    }
}
