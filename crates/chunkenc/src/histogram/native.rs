//! What the chunk code needs to know of the two kinds of histograms.

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::cell::{Cell, IntegerCell};
use super::layout::Layout;
use crate::encoding::Encoding;
use crate::window::XorFloat;

mod sealed {
    pub trait Sealed {}
    impl Sealed for model::Histogram {}
    impl Sealed for model::FloatHistogram {}
}

/// A histogram a chunk can hold: [`Histogram`] or [`FloatHistogram`].
pub trait NativeHistogram: Clone + sealed::Sealed {
    /// How its counts are stored.
    #[doc(hidden)]
    type Cell: Cell;

    /// The chunk encoding, with or without start timestamps.
    fn encoding(start_times: bool) -> Encoding;

    /// Whether a cut chunk says "unknown" where only the layout changed, and "no reset" where counter
    /// histograms follow gauges. Float chunks are less precise.
    #[doc(hidden)]
    const PRECISE_HINTS: bool;

    /// The counter-reset hint.
    fn hint(&self) -> CounterResetHint;
    /// The sum of observations, which carries the staleness marker.
    fn sum(&self) -> f64;
    #[doc(hidden)]
    fn totals(&self) -> (<Self::Cell as Cell>::Raw, <Self::Cell as Cell>::Raw);
    #[doc(hidden)]
    fn layout(&self) -> Layout;
    /// Whether schema, zero threshold and custom bounds equal those of `layout`: `Err` when only the
    /// custom bounds differ.
    #[doc(hidden)]
    fn fits(&self, layout: &Layout) -> Fit;
    /// Spans and bucket counts of one side.
    #[doc(hidden)]
    fn side(&self, negative: bool) -> (&[Span], &[<Self::Cell as Cell>::Raw]);
    #[doc(hidden)]
    fn set_side(&mut self, negative: bool, spans: Vec<Span>, buckets: Vec<<Self::Cell as Cell>::Raw>);
    #[doc(hidden)]
    fn set_schema(&mut self, schema: i32);
    /// A histogram of a chunk's layout and counts.
    #[doc(hidden)]
    fn assemble(hint: CounterResetHint, layout: &Layout, counts: Counts<'_, Self::Cell>) -> Self;
    /// The same with float counts.
    fn into_float(self) -> FloatHistogram;
    /// The marker of a stale series.
    #[doc(hidden)]
    fn stale(sum: f64) -> Self;

    /// The absolute count of a bucket, given that of the bucket before.
    #[doc(hidden)]
    fn absolute(
        before: <Self::Cell as Cell>::Raw,
        raw: <Self::Cell as Cell>::Raw,
    ) -> <Self::Cell as Cell>::Raw;
    /// The stored count of a bucket with this absolute count.
    #[doc(hidden)]
    fn relative(
        before: <Self::Cell as Cell>::Raw,
        absolute: <Self::Cell as Cell>::Raw,
    ) -> <Self::Cell as Cell>::Raw;
    #[doc(hidden)]
    fn zero() -> <Self::Cell as Cell>::Raw;
    #[doc(hidden)]
    fn add(a: <Self::Cell as Cell>::Raw, b: <Self::Cell as Cell>::Raw) -> <Self::Cell as Cell>::Raw;
    #[doc(hidden)]
    fn bucket_decreased(from: <Self::Cell as Cell>::Raw, to: <Self::Cell as Cell>::Raw) -> bool;
    #[doc(hidden)]
    fn total_decreased(from: <Self::Cell as Cell>::Raw, to: <Self::Cell as Cell>::Raw) -> bool;
    #[doc(hidden)]
    fn is_zero(raw: <Self::Cell as Cell>::Raw) -> bool;
}

/// How a histogram compares with the layout of a chunk, buckets aside.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// The same.
    Same,
    /// Another schema or zero threshold.
    OtherSchema,
    /// Other custom bounds.
    OtherBounds,
}

/// The counts of one sample of a chunk.
#[derive(Debug)]
pub struct Counts<'a, C> {
    pub(crate) count: C,
    pub(crate) zero_count: C,
    pub(crate) sum: f64,
    pub(crate) positive: &'a [C],
    pub(crate) negative: &'a [C],
}

fn same_bounds(a: Option<&Arc<[f64]>>, b: Option<&Arc<[f64]>>) -> bool {
    let (a, b) = (a.map_or(&[][..], |v| v), b.map_or(&[][..], |v| v));
    a == b
}

macro_rules! shared_accessors {
    () => {
        fn hint(&self) -> CounterResetHint {
            self.counter_reset_hint
        }

        fn sum(&self) -> f64 {
            self.sum
        }

        fn layout(&self) -> Layout {
            Layout {
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                positive_spans: self.positive_spans.clone(),
                negative_spans: self.negative_spans.clone(),
                custom_values: self.custom_values.clone(),
            }
        }

        fn fits(&self, layout: &Layout) -> Fit {
            if self.schema != layout.schema || self.zero_threshold != layout.zero_threshold {
                Fit::OtherSchema
            } else if self.schema == CUSTOM_BUCKETS_SCHEMA
                && !same_bounds(self.custom_values.as_ref(), layout.custom_values.as_ref())
            {
                Fit::OtherBounds
            } else {
                Fit::Same
            }
        }

        fn set_schema(&mut self, schema: i32) {
            self.schema = schema;
        }

        fn stale(sum: f64) -> Self {
            Self { sum, ..Self::default() }
        }
    };
}

