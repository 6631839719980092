//! Writing an object: rows go in by stream and time, pages come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use blob::{BlobError, Upload};
use bytes::Bytes;
use hashbrown::HashSet;
use model::labels::Labels;
use xxhash_rust::xxh3::xxh3_128;

use super::grams::{GramSet, value_filter, value_hash};
use super::index::{
    FIXED_PAGES, GroupEntry, KEY, LINE, PageEntry, Place, Run, SegmentIndex, TIMESTAMP, Trailer, VALUE,
};
use crate::parquet::{self, Chunk, Column, ColumnKind, Encoding, RowGroup, delta, levels};

/// How an object is written.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// Level of zstd.
    pub zstd_level: i32,
    /// A page group ends when it has this many bytes of lines and metadata.
    pub group_bytes: usize,
    /// A page group ends when it has this many rows.
    pub group_rows: usize,
    /// Page groups of one row group of Parquet.
    pub groups_per_row_group: usize,
    /// Size of the filter of substrings.
    pub bits_per_gram: f32,
    /// Names of metadata that get a column of their own.
    pub hot: Vec<Arc<str>>,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            zstd_level: 3,
            group_bytes: 2 << 20,
            group_rows: 1 << 16,
            groups_per_row_group: 16,
            bits_per_gram: 2.5,
            hot: Vec::new(),
        }
    }
}

/// Where an object is written to.
pub trait Sink {
    /// Adds bytes at the end.
    fn write(&mut self, data: Bytes) -> Result<(), BlobError>;
}

impl Sink for Vec<u8> {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.extend_from_slice(&data);
        Ok(())
    }
}

impl Sink for Box<dyn Upload> {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        (**self).write(data)
    }
}

/// Rows of one stream this far back or more are counted by themselves when a minute ends, so that counting by time
/// seldom has to look at timestamps.
const MIN_RUN_ROWS: u32 = 256;
const MINUTE_NS: i64 = 60_000_000_000;

/// Byte strings gathered for one page.
#[derive(Default)]
struct Strings {
    lengths: Vec<i64>,
    bytes: Vec<u8>,
}

impl Strings {
    fn push(&mut self, value: &[u8]) {
        self.lengths.push(value.len() as i64);
        self.bytes.extend_from_slice(value);
    }

    fn encode(&mut self, out: &mut Vec<u8>) {
        delta::encode(out, &self.lengths);
        out.extend_from_slice(&self.bytes);
        self.lengths.clear();
        self.bytes.clear();
    }
}

/// The page group that is being filled.
#[derive(Default)]
struct Group {
    timestamps: Vec<i64>,
    lines: Strings,
    hot: Vec<(Vec<bool>, Strings)>,
    /// For each level whether it goes on with the row of the one before, and whether there is an entry.
    goes_on: Vec<bool>,
    has_entry: Vec<bool>,
    keys: Strings,
    values: Strings,
    value_hashes: HashSet<u64>,
    runs: Vec<Run>,
    metadata_bytes: usize,
}

/// A column of the row group that is being filled.
#[derive(Default)]
struct Pages {
    bytes: Vec<u8>,
    raw_bytes: u64,
    values: u64,
}

/// Writes one object. Streams go in ascending order, the rows of each in order of time.
pub struct SegmentWriter<S> {
    options: SegmentOptions,
    sink: S,
    written: u64,
    compressor: zstd::bulk::Compressor<'static>,
    grams: GramSet,
    group: Group,
    index: SegmentIndex,
    names: BTreeMap<Arc<str>, u64>,
    /// Columns of the row group: stream, then those of the index.
    pages: Vec<Pages>,
    /// First page group of the row group that is being filled.
    first_group: usize,
    row_groups: Vec<RowGroup>,
    filters: Vec<u8>,
    lines_are_text: bool,
    /// Time of the last row of the stream, and the lines of that time.
    last_ns: Option<i64>,
    lines_at_last: HashSet<u128>,
    scratch: Vec<u8>,
}

/// What was written.
#[derive(Debug)]
pub struct Written<S> {
    /// Where to.
    pub sink: S,
    /// Length of the object.
    pub size_bytes: u64,
    /// Its index.
    pub index: SegmentIndex,
}

