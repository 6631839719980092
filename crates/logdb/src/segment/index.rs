//! The index of an object: what each page group holds, and where.

use std::sync::Arc;

use model::labels::Labels;

use super::sliced::{Band, decode_bands, encode_bands};
use crate::codec::{Damaged, Input, put_bytes, put_ivarint, put_labels, put_uvarint};

/// Columns every object has pages of that we read, in this order; hot metadata columns follow.
pub const FIXED_PAGES: usize = 6;
/// Page of timestamps.
pub const TIMESTAMP: usize = 0;
/// Page of the microseconds of timestamps beyond the unit of the column of timestamps, where that is the millisecond.
pub const MICROS: usize = 1;
/// Page of the nanoseconds of timestamps beyond the microsecond, unless the column of timestamps counts them.
pub const NANOS: usize = 2;
/// Page of lines.
pub const LINE: usize = 3;
/// Page of names of metadata that has no column.
pub const KEY: usize = 4;
/// Page of its values.
pub const VALUE: usize = 5;

/// Length of what stands before the footer and tells where the index is.
pub const TRAILER_BYTES: usize = 32;
const TRAILER_MAGIC: &[u8; 8] = b"BZLOGIX1";
/// An index larger than this, uncompressed, is not read, and not written.
pub const MAX_INDEX_BYTES: usize = 256 << 20;
/// A page larger than this, uncompressed, is not read.
pub const MAX_PAGE_BYTES: u32 = 1 << 30;
/// Names of metadata an index counts: the most frequent ones.
pub const MAX_NAMES: usize = 1000;

/// How an object is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Version {
    /// Timestamps are one column of nanoseconds, each page group has filters of its own.
    One = 1,
    /// Timestamps are columns of milliseconds, microseconds and nanoseconds; hot columns may have dictionaries; filters of
    /// many page groups lie side by side.
    Two = 2,
    /// The unit of timestamps is chosen for each object.
    #[default]
    Three = 3,
}

/// What the column of timestamps counts. What is beyond the unit stands in columns of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// Milliseconds.
    #[default]
    Millis = 0,
    /// Microseconds.
    Micros = 1,
    /// Nanoseconds.
    Nanos = 2,
}

impl TimeUnit {
    /// How many nanoseconds it has.
    pub fn ns(self) -> i64 {
        match self {
            Self::Millis => 1_000_000,
            Self::Micros => 1000,
            Self::Nanos => 1,
        }
    }

    fn of_number(number: u8) -> Result<Self, Damaged> {
        match number {
            0 => Ok(Self::Millis),
            1 => Ok(Self::Micros),
            2 => Ok(Self::Nanos),
            _ => Err(Damaged("timestamps of an unknown unit")),
        }
    }
}

/// Numbers of timestamps by the coarsest unit that tells all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resolutions {
    millis: u64,
    micros: u64,
    nanos: u64,
}

impl Resolutions {
    /// Counts a timestamp.
    pub fn count(&mut self, timestamp_ns: i64) {
        match timestamp_ns {
            ns if ns % 1_000_000 == 0 => self.millis += 1,
            ns if ns % 1000 == 0 => self.micros += 1,
            _ => self.nanos += 1,
        }
    }

    /// Counts those of an object, as far as its index tells: those of a page group as the finest that are in it.
    pub fn count_object(&mut self, index: &SegmentIndex) {
        for group in &index.groups {
            let has = |column: usize| group.pages[column].kind != PageKind::Nothing;
            let rows = u64::from(group.rows);
            match index.unit {
                TimeUnit::Nanos => self.nanos += rows,
                _ if has(NANOS) => self.nanos += rows,
                TimeUnit::Micros => self.micros += rows,
                TimeUnit::Millis if has(MICROS) => self.micros += rows,
                TimeUnit::Millis => self.millis += rows,
            }
        }
    }

    /// The unit in which they take the least room. A number of a thousand takes ten bits, whether it is one of its own, or what
    /// a number in a finer unit than it needs has more; one of its own, of which differences are stored, takes eleven.
    pub fn unit(&self) -> TimeUnit {
        let bits = |unit: TimeUnit| match unit {
            TimeUnit::Millis => 11 * self.micros + 22 * self.nanos,
            TimeUnit::Micros => 10 * self.millis + 11 * self.nanos,
            TimeUnit::Nanos => 20 * self.millis + 10 * self.micros,
        };
        let units = [TimeUnit::Millis, TimeUnit::Micros, TimeUnit::Nanos];
        units.into_iter().min_by_key(|&unit| bits(unit)).unwrap_or_default()
    }
}

