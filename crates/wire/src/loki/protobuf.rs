//! Requests in protobuf.

use bytes::Bytes;

use super::{PushEntry, PushError, PushLabels, PushRequest, PushStream};
use crate::protobuf::{Problem, ProtobufError, Reader, Schema, varint};

static REQUEST: Schema = Schema { message: "PushRequest", fields: &[(1, "streams")] };
static STREAM: Schema =
    Schema { message: "StreamAdapter", fields: &[(1, "labels"), (2, "entries"), (3, "hash")] };
static ENTRY: Schema =
    Schema { message: "EntryAdapter", fields: &[(1, "timestamp"), (2, "line"), (3, "structuredMetadata")] };
static TIMESTAMP: Schema = Schema { message: "Timestamp", fields: &[(1, "seconds"), (2, "nanos")] };
static PAIR: Schema = Schema { message: "LabelPairAdapter", fields: &[(1, "name"), (2, "value")] };

/// Reads a request. Lines share the memory of the body.
pub fn decode(body: &Bytes) -> Result<PushRequest, PushError> {
    read(body).map_err(|error| {
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

fn read(body: &Bytes) -> Result<PushRequest, ProtobufError> {
    let mut request = PushRequest::default();
    let mut reader = Reader::new(body, &REQUEST);
    while let Some(field) = reader.field()? {
        match field {
            1 => request.streams.push(stream(body, reader.message(&STREAM)?)?),
            _ => reader.skip()?,
        }
    }
    Ok(request)
}

fn stream(body: &Bytes, mut reader: Reader<'_>) -> Result<PushStream, ProtobufError> {
    let mut stream = PushStream { labels: PushLabels::Text(String::new()), entries: Vec::new() };
    while let Some(field) = reader.field()? {
        match field {
            1 => stream.labels = PushLabels::Text(lossy(reader.bytes()?)),
            2 => stream.entries.push(entry(body, reader.message(&ENTRY)?)?),
            _ => reader.skip()?,
        }
    }
    Ok(stream)
}

fn entry(body: &Bytes, mut reader: Reader<'_>) -> Result<PushEntry, ProtobufError> {
    let mut entry = PushEntry::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => entry.timestamp_ns = timestamp(reader.message(&TIMESTAMP)?)?,
            2 => {
                let (start, end) = reader.place()?;
                entry.line = body.slice(start..end);
            }
            3 => entry.metadata.push(pair(reader.message(&PAIR)?)?),
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
