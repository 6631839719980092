//! Reading a block's `index` file, mapped into memory.
//!
//! Opening verifies the table of contents, the symbol table and the postings table; series and
//! postings carry checksums of their own, verified as they are read.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::chunk_files::map_file;
use super::postings::Postings;
use crate::error::TsdbError;
use crate::wal::codec::{Decoder, put_bytes, put_uvarint};
use crate::wal::record::RecordError;

/// The name of the file.
pub const INDEX_FILE: &str = "index";
pub(super) const MAGIC: u32 = 0xbaaa_d700;
pub(super) const VERSION: u8 = 2;
/// The first version: symbols and series are referred to by their offsets, and the postings table is in no
/// order.
const VERSION_OFFSETS: u8 = 1;
/// A version that readers treat as the second one.
const VERSION_LATER: u8 = 3;
pub(super) const HEADER_BYTES: usize = 5;
pub(super) const TOC_BYTES: usize = 6 * 8 + 4;
/// Series begin at multiples of this; a series reference is the offset divided by it.
pub(super) const SERIES_ALIGN: usize = 16;
/// Every how many symbols a position is kept.
const SYMBOL_STEP: usize = 8;
/// Every how many values of a label a position is kept.
const VALUE_STEP: usize = 32;

/// Where a chunk lies, and its time range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// The timestamp of its first sample.
    pub min_ms: i64,
    /// The timestamp of its last sample.
    pub max_ms: i64,
    /// Its place in the chunk files.
    pub reference: u64,
}

/// The symbol table: all label names and values, in ascending order.
#[derive(Debug)]
pub(super) struct SymbolTable {
    /// Where the strings lie in the file.
    body: Range<usize>,
    /// Position in the body of every [`SYMBOL_STEP`]th string.
    positions: Vec<u32>,
    count: u32,
    /// Whether strings are referred to by their offset in the file, not by their number.
    by_offset: bool,
}

impl SymbolTable {
    /// Reads the table at `at` and verifies its checksum.
    pub(super) fn open(file: &[u8], at: usize, by_offset: bool) -> Result<Self, String> {
        let body = section(file, at, "symbol table")?;
        let start = at + 8;
        let body = start..start + body.len() - 4;
        let count = u32::from_be_bytes([file[at + 4], file[at + 5], file[at + 6], file[at + 7]]);
        let mut decoder = Decoder::new(&file[body.clone()]);
        let mut positions = Vec::new();
        for i in 0..count as usize {
            if i % SYMBOL_STEP == 0 {
                positions.push((body.len() - decoder.remaining()) as u32);
            }
            string(&mut decoder).map_err(|error| format!("symbol {i}: {error}"))?;
        }
        Ok(Self { body, positions, count, by_offset })
    }

    /// The string a series refers to by `id`.
    pub(super) fn get<'a>(&self, file: &'a [u8], id: u32) -> Result<&'a str, String> {
        if self.by_offset {
            let rest = file.get(id as usize..self.body.end).filter(|_| id as usize >= self.body.start);
            let rest = rest.ok_or_else(|| format!("unknown symbol at {id}"))?;
            return string(&mut Decoder::new(rest)).map_err(|error| format!("symbol at {id}: {error}"));
        }
        self.nth(file, id).map(|(text, _)| text)
    }

    /// String number `id`, and its offset in the file.
    fn nth<'a>(&self, file: &'a [u8], id: u32) -> Result<(&'a str, u32), String> {
        if id >= self.count {
            return Err(format!("unknown symbol {id}"));
        }
        let at = self.positions[id as usize / SYMBOL_STEP] as usize;
        let mut decoder = Decoder::new(&file[self.body.start + at..self.body.end]);
        let found = (|| {
            for _ in 0..id as usize % SYMBOL_STEP {
                let len = decoder.uvarint()?;
                decoder.take(len as usize)?;
            }
            let at = self.body.end - decoder.remaining();
            Ok((string(&mut decoder)?, at as u32))
        })();
        found.map_err(|error: RecordError| format!("symbol {id}: {error}"))
    }

    /// How series refer to a string, if it is in the table.
    fn find(&self, file: &[u8], wanted: &str) -> Result<Option<u32>, String> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let (text, at) = self.nth(file, middle)?;
            match text.cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Some(if self.by_offset { at } else { middle })),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

fn string<'a>(decoder: &mut Decoder<'a>) -> Result<&'a str, RecordError> {
    let len = decoder.uvarint()?;
    let bytes = decoder.take(usize::try_from(len).map_err(|_| RecordError::Truncated)?)?;
    std::str::from_utf8(bytes).map_err(|_| RecordError::Utf8)
}

