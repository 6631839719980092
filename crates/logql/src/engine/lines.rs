//! Queries that select lines.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use model::Labels;
use model::logs::{LogColumns, LogRange, PageGroup, PageRun};
use rayon::prelude::*;

use super::scan::{RowReader, filtered_rows, read, rows_inside, select};
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
        let mut best: Vec<Found> = Vec::new();
        let mut held = None;
        // Groups nearest to the beginning first: the others are not read once there is enough.
        let batch = (rayon::current_num_threads() * 2).max(2);
        for groups in groups.chunks(batch) {
            let is_enough = best.len() >= params.limit && params.interval_ns == 0;
            let may_precede = |found: &Found| {
                groups.iter().any(|group| {
                    let time = found.entry.timestamp_ns;
                    nearest(group, is_backward) <= if is_backward { time.saturating_neg() } else { time }
                })
            };
            if is_enough && !best.last().is_some_and(may_precede) {
                break;
            }
            let found: Result<Vec<Vec<Found>>, QueryError> =
                groups.par_iter().map(|group| self.group_lines(group, &pipeline, params)).collect();
            best.extend(found?.into_iter().flatten());
            sort(&mut best, params);
            let bytes: usize =
                best.iter().map(|found| found.entry.line.len() + found.labels.bytes() + 64).sum();
            drop(held.take());
            held = Some(self.ctx.reserve(bytes)?);
        }
        if params.interval_ns > 0 {
            thin_out(&mut best, params);
        }
        best.truncate(params.limit);
        drop(held);
        Ok(self.grouped(best))
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
        LogResult { streams, entries, cost: self.cost.summary() }
    }

    fn group_lines(
        &self,
        group: &PageGroup,
        pipeline: &Pipeline,
        params: &LineParams,
    ) -> Result<Vec<Found>, QueryError> {
        let page = read(self, group, LogColumns { lines: true, metadata: true })?;
        let mut found = Vec::new();
        for run in &group.runs {
            let mut rows = filtered_rows(&page, rows_inside(&page, run, params.range), pipeline);
            if params.direction == Direction::Backward {
                rows.reverse();
            }
            let mut reader = RowReader::new(&page, run);
            let mut left = if params.interval_ns > 0 { usize::MAX } else { params.limit };
            for row in rows {
                if left == 0 {
                    break;
                }
                if let Some(entry) = passed(&mut reader, &run.stream, row, pipeline, params.categorize) {
                    found.push(entry);
                    left -= 1;
                }
            }
        }
        self.cost.passed(found.len());
        sort(&mut found, params);
        Ok(found)
    }
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

/// Brings entries into order and keeps as many as are wanted.
fn sort(found: &mut Vec<Found>, params: &LineParams) {
    let by_time = |a: &Found, b: &Found| -> Ordering {
        let ascending = a.entry.timestamp_ns.cmp(&b.entry.timestamp_ns);
        let by_time = if params.direction == Direction::Forward { ascending } else { ascending.reverse() };
        // Any order would do for entries of one instant, so long as it is always the same.
        by_time.then_with(|| b.stream.cmp(&a.stream))
    };
    found.sort_by(by_time);
    if params.interval_ns == 0 {
        found.truncate(params.limit);
    }
}

/// Leaves out entries that follow another too closely.
fn thin_out(found: &mut Vec<Found>, params: &LineParams) {
    let mut last: Option<i64> = None;
    found.retain(|found| {
        let time = found.entry.timestamp_ns;
        let is_far = last.is_none_or(|last| last.abs_diff(time) >= params.interval_ns.unsigned_abs());
        if is_far {
            last = Some(time);
        }
        is_far
    });
}
