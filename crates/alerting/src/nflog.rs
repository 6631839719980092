//! The log of notifications: which alerts of a group each integration was told of last, and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use wire::protobuf::{Reader, Schema, put_bytes, put_double, put_message, put_uint, put_varint};

use crate::alert::{after, before};
use crate::record::{next_version, put_time, take_time};

/// One way in which one receiver is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntegrationKey {
    /// The receiver.
    pub receiver: String,
    /// The kind, for example `email`.
    pub kind: &'static str,
    /// Its place among those of its kind in the receiver.
    pub index: u32,
}

impl std::fmt::Display for IntegrationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.kind, self.index)
    }
}

/// What an integration keeps about a group from one notification to the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
}

/// What an integration keeps about a group, by name.
pub type Notes = BTreeMap<String, Note>;

/// The last notification on a group by one integration.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// The group.
    pub group_key: String,
    /// The receiver's name, the kind and the index of the integration.
    pub integration: (String, String, u32),
    /// When it was told.
    pub at: Timestamp,
    /// Hashes of the alerts that were firing, sorted.
    pub firing: Vec<u64>,
    /// Hashes of the alerts that were resolved, sorted.
    pub resolved: Vec<u64>,
    /// What the integration keeps.
    pub notes: Notes,
    /// Hashes of alerts that may have been told as firing besides, by attempts that got no answer; sorted.
    pub perhaps: Vec<u64>,
    /// When the entry is forgotten.
    pub expires_at: Timestamp,
}

/// Why a notification is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The group has not been told of, or not since all of it was resolved.
    First,
    /// An alert fires that was not told of.
    NewAlerts,
    /// An alert was resolved.
    NewResolved,
    /// All alerts were resolved.
    AllResolved,
    /// Nothing changed for the repeat interval.
    Repeat,
}

