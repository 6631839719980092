//! Rows of one stream in order of time, as columns.

use std::sync::Arc;

use model::logs::LogEntry;

use crate::codec::{Input, put_bytes};

/// Rows of one stream in order of time.
#[derive(Debug, Default)]
pub struct Rows {
    timestamps: Vec<i64>,
    /// Where each line ends.
    line_ends: Vec<u32>,
    lines: Vec<u8>,
    /// Where the metadata of each row is. Rows that follow each other and have the same share it.
    metadata_places: Vec<(u32, u32)>,
    /// Names and values, each after its length.
    metadata: Vec<u8>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Times of the rows.
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// Time of the first row.
    pub fn first_ns(&self) -> Option<i64> {
        self.timestamps.first().copied()
    }

    /// Time of the last row.
    pub fn last_ns(&self) -> Option<i64> {
        self.timestamps.last().copied()
    }

    /// Where a line is among the bytes of all.
    fn line_range(&self, row: usize) -> (usize, usize) {
        let begin = row.checked_sub(1).map_or(0, |before| self.line_ends[before] as usize);
        (begin, self.line_ends[row] as usize)
    }

    /// A line.
    pub fn line(&self, row: usize) -> &[u8] {
        let (begin, end) = self.line_range(row);
        &self.lines[begin..end]
    }

    /// Bytes of the lines of rows `begin` to `end`.
    pub fn line_bytes(&self, begin: usize, end: usize) -> u64 {
        if begin < end { (self.line_range(end - 1).1 - self.line_range(begin).0) as u64 } else { 0 }
    }

    /// Bytes of names and values of metadata of rows `begin` to `end`.
    pub fn metadata_bytes(&self, begin: usize, end: usize) -> u64 {
        let row_bytes = |row| self.metadata_of(row).map(|(n, v)| (n.len() + v.len()) as u64).sum::<u64>();
        (begin..end).map(row_bytes).sum()
    }

    /// The metadata of a row, in the order of names.
    pub fn metadata_of(&self, row: usize) -> impl Iterator<Item = (&str, &[u8])> {
        let (begin, end) = self.metadata_places[row];
        let mut input = Input::new(&self.metadata[begin as usize..end as usize]);
        // What was put in is read back: an end is the end.
        std::iter::from_fn(move || Some((input.str().ok()?, input.bytes().ok()?)))
    }

    /// Memory it takes.
    pub fn memory_bytes(&self) -> usize {
        self.timestamps.len() * 20 + self.lines.len() + self.metadata.len()
    }

    /// Whether there is a row of that time and line.
    pub fn has(&self, timestamp_ns: i64, line: &[u8]) -> bool {
        if self.last_ns().is_none_or(|last| last < timestamp_ns) {
            return false;
        }
        let begin = self.timestamps.partition_point(|&time| time < timestamp_ns);
        let end = begin + self.timestamps[begin..].partition_point(|&time| time == timestamp_ns);
        (begin..end).any(|row| self.line(row) == line)
    }

    /// Adds a row at the end; its time is not before that of the last.
    pub fn push_entry(&mut self, entry: &LogEntry) {
        debug_assert!(self.last_ns().is_none_or(|last| last <= entry.timestamp_ns), "rows in order of time");
        self.timestamps.push(entry.timestamp_ns);
        self.lines.extend_from_slice(&entry.line);
        self.line_ends.push(self.lines.len() as u32);
        let begin = self.metadata.len();
        for (name, value) in &entry.metadata {
            put_bytes(&mut self.metadata, name.as_bytes());
            put_bytes(&mut self.metadata, value.as_bytes());
        }
        self.share_metadata(begin);
    }

    /// Notes that the metadata of the row just added begins at `begin`, unless the row before has the same.
    fn share_metadata(&mut self, begin: usize) {
        let place = match self.metadata_places.last() {
            Some(&(b, e)) if self.metadata[b as usize..e as usize] == self.metadata[begin..] => {
                self.metadata.truncate(begin);
                (b, e)
            }
            _ => (begin as u32, self.metadata.len() as u32),
        };
        self.metadata_places.push(place);
    }

    fn push_row(&mut self, from: &Rows, row: usize) {
        self.timestamps.push(from.timestamps[row]);
        self.lines.extend_from_slice(from.line(row));
        self.line_ends.push(self.lines.len() as u32);
        let (begin, end) = from.metadata_places[row];
        let at = self.metadata.len();
        self.metadata.extend_from_slice(&from.metadata[begin as usize..end as usize]);
        self.share_metadata(at);
    }

    /// The rows of all runs in order of time; of equal times those of the earlier run first.
    pub fn merge(runs: &[Arc<Rows>]) -> Rows {
        let mut merged = Rows::default();
        merged.timestamps.reserve(runs.iter().map(|run| run.len()).sum());
        merged.lines.reserve(runs.iter().map(|run| run.lines.len()).sum());
        let mut order: Vec<&Arc<Rows>> = runs.iter().filter(|run| !run.is_empty()).collect();
        order.sort_by_key(|run| run.first_ns());
        if order.windows(2).all(|pair| pair[0].last_ns() < pair[1].first_ns()) {
            for run in order {
                (0..run.len()).for_each(|row| merged.push_row(run, row));
            }
            return merged;
        }
        let mut heap = std::collections::BinaryHeap::new();
        for (i, run) in runs.iter().enumerate() {
            if let Some(first) = run.first_ns() {
                heap.push(std::cmp::Reverse((first, i, 0)));
            }
        }
        while let Some(std::cmp::Reverse((_, i, row))) = heap.pop() {
            merged.push_row(&runs[i], row);
            if let Some(&next) = runs[i].timestamps.get(row + 1) {
                heap.push(std::cmp::Reverse((next, i, row + 1)));
            }
        }
        merged
    }
}
