//! An entry of the journal as a line of a stream.

use bytes::Bytes;
use wire::loki::PushEntry;

use super::file::JournalEntry;

/// Severities of syslog, the worst first.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];

/// Fields that become structured metadata, and under which names.
const METADATA: [(&str, &str); 7] = [
    ("SYSLOG_IDENTIFIER", "syslog_identifier"),
    ("_PID", "pid"),
    ("_TRANSPORT", "transport"),
    ("_SYSTEMD_USER_UNIT", "user_unit"),
    ("CONTAINER_NAME", "container"),
    ("CODE_FILE", "code_file"),
    ("MESSAGE_ID", "message_id"),
];

/// Whether a field is looked at.
pub(super) fn is_wanted(name: &str) -> bool {
    matches!(name, "MESSAGE" | "PRIORITY" | "_SYSTEMD_UNIT" | "_HOSTNAME")
        || METADATA.iter().any(|(field, _)| *field == name)
}

/// The labels that depend on the entry, and the line; none if it has no message.
pub(super) fn line(entry: &JournalEntry, max_bytes: usize) -> Option<(Vec<(String, String)>, PushEntry)> {
    let of = |name: &str| entry.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &value[..]);
    let text = |name: &str| of(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let message = Bytes::copy_from_slice(of("MESSAGE")?);
    let shown = message.len().min(max_bytes);
    let line = crate::logs::entries::text(&message, 0..shown, max_bytes);
    let priority = text("PRIORITY").and_then(|priority| priority.parse::<usize>().ok());
    let level = priority.and_then(|priority| LEVELS.get(priority)).map(|level| (*level).to_owned());
    let labels = [("unit", text("_SYSTEMD_UNIT")), ("level", level), ("host", text("_HOSTNAME"))];
    let labels = labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let mut metadata: Vec<(String, String)> =
        METADATA.iter().filter_map(|&(field, name)| Some((name.to_owned(), text(field)?))).collect();
    metadata.push(("boot_id".to_owned(), entry.boot_id.clone()));
    Some((labels, PushEntry { timestamp_ns: timestamp_ns(entry), line, metadata }))
}

/// The time of the entry. Equal messages of one microsecond differ below it, by the numbers of their entries.
fn timestamp_ns(entry: &JournalEntry) -> i64 {
    let realtime_us = i64::try_from(entry.realtime_us).unwrap_or(i64::MAX);
    realtime_us.saturating_mul(1000).saturating_add((entry.seqnum % 1000) as i64)
}
