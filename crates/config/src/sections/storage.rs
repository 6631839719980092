//! Storage settings that can change while the server runs.

use model::labels::Quoted;

use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::{ByteSize, PromDuration};
use crate::section::{Check, choice, section};

section! {
    /// Storage settings that take effect at a reload.
    pub struct StorageConfig ("storage", "config.StorageConfig") {
        /// The time series database.
        set tsdb: TsdbConfig;
        /// Exemplars.
        set exemplars: Option<ExemplarsConfig>;
    }
}

/// Exemplars kept when the configuration says nothing.
pub const DEFAULT_MAX_EXEMPLARS: i64 = 100_000;

impl StorageConfig {
    /// Exemplars kept in memory; 0 or less for none.
    pub fn max_exemplars(&self) -> i64 {
        self.exemplars.as_ref().map_or(DEFAULT_MAX_EXEMPLARS, |exemplars| exemplars.max_exemplars)
    }
}

section! {
    /// Settings of the time series database.
    pub struct TsdbConfig ("storage.tsdb", "config.plain") {
        /// How far into the past samples out of order are accepted; 0 for not at all.
        set out_of_order_time_window: PromDuration;
        /// The share of stale series in memory, from 0 to 1, at which they are compacted away; 0 for never.
        set stale_series_compaction_threshold: f64;
        /// Encodings of chunks.
        set chunk_encoding: ChunkEncodingConfig;
        /// What is kept.
        set retention: RetentionConfig;
    }
}

section! {
    /// Encodings of chunks.
    pub struct ChunkEncodingConfig ("storage.tsdb.chunk_encoding", "config.ChunkEncodingConfig") {
        /// The encoding of float chunks; absent, a feature flag decides.
        set floats: Option<FloatEncoding>;
    }
}

choice! {
    /// An encoding of float chunks.
    pub enum FloatEncoding {
        /// Deltas and XOR.
        Xor = "xor",
        /// Deltas and XOR, second version.
        Xor2 = "xor2",
    }
    wrong |word| format!(
        "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got {}",
        Quoted(word),
    )
}

section! {
    /// What is kept. Zero means that the limit does not apply or that the command line sets it.
    pub struct RetentionConfig ("storage.tsdb.retention", "config.plain") {
        /// How long samples are kept.
        set time: PromDuration;
        /// The most bytes of blocks.
        set size: ByteSize;
        /// The most percent of the disk.
        set percentage: f64;
    }
}

section! {
    /// Exemplar storage.
    pub struct ExemplarsConfig ("storage.exemplars", "config.ExemplarsConfig") {
        /// Exemplars kept in memory, over all series; 0 or less for none.
        set max_exemplars: i64;
    }
}

impl Check for RetentionConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.size.0 < 0 {
            let message = format!(
                "'storage.tsdb.retention.size' must be greater than or equal to 0, got {}",
                self.size
            );
            return Err(at.fault("size", message).remedy("write a size such as 50GB, or 0 for no limit"));
        }
        if !(0.0..=100.0).contains(&self.percentage) {
            let message = format!(
                "'storage.tsdb.retention.percentage' must be in the range [0, 100], got {}",
                self.percentage
            );
            return Err(at.fault("percentage", message).remedy("write a number from 0 to 100"));
        }
        Ok(())
    }
}

impl Check for StorageConfig {}
impl Check for TsdbConfig {}
impl Check for ChunkEncodingConfig {}
impl Check for ExemplarsConfig {}
