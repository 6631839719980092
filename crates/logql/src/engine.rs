//! Answers to queries.
//!
//! In reading order: this file (what is asked, and what it cost), [`lines`] (queries that select lines), `scan` (pages
//! to rows), [`series`] (queries that compute series), with `range` (functions over ranges of lines), `window` (their
//! arithmetic), `vector` (aggregations of series), `binary` and `arithmetic` (operators); [`detect`] (which fields and
//! labels there are) and [`patterns`] (what lines look alike); [`live`] (lines as they come);
//! `beyond` (what is only there when it is switched on); `threads` (where pages are read).

pub(crate) mod arithmetic;
mod beyond;
mod binary;
pub mod detect;
pub mod lines;
pub mod live;
pub mod patterns;
mod range;
mod scan;
pub mod series;
mod threads;
mod vector;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::logs::LogSource;
use model::{Matcher, QueryContext, QueryProgress};

pub use lines::{Direction, Entry, LineParams, LogResult, Streams};
pub use series::{Sample, Series, SeriesResult, Steps};

/// What a query may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Series of a result.
    pub max_series: usize,
    /// Lines from before, in nanoseconds since the epoch, are not there for ranges, wherever these lie.
    pub oldest_ns: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_series: 500, oldest_ns: i64::MIN }
    }
}

/// Answers queries from a source of logs.
pub struct Engine<'a> {
    /// The logs.
    pub source: &'a dyn LogSource,
    /// What a query may use.
    pub limits: Limits,
    /// Deadline, memory and cancellation.
    pub ctx: &'a QueryContext,
    /// What the queries cost so far.
    pub cost: Cost,
}

impl<'a> Engine<'a> {
    /// An engine for one request.
    pub fn new(source: &'a dyn LogSource, limits: Limits, ctx: &'a QueryContext) -> Self {
        let cost = Cost { progress: ctx.progress.clone(), ..Cost::default() };
        Self { source, limits, ctx, cost }
    }
}

/// What a query cost.
#[derive(Debug, Default)]
pub struct Cost {
    groups_found: AtomicU64,
    groups_read: AtomicU64,
    lines_processed: AtomicU64,
    bytes_processed: AtomicU64,
    metadata_bytes: AtomicU64,
    lines_passed: AtomicU64,
    /// Where those look who watch the query.
    progress: Arc<QueryProgress>,
}

/// What a query cost, told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CostSummary {
    /// Page groups that might hold what was asked for.
    pub groups_found: u64,
    /// Page groups of which columns were read.
    pub groups_read: u64,
    /// Lines that were looked at.
    pub lines_processed: u64,
    /// Their bytes, with those of their metadata.
    pub bytes_processed: u64,
    /// Bytes of structured metadata.
    pub metadata_bytes: u64,
    /// Lines that passed all filters.
    pub lines_passed: u64,
}

impl Cost {
    fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn found(&self, groups: usize) {
        Self::add(&self.groups_found, groups);
    }

    fn read(&self, lines: usize, bytes: usize, metadata_bytes: usize) {
        Self::add(&self.groups_read, 1);
        Self::add(&self.lines_processed, lines);
        Self::add(&self.bytes_processed, bytes + metadata_bytes);
        Self::add(&self.metadata_bytes, metadata_bytes);
        self.progress.add_lines(lines as u64, (bytes + metadata_bytes) as u64);
    }

    fn passed(&self, lines: usize) {
        Self::add(&self.lines_passed, lines);
    }

    /// The figures so far.
    pub fn summary(&self) -> CostSummary {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CostSummary {
            groups_found: of(&self.groups_found),
            groups_read: of(&self.groups_read),
            lines_processed: of(&self.lines_processed),
            bytes_processed: of(&self.bytes_processed),
            metadata_bytes: of(&self.metadata_bytes),
            lines_passed: of(&self.lines_passed),
        }
    }
}

/// The conditions that apply to streams: streams have no names, so conditions on one select nothing and exclude
/// nothing.
pub fn stream_matchers(matchers: &[Matcher]) -> Vec<Matcher> {
    matchers.iter().filter(|matcher| matcher.name != model::METRIC_NAME).cloned().collect()
}
