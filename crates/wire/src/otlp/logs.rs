//! Requests to store logs, walked in place.

use super::schema::{LOG_RECORD, LOGS_REQUEST, RESOURCE, RESOURCE_LOGS, SCOPE, SCOPE_LOGS};
use super::{AnyValue, Attributes, DecodeError, Result, json};
use crate::protobuf::Reader;

/// One record with where it comes from.
#[derive(Debug, Clone, Default)]
pub struct LogRecord<'a> {
    /// Nanoseconds since the epoch; 0 where it is not known.
    pub time_ns: u64,
    /// When it was seen first; 0 where that is not known.
    pub observed_ns: u64,
    /// The severity as a number; 0 where there is none.
    pub severity_number: u64,
    /// The severity as a text.
    pub severity_text: &'a str,
    /// What was logged.
    pub body: AnyValue<'a>,
    /// What else it says.
    pub attributes: Attributes<'a>,
    /// How many attributes its sender left out.
    pub dropped_attributes: u64,
    /// Flags.
    pub flags: u64,
    /// The trace it belongs to.
    pub trace_id: &'a [u8],
    /// The span it belongs to.
    pub span_id: &'a [u8],
    /// The name of the event it is.
    pub event_name: &'a str,
}

/// What one instrumentation scope says of itself.
#[derive(Debug, Clone, Default)]
pub struct LogScope<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What else it says.
    pub attributes: Attributes<'a>,
    /// How many attributes its sender left out.
    pub dropped_attributes: u64,
}

/// Called with what a request holds, in its order.
pub trait LogVisitor<'a> {
    /// A resource; its scopes and records follow.
    fn resource(&mut self, attributes: &Attributes<'a>) -> Result<()>;
    /// A scope; its records follow.
    fn scope(&mut self, scope: &LogScope<'a>) -> Result<()>;
    /// A record.
    fn record(&mut self, record: &LogRecord<'a>) -> Result<()>;
}

/// The request in JSON in the encoding that [`visit`] reads.
pub fn json_to_protobuf(body: &[u8]) -> Result<Vec<u8>> {
    json::to_protobuf_as(body, &LOGS_REQUEST)
}

/// Walks a request.
pub fn visit<'a>(body: &'a [u8], visitor: &mut impl LogVisitor<'a>) -> Result<()> {
    let mut reader = Reader::new(body, &LOGS_REQUEST.schema);
    while let Some(field) = reader.field()? {
        match field {
            1 => resource(reader.message(&RESOURCE_LOGS.schema)?, visitor)?,
            _ => reader.skip()?,
        }
    }
    Ok(())
}

fn resource<'a>(reader: Reader<'a>, visitor: &mut impl LogVisitor<'a>) -> Result<()> {
    // What a resource says of itself may stand behind its records.
    let (mut fields, mut attributes) = (reader, Attributes::default());
    while let Some(field) = fields.field()? {
        if field != 1 {
            fields.skip()?;
            continue;
        }
        let mut own = fields.message(&RESOURCE.schema)?;
        while let Some(field) = own.field()? {
            match field {
                1 => attributes.push(&mut own)?,
                _ => own.skip()?,
            }
        }
    }
    visitor.resource(&attributes)?;
    let mut fields = reader;
    while let Some(field) = fields.field()? {
        match field {
            2 => scope(fields.message(&SCOPE_LOGS.schema)?, visitor)?,
            _ => fields.skip()?,
        }
    }
    Ok(())
}

fn scope<'a>(reader: Reader<'a>, visitor: &mut impl LogVisitor<'a>) -> Result<()> {
    let (mut fields, mut scope) = (reader, LogScope::default());
    while let Some(field) = fields.field()? {
        if field != 1 {
            fields.skip()?;
            continue;
        }
        let mut own = fields.message(&SCOPE.schema)?;
        while let Some(field) = own.field()? {
            match field {
                1 => scope.name = own.text()?,
                2 => scope.version = own.text()?,
                3 => scope.attributes.push(&mut own)?,
                4 => scope.dropped_attributes = own.uint()?,
                _ => own.skip()?,
            }
        }
    }
    visitor.scope(&scope)?;
    let (mut fields, mut record) = (reader, LogRecord::default());
    while let Some(field) = fields.field()? {
        match field {
            2 => {
                read_record(&mut record, fields.message(&LOG_RECORD.schema)?)?;
                visitor.record(&record)?;
            }
            _ => fields.skip()?,
        }
    }
    Ok(())
}

fn read_record<'a>(record: &mut LogRecord<'a>, mut fields: Reader<'a>) -> Result<()> {
    let mut attributes = std::mem::take(&mut record.attributes);
    attributes.clear();
    *record = LogRecord { attributes, ..LogRecord::default() };
    while let Some(field) = fields.field()? {
        match field {
            1 => record.time_ns = fields.fixed64()?,
            2 => record.severity_number = fields.uint()?,
            3 => record.severity_text = fields.text()?,
            5 => record.body = AnyValue::of_field(&mut fields)?,
            6 => record.attributes.push(&mut fields)?,
            7 => record.dropped_attributes = fields.uint()?,
            8 => record.flags = u64::from(fields.fixed32()?),
            9 => record.trace_id = id("trace id", &mut fields, 16)?,
            10 => record.span_id = id("span id", &mut fields, 8)?,
            11 => record.observed_ns = fields.fixed64()?,
            12 => record.event_name = fields.text()?,
            _ => fields.skip()?,
        }
    }
    Ok(())
}

fn id<'a>(what: &'static str, fields: &mut Reader<'a>, len: usize) -> Result<&'a [u8]> {
    let offset = fields.field_offset();
    let bytes = fields.bytes()?;
    if bytes.is_empty() || bytes.len() == len {
        Ok(bytes)
    } else {
        Err(DecodeError::WrongId { what, len: bytes.len(), offset })
    }
}
