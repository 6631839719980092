//! Metrics about the host this process runs on, under the names node_exporter gives them.
//!
//! It must not know HTTP, storage or scraping: it reads `/proc`, `/sys` and mounted file systems and
//! answers [`base::metrics::Family`] values. In reading order: [`host`] (what is collected and from
//! where), then one module per collector under it.

pub mod host;

pub use host::{HostMetrics, HostOptions};
