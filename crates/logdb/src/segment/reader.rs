//! Reading an object: its index once, then page groups as columns.

use std::sync::Arc;

use blob::{BlobError, Object};
use bytes::Bytes;
use model::logs::{LogColumns, Page};

use super::grams::{Needle, value_hashes};
use super::index::{
    FIXED_PAGES, GroupEntry, KEY, LINE, NANOS, PageEntry, SegmentIndex, TIMESTAMP, TRAILER_BYTES, Trailer,
};
use super::pages::{decompress, read_page, read_place, strings, timestamps};
use super::sliced::{Band, BandBits};
use super::{first, metadata};
use crate::codec::Damaged;
use crate::parquet;

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
    index_bytes: usize,
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

/// Something a filter can be asked for.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Lines that hold any of these strings.
    Lines(Vec<Needle>),
    /// Rows with a value of metadata of this hash.
    Value(u64),
}

impl Segment {
    /// Reads the index of an object.
    pub fn open(object: Arc<dyn Object>) -> Result<Self, SegmentError> {
        let trailer = trailer_of(&*object)?;
        let stored = read_place(&*object, &trailer.place)?;
        let index_bytes = trailer.raw_bytes as usize;
        let index = SegmentIndex::decode(&decompress(&stored, index_bytes)?)?;
        Ok(Self { object, index, index_bytes })
    }

    /// An object whose index is known.
    pub fn with_index(object: Arc<dyn Object>, index: SegmentIndex) -> Self {
        Self { object, index, index_bytes: 0 }
    }

    /// What it holds.
    pub fn index(&self) -> &SegmentIndex {
        &self.index
    }

    /// Length of the index as it was read, before compression.
    pub fn index_bytes(&self) -> usize {
        self.index_bytes
    }

    /// Length of the object.
    pub fn size_bytes(&self) -> u64 {
        self.object.len_bytes()
    }

    /// Whether page groups may hold something, for each of `groups`, which are in order.
    pub fn may_hold(&self, probe: &Probe, groups: &[usize]) -> Result<Vec<bool>, SegmentError> {
        let (bands, hashes) = match probe {
            Probe::Lines(needles) => {
                let hashes = |band: &Band| -> Vec<Vec<u32>> {
                    needles.iter().map(|needle| needle.hashes(band.scheme).to_vec()).collect()
                };
                (&self.index.line_bands, Box::new(hashes) as Box<dyn Fn(&Band) -> Vec<Vec<u32>>>)
            }
            Probe::Value(hash) => {
                let hashes = value_hashes(*hash).to_vec();
                (&self.index.value_bands, Box::new(move |_: &Band| vec![hashes.clone()]) as Box<_>)
            }
        };
        if bands.is_empty() {
            return groups.iter().map(|&group| self.first_version_holds(probe, group)).collect();
        }
        let read = |at: u64, len: usize| -> Result<Bytes, SegmentError> {
            let end = at.checked_add(len as u64).filter(|&end| end <= self.object.len_bytes());
            Ok(self.object.read(at..end.ok_or(Damaged("a filter is beyond the end of the object"))?)?)
        };
        let mut found = Vec::with_capacity(groups.len());
        for band in bands {
            let end = (band.first_group + band.groups) as usize;
            let here = &groups[found.len()..];
            let here = &here[..here.partition_point(|&group| group < end)];
            if here.is_empty() {
                continue;
            }
            let mut bits = vec![0; (band.groups as usize).div_ceil(64)];
            for any in hashes(band) {
                let with = band.groups_with(&any, read)?;
                bits.iter_mut().zip(with).for_each(|(bits, with)| *bits |= with);
            }
            let is_set = |group: usize| {
                let at = group - band.first_group as usize;
                bits[at / 64] >> (at % 64) & 1 == 1
            };
            found.extend(here.iter().map(|&group| is_set(group)));
        }
        Ok(found)
    }

    /// Reads all filters, to see whether they are whole.
    pub fn check_filters(&self) -> Result<(), SegmentError> {
        for band in self.index.line_bands.iter().chain(&self.index.value_bands) {
            self.read_band(band)?;
        }
        for place in self.index.groups.iter().filter_map(|group| group.filters.as_ref()).flatten() {
            read_place(&*self.object, place)?;
        }
        Ok(())
    }

    /// All of a band, checked.
    pub fn read_band(&self, band: &Band) -> Result<BandBits, SegmentError> {
        let end = band.at.checked_add(band.bytes()).filter(|&end| end <= self.object.len_bytes());
        let end = end.ok_or(Damaged("a filter is beyond the end of the object"))?;
        Ok(BandBits::new(*band, self.object.read(band.at..end)?)?)
    }

    fn first_version_holds(&self, probe: &Probe, group: usize) -> Result<bool, SegmentError> {
        let Some([grams, values]) = &self.index.groups[group].filters else { return Ok(true) };
        match probe {
            Probe::Lines(needles) => {
                let filter = read_place(&*self.object, grams)?;
                Ok(needles.iter().any(|needle| needle.of_first_version().may_be_in(&filter)))
            }
            Probe::Value(hash) => Ok(first::value_may_be_in(*hash, &read_place(&*self.object, values)?)),
        }
    }

    /// Memory that reading a group takes.
    pub fn memory_of(&self, group: &GroupEntry, columns: LogColumns) -> usize {
        let rows = group.rows as usize;
        let raw = |pages: &[PageEntry]| pages.iter().map(|page| page.raw_bytes as usize).sum::<usize>();
        let mut bytes = 0;
        if columns.timestamps {
            bytes += rows * 8 + raw(&group.pages[TIMESTAMP..=NANOS]);
        }
        if columns.lines {
            bytes += rows * 4 + raw(&group.pages[LINE..=LINE]);
        }
        if columns.metadata {
            let hot = group.pages.len() - FIXED_PAGES;
            bytes += raw(&group.pages[KEY..]) * 2 + hot * rows * 14 + group.levels as usize * 20;
        }
        bytes
    }

    /// The columns of a group.
    pub fn read(&self, group: &GroupEntry, columns: LogColumns) -> Result<Page, SegmentError> {
        let object = &*self.object;
        let mut page = Page::default();
        if columns.timestamps {
            page.timestamps_ns = timestamps(object, self.index.unit, group)?;
        }
        if columns.lines {
            page.lines = strings(read_page(object, &group.pages[LINE])?, 0, group.rows as usize)?;
        }
        if columns.metadata {
            page.metadata = metadata::read(object, &self.index, group)?;
        }
        Ok(page)
    }
}
