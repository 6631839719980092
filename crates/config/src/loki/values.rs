//! Notations of Loki's configuration.

use std::fmt;
use std::time::Duration;

use crate::alertmanager::values::GoDuration;
use crate::decode::{Cx, Setting, scalar_text, wrong_shape};
use crate::error::Fault;
use crate::section::Shape;
use crate::yaml::{Node, Out};

/// A duration with a unit: `30s`, `1h30m`, `1w`, `30d1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LokiDuration(Duration);

impl LokiDuration {
    /// A duration of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The duration in nanoseconds.
    pub fn ns(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let days = model::duration::parse_duration_ms(text).ok().and_then(|ms| u64::try_from(ms).ok());
        let parsed = days.map(Duration::from_millis);
        parsed.or_else(|| GoDuration::parse(text).ok().map(GoDuration::get)).map(Self)
    }
}

impl fmt::Display for LokiDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        f.write_str(&model::duration::format_duration_ms(ms))
    }
}

impl Setting for LokiDuration {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "time.Duration")?;
        Self::parse(text).ok_or_else(|| {
            wrong_shape(node, "time.Duration")
                .remedy("write a duration with its unit, for example 30s, 1h or 7d")
        })
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn emit(&self) -> Out {
        Out::Bare(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("duration")
    }
}

/// A size in bytes: `1024`, `256KB`, `3MB`; units count in powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LokiSize(pub u64);

const UNITS: [&str; 7] = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];

impl LokiSize {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) =
            (text[..digits].parse::<f64>().ok()?, text[digits..].trim().to_ascii_uppercase());
        let unit = unit.replace("IB", "B");
        let power = match unit.as_str() {
            "" => 0,
            unit => UNITS.iter().position(|known| *known == unit || known.trim_end_matches('B') == unit)?,
        };
        let bytes = number * 1024_f64.powi(i32::try_from(power).ok()?);
        (bytes < u64::MAX as f64).then_some(Self(bytes as u64))
    }

    /// The size, as far as memory goes.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for LokiSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0, 0);
        while value > 0 && value % 1024 == 0 && unit + 1 < UNITS.len() {
            value /= 1024;
            unit += 1;
        }
        write!(f, "{value}{}", UNITS[unit])
    }
}

impl Setting for LokiSize {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "flagext.ByteSize")?;
        Self::parse(text).ok_or_else(|| {
            wrong_shape(node, "flagext.ByteSize").remedy("write a size, for example 1024, 256KB or 4MB")
        })
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    fn emit(&self) -> Out {
        Out::Bare(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("size")
    }
}