impl Reason {
    /// The reason as templates see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::NewResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// Whether all of a sorted list are in another sorted one.
fn is_within(few: &[u64], many: &[u64]) -> bool {
    let mut many = many.iter();
    few.iter().all(|hash| many.find(|other| *other >= hash) == Some(hash))
}

/// How many alerts are remembered as told resolved although they are in no notification any more.
const MAX_REMEMBERED: usize = 64;

/// What is resolved now, and what was told as resolved before and does not fire: an alert that was resolved is posted
/// for a while, and whoever still has it, or has it again after a restart, must not tell it once more.
fn with_remembered(mut resolved: Vec<u64>, firing: &[u64], before: &[u64]) -> Vec<u64> {
    let gone = |hash: &&u64| firing.binary_search(hash).is_err() && resolved.binary_search(hash).is_err();
    let mut remembered: Vec<u64> = before.iter().filter(gone).copied().collect();
    remembered.truncate(MAX_REMEMBERED);
    resolved.append(&mut remembered);
    resolved.sort_unstable();
    resolved
}

/// The most alerts that are remembered as perhaps told.
const MAX_PERHAPS: usize = 10_000;

/// What is in a sorted list and in none of others.
fn without(hashes: &[u64], others: &[&[u64]]) -> Vec<u64> {
    let is_elsewhere = |hash: &u64| others.iter().any(|other| other.binary_search(hash).is_ok());
    hashes.iter().copied().filter(|hash| !is_elsewhere(hash)).collect()
}

/// What is in either of two lists, sorted.
fn union(some: &[u64], others: &[u64]) -> Vec<u64> {
    let mut all = [some, others].concat();
    all.sort_unstable();
    all.dedup();
    all.truncate(MAX_PERHAPS);
    all
}

/// Decides whether an integration has to be told, from what it was told last.
///
/// Hashes of alerts are sorted. That all alerts are resolved is a reason even where resolved alerts are not told, so that the log forgets what
/// was firing.
pub fn decide(
    entry: Option<&LogEntry>,
    (firing, resolved): (&[u64], &[u64]),
    sends_resolved: bool,
    repeat_interval: Duration,
    now: Timestamp,
) -> Option<Reason> {
    let Some(entry) = entry else { return (!firing.is_empty()).then_some(Reason::First) };
    if !is_within(firing, &entry.firing) {
        return Some(if entry.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
    }
    let may_know = || entry.perhaps.iter().any(|hash| resolved.binary_search(hash).is_ok());
    if firing.is_empty() {
        // What fired and was resolved between two notifications is not worth one, unless somebody may have heard.
        return (!entry.firing.is_empty() || may_know()).then_some(Reason::AllResolved);
    }
    if sends_resolved && (!is_within(resolved, &entry.resolved) || may_know()) {
        return Some(Reason::NewResolved);
    }
    (entry.at < before(now, repeat_interval)).then_some(Reason::Repeat)
}

/// The log.
#[derive(Debug)]
pub struct NotificationLog {
    retention: Duration,
    entries: HashMap<String, Arc<LogEntry>>,
}

/// What an entry of a group and integration is known by.
pub(crate) fn line(group_key: &str, integration: &IntegrationKey) -> String {
    key_of(group_key, &integration.receiver, integration.kind, integration.index)
}

fn key_of(group_key: &str, receiver: &str, kind: &str, index: u32) -> String {
    format!("{group_key}:{receiver}/{kind}/{index}")
}

impl LogEntry {
    /// What the entry is known by.
    pub(crate) fn line(&self) -> String {
        let (receiver, kind, index) = &self.integration;
        key_of(&self.group_key, receiver, kind, *index)
    }
}

impl NotificationLog {
    /// An empty log that forgets entries after `retention`.
    pub fn new(retention: Duration) -> Self {
        Self { retention, entries: HashMap::new() }
    }

    /// The last notification on a group.
    pub fn get(&self, group_key: &str, integration: &IntegrationKey) -> Option<&Arc<LogEntry>> {
        self.entries.get(&line(group_key, integration))
    }

    /// The entry known by a line.
    pub(crate) fn get_line(&self, line: &str) -> Option<&Arc<LogEntry>> {
        self.entries.get(line)
    }

    /// The entry for a notification that was sent, to be merged and written down.
    pub fn entry(
        &self,
        group_key: &str,
        integration: &IntegrationKey,
        (firing, resolved): (Vec<u64>, Vec<u64>),
        notes: Notes,
        repeat_interval: Duration,
        now: Timestamp,
    ) -> LogEntry {
        let known = self.get(group_key, integration);
        let resolved = match known {
            Some(known) => with_remembered(resolved, &firing, &known.resolved),
            None => resolved,
        };
        // Whatever state the receiver took those for, it knows better now.
        let perhaps = known.map_or(Vec::new(), |known| without(&known.perhaps, &[&firing, &resolved]));
        LogEntry {
            group_key: group_key.to_owned(),
            integration: (integration.receiver.clone(), integration.kind.to_owned(), integration.index),
            at: next_version(now, known.map(|known| known.at)),
            firing,
            resolved,
            notes,
            perhaps,
            expires_at: after(now, self.life(repeat_interval)),
        }
    }

    /// How long an entry is kept: it must outlive the next repetition, and need not live much longer.
    fn life(&self, repeat_interval: Duration) -> Duration {
        let expiry = repeat_interval.saturating_mul(2);
        if expiry.is_zero() { self.retention } else { expiry.min(self.retention) }
    }

    /// The entry for a notification that got no answer, to be merged and written down; `None` where all that fires was
    /// told, for sure or perhaps.
    pub fn perhaps(
        &self,
        group_key: &str,
        integration: &IntegrationKey,
        firing: &[u64],
        repeat_interval: Duration,
        now: Timestamp,
    ) -> Option<LogEntry> {
        let known = self.get(group_key, integration).map(|known| (**known).clone());
        let mut entry = known.unwrap_or_else(|| LogEntry {
            at: Timestamp::UNIX_EPOCH,
            ..self.entry(group_key, integration, Default::default(), Notes::new(), repeat_interval, now)
        });
        let told = std::mem::take(&mut entry.perhaps);
        entry.perhaps = union(&told, &without(firing, &[&entry.firing]));
        if entry.perhaps == told {
            return None;
        }
        // Before everything that was or will be told for sure, whenever others hear of it.
        entry.at = after(entry.at, Duration::from_nanos(1));
        entry.expires_at = entry.expires_at.max(after(now, self.life(repeat_interval)));
        Some(entry)
    }

    /// Joins what several instances say that was perhaps told since the same notification. Whether that was news.
    fn join(known: &mut Arc<LogEntry>, entry: &LogEntry) -> bool {
        if known.at != entry.at || is_within(&entry.perhaps, &known.perhaps) {
            return false;
        }
        let known = Arc::make_mut(known);
        known.perhaps = union(&known.perhaps, &entry.perhaps);
        known.expires_at = known.expires_at.max(entry.expires_at);
        true
    }

    /// Takes an entry, from here or from elsewhere, unless a later one is known or it is to be forgotten. Says
    /// whether it was news.
    pub fn merge(&mut self, mut entry: LogEntry, now: Timestamp) -> bool {
        let key = entry.line();
        if entry.expires_at < now {
            return false;
        }
        if let Some(known) = self.entries.get_mut(&key).filter(|known| known.at >= entry.at) {
            return Self::join(known, &entry);
        }
        if let Some(known) = self.entries.get(&key).filter(|known| !known.perhaps.is_empty()) {
            // Who told for sure may not have heard of it.
            let rest = without(&known.perhaps, &[&entry.firing, &entry.resolved]);
            entry.perhaps = union(&entry.perhaps, &rest);
        }
        self.entries.insert(key, Arc::new(entry));
        true
    }

    /// All entries, for a snapshot or a peer.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<LogEntry>> {
        self.entries.values()
    }

    /// Forgets what has expired. Says how many entries that were.
    pub fn forget_expired(&mut self, now: Timestamp) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.expires_at > now);
        before - self.entries.len()
    }
}

