//! The data model every engine, wire format and query language shares. No I/O.
//!
//! It must not know storage engines, query languages or protocols. In reading order: [`labels`],
//! [`matcher`] (with [`regex`]), [`sample`], [`histogram`], [`meta`] (metadata and exemplars),
//! [`context`] (what a query may use), [`number`], [`duration`] and [`kahan`] (text forms and summation
//! that must agree with the field to the last bit), [`source`] and [`logs`]: the traits in which storage engines and query
//! languages meet, for metrics and for logs.

#[cfg(test)]
mod conformance;
pub mod context;
pub mod duration;
pub mod histogram;
pub mod kahan;
pub mod labels;
pub mod logs;
pub mod matcher;
pub mod meta;
pub mod number;
pub mod regex;
pub mod sample;
pub mod source;

pub use context::{QueryContext, QueryProgress, QueryStop};
pub use histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{MatchOp, Matcher};
pub use meta::{Exemplar, Metadata, MetricType};
pub use sample::{STALE_NAN_BITS, SampleColumns, TimeRange, is_stale_nan, stale_nan};
pub use source::{
    AppendError, Appendable, Appender, LabelRequest, Projection, RawChunk, SampleValue, SelectRequest,
    SeriesRef, SeriesSet, SeriesSource, SourceError, TenantId,
};
