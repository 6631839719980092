use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::sample::stale_nan;

fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

fn exponential(schema: i32, spans: &[Span], buckets: &[f64]) -> FloatHistogram {
    let count = buckets.iter().sum();
    let (positive_spans, positive_buckets) = (spans.to_vec(), buckets.to_vec());
    FloatHistogram { schema, count, sum: 1.0, positive_spans, positive_buckets, ..Default::default() }
}

fn custom(bounds: &[f64], spans: &[Span], buckets: &[f64]) -> FloatHistogram {
    let custom_values = Some(Arc::from(bounds));
    FloatHistogram { custom_values, ..exponential(CUSTOM_BUCKETS_SCHEMA, spans, buckets) }
}

fn integer() -> Histogram {
    Histogram {
        count: 19,
        sum: 2.7,
        zero_threshold: 1e-128,
        zero_count: 2,
        positive_spans: vec![span(0, 4), span(0, 0), span(0, 3)],
        positive_buckets: vec![1, 2, -2, 1, -1, 0, 0],
        negative_spans: vec![span(1, 1), span(2, 2)],
        negative_buckets: vec![1, 2, -1],
        ..Default::default()
    }
}

#[test]
fn bounds_are_powers_and_the_last_finite_bucket_ends_at_the_largest_float() {
    use super::bounds::upper_bound;
    for (index, schema, expected) in [
        (0, 0, 1.0),
        (1, 0, 2.0),
        (-1, 0, 0.5),
        (2, 1, 2.0),
        (512, -1, f64::MAX),
        (513, -1, f64::INFINITY),
        (1024, 0, f64::MAX),
        (1025, 0, f64::INFINITY),
        (1024 << 8, 8, f64::MAX),
        ((1024 << 8) + 1, 8, f64::INFINITY),
        (-1074, 0, 5e-324),
        (-1, -4, 0.0000152587890625),
    ] {
        assert_eq!(upper_bound(index, schema, &[]), expected, "bucket {index} of schema {schema}");
    }
    assert_eq!(upper_bound(1, 2, &[]), 2.0 * 0.5946035575013605);
    assert_eq!(upper_bound(1, CUSTOM_BUCKETS_SCHEMA, &[5.0, 7.0]), 7.0);
    assert_eq!(upper_bound(2, CUSTOM_BUCKETS_SCHEMA, &[5.0, 7.0]), f64::INFINITY);
    assert_eq!(upper_bound(-1, CUSTOM_BUCKETS_SCHEMA, &[5.0, 7.0]), f64::NEG_INFINITY);
}

#[test]
fn display_lists_populated_buckets_in_ascending_order() {
    let expected = "{count:19, sum:2.7, [-64,-32):2, [-32,-16):3, [-4,-2):1, \
                    [-1e-128,1e-128]:2, (0.5,1]:1, (1,2]:3, (2,4]:1, (4,8]:2, (8,16]:1, (16,32]:1, (32,64]:1}";
    let mut histogram = integer();
    histogram.negative_spans = vec![span(2, 1), span(2, 2)];
    assert_eq!(histogram.to_string(), expected);
    assert_eq!(histogram.to_float().to_string(), expected);
    let custom = custom(&[5.0, 7.5], &[span(0, 1), span(1, 1)], &[2.0, 1e6]);
    assert_eq!(custom.to_string(), "{count:1.000002e+06, sum:1, [-Inf,5]:2, (7.5,+Inf]:1e+06}");
}

#[test]
fn all_buckets_run_upwards_are_cut_at_the_zero_bucket_and_reverse() {
    let mut histogram = integer().to_float();
    histogram.zero_threshold = 0.75;
    let all: Vec<_> = histogram.iter_all().collect();
    assert!(all.windows(2).all(|pair| pair[0].upper <= pair[1].lower), "{all:?}");
    let zero = all.iter().position(|b| b.lower == -0.75).expect("a zero bucket");
    assert_eq!((all[zero].upper, all[zero + 1].lower, all[zero + 1].upper), (0.75, 0.75, 1.0));
    let mut reversed: Vec<_> = histogram.iter_all().rev().collect();
    reversed.reverse();
    assert_eq!(all, reversed);
}

