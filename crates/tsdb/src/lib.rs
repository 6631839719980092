//! The metrics storage engine.

pub mod block;
pub mod chunk_source;
pub mod error;
pub mod wal;

pub use error::TsdbError;
