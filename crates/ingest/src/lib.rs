//! What is pushed to this server: from the bytes of a request to one transaction of the storage.
//!
//! It must not know HTTP, storage engines or configuration files. In reading order: [`limits`] (what a tenant
//! may push), [`tenant`] (what is remembered of each), [`cache`] (from the bytes of labels straight to a series),
//! `labels` (the way a new series takes), [`receiver`] (the door), [`remote_write`], `metrics`, and
//! [`otlp`]; and [`logs`].

pub mod cache;
mod labels;
pub mod limits;
pub mod logs;
mod metrics;
pub mod otlp;
pub mod receiver;
pub mod remote_write;
pub mod tenant;

pub use limits::{Limits, LimitsBook};
pub use logs::{LogLimits, LogLimitsBook, LogReceiver, LogRetention};
pub use receiver::{Options, PushError, Receiver};
pub use remote_write::{Outcome, Written};
