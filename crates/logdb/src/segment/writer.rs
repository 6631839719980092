//! Writing an object: rows go in by stream and time, pages come out.

use std::sync::Arc;

use blob::{BlobError, Upload};
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use model::labels::Labels;
use xxhash_rust::xxh3::xxh3_128;

use super::grams::{GramSet, Scheme, value_hashes};
use super::group::{Group, integers};
use super::index::{
    FIXED_PAGES, GroupEntry, KEY, LINE, MAX_INDEX_BYTES, MAX_NAMES, MICROS, NANOS, NOTHING, PageEntry,
    PageKind, Place, RowGroupEntry, Run, SegmentIndex, TIMESTAMP, TimeUnit, Trailer, VALUE,
};
use super::sliced::BandWriter;
use super::squeeze::Squeezer;
use crate::parquet::{self, Chunk, Column, ColumnKind, Encoding, RowGroup, levels};

/// How an object is written.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// Level of zstd.
    pub zstd_level: i32,
    /// A page group ends when its lines have this many bytes, or its metadata.
    pub group_bytes: usize,
    /// A page group ends when it has this many rows.
    pub group_rows: usize,
    /// Page groups of one row group of Parquet.
    pub groups_per_row_group: usize,
    /// Size of the filter of substrings.
    pub bits_per_gram: f32,
    /// What the column of timestamps counts.
    pub unit: TimeUnit,
    /// Names of metadata that get a column of their own.
    pub hot: Vec<Arc<str>>,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            zstd_level: 3,
            group_bytes: 4 << 20,
            group_rows: 1 << 16,
            groups_per_row_group: 8,
            bits_per_gram: 1.25,
            unit: TimeUnit::Millis,
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

/// A filter of substrings takes at most this share of what it saves reading, in parts of it: lines in which nothing repeats
/// would have filters as large as themselves.
const LEAST_PAGE_PER_FILTER: usize = 14;
/// The same where filters have coarse grams: nothing repeats there, so that reading costs most and filters least.
const LEAST_WILD_PAGE_PER_FILTER: usize = 10;
/// Of coarse grams a string has a fourth of what it has of others: each must tell more.
const COARSE_SHARE: f32 = 1.3;
/// A filter of so many bits is never too large: short pages that compress well have many grams for what is stored of them.
const MIN_FILTER_BITS: usize = 2048;
/// More different grams than this in one page group are those of text in which any five bytes are found anywhere.
const MAX_FINE_GRAMS: usize = 800_000;
/// Such text has a different coarse gram for each few bytes.
const LINE_BYTES_PER_WILD_GRAM: usize = 6;
/// Bits for each value of metadata in filters.
const BITS_PER_VALUE: usize = 8;
/// Different names of metadata that are counted.
const MAX_COUNTED_NAMES: usize = 10 * MAX_NAMES;

/// A column of the row group that is being filled.
#[derive(Default)]
struct Pages {
    bytes: Vec<u8>,
    raw_bytes: u64,
    values: u64,
    encodings: Vec<Encoding>,
}

