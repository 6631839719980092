//! Statistics of native histograms.

use model::FloatHistogram;
use model::histogram::Bucket;
use model::kahan::KahanSum;
use smol_str::SmolStr;

use crate::annotations::Annotation;

/// A statistic that each histogram of an instant vector is reduced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HistogramStatistic {
    /// The number of observations.
    Count,
    /// The sum of observations.
    Sum,
    /// The mean observation.
    Avg,
    /// The standard deviation, with every observation taken to be in the middle of its bucket.
    Stddev,
    /// The variance, likewise.
    Stdvar,
}

impl HistogramStatistic {
    /// The function of this name, if it is one of them.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "histogram_count" => Self::Count,
            "histogram_sum" => Self::Sum,
            "histogram_avg" => Self::Avg,
            "histogram_stddev" => Self::Stddev,
            "histogram_stdvar" => Self::Stdvar,
            _ => return None,
        })
    }

    /// Whether count and sum suffice: buckets need not even be decoded.
    pub fn needs_buckets(self) -> bool {
        matches!(self, Self::Stddev | Self::Stdvar)
    }

    /// The statistic of one histogram.
    pub fn of(self, histogram: &FloatHistogram) -> f64 {
        match self {
            Self::Count => histogram.count,
            Self::Sum => histogram.sum,
            Self::Avg => histogram.sum / histogram.count,
            Self::Stddev => variance(histogram).sqrt(),
            Self::Stdvar => variance(histogram),
        }
    }
}

fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = KahanSum::default();
    for bucket in histogram.iter_all().filter(|b| b.count != 0.0) {
        let middle = if histogram.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if contains_zero(&bucket) {
            0.0
        } else {
            // The geometric mean is the middle on the scale the buckets are spaced on.
            let middle = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -middle } else { middle }
        };
        let delta = middle - mean;
        squares.add(bucket.count * delta * delta);
    }
    squares.value() / histogram.count
}

fn contains_zero(bucket: &Bucket<f64>) -> bool {
    bucket.lower <= 0.0 && bucket.upper >= 0.0
}

/// What has to be told about a value: NaN observations are in the count, but in no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanNote {
    /// The quantile is among them.
    QuantileIsNan,
    /// They move the quantile up.
    QuantileSkewed,
    /// They are in no fraction.
    FractionWithout,
}

impl NanNote {
    /// The annotation about `metric`.
    pub fn annotation(self, metric: &str) -> Annotation {
        let of_metric = match self {
            Self::QuantileIsNan => Annotation::QuantileNanResult,
            Self::QuantileSkewed => Annotation::QuantileNanSkew,
            Self::FractionWithout => Annotation::FractionNans,
        };
        of_metric(SmolStr::new(metric))
    }
}

/// The quantile `q` of a native histogram.
///
/// Within its bucket it is interpolated linearly for custom buckets and the zero bucket, otherwise as if
/// observations were spread evenly on a logarithmic scale. The zero bucket ends at zero on the side on
/// which there are no buckets. NaN if there is no observation; an infinity for a `q` outside of 0..=1.
pub fn native_quantile(q: f64, histogram: &FloatHistogram) -> (f64, Option<NanNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    // From the nearer end fewer buckets are visited and fewer counts rounded. NaN observations, which
    // sort after all others, are missing from the upper end.
    let has_nan_sum = histogram.sum.is_nan();
    let upwards = has_nan_sum || q < 0.5;
    let rank = if upwards { q } else { 1.0 - q } * histogram.count;
    let mut buckets = histogram.iter_all();
    let found =
        if upwards { find_rank(&mut buckets, rank) } else { find_rank(&mut buckets.by_ref().rev(), rank) };
    let Found { mut bucket, reached } = found;
    let custom = histogram.uses_custom_buckets();
    if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
        end_at_zero(histogram, &mut bucket);
    } else if custom && bucket.lower == f64::NEG_INFINITY {
        if bucket.upper <= 0.0 {
            return (bucket.upper, None);
        }
        bucket.lower = 0.0;
    } else if custom && bucket.upper == f64::INFINITY {
        return (bucket.lower, None);
    }
    // Rounding may have summed up more than there is.
    let reached = if reached > histogram.count { histogram.count } else { reached };
    if reached < rank {
        return if has_nan_sum { (f64::NAN, Some(NanNote::QuantileIsNan)) } else { (bucket.upper, None) };
    }
    let mut note = None;
    if has_nan_sum {
        // Without NaN observations it was opposite infinities that made the sum NaN.
        let in_buckets = buckets.fold(reached, |sum, b| sum + b.count);
        note = (in_buckets < histogram.count).then_some(NanNote::QuantileSkewed);
    }
    let into_bucket = if upwards { rank - (reached - bucket.count) } else { reached - rank };
    (interpolate(&bucket, into_bucket / bucket.count, custom), note)
}

