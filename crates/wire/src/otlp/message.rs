//! Resources, scopes and metrics, walked in place.

use super::schema::{
    EXPONENTIAL_HISTOGRAM, EXPONENTIAL_POINT, GAUGE, HISTOGRAM, HISTOGRAM_POINT, METRIC, Message,
    NUMBER_POINT, REQUEST, RESOURCE, RESOURCE_METRICS, SCOPE, SCOPE_METRICS, SUM, SUMMARY, SUMMARY_POINT,
};
use super::{Attributes, Result};
use crate::protobuf::Reader;

/// A request to store metrics.
#[derive(Debug, Clone)]
pub struct Request<'a>(Reader<'a>);

impl<'a> Request<'a> {
    /// The request in `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self(Reader::new(body, &REQUEST.schema))
    }

    /// What each resource reports.
    pub fn resources(&self) -> impl Iterator<Item = Result<ResourceMetrics<'a>>> {
        let messages = Messages { reader: self.0, number: 1, of: &RESOURCE_METRICS };
        messages.map(|message| ResourceMetrics::read(message?))
    }
}

/// The messages of one repeated field.
#[derive(Clone, Copy)]
pub struct Messages<'a> {
    reader: Reader<'a>,
    number: u32,
    of: &'static Message,
}

impl std::fmt::Debug for Messages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Messages({} at {})", self.of.schema.message, self.reader.pos())
    }
}

impl<'a> Messages<'a> {
    /// How many there are.
    pub fn tally(&self) -> Result<usize> {
        self.into_iter().try_fold(0, |count, message| message.map(|_| count + 1))
    }

    fn try_next(&mut self) -> Result<Option<Reader<'a>>> {
        while let Some(field) = self.reader.field()? {
            if field == self.number {
                return Ok(Some(self.reader.message(&self.of.schema)?));
            }
            self.reader.skip()?;
        }
        Ok(None)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Reader<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next();
        if next.is_err() {
            // Reading on from here would find nonsense.
            self.reader = Reader::new(&[], &self.of.schema);
        }
        next.transpose()
    }
}

/// What one resource reports.
#[derive(Debug, Clone)]
pub struct ResourceMetrics<'a> {
    /// What the resource says about itself.
    pub attributes: Attributes<'a>,
    reader: Reader<'a>,
}

impl<'a> ResourceMetrics<'a> {
    fn read(reader: Reader<'a>) -> Result<Self> {
        let mut attributes = Attributes::default();
        let mut fields = reader;
        while let Some(field) = fields.field()? {
            if field != 1 {
                fields.skip()?;
                continue;
            }
            let mut resource = fields.message(&RESOURCE.schema)?;
            while let Some(field) = resource.field()? {
                match field {
                    1 => attributes.push(&mut resource)?,
                    _ => resource.skip()?,
                }
            }
        }
        Ok(Self { attributes, reader })
    }

    /// What each of its scopes reports.
    pub fn scopes(&self) -> impl Iterator<Item = Result<ScopeMetrics<'a>>> {
        let messages = Messages { reader: self.reader, number: 2, of: &SCOPE_METRICS };
        messages.map(|message| ScopeMetrics::read(message?))
    }
}

/// What one instrumentation scope, most often a library, reports.
#[derive(Debug, Clone)]
pub struct ScopeMetrics<'a> {
    /// The name of the scope.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The schema its names follow.
    pub schema_url: &'a str,
    /// What else it says about itself.
    pub attributes: Attributes<'a>,
    reader: Reader<'a>,
}

impl<'a> ScopeMetrics<'a> {
    fn read(reader: Reader<'a>) -> Result<Self> {
        let attributes = Attributes::default();
        let mut scope = Self { name: "", version: "", schema_url: "", attributes, reader };
        let mut fields = reader;
        while let Some(field) = fields.field()? {
            match field {
                1 => scope.read_scope(fields.message(&SCOPE.schema)?)?,
                3 => scope.schema_url = fields.text()?,
                _ => fields.skip()?,
            }
        }
        Ok(scope)
    }

    fn read_scope(&mut self, mut fields: Reader<'a>) -> Result<()> {
        while let Some(field) = fields.field()? {
            match field {
                1 => self.name = fields.text()?,
                2 => self.version = fields.text()?,
                3 => self.attributes.push(&mut fields)?,
                _ => fields.skip()?,
            }
        }
        Ok(())
    }

