//! Validation of what is pushed, and what is added to it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use hashbrown::HashSet;
use jiff::Timestamp;
use model::logs::{LogBatch, LogEntry, PushRefusal, RefusalKind};
use model::{Labels, TenantId};
use wire::loki::PushRequest;

use super::limits::LogLimits;
use super::metadata::{Metadata, Shared};
use super::metrics::Amount;
use super::{labels, level, metadata};

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Why a stream or an entry is not stored, with the reason under which it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub refusal: PushRefusal,
    pub reason: &'static str,
}

impl Problem {
    fn invalid(reason: &'static str, text: String) -> Self {
        Self { refusal: PushRefusal::new(RefusalKind::Invalid, text), reason }
    }
}

/// What can be stored of a request, and the first problem of what cannot.
#[derive(Debug, Default)]
pub struct Prepared {
    /// What can be stored.
    pub batches: Vec<LogBatch>,
    /// What is in them.
    pub amount: Amount,
    /// Bytes of the structured metadata in them.
    pub metadata_bytes: usize,
    /// Lines that were cut.
    pub truncated: Amount,
    /// What cannot be stored, by the reason.
    pub discarded: BTreeMap<&'static str, Amount>,
    /// Why the rest cannot.
    pub problem: Option<PushRefusal>,
    days: HashSet<i64>,
    shared: Shared,
}

/// A stream under validation.
pub(super) struct Stream {
    pub labels: Labels,
    pub shown: String,
    oldest_ns: i64,
    newest_ns: i64,
    /// The time of the last entry as it was sent, and as it is stored.
    last_ns: Option<(i64, i64)>,
}

/// An entry under validation.
pub(super) struct Draft {
    pub timestamp_ns: i64,
    pub line: Bytes,
    pub metadata: Result<Metadata, String>,
    /// Number and bytes of the metadata as it was sent.
    pub metadata_count: usize,
    pub metadata_bytes: usize,
}

impl Draft {
    pub fn amount(&self) -> Amount {
        Amount { entries: 1, bytes: (self.line.len() + self.metadata_bytes) as u64 }
    }
}

/// Prepares a request. Entries that are refused do not keep others from being stored; a request whose streams cannot
/// be told apart is refused as a whole.
pub fn prepare(
    request: PushRequest,
    tenant: &TenantId,
    limits: &LogLimits,
    now_ns: i64,
) -> Result<Prepared, PushRefusal> {
    let mut prepared = Prepared::default();
    for stream in request.streams {
        let read = labels::read(stream.labels);
        let pairs = read.map_err(|problem| PushRefusal::new(RefusalKind::Invalid, problem))?;
        let sent = stream.entries;
        let mut stream = match Stream::new(pairs, tenant, limits, now_ns) {
            Ok(stream) => stream,
            Err(problem) => {
                let lines = sent.iter().map(|entry| entry.line.len() as u64).sum();
                prepared.refuse(problem, Amount { entries: sent.len() as u64, bytes: lines });
                continue;
            }
        };
        let mut entries = Vec::with_capacity(sent.len());
        for entry in sent {
            let size = entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            let draft = Draft {
                timestamp_ns: entry.timestamp_ns,
                line: entry.line,
                metadata_count: entry.metadata.len(),
                metadata_bytes: size,
                metadata: metadata::of_pairs(entry.metadata),
            };
            if let Err(problem) = &draft.metadata {
                return Err(PushRefusal::new(RefusalKind::Failed, problem.clone()));
            }
            entries.extend(prepared.checked(&mut stream, draft, limits));
        }
        prepared.add(&stream, entries);
    }
    Ok(prepared)
}

impl Prepared {
    /// Takes up what can be stored of a stream.
    pub(super) fn add(&mut self, stream: &Stream, entries: Vec<LogEntry>) {
        if !entries.is_empty() {
            self.batches.push(LogBatch { stream: stream.labels.clone(), entries });
        }
    }

    /// Counts what cannot be stored.
    pub(super) fn refuse(&mut self, problem: Problem, amount: Amount) {
        self.discarded.entry(problem.reason).or_default().add(amount);
        self.problem.get_or_insert(problem.refusal);
    }

