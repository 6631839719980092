//! The write-ahead log: what was acknowledged and is in no object yet.
//!
//! One segment is one generation of the memtable; it goes when all its entries are in objects. In reading order:
//! [`disk`] (where segments are), [`record`] (one push as bytes), [`segment`] (records with checksums, and how they are found again).

pub mod disk;
pub mod record;
pub mod segment;

pub use disk::{Disk, DiskFile, LocalDisk};
pub use segment::{Header, Replayed, SegmentLog};
