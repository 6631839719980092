//! What functions, operators and aggregations compute, apart from how a query is evaluated: no labels,
//! no grouping, no matching.
//!
//! In reading order: [`range`] (functions over range vectors, dispatched once per query, with their
//! kernels in [`columns`], [`rate`], [`rate_histogram`], [`extended`], [`over_time`],
//! [`over_time_histogram`], [`regression`] and [`changes`]), [`math`] and [`date`] (functions of single
//! values), [`quantile`] (of numbers and of classic buckets), [`native`] (statistics of native
//! histograms) and [`statistics`] (histograms reduced to count and sum), [`histogram_sum`], [`arith`]
//! (binary operators on two values), [`aggregate`] (accumulators of groups) and [`select`] (`topk` and
//! relatives).

pub mod aggregate;
pub mod arith;
mod changes;
mod columns;
pub mod date;
pub mod extended;
mod histogram_sum;
pub mod math;
pub mod native;
mod over_time;
mod over_time_histogram;
pub mod quantile;
pub mod range;
mod rate;
mod rate_histogram;
mod regression;
pub mod select;
pub mod statistics;
