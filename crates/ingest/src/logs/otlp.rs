//! Requests of OpenTelemetry: which attributes become labels of streams, and which structured metadata.

use std::collections::BTreeMap;

use base::ErrorKind;
use bytes::Bytes;
use model::logs::LogEntry;
use wire::loki::PushEntry;
use wire::otlp::logs::{LogRecord, LogScope, LogVisitor, visit};
use wire::otlp::{AnyValue, Attributes, DecodeError};
use wire::protobuf::Problem as Damage;

use super::labels::Pairs;
use super::limits::LogLimits;
use super::metadata::name_of;
use super::prepare::{Prepared, Problem, Stream};

/// Resource attributes that become labels of streams.
pub const LABEL_ATTRIBUTES: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

/// How deep maps in attributes are taken apart.
const MAX_DEPTH: usize = 8;

/// Prepares a request in protobuf.
pub fn prepare(body: &[u8], limits: &LogLimits, now_ns: i64) -> Result<Prepared, Problem> {
    let mut translation = Translation {
        limits,
        now_ns,
        labels: Vec::new(),
        resource: Vec::new(),
        scope: Vec::new(),
        streams: BTreeMap::new(),
        problem: None,
    };
    visit(body, &mut translation).map_err(|error| Problem::invalid(text_of(&error)))?;
    let mut prepared = Prepared { problem: translation.problem, ..Prepared::default() };
    for (stream, entries) in translation.streams.into_values() {
        prepared.add(stream, entries);
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

struct Translation<'l> {
    limits: &'l LogLimits,
    now_ns: i64,
    /// Labels of the streams of the current resource.
    labels: Pairs,
    /// Metadata of its records.
    resource: Pairs,
    /// Metadata of the records of the current scope.
    scope: Pairs,
    streams: BTreeMap<Pairs, (Stream, Vec<LogEntry>)>,
    problem: Option<Problem>,
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

impl<'a> LogVisitor<'a> for Translation<'_> {
    fn resource(&mut self, attributes: &Attributes<'a>) -> Result<(), DecodeError> {
        self.labels.clear();
        self.resource.clear();
        for attribute in attributes.iter() {
            let attribute = attribute?;
            if LABEL_ATTRIBUTES.contains(&attribute.key) {
                let name = name_of(attribute.key).unwrap_or_else(|_| attribute.key.to_owned());
                let value = attribute.value.text().into_owned();
                self.labels.retain(|(other, _)| *other != name);
                if !value.is_empty() {
                    self.labels.push((name, value));
                }
            } else {
                push(&mut self.resource, attribute.key, &attribute.value, MAX_DEPTH);
            }
        }
        self.labels.sort();
        Ok(())
    }

    fn scope(&mut self, scope: &LogScope<'a>) -> Result<(), DecodeError> {
        self.scope.clear();
        push_all(&mut self.scope, &scope.attributes)?;
        for (name, value) in [("scope_name", scope.name), ("scope_version", scope.version)] {
            if !value.is_empty() {
                self.scope.push((name.to_owned(), value.to_owned()));
            }
        }
        if scope.dropped_attributes > 0 {
            self.scope
                .push(("scope_dropped_attributes_count".to_owned(), scope.dropped_attributes.to_string()));
        }
        Ok(())
    }

    fn record(&mut self, record: &LogRecord<'a>) -> Result<(), DecodeError> {
        let mut metadata = self.resource.clone();
        metadata.extend(self.scope.iter().cloned());
        push_all(&mut metadata, &record.attributes)?;
        let number = |number: u64| if number > 0 { number.to_string() } else { String::new() };
        let own = [
            ("severity_number", number(record.severity_number)),
            ("severity_text", record.severity_text.to_owned()),
            ("dropped_attributes_count", number(record.dropped_attributes)),
            ("flags", number(record.flags)),
            ("trace_id", hexadecimal(record.trace_id)),
            ("span_id", hexadecimal(record.span_id)),
            ("event_name", record.event_name.to_owned()),
            (
                "observed_timestamp",
                if record.time_ns > 0 { number(record.observed_ns) } else { String::new() },
            ),
        ];
        metadata.extend(
            own.into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value)),
        );
        let time_ns = [record.time_ns, record.observed_ns].into_iter().find(|time| *time > 0);
        let timestamp_ns = time_ns.map_or(self.now_ns, |time| i64::try_from(time).unwrap_or(i64::MAX));
        let line = Bytes::from(record.body.text().into_owned());
        self.add(PushEntry { timestamp_ns, line, metadata });
        Ok(())
    }
}

impl Translation<'_> {
    fn add(&mut self, entry: PushEntry) {
        if !self.streams.contains_key(&self.labels) {
            match Stream::new(self.labels.clone(), self.limits) {
                Ok(stream) => drop(self.streams.insert(self.labels.clone(), (stream, Vec::new()))),
                Err(problem) => {
                    self.problem.get_or_insert(problem);
                    return;
                }
            }
        }
        let Some((stream, entries)) = self.streams.get_mut(&self.labels) else { return };
        match stream.entry(entry, self.limits, self.now_ns) {
            Ok(entry) => entries.push(entry),
            Err(mut problem) => {
                problem.kind = ErrorKind::InvalidInput;
                self.problem.get_or_insert(problem);
            }
        }
    }
}
