//! Reading an object: its index once, then page groups as columns.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use blob::{BlobError, Object};
use bytes::Bytes;
use model::logs::{ByteColumn, LogColumns, Metadata, MetadataBuilder, Page};

use super::index::{
    FIXED_PAGES, GroupEntry, KEY, LINE, PageEntry, Place, SegmentIndex, TIMESTAMP, TRAILER_BYTES, Trailer,
    VALUE,
};
use crate::codec::{Damaged, Input};
use crate::parquet::{self, delta, levels};

/// Why an object, or a part of it, could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SegmentError {
    /// The bucket failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

impl SegmentError {
    /// Whether the object is at fault, and not the way to it.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Blob(BlobError::NotFound(_)))
    }
}

/// An object that is open.
pub struct Segment {
    object: Arc<dyn Object>,
    index: SegmentIndex,
}

const CHECKSUM: Damaged = Damaged("a checksum is wrong");

fn read_place(object: &dyn Object, place: &Place) -> Result<Bytes, SegmentError> {
    let end = place.at.checked_add(u64::from(place.bytes)).filter(|&end| end <= object.len_bytes());
    let data = object.read(place.at..end.ok_or(Damaged("a part is beyond the end of the object"))?)?;
    if data.len() == place.bytes as usize && crc32c::crc32c(&data) == place.crc {
        Ok(data)
    } else {
        Err(CHECKSUM.into())
    }
}

/// Where the index of an object is, found from its end as any reader of Parquet finds the footer.
pub fn trailer_of(object: &dyn Object) -> Result<Trailer, SegmentError> {
    const TAIL: u64 = 8;
    let len = object.len_bytes();
    if len < TAIL + TRAILER_BYTES as u64 {
        return Err(Damaged("no log object: it is too short").into());
    }
    let tail = object.read(len - TAIL..len)?;
    if &tail[4..] != parquet::MAGIC {
        return Err(Damaged("no log object: it does not end as Parquet does").into());
    }
    let footer = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let end = len - TAIL;
    let begin =
        end.checked_sub(footer + TRAILER_BYTES as u64).ok_or(Damaged("a footer larger than the object"))?;
    Ok(Trailer::decode(&object.read(begin..begin + TRAILER_BYTES as u64)?)?)
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(stored: &[u8], raw_bytes: usize) -> Result<Vec<u8>, Damaged> {
    const FAILED: Damaged = Damaged("does not decompress to what was written");
    if zstd::zstd_safe::get_frame_content_size(stored).ok().flatten() != Some(raw_bytes as u64) {
        return Err(FAILED);
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(zstd::bulk::Decompressor::new().map_err(|_| FAILED)?),
        };
        let raw = decompressor.decompress(stored, raw_bytes).map_err(|_| FAILED)?;
        if raw.len() == raw_bytes { Ok(raw) } else { Err(FAILED) }
    })
}

impl Segment {
    /// Reads the index of an object.
    pub fn open(object: Arc<dyn Object>) -> Result<Self, SegmentError> {
        let trailer = trailer_of(&*object)?;
        let stored = read_place(&*object, &trailer.place)?;
        let index = SegmentIndex::decode(&decompress(&stored, trailer.raw_bytes as usize)?)?;
        Ok(Self { object, index })
    }

    /// An object whose index is known.
    pub fn with_index(object: Arc<dyn Object>, index: SegmentIndex) -> Self {
        Self { object, index }
    }

    /// What it holds.
    pub fn index(&self) -> &SegmentIndex {
        &self.index
    }

    /// Length of the object.
    pub fn size_bytes(&self) -> u64 {
        self.object.len_bytes()
    }

    /// The filter of substrings of a group.
    pub fn grams(&self, group: &GroupEntry) -> Result<Bytes, SegmentError> {
        read_place(&*self.object, &group.grams)
    }

    /// The filter of values of metadata of a group.
    pub fn values(&self, group: &GroupEntry) -> Result<Bytes, SegmentError> {
        read_place(&*self.object, &group.values)
    }

    fn page(&self, page: &PageEntry) -> Result<Vec<u8>, SegmentError> {
        let stored = read_place(&*self.object, &page.place)?;
        Ok(decompress(&stored, page.raw_bytes as usize)?)
    }