/// What an object holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SegmentIndex {
    /// How it is laid out.
    pub version: Version,
    /// What the column of timestamps counts.
    pub unit: TimeUnit,
    /// The streams, in order; runs name them by number.
    pub streams: Vec<Labels>,
    /// Names of metadata that have a column, in the order of the columns.
    pub hot: Vec<Arc<str>>,
    /// Names of metadata, and in how many rows each is; when there are very many, the most frequent.
    pub names: Vec<(Arc<str>, u64)>,
    /// For each row group, which has so many page groups, the dictionaries of hot columns.
    pub row_groups: Vec<RowGroupEntry>,
    /// The page groups, in order.
    pub groups: Vec<GroupEntry>,
    /// Filters of substrings.
    pub line_bands: Vec<Band>,
    /// Filters of values of metadata.
    pub value_bands: Vec<Band>,
}

/// Page groups that share dictionaries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowGroupEntry {
    /// The first page group after them.
    pub end_group: u32,
    /// The dictionary of each hot column that has one.
    pub dictionaries: Vec<Option<PageEntry>>,
}

/// One page group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupEntry {
    /// Which row group it is in.
    pub row_group: u32,
    /// Number of rows.
    pub rows: u32,
    /// Number of levels in the pages of names and values.
    pub levels: u32,
    /// Its pages: [`FIXED_PAGES`], then one for each hot name.
    pub pages: Vec<PageEntry>,
    /// The rows of its streams, in order and without gaps. A stream may have several.
    pub runs: Vec<Run>,
    /// Its filters of substrings and of values of metadata, in objects of the first version.
    pub filters: Option<[Place; 2]>,
}

/// A part of the object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Where it begins.
    pub at: u64,
    /// Its length.
    pub bytes: u32,
    /// CRC-32C of it.
    pub crc: u32,
}

/// One page, without its header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageEntry {
    /// The compressed bytes.
    pub place: Place,
    /// Length when decompressed.
    pub raw_bytes: u32,
    /// What is in it.
    pub kind: PageKind,
}

/// A page that need not be read.
pub const NOTHING: PageEntry =
    PageEntry { place: Place { at: 0, bytes: 0, crc: 0 }, raw_bytes: 0, kind: PageKind::Nothing };

/// What is in a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PageKind {
    /// Values.
    #[default]
    Values,
    /// Numbers of values of a dictionary.
    Codes,
    /// Zeroes, or no values at all: it need not be read.
    Nothing,
}

/// Rows of one stream, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Number of the stream.
    pub stream: u32,
    /// First row in the group.
    pub first_row: u32,
    /// Number of rows, not zero.
    pub rows: u32,
    /// Time of the first row.
    pub first_ns: i64,
    /// Time of the last row.
    pub last_ns: i64,
    /// Bytes of lines.
    pub line_bytes: u64,
    /// Bytes of names and values of metadata.
    pub metadata_bytes: u64,
}

impl GroupEntry {
    /// Bytes of lines.
    pub fn line_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.line_bytes).sum()
    }
}

