//! From the bytes of an object to columns.

use std::cell::RefCell;

use blob::Object;
use bytes::Bytes;
use model::logs::ByteColumn;

use super::index::{GroupEntry, MICROS, NANOS, PageEntry, PageKind, Place, TIMESTAMP, TimeUnit};
use super::reader::SegmentError;
use crate::codec::{Damaged, Input};
use crate::parquet::delta;

const CHECKSUM: Damaged = Damaged("a checksum is wrong");

fn end_of(object: &dyn Object, place: &Place) -> Result<u64, SegmentError> {
    let end = place.at.checked_add(u64::from(place.bytes)).filter(|&end| end <= object.len_bytes());
    Ok(end.ok_or(Damaged("a part is beyond the end of the object"))?)
}

/// A part of an object whose checksum is right.
pub fn read_place(object: &dyn Object, place: &Place) -> Result<Bytes, SegmentError> {
    let data = object.read(place.at..end_of(object, place)?)?;
    if data.len() == place.bytes as usize && crc32c::crc32c(&data) == place.crc {
        Ok(data)
    } else {
        Err(CHECKSUM.into())
    }
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What was compressed.
pub fn decompress(stored: &[u8], raw_bytes: usize) -> Result<Vec<u8>, Damaged> {
    const FAILED: Damaged = Damaged("does not decompress to what was written");
    if zstd::zstd_safe::get_frame_content_size(stored).ok().flatten() != Some(raw_bytes as u64) {
        return Err(FAILED);
    }
    let mut raw = Vec::with_capacity(raw_bytes);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(zstd::bulk::Decompressor::new().map_err(|_| FAILED)?),
        };
        let written = decompressor.decompress_to_buffer(stored, &mut raw).map_err(|_| FAILED)?;
        if written == raw_bytes { Ok(()) } else { Err(FAILED) }
    })?;
    Ok(raw)
}

/// The content of a page.
pub fn read_page(object: &dyn Object, page: &PageEntry) -> Result<Vec<u8>, SegmentError> {
    let stored = read_place(object, &page.place)?;
    Ok(decompress(&stored, page.raw_bytes as usize)?)
}

/// The timestamps of a group.
pub fn timestamps(object: &dyn Object, unit: TimeUnit, group: &GroupEntry) -> Result<Vec<i64>, SegmentError> {
    let rows = group.rows as usize;
    let mut times = Vec::new();
    let read = |column: usize, out: &mut Vec<i64>| -> Result<(), SegmentError> {
        let raw = read_page(object, &group.pages[column])?;
        Ok(delta::decode(&mut Input::new(&raw), rows, out)?)
    };
    read(TIMESTAMP, &mut times)?;
    if unit != TimeUnit::Nanos {
        times.iter_mut().for_each(|time| *time = time.wrapping_mul(unit.ns()));
    }
    let mut parts = Vec::new();
    for (column, unit_ns) in [(MICROS, 1000), (NANOS, 1)] {
        if group.pages[column].kind != PageKind::Nothing {
            read(column, &mut parts)?;
            let add = |(time, part): (&mut i64, &i64)| *time = time.wrapping_add(part.wrapping_mul(unit_ns));
            times.iter_mut().zip(&parts).for_each(add);
        }
    }
    Ok(times)
}

/// Byte strings of a page: lengths, then the bytes, which are not copied.
pub fn strings(raw: Vec<u8>, begin: usize, count: usize) -> Result<ByteColumn, Damaged> {
    let mut input = Input::new(raw.get(begin..).ok_or(Damaged("cut short"))?);
    let offsets = delta::decode_ends(&mut input, count)?;
    if offsets.last().copied().unwrap_or(0) as usize != input.rest().len() {
        return Err(Damaged("lengths of strings do not agree with their bytes"));
    }
    let consumed = raw.len() - input.rest().len();
    Ok(ByteColumn { bytes: Bytes::from(raw).slice(consumed..), offsets })
}
