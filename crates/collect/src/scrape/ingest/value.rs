//! The value of a sample, and native histograms made coarser where a job's limits ask for it.

use std::borrow::Cow;

use config::ScrapeConfig;
use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, HistogramError,
};
use model::{CounterResetHint, FloatHistogram, Histogram, SampleValue};
use wire::exposition::HistogramSample;

/// The value of a sample, owned where something changed it.
#[derive(Debug, Clone)]
pub(in crate::scrape) enum Value<'a> {
    Float(f64),
    Histogram(Cow<'a, Histogram>),
    FloatHistogram(Cow<'a, FloatHistogram>),
}

impl<'a> From<HistogramSample<'a>> for Value<'a> {
    fn from(sample: HistogramSample<'a>) -> Self {
        match sample {
            HistogramSample::Integer(histogram) => Self::Histogram(Cow::Borrowed(histogram)),
            HistogramSample::Float(histogram) => Self::FloatHistogram(Cow::Borrowed(histogram)),
        }
    }
}

impl Value<'_> {
    pub fn as_sample(&self) -> SampleValue<'_> {
        match self {
            Self::Float(value) => SampleValue::Float(*value),
            Self::Histogram(histogram) => SampleValue::Histogram(histogram),
            Self::FloatHistogram(histogram) => SampleValue::FloatHistogram(histogram),
        }
    }

    pub fn is_stale(&self) -> bool {
        match self {
            Self::Float(value) => model::is_stale_nan(*value),
            Self::Histogram(histogram) => histogram.is_stale(),
            Self::FloatHistogram(histogram) => histogram.is_stale(),
        }
    }

    /// What the series had when it started. A histogram keeps its layout, so that it stays in one chunk.
    pub fn zero(&self) -> Value<'static> {
        let counter_reset_hint = CounterResetHint::CounterReset;
        match self {
            Self::Float(_) => Value::Float(0.0),
            Self::Histogram(like) => Value::Histogram(Cow::Owned(Histogram {
                counter_reset_hint,
                schema: like.schema,
                zero_threshold: like.zero_threshold,
                custom_values: like.custom_values.clone(),
                ..Histogram::default()
            })),
            Self::FloatHistogram(like) => Value::FloatHistogram(Cow::Owned(FloatHistogram {
                counter_reset_hint,
                schema: like.schema,
                zero_threshold: like.zero_threshold,
                custom_values: like.custom_values.clone(),
                ..FloatHistogram::default()
            })),
        }
    }
}

/// How fine native histograms may be.
#[derive(Debug)]
pub(super) struct Resolution {
    /// The most buckets; 0 for any number.
    bucket_limit: u64,
    max_schema: i32,
}

/// The histogram has too many buckets even at the coarsest resolution.
#[derive(Debug)]
pub(super) struct TooManyBuckets;

impl Resolution {
    pub fn new(config: &ScrapeConfig) -> Self {
        Self {
            bucket_limit: config.native_histogram_bucket_limit,
            max_schema: finest_schema_for(config.native_histogram_min_bucket_factor),
        }
    }

    /// The value as it may be stored.
    #[inline]
    pub fn fit<'a>(&self, value: Value<'a>) -> Result<Value<'a>, TooManyBuckets> {
        Ok(match value {
            Value::Float(value) => Value::Float(value),
            Value::Histogram(histogram) => Value::Histogram(self.coarsen(histogram)?),
            Value::FloatHistogram(histogram) => Value::FloatHistogram(self.coarsen(histogram)?),
        })
    }

    fn coarsen<'a, H: Buckets>(&self, mut histogram: Cow<'a, H>) -> Result<Cow<'a, H>, TooManyBuckets> {
        let is_exponential = histogram.schema() != CUSTOM_BUCKETS_SCHEMA;
        if is_exponential && histogram.schema() > self.max_schema {
            histogram.to_mut().reduce(self.max_schema).map_err(|_| TooManyBuckets)?;
        }
        while self.bucket_limit > 0 && histogram.buckets() as u64 > self.bucket_limit {
            if !is_exponential || histogram.schema() <= EXPONENTIAL_SCHEMA_MIN {
                return Err(TooManyBuckets);
            }
            let coarser = histogram.schema() - 1;
            histogram.to_mut().reduce(coarser).map_err(|_| TooManyBuckets)?;
        }
        Ok(histogram)
    }
}