    /// Memory that reading a group takes.
    pub fn memory_of(&self, group: &GroupEntry, columns: LogColumns) -> usize {
        let rows = group.rows as usize;
        let raw = |pages: &[PageEntry]| pages.iter().map(|page| page.raw_bytes as usize).sum::<usize>();
        let mut bytes = rows * 8 + raw(&group.pages[TIMESTAMP..=TIMESTAMP]);
        if columns.lines {
            bytes += rows * 12 + raw(&group.pages[LINE..=LINE]);
        }
        if columns.metadata {
            bytes += raw(&group.pages[KEY..]) * 2
                + (group.pages.len() - FIXED_PAGES) * rows * 5
                + group.levels as usize * 16;
        }
        bytes
    }

    /// The columns of a group.
    pub fn read(&self, group: &GroupEntry, columns: LogColumns) -> Result<Page, SegmentError> {
        let rows = group.rows as usize;
        let mut page = Page::default();
        let raw = self.page(&group.pages[TIMESTAMP])?;
        delta::decode(&mut Input::new(&raw), rows, &mut page.timestamps_ns)?;
        if columns.lines {
            page.lines = strings(self.page(&group.pages[LINE])?, 0, rows)?;
        }
        if columns.metadata {
            page.metadata = self.metadata(group)?;
        }
        Ok(page)
    }

    /// Structured metadata of a group: columns of hot names, then pairs in the order of rows.
    fn metadata(&self, group: &GroupEntry) -> Result<Metadata, SegmentError> {
        let rows = group.rows as usize;
        let mut bytes = Vec::new();
        let mut hot = Vec::new();
        for (name, page) in self.index.hot.iter().zip(&group.pages[FIXED_PAGES..]) {
            let raw = self.page(page)?;
            let mut input = Input::new(&raw);
            let present = levels::decode_bits(&mut input, rows)?;
            let consumed = raw.len() - input.rest().len();
            let some = present.as_ref().map_or(rows, |bits| bits.iter().filter(|&&bit| bit).count());
            if some > 0 {
                hot.push((name, present, Values::of(strings(raw, consumed, some)?, &mut bytes)));
            }
        }
        let rest = self.pairs(group)?;
        let entries = hot.iter().map(|(.., values)| values.len()).sum::<usize>() + group.levels as usize;
        let mut builder = MetadataBuilder::with_capacity(rows, entries);
        let mut hot: Vec<_> =
            hot.into_iter().map(|(name, present, values)| (builder.name(name), present, values)).collect();
        let mut rest = match rest {
            Some(rest) => Some(rest.begin(&mut builder, &mut bytes)?),
            None => None,
        };
        for row in 0..rows {
            for (name, present, values) in &mut hot {
                if present.as_ref().is_none_or(|bits| bits[row]) {
                    builder.push(*name, values.take());
                }
            }
            if let Some(rest) = &mut rest {
                rest.take_row(|name, value| builder.push(name, value))?;
            }
            builder.end_row();
        }
        if rest.is_some_and(|rest| !rest.is_over()) {
            return Err(DISAGREE.into());
        }
        Ok(builder.finish(bytes.into()).ok_or(DISAGREE)?)
    }

    /// Names and values without a column of their own; nothing when there are none.
    fn pairs(&self, group: &GroupEntry) -> Result<Option<Pairs>, SegmentError> {
        let levels = group.levels as usize;
        let read = |page: &PageEntry| -> Result<_, SegmentError> {
            let raw = self.page(page)?;
            let mut input = Input::new(&raw);
            let goes_on = levels::decode_bits(&mut input, levels)?;
            let has_entry = levels::decode_bits(&mut input, levels)?;
            let consumed = raw.len() - input.rest().len();
            let some = has_entry.as_ref().map_or(levels, |bits| bits.iter().filter(|&&bit| bit).count());
            Ok((goes_on, has_entry, strings(raw, consumed, some)?))
        };
        let (goes_on, has_entry, keys) = read(&group.pages[KEY])?;
        if keys.is_empty() {
            return Ok(None);
        }
        let (_, _, values) = read(&group.pages[VALUE])?;
        if values.len() != keys.len() {
            return Err(DISAGREE.into());
        }
        Ok(Some(Pairs { goes_on, has_entry, keys, values, levels }))
    }
}

