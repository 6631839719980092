//! Deleted intervals of series: the `tombstones` file of a block.

use std::collections::BTreeMap;
use std::path::Path;

use model::TimeRange;

use super::meta::replace_file;
use crate::error::TsdbError;
use crate::wal::codec::{Decoder, put_uvarint, put_varint};

/// The name of the file.
pub const TOMBSTONES_FILE: &str = "tombstones";
const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

/// Ascending closed intervals with at least a millisecond between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intervals(Vec<TimeRange>);

impl Intervals {
    /// Adds an interval, joining those it touches.
    pub fn add(&mut self, new: TimeRange) {
        // Neighbours one millisecond apart touch: time is discrete.
        let first = self.0.partition_point(|old| old.end_ms < new.start_ms.saturating_sub(1));
        let last = self.0.partition_point(|old| old.start_ms <= new.end_ms.saturating_add(1));
        let mut joined = new;
        if let Some(touched) = self.0.get(first..last)
            && let (Some(a), Some(b)) = (touched.first(), touched.last())
        {
            joined = TimeRange::new(a.start_ms.min(new.start_ms), b.end_ms.max(new.end_ms));
        }
        self.0.splice(first..last.max(first), [joined]);
    }

    /// The intervals.
    pub fn as_slice(&self) -> &[TimeRange] {
        &self.0
    }

    /// Removes what ends before `t_ms`.
    pub fn drop_before(&mut self, t_ms: i64) {
        self.0.retain(|interval| interval.end_ms >= t_ms);
    }
}

impl FromIterator<TimeRange> for Intervals {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        let mut intervals = Self::default();
        ranges.into_iter().for_each(|range| intervals.add(range));
        intervals
    }
}

/// The parts of `range` that no interval of `deleted` covers, in order.
pub fn subtract(range: TimeRange, deleted: &[TimeRange]) -> impl Iterator<Item = TimeRange> + '_ {
    let mut rest = Some(range).filter(|r| !r.is_empty());
    let mut deleted = deleted.iter();
    std::iter::from_fn(move || {
        loop {
            let from = rest?;
            let Some(hole) = deleted.find(|hole| hole.end_ms >= from.start_ms) else {
                return rest.take();
            };
            if hole.start_ms > from.end_ms {
                return rest.take();
            }
            rest = hole
                .end_ms
                .checked_add(1)
                .map(|start| TimeRange::new(start, from.end_ms))
                .filter(|r| !r.is_empty());
            if hole.start_ms > from.start_ms {
                return Some(TimeRange::new(from.start_ms, hole.start_ms - 1));
            }
        }
    })
}

/// Whether every millisecond of `range` is deleted.
pub fn covers(deleted: &[TimeRange], range: TimeRange) -> bool {
    deleted.iter().any(|hole| hole.start_ms <= range.start_ms && range.end_ms <= hole.end_ms)
}

/// The deleted intervals of all series of a block or of the head, by series reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u64, Intervals>);

impl Tombstones {
    /// Adds an interval of a series.
    pub fn add(&mut self, series: u64, interval: TimeRange) {
        self.0.entry(series).or_default().add(interval);
    }

    /// The intervals of a series.
    pub fn get(&self, series: u64) -> &[TimeRange] {
        self.0.get(&series).map_or(&[], Intervals::as_slice)
    }

    /// Whether nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of intervals.
    pub fn len(&self) -> usize {
        self.0.values().map(|intervals| intervals.0.len()).sum()
    }

