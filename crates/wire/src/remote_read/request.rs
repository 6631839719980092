//! What is asked.

use base::Reservation;
use base::budget::BudgetExceeded;
use model::{MatchOp, Matcher};

use crate::protobuf::{ProtobufError, Reader, Schema, put_bytes, put_message, put_uint};

static REQUEST: Schema =
    Schema { message: "prometheus.ReadRequest", fields: &[(1, "queries"), (2, "accepted_response_types")] };
static QUERY: Schema = Schema {
    message: "prometheus.Query",
    fields: &[(1, "start_timestamp_ms"), (2, "end_timestamp_ms"), (3, "matchers"), (4, "hints")],
};
static MATCHER: Schema =
    Schema { message: "prometheus.LabelMatcher", fields: &[(1, "type"), (2, "name"), (3, "value")] };
static HINTS: Schema = Schema {
    message: "prometheus.ReadHints",
    fields: &[
        (1, "step_ms"),
        (2, "func"),
        (3, "start_ms"),
        (4, "end_ms"),
        (5, "grouping"),
        (6, "by"),
        (7, "range_ms"),
    ],
};

/// A way to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResponseType {
    /// One message with all samples.
    Samples,
    /// A stream of messages with encoded chunks, floats and histograms alike.
    StreamedXorChunks,
}

impl ResponseType {
    /// What a client of ours accepts, best first.
    pub const ACCEPTED: [Self; 2] = [Self::StreamedXorChunks, Self::Samples];

    /// The number on the wire.
    pub const fn number(self) -> u64 {
        match self {
            Self::Samples => 0,
            Self::StreamedXorChunks => 1,
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Samples),
            1 => Some(Self::StreamedXorChunks),
            _ => None,
        }
    }
}

/// No way to answer that the client accepts is known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "server does not support any of the requested response types: {0:?}; supported: map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]"
)]
pub struct UnsupportedResponses(Vec<u64>);

/// The first way to answer, in the client's order, that is known; samples when the client has no wish.
pub fn negotiate(accepted: &[u64]) -> Result<ResponseType, UnsupportedResponses> {
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    let known = accepted.iter().find_map(|&number| ResponseType::from_number(number));
    // The list is as long as the client made it; the error need not be.
    known.ok_or_else(|| UnsupportedResponses(accepted.iter().take(16).copied().collect()))
}

/// A whole request; it borrows the body it came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadRequest<'a> {
    /// Queries, answered in this order.
    pub queries: Vec<Query<'a>>,
    /// Numbers of the ways to answer the client accepts, best first.
    pub accepted: Vec<u64>,
}

/// One query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query<'a> {
    /// First timestamp of interest.
    pub start_ms: i64,
    /// Last timestamp of interest.
    pub end_ms: i64,
    /// All must match.
    pub matchers: Vec<RawMatcher<'a>>,
    /// What the samples are for.
    pub hints: Option<ReadHints<'a>>,
}

/// A matcher that has not been compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawMatcher<'a> {
    /// The number of its operator.
    pub kind: u64,
    /// The label.
    pub name: &'a str,
    /// The literal or pattern.
    pub value: &'a str,
}

/// What samples are for: a server may use it to send less, and need not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadHints<'a> {
    /// Step of the query.
    pub step_ms: i64,
    /// Function or aggregation around the selector.
    pub function: &'a str,
    /// Start of the range the query evaluates.
    pub start_ms: i64,
    /// End of it.
    pub end_ms: i64,
    /// Labels the aggregation groups by.
    pub grouping: Vec<&'a str>,
    /// Whether it groups by these labels rather than by all others.
    pub by: bool,
    /// Range of the range selector.
    pub range_ms: i64,
}

/// Why a body is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It does not follow its schema.
    #[error(transparent)]
    Malformed(#[from] ProtobufError),
    /// It takes more memory than is left for queries.
    #[error(transparent)]
    Memory(#[from] BudgetExceeded),
}

/// Why a matcher cannot be used. Texts are Prometheus's.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// There is no such operator.
    #[error("invalid matcher type")]
    Kind,
    /// The pattern does not compile.
    #[error(transparent)]
    Regex(#[from] model::regex::RegexError),
}

impl<'a> RawMatcher<'a> {
    /// A matcher as it is sent.
    pub fn of(matcher: &'a Matcher) -> Self {
        let kind = match matcher.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        };
        Self { kind, name: &matcher.name, value: &matcher.value }
    }

    /// The matcher, ready for use.
    pub fn compile(&self) -> Result<Matcher, MatcherError> {
        let op = match self.kind {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            _ => return Err(MatcherError::Kind),
        };
        Ok(Matcher::new(op, self.name, self.value)?)
    }
}