impl SegmentIndex {
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.groups.iter().map(|group| u64::from(group.rows)).sum()
    }

    /// Times of the first and the last row; `None` without rows.
    pub fn bounds_ns(&self) -> Option<(i64, i64)> {
        let runs = || self.groups.iter().flat_map(|group| &group.runs);
        Some((runs().map(|run| run.first_ns).min()?, runs().map(|run| run.last_ns).max()?))
    }

    /// Memory it takes, roughly.
    pub fn memory_bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(|labels| labels.as_bytes().len() + 32).sum();
        let names: usize = self.names.iter().map(|(name, _)| name.len() + 40).sum();
        let group = |group: &GroupEntry| {
            size_of::<GroupEntry>()
                + group.pages.len() * size_of::<PageEntry>()
                + group.runs.len() * size_of::<Run>()
        };
        streams + names + self.groups.iter().map(group).sum::<usize>() + 256
    }

    /// The index as it is stored, before compression.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Version::Three as u8, self.unit as u8];
        put_uvarint(&mut out, self.streams.len() as u64);
        self.streams.iter().for_each(|labels| put_labels(&mut out, labels));
        put_uvarint(&mut out, self.hot.len() as u64);
        self.hot.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
        put_uvarint(&mut out, self.names.len() as u64);
        for (name, rows) in &self.names {
            put_bytes(&mut out, name.as_bytes());
            put_uvarint(&mut out, *rows);
        }
        put_uvarint(&mut out, self.row_groups.len() as u64);
        for row_group in &self.row_groups {
            put_uvarint(&mut out, u64::from(row_group.end_group));
            for dictionary in &row_group.dictionaries {
                put_page(&mut out, &dictionary.unwrap_or(NOTHING));
            }
        }
        put_uvarint(&mut out, self.groups.len() as u64);
        let mut previous_ns = 0_i64;
        for group in &self.groups {
            encode_group(&mut out, group, &mut previous_ns);
        }
        encode_bands(&mut out, &self.line_bands);
        encode_bands(&mut out, &self.value_bands);
        out
    }

    /// Reads what [`Self::encode`] wrote, in any version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut input = Input::new(bytes);
        let (version, unit) = match input.u8()? {
            1 => (Version::One, TimeUnit::Nanos),
            2 => (Version::Two, TimeUnit::Millis),
            3 => (Version::Three, TimeUnit::of_number(input.u8()?)?),
            _ => return Err(Damaged("an index of an unknown version")),
        };
        let mut index = Self { version, unit, ..Self::default() };
        for _ in 0..input.count(1)? {
            index.streams.push(input.labels()?);
        }
        for _ in 0..input.count(1)? {
            index.hot.push(input.str()?.into());
        }
        for _ in 0..input.count(2)? {
            index.names.push((input.str()?.into(), input.uvarint()?));
        }
        if version >= Version::Two {
            index.decode_row_groups(&mut input)?;
        }
        let (mut previous_ns, mut row_group) = (0_i64, 0);
        for _ in 0..input.count(8)? {
            let mut group = decode_group(&mut input, &index, &mut previous_ns)?;
            let is_over = |row_group: &RowGroupEntry| row_group.end_group as usize <= index.groups.len();
            row_group += index.row_groups[row_group..].iter().take_while(|entry| is_over(entry)).count();
            group.row_group = row_group as u32;
            index.groups.push(group);
        }
        if version >= Version::Two {
            if index.row_groups.last().map_or(0, |last| last.end_group as usize) != index.groups.len() {
                return Err(Damaged("row groups do not agree with the page groups"));
            }
            index.line_bands = decode_bands(&mut input, index.groups.len())?;
            index.value_bands = decode_bands(&mut input, index.groups.len())?;
        }
        if input.is_empty() { Ok(index) } else { Err(Damaged("an index with something behind it")) }
    }

    fn decode_row_groups(&mut self, input: &mut Input<'_>) -> Result<(), Damaged> {
        for _ in 0..input.count(1 + self.hot.len())? {
            let end_group = u32::try_from(input.uvarint()?).map_err(|_| TOO_LARGE)?;
            let mut dictionaries = Vec::with_capacity(self.hot.len());
            for _ in 0..self.hot.len() {
                let page = page(input)?;
                dictionaries.push((page.kind != PageKind::Nothing).then_some(page));
            }
            if self.row_groups.last().is_some_and(|last| last.end_group >= end_group) {
                return Err(Damaged("row groups are not in order"));
            }
            self.row_groups.push(RowGroupEntry { end_group, dictionaries });
        }
        Ok(())
    }

    /// The dictionary of a hot column for a page group.
    pub fn dictionary(&self, group: &GroupEntry, hot: usize) -> Option<&PageEntry> {
        self.row_groups.get(group.row_group as usize)?.dictionaries.get(hot)?.as_ref()
    }
}

const TOO_LARGE: Damaged = Damaged("a number of the index is too large");

fn encode_group(out: &mut Vec<u8>, group: &GroupEntry, previous_ns: &mut i64) {
    put_uvarint(out, u64::from(group.levels));
    group.pages.iter().for_each(|page| put_page(out, page));
    put_uvarint(out, group.runs.len() as u64);
    let mut stream = 0;
    for run in &group.runs {
        put_ivarint(out, i64::from(run.stream) - stream);
        put_uvarint(out, u64::from(run.rows));
        put_ivarint(out, run.first_ns.wrapping_sub(*previous_ns));
        put_uvarint(out, run.last_ns.wrapping_sub(run.first_ns) as u64);
        put_uvarint(out, run.line_bytes);
        put_uvarint(out, run.metadata_bytes);
        stream = i64::from(run.stream);
        *previous_ns = run.last_ns;
    }
}