/// The content of a section at `at`: four bytes of length, the content, a checksum of it.
fn section<'a>(file: &'a [u8], at: usize, what: &str) -> Result<&'a [u8], String> {
    let beyond = || format!("{what} at {at} reaches beyond the file");
    let rest = file.get(at..).ok_or_else(beyond)?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(beyond)?;
    let len = u32::from_be_bytes(*len) as usize;
    let (body, rest) = rest.split_at_checked(len).ok_or_else(beyond)?;
    let crc = rest.first_chunk::<4>().ok_or_else(beyond)?;
    if crc32c::crc32c(body).to_be_bytes() != *crc {
        return Err(format!("{what} at {at}: checksum mismatch"));
    }
    if body.len() < 4 {
        return Err(format!("{what} at {at} is too short"));
    }
    Ok(body)
}

/// Where the values of one label lie in the postings table.
#[derive(Debug)]
struct LabelEntry {
    name: Box<str>,
    /// Position of every [`VALUE_STEP`]th entry.
    positions: Vec<u32>,
    /// Position behind the last entry.
    end: u32,
    values: u32,
}

/// An open index.
#[derive(Debug)]
pub struct IndexReader {
    path: PathBuf,
    map: Mmap,
    symbols: SymbolTable,
    /// Sorted by name.
    labels: Vec<LabelEntry>,
    table: TableEntries,
    /// Where the list of all series lies; `None` in an empty index.
    all_postings: Option<u64>,
    /// What a series reference is multiplied by to give its offset.
    series_align: usize,
}

/// The entries of the postings table, by label name and value.
#[derive(Debug)]
enum TableEntries {
    /// Where they lie in the file.
    Mapped(Range<usize>),
    /// As in a file, but put in order.
    Sorted(Vec<u8>),
}

impl IndexReader {
    /// Opens the index of the block in `dir`.
    pub fn open(dir: &Path) -> Result<Self, TsdbError> {
        let path = dir.join(INDEX_FILE);
        let map = map_file(&path)?;
        let parsed = Self::parse(&map).map_err(|problem| TsdbError::corrupt(&path, problem))?;
        let (symbols, PostingsTable { labels, entries: table, all_postings }) = parsed;
        let series_align = if symbols.by_offset { 1 } else { SERIES_ALIGN };
        Ok(Self { path, map, symbols, labels, table, all_postings, series_align })
    }

    fn parse(file: &[u8]) -> Result<(SymbolTable, PostingsTable), String> {
        if file.len() < HEADER_BYTES + TOC_BYTES {
            return Err("file is too short".to_owned());
        }
        if file[..4] != MAGIC.to_be_bytes() {
            return Err("invalid magic number".to_owned());
        }
        let by_offset = match file[4] {
            VERSION_OFFSETS => true,
            VERSION | VERSION_LATER => false,
            other => return Err(format!("index format version {other} is not supported")),
        };
        let (toc, crc) = file[file.len() - TOC_BYTES..].split_at(TOC_BYTES - 4);
        if crc32c::crc32c(toc).to_be_bytes() != crc {
            return Err("table of contents: checksum mismatch".to_owned());
        }
        let (fields, _) = toc.as_chunks::<8>();
        let field = |i: usize| usize::try_from(u64::from_be_bytes(fields[i])).unwrap_or(usize::MAX);
        let symbols = SymbolTable::open(file, field(0), by_offset)?;
        let table = match (by_offset, field(5)) {
            (_, 0) => PostingsTable::default(),
            (false, at) => {
                let body = section(file, at, "postings table")?;
                let (labels, all_postings) = read_postings_table(body)?;
                PostingsTable {
                    labels,
                    entries: TableEntries::Mapped(at + 8..at + 4 + body.len()),
                    all_postings,
                }
            }
            (true, at) => {
                let body = sort_postings_table(section(file, at, "postings table")?)?;
                let (labels, all_postings) = read_postings_table(&body)?;
                PostingsTable { labels, entries: TableEntries::Sorted(body[4..].to_vec()), all_postings }
            }
        };
        Ok((symbols, table))
    }

    fn table(&self) -> &[u8] {
        match &self.table {
            TableEntries::Mapped(range) => &self.map[range.clone()],
            TableEntries::Sorted(entries) => entries,
        }
    }

    /// Where in the file the series with this reference begins.
    pub fn series_offset(&self, id: u32) -> usize {
        id as usize * self.series_align
    }

    fn corrupt(&self, problem: impl std::fmt::Display) -> TsdbError {
        TsdbError::corrupt(&self.path, problem)
    }

    /// The string series refer to by `id`: its number, or its offset in files of the first version.
    pub fn symbol(&self, id: u32) -> Result<&str, TsdbError> {
        self.symbols.get(&self.map, id).map_err(|problem| self.corrupt(problem))
    }

    /// Number of strings.
    pub fn symbol_count(&self) -> u32 {
        self.symbols.count
    }

