//! A log store in memory: every stream a sorted list, every read a snapshot. Simple and correct, not fast.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::logs::{
    ByteColumn, LogAppendError, LogAppender, LogBatch, LogColumns, LogEntry, LogRange, LogRequest, LogSource,
    Metadata, MetadataBuilder, Page, PageGroup, PageReader, PageRun, StreamVolume,
};
use model::{Labels, Matcher, QueryContext, SourceError, TenantId};
use parking_lot::RwLock;

/// Rows of one page group.
const GROUP_ROWS: usize = 512;

/// The store. Clones share the data. It knows one tenant.
#[derive(Debug, Clone, Default)]
pub struct MemoryLogs {
    streams: Arc<RwLock<BTreeMap<Labels, Vec<LogEntry>>>>,
}

impl LogAppender for MemoryLogs {
    fn append(&self, _tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        let mut streams = self.streams.write();
        for batch in batches {
            let entries = streams.entry(batch.stream).or_default();
            for entry in batch.entries {
                let same_time = |other: &&LogEntry| other.timestamp_ns == entry.timestamp_ns;
                let at = entries.partition_point(|other| other.timestamp_ns <= entry.timestamp_ns);
                // What is sent again is not stored again.
                if !entries[..at].iter().rev().take_while(same_time).any(|other| other.line == entry.line) {
                    entries.insert(at, entry);
                }
            }
        }
        Ok(())
    }
}

fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get_or_empty(&matcher.name)))
}

impl MemoryLogs {
    fn inside(&self, range: LogRange, matchers: &[Matcher]) -> Vec<(Labels, Vec<LogEntry>)> {
        let streams = self.streams.read();
        let chosen =
            streams.iter().filter(|(labels, _)| matches(labels, matchers)).map(|(labels, entries)| {
                let entries =
                    entries.iter().filter(|entry| range.contains(entry.timestamp_ns)).cloned().collect();
                (labels.clone(), entries)
            });
        chosen.filter(|(_, entries): &(Labels, Vec<LogEntry>)| !entries.is_empty()).collect()
    }
}

impl LogSource for MemoryLogs {
    fn select(&self, request: &LogRequest, _ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError> {
        let mut groups = Vec::new();
        for (labels, entries) in self.inside(request.range, &request.matchers) {
            let stream = Arc::new(labels);
            for entries in entries.chunks(GROUP_ROWS) {
                let (first, last) = (&entries[0], &entries[entries.len() - 1]);
                let run = PageRun {
                    stream: Arc::clone(&stream),
                    rows: 0..entries.len(),
                    first_ns: first.timestamp_ns,
                    last_ns: last.timestamp_ns,
                    line_bytes: entries.iter().map(|entry| entry.line.len() as u64).sum(),
                };
                groups.push(PageGroup { runs: vec![run], reader: Arc::new(Rows(entries.to_vec())) });
            }
        }
        Ok(groups)
    }

    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        _ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError> {
        let everything = [Vec::new()];
        let sets = if matcher_sets.is_empty() { &everything[..] } else { matcher_sets };
        let found = sets.iter().flat_map(|matchers| self.inside(range, matchers));
        let unique: BTreeSet<Labels> = found.map(|(labels, _)| labels).collect();
        Ok(unique.into_iter().collect())
    }

    fn volumes(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        _ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SourceError> {
        let size = |entry: &LogEntry| {
            let metadata: usize = entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            (entry.line.len() + metadata) as u64
        };
        let volumes = self.inside(range, matchers).into_iter().map(|(stream, entries)| StreamVolume {
            stream,
            chunks: 1,
            entries: entries.len() as u64,
            bytes: entries.iter().map(size).sum(),
        });
        Ok(volumes.collect())
    }
}

#[derive(Debug)]
struct Rows(Vec<LogEntry>);

impl PageReader for Rows {
    fn read(&self, columns: LogColumns, ctx: &QueryContext) -> Result<Page, SourceError> {
        let mut page = Page::default();
        if columns.timestamps {
            page.timestamps_ns = self.0.iter().map(|entry| entry.timestamp_ns).collect();
        }
        if columns.lines {
            page.lines = column(self.0.iter().map(|entry| &entry.line[..]));
        }
        if columns.metadata {
            page.metadata = metadata(&self.0);
        }
        page.reservation = Some(ctx.reserve(page.lines.bytes.len() + self.0.len() * 16)?);
        Ok(page)
    }
}

fn metadata(entries: &[LogEntry]) -> Metadata {
    let (mut builder, mut bytes) = (MetadataBuilder::default(), BytesMut::new());
    for entry in entries {
        for (name, value) in &entry.metadata {
            let begin = bytes.len() as u32;
            bytes.extend_from_slice(value.as_bytes());
            let name = builder.name(name);
            builder.push(name, begin..bytes.len() as u32);
        }
        builder.end_row();
    }
    builder.finish(bytes.freeze()).unwrap_or_default()
}

fn column<'a>(values: impl Iterator<Item = &'a [u8]>) -> ByteColumn {
    let (mut bytes, mut offsets) = (BytesMut::new(), vec![0]);
    for value in values {
        bytes.extend_from_slice(value);
        // Groups are small.
        offsets.push(bytes.len() as u32);
    }
    ByteColumn { bytes: Bytes::from(bytes), offsets }
}
