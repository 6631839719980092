//! Histograms as text: for people, and in the notation of test scripts.

use std::fmt;

use super::{Bucket, CounterResetHint, FloatHistogram, Histogram};
use crate::number::general;

/// `{count:12, sum:18.4, [-2,-1):2, [-0.001,0.001]:2, (1,2]:8}`: populated buckets in ascending order.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", general(self.count), general(self.sum))?;
        let populated = |bucket: &Bucket<f64>| bucket.count != 0.0;
        // Bounds are shown as they are, not cut off at the zero bucket.
        let zero = (self.zero_count != 0.0).then(|| self.zero_bucket());
        let all = self.iter_negative().rev().chain(zero).chain(self.iter_positive());
        for bucket in all.filter(populated) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

/// As for [`FloatHistogram`].
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", self.count, general(self.sum))?;
        let negative: Vec<_> = self.iter_negative().collect();
        let zero = (self.zero_count != 0).then(|| self.zero_bucket());
        let all = negative.into_iter().rev().chain(zero).chain(self.iter_positive());
        for bucket in all.filter(|bucket| bucket.count != 0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

/// Gaps wider than this are not spelled out: no test script has them, and a crafted histogram could
/// otherwise ask for billions of zeros.
const MAX_WRITTEN_GAP: u32 = 1 << 16;

impl FloatHistogram {
    /// The histogram in the notation of PromQL test scripts and rule unit tests, for example
    /// `{{schema:1 count:3 sum:14 buckets:[1 2]}}`. Gaps between buckets are written as zeros.
    pub fn test_expression(&self) -> String {
        let mut plain = self.clone();
        plain.compact(MAX_WRITTEN_GAP);
        let mut parts = Vec::new();
        if plain.schema != 0 {
            parts.push(format!("schema:{}", plain.schema));
        }
        let scalars = [
            ("count", plain.count),
            ("sum", plain.sum),
            ("z_bucket", plain.zero_count),
            ("z_bucket_w", plain.zero_threshold),
        ];
        for (key, value) in scalars.into_iter().filter(|&(_, value)| value != 0.0) {
            parts.push(format!("{key}:{}", general(value)));
        }
        if plain.uses_custom_buckets() {
            parts.push(format!("custom_values:{}", list(plain.custom_bounds())));
        }
        match plain.counter_reset_hint {
            CounterResetHint::Unknown => {}
            CounterResetHint::CounterReset => parts.push("counter_reset_hint:reset".into()),
            CounterResetHint::NotCounterReset => parts.push("counter_reset_hint:not_reset".into()),
            CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
        }
        let sides = [
            ("offset", "buckets", &plain.positive_spans, &plain.positive_buckets),
            ("n_offset", "n_buckets", &plain.negative_spans, &plain.negative_buckets),
        ];
        for (offset_key, key, spans, buckets) in sides {
            if let Some(first) = spans.first().filter(|span| span.offset != 0) {
                parts.push(format!("{offset_key}:{}", first.offset));
            }
            if !buckets.is_empty() {
                parts.push(format!("{key}:{}", list(buckets)));
            }
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

fn list(values: &[f64]) -> String {
    let values: Vec<_> = values.iter().map(|&v| general(v).to_string()).collect();
    format!("[{}]", values.join(" "))
}
