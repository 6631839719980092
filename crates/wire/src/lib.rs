//! The formats metrics and logs travel in: Prometheus text, OpenMetrics, OTLP, Loki's push and protobuf.
//!
//! It works on bytes and knows neither HTTP nor storage. In reading order: [`number`] and [`quote`] (the
//! atoms), [`escape`] (names for those who know only ASCII), [`negotiate`] (which format), [`exposition`]
//! (reading a scrape), [`lint`] (what the standards forbid beyond that), [`encode`] (writing one),
//! [`decompress`] (bodies that may not grow beyond a limit), [`protobuf`] (fields of messages),
//! [`remote_read`], [`remote_write`], [`otlp`] and [`loki`].

pub mod decompress;
pub mod encode;
pub mod escape;
pub mod exposition;
pub mod lint;
pub mod loki;
pub mod negotiate;
pub mod number;
pub mod otlp;
pub mod protobuf;
pub mod quote;
pub mod remote_read;
pub mod remote_write;

pub use encode::{Encoder, FederatedSample, FederatedValue};
pub use escape::Escaping;
pub use exposition::{Entry, Exposition, KnownSeries, ParseError, ParseOptions, Parser, RawLabels};
pub use negotiate::{Format, MediaType, Negotiated, ScrapeProtocol, accept_header, negotiate};
