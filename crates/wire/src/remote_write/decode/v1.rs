//! `prometheus.WriteRequest`.

use model::MetricType;

use super::{Building, DecodeError, Entry, RawMetadata, RawPair, Sample, place, push, schema};
use crate::protobuf::{BYTES, FIXED64, ProtobufError, Reader, VARINT, key};

pub(super) fn read<'a>(body: &'a [u8], into: &mut Building<'a, '_>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(body, &schema::REQUEST_V1);
    while let Some(field) = reader.field()? {
        match field {
            1 => into.series_v1(reader.message(&schema::SERIES_V1)?)?,
            3 => {
                let at = place(reader.place()?);
                push(&mut into.request.families, at, into.memory)?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(())
}

const LABELS: u8 = key(1, BYTES) as u8;

impl<'a> Building<'a, '_> {
    fn series_v1(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        let request = &mut self.request;
        let counts = |r: &super::WriteRequest<'_>| (r.samples.len(), r.histograms.len(), r.exemplars.len());
        let before = counts(request);
        // Labels come first and in one piece from every encoder there is.
        let labels = reader.run_of(LABELS)?;
        let (mut labels, mut joined) = (place(labels), false);
        while let Some(field) = reader.field()? {
            match field {
                2 => {
                    let sample = sample(reader.message(&schema::SAMPLE_V1)?)?;
                    push(&mut request.samples, sample, self.memory)?;
                }
                1 => {
                    let start = reader.field_offset();
                    reader.place()?;
                    let piece = (start, reader.pos());
                    labels = request.join(labels, joined, piece, self.memory)?;
                    joined = true;
                }
                3 => {
                    let at = place(reader.place()?);
                    push(&mut request.exemplars, at, self.memory)?;
                }
                4 => {
                    let at = place(reader.place()?);
                    push(&mut request.histograms, at, self.memory)?;
                }
                _ => reader.skip()?,
            }
        }
        let after = counts(request);
        if after == before {
            request.empty_series += 1;
            return Ok(());
        }
        let entry = Entry {
            labels,
            samples_end: after.0 as u32,
            histograms_end: after.1 as u32,
            exemplars_end: after.2 as u32,
            help_ref: 0,
            unit_ref: 0,
            metric_type: MetricType::Unknown,
            joined,
        };
        push(&mut request.entries, entry, self.memory)
    }
}

impl super::WriteRequest<'_> {
    /// Puts a further piece of labels behind those there are.
    #[cold]
    fn join(
        &mut self,
        labels: super::Place,
        joined: bool,
        (start, end): (usize, usize),
        memory: &mut base::Reservation,
    ) -> Result<super::Place, DecodeError> {
        let (have_start, have_end) = super::usizes(labels);
        let before = self.joined.len();
        let first = if joined { 0 } else { have_end - have_start };
        memory.grow(first + end - start)?;
        let at = if joined { have_start } else { before };
        if !joined {
            self.joined.extend_from_slice(&self.body[have_start..have_end]);
        }
        self.joined.extend_from_slice(&self.body[start..end]);
        Ok(place((at, self.joined.len())))
    }
}

/// As the reference writes samples: value, then timestamp; zeros are left out.
#[inline]
fn sample(mut reader: Reader<'_>) -> Result<Sample, ProtobufError> {
    const VALUE: u8 = key(1, FIXED64) as u8;
    const TIME: u8 = key(2, VARINT) as u8;
    if let Some((value, t_ms)) = reader.double_and_int(VALUE, TIME) {
        return Ok(Sample { value, t_ms, start_ms: 0 });
    }
    let mut sample = Sample::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => sample.value = reader.double()?,
            2 => sample.t_ms = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok(sample)
}

/// Hands on the labels of a series or exemplar.
pub(super) fn for_each_label<'a>(
    mut reader: Reader<'a>,
    mut visit: impl FnMut(RawPair<'a>),
) -> Result<(), ProtobufError> {
    while let Some(field) = reader.field()? {
        match field {
            1 => {
                let (mut name, mut value): RawPair<'a> = (b"", b"");
                let mut label = reader.message(&schema::LABEL)?;
                while let Some(field) = label.field()? {
                    match field {
                        1 => name = label.bytes()?,
                        2 => value = label.bytes()?,
                        _ => label.skip()?,
                    }
                }
                visit((name, value));
            }
            _ => reader.skip()?,
        }
    }
    Ok(())
}

/// Value and timestamp of an exemplar.
pub(super) fn exemplar(mut reader: Reader<'_>) -> Result<(f64, i64), ProtobufError> {
    let (mut value, mut t_ms) = (0.0, 0);
    while let Some(field) = reader.field()? {
        match field {
            2 => value = reader.double()?,
            3 => t_ms = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok((value, t_ms))
}

/// Name and metadata of a metric family.
pub(super) fn family(mut reader: Reader<'_>) -> Result<(&[u8], RawMetadata<'_>), ProtobufError> {
    let mut name: &[u8] = b"";
    let mut metadata = RawMetadata { metric_type: MetricType::Unknown, unit: b"", help: b"" };
    while let Some(field) = reader.field()? {
        match field {
            1 => metadata.metric_type = metric_type(reader.uint()?),
            2 => name = reader.bytes()?,
            4 => metadata.help = reader.bytes()?,
            5 => metadata.unit = reader.bytes()?,
            _ => reader.skip()?,
        }
    }
    Ok((name, metadata))
}

/// Both versions number types alike.
pub(super) fn metric_type(number: u64) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}