/// The number of the field that only this program writes; others skip it.
const PERHAPS: u32 = 1001;

static RECEIVER: Schema =
    Schema { message: "nflogpb.Receiver", fields: &[(1, "group_name"), (2, "integration"), (3, "idx")] };
static ENTRY: Schema = Schema {
    message: "nflogpb.Entry",
    fields: &[
        (1, "group_key"),
        (2, "receiver"),
        (5, "timestamp"),
        (6, "firing_alerts"),
        (7, "resolved_alerts"),
        (8, "receiver_data"),
        (PERHAPS, "perhaps_told"),
    ],
};
static NOTE: Schema =
    Schema { message: "nflogpb.Entry.ReceiverDataEntry", fields: &[(1, "key"), (2, "value")] };
static NOTE_VALUE: Schema = Schema {
    message: "nflogpb.ReceiverDataValue",
    fields: &[(1, "str_val"), (2, "int_val"), (3, "double_val")],
};
static RECORD: Schema = Schema { message: "nflogpb.MeshEntry", fields: &[(1, "entry"), (2, "expires_at")] };

fn put_hashes(out: &mut Vec<u8>, field: u32, hashes: &[u64]) {
    if !hashes.is_empty() {
        put_message(out, field, |out| hashes.iter().for_each(|hash| put_varint(out, *hash)));
    }
}

/// The message of an entry.
pub fn encode(entry: &LogEntry) -> Vec<u8> {
    let mut out = Vec::new();
    let (receiver, kind, index) = &entry.integration;
    put_message(&mut out, 1, |out| {
        put_bytes(out, 1, entry.group_key.as_bytes());
        put_message(out, 2, |out| {
            put_bytes(out, 1, receiver.as_bytes());
            put_bytes(out, 2, kind.as_bytes());
            if *index != 0 {
                put_uint(out, 3, u64::from(*index));
            }
        });
        put_time(out, 5, entry.at);
        put_hashes(out, 6, &entry.firing);
        put_hashes(out, 7, &entry.resolved);
        for (name, note) in &entry.notes {
            put_message(out, 8, |out| {
                put_bytes(out, 1, name.as_bytes());
                put_message(out, 2, |out| match note {
                    Note::Text(text) => put_bytes(out, 1, text.as_bytes()),
                    Note::Int(number) => put_uint(out, 2, *number as u64),
                    Note::Float(number) => put_double(out, 3, *number),
                });
            });
        }
        put_hashes(out, PERHAPS, &entry.perhaps);
    });
    put_time(&mut out, 2, entry.expires_at);
    out
}

/// The entry of a message; the error says what is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<LogEntry, String> {
    decode_record(bytes).map_err(|error| error.to_string())
}

