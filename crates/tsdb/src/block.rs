//! Blocks: immutable directories of series over a range of time, in Prometheus's format
//! (`docs/formats/block.md`).
//!
//! In reading order: [`meta`] (`meta.json`), [`tombstones`], [`chunk_files`] (`chunks/`), [`postings`]
//! (sets of series), [`index_reader`] and [`index_writer`] (`index`), [`writer`] (a whole block from a
//! [`crate::chunk_source::ChunkSource`]), [`reader`] (an open block), [`select`] (matchers to series), `candidates`
//! (those in range),
//! [`damage`] (what cannot be read) and [`series_set`] (reading them).

mod candidates;
pub mod chunk_files;
pub mod damage;
pub mod index_reader;
pub mod index_writer;
pub mod meta;
pub mod postings;
pub mod reader;
pub mod select;
pub mod series_set;
pub mod tombstones;
pub mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use meta::BlockMeta;
pub use reader::Block;
pub use tombstones::Tombstones;
pub use writer::write_block;