    /// String number `number` in ascending order, whatever series refer to it by.
    pub fn nth_symbol(&self, number: u32) -> Result<&str, TsdbError> {
        let found = self.symbols.nth(&self.map, number);
        found.map(|(text, _)| text).map_err(|problem| self.corrupt(problem))
    }

    /// How series refer to a string, if any has it as a label name or value. Ascends with the strings.
    pub fn find_symbol(&self, wanted: &str) -> Result<Option<u32>, TsdbError> {
        self.symbols.find(&self.map, wanted).map_err(|problem| self.corrupt(problem))
    }

    /// All label names, ascending.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|entry| &*entry.name)
    }

    /// Number of values of a label.
    pub fn value_count(&self, name: &str) -> usize {
        self.entry(name).map_or(0, |entry| entry.values as usize)
    }

    fn entry(&self, name: &str) -> Option<&LabelEntry> {
        self.labels.binary_search_by(|entry| (*entry.name).cmp(name)).ok().map(|i| &self.labels[i])
    }

    /// The series that have `name` with this value.
    pub fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, TsdbError> {
        let mut found = Postings::EMPTY;
        self.scan_values(name, value, |candidate, postings| {
            if candidate == value {
                found = postings()?;
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// All series.
    pub fn all_postings(&self) -> Result<Postings<'_>, TsdbError> {
        self.all_postings.map_or(Ok(Postings::EMPTY), |at| self.postings_at(at))
    }

    fn postings_at(&self, at: u64) -> Result<Postings<'_>, TsdbError> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let body = section(&self.map, at, "postings").map_err(|problem| self.corrupt(problem))?;
        let (count, ids) = body.split_at(4);
        let count = u32::from_be_bytes([count[0], count[1], count[2], count[3]]) as usize;
        if count * 4 != ids.len() {
            return Err(self.corrupt(format!("postings at {at} have {} bytes for {count} series", ids.len())));
        }
        Ok(Postings::Stored(ids))
    }

    /// Calls `visit` with the values of a label from `from` on, ascending, and a way to get the series
    /// that have it, until it breaks.
    pub fn scan_values<'a>(
        &'a self,
        name: &str,
        from: &str,
        mut visit: impl FnMut(
            &'a str,
            &dyn Fn() -> Result<Postings<'a>, TsdbError>,
        ) -> Result<ControlFlow<()>, TsdbError>,
    ) -> Result<(), TsdbError> {
        let Some(entry) = self.entry(name) else { return Ok(()) };
        let table = self.table();
        let decoder_at = |position: u32| Decoder::new(&table[position as usize..entry.end as usize]);
        let bad = |error: RecordError| self.corrupt(format!("postings table, label {name:?}: {error}"));
        let (mut low, mut high) = (0, entry.positions.len());
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            let (value, _) = table_entry(&mut decoder_at(entry.positions[middle])).map_err(bad)?;
            if value <= from { low = middle } else { high = middle }
        }
        let Some(&start) = entry.positions.get(low) else { return Ok(()) };
        let mut decoder = decoder_at(start);
        while !decoder.is_empty() {
            let (value, at) = table_entry(&mut decoder).map_err(bad)?;
            if value >= from && visit(value, &|| self.postings_at(at))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The series with this reference, its checksum verified.
    pub fn series(&self, id: u32) -> Result<SeriesEntry<'_>, TsdbError> {
        let at = self.series_offset(id);
        let bad = |_| self.corrupt(format!("series at {at} reaches beyond the file"));
        let mut decoder = Decoder::new(self.map.get(at..).unwrap_or_default());
        let len = decoder.uvarint().map_err(bad)?;
        let body = decoder.take(usize::try_from(len).unwrap_or(usize::MAX)).map_err(bad)?;
        let crc = decoder.take(4).map_err(bad)?;
        if crc32c::crc32c(body).to_be_bytes() != crc {
            return Err(self.corrupt(format!("series at {at}: checksum mismatch")));
        }
        Ok(SeriesEntry { body })
    }

    /// Damage found in the series with this reference.
    pub(super) fn bad_series(&self, id: u32, error: RecordError) -> TsdbError {
        self.corrupt(format!("series at {}: {error}", self.series_offset(id)))
    }

    /// Size of the file.
    pub fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Heap bytes in use for symbols.
    pub fn symbol_table_bytes(&self) -> usize {
        self.symbols.positions.len() * 4
    }
}

/// What the postings table says.
struct PostingsTable {
    labels: Vec<LabelEntry>,
    entries: TableEntries,
    all_postings: Option<u64>,
}

impl Default for PostingsTable {
    fn default() -> Self {
        Self { labels: Vec::new(), entries: TableEntries::Mapped(0..0), all_postings: None }
    }
}

