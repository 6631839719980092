//! Blocks: immutable directories of series over a range of time, in Prometheus's format.

pub mod meta;
pub mod tombstones;
