//! Validation of what is pushed, and what is added to it.

use base::ErrorKind;
use jiff::Timestamp;
use model::Labels;
use model::logs::{LogBatch, LogEntry};
use wire::loki::{PushEntry, PushRequest};

use super::limits::LogLimits;
use super::{labels, level, metadata};

/// Why a request, or a part of it, is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What the sender can do.
    pub kind: ErrorKind,
    /// What is wrong, for the sender.
    pub text: String,
}

impl Problem {
    pub(super) fn invalid(text: String) -> Self {
        Self { kind: ErrorKind::InvalidInput, text }
    }
}

/// What can be stored of a request, and the first problem of what cannot.
#[derive(Debug, Default)]
pub struct Prepared {
    /// What can be stored.
    pub batches: Vec<LogBatch>,
    /// Number of entries in them.
    pub entries: usize,
    /// Bytes of their lines.
    pub bytes: usize,
    /// Why the rest cannot.
    pub problem: Option<Problem>,
}

/// A stream under validation.
pub(super) struct Stream {
    labels: Labels,
    shown: String,
}

/// Prepares a request. Entries that are refused do not keep others from being stored; a request whose streams cannot
/// be told apart is refused as a whole.
pub fn prepare(request: PushRequest, limits: &LogLimits, now_ns: i64) -> Result<Prepared, Problem> {
    let mut prepared = Prepared::default();
    for stream in request.streams {
        let pairs = labels::read(stream.labels).map_err(Problem::invalid)?;
        let stream_entries = stream.entries;
        let stream = match Stream::new(pairs, limits) {
            Ok(stream) => stream,
            Err(problem) => {
                prepared.problem.get_or_insert(problem);
                continue;
            }
        };
        let mut entries = Vec::with_capacity(stream_entries.len());
        for entry in stream_entries {
            match stream.entry(entry, limits, now_ns) {
                Ok(entry) => entries.push(entry),
                Err(problem) if problem.kind == ErrorKind::Internal => return Err(problem),
                Err(problem) => {
                    prepared.problem.get_or_insert(problem);
                }
            }
        }
        prepared.add(stream, entries);
    }
    Ok(prepared)
}

impl Prepared {
    pub(super) fn add(&mut self, stream: Stream, entries: Vec<LogEntry>) {
        if entries.is_empty() {
            return;
        }
        self.entries += entries.len();
        self.bytes += entries.iter().map(|entry| entry.line.len()).sum::<usize>();
        self.batches.push(LogBatch { stream: stream.labels, entries });
    }
}

impl Stream {
    pub fn new(mut pairs: labels::Pairs, limits: &LogLimits) -> Result<Self, Problem> {
        if limits.discover_service_name {
            labels::add_service_name(&mut pairs);
        }
        let shown = labels::display(&pairs);
        let counted = pairs.iter().filter(|(name, _)| name != labels::SERVICE_NAME).count();
        if exceeds(counted, limits.max_label_names) {
            let limit = limits.max_label_names;
            return Err(Problem::invalid(format!(
                "entry for stream '{shown}' has {counted} label names; limit {limit}"
            )));
        }
        for (name, value) in &pairs {
            if exceeds(name.len(), limits.max_label_name_length) {
                return Err(Problem::invalid(format!("stream '{shown}' has label name too long: '{name}'")));
            }
            if exceeds(value.len(), limits.max_label_value_length) {
                return Err(Problem::invalid(format!(
                    "stream '{shown}' has label value too long: '{value}'"
                )));
            }
        }
        let labels = Labels::from_sorted(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(Self { labels, shown })
    }

    pub fn entry(&self, entry: PushEntry, limits: &LogLimits, now_ns: i64) -> Result<LogEntry, Problem> {
        let shown = &self.shown;
        let size: usize = entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        let count = entry.metadata.len();
        let internal = |text| Problem { kind: ErrorKind::Internal, text };
        let mut metadata = metadata::of_pairs(entry.metadata).map_err(internal)?;
        if entry.timestamp_ns > now_ns.saturating_add(limits.creation_grace_ns) {
            let at = Timestamp::from_nanosecond(i128::from(entry.timestamp_ns)).unwrap_or_default();
            return Err(Problem::invalid(format!("entry for stream '{shown}' has timestamp too new: {at}")));
        }
        if exceeds(entry.line.len(), limits.max_line_bytes) {
            let (limit, len) = (limits.max_line_bytes, entry.line.len());
            return Err(Problem::invalid(format!(
                "Max entry size '{limit}' bytes exceeded for stream '{shown}' while adding an entry with length '{len}' bytes"
            )));
        }
        if exceeds(size, limits.max_metadata_bytes) {
            let limit = limits.max_metadata_bytes;
            return Err(Problem::invalid(format!(
                "stream '{shown}' has structured metadata too large: '{size}' bytes, limit: '{limit}' bytes. Please see `limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it"
            )));
        }
        if exceeds(count, limits.max_metadata_entries) {
            let limit = limits.max_metadata_entries;
            return Err(Problem::invalid(format!(
                "stream '{shown}' has too many structured metadata labels: '{count}', limit: '{limit}'. Please see `limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it"
            )));
        }
        if limits.discover_levels && !metadata.iter().any(|(name, _)| &**name == level::DETECTED_LEVEL) {
            let level = level::detect(self.labels.iter(), &metadata, &entry.line);
            metadata::put(&mut metadata, level::DETECTED_LEVEL, &level);
        }
        Ok(LogEntry { timestamp_ns: entry.timestamp_ns, line: entry.line, metadata })
    }
}

fn exceeds(value: usize, limit: usize) -> bool {
    limit > 0 && value > limit
}
