//! Why a query failed.

use base::ErrorKind;
use model::{QueryStop, SourceError};

/// Why a query has no result. Texts are the reference's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The query does not parse, or uses what is switched off; the text tells where.
    #[error("{0}")]
    Invalid(String),
    /// The query cannot be carried out on this data.
    #[error("{0}")]
    Execution(String),
    /// More samples than `max_samples` would have to be held at once.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// Deadline, cancellation or byte budget.
    #[error(transparent)]
    Stopped(#[from] QueryStop),
    /// The storage failed.
    #[error("expanding series: {0}")]
    Source(SourceError),
}

impl QueryError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::InvalidInput,
            Self::Execution(_) => ErrorKind::Execution,
            Self::TooManySamples => ErrorKind::LimitExceeded,
            Self::Stopped(stop) => stop_kind(stop),
            Self::Source(SourceError::Stopped(stop)) => stop_kind(stop),
            Self::Source(SourceError::Corruption(_)) => ErrorKind::Corruption,
            Self::Source(SourceError::Storage(_)) => ErrorKind::Storage,
        }
    }

    /// Two samples of one labelset at one time.
    pub(crate) fn same_labelset() -> Self {
        Self::Execution("vector cannot contain metrics with the same labelset".to_owned())
    }
}

fn stop_kind(stop: &QueryStop) -> ErrorKind {
    match stop {
        QueryStop::Timeout(_) => ErrorKind::Timeout,
        QueryStop::Canceled(_) => ErrorKind::Canceled,
        QueryStop::Budget(_) => ErrorKind::LimitExceeded,
    }
}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        match error {
            // A stop is a stop wherever it was noticed.
            SourceError::Stopped(stop) => Self::Stopped(stop),
            other => Self::Source(other),
        }
    }
}

impl From<base::budget::BudgetExceeded> for QueryError {
    fn from(exceeded: base::budget::BudgetExceeded) -> Self {
        Self::Stopped(QueryStop::Budget(exceeded))
    }
}

/// The result of a step of evaluation.
pub(crate) type EvalResult<T> = Result<T, QueryError>;
