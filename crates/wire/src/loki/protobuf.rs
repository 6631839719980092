//! Requests in protobuf.

use base::Reservation;
use base::budget::BudgetExceeded;
use bytes::Bytes;

use super::{MAX_STREAMS, Meter, PushEntry, PushError, PushLabels, PushRequest, PushStream};
use crate::protobuf::{Problem, ProtobufError, Reader, Schema, varint};

static REQUEST: Schema = Schema { message: "PushRequest", fields: &[(1, "streams")] };
static STREAM: Schema =
    Schema { message: "StreamAdapter", fields: &[(1, "labels"), (2, "entries"), (3, "hash")] };
static ENTRY: Schema =
    Schema { message: "EntryAdapter", fields: &[(1, "timestamp"), (2, "line"), (3, "structuredMetadata")] };
static TIMESTAMP: Schema = Schema { message: "Timestamp", fields: &[(1, "seconds"), (2, "nanos")] };
static PAIR: Schema = Schema { message: "LabelPairAdapter", fields: &[(1, "name"), (2, "value")] };

/// Why reading ends.
enum Stop {
    Damage(ProtobufError),
    Memory(BudgetExceeded),
    TooMany,
}

impl From<ProtobufError> for Stop {
    fn from(error: ProtobufError) -> Self {
        Self::Damage(error)
    }
}

impl From<BudgetExceeded> for Stop {
    fn from(error: BudgetExceeded) -> Self {
        Self::Memory(error)
    }
}

/// Reads a request. Lines share the memory of the body; `memory` is grown by what the rest takes.
pub fn decode(body: &Bytes, memory: &mut Reservation) -> Result<PushRequest, PushError> {
    read(body, &mut Meter::new(memory)).map_err(|stop| {
        let error = match stop {
            Stop::Damage(error) => error,
            Stop::Memory(error) => return error.into(),
            Stop::TooMany => return PushError::Protobuf("too many streams".to_owned()),
        };
        PushError::Protobuf(match error.problem {
            Problem::IllegalWireType(wire_type) => format!("illegal wireType {wire_type}"),
            Problem::Truncated => "unexpected EOF".to_owned(),
            Problem::IllegalField(_) => match varint(body, error.offset) {
                // Senders know the wire type to be wrong before they look at the number.
                Ok((key, _)) if key & 7 > 5 => format!("illegal wireType {}", key & 7),
                _ => error.to_string(),
            },
            _ => error.to_string(),
        })
    })
}

fn read(body: &Bytes, meter: &mut Meter<'_>) -> Result<PushRequest, Stop> {
    let mut request = PushRequest::default();
    let mut reader = Reader::new(body, &REQUEST);
    while let Some(field) = reader.field()? {
        match field {
            1 if request.streams.len() >= MAX_STREAMS => return Err(Stop::TooMany),
            1 => request.streams.push(stream(body, reader.message(&STREAM)?, meter)?),
            _ => reader.skip()?,
        }
    }
    meter.settle()?;
    Ok(request)
}

fn stream(body: &Bytes, mut reader: Reader<'_>, meter: &mut Meter<'_>) -> Result<PushStream, Stop> {
    meter.stream()?;
    let mut stream = PushStream { labels: PushLabels::Text(String::new()), entries: Vec::new() };
    while let Some(field) = reader.field()? {
        match field {
            1 => {
                let labels = reader.bytes()?;
                meter.pair(labels.len())?;
                stream.labels = PushLabels::Text(lossy(labels));
            }
            2 => stream.entries.push(entry(body, reader.message(&ENTRY)?, meter)?),
            _ => reader.skip()?,
        }
    }
    Ok(stream)
}

fn entry(body: &Bytes, mut reader: Reader<'_>, meter: &mut Meter<'_>) -> Result<PushEntry, Stop> {
    meter.entry()?;
    let mut entry = PushEntry::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => entry.timestamp_ns = timestamp(reader.message(&TIMESTAMP)?)?,
            2 => {
                let (start, end) = reader.place()?;
                entry.line = body.slice(start..end);
            }
            3 => {
                let reader = reader.message(&PAIR)?;
                meter.pair(reader.end() - reader.pos())?;
                entry.metadata.push(pair(reader)?);
            }
            _ => reader.skip()?,
        }
    }
    Ok(entry)
}

fn timestamp(mut reader: Reader<'_>) -> Result<i64, ProtobufError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    while let Some(field) = reader.field()? {
        match field {
            1 => seconds = reader.int()?,
            2 => nanos = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

fn pair(mut reader: Reader<'_>) -> Result<(String, String), ProtobufError> {
    let mut pair = (String::new(), String::new());
    while let Some(field) = reader.field()? {
        match field {
            1 => pair.0 = lossy(reader.bytes()?),
            2 => pair.1 = lossy(reader.bytes()?),
            _ => reader.skip()?,
        }
    }
    Ok(pair)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use base::ByteBudget;

    use super::*;
    use crate::protobuf::{put_bytes, put_message};

    fn entries(count: usize) -> Bytes {
        let mut body = Vec::new();
        put_message(&mut body, 1, |stream| {
            put_bytes(stream, 1, b"{a=\"b\"}");
            (0..count).for_each(|_| put_bytes(stream, 2, b""));
        });
        body.into()
    }

    #[test]
    fn a_body_of_two_bytes_an_entry_is_paid_for_by_the_entry() {
        let budget = ByteBudget::new("logs.max-push-memory", 1 << 20);
        let mut memory = budget.reserve(0).unwrap();
        assert_eq!(decode(&entries(1000), &mut memory).unwrap().streams[0].entries.len(), 1000);
        assert!(memory.bytes() >= 1000 * super::super::ENTRY_COST_BYTES);
        let refused = decode(&entries(10_000), &mut memory);
        assert!(matches!(refused, Err(PushError::Memory(_))), "{refused:?}");
        let streams: Vec<u8> = [0x0a, 0x00].repeat(10_000);
        let refused = decode(&streams.into(), &mut budget.reserve(0).unwrap());
        assert!(matches!(refused, Err(PushError::Memory(_))), "{refused:?}");
    }
}
