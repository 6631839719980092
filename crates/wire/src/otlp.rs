//! OpenTelemetry's protocol, OTLP: requests to store metrics and logs read in place, answers written.
//!
//! A request is walked, not built: [`Request`] yields resources, those yield scopes, those yield metrics,
//! and a metric's points are read one by one into buffers that the caller keeps. Nothing is trusted: depth and
//! counts are bounded, and every error says at which byte it was found. In reading order: [`message`]
//! (resources, scopes, metrics), [`point`] (data points and exemplars), [`attribute`] (names and values of any
//! type), [`json`] (requests in JSON become the same bytes first), [`answer`], and [`logs`].

pub mod answer;
pub mod attribute;
pub mod hostile;
pub mod json;
pub mod logs;
pub mod message;
pub mod point;
mod schema;
#[cfg(test)]
mod tests;

pub use attribute::{AnyValue, Attribute, Attributes};
pub use message::{Data, Metric, Request, ResourceMetrics, ScopeMetrics, Temporality};
pub use point::{
    Buckets, Exemplar, ExponentialPoint, HistogramPoint, Number, NumberPoint, PointHead, SummaryPoint,
};

use crate::protobuf::ProtobufError;

/// How deep values may lie in values.
pub const MAX_DEPTH: usize = 32;
/// How many attributes a resource, a scope, a point or an exemplar may have.
pub const MAX_ATTRIBUTES: usize = 1024;
/// How many buckets, bounds or quantiles a point may have.
pub const MAX_BUCKETS: usize = 16_384;
/// How many exemplars a point may have.
pub const MAX_EXEMPLARS: usize = 16_384;

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The encoding is wrong.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// An id is not as long as ids are.
    #[error("{what} of {len} bytes at byte {offset}")]
    WrongId {
        /// Which id.
        what: &'static str,
        /// Its length.
        len: usize,
        /// Where in the body.
        offset: usize,
    },
    /// Values lie too deep in values.
    #[error("values are nested deeper than {limit} at byte {offset}")]
    TooDeep {
        /// How deep they may lie.
        limit: usize,
        /// Where in the body.
        offset: usize,
    },
    /// There is too much of something.
    #[error("more than {limit} {what} at byte {offset}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
        /// Where in the body.
        offset: usize,
    },
    /// The JSON is wrong, or does not fit the protocol.
    #[error("JSON: {problem} at byte {offset}")]
    Json {
        /// What is wrong.
        problem: String,
        /// Where in the body.
        offset: usize,
    },
}

type Result<T, E = DecodeError> = std::result::Result<T, E>;
