//! The logs engine: a write-ahead log, entries in memory, and Parquet objects in a bucket.
//!
//! It must not know HTTP, LogQL or configuration files. In reading order: [`options`], [`db`] (the whole, and what moves
//! entries from memory to the bucket), `select` (what a query reads), [`memtable`], [`wal`], [`manifest`] (which objects
//! there are), [`segment`] (one object) on [`parquet`] and [`codec`], `compact`, [`deletes`], [`day`], `metrics` and [`inspect`].

mod cache;
pub mod codec;
mod compact;
pub mod day;
pub mod db;
pub mod deletes;
pub mod inspect;
pub mod manifest;
pub mod memtable;
mod metrics;
pub mod options;
pub mod parquet;
pub mod segment;
mod select;
#[cfg(test)]
mod simulation;
pub mod wal;

pub use day::Day;
pub use db::{Background, DayOverview, LogDb, LogDbError, Overview};
pub use deletes::{DeleteRequest, LineCondition, StoredDelete};
pub use options::{Options, Retention, RetentionRule};
