//! `io.prometheus.write.v2.Request`.

use model::MetricType;

use super::v1::metric_type;
use super::{Building, DecodeError, Entry, Sample, place, push, schema};
use crate::protobuf::{ProtobufError, Reader};

pub(super) fn read<'a>(body: &'a [u8], into: &mut Building<'a, '_>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(body, &schema::REQUEST_V2);
    while let Some(field) = reader.field()? {
        match field {
            4 => {
                let at = place(reader.place()?);
                push(&mut into.request.symbols, at, into.memory)?;
            }
            5 => into.series_v2(reader.message(&schema::SERIES_V2)?)?,
            _ => reader.skip()?,
        }
    }
    Ok(())
}

impl<'a> Building<'a, '_> {
    fn series_v2(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        let (request, memory) = (&mut self.request, &mut *self.memory);
        let labels_start = request.references.len();
        let (mut metric_type_, mut help_ref, mut unit_ref) = (MetricType::Unknown, 0, 0);
        while let Some(field) = reader.field()? {
            match field {
                1 => {
                    let mut room = Ok(());
                    reader.uints(|reference| {
                        if room.is_ok() {
                            room = push(&mut request.references, reference as u32, memory);
                        }
                        Ok(())
                    })?;
                    room?;
                }
                2 => {
                    let sample = sample(reader.message(&schema::SAMPLE_V2)?)?;
                    push(&mut request.samples, sample, memory)?;
                }
                3 => {
                    let at = place(reader.place()?);
                    push(&mut request.histograms, at, memory)?;
                }
                4 => {
                    let at = place(reader.place()?);
                    push(&mut request.exemplars, at, memory)?;
                }
                5 => {
                    let mut metadata = reader.message(&schema::METADATA)?;
                    while let Some(field) = metadata.field()? {
                        match field {
                            1 => metric_type_ = metric_type(metadata.uint()?),
                            3 => help_ref = metadata.uint()? as u32,
                            4 => unit_ref = metadata.uint()? as u32,
                            _ => metadata.skip()?,
                        }
                    }
                }
                _ => reader.skip()?,
            }
        }
        let entry = Entry {
            labels: place((labels_start, request.references.len())),
            samples_end: request.samples.len() as u32,
            histograms_end: request.histograms.len() as u32,
            exemplars_end: request.exemplars.len() as u32,
            help_ref,
            unit_ref,
            metric_type: metric_type_,
            joined: false,
        };
        push(&mut request.entries, entry, memory)
    }
}

fn sample(mut reader: Reader<'_>) -> Result<Sample, ProtobufError> {
    let mut sample = Sample::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => sample.value = reader.double()?,
            2 => sample.t_ms = reader.int()?,
            3 => sample.start_ms = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok(sample)
}

/// The label references of an exemplar.
pub(super) fn references(mut reader: Reader<'_>) -> Result<Vec<u32>, ProtobufError> {
    let mut references = Vec::new();
    while let Some(field) = reader.field()? {
        match field {
            1 => reader.uints(|reference| {
                references.push(reference as u32);
                Ok(())
            })?,
            _ => reader.skip()?,
        }
    }
    Ok(references)
}
