//! One push as bytes.

use model::logs::{LogBatch, LogEntry};
use model::source::TenantId;

use bytes::Bytes;

use crate::codec::{Damaged, Input, put_bytes, put_ivarint, put_labels, put_uvarint};

/// Kind of the records there are.
const PUSH: u8 = 1;

/// Appends a push.
pub fn encode(out: &mut Vec<u8>, tenant: &TenantId, batches: &[LogBatch]) {
    out.push(PUSH);
    put_bytes(out, tenant.0.as_bytes());
    put_uvarint(out, batches.len() as u64);
    for batch in batches {
        put_labels(out, &batch.stream);
        put_uvarint(out, batch.entries.len() as u64);
        let mut previous_ns = 0_i64;
        for entry in &batch.entries {
            put_ivarint(out, entry.timestamp_ns.wrapping_sub(previous_ns));
            previous_ns = entry.timestamp_ns;
            put_bytes(out, &entry.line);
            put_uvarint(out, entry.metadata.len() as u64);
            for (name, value) in &entry.metadata {
                put_bytes(out, name.as_bytes());
                put_bytes(out, value.as_bytes());
            }
        }
    }
}

/// Reads what [`encode`] wrote. Lines are parts of `record`.
pub fn decode(record: &Bytes) -> Result<(TenantId, Vec<LogBatch>), Damaged> {
    let mut input = Input::new(record);
    if input.u8()? != PUSH {
        return Err(Damaged("a record of an unknown kind"));
    }
    let tenant = TenantId(input.str()?.into());
    let mut batches = Vec::new();
    for _ in 0..input.count(2)? {
        let stream = input.labels()?;
        let mut entries = Vec::with_capacity(input.clone().count(3)?);
        let mut timestamp_ns = 0_i64;
        for _ in 0..input.count(3)? {
            timestamp_ns = timestamp_ns.wrapping_add(input.ivarint()?);
            let line = record.slice_ref(input.bytes()?);
            let mut metadata = Vec::new();
            for _ in 0..input.count(2)? {
                metadata.push((input.str()?.into(), input.str()?.into()));
            }
            entries.push(LogEntry { timestamp_ns, line, metadata });
        }
        batches.push(LogBatch { stream, entries });
    }
    if input.is_empty() { Ok((tenant, batches)) } else { Err(Damaged("a record with something behind it")) }
}
