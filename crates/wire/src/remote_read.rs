//! Prometheus's remote-read protocol: what is asked, and the two ways to answer.
//!
//! In reading order: [`request`] (queries), [`samples`] (one message with all samples, the older way),
//! [`chunks`] (a stream of messages with encoded chunks), [`frame`] (how those follow one another).
//!
//! Bodies are read in place: a client keeps them as they came and reads a series when it is asked for it.

pub mod chunks;
pub mod frame;
pub mod request;
pub mod samples;

#[cfg(test)]
mod tests;

use crate::protobuf::{ProtobufError, Reader, Schema, put_bytes, put_message};

pub use frame::{FrameError, FrameReader, put_frame};
pub use request::{Query, RawMatcher, ReadHints, ReadRequest, ResponseType, negotiate};

/// Content type of an answer with samples.
pub const SAMPLES_CONTENT_TYPE: &str = "application/x-protobuf";
/// Content type of an answer with chunks.
pub const CHUNKS_CONTENT_TYPE: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Where a series lies in the body it came in.
pub type Place = (usize, usize);

/// Labels have the same place in the series of both answers.
const LABELS: u32 = 1;

static LABELS_OF_SERIES: Schema = Schema { message: "series", fields: &[(1, "labels")] };
static LABEL: Schema = Schema { message: "prometheus.Label", fields: &[(1, "name"), (2, "value")] };

/// Appends the labels of the series at `place`, as they were sent, to `out`.
pub fn labels<'a>(
    body: &'a [u8],
    place: Place,
    out: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), ProtobufError> {
    let mut series = Reader::at(body, place, &LABELS_OF_SERIES);
    while let Some(field) = series.field()? {
        if field != LABELS {
            series.skip()?;
            continue;
        }
        let mut label = series.message(&LABEL)?;
        let (mut name, mut value) = ("", "");
        while let Some(field) = label.field()? {
            match field {
                1 => name = label.text()?,
                2 => value = label.text()?,
                _ => label.skip()?,
            }
        }
        out.push((name, value));
    }
    Ok(())
}

fn put_labels<'a>(out: &mut Vec<u8>, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in labels {
        put_message(out, LABELS, |out| {
            put_bytes(out, 1, name.as_bytes());
            put_bytes(out, 2, value.as_bytes());
        });
    }
}