impl NativeHistogram for Histogram {
    type Cell = IntegerCell;

    const PRECISE_HINTS: bool = true;

    shared_accessors!();

    fn encoding(start_times: bool) -> Encoding {
        if start_times { Encoding::HistogramSt } else { Encoding::Histogram }
    }

    fn totals(&self) -> (i64, i64) {
        (self.count as i64, self.zero_count as i64)
    }

    fn side(&self, negative: bool) -> (&[Span], &[i64]) {
        match negative {
            false => (&self.positive_spans, &self.positive_buckets),
            true => (&self.negative_spans, &self.negative_buckets),
        }
    }

    fn set_side(&mut self, negative: bool, spans: Vec<Span>, buckets: Vec<i64>) {
        match negative {
            false => (self.positive_spans, self.positive_buckets) = (spans, buckets),
            true => (self.negative_spans, self.negative_buckets) = (spans, buckets),
        }
    }

    fn assemble(hint: CounterResetHint, layout: &Layout, counts: Counts<'_, IntegerCell>) -> Self {
        let raw = |cells: &[IntegerCell]| cells.iter().map(Cell::raw).collect();
        Self {
            counter_reset_hint: hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: counts.zero_count.raw() as u64,
            count: counts.count.raw() as u64,
            sum: counts.sum,
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_buckets: raw(counts.positive),
            negative_buckets: raw(counts.negative),
            custom_values: layout.custom_values.clone(),
        }
    }

    fn into_float(self) -> FloatHistogram {
        let absolute = |deltas: &[i64]| {
            let mut count = 0_i64;
            let running = deltas.iter().map(|&delta| {
                count = count.wrapping_add(delta);
                count as f64
            });
            running.collect()
        };
        FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_buckets: absolute(&self.positive_buckets),
            negative_buckets: absolute(&self.negative_buckets),
            positive_spans: self.positive_spans,
            negative_spans: self.negative_spans,
            custom_values: self.custom_values,
        }
    }

    fn absolute(before: i64, raw: i64) -> i64 {
        before.wrapping_add(raw)
    }

    fn relative(before: i64, absolute: i64) -> i64 {
        absolute.wrapping_sub(before)
    }

    fn zero() -> i64 {
        0
    }

    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn bucket_decreased(from: i64, to: i64) -> bool {
        from > to
    }

    fn total_decreased(from: i64, to: i64) -> bool {
        (to as u64) < (from as u64)
    }

    fn is_zero(raw: i64) -> bool {
        raw == 0
    }
}

impl NativeHistogram for FloatHistogram {
    type Cell = XorFloat;

    const PRECISE_HINTS: bool = false;

    shared_accessors!();

    fn encoding(start_times: bool) -> Encoding {
        if start_times { Encoding::FloatHistogramSt } else { Encoding::FloatHistogram }
    }

    fn totals(&self) -> (f64, f64) {
        (self.count, self.zero_count)
    }

    fn side(&self, negative: bool) -> (&[Span], &[f64]) {
        match negative {
            false => (&self.positive_spans, &self.positive_buckets),
            true => (&self.negative_spans, &self.negative_buckets),
        }
    }

    fn set_side(&mut self, negative: bool, spans: Vec<Span>, buckets: Vec<f64>) {
        match negative {
            false => (self.positive_spans, self.positive_buckets) = (spans, buckets),
            true => (self.negative_spans, self.negative_buckets) = (spans, buckets),
        }
    }

    fn assemble(hint: CounterResetHint, layout: &Layout, counts: Counts<'_, XorFloat>) -> Self {
        let raw = |cells: &[XorFloat]| cells.iter().map(Cell::raw).collect();
        Self {
            counter_reset_hint: hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: counts.zero_count.raw(),
            count: counts.count.raw(),
            sum: counts.sum,
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_buckets: raw(counts.positive),
            negative_buckets: raw(counts.negative),
            custom_values: layout.custom_values.clone(),
        }
    }

    fn into_float(self) -> FloatHistogram {
        self
    }

    fn absolute(_before: f64, raw: f64) -> f64 {
        raw
    }

    fn relative(_before: f64, absolute: f64) -> f64 {
        absolute
    }

    fn zero() -> f64 {
        0.0
    }

    fn add(a: f64, b: f64) -> f64 {
        a + b
    }

    fn bucket_decreased(from: f64, to: f64) -> bool {
        from > to
    }

    fn total_decreased(from: f64, to: f64) -> bool {
        to < from
    }

    fn is_zero(raw: f64) -> bool {
        raw == 0.0
    }
}