    /// Its metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Result<Metric<'a>>> {
        let messages = Messages { reader: self.reader, number: 2, of: &METRIC };
        messages.map(|message| Metric::read(message?))
    }
}

/// A metric with its data points.
#[derive(Debug, Clone)]
pub struct Metric<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it means.
    pub description: &'a str,
    /// Its unit, in UCUM's case-sensitive symbols.
    pub unit: &'a str,
    /// Its type and points.
    pub data: Data<'a>,
}

/// Type and points of a metric.
#[derive(Debug, Clone)]
pub enum Data<'a> {
    /// None that is known here.
    Unknown,
    /// Values of now; points are [`super::NumberPoint`].
    Gauge(Messages<'a>),
    /// Sums; points are [`super::NumberPoint`].
    Sum {
        /// The points.
        points: Messages<'a>,
        /// What is summed up in a point.
        temporality: Temporality,
        /// Whether it only goes up.
        is_monotonic: bool,
    },
    /// Histograms with listed bounds; points are [`super::HistogramPoint`].
    Histogram(Messages<'a>, Temporality),
    /// Histograms with exponential bounds; points are [`super::ExponentialPoint`].
    ExponentialHistogram(Messages<'a>, Temporality),
    /// Quantiles; points are [`super::SummaryPoint`].
    Summary(Messages<'a>),
}

/// What a point of a sum or a histogram counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    /// Not said.
    #[default]
    Unspecified,
    /// What came since the point before.
    Delta,
    /// Everything since the start.
    Cumulative,
}

impl<'a> Metric<'a> {
    fn read(mut fields: Reader<'a>) -> Result<Self> {
        let mut metric = Self { name: "", description: "", unit: "", data: Data::Unknown };
        while let Some(field) = fields.field()? {
            match field {
                1 => metric.name = fields.text()?,
                2 => metric.description = fields.text()?,
                3 => metric.unit = fields.text()?,
                5 => metric.data = Data::read(fields.message(&GAUGE.schema)?, field, &NUMBER_POINT)?,
                7 => metric.data = Data::read(fields.message(&SUM.schema)?, field, &NUMBER_POINT)?,
                9 => metric.data = Data::read(fields.message(&HISTOGRAM.schema)?, field, &HISTOGRAM_POINT)?,
                10 => {
                    let data = fields.message(&EXPONENTIAL_HISTOGRAM.schema)?;
                    metric.data = Data::read(data, field, &EXPONENTIAL_POINT)?;
                }
                11 => metric.data = Data::read(fields.message(&SUMMARY.schema)?, field, &SUMMARY_POINT)?,
                _ => fields.skip()?,
            }
        }
        Ok(metric)
    }
}

impl<'a> Data<'a> {
    fn read(reader: Reader<'a>, number: u32, of: &'static Message) -> Result<Self> {
        let points = Messages { reader, number: 1, of };
        let (mut temporality, mut is_monotonic) = (Temporality::Unspecified, false);
        if matches!(number, 7 | 9 | 10) {
            let mut fields = reader;
            while let Some(field) = fields.field()? {
                match field {
                    2 => temporality = Temporality::of(fields.uint()?),
                    3 if number == 7 => is_monotonic = fields.uint()? != 0,
                    _ => fields.skip()?,
                }
            }
        }
        Ok(match number {
            5 => Self::Gauge(points),
            7 => Self::Sum { points, temporality, is_monotonic },
            9 => Self::Histogram(points, temporality),
            10 => Self::ExponentialHistogram(points, temporality),
            11 => Self::Summary(points),
            _ => Self::Unknown,
        })
    }

    /// The points, where the type is known.
    pub fn points(&self) -> Option<&Messages<'a>> {
        match self {
            Self::Unknown => None,
            Self::Gauge(points)
            | Self::Sum { points, .. }
            | Self::Histogram(points, _)
            | Self::ExponentialHistogram(points, _)
            | Self::Summary(points) => Some(points),
        }
    }

    /// What a point counts, for types where that is a question.
    pub fn temporality(&self) -> Option<Temporality> {
        match self {
            Self::Sum { temporality, .. }
            | Self::Histogram(_, temporality)
            | Self::ExponentialHistogram(_, temporality) => Some(*temporality),
            Self::Unknown | Self::Gauge(_) | Self::Summary(_) => None,
        }
    }
}

impl Temporality {
    fn of(number: u64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}