fn decode_record(bytes: &[u8]) -> Result<LogEntry, wire::protobuf::ProtobufError> {
    let epoch = Timestamp::UNIX_EPOCH;
    let mut entry = LogEntry {
        group_key: String::new(),
        integration: (String::new(), String::new(), 0),
        at: epoch,
        firing: Vec::new(),
        resolved: Vec::new(),
        notes: Notes::new(),
        perhaps: Vec::new(),
        expires_at: epoch,
    };
    let mut reader = Reader::new(bytes, &RECORD);
    while let Some(field) = reader.field()? {
        match field {
            1 => decode_entry(reader.message(&ENTRY)?, &mut entry)?,
            2 => entry.expires_at = take_time(&mut reader)?,
            _ => reader.skip()?,
        }
    }
    // Other writers may have another order.
    entry.firing.sort_unstable();
    entry.resolved.sort_unstable();
    entry.perhaps.sort_unstable();
    Ok(entry)
}

fn decode_entry(mut reader: Reader<'_>, entry: &mut LogEntry) -> Result<(), wire::protobuf::ProtobufError> {
    while let Some(field) = reader.field()? {
        match field {
            1 => entry.group_key = reader.text()?.to_owned(),
            2 => {
                let mut fields = reader.message(&RECEIVER)?;
                while let Some(field) = fields.field()? {
                    match field {
                        1 => entry.integration.0 = fields.text()?.to_owned(),
                        2 => entry.integration.1 = fields.text()?.to_owned(),
                        3 => entry.integration.2 = fields.uint()? as u32,
                        _ => fields.skip()?,
                    }
                }
            }
            5 => entry.at = take_time(&mut reader)?,
            6 => reader.uints(|hash| {
                entry.firing.push(hash);
                Ok(())
            })?,
            7 => reader.uints(|hash| {
                entry.resolved.push(hash);
                Ok(())
            })?,
            8 => {
                let mut fields = reader.message(&NOTE)?;
                let (mut name, mut note) = (String::new(), None);
                while let Some(field) = fields.field()? {
                    match field {
                        1 => name = fields.text()?.to_owned(),
                        2 => note = decode_note(fields.message(&NOTE_VALUE)?)?,
                        _ => fields.skip()?,
                    }
                }
                entry.notes.extend(note.map(|note| (name, note)));
            }
            PERHAPS => reader.uints(|hash| {
                entry.perhaps.push(hash);
                Ok(())
            })?,
            _ => reader.skip()?,
        }
    }
    Ok(())
}