const DISAGREE: Damaged = Damaged("names of metadata and their values do not agree");

/// Values in the order of rows, as parts of the bytes of all metadata of a page.
struct Values {
    offsets: Vec<u32>,
    base: u32,
    next: usize,
}

impl Values {
    fn of(column: ByteColumn, bytes: &mut Vec<u8>) -> Self {
        let base = bytes.len() as u32;
        bytes.extend_from_slice(&column.bytes);
        Self { offsets: column.offsets, base, next: 0 }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The next value.
    fn take(&mut self) -> Range<u32> {
        let (begin, end) = (self.offsets[self.next], self.offsets[self.next + 1]);
        self.next += 1;
        self.base + begin..self.base + end
    }
}

/// Pairs of names and values with the levels that tell to which rows they belong.
struct Pairs {
    goes_on: Option<Vec<bool>>,
    has_entry: Option<Vec<bool>>,
    keys: ByteColumn,
    values: ByteColumn,
    levels: usize,
}

/// Pairs that are taken row by row.
struct PairsByRow {
    goes_on: Option<Vec<bool>>,
    has_entry: Option<Vec<bool>>,
    /// The number of the name of each pair.
    names: Vec<u32>,
    values: Values,
    levels: usize,
    level: usize,
}

impl Pairs {
    fn begin(self, builder: &mut MetadataBuilder, bytes: &mut Vec<u8>) -> Result<PairsByRow, Damaged> {
        let name = |at: usize| std::str::from_utf8(self.keys.get(at));
        let mut names = Vec::with_capacity(self.keys.len());
        for at in 0..self.keys.len() {
            names.push(builder.name(name(at).map_err(|_| Damaged("a name of metadata is not UTF-8"))?));
        }
        let values = Values::of(self.values, bytes);
        let Self { goes_on, has_entry, levels, .. } = self;
        Ok(PairsByRow { goes_on, has_entry, names, values, levels, level: 0 })
    }
}

impl PairsByRow {
    /// The pairs of the next row: a level that goes on belongs to the row of the one before.
    fn take_row(&mut self, mut each: impl FnMut(u32, Range<u32>)) -> Result<(), Damaged> {
        let begin = self.level;
        while self.level < self.levels {
            let goes_on = self.goes_on.as_ref().is_none_or(|bits| bits[self.level]);
            if self.level > begin && !goes_on {
                return Ok(());
            }
            if self.has_entry.as_ref().is_none_or(|bits| bits[self.level]) {
                each(self.names[self.values.next], self.values.take());
            }
            self.level += 1;
        }
        if self.level > begin { Ok(()) } else { Err(DISAGREE) }
    }

    fn is_over(&self) -> bool {
        self.level == self.levels
    }
}

/// Byte strings of a page: lengths, then the bytes, which are not copied.
fn strings(raw: Vec<u8>, begin: usize, count: usize) -> Result<ByteColumn, Damaged> {
    thread_local! {
        static LENGTHS: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
    }
    let mut input = Input::new(&raw[begin..]);
    let offsets = LENGTHS.with_borrow_mut(|lengths| {
        delta::decode(&mut input, count, lengths)?;
        let mut offsets = Vec::with_capacity(count + 1);
        let mut end = 0_i64;
        offsets.push(0);
        let mut all = 0;
        for &length in lengths.iter() {
            all |= length;
            end = end.wrapping_add(length);
            offsets.push(end as u32);
        }
        // Lengths below 2^31 each, of at most 2^31 rows, cannot wrap around: the last end tells of all.
        if all < 0 || all > i64::from(u32::MAX >> 1) || end != input.rest().len() as i64 {
            return Err(Damaged("lengths of strings do not agree with their bytes"));
        }
        Ok(offsets)
    })?;
    let consumed = raw.len() - input.rest().len();
    Ok(ByteColumn { bytes: Bytes::from(raw).slice(consumed..), offsets })
}
