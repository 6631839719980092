//! Logs that are pushed: from what a request holds to what is stored.
//!
//! In reading order: [`limits`] (what a tenant may push), `labels` (streams), `metadata` (structured metadata), `level`
//! (which level a line has), [`prepare`] (validation, and what is added), [`otlp`] (requests of OpenTelemetry), and
//! [`receiver`] (the door).

mod labels;
mod level;
pub mod limits;
mod metadata;
pub mod otlp;
pub mod prepare;
pub mod receiver;
#[cfg(test)]
mod tests;

pub use limits::LogLimits;
pub use receiver::{LogReceiver, Refusal};
