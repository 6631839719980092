//! The sections of the configuration file, one file per subject.

pub mod alerting;
pub mod cluster;
pub mod foreign;
pub mod global;
pub mod http;
pub mod limits;
pub mod otlp;
pub mod relabel;
pub mod remote;
pub mod scrape;
pub mod sd;
pub mod storage;
pub mod tracing;
pub mod web;
