//! The outgoing side of Prometheus's remote protocols.
//!
//! It must not know what serves them, nor who asks. [`read`](mod@read) makes other
//! servers sources of metrics, [`write`](mod@write) sends what the log gains to other stores.

pub mod read;
pub mod write;