/// The finest schema whose buckets grow by at least `factor`; 0 for no demand.
fn finest_schema_for(factor: f64) -> i32 {
    if factor <= 1.0 {
        return EXPONENTIAL_SCHEMA_MAX;
    }
    let schema = -factor.log2().log2();
    schema.floor().clamp(f64::from(EXPONENTIAL_SCHEMA_MIN), f64::from(EXPONENTIAL_SCHEMA_MAX)) as i32
}

/// What both kinds of native histograms have.
trait Buckets: Clone {
    fn schema(&self) -> i32;
    fn buckets(&self) -> usize;
    fn reduce(&mut self, schema: i32) -> Result<(), HistogramError>;
}

impl Buckets for Histogram {
    fn schema(&self) -> i32 {
        self.schema
    }

    fn buckets(&self) -> usize {
        self.positive_buckets.len() + self.negative_buckets.len()
    }

    fn reduce(&mut self, schema: i32) -> Result<(), HistogramError> {
        self.reduce_resolution(schema)
    }
}

impl Buckets for FloatHistogram {
    fn schema(&self) -> i32 {
        self.schema
    }

    fn buckets(&self) -> usize {
        self.positive_buckets.len() + self.negative_buckets.len()
    }

    fn reduce(&mut self, schema: i32) -> Result<(), HistogramError> {
        self.reduce_resolution(schema)
    }
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::*;

    /// `len` buckets side by side, one observation in each.
    fn histogram(schema: i32, len: u32) -> Histogram {
        let mut positive_buckets = vec![0; len as usize];
        positive_buckets[0] = 1;
        let custom_values =
            (schema == CUSTOM_BUCKETS_SCHEMA).then(|| (1..len).map(f64::from).collect::<Vec<_>>().into());
        Histogram {
            schema,
            count: u64::from(len),
            positive_spans: vec![Span { offset: 0, length: len }],
            positive_buckets,
            custom_values,
            ..Histogram::default()
        }
    }

    fn fitted(bucket_limit: u64, factor: f64, given: &Histogram) -> Option<(i32, usize)> {
        let resolution = Resolution { bucket_limit, max_schema: finest_schema_for(factor) };
        match resolution.fit(Value::Histogram(Cow::Borrowed(given))).ok()? {
            Value::Histogram(histogram) => {
                assert_eq!(histogram.count, given.count);
                Some((histogram.schema, histogram.positive_buckets.len()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn histograms_are_merged_down_to_the_limit_or_refused() {
        let fine = histogram(3, 8);
        assert_eq!(fitted(0, 0.0, &fine), Some((3, 8)));
        assert_eq!(fitted(8, 0.0, &fine), Some((3, 8)));
        let (schema, buckets) = fitted(4, 0.0, &fine).unwrap();
        assert!(schema < 3 && buckets <= 4, "{schema} {buckets}");
        // Twenty powers of 65536 do not fit into any two buckets.
        assert_eq!(fitted(2, 0.0, &histogram(EXPONENTIAL_SCHEMA_MIN, 20)), None);
        // Custom buckets cannot be merged.
        assert_eq!(fitted(4, 0.0, &histogram(CUSTOM_BUCKETS_SCHEMA, 8)), None);
        assert_eq!(fitted(8, 2.0, &histogram(CUSTOM_BUCKETS_SCHEMA, 8)), Some((CUSTOM_BUCKETS_SCHEMA, 8)));
    }

    #[test]
    fn the_least_factor_between_buckets_is_the_finest_schema() {
        for (factor, schema) in
            [(0.0, 8), (1.0, 8), (1.002, 8), (1.1, 2), (1.5, 0), (2.0, 0), (4.0, -1), (1e6, -4), (1e30, -4)]
        {
            assert_eq!(finest_schema_for(factor), schema, "{factor}");
        }
        assert_eq!(fitted(0, 2.0, &histogram(3, 8)).unwrap().0, 0);
    }

    #[test]
    fn zeros_keep_the_layout() {
        let value = Value::Histogram(Cow::Owned(histogram(3, 8)));
        let Value::Histogram(zero) = value.zero() else { panic!("another kind") };
        assert_eq!((zero.schema, zero.count, zero.positive_buckets.len()), (3, 0, 0));
        assert_eq!(zero.counter_reset_hint, CounterResetHint::CounterReset);
    }
}