fn decode_note(mut reader: Reader<'_>) -> Result<Option<Note>, wire::protobuf::ProtobufError> {
    let mut note = None;
    while let Some(field) = reader.field()? {
        match field {
            1 => note = Some(Note::Text(reader.text()?.to_owned())),
            2 => note = Some(Note::Int(reader.int()?)),
            3 => note = Some(Note::Float(reader.double()?)),
            _ => reader.skip()?,
        }
    }
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::from_ms;

    const REPEAT: Duration = Duration::from_secs(100);

    fn integration() -> IntegrationKey {
        IntegrationKey { receiver: "team".to_owned(), kind: "email", index: 1 }
    }

    fn entry(firing: &[u64], resolved: &[u64], at: i64) -> LogEntry {
        let log = NotificationLog::new(Duration::from_secs(432_000));
        let notes =
            Notes::from([("ts".to_owned(), Note::Text("1.2".to_owned())), ("n".to_owned(), Note::Int(-3))]);
        log.entry("{}:{}", &integration(), (firing.to_vec(), resolved.to_vec()), notes, REPEAT, from_ms(at))
    }

    fn decided(
        entry: Option<LogEntry>,
        firing: &[u64],
        resolved: &[u64],
        sends_resolved: bool,
    ) -> Option<Reason> {
        decide(entry.as_ref(), (firing, resolved), sends_resolved, REPEAT, from_ms(100_000))
    }

    #[test]
    fn what_has_to_be_told_depends_on_what_was() {
        assert_eq!(decided(None, &[1], &[], true), Some(Reason::First));
        assert_eq!(decided(None, &[], &[1], true), None, "nobody heard of it");
        assert_eq!(decided(Some(entry(&[1], &[], 0)), &[1, 2], &[], true), Some(Reason::NewAlerts));
        assert_eq!(decided(Some(entry(&[], &[1], 0)), &[2], &[], true), Some(Reason::First));
        assert_eq!(decided(Some(entry(&[1], &[], 0)), &[], &[1], false), Some(Reason::AllResolved));
        assert_eq!(decided(Some(entry(&[], &[1], 0)), &[], &[2], true), None);
        assert_eq!(decided(Some(entry(&[1, 2], &[], 0)), &[1], &[2], true), Some(Reason::NewResolved));
        assert_eq!(decided(Some(entry(&[1, 2], &[], 1)), &[1], &[2], false), None);
        assert_eq!(decided(Some(entry(&[1, 2], &[3], 1)), &[1], &[3], true), None, "told before");
    }

    #[test]
    fn what_was_perhaps_told_is_told_to_be_resolved() {
        let mut log = NotificationLog::new(Duration::from_secs(432_000));
        let perhaps = |log: &NotificationLog, firing: &[u64], at| {
            log.perhaps("{}:{}", &integration(), firing, REPEAT, from_ms(at))
        };
        let first = perhaps(&log, &[1, 5], 1).unwrap();
        assert_eq!(decode(&encode(&first)).unwrap(), first);
        assert_eq!(decided(Some(first.clone()), &[1], &[], true), Some(Reason::First), "it is not sure");
        assert_eq!(decided(Some(first.clone()), &[], &[5], true), Some(Reason::AllResolved));
        assert_eq!(decided(Some(first.clone()), &[], &[2], true), None, "of that nobody heard");
        log.merge(first, from_ms(1));
        assert_eq!(perhaps(&log, &[5], 2), None, "known already");
        let second = perhaps(&log, &[7], 2).unwrap();
        assert_eq!((&second.firing[..], &second.perhaps[..]), (&[][..], &[1, 5, 7][..]));
        // What is told for sure takes the place of that.
        log.merge(second, from_ms(2));
        log.merge(entry(&[1], &[5], 3), from_ms(3));
        assert_eq!(log.get("{}:{}", &integration()).unwrap().perhaps, [7]);
        let third = perhaps(&log, &[1, 9], 4).unwrap();
        assert_eq!((&third.firing[..], &third.perhaps[..]), (&[1][..], &[7, 9][..]));
        assert_eq!(third.notes.len(), 2, "what is kept stays");
        assert_eq!(decided(Some(third.clone()), &[1], &[5], true), None, "told before");
        assert_eq!(decided(Some(third), &[1], &[9], true), Some(Reason::NewResolved));
    }

    #[test]
    fn what_is_perhaps_told_never_hides_what_is_told() {
        let mut log = NotificationLog::new(Duration::from_secs(432_000));
        let elsewhere = NotificationLog::new(Duration::from_secs(432_000));
        let perhaps = |firing: &[u64], at| {
            elsewhere.perhaps("{}:{}", &integration(), firing, REPEAT, from_ms(at)).unwrap()
        };
        assert!(log.merge(perhaps(&[1], 10), from_ms(10)));
        assert!(log.merge(perhaps(&[2], 11), from_ms(11)) && !log.merge(perhaps(&[1], 12), from_ms(12)));
        assert_eq!(log.get("{}:{}", &integration()).unwrap().perhaps, [1, 2]);
        assert!(log.merge(entry(&[1], &[], 5), from_ms(13)));
        let told = log.get("{}:{}", &integration()).unwrap();
        assert_eq!(
            (&told.firing[..], &told.perhaps[..]),
            (&[1][..], &[2][..]),
            "who told it did not hear of it"
        );
        assert!(!log.merge(perhaps(&[3], 14), from_ms(14)), "nor somebody else of that");
    }

    #[test]
    fn a_notification_is_repeated_once_the_interval_has_passed() {
        assert_eq!(decided(Some(entry(&[1], &[], 0)), &[1], &[], true), None, "not at the very moment");
        assert_eq!(decided(Some(entry(&[1], &[], -1)), &[1], &[], true), Some(Reason::Repeat));
    }

    #[test]
    fn entries_survive_and_the_later_one_holds() {
        let (old, new) = (entry(&[1, u64::MAX], &[], 5), entry(&[2], &[1], 6));
        assert_eq!(decode(&encode(&old)).unwrap(), old);
        let mut log = NotificationLog::new(Duration::from_secs(432_000));
        assert!(log.merge(new.clone(), from_ms(7)));
        assert!(!log.merge(old, from_ms(7)));
        assert_eq!(log.get("{}:{}", &integration()).unwrap().firing, [2]);
        assert_eq!(log.forget_expired(new.expires_at), 1);
    }
}