    /// An entry as it is stored, or nothing where it is refused.
    pub(super) fn checked(
        &mut self,
        stream: &mut Stream,
        mut draft: Draft,
        limits: &LogLimits,
    ) -> Option<LogEntry> {
        let amount = draft.amount();
        if let Err(problem) =
            stream.check(&draft, limits).and_then(|()| self.check_day(stream, &draft, limits))
        {
            self.refuse(problem, amount);
            return None;
        }
        if let Some(mark) = &limits.truncate_with
            && exceeds(draft.line.len(), limits.max_line_bytes)
        {
            draft.line = cut(&draft.line, limits.max_line_bytes, mark);
            let gone = amount.bytes.saturating_sub(draft.amount().bytes);
            self.truncated.add(Amount { entries: 1, bytes: gone });
        }
        // Checked above.
        let mut metadata = draft.metadata.unwrap_or_default();
        if limits.discover_levels && !metadata.iter().any(|(name, _)| &**name == level::DETECTED_LEVEL) {
            let level = level::detect(&limits.level_names, stream.labels.iter(), &metadata, &draft.line);
            self.shared.put_level(&mut metadata, &level);
        }
        self.amount.add(Amount { entries: 1, bytes: draft.line.len() as u64 });
        self.metadata_bytes += draft.metadata_bytes;
        let timestamp_ns = stream.time_of(draft.timestamp_ns, limits);
        Some(LogEntry { timestamp_ns, line: draft.line, metadata })
    }

    /// Each day of a push becomes an object of its own: there must not be too many.
    fn check_day(&mut self, stream: &Stream, draft: &Draft, limits: &LogLimits) -> Result<(), Problem> {
        let day = draft.timestamp_ns.div_euclid(DAY_NS);
        if self.days.contains(&day) {
            return Ok(());
        }
        if exceeds(self.days.len() + 1, limits.max_days) {
            let (shown, limit) = (&stream.shown, limits.max_days);
            let text = format!(
                "entry for stream '{shown}' is on one more day than the {limit} that one push may be about, send the days one after the other"
            );
            return Err(Problem::invalid("too_many_days", text));
        }
        self.days.insert(day);
        Ok(())
    }
}

