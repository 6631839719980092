//! State that several instances share: how it is written, and which of two versions holds.
//!
//! Silences and the log of notifications are maps whose entries carry the time they were written. Of two entries
//! of one key the later one holds, so that merging in any order, any number of times, gives the same map. Each
//! entry is one protobuf message, of the same shape that Alertmanager keeps in its files and sends its peers.

use jiff::Timestamp;
use wire::protobuf::{ProtobufError, Reader, Schema, put_message, put_uint, put_varint, varint};

static TIMESTAMP: Schema =
    Schema { message: "google.protobuf.Timestamp", fields: &[(1, "seconds"), (2, "nanos")] };

/// When a version counts as written that comes after one of `previous`: now, but later than that in any case. Two
/// changes in one tick of the clock are two, and so they are after its correction.
pub(crate) fn next_version(now: Timestamp, previous: Option<Timestamp>) -> Timestamp {
    previous
        .map_or(now, |previous| now.max(crate::alert::after(previous, std::time::Duration::from_nanos(1))))
}

/// Appends a moment as field `field`.
pub(crate) fn put_time(out: &mut Vec<u8>, field: u32, at: Timestamp) {
    // Nanoseconds count forward even before 1970.
    let (mut seconds, mut nanos) = (at.as_second(), at.subsec_nanosecond());
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    put_message(out, field, |out| {
        if seconds != 0 {
            put_uint(out, 1, seconds as u64);
        }
        if nanos != 0 {
            put_uint(out, 2, nanos as u64);
        }
    });
}

/// Reads the moment in the current field; one that is out of range is the end of time.
pub(crate) fn take_time(reader: &mut Reader<'_>) -> Result<Timestamp, ProtobufError> {
    let mut fields = reader.message(&TIMESTAMP)?;
    let (mut seconds, mut nanos) = (0, 0);
    while let Some(field) = fields.field()? {
        match field {
            1 => seconds = fields.int()?,
            2 => nanos = fields.int()?,
            _ => fields.skip()?,
        }
    }
    let nanos = i32::try_from(nanos).unwrap_or(0).clamp(0, 999_999_999);
    Ok(Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX))
}

/// Joins messages, each after its length, as they stand in a snapshot.
pub fn join(records: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        put_varint(&mut out, record.len() as u64);
        out.extend_from_slice(&record);
    }
    out
}

/// Takes joined messages apart. What is left over at a damaged place is told by its offset.
pub fn split(bytes: &[u8]) -> (Vec<&[u8]>, Option<usize>) {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let Ok((len, start)) = varint(bytes, at) else { return (records, Some(at)) };
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        let Some(record) = end.and_then(|end| bytes.get(start..end)) else { return (records, Some(at)) };
        records.push(record);
        at = start + record.len();
    }
    (records, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-11-21T16:36:03.123456789Z",
            "1969-12-31T23:59:59.5Z",
            "0001-01-01T00:00:00Z",
        ] {
            let at: Timestamp = text.parse().unwrap();
            let mut bytes = Vec::new();
            put_time(&mut bytes, 1, at);
            let mut reader = Reader::new(&bytes, &TIMESTAMP);
            assert_eq!(reader.field().unwrap(), Some(1));
            assert_eq!(take_time(&mut reader).unwrap(), at, "{text}");
        }
    }

    #[test]
    fn a_torn_end_costs_only_itself() {
        let joined = join([vec![1; 3], vec![2; 200]]);
        assert_eq!(split(&joined).0.len(), 2);
        let (records, damaged) = split(&joined[..joined.len() - 1]);
        assert_eq!((records, damaged), (vec![&[1_u8, 1, 1][..]], Some(4)));
    }
}
