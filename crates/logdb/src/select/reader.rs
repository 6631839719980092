//! Page groups: of objects as they are, of memory put together to a useful size.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::context::QueryContext;
use model::logs::{ByteColumn, LogColumns, Metadata, MetadataBuilder, Page, PageGroup, PageReader};
use model::source::SourceError;

use super::{MEMORY_GROUP_BYTES, ObjectName, Unit, UnitData};
use crate::cache::DamagedGroups;
use crate::manifest::object_key;
use crate::memtable::Rows;
use crate::segment::Segment;
use crate::segment::reader::SegmentError;

/// The page groups of some units.
pub(super) fn groups_of(units: Vec<Unit>, damaged: &Arc<DamagedGroups>) -> Vec<PageGroup> {
    let mut groups = Vec::new();
    let mut memory = MemoryGroup::default();
    for unit in units {
        match unit.data {
            UnitData::Group { segment, group, object } => {
                let runs = unit.runs.iter().map(|run| run.to_page_run(0)).collect();
                let damaged = damaged.clone();
                groups.push(PageGroup {
                    runs,
                    reader: Arc::new(SegmentReader { segment, group, object, damaged }),
                });
            }
            UnitData::Rows(rows) => {
                memory.add(&rows, &unit.runs);
                if memory.bytes >= MEMORY_GROUP_BYTES {
                    groups.push(std::mem::take(&mut memory).finish());
                }
            }
        }
    }
    if !memory.runs.is_empty() {
        groups.push(memory.finish());
    }
    groups
}

#[derive(Default)]
struct MemoryGroup {
    runs: Vec<model::logs::PageRun>,
    parts: Vec<(Arc<Rows>, Range<usize>)>,
    rows: usize,
    bytes: usize,
}

impl MemoryGroup {
    fn add(&mut self, rows: &Arc<Rows>, runs: &[super::UnitRun]) {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return };
        let part = first.rows.start..last.rows.end;
        for run in runs {
            let mut page_run = run.to_page_run(self.rows);
            page_run.rows = page_run.rows.start - part.start..page_run.rows.end - part.start;
            self.bytes += run.line_bytes as usize + run.rows.len() * 20;
            self.runs.push(page_run);
        }
        self.rows += part.len();
        self.parts.push((rows.clone(), part));
    }

    fn finish(self) -> PageGroup {
        PageGroup { runs: self.runs, reader: Arc::new(MemoryReader { parts: self.parts }) }
    }
}

struct SegmentReader {
    segment: Arc<Segment>,
    group: usize,
    object: Option<ObjectName>,
    damaged: Arc<DamagedGroups>,
}

impl PageReader for SegmentReader {
    fn read(&self, columns: LogColumns, ctx: &QueryContext) -> Result<Page, SourceError> {
        let group = &self.segment.index().groups[self.group];
        let reservation = ctx.reserve(self.segment.memory_of(group, columns))?;
        let mut page = self.segment.read(group, columns).map_err(|error| self.failed(&error))?;
        page.reservation = Some(reservation);
        Ok(page)
    }
}

impl SegmentReader {
    fn failed(&self, error: &SegmentError) -> SourceError {
        let Some(object) = &self.object else {
            return SourceError::Storage(format!("a log object in memory: {error}"));
        };
        let key = object_key(&object.tenant, object.day, object.id);
        // An object that is gone is not damaged in one place.
        if !error.is_damage() || matches!(error, SegmentError::Blob(_)) {
            return SourceError::Storage(format!("log object {key}: {error}"));
        }
        self.damaged.note(object.id, self.group, &key, &error.to_string());
        SourceError::Corruption(left_out(&key, self.group, &error.to_string()))
    }
}

/// What a query is told of a page group that is damaged.
pub(super) fn left_out(key: &str, group: usize, reason: &str) -> String {
    format!("page group {group} of log object {key} is damaged and left out: {reason}")
}

struct MemoryReader {
    parts: Vec<(Arc<Rows>, Range<usize>)>,
}

impl PageReader for MemoryReader {
    fn read(&self, columns: LogColumns, ctx: &QueryContext) -> Result<Page, SourceError> {
        let parts = || self.parts.iter().map(|(rows, part)| (&**rows, part.clone()));
        let rows: usize = parts().map(|(_, part)| part.len()).sum();
        let mut bytes = 0;
        if columns.timestamps {
            bytes += rows * 8;
        }
        if columns.lines {
            bytes += rows * 4
                + parts().map(|(rows, part)| rows.line_bytes(part.start, part.end)).sum::<u64>() as usize;
        }
        if columns.metadata {
            let metadata = |(rows, part): (&Rows, Range<usize>)| rows.metadata_bytes(part.start, part.end);
            bytes += rows * 16 + parts().map(metadata).sum::<u64>() as usize;
        }
        let reservation = Some(ctx.reserve(bytes)?);
        let mut page = Page { reservation, ..Page::default() };
        if columns.timestamps {
            page.timestamps_ns.reserve_exact(rows);
            parts().for_each(|(rows, part)| page.timestamps_ns.extend_from_slice(&rows.timestamps()[part]));
        }
        if columns.lines {
            let mut lines = Strings::default();
            parts().for_each(|(rows, part)| part.for_each(|row| lines.push(rows.line(row))));
            page.lines = lines.finish();
        }
        if columns.metadata {
            page.metadata = metadata_of(parts(), rows);
        }
        Ok(page)
    }
}

struct Strings {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl Strings {
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.offsets.push(self.bytes.len() as u32);
    }

    fn finish(self) -> ByteColumn {
        ByteColumn { bytes: Bytes::from(self.bytes), offsets: self.offsets }
    }
}

fn metadata_of<'a>(parts: impl Iterator<Item = (&'a Rows, Range<usize>)>, count: usize) -> Metadata {
    let (mut builder, mut bytes) = (MetadataBuilder::with_capacity(count, count), Vec::new());
    for (rows, row) in parts.flat_map(|(rows, part)| part.map(move |row| (rows, row))) {
        for (name, value) in rows.metadata_of(row) {
            let begin = bytes.len() as u32;
            bytes.extend_from_slice(value);
            let name = builder.name(name);
            builder.push(name, begin..bytes.len() as u32);
        }
        builder.end_row();
    }
    builder.finish(bytes.into()).unwrap_or_default()
}
