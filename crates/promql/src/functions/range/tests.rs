use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, SampleColumns, Span};

use super::*;
use crate::engine::value::{StepGrid, WindowBounds, is_absent};

/// How a range function is called in a test.
struct Call {
    function: &'static str,
    samples: SampleColumns,
    grid: StepGrid,
    range_ms: i64,
    extension: RangeExtension,
    lookback_ms: i64,
    params: Vec<f64>,
    name: &'static str,
    start_timestamps: bool,
}

impl Call {
    /// At one step at `t_ms`, over `range_ms`.
    fn new(function: &'static str, samples: SampleColumns, t_ms: i64, range_ms: i64) -> Self {
        Self {
            function,
            samples,
            grid: StepGrid::instant(t_ms),
            range_ms,
            extension: RangeExtension::None,
            lookback_ms: 300_000,
            params: Vec::new(),
            name: "m_total",
            start_timestamps: false,
        }
    }

    fn windows(&self) -> Vec<WindowBounds> {
        let times_ms = &self.samples.timestamps_ms;
        let (before, after) = match self.extension {
            RangeExtension::None => (0, 0),
            RangeExtension::Anchored => (self.lookback_ms, 0),
            RangeExtension::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        (0..self.grid.len)
            .map(|i| {
                let end_ms = self.grid.time_ms(i);
                WindowBounds {
                    lo: times_ms.partition_point(|&t| t <= end_ms - self.range_ms - before) as u32,
                    hi: times_ms.partition_point(|&t| t <= end_ms + after) as u32,
                }
            })
            .collect()
    }

    fn run(&self) -> (StepVector, Vec<String>) {
        let mut kernel = RangeKernel::new(RangeFunction::from_name(self.function).unwrap());
        let windows = self.windows();
        let params: Vec<Vec<f64>> = self.params.iter().map(|&p| vec![p; self.grid.len]).collect();
        let params: Vec<&[f64]> = params.iter().map(|p| &p[..]).collect();
        let input = RangeInput {
            samples: &self.samples,
            windows: &windows,
            grid: self.grid,
            range_ms: self.range_ms,
            offset_ms: 0,
            fixed_end_ms: None,
            extension: self.extension,
            params: &params,
        };
        let context = RangeContext {
            metric_name: self.name,
            type_label: None,
            argument_start: 0,
            start_timestamps: self.start_timestamps,
        };
        let mut out = StepVector::default();
        let mut annotations = Annotations::default();
        kernel.evaluate(&context, &input, &mut out, &mut annotations).unwrap();
        (out, annotations.iter().map(ToString::to_string).collect())
    }

    /// The float at the only step.
    fn float(&self) -> Option<f64> {
        let (out, notes) = self.run();
        assert!(notes.is_empty(), "{notes:?}");
        assert!(out.histogram(0).is_none());
        out.is_present(0).then_some(out.values[0])
    }
}

/// Floats at every 10 s from 10 s on.
fn every_10s(values: &[f64]) -> SampleColumns {
    let mut samples = SampleColumns::default();
    for (i, &value) in values.iter().enumerate() {
        samples.push_float(10_000 * (i as i64 + 1), value);
    }
    samples
}

/// `function` over all of these samples and nothing around them.
fn over(function: &'static str, values: &[f64]) -> Option<f64> {
    let end_ms = 10_000 * values.len() as i64;
    Call::new(function, every_10s(values), end_ms, end_ms).float()
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[test]
fn summaries_of_floats() {
    let values = [3.0, 1.0, 2.0];
    assert_eq!(over("sum_over_time", &values), Some(6.0));
    assert_eq!(over("avg_over_time", &values), Some(2.0));
    assert_eq!(over("min_over_time", &values), Some(1.0));
    assert_eq!(over("max_over_time", &values), Some(3.0));
    assert_eq!(over("count_over_time", &values), Some(3.0));
    assert_eq!(over("first_over_time", &values), Some(3.0));
    assert_eq!(over("last_over_time", &values), Some(2.0));
    assert_eq!(over("present_over_time", &values), Some(1.0));
    assert_eq!(over("stdvar_over_time", &values), Some(2.0 / 3.0));
    assert_eq!(over("ts_of_min_over_time", &values), Some(20.0));
    assert_eq!(over("ts_of_max_over_time", &values), Some(10.0));
    assert_eq!(over("ts_of_first_over_time", &values), Some(10.0));
    assert_eq!(over("ts_of_last_over_time", &values), Some(30.0));
    assert_eq!(over("mad_over_time", &values), Some(1.0));
    assert_eq!(over("deriv", &values), Some(-0.05));
    assert_eq!(over("changes", &values), Some(2.0));
    assert_eq!(over("resets", &values), Some(1.0));
}

#[test]
fn nothing_comes_of_no_samples() {
    for function in
        ["rate", "irate", "sum_over_time", "min_over_time", "count_over_time", "changes", "mad_over_time"]
    {
        assert_eq!(Call::new(function, SampleColumns::default(), 60_000, 60_000).float(), None, "{function}");
        // The sample at exactly the start of the window is outside.
        assert_eq!(Call::new(function, every_10s(&[1.0]), 70_000, 60_000).float(), None, "{function}");
    }
}

#[test]
fn single_samples_have_no_slope() {
    for function in ["rate", "increase", "delta", "irate", "idelta", "deriv"] {
        assert_eq!(over(function, &[5.0]), None, "{function}");
    }
    assert_eq!(over("stddev_over_time", &[5.0]), Some(0.0));
    assert_eq!(over("resets", &[5.0]), Some(0.0));
}

#[test]
fn nan_and_infinities() {
    let is_nan = |function, values: &[f64]| over(function, values).is_some_and(f64::is_nan);
    assert_eq!(over("min_over_time", &[NAN, 2.0, NAN, 1.0]), Some(1.0));
    assert_eq!(over("max_over_time", &[NAN, 2.0, NAN, 1.0]), Some(2.0));
    assert!(is_nan("max_over_time", &[NAN, NAN]));
    assert_eq!(over("ts_of_max_over_time", &[NAN, 2.0, 2.0, 1.0]), Some(30.0));
    assert_eq!(over("sum_over_time", &[1.0, INF, 2.0]), Some(INF));
    assert!(is_nan("sum_over_time", &[-INF, INF]));
    assert_eq!(over("avg_over_time", &[1.0, INF]), Some(INF));
    assert_eq!(over("avg_over_time", &[f64::MAX, f64::MAX]), Some(f64::MAX));
    assert!(is_nan("mad_over_time", &[1.0, NAN]));
    assert!(is_nan("deriv", &[INF, INF]));
    assert_eq!(over("deriv", &[4.0, 4.0]), Some(0.0));
    assert_eq!(over("changes", &[NAN, NAN, 1.0, NAN]), Some(2.0));
}

#[test]
fn sums_are_compensated() {
    assert_eq!(over("sum_over_time", &[1.0, 1e100, 1.0, -1e100]), Some(2.0));
    assert_eq!(over("avg_over_time", &[1.0, 1e100, 1.0, -1e100]), Some(0.5));
}

#[test]
fn windows_that_overlap_give_what_each_gives_alone() {
    let values: Vec<f64> = (0..200_u32).map(|i| f64::from(i * 7919 % 101) + 0.1).collect();
    let functions = [
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "changes",
        "resets",
        "rate",
        "increase",
        "delta",
        "stddev_over_time",
    ];
    for function in functions {
        for range_ms in [25_000, 70_000, 900_000] {
            let mut all = Call::new(function, every_10s(&values), 0, range_ms);
            all.grid = StepGrid::range(5_000, 2_200_000, 13_000);
            let (together, _) = all.run();
            for step in 0..all.grid.len {
                let alone = Call::new(function, every_10s(&values), all.grid.time_ms(step), range_ms).float();
                let value = together.values[step];
                let value = (!is_absent(value)).then_some(value.to_bits());
                assert_eq!(value, alone.map(f64::to_bits), "{function} {range_ms} step {step}");
            }
        }
    }
}

#[test]
fn rates_are_extrapolated_to_near_boundaries() {
    // Samples at 10..60 s, window (0 s, 60 s]: the first is 10 s from the start, which is near.
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(over("delta", &values), Some(6.0));
    assert_eq!(over("rate", &values), Some(0.1));
    // A counter is not extrapolated below zero: it was zero at the start already.
    assert_eq!(over("increase", &values), Some(6.0));
    let from_zero = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(over("increase", &from_zero), Some(5.0));
    assert_eq!(over("delta", &from_zero), Some(6.0));
}

#[test]
fn far_boundaries_are_reached_by_half_a_distance() {
    let call = Call::new("delta", every_10s(&[1.0, 2.0, 3.0]), 100_000, 300_000);
    assert_eq!(call.float(), Some(2.0 * (20.0 + 5.0 + 5.0) / 20.0));
}

#[test]
fn resets_are_added_back() {
    let values = [10.0, 20.0, 5.0, 15.0, 2.0, 3.0];
    // 10 to 20, then 5, 10, 2 and 1 more: 28, over 50 s; zero lies outside of the window.
    assert_eq!(over("increase", &values), Some(28.0 * (50.0 + 10.0) / 50.0));
    assert_eq!(over("delta", &values), Some(-7.0 * 60.0 / 50.0));
    assert_eq!(over("irate", &[5.0, 20.0]), Some(1.5));
    assert_eq!(over("irate", &[20.0, 5.0]), Some(0.5));
    assert_eq!(over("idelta", &[20.0, 5.0]), Some(-15.0));
}

#[test]
fn counters_are_known_by_name_or_type() {
    let mut call = Call::new("rate", every_10s(&[1.0, 2.0]), 20_000, 20_000);
    call.name = "memory_bytes";
    assert_eq!(
        call.run().1,
        [
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"memory_bytes\""
        ]
    );
    call.name = "";
    assert!(call.run().1.is_empty());
    call.name = "memory_bytes";
    call.function = "delta";
    assert!(call.run().1.is_empty());
}

#[test]
fn start_timestamps_make_single_samples_and_equal_values_count() {
    let mut samples = SampleColumns::default();
    samples.push_float(30_000, 6.0);
    samples.set_last_start_timestamp(10_000);
    let mut call = Call::new("increase", samples.clone(), 60_000, 60_000);
    assert_eq!(call.float(), None);
    call.start_timestamps = true;
    assert_eq!(call.float(), Some(6.0));

    // Started anew between the samples, at a higher value: counts as a reset.
    samples.push_float(40_000, 8.0);
    samples.set_last_start_timestamp(35_000);
    call.samples = samples.clone();
    call.function = "resets";
    assert_eq!(call.float(), Some(1.0));
    call.function = "irate";
    assert_eq!(call.float(), Some(0.8));

    // Starts before the sample before it ended.
    samples.push_float(50_000, 9.0);
    samples.set_last_start_timestamp(38_000);
    call.samples = samples;
    call.function = "rate";
    let notes = call.run().1;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("overlaps with previous sample"), "{notes:?}");
}

#[test]
fn anchored_ranges_take_the_last_sample_before_and_do_not_extrapolate() {
    let mut call = Call::new("increase", every_10s(&[1.0, 2.0, 4.0, 1.0, 3.0]), 45_000, 20_000);
    call.extension = RangeExtension::Anchored;
    // From 2 (at 20 s, for 25 s) over 4 to 1, a reset.
    assert_eq!(call.float(), Some(3.0));
    call.function = "delta";
    assert_eq!(call.float(), Some(-1.0));
    call.function = "resets";
    assert_eq!(call.float(), Some(1.0));
    call.function = "changes";
    assert_eq!(call.float(), Some(2.0));
    // Nothing inside of the window.
    call.grid = StepGrid::instant(90_000);
    assert_eq!(call.float(), None);
}

#[test]
fn smoothed_ranges_interpolate_at_both_ends() {
    let mut call = Call::new("delta", every_10s(&[1.0, 2.0, 4.0, 1.0, 3.0]), 45_000, 20_000);
    call.extension = RangeExtension::Smoothed;
    // 3 at 25 s, 2 at 45 s.
    assert_eq!(call.float(), Some(-1.0));
    call.function = "rate";
    // 4 lost in the reset; and the counter rose by one to 4, then from 0 to 2.
    assert_eq!(call.float(), Some(3.0 / 20.0));
}

#[test]
fn smoothing_and_prediction() {
    let mut call = Call::new("predict_linear", every_10s(&[1.0, 2.0, 3.0]), 30_000, 30_000);
    call.params = vec![20.0];
    assert_eq!(call.float(), Some(5.0));
    let mut call = Call::new("double_exponential_smoothing", every_10s(&[1.0, 2.0, 3.0]), 30_000, 30_000);
    call.params = vec![0.5, 0.5];
    assert_eq!(call.float(), Some(3.0));
    let mut call = Call::new("quantile_over_time", every_10s(&[1.0, 2.0, 4.0]), 30_000, 30_000);
    call.params = vec![0.75];
    assert_eq!(call.float(), Some(3.0));
    call.params = vec![2.0];
    let (out, notes) = call.run();
    assert_eq!(out.values, [INF]);
    assert_eq!(notes, ["PromQL warning: quantile value should be between 0 and 1, got 2"]);
}

#[test]
fn smoothing_factors_are_checked() {
    assert_eq!(
        ParameterError::SmoothingFactor(1.5).to_string(),
        "invalid smoothing factor. Expected: 0 < sf < 1, got: 1.500000"
    );
    assert_eq!(
        ParameterError::TrendFactor(INF).to_string(),
        "invalid trend factor. Expected: 0 < tf < 1, got: +Inf"
    );
}

fn histogram(count: f64, hint: CounterResetHint) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram {
        counter_reset_hint: hint,
        count,
        sum: count * 2.0,
        positive_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: vec![count],
        ..FloatHistogram::default()
    })
}

