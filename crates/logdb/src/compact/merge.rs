//! Rows of several objects in one order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use blob::BlobError;
use model::labels::Labels;
use model::logs::{LogColumns, Page};

use crate::deletes::Tombstone;
use crate::segment::reader::SegmentError;
use crate::segment::writer::Sink;
use crate::segment::{Segment, SegmentWriter};

/// Why a merge failed.
#[derive(Debug)]
pub(super) enum MergeError {
    /// The object of that number could not be read; with the number of the page group.
    Input(usize, usize, SegmentError),
    /// The result could not be written.
    Sink(BlobError),
    /// It is time to stop.
    Stopped,
}

/// Reads an object front to back; streams are asked for in order, so that one page group at a time is enough.
struct Reader {
    number: usize,
    segment: Arc<Segment>,
    group: usize,
    page: Option<Page>,
    /// Row of the page, and where the run that it is in ends.
    row: usize,
    run_end: usize,
    run: usize,
}

impl Reader {
    fn new(number: usize, segment: Arc<Segment>) -> Self {
        Self { number, segment, group: 0, page: None, row: 0, run_end: 0, run: 0 }
    }

    /// Whether the row it is at is to be gone.
    fn is_gone(&self, time: i64, gone: &[&Tombstone]) -> bool {
        let covers = |page: &Page| gone.iter().any(|t| t.covers(time, page.lines.get(self.row)));
        !gone.is_empty() && self.page.as_ref().is_some_and(covers)
    }

    /// The time of the next row, if it is of this stream.
    fn next_of(&mut self, stream: u32) -> Result<Option<i64>, MergeError> {
        loop {
            let Some(group) = self.segment.index().groups.get(self.group) else { return Ok(None) };
            if self.row == self.run_end {
                let Some(run) = group.runs.get(self.run) else {
                    (self.group, self.run, self.row, self.run_end, self.page) =
                        (self.group + 1, 0, 0, 0, None);
                    continue;
                };
                if run.stream != stream {
                    return Ok(None);
                }
                self.run_end += run.rows as usize;
                self.run += 1;
            }
            if self.page.is_none() {
                let page = self.segment.read(group, LogColumns::ALL);
                self.page = Some(page.map_err(|error| MergeError::Input(self.number, self.group, error))?);
            }
            return Ok(self.page.as_ref().map(|page| page.timestamps_ns[self.row]));
        }
    }
}

/// Which rows of a stream are left out.
pub(super) struct Rules<'a> {
    /// Those that are older are past their time.
    pub oldest_ns: i64,
    /// Those these requests want gone.
    pub gone: Vec<&'a Tombstone>,
}

/// Writes the rows of all objects. Returns how many were left out because they are past their time.
pub(super) fn merge<'a, S: Sink>(
    segments: &[Arc<Segment>],
    writer: &mut SegmentWriter<S>,
    rules: &dyn Fn(&Labels) -> Rules<'a>,
    is_stopping: &dyn Fn() -> bool,
) -> Result<u64, MergeError> {
    let mut streams: BTreeMap<&Labels, Vec<(usize, u32)>> = BTreeMap::new();
    for (i, segment) in segments.iter().enumerate() {
        for (number, labels) in segment.index().streams.iter().enumerate() {
            streams.entry(labels).or_default().push((i, number as u32));
        }
    }
    let mut readers: Vec<Reader> =
        segments.iter().enumerate().map(|(i, segment)| Reader::new(i, segment.clone())).collect();
    let mut dropped = 0;
    for (labels, places) in streams {
        writer.begin_stream(labels);
        let Rules { oldest_ns, gone } = rules(labels);
        let mut heap = BinaryHeap::new();
        for (i, number) in places {
            if let Some(time) = readers[i].next_of(number)? {
                heap.push(Reverse((time, i, number)));
            }
        }
        while let Some(Reverse((time, i, number))) = heap.pop() {
            if is_stopping() {
                return Err(MergeError::Stopped);
            }
            // Up to the next row of another object, rows go on without asking.
            let until = heap.peek().map_or((i64::MAX, usize::MAX), |Reverse((time, i, _))| (*time, *i));
            let mut next = Some(time);
            while let Some(time) = next.filter(|&time| (time, i) <= until) {
                if time < oldest_ns {
                    dropped += 1;
                } else if !readers[i].is_gone(time, &gone) {
                    push(&readers[i], time, writer).map_err(MergeError::Sink)?;
                }
                readers[i].row += 1;
                next = readers[i].next_of(number)?;
            }
            if let Some(time) = next {
                heap.push(Reverse((time, i, number)));
            }
        }
    }
    Ok(dropped)
}

fn push<S: Sink>(reader: &Reader, time: i64, writer: &mut SegmentWriter<S>) -> Result<(), BlobError> {
    let Some(page) = &reader.page else { return Ok(()) };
    let row = reader.row;
    let metadata = page.metadata.row(row).map(|(name, value)| (&**name, value));
    writer.push(time, page.lines.get(row), metadata).map(drop)
}
