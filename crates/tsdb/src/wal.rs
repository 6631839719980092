//! The write-ahead log: Prometheus's format, byte for byte (`docs/formats/wal.md`).
//!
//! In reading order: [`codec`] (varints and big-endian integers), [`record`] and [`histogram`] (what a
//! record says), [`compression`], [`frame`] (how records lie in pages), [`batch`] (the records of one
//! commit), [`segment`] (files of a log directory), [`writer`], [`reader`], [`damage`] and [`progress`] (what reading
//! finds), [`tail`] (reading along), [`repair`] and [`checkpoint`].
//!
//! Two rules hold throughout. A batch is written with one `write` and is either wholly in the log or not
//! at all. Reading never gives up: a damaged record is reported and skipped, and reading goes on at the
//! next page.

pub mod batch;
pub mod checkpoint;
pub mod codec;
pub mod compression;
pub mod damage;
pub mod frame;
pub mod histogram;
pub mod progress;
pub mod reader;
pub mod record;
pub mod repair;
pub mod segment;
pub mod tail;
pub mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use batch::RecordBatch;
pub use compression::Compression;
pub use damage::{Damage, Damages};
pub use progress::{ReplayProgress, ReplayStatus};
pub use reader::{ReadEvent, SegmentReader};
pub use tail::{Appended, Hold, LogTail, Position};
pub use writer::{Wal, WalMetrics, WalOptions};

/// Why the log could not be written, read or maintained.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The log was closed.
    #[error("write-ahead log is closed")]
    Closed,
    /// Compression failed.
    #[error("compress record: {0}")]
    Compression(String),
    /// A record does not decode.
    #[error("decode record: {0}")]
    Record(#[from] record::RecordError),
}

impl WalError {
    /// Wraps a failed file operation.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