    /// All series with their intervals.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[TimeRange])> {
        self.0.iter().map(|(&series, intervals)| (series, intervals.as_slice()))
    }

    /// Removes the intervals of series for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(u64) -> bool) {
        self.0.retain(|&series, _| keep(series));
    }

    /// Removes intervals that end before `t_ms`.
    pub fn drop_before(&mut self, t_ms: i64) {
        self.0.values_mut().for_each(|intervals| intervals.drop_before(t_ms));
        self.0.retain(|_, intervals| !intervals.0.is_empty());
    }

    /// Decodes the content of the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let body_len =
            bytes.len().checked_sub(CRC_BYTES).filter(|&n| n > CRC_BYTES).ok_or("file is too short")?;
        let (body, crc) = bytes.split_at(body_len);
        if body[..4] != MAGIC.to_be_bytes() {
            return Err("invalid magic number".to_owned());
        }
        if body[4] != VERSION {
            return Err(format!("invalid tombstone format {:x}", body[4]));
        }
        // The checksum does not cover magic and version.
        if crc32c::crc32c(&body[5..]).to_be_bytes() != crc {
            return Err("checksum did not match".to_owned());
        }
        let mut decoder = Decoder::new(&body[5..]);
        let mut found = Self::default();
        while !decoder.is_empty() {
            let mut next = || Ok((decoder.uvarint()?, decoder.varint()?, decoder.varint()?));
            let (series, start_ms, end_ms) =
                next().map_err(|e: crate::wal::record::RecordError| e.to_string())?;
            if start_ms > end_ms {
                return Err(format!("interval of series {series} ends before it begins"));
            }
            found.add(series, TimeRange::new(start_ms, end_ms));
        }
        Ok(found)
    }

    /// The content of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.push(VERSION);
        for (series, intervals) in self.iter() {
            for interval in intervals {
                put_uvarint(&mut bytes, series);
                put_varint(&mut bytes, interval.start_ms);
                put_varint(&mut bytes, interval.end_ms);
            }
        }
        let crc = crc32c::crc32c(&bytes[5..]);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the file of the block in `dir`; no file means nothing is deleted.
    pub fn read(dir: &Path) -> Result<Self, TsdbError> {
        let path = dir.join(TOMBSTONES_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Self::decode(&bytes).map_err(|problem| TsdbError::corrupt(&path, problem)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(TsdbError::io("read", &path)(error)),
        }
    }

    /// Replaces the file of the block in `dir` in one step.
    pub fn write(&self, dir: &Path) -> Result<(), TsdbError> {
        replace_file(&dir.join(TOMBSTONES_FILE), &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(i64, i64)];

    fn ranges(pairs: &[(i64, i64)]) -> Vec<TimeRange> {
        pairs.iter().map(|&(a, b)| TimeRange::new(a, b)).collect()
    }

    #[test]
    fn intervals_join_when_they_touch() {
        let cases: [(Pairs, Pairs); 6] = [
            (&[(1, 5), (7, 9)], &[(1, 5), (7, 9)]),
            (&[(1, 5), (6, 9)], &[(1, 9)]),
            (&[(7, 9), (1, 5), (4, 8)], &[(1, 9)]),
            (&[(5, 6), (1, 2), (9, 9)], &[(1, 2), (5, 6), (9, 9)]),
            (&[(i64::MIN, 0), (i64::MIN, 3), (10, i64::MAX), (5, i64::MAX)], &[(i64::MIN, 3), (5, i64::MAX)]),
            (&[(3, 4), (i64::MIN, i64::MAX)], &[(i64::MIN, i64::MAX)]),
        ];
        for (added, expected) in cases {
            let joined: Intervals = ranges(added).into_iter().collect();
            assert_eq!(joined.as_slice(), ranges(expected), "{added:?}");
        }
    }

    #[test]
    fn subtraction_leaves_the_gaps() {
        let holes = ranges(&[(0, 4), (8, 9), (20, i64::MAX)]);
        let left = |a, b| subtract(TimeRange::new(a, b), &holes).collect::<Vec<_>>();
        assert_eq!(left(-5, 30), ranges(&[(-5, -1), (5, 7), (10, 19)]));
        assert_eq!(left(4, 5), ranges(&[(5, 5)]));
        assert_eq!(left(0, 4), []);
        assert_eq!(left(21, 22), []);
        assert_eq!(subtract(TimeRange::ALL, &[]).collect::<Vec<_>>(), [TimeRange::ALL]);
    }

    #[test]
    fn files_read_back_and_damage_is_found() {
        let mut stones = Tombstones::default();
        stones.add(32, TimeRange::new(-5, 100));
        stones.add(32, TimeRange::new(200, 300));
        stones.add(7, TimeRange::new(i64::MIN, i64::MAX));
        let bytes = stones.encode();
        assert_eq!(Tombstones::decode(&bytes), Ok(stones));
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 0x10;
            assert!(Tombstones::decode(&damaged).is_err(), "byte {i}");
            assert!(Tombstones::decode(&bytes[..i]).is_err(), "cut at {i}");
        }
    }
}
