//! Objects of log entries: a Parquet file, sorted by stream and time, with filters and an index before its footer.
//!
//! It must not know buckets, tenants or what else there is. In reading order: [`grams`] (what filters know of lines and
//! values), [`sliced`] (filters of many page groups side by side), [`first`] (those of the first version), [`index`] (what is
//! where), [`writer`] with `group` (the rows of one page group) and `squeeze` (compression), [`reader`] with `pages` (from
//! bytes to columns) and `metadata`.

pub mod first;
pub mod grams;
mod group;
pub mod index;
mod metadata;
mod pages;
pub mod reader;
pub mod sliced;
mod squeeze;
pub mod writer;

#[cfg(test)]
mod tests;

pub use index::{GroupEntry, Run, SegmentIndex};
pub use reader::{Probe, Segment};
pub use writer::{SegmentOptions, SegmentWriter};
