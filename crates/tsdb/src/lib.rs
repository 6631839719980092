//! The metrics storage engine.

pub mod agent;
pub mod block;
pub mod chunk_source;
pub mod compact;
pub mod db;
pub mod error;
#[cfg(test)]
mod full_disk;
pub mod head;
pub mod identity;
pub mod merge;
mod rechunk;
mod trouble;
pub mod wal;

pub use agent::{Agent, AgentOptions};
pub use db::{Db, Options};
pub use error::TsdbError;
