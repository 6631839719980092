//! Requests made smaller after they were encoded: without what became too old while they waited, or in halves.

use super::{Counts, compress};
use crate::protobuf::{ProtobufError, Reader, Schema};
use crate::remote_write::MessageType;
use crate::remote_write::decode::schema;

/// The compressed body without the samples and exemplars before `limit_ms`, and how many were left out. Each series
/// of the request holds one sample, perhaps with its exemplars, or one exemplar, as [`super::Encoder`] writes them.
///
/// Fails for a body that is none of the encoder's.
pub fn without_older(message: MessageType, body: &[u8], limit_ms: i64) -> Result<(Vec<u8>, Counts), NotOurs> {
    let mut dropped = Counts::default();
    let kept = filter(message, &decompressed(body)?, |_, t_ms, counts| {
        let keeps = t_ms.is_none_or(|t_ms| t_ms >= limit_ms);
        if !keeps {
            dropped.add(counts);
        }
        keeps
    })?;
    Ok((kept.body, dropped))
}

/// A request with some of the series of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The compressed body.
    pub body: Vec<u8>,
    /// What is in it.
    pub counts: Counts,
}

/// The first and the second half of the series of a compressed body; `None` when there is only one.
///
/// Fails for a body that is none of the encoder's.
pub fn halves(message: MessageType, body: &[u8]) -> Result<Option<[Part; 2]>, NotOurs> {
    let raw = decompressed(body)?;
    let mut series = 0;
    filter(message, &raw, |_, _, _| {
        series += 1;
        false
    })?;
    if series < 2 {
        return Ok(None);
    }
    let first = filter(message, &raw, |i, _, _| i < series / 2)?;
    let second = filter(message, &raw, |i, _, _| i >= series / 2)?;
    Ok(Some([first, second]))
}

fn decompressed(body: &[u8]) -> Result<Vec<u8>, NotOurs> {
    snap::raw::Decoder::new().decompress_vec(body).map_err(|error| NotOurs(error.to_string()))
}

/// The series that `keep` wants, which is given their number, time and content.
fn filter(
    message: MessageType,
    raw: &[u8],
    mut keep: impl FnMut(usize, Option<i64>, Counts) -> bool,
) -> Result<Part, NotOurs> {
    let (request, series_field, series): (&'static Schema, u32, &'static Schema) = match message {
        MessageType::V1 => (&schema::REQUEST_V1, 1, &schema::SERIES_V1),
        MessageType::V2 => (&schema::REQUEST_V2, 5, &schema::SERIES_V2),
    };
    let mut kept = Vec::with_capacity(raw.len());
    let mut counts = Counts::default();
    let mut reader = Reader::new(raw, request);
    let mut index = 0;
    while let Some(field) = reader.field()? {
        let start = reader.field_offset();
        if field != series_field {
            reader.skip()?;
        } else {
            let (t_ms, content) = content_of(reader.message(series)?, message)?;
            index += 1;
            if !keep(index - 1, t_ms, content) {
                continue;
            }
            counts.add(content);
        }
        kept.extend_from_slice(&raw[start..reader.pos()]);
    }
    let mut body = Vec::new();
    compress(&mut snap::raw::Encoder::new(), &kept, &mut body);
    Ok(Part { body, counts })
}

/// A body that [`super::Encoder`] did not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("request cannot be read back: {0}")]
pub struct NotOurs(String);

impl From<ProtobufError> for NotOurs {
    fn from(error: ProtobufError) -> Self {
        Self(error.to_string())
    }
}

/// The timestamp of the first thing a series holds, and how much it holds.
fn content_of(mut series: Reader<'_>, message: MessageType) -> Result<(Option<i64>, Counts), ProtobufError> {
    let (mut first_ms, mut counts) = (None, Counts::default());
    while let Some(field) = series.field()? {
        let (count, schema, time_field) = match (message, field) {
            (MessageType::V1, 2) => (&mut counts.samples, &schema::SAMPLE_V1, 2),
            (MessageType::V2, 2) => (&mut counts.samples, &schema::SAMPLE_V2, 2),
            (MessageType::V1, 4) => (&mut counts.histograms, &schema::HISTOGRAM_V1, 15),
            (MessageType::V2, 3) => (&mut counts.histograms, &schema::HISTOGRAM_V2, 15),
            (MessageType::V1, 3) => (&mut counts.exemplars, &schema::EXEMPLAR_V1, 3),
            (MessageType::V2, 4) => (&mut counts.exemplars, &schema::EXEMPLAR_V2, 3),
            _ => {
                series.skip()?;
                continue;
            }
        };
        *count += 1;
        let mut reader = series.message(schema)?;
        while let Some(field) = reader.field()? {
            match field {
                _ if field == time_field && first_ms.is_none() => first_ms = Some(reader.int()?),
                _ => reader.skip()?,
            }
        }
    }
    Ok((first_ms, counts))
}