fn histograms_every_10s(counts: &[f64], hint: CounterResetHint) -> SampleColumns {
    let mut samples = SampleColumns::default();
    for (i, &count) in counts.iter().enumerate() {
        samples.push_histogram(10_000 * (i as i64 + 1), histogram(count, hint));
    }
    samples
}

#[test]
fn histograms_have_rates_sums_and_means() {
    let samples = histograms_every_10s(&[1.0, 3.0, 2.0], CounterResetHint::Unknown);
    let count = |function| {
        let (out, notes) = Call::new(function, samples.clone(), 30_000, 30_000).run();
        assert!(notes.is_empty(), "{notes:?}");
        out.histogram(0).map(|h| (h.count, h.counter_reset_hint))
    };
    // 2 more, then a reset and 2 more; the counter was zero 5 s before the first sample.
    assert_eq!(count("increase"), Some((5.0, CounterResetHint::Gauge)));
    assert_eq!(count("sum_over_time").map(|c| c.0), Some(6.0));
    assert_eq!(count("avg_over_time").map(|c| c.0), Some(2.0));
    assert_eq!(count("last_over_time").map(|c| c.0), Some(2.0));
    assert_eq!(count("irate").map(|c| c.0), Some(0.2));
    assert_eq!(Call::new("resets", samples.clone(), 30_000, 30_000).float(), Some(1.0));
    assert_eq!(Call::new("changes", samples.clone(), 30_000, 30_000).float(), Some(2.0));
    assert_eq!(Call::new("max_over_time", samples, 30_000, 30_000).float(), None);
}