fn decode_group(
    input: &mut Input<'_>,
    index: &SegmentIndex,
    previous_ns: &mut i64,
) -> Result<GroupEntry, Damaged> {
    let mut group =
        GroupEntry { levels: u32::try_from(input.uvarint()?).map_err(|_| TOO_LARGE)?, ..Default::default() };
    match index.version {
        Version::One => first_version_pages(input, index.hot.len(), &mut group)?,
        Version::Two | Version::Three => {
            for _ in 0..FIXED_PAGES + index.hot.len() {
                group.pages.push(page(input)?);
            }
        }
    }
    let mut stream = 0_i64;
    for _ in 0..input.count(6)? {
        stream = stream.checked_add(input.ivarint()?).ok_or(TOO_LARGE)?;
        let known = u32::try_from(stream).ok().filter(|&number| (number as usize) < index.streams.len());
        let rows = u32::try_from(input.uvarint()?).ok().filter(|&rows| rows > 0).ok_or(TOO_LARGE)?;
        let first_ns = previous_ns.wrapping_add(input.ivarint()?);
        let last_ns = first_ns.wrapping_add(input.uvarint()? as i64);
        let (line_bytes, metadata_bytes) = (input.uvarint()?, input.uvarint()?);
        if last_ns < first_ns || line_bytes.max(metadata_bytes) > u64::from(u32::MAX) {
            return Err(TOO_LARGE);
        }
        let first_row = group.rows;
        group.rows = group.rows.checked_add(rows).ok_or(TOO_LARGE)?;
        let stream = known.ok_or(Damaged("a run of a stream that is not there"))?;
        group.runs.push(Run { stream, first_row, rows, first_ns, last_ns, line_bytes, metadata_bytes });
        *previous_ns = last_ns;
    }
    // A row takes a bit of the page of timestamps at the very least, before compression: rows are bounded by pages.
    let most_rows = u64::from(group.pages[TIMESTAMP].raw_bytes).saturating_mul(128);
    let most_levels = u64::from(group.rows) + u64::from(group.pages[KEY].raw_bytes).saturating_mul(128);
    if u64::from(group.rows) > most_rows || u64::from(group.levels) > most_levels {
        return Err(Damaged("more rows than there can be"));
    }
    Ok(group)
}

/// Pages and filters as the first version had them.
fn first_version_pages(input: &mut Input<'_>, hot: usize, group: &mut GroupEntry) -> Result<(), Damaged> {
    group.pages = vec![NOTHING; FIXED_PAGES + hot];
    for column in [TIMESTAMP, LINE, KEY, VALUE].into_iter().chain(FIXED_PAGES..FIXED_PAGES + hot) {
        group.pages[column] =
            PageEntry { place: place(input)?, raw_bytes: page_bytes(input)?, kind: PageKind::Values };
    }
    group.filters = Some([place(input)?, place(input)?]);
    Ok(())
}

fn put_page(out: &mut Vec<u8>, page: &PageEntry) {
    match page.kind {
        PageKind::Nothing => return out.push(0),
        PageKind::Values => out.push(1),
        PageKind::Codes => out.push(2),
    }
    put_place(out, &page.place);
    put_uvarint(out, u64::from(page.raw_bytes));
}

fn page(input: &mut Input<'_>) -> Result<PageEntry, Damaged> {
    let kind = match input.u8()? {
        0 => return Ok(NOTHING),
        1 => PageKind::Values,
        2 => PageKind::Codes,
        _ => return Err(Damaged("a page of an unknown kind")),
    };
    Ok(PageEntry { place: place(input)?, raw_bytes: page_bytes(input)?, kind })
}

fn page_bytes(input: &mut Input<'_>) -> Result<u32, Damaged> {
    u32::try_from(input.uvarint()?).ok().filter(|&raw| raw <= MAX_PAGE_BYTES).ok_or(TOO_LARGE)
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    put_uvarint(out, place.at);
    put_uvarint(out, u64::from(place.bytes));
    out.extend_from_slice(&place.crc.to_le_bytes());
}

fn place(input: &mut Input<'_>) -> Result<Place, Damaged> {
    let at = input.uvarint()?;
    let bytes = u32::try_from(input.uvarint()?).map_err(|_| Damaged("a part of an object is too large"))?;
    Ok(Place { at, bytes, crc: input.u32()? })
}

/// Where the index is, as the trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The compressed index.
    pub place: Place,
    /// Its length when decompressed.
    pub raw_bytes: u32,
}

impl Trailer {
    /// The trailer as it is stored: the magic bytes last, so that a footer is found by going back from it.
    pub fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut out = [0; TRAILER_BYTES];
        out[..8].copy_from_slice(&self.place.at.to_le_bytes());
        out[8..12].copy_from_slice(&self.place.bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.raw_bytes.to_le_bytes());
        out[16..20].copy_from_slice(&self.place.crc.to_le_bytes());
        let crc = crc32c::crc32c(&out[..20]);
        out[20..24].copy_from_slice(&crc.to_le_bytes());
        out[24..].copy_from_slice(TRAILER_MAGIC);
        out
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut input = Input::new(bytes);
        let (at, stored) = (input.u64()?, input.u32()?);
        let (raw_bytes, crc, own_crc) = (input.u32()?, input.u32()?, input.u32()?);
        if input.rest() != TRAILER_MAGIC {
            return Err(Damaged("no log object: its trailer is missing"));
        }
        if crc32c::crc32c(&bytes[..20]) != own_crc {
            return Err(Damaged("the checksum of the trailer is wrong"));
        }
        if raw_bytes as usize > MAX_INDEX_BYTES {
            return Err(Damaged("an index that is too large"));
        }
        Ok(Self { place: Place { at, bytes: stored, crc }, raw_bytes })
    }
}
