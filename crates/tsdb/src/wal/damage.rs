//! What could not be read of a log.

use std::fmt;
use std::path::PathBuf;

/// A place of a segment that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// Where the first record that could not be read begins.
    pub offset: u64,
    /// Whether it reaches to the end of the file, as after a crash in the middle of a write.
    pub torn_end: bool,
    /// What is wrong.
    pub reason: String,
}

/// What the reasons of records end with that the end of the file cuts.
pub(super) const CUT_OFF: &str = "is cut off";

impl Damage {
    /// Whether the file simply ends in the middle of the record, as it does while a process writes it and
    /// after one was killed. Bytes that are there and wrong are not that.
    pub fn is_cut_off(&self) -> bool {
        self.torn_end && self.reason.ends_with(CUT_OFF)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: {}", self.path.display(), self.offset, self.reason)
    }
}

/// The damaged places of a log in the order they are read: of each segment the first, and how many there
/// are. A log of nothing but damage would else take as much memory as it has pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damages(Vec<DamagedSegment>);

/// A segment with damaged places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSegment {
    /// The first of them. If it is the torn end, it is the only one.
    pub first: Damage,
    /// How many there are.
    pub places: u64,
}

impl Damages {
    /// Adds a place behind all others.
    pub fn push(&mut self, damage: Damage) {
        match self.0.last_mut() {
            Some(segment) if segment.first.path == damage.path => segment.places += 1,
            _ => self.0.push(DamagedSegment { first: damage, places: 1 }),
        }
    }

    /// How many places there are in all segments.
    pub fn places(&self) -> u64 {
        self.0.iter().map(|segment| segment.places).sum()
    }

    /// The segments, in order.
    pub fn segments(&self) -> &[DamagedSegment] {
        &self.0
    }
}

impl fmt::Display for DamagedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.places > 1 {
            write!(f, ", and {} more places of this segment", self.places - 1)?;
        }
        Ok(())
    }
}
