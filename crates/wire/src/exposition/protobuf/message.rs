//! Families, labels, exemplars and timestamps.

use model::Exemplar;

use super::metric::MetricKind;
use super::reader::{Fields, length_delimited};
use crate::exposition::{ParseError, RawLabels};

/// The message at `pos` that its length precedes, and the place after it.
pub(super) fn delimited(body: &[u8], mut pos: usize) -> Result<(&[u8], usize), ParseError> {
    let message = length_delimited(body, &mut pos)?;
    Ok((message, pos))
}

/// A family without its metrics, which are read one by one.
#[derive(Debug, Default)]
pub(super) struct Family<'a> {
    message: &'a [u8],
    pub name: &'a str,
    pub help: &'a str,
    pub unit: &'a str,
    pub kind: MetricKind,
    pub has_metrics: bool,
}

const FAMILY_METRIC: u64 = 4;

impl<'a> Family<'a> {
    pub fn decode(message: &'a [u8]) -> Result<Self, ParseError> {
        let mut family = Self { message, ..Self::default() };
        let mut help: &[u8] = &[];
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => family.name = value.text()?,
                2 => help = value.bytes()?,
                3 => family.kind = MetricKind::of(value.uint()?),
                FAMILY_METRIC => family.has_metrics = true,
                5 => family.unit = value.text()?,
                _ => {}
            }
        }
        family.help = std::str::from_utf8(help).map_err(|_| {
            let (name, help) = (family.name, String::from_utf8_lossy(help));
            ParseError::other(format!("invalid help for metric {name:?}: {help}"))
        })?;
        Ok(family)
    }

    /// Checks name and type of a family that has metrics.
    pub fn check(&self) -> Result<(), ParseError> {
        if self.name.is_empty() {
            return Err(ParseError::other("invalid metric name: "));
        }
        if let MetricKind::Other(number) = self.kind {
            let name = self.name;
            return Err(ParseError::other(format!("unknown metric type for metric {name:?}: {number}")));
        }
        Ok(())
    }

    pub fn is_gauge_histogram(&self) -> bool {
        self.kind == MetricKind::GaugeHistogram
    }

    /// The metric at or after offset `pos`, which is moved on.
    pub fn next_metric(&self, pos: &mut usize) -> Result<Option<&'a [u8]>, ParseError> {
        let mut fields = Fields::from_offset(self.message, *pos);
        while let Some((number, value)) = fields.next()? {
            *pos = fields.offset();
            if number == FAMILY_METRIC {
                return value.bytes().map(Some);
            }
        }
        *pos = self.message.len();
        Ok(None)
    }
}

/// A label pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

impl<'a> Label<'a> {
    pub fn decode(message: &'a [u8]) -> Result<Self, ParseError> {
        let mut label = Self { name: "", value: "" };
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => label.name = value.text()?,
                2 => label.value = value.text()?,
                _ => {}
            }
        }
        Ok(label)
    }
}

/// A timestamp in milliseconds.
pub(super) fn timestamp_ms(message: &[u8]) -> Result<i64, ParseError> {
    let (mut seconds, mut nanos) = (0i64, 0i32);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => seconds = value.uint()? as i64,
            2 => nanos = value.uint()? as i32,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(i64::from(nanos / 1_000_000)))
}

/// Whether an exemplar has a timestamp.
pub(super) fn has_timestamp(message: &[u8]) -> Result<bool, ParseError> {
    let mut fields = Fields::of(message);
    while let Some((number, _)) = fields.next()? {
        if number == 3 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Decodes an exemplar.
pub(super) fn exemplar(message: &[u8]) -> Result<Exemplar, ParseError> {
    let mut labels = RawLabels::default();
    let (mut value, mut time) = (0.0, None);
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                let label = Label::decode(field.bytes()?)?;
                labels.push(label.name, label.value);
            }
            2 => value = field.double()?,
            3 => time = Some(timestamp_ms(field.bytes()?)?),
            _ => {}
        }
    }
    let has_timestamp = time.is_some();
    Ok(Exemplar { labels: labels.to_labels(), value, timestamp_ms: time.unwrap_or(0), has_timestamp })
}
