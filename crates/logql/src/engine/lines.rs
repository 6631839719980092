//! Queries that select lines.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use base::Reservation;
use bytes::Bytes;
use hashbrown::HashMap;
use model::logs::{LogRange, PageGroup, PageRun};
use model::{Labels, QueryStop, SourceError};
use rayon::prelude::*;

use super::scan::{RowReader, Wanted, scan, select};
use super::threads::apart;
use super::{CostSummary, Engine};
use crate::ast::LogExpr;
use crate::error::QueryError;
use crate::labels::{LabelSet, Origin, RowLabels};
use crate::stage::Pipeline;
use crate::stage::hints::Hints;

/// Which end of the range comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The oldest entries.
    Forward,
    /// The newest entries.
    Backward,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct LineParams {
    /// Entries outside are not wanted.
    pub range: LogRange,
    /// At most this many entries.
    pub limit: usize,
    /// Which of them.
    pub direction: Direction,
    /// The least time between two entries; 0 for none.
    pub interval_ns: i64,
    /// Whether labels are told apart by where they come from.
    pub categorize: bool,
}

/// An entry of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Nanoseconds since the epoch.
    pub timestamp_ns: i64,
    /// The line, as it was stored or formatted.
    pub line: Bytes,
    /// With labels told apart: structured metadata and what was parsed.
    pub extra: Option<(LabelSet, LabelSet)>,
}

/// Entries by their labels.
pub type Streams = Vec<(LabelSet, Vec<Entry>)>;

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct LogResult {
    /// Sorted by labels; entries in the order that was asked for.
    pub streams: Streams,
    /// Number of entries.
    pub entries: usize,
    /// What it cost.
    pub cost: CostSummary,
    /// What holds the memory of the entries, for as long as the answer is on its way.
    pub memory: Option<Arc<Reservation>>,
}

/// An entry, before entries are grouped.
struct Found {
    entry: Entry,
    labels: LabelSet,
    stream: Arc<Labels>,
}

impl Engine<'_> {
    /// Selects lines.
    pub fn lines(&self, query: &LogExpr, params: &LineParams) -> Result<LogResult, QueryError> {
        if !query.distinct.is_empty() {
            return self.distinct_lines(query, params);
        }
        let pipeline = Pipeline::new(&query.stages, Hints::all(&query.stages, None))?;
        let mut groups = if params.limit == 0 {
            Vec::new()
        } else {
            select(self, &query.matchers, &query.stages, &pipeline, params.range)?
        };
        let is_backward = params.direction == Direction::Backward;
        groups.sort_by_key(|group| nearest(group, is_backward));
        let mut found = Gathered { best: Vec::new(), settled: 0, params };
        let mut held = self.ctx.reserve(0)?;
        // Groups nearest to the beginning first: the others are not read once there is enough.
        let batch = apart(rayon::current_num_threads);
        for groups in groups.chunks(batch) {
            // What comes before anything that is still to be read is in its place.
            let next = groups.iter().map(|group| nearest(group, is_backward)).min().unwrap_or(i64::MAX);
            found.settle(next);
            if found.is_enough() {
                break;
            }
            let more: Result<Vec<Vec<Found>>, QueryError> =
                apart(|| groups.par_iter().map(|group| self.group_lines(group, &pipeline, params)).collect());
            match more {
                Ok(more) => found.add(more),
                // What is in its place is the beginning of the answer, however long the rest would take.
                Err(QueryError::Source(SourceError::Stopped(QueryStop::Timeout(_)))) if found.settled > 0 => {
                    found.best.truncate(found.settled);
                    self.ctx.warn(cut_short(&found));
                    break;
                }
                Err(error) => return Err(error),
            }
            let bytes = found.bytes();
            held.shrink_to(bytes);
            held.absorb(self.ctx.reserve(bytes.saturating_sub(held.bytes()))?);
        }
        found.settle(i64::MAX);
        found.best.truncate(params.limit);
        let bytes = found.bytes();
        held.shrink_to(bytes);
        Ok(LogResult { memory: Some(Arc::new(held)), ..self.grouped(found.best) })
    }

    fn grouped(&self, found: Vec<Found>) -> LogResult {
        let entries = found.len();
        let mut places: HashMap<LabelSet, usize> = HashMap::new();
        let mut streams: Streams = Vec::new();
        for Found { entry, labels, .. } in found {
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                streams.push((labels.clone(), Vec::new()));
                streams.len() - 1
            });
            streams[place].1.push(entry);
        }
        // Clients know streams in the order of their labels written out, in which longer sets come before their beginnings.
        streams.sort_by_cached_key(|(labels, _)| labels.to_string());
        LogResult { streams, entries, cost: self.cost.summary(), memory: None }
    }

    fn group_lines(
        &self,
        group: &PageGroup,
        pipeline: &Pipeline,
        params: &LineParams,
    ) -> Result<Vec<Found>, QueryError> {
        let runs: Vec<&PageRun> = group.runs.iter().collect();
        let wanted = Wanted { pipeline, range: params.range, lines: true, metadata: true };
        let mut found = Vec::new();
        let Some(scanned) = scan(self, group, &runs, &wanted)? else { return Ok(found) };
        for run in runs {
            let rows = scanned.rows_of(run);
            let mut reader = RowReader::new(&scanned.page, run, pipeline);
            let mut left = if params.interval_ns > 0 { usize::MAX } else { params.limit };
            let mut take = |row: u32| {
                if left > 0
                    && let Some(entry) = passed(&mut reader, &run.stream, row, pipeline, params.categorize)
                {
                    found.push(entry);
                    left -= 1;
                }
                left > 0
            };
            let _ = match params.direction {
                Direction::Forward => rows.iter().all(|&row| take(row)),
                Direction::Backward => rows.iter().rev().all(|&row| take(row)),
            };
        }
        self.cost.passed(found.len());
        sort(&mut found, params);
        Ok(found)
    }
}