#[test]
fn wrong_kinds_of_histograms_are_told() {
    let notes = |function, hint| {
        let call = Call::new(function, histograms_every_10s(&[1.0, 3.0, 5.0], hint), 30_000, 30_000);
        call.run().1.join("; ")
    };
    for function in ["rate", "irate"] {
        assert_eq!(
            notes(function, CounterResetHint::Gauge),
            "PromQL warning: this native histogram metric is not a counter: \"m_total\"",
            "{function}"
        );
        assert_eq!(notes(function, CounterResetHint::Unknown), "", "{function}");
    }
    for function in ["delta", "idelta"] {
        assert_eq!(
            notes(function, CounterResetHint::Unknown),
            "PromQL warning: this native histogram metric is not a gauge: \"m_total\"",
            "{function}"
        );
        assert_eq!(notes(function, CounterResetHint::Gauge), "", "{function}");
    }
}

#[test]
fn mixed_windows_are_refused_or_filtered() {
    let mut samples = every_10s(&[1.0, 5.0]);
    samples.push_histogram(30_000, histogram(3.0, CounterResetHint::Unknown));
    for function in ["rate", "delta", "irate", "sum_over_time", "avg_over_time"] {
        let (out, notes) = Call::new(function, samples.clone(), 30_000, 30_000).run();
        assert!(out.is_all_absent(), "{function}");
        assert_eq!(
            notes,
            ["PromQL warning: encountered a mix of histograms and floats for metric name \"m_total\""],
            "{function}"
        );
    }
    for (function, expected) in [("max_over_time", 5.0), ("deriv", 0.4)] {
        let (out, notes) = Call::new(function, samples.clone(), 30_000, 30_000).run();
        assert_eq!(out.values, [expected]);
        assert_eq!(
            notes,
            [
                "PromQL info: ignored histograms in a range containing both floats and histograms for metric name \"m_total\""
            ]
        );
    }
    assert_eq!(Call::new("count_over_time", samples.clone(), 30_000, 30_000).float(), Some(3.0));
    assert_eq!(Call::new("changes", samples.clone(), 30_000, 30_000).float(), Some(2.0));
    assert_eq!(Call::new("resets", samples, 30_000, 30_000).float(), Some(1.0));
}

#[test]
fn histograms_in_widened_ranges() {
    let samples = histograms_every_10s(&[1.0, 2.0, 4.0, 1.0, 3.0], CounterResetHint::Unknown);
    for (extension, expected) in [(RangeExtension::Anchored, 3.0), (RangeExtension::Smoothed, 3.0)] {
        let mut call = Call::new("increase", samples.clone(), 45_000, 20_000);
        call.extension = extension;
        let (out, notes) = call.run();
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!(out.histogram(0).map(|h| h.count), Some(expected), "{extension:?}");
    }
}
