//! Structured metadata of a page group: columns of hot names, then pairs in the order of rows, as what each row has.

use std::ops::Range;

use blob::Object;
use model::logs::{ByteColumn, Metadata, MetadataBuilder};

use super::index::{FIXED_PAGES, GroupEntry, KEY, PageEntry, PageKind, SegmentIndex, VALUE};
use super::pages::{read_page, strings};
use super::reader::SegmentError;
use crate::codec::{Damaged, Input};
use crate::parquet::levels::{self, Codes};

const DISAGREE: Damaged = Damaged("names of metadata and their values do not agree");

/// Structured metadata of a group.
pub fn read(object: &dyn Object, index: &SegmentIndex, group: &GroupEntry) -> Result<Metadata, SegmentError> {
    let rows = group.rows as usize;
    let mut bytes = Vec::new();
    let mut hot = Vec::new();
    for (column, page) in group.pages[FIXED_PAGES..].iter().enumerate() {
        if page.kind != PageKind::Nothing {
            let dictionary = index.dictionary(group, column);
            let read = HotColumn::read(object, page, dictionary, rows, &mut bytes)?;
            hot.extend(read.map(|read| (&index.hot[column], read)));
        }
    }
    let pairs = match group.pages[KEY].kind {
        PageKind::Nothing => None,
        _ => Pairs::read(object, &group.pages[KEY], &group.pages[VALUE], group.levels as usize)?,
    };
    let entries = hot.iter().map(|(_, column)| column.count).sum::<usize>()
        + pairs.as_ref().map_or(0, |pairs| pairs.keys.len());
    if entries == 0 {
        return Ok(Metadata::default());
    }
    let mut builder = MetadataBuilder::with_capacity(rows, entries);
    let mut hot: Vec<_> = hot.into_iter().map(|(name, column)| (builder.name(name), column)).collect();
    let mut pairs = match pairs {
        Some(pairs) => Some(pairs.begin(&mut builder, &mut bytes)?),
        None => None,
    };
    for row in 0..rows {
        for (name, column) in &mut hot {
            if column.present.as_ref().is_none_or(|bits| bits[row]) {
                builder.push(*name, column.take()?);
            }
        }
        if let Some(pairs) = &mut pairs {
            pairs.take_row(|name, value| builder.push(name, value))?;
        }
        builder.end_row();
    }
    if pairs.is_some_and(|pairs| !pairs.is_over()) {
        return Err(DISAGREE.into());
    }
    Ok(builder.finish(bytes.into()).ok_or(DISAGREE)?)
}

fn count_of(bits: Option<&Vec<bool>>, all: usize) -> usize {
    bits.map_or(all, |bits| bits.iter().filter(|&&bit| bit).count())
}

/// Values in the order of rows, as parts of the bytes of all metadata of a page.
struct Values {
    offsets: Vec<u32>,
    base: u32,
    next: usize,
}

impl Values {
    fn of(column: &ByteColumn, bytes: &mut Vec<u8>) -> Self {
        let base = bytes.len() as u32;
        bytes.extend_from_slice(&column.bytes);
        Self { offsets: column.offsets.clone(), base, next: 0 }
    }

    fn get(&self, at: usize) -> Option<Range<u32>> {
        Some(self.base + self.offsets.get(at)?..self.base + self.offsets.get(at + 1)?)
    }

    /// The next value.
    fn take(&mut self) -> Option<Range<u32>> {
        self.next += 1;
        self.get(self.next - 1)
    }
}

/// The values of a hot name.
struct HotColumn {
    present: Option<Vec<bool>>,
    count: usize,
    /// For each value its number in the dictionary; all are values themselves where there is none.
    codes: Option<Vec<u8>>,
    next: usize,
    values: Values,
}

impl HotColumn {
    fn read(
        object: &dyn Object,
        page: &PageEntry,
        dictionary: Option<&PageEntry>,
        rows: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Self>, SegmentError> {
        let raw = read_page(object, page)?;
        let mut input = Input::new(&raw);
        let present = levels::decode_bits(&mut input, rows)?;
        let count = count_of(present.as_ref(), rows);
        if count == 0 {
            return Ok(None);
        }
        let (codes, values) = if page.kind == PageKind::Codes {
            let codes = match levels::decode_codes(&mut input, count)? {
                Codes::All(code) => vec![code; count],
                Codes::Each(codes) => codes.to_vec(),
            };
            let dictionary = dictionary.ok_or(Damaged("a dictionary is missing"))?;
            (Some(codes), plain_values(&read_page(object, dictionary)?, bytes)?)
        } else {
            let consumed = raw.len() - input.rest().len();
            (None, Values::of(&strings(raw, consumed, count)?, bytes))
        };
        Ok(Some(Self { present, count, codes, next: 0, values }))
    }

    fn take(&mut self) -> Result<Range<u32>, Damaged> {
        let value = match &self.codes {
            None => self.values.take(),
            Some(codes) => {
                self.next += 1;
                codes.get(self.next - 1).and_then(|&code| self.values.get(usize::from(code)))
            }
        };
        value.ok_or(DISAGREE)
    }
}

/// The values of a dictionary: each after its length in four bytes.
fn plain_values(raw: &[u8], bytes: &mut Vec<u8>) -> Result<Values, Damaged> {
    let (mut input, base, mut offsets) = (Input::new(raw), bytes.len() as u32, vec![0]);
    while !input.is_empty() {
        let len = input.u32()? as usize;
        bytes.extend_from_slice(input.take(len)?);
        offsets.push(bytes.len() as u32 - base);
    }
    Ok(Values { offsets, base, next: 0 })
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
    fn read(
        object: &dyn Object,
        keys: &PageEntry,
        values: &PageEntry,
        levels: usize,
    ) -> Result<Option<Self>, SegmentError> {
        let read = |page: &PageEntry| -> Result<_, SegmentError> {
            let raw = read_page(object, page)?;
            let mut input = Input::new(&raw);
            let goes_on = levels::decode_bits(&mut input, levels)?;
            let has_entry = levels::decode_bits(&mut input, levels)?;
            let (consumed, some) = (raw.len() - input.rest().len(), count_of(has_entry.as_ref(), levels));
            Ok((goes_on, has_entry, strings(raw, consumed, some)?))
        };
        let (goes_on, has_entry, keys) = read(keys)?;
        if keys.is_empty() {
            return Ok(None);
        }
        let (_, _, values) = read(values)?;
        if values.len() != keys.len() {
            return Err(DISAGREE.into());
        }
        Ok(Some(Self { goes_on, has_entry, keys, values, levels }))
    }

    fn begin(self, builder: &mut MetadataBuilder, bytes: &mut Vec<u8>) -> Result<PairsByRow, Damaged> {
        let mut names = Vec::with_capacity(self.keys.len());
        for at in 0..self.keys.len() {
            let name = std::str::from_utf8(self.keys.get(at));
            names.push(builder.name(name.map_err(|_| Damaged("a name of metadata is not UTF-8"))?));
        }
        let values = Values::of(&self.values, bytes);
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
                let name = self.names.get(self.values.next).copied();
                each(name.ok_or(DISAGREE)?, self.values.take().ok_or(DISAGREE)?);
            }
            self.level += 1;
        }
        if self.level > begin { Ok(()) } else { Err(DISAGREE) }
    }

    fn is_over(&self) -> bool {
        self.level == self.levels
    }
}