struct Found {
    bucket: Bucket<f64>,
    reached: f64,
}

/// The populated bucket in which the running count reaches `rank`; the last one if it never does.
fn find_rank(buckets: &mut dyn Iterator<Item = Bucket<f64>>, rank: f64) -> Found {
    let none = Bucket {
        lower: 0.0,
        upper: 0.0,
        lower_inclusive: false,
        upper_inclusive: false,
        count: 0.0,
        index: 0,
    };
    let mut found = Found { bucket: none, reached: 0.0 };
    for bucket in buckets {
        found.bucket = bucket;
        if bucket.count == 0.0 {
            continue;
        }
        found.reached += bucket.count;
        if found.reached >= rank {
            break;
        }
    }
    found
}

/// Cuts the zero bucket off at zero if there are buckets on its other side only.
fn end_at_zero(histogram: &FloatHistogram, bucket: &mut Bucket<f64>) {
    match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

/// The value `fraction` of the way into a bucket.
fn interpolate(bucket: &Bucket<f64>, fraction: f64, custom: bool) -> f64 {
    if custom || contains_zero(bucket) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower_log, upper_log) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (lower_log + (upper_log - lower_log) * fraction).exp2()
    } else {
        -(upper_log + (lower_log - upper_log) * (1.0 - fraction)).exp2()
    }
}