impl<S: Sink> SegmentWriter<S> {
    /// Begins an object.
    pub fn new(options: SegmentOptions, mut sink: S) -> Result<Self, BlobError> {
        let failed = |error: std::io::Error| BlobError::failed("zstd", error);
        let mut compressor = zstd::bulk::Compressor::new(options.zstd_level).map_err(failed)?;
        compressor.include_checksum(false).map_err(failed)?;
        sink.write(Bytes::from_static(parquet::MAGIC))?;
        let columns = 1 + FIXED_PAGES + options.hot.len();
        let index = SegmentIndex { hot: options.hot.clone(), ..Default::default() };
        let mut writer = Self {
            sink,
            written: parquet::MAGIC.len() as u64,
            compressor,
            grams: GramSet::default(),
            group: Group::default(),
            index,
            names: BTreeMap::new(),
            pages: Vec::new(),
            first_group: 0,
            row_groups: Vec::new(),
            filters: Vec::new(),
            lines_are_text: true,
            last_ns: None,
            lines_at_last: HashSet::new(),
            scratch: Vec::new(),
            options,
        };
        writer.pages.resize_with(columns, Pages::default);
        writer.group.hot.resize_with(writer.options.hot.len(), Default::default);
        Ok(writer)
    }

    /// Bytes written so far; what is being gathered is not among them.
    pub fn written_bytes(&self) -> u64 {
        self.written + self.pages.iter().map(|pages| pages.bytes.len() as u64).sum::<u64>()
    }

    /// Begins the rows of a stream, which sorts after all that were there.
    pub fn begin_stream(&mut self, labels: &Labels) {
        debug_assert!(self.index.streams.last().is_none_or(|last| last < labels), "streams in order");
        self.index.streams.push(labels.clone());
        self.last_ns = None;
    }

    /// Adds a row of the stream, not older than the one before. One that is there already is left out, which is told.
    pub fn push<'a>(
        &mut self,
        timestamp_ns: i64,
        line: &[u8],
        metadata: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<bool, BlobError> {
        if self.last_ns != Some(timestamp_ns) {
            debug_assert!(self.last_ns.is_none_or(|last| last < timestamp_ns), "rows in order of time");
            self.last_ns = Some(timestamp_ns);
            self.lines_at_last.clear();
        }
        if !self.lines_at_last.insert(xxh3_128(line)) {
            return Ok(false);
        }
        self.lines_are_text = self.lines_are_text && std::str::from_utf8(line).is_ok();
        let metadata_bytes = self.push_metadata(metadata);
        self.grams.add_line(line);
        self.count_row(timestamp_ns, line.len(), metadata_bytes);
        let group = &mut self.group;
        group.timestamps.push(timestamp_ns);
        group.lines.push(line);
        group.metadata_bytes += metadata_bytes;
        let bytes = group.lines.bytes.len() + group.metadata_bytes;
        if bytes >= self.options.group_bytes || group.timestamps.len() >= self.options.group_rows {
            self.finish_group()?;
        }
        Ok(true)
    }

    fn count_row(&mut self, timestamp_ns: i64, line_bytes: usize, metadata_bytes: usize) {
        let stream = (self.index.streams.len() - 1) as u32;
        let runs = &mut self.group.runs;
        let minute = |ns: i64| ns.div_euclid(MINUTE_NS);
        let goes_on = runs.last().is_some_and(|run| {
            run.stream == stream && (run.rows < MIN_RUN_ROWS || minute(run.last_ns) == minute(timestamp_ns))
        });
        if !goes_on {
            let first_row = self.group.timestamps.len() as u32;
            let (first_ns, last_ns) = (timestamp_ns, timestamp_ns);
            runs.push(Run {
                stream,
                first_row,
                rows: 0,
                first_ns,
                last_ns,
                line_bytes: 0,
                metadata_bytes: 0,
            });
        }
        if let Some(run) = runs.last_mut() {
            run.rows += 1;
            run.last_ns = timestamp_ns;
            run.line_bytes += line_bytes as u64;
            run.metadata_bytes += metadata_bytes as u64;
        }
    }

