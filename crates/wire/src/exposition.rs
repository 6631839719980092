//! Reading the exposition formats: pull parsers over the bytes of one scrape.
//!
//! A parser moves from entry to entry with [`Exposition::next`]; the accessors then describe the entry it
//! stands on. The text of a series is handed out as a slice of the body, so that a collector recognises
//! series it knows by that text alone; labels, help texts and exemplars are materialised only on demand.

mod created;
mod error;
pub mod hostile;
mod nhcb;
mod openmetrics;
pub mod protobuf;
mod raw_labels;
mod scan;
mod series;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

use model::{Exemplar, FloatHistogram, Histogram, MetricType};

use crate::negotiate::{MediaType, NegotiationError, choose_media_type};

pub use error::ParseError;
pub use nhcb::{NhcbParser, convert_classic_histogram};
pub use openmetrics::OpenMetricsParser;
pub use protobuf::ProtobufParser;
pub use raw_labels::RawLabels;
pub use text::TextParser;

/// What a parser stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The help text of a metric family.
    Help,
    /// The type of a metric family.
    Type,
    /// The unit of a metric family.
    Unit,
    /// A comment.
    Comment,
    /// A float sample.
    Series,
    /// A float sample of the series that [`KnownSeries::known_len`] recognised.
    KnownSeries,
    /// A native histogram sample.
    Histogram,
}

/// What a collector remembers of the scrape before: targets list their series in the same order each time,
/// so that the next series is usually known before it is parsed.
pub trait KnownSeries {
    /// If `rest`, which starts at a series, begins with the text of the series expected next, the
    /// length of that text; else 0.
    ///
    /// Only texts that a parser of the same format returned from [`Exposition::series`] may be recognised:
    /// they are not checked again.
    fn known_len(&mut self, rest: &[u8]) -> usize;
}

/// No series is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingKnown;

impl KnownSeries for NothingKnown {
    #[inline]
    fn known_len(&mut self, _: &[u8]) -> usize {
        0
    }
}

/// A native histogram sample.
#[derive(Debug, Clone, Copy)]
pub enum HistogramSample<'a> {
    /// Integer counts.
    Integer(&'a Histogram),
    /// Float counts.
    Float(&'a FloatHistogram),
}

/// A pull parser over one exposition.
pub trait Exposition {
    /// Moves to the next entry; `None` at the end.
    fn next<K: KnownSeries>(&mut self, known: &mut K) -> Result<Option<Entry>, ParseError>;

    /// The metric family a help, type or unit entry is about.
    fn family_name(&self) -> Cow<'_, str>;

    /// The type declared last.
    fn metric_type(&self) -> MetricType;

    /// The text of a help entry.
    fn help(&self) -> Cow<'_, str>;

    /// The unit declared last, or empty.
    fn unit(&self) -> &str;

    /// The text of a comment entry.
    fn comment(&self) -> &[u8];

    /// The bytes that stand for the series of a sample: equal bytes mean equal labels.
    fn series(&self) -> &[u8];

    /// The value of a float sample.
    fn value(&self) -> f64;

    /// The timestamp of a sample in milliseconds since the Unix epoch, if the target gave one.
    fn timestamp_ms(&self) -> Option<i64>;

    /// The value of a histogram sample.
    fn histogram(&self) -> Option<HistogramSample<'_>>;

    /// Writes the labels of the sample, the metric name included, into `out`. Duplicate names are kept.
    fn labels_into(&self, out: &mut RawLabels);

    /// The next exemplar of the sample.
    fn next_exemplar(&mut self) -> Option<Exemplar>;

    /// When the sample's counter, histogram or summary started, in milliseconds since the Unix epoch; 0 when
    /// unknown. May read ahead.
    fn start_timestamp_ms(&mut self) -> i64;
}

/// How to read an exposition.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// Add `__type__` and `__unit__` labels.
    pub type_and_unit_labels: bool,
    /// Read histograms as if they had no native part (protobuf).
    pub ignore_native_histograms: bool,
    /// Turn classic histograms into native ones with custom buckets.
    pub convert_classic_to_nhcb: bool,
    /// Also emit the classic series of histograms that are native or become so.
    pub keep_classic: bool,
    /// Use `_created` series (OpenMetrics) as start timestamps only, and do not emit them.
    pub skip_created_series: bool,
    /// The format to assume where the response declares none that is supported.
    pub fallback: Option<MediaType>,
}