/// What is told of an answer that time did not suffice for.
fn cut_short(found: &Gathered<'_>) -> String {
    let last_ns = found.best.last().map_or(0, |last| last.entry.timestamp_ns);
    let last = jiff::Timestamp::from_nanosecond(i128::from(last_ns)).unwrap_or_default();
    let side = if found.params.direction == Direction::Backward { "before" } else { "after" };
    format!("the query timed out (query_timeout): entries {side} {last} were not searched and are missing")
}

/// How far a group is from where the answer begins.
fn nearest(group: &PageGroup, is_backward: bool) -> i64 {
    let times = |run: &PageRun| if is_backward { run.last_ns.saturating_neg() } else { run.first_ns };
    group.runs.iter().map(times).min().unwrap_or(i64::MAX)
}

fn passed(
    reader: &mut RowReader<'_>,
    stream: &Arc<Labels>,
    at: u32,
    pipeline: &Pipeline,
    categorize: bool,
) -> Option<Found> {
    let mut row = reader.row(at);
    if !pipeline.run(&mut row, &mut reader.labels) {
        return None;
    }
    let line = match row.line {
        // What was not changed goes out as it was stored, even where it is not text.
        Cow::Borrowed(_) => reader.raw(at),
        Cow::Owned(_) if pipeline.is_trivial() => reader.raw(at),
        Cow::Owned(line) => Bytes::from(line),
    };
    let (labels, extra) = sets(&reader.labels, categorize);
    let entry = Entry { timestamp_ns: row.timestamp_ns, line, extra };
    Some(Found { entry, labels, stream: Arc::clone(stream) })
}

pub(super) fn sets(labels: &RowLabels, categorize: bool) -> (LabelSet, Option<(LabelSet, LabelSet)>) {
    if !categorize {
        return (labels.collect(|_, _| true), None);
    }
    let of = |wanted| labels.collect(|_, origin| origin == wanted);
    let (stream, metadata, parsed) = (of(Origin::Stream), of(Origin::Metadata), of(Origin::Parsed));
    (stream, Some((metadata, parsed)))
}

/// Entries of the groups that were read so far, in order.
struct Gathered<'a> {
    best: Vec<Found>,
    /// As many of them nothing can come between any more. With an interval, they are thinned out.
    settled: usize,
    params: &'a LineParams,
}

impl Gathered<'_> {
    fn add(&mut self, more: Vec<Vec<Found>>) {
        self.best.extend(more.into_iter().flatten());
        let unsettled = &mut self.best[self.settled..];
        unsettled.sort_by(|a, b| order(a, b, self.params));
        if self.params.interval_ns == 0 {
            self.best.truncate(self.params.limit);
        }
    }

    /// Settles what comes before `next`, which is a time, or the negative of one where the newest come first.
    fn settle(&mut self, next: i64) {
        let is_backward = self.params.direction == Direction::Backward;
        let place = |found: &Found| match found.entry.timestamp_ns {
            time if is_backward => time.saturating_neg(),
            time => time,
        };
        let count =
            self.best[self.settled..].partition_point(|found| next == i64::MAX || place(found) < next);
        if self.params.interval_ns == 0 {
            self.settled += count;
            return;
        }
        let rest = self.best.split_off(self.settled + count);
        let fresh = self.best.split_off(self.settled);
        for found in fresh {
            let time = found.entry.timestamp_ns;
            let is_far = self.best.last().is_none_or(|last| {
                last.entry.timestamp_ns.abs_diff(time) >= self.params.interval_ns.unsigned_abs()
            });
            if is_far && self.best.len() < self.params.limit {
                self.best.push(found);
            }
        }
        self.settled = self.best.len();
        self.best.extend(rest);
    }

    fn is_enough(&self) -> bool {
        self.settled >= self.params.limit
    }

    fn bytes(&self) -> usize {
        self.best.iter().map(|found| found.entry.line.len() + found.labels.bytes() + 64).sum()
    }
}

fn order(a: &Found, b: &Found, params: &LineParams) -> Ordering {
    let ascending = a.entry.timestamp_ns.cmp(&b.entry.timestamp_ns);
    let by_time = if params.direction == Direction::Forward { ascending } else { ascending.reverse() };
    // Any order would do for entries of one instant, so long as it is always the same.
    by_time.then_with(|| b.stream.cmp(&a.stream))
}

/// Brings entries of one group into order and keeps as many as are wanted.
fn sort(found: &mut Vec<Found>, params: &LineParams) {
    found.sort_by(|a, b| order(a, b, params));
    if params.interval_ns == 0 {
        found.truncate(params.limit);
    }
}
