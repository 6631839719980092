//! What can go wrong with files of the data directory.

use std::path::{Path, PathBuf};

use base::ErrorKind;
use model::SourceError;
use model::context::QueryStop;

/// A failure of the storage engine outside the write-ahead log.
#[derive(Debug, thiserror::Error)]
pub enum TsdbError {
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
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// The data directory is in use by another process, which holds this lock file.
    #[error("{}: the data directory is locked by another process", .0.display())]
    Locked(PathBuf),
    /// What a source handed to the block writer cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// The query may not go on.
    #[error(transparent)]
    Stopped(#[from] QueryStop),
    /// The write-ahead log failed.
    #[error(transparent)]
    Wal(#[from] crate::wal::WalError),
}

impl TsdbError {
    /// Wraps a failed file operation.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Damage in a file.
    pub(crate) fn corrupt(path: impl AsRef<Path>, problem: impl std::fmt::Display) -> Self {
        Self::Corrupt { path: path.as_ref().to_path_buf(), problem: problem.to_string() }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Wal(_) => ErrorKind::Storage,
            Self::Corrupt { .. } => ErrorKind::Corruption,
            Self::Locked(_) => ErrorKind::Unavailable,
            Self::Invalid(_) => ErrorKind::InvalidInput,
            Self::Stopped(QueryStop::Timeout(_)) => ErrorKind::Timeout,
            Self::Stopped(QueryStop::Canceled(_)) => ErrorKind::Canceled,
            Self::Stopped(QueryStop::Budget(_)) => ErrorKind::LimitExceeded,
        }
    }
}

impl From<TsdbError> for SourceError {
    fn from(error: TsdbError) -> Self {
        match error {
            TsdbError::Stopped(stop) => Self::Stopped(stop),
            TsdbError::Corrupt { .. } => Self::Corruption(error.to_string()),
            _ => Self::Storage(error.to_string()),
        }
    }
}