/// The share of observations of a native histogram between `lower` and `upper`, interpolated as for
/// [`native_quantile`]. NaN if there is no observation. NaN observations are in no share.
pub fn native_fraction(lower: f64, upper: f64, histogram: &FloatHistogram) -> (f64, Option<NanNote>) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    }
    if lower >= upper {
        return (0.0, None);
    }
    let (mut lower_rank, mut upper_rank) = (None, None);
    let (mut in_buckets, mut below) = (0.0, 0.0);
    let mut buckets = histogram.iter_all();
    for mut bucket in buckets.by_ref() {
        in_buckets += bucket.count;
        let linear = histogram.uses_custom_buckets() || contains_zero(&bucket);
        if contains_zero(&bucket) {
            end_at_zero(histogram, &mut bucket);
        }
        let rank_of = |value: f64| -> Option<f64> {
            if bucket.lower >= value {
                Some(below)
            } else if bucket.upper <= value {
                None
            } else if linear && bucket.lower == f64::NEG_INFINITY {
                Some(bucket.count)
            } else {
                Some(below + bucket.count * bucket.fraction_below(value, linear))
            }
        };
        lower_rank = lower_rank.or_else(|| rank_of(lower));
        upper_rank = upper_rank.or_else(|| rank_of(upper));
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        below += bucket.count;
    }
    let mut note = None;
    let total = if histogram.sum.is_nan() {
        in_buckets = buckets.fold(in_buckets, |sum, b| sum + b.count);
        note = (in_buckets < histogram.count).then_some(NanNote::FractionWithout);
        in_buckets
    } else {
        histogram.count
    };
    let capped = |rank: Option<f64>| rank.map_or(total, |r| if r > total { total } else { r });
    ((capped(upper_rank) - capped(lower_rank)) / histogram.count, note)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Span;
    use model::histogram::CUSTOM_BUCKETS_SCHEMA;

    use super::*;

    /// Schema 0: buckets (1,2], (2,4] and so on.
    fn exponential(zero_count: f64, positive: &[f64], negative: &[f64]) -> FloatHistogram {
        let spans = |buckets: &[f64]| match buckets.len() {
            0 => Vec::new(),
            n => vec![Span { offset: 1, length: n as u32 }],
        };
        FloatHistogram {
            zero_threshold: 0.5,
            zero_count,
            count: zero_count + positive.iter().sum::<f64>() + negative.iter().sum::<f64>(),
            sum: 10.0,
            positive_spans: spans(positive),
            negative_spans: spans(negative),
            positive_buckets: positive.to_vec(),
            negative_buckets: negative.to_vec(),
            ..FloatHistogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: counts.iter().sum(),
            sum: 10.0,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            custom_values: Some(Arc::from(bounds)),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn quantiles_of_exponential_buckets_are_interpolated_logarithmically() {
        let histogram = exponential(0.0, &[4.0, 4.0], &[]);
        let quantile = |q| native_quantile(q, &histogram).0;
        assert_eq!(quantile(0.5), 2.0);
        assert!((quantile(0.25) - 2.0_f64.sqrt()).abs() < 1e-12);
        assert!((quantile(0.75) - 8.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(quantile(1.0), 4.0);
        assert_eq!(quantile(-0.1), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1), f64::INFINITY);
        assert!(quantile(f64::NAN).is_nan());
        assert!(native_quantile(0.5, &exponential(0.0, &[], &[])).0.is_nan());
    }

    #[test]
    fn negative_buckets_mirror_positive_ones() {
        let (positive, negative) = (exponential(0.0, &[4.0, 4.0], &[]), exponential(0.0, &[], &[4.0, 4.0]));
        for q in [0.0, 0.2, 0.5, 0.7, 1.0] {
            let mirrored = -native_quantile(1.0 - q, &positive).0;
            assert!((native_quantile(q, &negative).0 - mirrored).abs() < 1e-12, "{q}");
        }
    }

    #[test]
    fn the_zero_bucket_is_linear_and_one_sided() {
        assert_eq!(native_quantile(0.25, &exponential(4.0, &[4.0], &[])).0, 0.25);
        assert_eq!(native_quantile(0.75, &exponential(4.0, &[], &[4.0])).0, -0.25);
        assert_eq!(native_quantile(0.5, &exponential(4.0, &[2.0], &[2.0])).0, 0.0);
    }

    #[test]
    fn custom_buckets_are_linear() {
        let histogram = custom(&[1.0, 3.0], &[2.0, 4.0, 2.0]);
        let quantile = |q| native_quantile(q, &histogram).0;
        assert_eq!(quantile(0.125), 0.5);
        assert_eq!(quantile(0.5), 2.0);
        assert_eq!(quantile(0.99), 3.0);
        assert_eq!(native_quantile(0.1, &custom(&[-1.0, 3.0], &[2.0, 4.0, 2.0])).0, -1.0);
    }

    #[test]
    fn nan_observations_are_told() {
        let mut histogram = exponential(0.0, &[4.0], &[]);
        histogram.sum = f64::NAN;
        assert_eq!(native_quantile(0.5, &histogram), (2.0_f64.sqrt(), None));
        histogram.count = 8.0;
        assert_eq!(native_quantile(0.5, &histogram), (2.0, Some(NanNote::QuantileSkewed)));
        let (value, note) = native_quantile(0.75, &histogram);
        assert!(value.is_nan());
        assert_eq!(note, Some(NanNote::QuantileIsNan));
        assert_eq!(
            native_fraction(f64::NEG_INFINITY, f64::INFINITY, &histogram),
            (0.5, Some(NanNote::FractionWithout))
        );
    }

    #[test]
    fn fractions_invert_quantiles() {
        let histograms = [
            exponential(2.0, &[4.0, 4.0], &[3.0]),
            exponential(1.0, &[4.0], &[]),
            custom(&[1.0, 3.0], &[2.0, 4.0]),
        ];
        for histogram in histograms {
            for q in [0.1, 0.3, 0.5, 0.8] {
                let value = native_quantile(q, &histogram).0;
                let fraction = native_fraction(f64::NEG_INFINITY, value, &histogram).0;
                // The first custom bucket reaches down to -Inf for fractions, to zero for quantiles.
                let in_first = histogram.uses_custom_buckets() && value < 1.0;
                assert!(in_first || (fraction - q).abs() < 1e-12, "{q} {value} {fraction}");
            }
            assert_eq!(native_fraction(f64::NEG_INFINITY, f64::INFINITY, &histogram).0, 1.0);
            assert_eq!(native_fraction(1.0, 1.0, &histogram).0, 0.0);
        }
    }

    #[test]
    fn spread() {
        let two_buckets = custom(&[1.0, 3.0], &[0.0, 4.0, 0.0]);
        let statistic = HistogramStatistic::Stdvar.of(&FloatHistogram { sum: 8.0, ..two_buckets.clone() });
        assert_eq!(statistic, 0.0);
        let symmetric = FloatHistogram { sum: 0.0, ..exponential(0.0, &[1.0], &[1.0]) };
        assert!((HistogramStatistic::Stddev.of(&symmetric) - 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(HistogramStatistic::Avg.of(&two_buckets), 2.5);
    }
}