#[test]
fn validation_names_what_is_wrong() {
    assert_eq!(integer().validate().unwrap_err().to_string(), {
        "18 observations found in buckets, but the Count field is 19: histogram's observation count should \
         equal the number of observations found in the buckets (in absence of NaN)"
    });
    let changed = |change: fn(&mut Histogram)| {
        let mut histogram = Histogram { count: 18, ..integer() };
        change(&mut histogram);
        histogram.validate().map_err(|error| error.to_string())
    };
    assert_eq!(changed(|_| {}), Ok(()));
    assert_eq!(changed(|h| (h.count, h.sum) = (19, f64::NAN)), Ok(()));
    type Case = (fn(&mut Histogram), &'static str);
    let cases: [Case; 7] = [
        (
            |h| (h.count, h.sum) = (17, f64::NAN),
            "18 observations found in buckets, but the Count field is 17: histogram's observation count should \
             be at least the number of observations found in the buckets",
        ),
        (
            |h| h.positive_spans[2].offset = -1,
            "positive side: span number 3 with offset -1: histogram has a span whose offset is negative",
        ),
        (
            |h| h.negative_spans[0].length = 4,
            "negative side: spans need 6 buckets, have 3 buckets: histogram spans specify different number of \
             buckets than provided",
        ),
        (
            |h| h.negative_buckets[1] = -2,
            "negative side: bucket number 2 has observation count of -1: histogram has a bucket whose \
             observation count is negative",
        ),
        (
            |h| h.schema = 9,
            "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 \
             for custom buckets, got schema 9",
        ),
        (
            |h| h.custom_values = Some(Arc::from([1.0])),
            "histogram with exponential schema must not have custom bounds",
        ),
        (
            |h| (h.schema, h.custom_values) = (CUSTOM_BUCKETS_SCHEMA, Some(Arc::from([1.0, 2.0]))),
            "custom buckets: only 2 custom bounds defined which is insufficient to cover total span length of \
             7: histogram custom bounds are too few",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(changed(change).unwrap_err(), expected);
    }
}

#[test]
fn validation_of_custom_bounds_and_float_counts() {
    let message = |histogram: FloatHistogram| histogram.validate().unwrap_err().to_string();
    assert_eq!(custom(&[1.0, 2.0], &[span(0, 3)], &[1.0; 3]).validate(), Ok(()));
    assert_eq!(
        message(custom(&[2.0, 1.0], &[], &[])),
        "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds must be in \
         strictly increasing order"
    );
    assert_eq!(
        message(custom(&[1.0, f64::INFINITY], &[], &[])),
        "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"
    );
    assert_eq!(
        message(custom(&[f64::NAN], &[], &[])),
        "custom buckets: histogram custom bounds must not be NaN"
    );
    let zero = FloatHistogram { zero_count: 1.0, ..custom(&[1.0], &[], &[]) };
    assert_eq!(message(zero), "custom buckets: must have zero count of 0");
    let negative = FloatHistogram { zero_count: -0.5, ..Default::default() };
    assert_eq!(
        message(negative),
        "zero bucket has observation count of -0.5: histogram has a bucket whose observation count is negative"
    );
    let negative = FloatHistogram { count: -1.0, ..Default::default() };
    assert_eq!(message(negative), "observation count is  -1: histogram's observation count is negative");
}

#[test]
fn equality_ignores_hints_and_empty_spans_but_not_nan_bits() {
    let mut other = integer();
    other.positive_spans = vec![span(0, 4), span(0, 3)];
    other.counter_reset_hint = CounterResetHint::Gauge;
    assert_eq!(integer(), other);
    other.positive_spans = vec![span(0, 7)];
    assert_ne!(integer(), other, "a merged span is another layout until compacted");
    let stale = FloatHistogram { sum: stale_nan(), ..Default::default() };
    assert_eq!(stale, stale.clone());
    assert!(stale.is_stale());
    assert_ne!(stale, FloatHistogram { sum: f64::NAN, ..Default::default() });
}

#[test]
fn compaction_removes_or_bridges_empty_buckets() {
    let sparse = exponential(
        0,
        &[span(-2, 3), span(0, 2), span(1, 2), span(5, 1)],
        &[0.0, 1.0, 0.0, 0.0, 3.0, 0.0, 2.0, 0.0],
    );
    let mut tight = sparse.clone();
    tight.compact(0);
    assert_eq!(tight.positive_spans, [span(-1, 1), span(2, 1), span(2, 1)]);
    assert_eq!(tight.positive_buckets, [1.0, 3.0, 2.0]);
    let mut bridged = sparse;
    bridged.compact(2);
    assert_eq!(bridged.positive_spans, [span(-1, 7)]);
    assert_eq!(bridged.positive_buckets, [1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 2.0]);
    let mut deltas = Histogram {
        positive_spans: vec![span(0, 4)],
        positive_buckets: vec![2, -2, 0, 5],
        ..Default::default()
    };
    deltas.compact(0);
    assert_eq!((deltas.positive_spans, deltas.positive_buckets), (vec![span(0, 1), span(2, 1)], vec![2, 3]));
}

#[test]
fn reducing_resolution_joins_buckets() {
    let mut histogram = integer();
    histogram.reduce_resolution(-1).unwrap();
    assert_eq!(histogram.positive_spans, [span(0, 4)]);
    assert_eq!(histogram.to_float().positive_buckets, [1.0, 4.0, 3.0, 2.0]);
    assert_eq!(histogram.reduce_resolution(0), Err(HistogramError::ReduceNotCoarser { from: -1, to: 0 }));
    assert_eq!(custom(&[1.0], &[], &[]).reduce_resolution(0), Err(HistogramError::ReduceCustomBuckets));
}

#[test]
fn addition_reconciles_schema_and_zero_bucket() {
    let mut fine = exponential(1, &[span(1, 4)], &[1.0, 2.0, 3.0, 4.0]);
    let mut coarse = exponential(0, &[span(0, 2)], &[5.0, 10.0]);
    coarse.zero_threshold = 1.5;
    coarse.zero_count = 7.0;
    fine.add(&coarse).unwrap();
    fine.compact(0);
    // The edge 1.5 falls into a populated bucket of both schemas and moves to 2; all of the coarse
    // buckets and two of the fine ones end up in the zero bucket.
    assert_eq!((fine.schema, fine.zero_threshold, fine.zero_count), (0, 2.0, 7.0 + 15.0 + 3.0 - 0.0));
    assert_eq!(fine.positive_spans, [span(2, 1)]);
    assert_eq!(fine.positive_buckets, [7.0]);
}

#[test]
fn hints_join_and_only_contradictions_collide() {
    use CounterResetHint::*;
    for (mine, theirs, joined, collision) in [
        (Unknown, NotCounterReset, Unknown, false),
        (CounterReset, Unknown, Unknown, false),
        (CounterReset, NotCounterReset, Unknown, true),
        (NotCounterReset, Gauge, Gauge, false),
        (CounterReset, CounterReset, CounterReset, false),
    ] {
        let with = |counter_reset_hint| FloatHistogram { counter_reset_hint, ..Default::default() };
        let mut sum = with(mine);
        let reconciled = sum.add(&with(theirs)).unwrap();
        assert_eq!((sum.counter_reset_hint, reconciled.counter_reset_collision), (joined, collision));
    }
}

#[test]
fn custom_buckets_add_on_the_bounds_they_share() {
    let mut a = custom(&[1.0, 2.0, 3.0, 4.0], &[span(0, 5)], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    let b = custom(&[2.0, 4.0, 9.0], &[span(1, 3)], &[10.0, 20.0, 30.0]);
    let mut exponential = exponential(0, &[], &[]);
    assert_eq!(exponential.add(&a), Err(HistogramError::IncompatibleSchema));
    let mut kahan = a.clone();
    let mut compensation = None;
    assert!(a.add(&b).unwrap().custom_bounds);
    assert_eq!(a.custom_bounds(), [2.0, 4.0]);
    assert_eq!(a.positive_buckets, [3.0, 17.0, 55.0]);
    assert!(kahan.kahan_add(&b, &mut compensation).unwrap().custom_bounds);
    assert_eq!(kahan, a);
    assert_eq!(compensation.unwrap().positive_buckets, [0.0; 3]);
    a.sub(&b).unwrap();
    assert_eq!(a.positive_buckets, [3.0, 7.0, 5.0]);
}

#[test]
fn compensated_sums_keep_what_plain_ones_lose() {
    let big = exponential(0, &[span(0, 2)], &[1e100, 1.0]);
    let small = exponential(0, &[span(0, 1), span(1, 1)], &[1.0, 2.0]);
    let minus = exponential(0, &[span(0, 1)], &[-1e100]);
    let (mut sum, mut compensation) = (small.clone(), None);
    for other in [&big, &small, &minus] {
        sum.kahan_add(other, &mut compensation).unwrap();
    }
    sum.add(&compensation.unwrap()).unwrap();
    assert_eq!(sum.positive_buckets, [2.0, 1.0, 4.0]);
    assert_eq!(sum.count, 6.0, "1e100 + 1 is 1e100 already in the input");
}

#[test]
fn scaling_by_negatives_makes_gauges_and_division_by_zero_drops_buckets() {
    let mut histogram = exponential(0, &[span(0, 1)], &[4.0]);
    histogram.mul(-0.5);
    assert_eq!((histogram.count, histogram.counter_reset_hint), (-2.0, CounterResetHint::Gauge));
    histogram.div(0.0);
    assert!(histogram.positive_spans.is_empty() && histogram.positive_buckets.is_empty());
    assert_eq!(histogram.count, f64::NEG_INFINITY);
    assert!(histogram.has_overflow());
}

#[test]
fn resets_are_found_by_counts_layout_and_resolution() {
    let base = exponential(1, &[span(0, 2), span(1, 1)], &[1.0, 2.0, 3.0]);
    let grown = exponential(1, &[span(0, 4)], &[1.0, 2.0, 1.0, 4.0]);
    assert!(!grown.detect_reset(&base));
    assert!(base.detect_reset(&grown), "count went down");
    let mut moved = grown.clone();
    moved.positive_buckets = vec![0.0, 3.0, 1.0, 4.0];
    assert!(moved.detect_reset(&base), "a bucket went down");
    let mut gone = exponential(1, &[span(1, 3)], &[3.0, 1.0, 4.0]);
    assert!(gone.detect_reset(&base), "a populated bucket is gone");
    gone.counter_reset_hint = CounterResetHint::NotCounterReset;
    assert!(!gone.detect_reset(&base), "the hint is believed");
    let coarse = grown.to_schema(0).unwrap();
    assert!(!coarse.detect_reset(&base), "lower resolution is no reset");
    assert!(grown.detect_reset(&base.to_schema(0).unwrap()), "higher resolution is one");
    let wide = FloatHistogram { zero_threshold: 1.0, zero_count: 1.0, ..grown.clone() };
    let mut wide_without = wide.clone();
    (wide_without.positive_spans, wide_without.positive_buckets) = (vec![span(1, 3)], vec![2.0, 1.0, 4.0]);
    assert!(!wide_without.detect_reset(&base), "what fell into the zero bucket is not lost");
    assert!(base.detect_reset(&FloatHistogram { count: 0.0, ..wide }), "a narrower zero bucket");
}

#[test]
fn resets_of_custom_buckets_compare_on_shared_bounds() {
    let before = custom(&[1.0, 2.0, 4.0], &[span(0, 4)], &[1.0, 1.0, 1.0, 1.0]);
    let same = custom(&[2.0, 3.0, 4.0], &[span(0, 4)], &[2.0, 1.0, 0.0, 1.0]);
    assert!(!same.detect_reset(&before));
    let shifted = custom(&[2.0, 3.0, 4.0], &[span(0, 4)], &[1.0, 1.0, 1.0, 1.0]);
    assert!(shifted.detect_reset(&before));
}

#[test]
fn trimming_interpolates_the_bucket_that_holds_the_limit() {
    let uniform = custom(&[0.0, 10.0, 20.0], &[span(1, 2)], &[4.0, 4.0]);
    let mut below = uniform.clone();
    below.trim(15.0, Keep::Below);
    assert_eq!((below.count, below.positive_buckets.as_slice()), (6.0, &[4.0, 2.0][..]));
    assert_eq!(below.sum, 4.0 * 5.0 + 2.0 * 12.5);
    let mut above = uniform.clone();
    above.trim(15.0, Keep::Above);
    assert_eq!((above.count, above.positive_spans.as_slice()), (2.0, &[span(2, 1)][..]));
    let mut untouched = uniform.clone();
    untouched.trim(20.0, Keep::Below);
    assert_eq!(untouched, uniform, "the sum stays exact when nothing is removed");
    let mut exponential = exponential(0, &[span(1, 2)], &[2.0, 2.0]);
    exponential.trim(2.0 * std::f64::consts::SQRT_2, Keep::Below);
    assert!((exponential.count - 3.0).abs() < 1e-12, "{exponential}");
}

#[test]
fn test_expressions_spell_out_gaps() {
    let mut histogram = exponential(1, &[span(-1, 1), span(2, 1)], &[3.0, 1.5]);
    histogram.counter_reset_hint = CounterResetHint::Gauge;
    assert_eq!(
        histogram.test_expression(),
        "{{schema:1 count:4.5 sum:1 counter_reset_hint:gauge offset:-1 buckets:[3 0 0 1.5]}}"
    );
    let custom = custom(&[5.0, 10.0], &[span(0, 1)], &[1.0]);
    assert_eq!(custom.test_expression(), "{{schema:-53 count:1 sum:1 custom_values:[5 10] buckets:[1]}}");
}

/// Layouts of up to six spans with small whole counts.
fn any_exponential() -> impl Strategy<Value = FloatHistogram> {
    let side = prop::collection::vec((0..4_i32, 0..4_u32), 0..5).prop_flat_map(|spans| {
        let buckets: u32 = spans.iter().map(|s| s.1).sum();
        (Just(spans), prop::collection::vec(0..4_u8, buckets as usize))
    });
    (side.clone(), side, -2..3_i32, 0..3_u8, -4..4_i32).prop_map(
        |(positive, negative, schema, zero, shift)| {
            let spans = |spans: &[(i32, u32)]| {
                let mut spans: Vec<_> = spans.iter().map(|&(offset, length)| span(offset, length)).collect();
                if let Some(first) = spans.first_mut() {
                    first.offset += shift;
                }
                spans
            };
            let counts = |counts: &[u8]| counts.iter().map(|&c| f64::from(c)).collect::<Vec<_>>();
            let zero_threshold = [0.0, 0.5, 1.3][usize::from(zero)];
            let mut histogram = FloatHistogram {
                schema,
                zero_threshold,
                zero_count: f64::from(zero),
                positive_spans: spans(&positive.0),
                positive_buckets: counts(&positive.1),
                negative_spans: spans(&negative.0),
                negative_buckets: counts(&negative.1),
                ..Default::default()
            };
            histogram.count = buckets_total(&histogram);
            histogram
        },
    )
}

fn buckets_total(histogram: &FloatHistogram) -> f64 {
    let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
    histogram.zero_count + buckets.sum::<f64>()
}

proptest! {
    #[test]
    fn sums_lose_no_observation_and_plain_and_compensated_agree(a in any_exponential(), b in any_exponential()) {
        let (mut plain, mut kahan, mut compensation) = (a.clone(), a.clone(), None);
        plain.add(&b).unwrap();
        kahan.kahan_add(&b, &mut compensation).unwrap();
        kahan.add(&compensation.unwrap()).unwrap();
        plain.compact(0);
        kahan.compact(0);
        prop_assert_eq!(&plain, &kahan);
        prop_assert_eq!(plain.schema, a.schema.min(b.schema));
        // Buckets inside their own histogram's zero bucket make no sense and are dropped; without them
        // every observation is found again, once.
        prop_assert!(buckets_total(&plain) <= plain.count);
        if b.zero_threshold == 0.0 {
            prop_assert_eq!(buckets_total(&plain), plain.count);
        }
    }

    #[test]
    fn subtracting_what_was_added_leaves_the_original(a in any_exponential(), b in any_exponential()) {
        let b = FloatHistogram { zero_threshold: a.zero_threshold, ..b };
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert!(!sum.detect_reset(&a));
        sum.sub(&b).unwrap();
        sum.compact(0);
        let mut expected = if b.schema < a.schema { a.to_schema(b.schema).unwrap() } else { a };
        expected.compact(0);
        prop_assert_eq!(sum.positive_spans, expected.positive_spans);
        prop_assert_eq!(sum.positive_buckets, expected.positive_buckets);
    }

    #[test]
    fn compaction_keeps_every_populated_bucket(a in any_exponential(), max_empty in 0..4_u32) {
        let populated = |h: &FloatHistogram| h.iter_positive().filter(|b| b.count != 0.0).collect::<Vec<_>>();
        let mut compacted = a.clone();
        compacted.compact(max_empty);
        prop_assert_eq!(populated(&compacted), populated(&a));
        prop_assert_eq!(compacted.validate(), Ok(()));
    }
}
