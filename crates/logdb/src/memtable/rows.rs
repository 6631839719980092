//! Rows of one stream in order of time, as columns.

use std::ops::Range;
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

    /// Bytes of what it holds.
    pub fn content_bytes(&self) -> usize {
        self.timestamps.len() * 20 + self.lines.len() + self.metadata.len()
    }

    /// Memory it takes, with what is kept free for rows to come.
    pub fn memory_bytes(&self) -> usize {
        let rows = self.timestamps.capacity() * 8
            + self.line_ends.capacity() * 4
            + self.metadata_places.capacity() * 8;
        rows + self.lines.capacity() + self.metadata.capacity()
    }

    /// Gives back memory no row will need.
    pub fn shrink(&mut self) {
        self.timestamps.shrink_to_fit();
        self.line_ends.shrink_to_fit();
        self.metadata_places.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.metadata.shrink_to_fit();
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
        Self::merge_between(runs, i64::MIN, i64::MAX)
    }

    /// Where rows from one time up to another, with both, begin and end.
    pub fn between(&self, first_ns: i64, last_ns: i64) -> Range<usize> {
        let begin = self.timestamps.partition_point(|&time| time < first_ns);
        begin..begin + self.timestamps[begin..].partition_point(|&time| time <= last_ns)
    }

    /// Like [`Self::merge`], only the rows from one time up to another, with both.
    pub fn merge_between(runs: &[Arc<Rows>], first_ns: i64, last_ns: i64) -> Rows {
        let mut parts: Vec<(&Rows, Range<usize>)> =
            runs.iter().map(|run| (&**run, run.between(first_ns, last_ns))).collect();
        parts.retain(|(_, rows)| !rows.is_empty());
        let mut merged = Rows::default();
        merged.timestamps.reserve_exact(parts.iter().map(|(_, rows)| rows.len()).sum());
        let line_bytes = |(run, rows): &(&Rows, Range<usize>)| run.line_bytes(rows.start, rows.end) as usize;
        merged.lines.reserve_exact(parts.iter().map(line_bytes).sum());
        let time = |(run, row): (&Rows, usize)| run.timestamps[row];
        let mut order: Vec<&(&Rows, Range<usize>)> = parts.iter().collect();
        order.sort_by_key(|(run, rows)| time((run, rows.start)));
        if order
            .windows(2)
            .all(|pair| time((pair[0].0, pair[0].1.end - 1)) < time((pair[1].0, pair[1].1.start)))
        {
            for (run, rows) in order {
                rows.clone().for_each(|row| merged.push_row(run, row));
            }
            return merged;
        }
        let mut heap = std::collections::BinaryHeap::new();
        for (i, (run, rows)) in parts.iter().enumerate() {
            heap.push(std::cmp::Reverse((time((run, rows.start)), i, rows.start)));
        }
        while let Some(std::cmp::Reverse((_, i, row))) = heap.pop() {
            let (run, rows) = &parts[i];
            merged.push_row(run, row);
            if row + 1 < rows.end {
                heap.push(std::cmp::Reverse((run.timestamps[row + 1], i, row + 1)));
            }
        }
        merged
    }
}