/// A parser of the format a response declares.
#[derive(Debug)]
pub enum Parser<'a> {
    /// Prometheus text.
    Text(TextParser<'a>),
    /// OpenMetrics text.
    OpenMetrics(OpenMetricsParser<'a>),
    /// Delimited protobuf.
    Protobuf(Box<ProtobufParser<'a>>),
    /// Prometheus text with classic histograms converted.
    TextNhcb(Box<NhcbParser<TextParser<'a>>>),
    /// OpenMetrics text with classic histograms converted.
    OpenMetricsNhcb(Box<NhcbParser<OpenMetricsParser<'a>>>),
}

impl<'a> Parser<'a> {
    /// A parser for `body` of the given `Content-Type` header. The second value is a warning: the
    /// fallback had to be used. Fails when there is no supported type and no fallback.
    pub fn new(
        body: &'a [u8],
        content_type: &str,
        options: &ParseOptions,
    ) -> Result<(Self, Option<NegotiationError>), NegotiationError> {
        let (media_type, warning) = choose_media_type(content_type, options.fallback)?;
        Ok((Self::of(body, media_type, options), warning))
    }

    /// A parser for `body` of a known format.
    pub fn of(body: &'a [u8], media_type: MediaType, options: &ParseOptions) -> Self {
        match (media_type, options.convert_classic_to_nhcb) {
            (MediaType::Protobuf, _) => Self::Protobuf(Box::new(ProtobufParser::new(body, options))),
            (MediaType::Text, false) => Self::Text(TextParser::new(body, options)),
            (MediaType::OpenMetrics, false) => Self::OpenMetrics(OpenMetricsParser::new(body, options)),
            (MediaType::Text, true) => {
                Self::TextNhcb(Box::new(NhcbParser::new(TextParser::new(body, options), options)))
            }
            (MediaType::OpenMetrics, true) => Self::OpenMetricsNhcb(Box::new(NhcbParser::new(
                OpenMetricsParser::new(body, options),
                options,
            ))),
        }
    }
}

/// Forwards to the parser inside.
macro_rules! each {
    ($self:ident, $parser:ident => $call:expr) => {
        match $self {
            Parser::Text($parser) => $call,
            Parser::OpenMetrics($parser) => $call,
            Parser::Protobuf($parser) => $call,
            Parser::TextNhcb($parser) => $call,
            Parser::OpenMetricsNhcb($parser) => $call,
        }
    };
}

impl Exposition for Parser<'_> {
    #[inline]
    fn next<K: KnownSeries>(&mut self, known: &mut K) -> Result<Option<Entry>, ParseError> {
        each!(self, parser => parser.next(known))
    }

    fn family_name(&self) -> Cow<'_, str> {
        each!(self, parser => parser.family_name())
    }

    fn metric_type(&self) -> MetricType {
        each!(self, parser => parser.metric_type())
    }

    fn help(&self) -> Cow<'_, str> {
        each!(self, parser => parser.help())
    }

    fn unit(&self) -> &str {
        each!(self, parser => parser.unit())
    }

    fn comment(&self) -> &[u8] {
        each!(self, parser => parser.comment())
    }

    #[inline]
    fn series(&self) -> &[u8] {
        each!(self, parser => parser.series())
    }

    #[inline]
    fn value(&self) -> f64 {
        each!(self, parser => parser.value())
    }

    #[inline]
    fn timestamp_ms(&self) -> Option<i64> {
        each!(self, parser => parser.timestamp_ms())
    }

    fn histogram(&self) -> Option<HistogramSample<'_>> {
        each!(self, parser => parser.histogram())
    }

    fn labels_into(&self, out: &mut RawLabels) {
        each!(self, parser => parser.labels_into(out));
    }

    #[inline]
    fn next_exemplar(&mut self) -> Option<Exemplar> {
        each!(self, parser => parser.next_exemplar())
    }

    fn start_timestamp_ms(&mut self) -> i64 {
        each!(self, parser => parser.start_timestamp_ms())
    }
}