/// Writes one object. Streams go in ascending order, the rows of each in order of time.
pub struct SegmentWriter<S> {
    options: SegmentOptions,
    sink: S,
    written: u64,
    squeezer: Squeezer,
    grams: GramSet,
    group: Group,
    index: SegmentIndex,
    names: HashMap<Arc<str>, u64>,
    /// Columns of the row group: stream, then those of the index.
    pages: Vec<Pages>,
    /// First page group of the row group that is being filled.
    first_group: usize,
    row_groups: Vec<RowGroup>,
    line_filters: BandWriter,
    value_filters: BandWriter,
    /// Whether the last page group was taken apart coarsely.
    is_wild: bool,
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
        sink.write(Bytes::from_static(parquet::MAGIC))?;
        let mut writer = Self {
            sink,
            written: parquet::MAGIC.len() as u64,
            squeezer: Squeezer::new(options.zstd_level)?,
            grams: GramSet::default(),
            group: Group::default(),
            index: SegmentIndex { unit: options.unit, hot: options.hot.clone(), ..Default::default() },
            names: HashMap::new(),
            pages: Vec::new(),
            first_group: 0,
            row_groups: Vec::new(),
            line_filters: BandWriter::default(),
            value_filters: BandWriter::default(),
            is_wild: false,
            lines_are_text: true,
            last_ns: None,
            lines_at_last: HashSet::new(),
            scratch: Vec::new(),
            options,
        };
        writer.pages.resize_with(1 + FIXED_PAGES + writer.options.hot.len(), Pages::default);
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
        let (names, hot) = (&mut self.names, &self.options.hot);
        let metadata = metadata.map(|(name, value)| {
            if let Some(rows) = names.get_mut(name) {
                *rows += 1;
            } else if names.len() < MAX_COUNTED_NAMES {
                names.insert(name.into(), 1);
            }
            (name, value, hot.iter().position(|hot| **hot == *name))
        });
        let group = &mut self.group;
        let stream = (self.index.streams.len() - 1) as u32;
        group.begin_run(stream, timestamp_ns);
        let metadata_bytes = group.push(timestamp_ns, line, metadata);
        group.count_row(timestamp_ns, line.len(), metadata_bytes);
        let bytes = group.lines.bytes.len().max(group.metadata_bytes);
        if bytes >= self.options.group_bytes || group.timestamps.len() >= self.options.group_rows {
            self.finish_group()?;
        }
        Ok(true)
    }

    fn finish_group(&mut self) -> Result<(), BlobError> {
        if self.group.timestamps.is_empty() {
            return Ok(());
        }
        let mut group = std::mem::take(&mut self.group);
        let (rows, levels) = (group.timestamps.len(), group.has_entry.len());
        let row_group = self.index.row_groups.len() as u32;
        let mut entry =
            GroupEntry { row_group, rows: rows as u32, levels: levels as u32, ..Default::default() };
        entry.runs = std::mem::take(&mut group.runs);
        self.timestamp_pages(&mut entry, &group.timestamps)?;
        let lines = self.gather_grams(&group);
        self.text_page(&mut entry, LINE, rows, |squeezer, out| group.lines.encode(squeezer, out))?;
        self.line_filter(&entry, lines);
        for (column, values) in [(KEY, &mut group.keys), (VALUE, &mut group.values)] {
            let is_empty = values.len() == 0;
            self.text_page(&mut entry, column, levels, |squeezer, out| {
                levels::encode_bits(out, &group.goes_on);
                levels::encode_bits(out, &group.has_entry);
                values.encode(squeezer, out)
            })?;
            if is_empty {
                entry.pages[column] = NOTHING;
            }
        }
        for (i, hot) in group.hot.iter_mut().enumerate() {
            self.hot_page(&mut entry, FIXED_PAGES + i, rows, hot)?;
        }
        let values = group.value_hashes.iter().flat_map(|&hash| value_hashes(hash));
        self.value_filters.add(Scheme::Fine, group.value_hashes.len() * BITS_PER_VALUE, values);
        self.index.groups.push(entry);
        group.clear();
        self.group = group;
        if self.index.groups.len() - self.first_group >= self.options.groups_per_row_group {
            self.finish_row_group()?;
        }
        Ok(())
    }

    /// Timestamps in the unit of the object and what is beyond it: what is zero takes no room.
    fn timestamp_pages(&mut self, entry: &mut GroupEntry, times: &[i64]) -> Result<(), BlobError> {
        let unit_ns = self.options.unit.ns();
        let divisors: [(usize, i64, i64); 3] =
            [(TIMESTAMP, i64::MAX, unit_ns), (MICROS, unit_ns, 1000), (NANOS, unit_ns.min(1000), 1)];
        for (column, beyond, divisor) in divisors {
            let part = |ns: i64| match beyond {
                i64::MAX => ns.div_euclid(divisor),
                // Nothing is beyond a unit that is this fine.
                beyond if beyond <= divisor => 0,
                beyond => ns.rem_euclid(beyond) / divisor,
            };
            let values: Vec<i64> = times.iter().map(|&ns| part(ns)).collect();
            self.scratch.clear();
            integers(&values, &mut self.squeezer, &mut self.scratch)?;
            self.page(entry, column, Encoding::DeltaBinaryPacked, times.len(), false)?;
            if column != TIMESTAMP && values.iter().all(|&value| value == 0) {
                entry.pages[column] = NOTHING;
            }
        }
        Ok(())
    }

    fn text_page(
        &mut self,
        entry: &mut GroupEntry,
        column: usize,
        values: usize,
        encode: impl FnOnce(&mut Squeezer, &mut Vec<u8>) -> Result<(), BlobError>,
    ) -> Result<(), BlobError> {
        self.scratch.clear();
        encode(&mut self.squeezer, &mut self.scratch)?;
        self.page(entry, column, Encoding::DeltaLengthByteArray, values, true)
    }

    fn hot_page(
        &mut self,
        entry: &mut GroupEntry,
        column: usize,
        rows: usize,
        hot: &mut super::group::HotColumn,
    ) -> Result<(), BlobError> {
        let is_empty = !hot.present.contains(&true);
        self.scratch.clear();
        let is_coded = hot.encode(&mut self.squeezer, &mut self.scratch)?;
        let encoding = if is_coded { Encoding::Dictionary } else { Encoding::DeltaLengthByteArray };
        self.page(entry, column, encoding, rows, !is_coded)?;
        if is_empty {
            entry.pages[column] = NOTHING;
        } else if is_coded {
            entry.pages[column].kind = PageKind::Codes;
        }
        Ok(())
    }

    /// Adds what was encoded as a page of an index column to the row group. Its place is relative to the column until that is
    /// written.
    fn page(
        &mut self,
        entry: &mut GroupEntry,
        column: usize,
        encoding: Encoding,
        values: usize,
        is_text: bool,
    ) -> Result<(), BlobError> {
        let raw = &self.scratch;
        let stored = if is_text { self.squeezer.pack_text(raw)? } else { self.squeezer.pack(raw)? };
        let at = self.pages[1 + column].add(stored, raw.len(), values, encoding, |out| {
            parquet::data_page_header(out, encoding, values, raw.len(), stored.len());
        });
        debug_assert_eq!(entry.pages.len(), column);
        let place = Place { at, bytes: stored.len() as u32, crc: crc32c::crc32c(stored) };
        entry.pages.push(PageEntry { place, raw_bytes: raw.len() as u32, kind: PageKind::Values });
        Ok(())
    }

    /// Takes the lines of a group apart, in the way that tells most of them.
    fn gather_grams(&mut self, group: &Group) -> Scheme {
        let gather = |grams: &mut GramSet, scheme| {
            group.lines.iter().for_each(|line| grams.add_line(scheme, line));
            scheme
        };
        // What follows text of one kind is mostly of the same kind.
        if self.is_wild {
            let scheme = gather(&mut self.grams, Scheme::Coarse);
            if self.grams.len() >= group.lines.bytes.len() / LINE_BYTES_PER_WILD_GRAM {
                return scheme;
            }
            self.grams.drain().for_each(drop);
        }
        let scheme = gather(&mut self.grams, Scheme::Fine);
        self.is_wild = self.grams.len() > MAX_FINE_GRAMS;
        if !self.is_wild {
            return scheme;
        }
        self.grams.drain().for_each(drop);
        gather(&mut self.grams, Scheme::Coarse)
    }

    fn line_filter(&mut self, entry: &GroupEntry, scheme: Scheme) {
        let share = if scheme == Scheme::Coarse { COARSE_SHARE } else { 1.0 };
        let wanted = (self.grams.len() as f32 * self.options.bits_per_gram * share).ceil() as usize;
        let least = if scheme == Scheme::Coarse { LEAST_WILD_PAGE_PER_FILTER } else { LEAST_PAGE_PER_FILTER };
        let most = entry.pages[LINE].place.bytes as usize * 8 / least;
        self.line_filters.add(scheme, wanted.min(most.max(MIN_FILTER_BITS)), self.grams.drain());
    }

    fn finish_row_group(&mut self) -> Result<(), BlobError> {
        if self.index.groups.len() == self.first_group {
            return Ok(());
        }
        let mut dictionaries = vec![self.stream_pages()?];
        dictionaries.resize_with(1 + FIXED_PAGES, Dictionary::default);
        let mut row_group = RowGroupEntry { end_group: self.index.groups.len() as u32, ..Default::default() };
        for (i, hot) in self.group.hot.iter_mut().enumerate() {
            let is_used = self.pages[1 + FIXED_PAGES + i].encodings.contains(&Encoding::Dictionary);
            let dictionary = match is_used {
                true => Dictionary::new(&mut self.squeezer, hot.dictionary_len(), &hot.dictionary)?,
                false => Dictionary::default(),
            };
            hot.clear_dictionary();
            row_group.dictionaries.push(is_used.then_some(dictionary.entry));
            dictionaries.push(dictionary);
        }
        let first_group = std::mem::replace(&mut self.first_group, self.index.groups.len());
        let groups = &mut self.index.groups[first_group..];
        let rows = groups.iter().map(|group| u64::from(group.rows)).sum();
        let mut written = RowGroup { rows, chunks: Vec::new() };
        for ((column, pages), dictionary) in self.pages.iter_mut().enumerate().zip(dictionaries) {
            let pages = std::mem::take(pages);
            let data_at = self.written + dictionary.bytes.len() as u64;
            let mut chunk = Chunk {
                values: pages.values,
                raw_bytes: pages.raw_bytes + dictionary.raw_bytes,
                stored_bytes: (pages.bytes.len() + dictionary.bytes.len()) as u64,
                dictionary_at: (!dictionary.bytes.is_empty()).then_some(self.written),
                data_at,
                encodings: pages.encodings,
                bounds: None,
            };
            if column > 0 {
                let read = groups.iter_mut().map(|group| &mut group.pages[column - 1]);
                let read = read.filter(|page| page.kind != PageKind::Nothing);
                read.for_each(|page| page.place.at += data_at);
            }
            if let Some(Some(entry)) =
                (column > FIXED_PAGES).then(|| &mut row_group.dictionaries[column - 1 - FIXED_PAGES])
            {
                entry.place.at += self.written;
            }
            if column == 1 + TIMESTAMP {
                let runs = || groups.iter().flat_map(|group| &group.runs);
                let bounds = (runs().map(|run| run.first_ns).min(), runs().map(|run| run.last_ns).max());
                let in_unit = |ns: i64| ns.div_euclid(self.options.unit.ns());
                chunk.bounds = bounds.0.zip(bounds.1).map(|(first, last)| (in_unit(first), in_unit(last)));
            }
            written.chunks.push(chunk);
            for part in [dictionary.bytes, pages.bytes] {
                self.written += part.len() as u64;
                self.sink.write(part.into())?;
            }
        }
        self.row_groups.push(written);
        self.index.row_groups.push(row_group);
        Ok(())
    }

    /// The pages of the stream column: numbers of a dictionary of the streams of the row group as JSON.
    fn stream_pages(&mut self) -> Result<Dictionary, BlobError> {
        let groups = &self.index.groups[self.first_group..];
        let mut numbers: Vec<u32> = groups.iter().flat_map(|g| &g.runs).map(|run| run.stream).collect();
        numbers.dedup();
        let mut raw = Vec::new();
        for &number in &numbers {
            let json = json_of(&self.index.streams[number as usize]);
            raw.extend_from_slice(&(json.len() as u32).to_le_bytes());
            raw.extend_from_slice(json.as_bytes());
        }
        let dictionary = Dictionary::new(&mut self.squeezer, numbers.len(), &raw)?;
        for group in groups {
            raw.clear();
            let number = |run: &Run| numbers.partition_point(|&number| number < run.stream) as u32;
            let runs = group.runs.iter().map(|run| (number(run), run.rows as usize));
            levels::encode_runs(&mut raw, numbers.len(), runs);
            let (rows, stored) = (group.rows as usize, self.squeezer.pack(&raw)?);
            self.pages[0].add(stored, raw.len(), rows, Encoding::Dictionary, |out| {
                parquet::data_page_header(out, Encoding::Dictionary, rows, raw.len(), stored.len());
            });
        }
        Ok(dictionary)
    }

    /// Writes what is left, the filters, the index and the footer. The sink is not finished.
    pub fn finish(mut self) -> Result<Written<S>, BlobError> {
        self.finish_group()?;
        self.finish_row_group()?;
        let filters_at = self.written;
        let (blocks, bands) = std::mem::take(&mut self.line_filters).finish(self.written);
        self.emit(blocks)?;
        self.index.line_bands = bands;
        let (blocks, bands) = std::mem::take(&mut self.value_filters).finish(self.written);
        self.emit(blocks)?;
        self.index.value_bands = bands;
        self.index.names = most_frequent(std::mem::take(&mut self.names));
        let raw = self.index.encode();
        if raw.len() > MAX_INDEX_BYTES {
            let message = format!("an index of {} bytes, {MAX_INDEX_BYTES} at most", raw.len());
            return Err(BlobError::failed("a log object", message));
        }
        let stored = self.squeezer.pack(&raw)?.to_vec();
        let place = Place { at: self.written, bytes: stored.len() as u32, crc: crc32c::crc32c(&stored) };
        let trailer = Trailer { place, raw_bytes: raw.len() as u32 };
        self.emit(stored)?;
        let mut tail = trailer.encode().to_vec();
        let notes = [
            ("bartizan.logs.version", "3".to_owned()),
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
        let column = |path: &[&str], kind, is_optional| Column {
            path: path.iter().map(|&part| part.to_owned()).collect(),
            kind,
            is_optional,
        };
        let line = if self.lines_are_text { ColumnKind::Text } else { ColumnKind::Binary };
        let timestamp = match self.options.unit {
            TimeUnit::Millis => ColumnKind::TimestampMillis,
            TimeUnit::Micros => ColumnKind::TimestampMicros,
            TimeUnit::Nanos => ColumnKind::TimestampNanos,
        };
        let mut columns = vec![
            column(&["stream"], ColumnKind::Text, false),
            column(&["timestamp"], timestamp, false),
            column(&["timestamp_us"], ColumnKind::Int32, false),
            column(&["timestamp_ns"], ColumnKind::Int32, false),
            column(&["line"], line, false),
            column(&["metadata", "key_value", "key"], ColumnKind::Text, false),
            column(&["metadata", "key_value", "value"], ColumnKind::Text, false),
        ];
        let hot = self.options.hot.iter();
        columns.extend(hot.map(|name| column(&[&format!("metadata.{name}")], ColumnKind::Text, true)));
        columns
    }
}

