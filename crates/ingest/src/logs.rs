//! Logs that are pushed: from what a request holds to what is stored.
//!
//! In reading order: [`limits`] (what a tenant may push), `tenants` (what it pushed lately), `labels` (streams),
//! `metadata` (structured metadata), `level` (which level a line has), [`prepare`] (validation, and what is added),
//! [`otlp`] (requests of OpenTelemetry), `metrics`, and [`receiver`] (the door).

#[cfg(test)]
mod hostile;
mod labels;
mod level;
pub mod limits;
mod metadata;
mod metrics;
pub mod otlp;
pub mod prepare;
pub mod receiver;
mod tenants;
#[cfg(test)]
mod tests;

pub use limits::{LogLimits, LogLimitsBook, LogRetention};
pub use metrics::Amount;
pub use receiver::LogReceiver;