/// The same table with its entries by name and value.
fn sort_postings_table(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = Decoder::new(&body[4..]);
    let mut entries = Vec::new();
    while !decoder.is_empty() {
        let mut read = || -> Result<_, RecordError> {
            decoder.uvarint()?;
            Ok((string(&mut decoder)?, string(&mut decoder)?, decoder.uvarint()?))
        };
        entries.push(read().map_err(|error| format!("postings table: {error}"))?);
    }
    entries.sort_unstable();
    let mut sorted = body[..4].to_vec();
    for (name, value, at) in entries {
        put_uvarint(&mut sorted, 2);
        put_bytes(&mut sorted, name.as_bytes());
        put_bytes(&mut sorted, value.as_bytes());
        put_uvarint(&mut sorted, at);
    }
    Ok(sorted)
}

/// The labels of a table, and where the list of all series lies.
fn read_postings_table(body: &[u8]) -> Result<(Vec<LabelEntry>, Option<u64>), String> {
    let (count, entries) = body.split_at(4);
    let count = u32::from_be_bytes([count[0], count[1], count[2], count[3]]);
    let bad = |error: RecordError| format!("postings table: {error}");
    let mut decoder = Decoder::new(entries);
    let mut labels: Vec<LabelEntry> = Vec::new();
    let mut all_postings = None;
    for _ in 0..count {
        let position = (entries.len() - decoder.remaining()) as u32;
        let (name, offset) = named_entry(&mut decoder).map_err(bad)?;
        let end = (entries.len() - decoder.remaining()) as u32;
        if name.is_empty() {
            all_postings = Some(offset);
            continue;
        }
        match labels.last_mut() {
            Some(last) if *last.name == *name => {
                if (last.values as usize).is_multiple_of(VALUE_STEP) {
                    last.positions.push(position);
                }
                last.values += 1;
                last.end = end;
            }
            Some(last) if *last.name > *name => {
                return Err("postings table: label names do not ascend".to_owned());
            }
            _ => labels.push(LabelEntry { name: name.into(), positions: vec![position], end, values: 1 }),
        }
    }
    Ok((labels, all_postings))
}

/// Name and offset of an entry of the postings table.
fn named_entry<'a>(decoder: &mut Decoder<'a>) -> Result<(&'a str, u64), RecordError> {
    decoder.uvarint()?;
    let name = string(decoder)?;
    let value = decoder.uvarint()?;
    decoder.take(usize::try_from(value).map_err(|_| RecordError::Truncated)?)?;
    Ok((name, decoder.uvarint()?))
}

/// Value and offset of an entry of the postings table.
fn table_entry<'a>(decoder: &mut Decoder<'a>) -> Result<(&'a str, u64), RecordError> {
    decoder.uvarint()?;
    let name = decoder.uvarint()?;
    decoder.take(usize::try_from(name).map_err(|_| RecordError::Truncated)?)?;
    Ok((string(decoder)?, decoder.uvarint()?))
}

/// The entry of one series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesEntry<'a> {
    body: &'a [u8],
}

impl<'a> SeriesEntry<'a> {
    /// Label names and values as symbols, in name order; what follows are the chunks.
    pub fn labels(&self, mut visit: impl FnMut(u32, u32)) -> Result<Chunks<'a>, RecordError> {
        let mut decoder = Decoder::new(self.body);
        for _ in 0..decoder.count(2)? {
            let name = u32::try_from(decoder.uvarint()?).map_err(|_| RecordError::Varint)?;
            let value = u32::try_from(decoder.uvarint()?).map_err(|_| RecordError::Varint)?;
            visit(name, value);
        }
        let left = decoder.count(3)?;
        Ok(Chunks { decoder, left, first: true, max_ms: 0, reference: 0 })
    }

    /// The chunks, in time order.
    pub fn chunks(&self) -> Result<Chunks<'a>, RecordError> {
        self.labels(|_, _| {})
    }
}

/// Iterates over the chunks of a series.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    decoder: Decoder<'a>,
    left: usize,
    first: bool,
    max_ms: i64,
    reference: i64,
}

impl Chunks<'_> {
    fn read(&mut self) -> Result<ChunkMeta, RecordError> {
        let min_ms = match self.first {
            true => self.decoder.varint()?,
            false => self.max_ms.wrapping_add(self.decoder.uvarint()? as i64),
        };
        self.max_ms = min_ms.wrapping_add(self.decoder.uvarint()? as i64);
        self.reference = match self.first {
            true => self.decoder.uvarint()? as i64,
            false => self.reference.wrapping_add(self.decoder.varint()?),
        };
        self.first = false;
        Ok(ChunkMeta { min_ms, max_ms: self.max_ms, reference: self.reference as u64 })
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<ChunkMeta, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = self.read();
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}