    fn push_metadata<'a>(&mut self, metadata: impl Iterator<Item = (&'a str, &'a [u8])>) -> usize {
        let group = &mut self.group;
        let row = group.timestamps.len();
        let (mut bytes, mut rest) = (0, 0);
        for (name, value) in metadata {
            bytes += name.len() + value.len();
            group.value_hashes.insert(value_hash(name, value));
            match self.names.get_mut(name) {
                Some(rows) => *rows += 1,
                None => drop(self.names.insert(name.into(), 1)),
            }
            if let Some(column) = self.options.hot.iter().position(|hot| **hot == *name) {
                let (present, values) = &mut group.hot[column];
                present.push(true);
                values.push(value);
            } else {
                group.goes_on.push(rest > 0);
                group.has_entry.push(true);
                group.keys.push(name.as_bytes());
                group.values.push(value);
                rest += 1;
            }
        }
        if rest == 0 {
            group.goes_on.push(false);
            group.has_entry.push(false);
        }
        for (present, _) in &mut group.hot {
            present.resize(row + 1, false);
        }
        bytes
    }

    fn finish_group(&mut self) -> Result<(), BlobError> {
        if self.group.timestamps.is_empty() {
            return Ok(());
        }
        let mut group = std::mem::take(&mut self.group);
        let (rows, levels) = (group.timestamps.len(), group.has_entry.len());
        let mut entry = GroupEntry { rows: rows as u32, levels: levels as u32, ..Default::default() };
        entry.runs = std::mem::take(&mut group.runs);
        self.page(&mut entry, TIMESTAMP, Encoding::DeltaBinaryPacked, rows, |out| {
            delta::encode(out, &group.timestamps);
        })?;
        let strings = Encoding::DeltaLengthByteArray;
        self.page(&mut entry, LINE, strings, rows, |out| group.lines.encode(out))?;
        for (column, values) in [(KEY, &mut group.keys), (VALUE, &mut group.values)] {
            self.page(&mut entry, column, strings, levels, |out| {
                levels::encode_bits(out, &group.goes_on);
                levels::encode_bits(out, &group.has_entry);
                values.encode(out);
            })?;
        }
        for (i, (present, values)) in group.hot.iter_mut().enumerate() {
            self.page(&mut entry, FIXED_PAGES + i, strings, rows, |out| {
                levels::encode_bits(out, present);
                values.encode(out);
            })?;
            present.clear();
        }
        entry.grams =
            self.filter(|this| this.grams.take_filter(this.options.bits_per_gram, &mut this.filters));
        entry.values =
            self.filter(|this| value_filter(group.value_hashes.iter().copied(), &mut this.filters));
        self.index.groups.push(entry);
        group.timestamps.clear();
        group.goes_on.clear();
        group.has_entry.clear();
        group.value_hashes.clear();
        group.metadata_bytes = 0;
        self.group = group;
        if self.index.groups.len() - self.first_group >= self.options.groups_per_row_group {
            self.finish_row_group()?;
        }
        Ok(())
    }

    /// Adds a page of an index column to the row group. Its place is relative to the column until that is written.
    fn page(
        &mut self,
        entry: &mut GroupEntry,
        column: usize,
        encoding: Encoding,
        values: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BlobError> {
        self.scratch.clear();
        encode(&mut self.scratch);
        let stored = compress(&mut self.compressor, &self.scratch)?;
        let raw_bytes = self.scratch.len();
        let at = self.pages[1 + column].add(&stored, raw_bytes, values, |out| {
            parquet::data_page_header(out, encoding, values, raw_bytes, stored.len());
        });
        debug_assert_eq!(entry.pages.len(), column);
        let place = Place { at, bytes: stored.len() as u32, crc: crc32c::crc32c(&stored) };
        entry.pages.push(PageEntry { place, raw_bytes: raw_bytes as u32 });
        Ok(())
    }

    fn filter(&mut self, add: impl FnOnce(&mut Self)) -> Place {
        let at = self.filters.len();
        add(self);
        let filter = &self.filters[at..];
        Place { at: at as u64, bytes: filter.len() as u32, crc: crc32c::crc32c(filter) }
    }

    fn finish_row_group(&mut self) -> Result<(), BlobError> {
        if self.index.groups.len() == self.first_group {
            return Ok(());
        }
        let dictionary_bytes = self.stream_pages()?;
        let first_group = std::mem::replace(&mut self.first_group, self.index.groups.len());
        let groups = &mut self.index.groups[first_group..];
        let mut row_group =
            RowGroup { rows: groups.iter().map(|group| u64::from(group.rows)).sum(), chunks: Vec::new() };
        for (column, pages) in self.pages.iter_mut().enumerate() {
            let begins_at = self.written;
            let mut chunk = Chunk {
                values: pages.values,
                raw_bytes: pages.raw_bytes,
                stored_bytes: pages.bytes.len() as u64,
                data_at: begins_at,
                ..Default::default()
            };
            if column == 0 {
                (chunk.dictionary_at, chunk.data_at) = (Some(begins_at), begins_at + dictionary_bytes);
            } else {
                groups.iter_mut().for_each(|group| group.pages[column - 1].place.at += begins_at);
            }
            if column == 1 + TIMESTAMP {
                let runs = || groups.iter().flat_map(|group| &group.runs);
                let bounds = (runs().map(|run| run.first_ns).min(), runs().map(|run| run.last_ns).max());
                chunk.bounds = bounds.0.zip(bounds.1);
            }
            row_group.chunks.push(chunk);
            let pages = std::mem::take(pages);
            self.written += pages.bytes.len() as u64;
            self.sink.write(pages.bytes.into())?;
        }
        self.row_groups.push(row_group);
        Ok(())
    }

    /// The pages of the stream column: a dictionary of the streams of the row group as JSON, then a page for each
    /// page group. Returns the length of the dictionary.
    fn stream_pages(&mut self) -> Result<u64, BlobError> {
        let groups = &self.index.groups[self.first_group..];
        let mut numbers: Vec<u32> = groups.iter().flat_map(|g| &g.runs).map(|run| run.stream).collect();
        numbers.dedup();
        let mut raw = Vec::new();
        for &number in &numbers {
            let json = json_of(&self.index.streams[number as usize]);
            raw.extend_from_slice(&(json.len() as u32).to_le_bytes());
            raw.extend_from_slice(json.as_bytes());
        }
        let stored = compress(&mut self.compressor, &raw)?;
        let pages = &mut self.pages[0];
        pages.add(&stored, raw.len(), 0, |out| {
            parquet::dictionary_page_header(out, numbers.len(), raw.len(), stored.len());
        });
        let dictionary_bytes = pages.bytes.len() as u64;
        for group in groups {
            raw.clear();
            let number = |run: &Run| numbers.partition_point(|&number| number < run.stream) as u32;
            let runs = group.runs.iter().map(|run| (number(run), run.rows as usize));
            levels::encode_runs(&mut raw, numbers.len(), runs);
            let (rows, stored) = (group.rows as usize, compress(&mut self.compressor, &raw)?);
            pages.add(&stored, raw.len(), rows, |out| {
                parquet::data_page_header(out, Encoding::Dictionary, rows, raw.len(), stored.len());
            });
        }
        Ok(dictionary_bytes)
    }

    /// Writes what is left, the filters, the index and the footer. The sink is not finished.
    pub fn finish(mut self) -> Result<Written<S>, BlobError> {
        self.finish_group()?;
        self.finish_row_group()?;
        let filters_at = self.written;
        for group in &mut self.index.groups {
            group.grams.at += filters_at;
            group.values.at += filters_at;
        }
        self.index.names = std::mem::take(&mut self.names).into_iter().collect();
        let filters = std::mem::take(&mut self.filters);
        self.emit(filters)?;
        let raw = self.index.encode();
        let stored = compress(&mut self.compressor, &raw)?;
        let place = Place { at: self.written, bytes: stored.len() as u32, crc: crc32c::crc32c(&stored) };
        let trailer = Trailer { place, raw_bytes: raw.len() as u32 };
        self.emit(stored)?;
        let mut tail = trailer.encode().to_vec();
        let notes = [
            ("bartizan.logs.version", "1".to_owned()),
            ("bartizan.logs.filters", format!("{}:{}", filters_at, place.at - filters_at)),
            ("bartizan.logs.index", format!("{}:{}", place.at, place.bytes)),
        ];
        parquet::footer(&mut tail, &self.columns(), &self.row_groups, &notes);
        self.emit(tail)?;
        Ok(Written { sink: self.sink, size_bytes: self.written, index: self.index })
    }

    fn emit(&mut self, bytes: Vec<u8>) -> Result<(), BlobError> {
        self.written += bytes.len() as u64;
        self.sink.write(bytes.into())
    }

    fn columns(&self) -> Vec<Column> {
        let column = |path: &[&str], kind, is_optional, encoding| Column {
            path: path.iter().map(|&part| part.to_owned()).collect(),
            kind,
            is_optional,
            encoding,
        };
        let strings = Encoding::DeltaLengthByteArray;
        let line = if self.lines_are_text { ColumnKind::Text } else { ColumnKind::Binary };
        let mut columns = vec![
            column(&["stream"], ColumnKind::Text, false, Encoding::Dictionary),
            column(&["timestamp"], ColumnKind::TimestampNanos, false, Encoding::DeltaBinaryPacked),
            column(&["line"], line, false, strings),
            column(&["metadata", "key_value", "key"], ColumnKind::Text, false, strings),
            column(&["metadata", "key_value", "value"], ColumnKind::Text, false, strings),
        ];
        let hot = self.options.hot.iter();
        columns
            .extend(hot.map(|name| column(&[&format!("metadata.{name}")], ColumnKind::Text, true, strings)));
        columns
    }
}

impl Pages {
    /// Adds a page; returns where its content begins.
    fn add(
        &mut self,
        stored: &[u8],
        raw_bytes: usize,
        values: usize,
        header: impl FnOnce(&mut Vec<u8>),
    ) -> u64 {
        let begins_at = self.bytes.len();
        header(&mut self.bytes);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(stored);
        self.raw_bytes += (at - begins_at + raw_bytes) as u64;
        self.values += values as u64;
        at as u64
    }
}

fn compress(compressor: &mut zstd::bulk::Compressor<'_>, raw: &[u8]) -> Result<Vec<u8>, BlobError> {
    compressor.compress(raw).map_err(|error| BlobError::failed("zstd", error))
}

/// A label set as a JSON object.
fn json_of(labels: &Labels) -> String {
    let pairs: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    serde_json::Value::Object(pairs).to_string()
}
