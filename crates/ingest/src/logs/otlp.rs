//! Requests of OpenTelemetry: which attributes become labels of streams, and which structured metadata.
//!
//! What records have in common is made once and shared. Still a record of two bytes may say as much as its resource
//! does: each is paid for as it is made, and a request that would become too large ends there.

use std::collections::BTreeMap;

use base::Reservation;
use base::budget::BudgetExceeded;
use bytes::Bytes;
use model::TenantId;
use model::logs::{LogEntry, PushRefusal, RefusalKind};
use wire::loki::{ENTRY_COST_BYTES, Meter, PAIR_COST_BYTES};
use wire::otlp::logs::{LogRecord, LogScope, LogVisitor, visit};
use wire::otlp::{AnyValue, Attributes, DecodeError};
use wire::protobuf::Problem as Damage;

use super::labels::Pairs;
use super::limits::LogLimits;
use super::metadata::{Metadata, joined, name_of, of_pairs};
use super::prepare::{Draft, Prepared, Stream};

/// How deep maps in attributes are taken apart.
const MAX_DEPTH: usize = 8;
/// What a pair costs in an entry that shares its name and value with others.
const SHARED_PAIR_BYTES: usize = 32;

/// What a request may become.
pub struct Room<'m> {
    /// Bytes of lines and metadata of all records.
    pub max_bytes: usize,
    /// Where its memory comes from.
    pub memory: &'m mut Reservation,
}

/// Prepares a request in protobuf.
pub fn prepare(
    body: &[u8],
    tenant: &TenantId,
    limits: &LogLimits,
    now_ns: i64,
    room: Room<'_>,
) -> Result<Prepared, PushRefusal> {
    let mut translation = Translation {
        tenant,
        limits,
        now_ns,
        labels: Vec::new(),
        resource: Part::default(),
        common: Part::default(),
        shared: Ok(Metadata::new()),
        streams: BTreeMap::new(),
        prepared: Prepared::default(),
        left_bytes: room.max_bytes,
        meter: Meter::new(room.memory),
        stop: None,
    };
    visit(body, &mut translation).map_err(|error| PushRefusal::new(RefusalKind::Invalid, text_of(&error)))?;
    match translation.stop {
        Some(Stop::Memory(exceeded)) => return Err(PushRefusal::busy(exceeded.to_string())),
        Some(Stop::TooLarge) => {
            let text = format!("the records of the request have more than {} bytes", room.max_bytes);
            return Err(PushRefusal::new(RefusalKind::TooLarge, text));
        }
        None => {}
    }
    let mut prepared = translation.prepared;
    for (stream, entries) in translation.streams.into_values().flatten() {
        prepared.add(&stream, entries);
    }
    Ok(prepared)
}