impl<'a> ReadRequest<'a> {
    /// Reads a body. `memory` is grown by what the result holds besides the body, for a body of few bytes can
    /// stand for many queries.
    pub fn decode(body: &'a [u8], memory: &mut Reservation) -> Result<Self, RequestError> {
        let mut request = Self::default();
        let mut reader = Reader::new(body, &REQUEST);
        while let Some(field) = reader.field()? {
            match field {
                1 => {
                    // Lists double as they grow.
                    memory.grow(2 * size_of::<Query<'_>>())?;
                    request.queries.push(query(reader.message(&QUERY)?, memory)?);
                }
                2 => {
                    let mut room = Ok(());
                    reader.uints(|number| {
                        if room.is_ok() {
                            room = memory.grow(2 * size_of::<u64>());
                            request.accepted.push(number);
                        }
                        Ok(())
                    })?;
                    room?;
                }
                _ => reader.skip()?,
            }
        }
        Ok(request)
    }

    /// Appends the request as it is sent.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for query in &self.queries {
            put_message(out, 1, |out| put_query(out, query));
        }
        if !self.accepted.is_empty() {
            put_message(out, 2, |out| {
                self.accepted.iter().for_each(|&number| crate::protobuf::put_varint(out, number));
            });
        }
    }
}

fn query<'a>(mut reader: Reader<'a>, memory: &mut Reservation) -> Result<Query<'a>, RequestError> {
    let mut query = Query::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => query.start_ms = reader.int()?,
            2 => query.end_ms = reader.int()?,
            3 => {
                memory.grow(2 * size_of::<RawMatcher<'_>>())?;
                query.matchers.push(matcher(reader.message(&MATCHER)?)?);
            }
            4 => query.hints = Some(hints(reader.message(&HINTS)?, memory)?),
            _ => reader.skip()?,
        }
    }
    Ok(query)
}

fn matcher(mut reader: Reader<'_>) -> Result<RawMatcher<'_>, ProtobufError> {
    let mut matcher = RawMatcher::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => matcher.kind = reader.uint()?,
            2 => matcher.name = reader.text()?,
            3 => matcher.value = reader.text()?,
            _ => reader.skip()?,
        }
    }
    Ok(matcher)
}

fn hints<'a>(mut reader: Reader<'a>, memory: &mut Reservation) -> Result<ReadHints<'a>, RequestError> {
    let mut hints = ReadHints::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => hints.step_ms = reader.int()?,
            2 => hints.function = reader.text()?,
            3 => hints.start_ms = reader.int()?,
            4 => hints.end_ms = reader.int()?,
            5 => {
                memory.grow(2 * size_of::<&str>())?;
                hints.grouping.push(reader.text()?);
            }
            6 => hints.by = reader.uint()? != 0,
            7 => hints.range_ms = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok(hints)
}

fn put_query(out: &mut Vec<u8>, query: &Query<'_>) {
    put_uint(out, 1, query.start_ms as u64);
    put_uint(out, 2, query.end_ms as u64);
    for matcher in &query.matchers {
        put_message(out, 3, |out| {
            put_uint(out, 1, matcher.kind);
            put_bytes(out, 2, matcher.name.as_bytes());
            put_bytes(out, 3, matcher.value.as_bytes());
        });
    }
    let Some(hints) = &query.hints else { return };
    put_message(out, 4, |out| {
        put_uint(out, 1, hints.step_ms as u64);
        put_bytes(out, 2, hints.function.as_bytes());
        put_uint(out, 3, hints.start_ms as u64);
        put_uint(out, 4, hints.end_ms as u64);
        hints.grouping.iter().for_each(|label| put_bytes(out, 5, label.as_bytes()));
        put_uint(out, 6, u64::from(hints.by));
        put_uint(out, 7, hints.range_ms as u64);
    });
}
