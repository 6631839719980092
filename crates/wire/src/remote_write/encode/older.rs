//! Leaving out of a request what became too old while it waited.

use super::{Counts, compress};
use crate::protobuf::{ProtobufError, Reader, Schema};
use crate::remote_write::MessageType;
use crate::remote_write::decode::schema;

/// The compressed body without the samples and exemplars before `limit_ms`, and how many were left out. Each series
/// of the request holds one, as [`super::Encoder`] writes them.
///
/// Fails for a body that is none of the encoder's.
pub fn without_older(message: MessageType, body: &[u8], limit_ms: i64) -> Result<(Vec<u8>, Counts), NotOurs> {
    let raw = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| NotOurs(error.to_string()))?;
    let (request, series_field, series): (&'static Schema, u32, &'static Schema) = match message {
        MessageType::V1 => (&schema::REQUEST_V1, 1, &schema::SERIES_V1),
        MessageType::V2 => (&schema::REQUEST_V2, 5, &schema::SERIES_V2),
    };
    let mut kept = Vec::with_capacity(raw.len());
    let mut dropped = Counts::default();
    let mut reader = Reader::new(&raw, request);
    while let Some(field) = reader.field()? {
        let start = reader.field_offset();
        if field != series_field {
            reader.skip()?;
        } else if let (Some(t_ms), kind) = time_of(reader.message(series)?, message)?
            && t_ms < limit_ms
        {
            match kind {
                Part::Sample => dropped.samples += 1,
                Part::Histogram => dropped.histograms += 1,
                Part::Exemplar => dropped.exemplars += 1,
            }
            continue;
        }
        kept.extend_from_slice(&raw[start..reader.pos()]);
    }
    let mut out = Vec::new();
    compress(&mut snap::raw::Encoder::new(), &kept, &mut out);
    Ok((out, dropped))
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

#[derive(Debug, Clone, Copy)]
enum Part {
    Sample,
    Histogram,
    Exemplar,
}

/// The timestamp of what a series holds.
fn time_of(mut series: Reader<'_>, message: MessageType) -> Result<(Option<i64>, Part), ProtobufError> {
    while let Some(field) = series.field()? {
        let (part, schema, time_field) = match (message, field) {
            (MessageType::V1, 2) => (Part::Sample, &schema::SAMPLE_V1, 2),
            (MessageType::V2, 2) => (Part::Sample, &schema::SAMPLE_V2, 2),
            (MessageType::V1, 4) => (Part::Histogram, &schema::HISTOGRAM_V1, 15),
            (MessageType::V2, 3) => (Part::Histogram, &schema::HISTOGRAM_V2, 15),
            (MessageType::V1, 3) => (Part::Exemplar, &schema::EXEMPLAR_V1, 3),
            (MessageType::V2, 4) => (Part::Exemplar, &schema::EXEMPLAR_V2, 3),
            _ => {
                series.skip()?;
                continue;
            }
        };
        let mut reader = series.message(schema)?;
        while let Some(field) = reader.field()? {
            if field == time_field {
                return Ok((Some(reader.int()?), part));
            }
            reader.skip()?;
        }
    }
    Ok((None, Part::Sample))
}
