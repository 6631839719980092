//! The metrics storage engine.

pub mod wal;
