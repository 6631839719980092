//! What a tenant may push, under the names users of log stores know.

/// Limits of one tenant; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogLimits {
    /// Bytes of lines a second, on average.
    pub ingestion_rate_bytes: f64,
    /// Bytes of lines that may come at once.
    pub ingestion_burst_bytes: u64,
    /// Labels of a stream, the derived name of its service not counted.
    pub max_label_names: usize,
    /// Bytes of a label name.
    pub max_label_name_length: usize,
    /// Bytes of a label value.
    pub max_label_value_length: usize,
    /// Bytes of a line.
    pub max_line_bytes: usize,
    /// Entries of structured metadata of a line.
    pub max_metadata_entries: usize,
    /// Bytes of structured metadata of a line.
    pub max_metadata_bytes: usize,
    /// How far in the future a time stamp may lie, in nanoseconds.
    pub creation_grace_ns: i64,
    /// Whether streams get the label `service_name`.
    pub discover_service_name: bool,
    /// Whether lines get the level they tell as structured metadata `detected_level`.
    pub discover_levels: bool,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            ingestion_rate_bytes: 0.0,
            ingestion_burst_bytes: 0,
            max_label_names: 15,
            max_label_name_length: 1024,
            max_label_value_length: 2048,
            max_line_bytes: 256 << 10,
            max_metadata_entries: 128,
            max_metadata_bytes: 64 << 10,
            creation_grace_ns: 10 * 60 * 1_000_000_000,
            discover_service_name: true,
            discover_levels: true,
        }
    }
}