/// The names that are in most rows, in their own order.
fn most_frequent(names: HashMap<Arc<str>, u64>) -> Vec<(Arc<str>, u64)> {
    let mut names: Vec<(Arc<str>, u64)> = names.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    names.truncate(MAX_NAMES);
    names.sort();
    names
}

/// The page of a dictionary, with its header.
#[derive(Default)]
struct Dictionary {
    bytes: Vec<u8>,
    raw_bytes: u64,
    /// Its content, as if the page were at the beginning of the object.
    entry: PageEntry,
}

impl Dictionary {
    fn new(squeezer: &mut Squeezer, values: usize, raw: &[u8]) -> Result<Self, BlobError> {
        let stored = squeezer.pack(raw)?;
        let mut bytes = Vec::new();
        parquet::dictionary_page_header(&mut bytes, values, raw.len(), stored.len());
        let at = bytes.len() as u64;
        let place = Place { at, bytes: stored.len() as u32, crc: crc32c::crc32c(stored) };
        let entry = PageEntry { place, raw_bytes: raw.len() as u32, kind: PageKind::Values };
        bytes.extend_from_slice(stored);
        Ok(Self { bytes, raw_bytes: at + raw.len() as u64, entry })
    }
}

impl Pages {
    /// Adds a page; returns where its content begins.
    fn add(
        &mut self,
        stored: &[u8],
        raw_bytes: usize,
        values: usize,
        encoding: Encoding,
        header: impl FnOnce(&mut Vec<u8>),
    ) -> u64 {
        let begins_at = self.bytes.len();
        header(&mut self.bytes);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(stored);
        self.raw_bytes += (at - begins_at + raw_bytes) as u64;
        self.values += values as u64;
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
        at as u64
    }
}

/// A label set as a JSON object.
fn json_of(labels: &Labels) -> String {
    let pairs: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    serde_json::Value::Object(pairs).to_string()
}