fn text_of(error: &DecodeError) -> String {
    match error {
        DecodeError::Protobuf(error) => match error.problem {
            Damage::IllegalWireType(wire_type) => format!("proto: illegal wireType {wire_type}"),
            _ => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// Why nothing more is taken of a request.
enum Stop {
    Memory(BudgetExceeded),
    TooLarge,
}

impl From<BudgetExceeded> for Stop {
    fn from(exceeded: BudgetExceeded) -> Self {
        Self::Memory(exceeded)
    }
}

/// Metadata as it was sent.
#[derive(Default, Clone)]
struct Part {
    pairs: Pairs,
    bytes: usize,
}

impl Part {
    fn of(pairs: Pairs) -> Self {
        let bytes = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        Self { pairs, bytes }
    }
}

struct Translation<'l, 'm> {
    tenant: &'l TenantId,
    limits: &'l LogLimits,
    now_ns: i64,
    /// Labels of the streams of the current resource.
    labels: Pairs,
    /// Metadata of its records.
    resource: Part,
    /// Metadata of the records of the current scope, that of the resource included.
    common: Part,
    /// The same as it is stored.
    shared: Result<Metadata, String>,
    /// Streams by their labels; nothing where they are refused.
    streams: BTreeMap<Pairs, Option<(Stream, Vec<LogEntry>)>>,
    prepared: Prepared,
    left_bytes: usize,
    meter: Meter<'m>,
    stop: Option<Stop>,
}

/// Appends an attribute; those in maps one by one.
fn push(out: &mut Pairs, name: &str, value: &AnyValue<'_>, depth: usize) {
    match value {
        AnyValue::Map(_) if depth > 0 => {
            for entry in value.entries() {
                push(out, &format!("{name}_{}", entry.key), &entry.value, depth - 1);
            }
        }
        AnyValue::Empty => {}
        value => out.push((name.to_owned(), value.text().into_owned())),
    }
}

fn push_all(out: &mut Pairs, attributes: &Attributes<'_>) -> Result<(), DecodeError> {
    for attribute in attributes.iter() {
        let attribute = attribute?;
        push(out, attribute.key, &attribute.value, MAX_DEPTH);
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl<'a> LogVisitor<'a> for Translation<'_, '_> {
    fn resource(&mut self, attributes: &Attributes<'a>) -> Result<(), DecodeError> {
        self.labels.clear();
        let mut metadata = Pairs::new();
        for attribute in attributes.iter() {
            let attribute = attribute?;
            if self.limits.label_attributes.iter().any(|label| label == attribute.key) {
                let name = name_of(attribute.key).unwrap_or_else(|_| attribute.key.to_owned());
                let value = attribute.value.text().into_owned();
                self.labels.retain(|(other, _)| *other != name);
                if !value.is_empty() {
                    self.labels.push((name, value));
                }
            } else {
                push(&mut metadata, attribute.key, &attribute.value, MAX_DEPTH);
            }
        }
        self.labels.sort();
        self.resource = Part::of(metadata);
        Ok(())
    }

    fn scope(&mut self, scope: &LogScope<'a>) -> Result<(), DecodeError> {
        let mut pairs = self.resource.pairs.clone();
        push_all(&mut pairs, &scope.attributes)?;
        for (name, value) in [("scope_name", scope.name), ("scope_version", scope.version)] {
            if !value.is_empty() {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        }
        if scope.dropped_attributes > 0 {
            pairs.push(("scope_dropped_attributes_count".to_owned(), scope.dropped_attributes.to_string()));
        }
        self.common = Part::of(pairs);
        self.shared = of_pairs(self.common.pairs.clone());
        Ok(())
    }

    fn record(&mut self, record: &LogRecord<'a>) -> Result<(), DecodeError> {
        if self.stop.is_some() {
            return Ok(());
        }
        let own = Part::of(pairs_of(record)?);
        let time_ns = [record.time_ns, record.observed_ns].into_iter().find(|time| *time > 0);
        let timestamp_ns = time_ns.map_or(self.now_ns, |time| i64::try_from(time).unwrap_or(i64::MAX));
        let text = record.body.text();
        if let Err(stop) = self.charge(&own, text.len()) {
            self.stop = Some(stop);
            return Ok(());
        }
        let line = Bytes::from(text.into_owned().into_boxed_str().into_boxed_bytes());
        self.add(timestamp_ns, line, own);
        Ok(())
    }
}

/// What a record says besides its body.
fn pairs_of(record: &LogRecord<'_>) -> Result<Pairs, DecodeError> {
    let mut pairs = Pairs::new();
    push_all(&mut pairs, &record.attributes)?;
    let mut own = |name: &str, value: String| {
        if !value.is_empty() {
            pairs.push((name.to_owned(), value));
        }
    };
    let number = |number: u64| if number > 0 { number.to_string() } else { String::new() };
    own("severity_number", number(record.severity_number));
    own("severity_text", record.severity_text.to_owned());
    own("dropped_attributes_count", number(record.dropped_attributes));
    own("flags", number(record.flags));
    own("trace_id", hexadecimal(record.trace_id));
    own("span_id", hexadecimal(record.span_id));
    own("event_name", record.event_name.to_owned());
    own("observed_timestamp", if record.time_ns > 0 { number(record.observed_ns) } else { String::new() });
    Ok(pairs)
}

impl Translation<'_, '_> {
    /// Takes what a record becomes from what there is.
    fn charge(&mut self, own: &Part, line_bytes: usize) -> Result<(), Stop> {
        // As a record of the log, each name and value has a length beside it.
        let pairs = self.common.pairs.len() + own.pairs.len();
        let stored = line_bytes + self.common.bytes + own.bytes + 2 * pairs + 16;
        self.left_bytes = self.left_bytes.checked_sub(stored).ok_or(Stop::TooLarge)?;
        let shared = SHARED_PAIR_BYTES * self.common.pairs.len();
        let held = PAIR_COST_BYTES * own.pairs.len() + 3 * own.bytes;
        Ok(self.meter.charge(ENTRY_COST_BYTES + shared + held + 2 * line_bytes)?)
    }

    fn add(&mut self, timestamp_ns: i64, line: Bytes, own: Part) {
        let (metadata_count, metadata_bytes) =
            (self.common.pairs.len() + own.pairs.len(), self.common.bytes + own.bytes);
        let metadata = match &self.shared {
            Ok(shared) => of_pairs(own.pairs).map(|own| joined(shared, own)),
            Err(problem) => Err(problem.clone()),
        };
        let draft = Draft { timestamp_ns, line, metadata, metadata_count, metadata_bytes };
        if !self.streams.contains_key(&self.labels) {
            let stream = Stream::new(self.labels.clone(), self.tenant, self.limits, self.now_ns);
            let place = stream.map(|stream| (stream, Vec::new()));
            let place = place.map_err(|problem| self.prepared.refuse(problem, draft.amount())).ok();
            self.streams.insert(self.labels.clone(), place);
        }
        if let Some(Some((stream, entries))) = self.streams.get_mut(&self.labels) {
            entries.extend(self.prepared.checked(stream, draft, self.limits));
        }
    }
}