impl Stream {
    pub fn new(
        mut pairs: labels::Pairs,
        tenant: &TenantId,
        limits: &LogLimits,
        now_ns: i64,
    ) -> Result<Self, Problem> {
        labels::add_service_name(&mut pairs, &limits.service_labels);
        let shown = labels::display(&pairs);
        let is_missing = |name: &&String| !pairs.iter().any(|(other, _)| other == *name);
        let missing: Vec<&str> =
            limits.enforced_labels.iter().filter(is_missing).map(String::as_str).collect();
        if !missing.is_empty() {
            let (missing, user) = (missing.join(","), &tenant.0);
            let text = format!("missing required labels {missing} for user {user} for stream {shown}");
            return Err(Problem::invalid("missing_enforced_labels", text));
        }
        let counted = pairs.iter().filter(|(name, _)| name != labels::SERVICE_NAME).count();
        if exceeds(counted, limits.max_label_names) {
            let limit = limits.max_label_names;
            let text = format!("entry for stream '{shown}' has {counted} label names; limit {limit}");
            return Err(Problem::invalid("max_label_names_per_series", text));
        }
        for (i, (name, value)) in pairs.iter().enumerate() {
            if exceeds(name.len(), limits.max_label_name_length) {
                let text = format!("stream '{shown}' has label name too long: '{name}'");
                return Err(Problem::invalid("label_name_too_long", text));
            }
            if exceeds(value.len(), limits.max_label_value_length) {
                let text = format!("stream '{shown}' has label value too long: '{value}'");
                return Err(Problem::invalid("label_value_too_long", text));
            }
            if i > 0 && pairs[i - 1].0 == *name {
                let text = format!("stream '{shown}' has duplicate label name: '{name}'");
                return Err(Problem::invalid("duplicate_label_names", text));
            }
        }
        let labels = Labels::from_sorted(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let oldest_ns = limits.oldest_ns(&labels, now_ns);
        let newest_ns = now_ns.saturating_add(limits.creation_grace_ns);
        Ok(Self { labels, shown, oldest_ns, newest_ns, last_ns: None })
    }

    fn check(&self, draft: &Draft, limits: &LogLimits) -> Result<(), Problem> {
        let shown = &self.shown;
        if let Err(problem) = &draft.metadata {
            return Err(Problem::invalid("invalid_labels", problem.clone()));
        }
        let at = |ns: i64| Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
        if draft.timestamp_ns < self.oldest_ns {
            let text = format!(
                "entry for stream '{shown}' has timestamp too old: {}, oldest acceptable timestamp is: {}",
                at(draft.timestamp_ns),
                at(self.oldest_ns)
            );
            return Err(Problem::invalid("greater_than_max_sample_age", text));
        }
        if draft.timestamp_ns > self.newest_ns {
            let text =
                format!("entry for stream '{shown}' has timestamp too new: {}", at(draft.timestamp_ns));
            return Err(Problem::invalid("too_far_in_future", text));
        }
        if limits.truncate_with.is_none() && exceeds(draft.line.len(), limits.max_line_bytes) {
            let (limit, len) = (limits.max_line_bytes, draft.line.len());
            let text = format!(
                "Max entry size '{limit}' bytes exceeded for stream '{shown}' while adding an entry with length '{len}' bytes"
            );
            return Err(Problem::invalid("line_too_long", text));
        }
        self.check_metadata(draft, limits)
    }

    fn check_metadata(&self, draft: &Draft, limits: &LogLimits) -> Result<(), Problem> {
        let (shown, size, count) = (&self.shown, draft.metadata_bytes, draft.metadata_count);
        if !limits.allow_metadata && count > 0 {
            let text = format!(
                "stream '{shown}' includes structured metadata, but this feature is disallowed. Please see `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it"
            );
            return Err(Problem::invalid("disallowed_structured_metadata", text));
        }
        if exceeds(size, limits.max_metadata_bytes) {
            let limit = limits.max_metadata_bytes;
            let text = format!(
                "stream '{shown}' has structured metadata too large: '{size}' bytes, limit: '{limit}' bytes. Please see `limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it"
            );
            return Err(Problem::invalid("structured_metadata_too_large", text));
        }
        if exceeds(count, limits.max_metadata_entries) {
            let limit = limits.max_metadata_entries;
            let text = format!(
                "stream '{shown}' has too many structured metadata labels: '{count}', limit: '{limit}'. Please see `limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it"
            );
            return Err(Problem::invalid("structured_metadata_too_many", text));
        }
        Ok(())
    }

    /// The time an entry is stored under.
    fn time_of(&mut self, sent_ns: i64, limits: &LogLimits) -> i64 {
        if !limits.increment_duplicate_timestamps {
            return sent_ns;
        }
        let stored_ns = match self.last_ns {
            Some((sent, stored)) if sent_ns == sent || sent_ns == stored => stored.saturating_add(1),
            _ => sent_ns,
        };
        self.last_ns = Some((sent_ns, stored_ns));
        stored_ns
    }
}

/// The beginning of a line, no longer than `max_bytes` with the mark it ends with.
fn cut(line: &[u8], max_bytes: usize, mark: &str) -> Bytes {
    let mut keep = max_bytes.saturating_sub(mark.len());
    // No character is cut in two: of those that go on, the first must go, too.
    while keep > 0 && line.get(keep).is_some_and(|byte| byte & 0xc0 == 0x80) {
        keep -= 1;
    }
    let mut out = BytesMut::with_capacity(keep + mark.len());
    out.extend_from_slice(&line[..keep]);
    out.extend_from_slice(&mark.as_bytes()[..mark.len().min(max_bytes)]);
    out.freeze()
}

fn exceeds(value: usize, limit: usize) -> bool {
    limit > 0 && value > limit
}
