//! The answer that is a stream: `prometheus.ChunkedReadResponse` messages, each in a frame.

use super::{Place, put_labels};
use crate::protobuf::{ProtobufError, Reader, Schema, put_bytes, put_message, put_uint};

static RESPONSE: Schema = Schema {
    message: "prometheus.ChunkedReadResponse",
    fields: &[(1, "chunked_series"), (2, "query_index")],
};
static SERIES: Schema =
    Schema { message: "prometheus.ChunkedSeries", fields: &[(1, "labels"), (2, "chunks")] };
static CHUNK: Schema = Schema {
    message: "prometheus.Chunk",
    fields: &[(1, "min_time_ms"), (2, "max_time_ms"), (3, "type"), (4, "data")],
};

/// An encoded chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chunk<'a> {
    /// Timestamp of the first sample.
    pub min_ms: i64,
    /// Timestamp of the last sample.
    pub max_ms: i64,
    /// The number of its encoding, the same as on disk.
    pub encoding: u64,
    /// The chunk.
    pub data: &'a [u8],
}

/// Hands on where each series of a message lies, and tells the number of the query they answer.
pub fn for_each_series<E: From<ProtobufError>>(
    message: &[u8],
    mut visit: impl FnMut(Place) -> Result<(), E>,
) -> Result<i64, E> {
    let mut query = 0;
    let mut reader = Reader::new(message, &RESPONSE);
    while let Some(field) = reader.field()? {
        match field {
            1 => visit(reader.place()?)?,
            2 => query = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok(query)
}

/// Hands on the chunks of the series at `place`.
pub fn for_each_chunk<'a, E: From<ProtobufError>>(
    message: &'a [u8],
    place: Place,
    mut visit: impl FnMut(Chunk<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut series = Reader::at(message, place, &SERIES);
    while let Some(field) = series.field()? {
        if field != 2 {
            series.skip()?;
            continue;
        }
        let mut reader = series.message(&CHUNK)?;
        let mut chunk = Chunk::default();
        while let Some(field) = reader.field()? {
            match field {
                1 => chunk.min_ms = reader.int()?,
                2 => chunk.max_ms = reader.int()?,
                3 => chunk.encoding = reader.uint()?,
                4 => chunk.data = reader.bytes()?,
                _ => reader.skip()?,
            }
        }
        visit(chunk)?;
    }
    Ok(())
}

/// Appends the message with some chunks of one series.
pub fn put_message_of_series<'a>(
    out: &mut Vec<u8>,
    query: usize,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    chunks: &[Chunk<'_>],
) {
    put_message(out, 1, |out| {
        put_labels(out, labels);
        for chunk in chunks {
            put_message(out, 2, |out| {
                put_uint(out, 1, chunk.min_ms as u64);
                put_uint(out, 2, chunk.max_ms as u64);
                put_uint(out, 3, chunk.encoding);
                put_bytes(out, 4, chunk.data);
            });
        }
    });
    if query > 0 {
        put_uint(out, 2, query as u64);
    }
}

/// Bytes a chunk takes in a message, about.
pub fn chunk_bytes(chunk: &Chunk<'_>) -> usize {
    const AROUND: usize = 20;
    chunk.data.len() + AROUND
}
