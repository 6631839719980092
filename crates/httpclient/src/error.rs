//! Why a request failed, worded as operators know it from the reference.

use std::error::Error as _;
use std::path::PathBuf;

/// Why a client could not be built or a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of the configuration cannot be read.
    #[error("unable to read {what} {path}: {reason}", path = path.display())]
    File {
        /// What the file holds, for example `password_file`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The TLS options or files cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Request(String),
    /// The request was sent and failed, or could not be sent.
    #[error("{method} {url:?}: {cause}")]
    Exchange {
        /// The method, as Go writes it: `Get`.
        method: String,
        /// The URL, without password.
        url: String,
        /// Why.
        cause: String,
        /// Whether the server may have got the request: it may if there was a connection.
        may_have_arrived: bool,
    },
    /// The answer did not arrive in time.
    #[error("{method} {url:?}: context deadline exceeded")]
    Timeout {
        /// The method, as Go writes it: `Get`.
        method: String,
        /// The URL, without password.
        url: String,
    },
    /// The body ended early or was malformed.
    #[error("{0}")]
    Body(String),
    /// The body did not arrive in time.
    #[error("context deadline exceeded (Client.Timeout or context cancellation while reading body)")]
    BodyTimeout,
    /// The body is larger than allowed.
    #[error("body size limit exceeded")]
    BodyTooLarge {
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// No token could be fetched.
    #[error("oauth2: {0}")]
    Token(String),
}

impl ClientError {
    /// Whether the server may have got the request, and done what it asks for, although no answer came.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Exchange { may_have_arrived, .. } => *may_have_arrived,
            Self::Timeout { .. } | Self::Body(_) | Self::BodyTimeout | Self::BodyTooLarge { .. } => true,
            Self::File { .. } | Self::Tls(_) | Self::Request(_) | Self::Token(_) => false,
        }
    }

    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::BodyTimeout)
    }
}

/// The innermost causes of an error on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// What failed inside hyper's client, as its deepest cause says it.
pub(crate) fn describe(error: &hyper_util::client::legacy::Error) -> String {
    match error.source() {
        Some(source) => chain(source),
        None => error.to_string(),
    }
}
