//! The logs engine: a write-ahead log, entries in memory, and Parquet objects in a bucket.
//!
//! It must not know HTTP, LogQL or configuration files. In reading order: [`codec`] (integers and byte strings), [`parquet`], [`segment`] (objects).

pub mod codec;
pub mod memtable;
pub mod parquet;
pub mod segment;
