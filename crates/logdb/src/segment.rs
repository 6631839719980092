//! Objects of log entries: a Parquet file, sorted by stream and time, with filters and an index before its footer.
//!
//! It must not know buckets, tenants or what else there is. In reading order: [`grams`] (filters of substrings and of values), [`index`] (what
//! is where), [`writer`], [`reader`].

pub mod grams;
pub mod index;
pub mod reader;
pub mod writer;

#[cfg(test)]
mod tests;

pub use index::{GroupEntry, Run, SegmentIndex};
pub use reader::Segment;
pub use writer::{SegmentOptions, SegmentWriter};
