//! What members of the cluster tell each other on top of the protocol: parts of state, each under a key.
//!
//! Silences and the log of notifications travel in Alertmanager's own messages. Letters by which instances take
//! turns ([`crate::core::turns`]) are this program's own; Alertmanager ignores keys it does not know.

use std::sync::Arc;

use wire::protobuf::{ProtobufError, Reader, Schema, put_bytes, put_message, put_uint};

use crate::core::Core;
use crate::core::turns::{Letter, Verdict};
use crate::nflog::{self, LogEntry};
use crate::record::{join, put_time, split, take_time};
use crate::silence::{self, SilenceRecord};

use super::message::MAX_STREAM_BYTES;

/// The key of silences.
pub const SILENCES: &str = "sil";
/// The key of the log of notifications.
pub const LOG: &str = "nfl";
/// The key of letters.
pub const LETTER: &str = "turn";

static PART: Schema = Schema { message: "clusterpb.Part", fields: &[(1, "key"), (2, "data")] };
static FULL_STATE: Schema = Schema { message: "clusterpb.FullState", fields: &[(1, "parts")] };
static LETTER_FIELDS: Schema = Schema {
    message: "bartizan.Letter",
    fields: &[(1, "from"), (2, "id"), (3, "line"), (4, "known_at"), (5, "verdict"), (6, "entry")],
};

/// A part of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it is.
    pub key: &'a str,
    /// The state.
    pub data: &'a [u8],
}

impl<'a> Part<'a> {
    /// The bytes of a part.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 16);
        self.put(&mut out);
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, 1, self.key.as_bytes());
        put_bytes(out, 2, self.data);
    }

    /// The part of bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ProtobufError> {
        Self::take(Reader::new(bytes, &PART))
    }

    fn take(mut reader: Reader<'a>) -> Result<Self, ProtobufError> {
        let mut part = Self { key: "", data: &[] };
        while let Some(field) = reader.field()? {
            match field {
                1 => part.key = reader.text()?,
                2 => part.data = reader.bytes()?,
                _ => reader.skip()?,
            }
        }
        Ok(part)
    }
}

/// The part of one silence.
pub fn silence_part(record: &SilenceRecord) -> Vec<u8> {
    Part { key: SILENCES, data: &join([silence::encode(record)]) }.encode()
}

/// The part of one notification.
pub fn entry_part(entry: &LogEntry) -> Vec<u8> {
    Part { key: LOG, data: &join([nflog::encode(entry)]) }.encode()
}

/// All state. What would make it larger than others take is left out: the oldest entries of the log.
pub fn full_state(core: &Core) -> Vec<u8> {
    let silences = join(core.silences().records().map(silence::encode));
    let mut entries: Vec<&Arc<LogEntry>> = core.log().iter().collect();
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.at));
    let mut left = MAX_STREAM_BYTES.saturating_sub(silences.len() + 64);
    let all = entries.len();
    let fitting = entries.into_iter().map(|entry| nflog::encode(entry)).take_while(|bytes| {
        let bytes = bytes.len() + 5;
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    });
    let fitting: Vec<Vec<u8>> = fitting.collect();
    if fitting.len() < all {
        let left_out = all - fitting.len();
        tracing::warn!(
            left_out,
            "the state is too large to be exchanged whole; the oldest entries are left out"
        );
    }
    let log = join(fitting);
    let mut out = Vec::with_capacity(silences.len() + log.len() + 64);
    for part in [Part { key: SILENCES, data: &silences }, Part { key: LOG, data: &log }] {
        put_message(&mut out, 1, |out| part.put(out));
    }
    out
}

/// The parts of all state.
pub fn parts(state: &[u8]) -> Result<Vec<Part<'_>>, ProtobufError> {
    let (mut parts, mut reader) = (Vec::new(), Reader::new(state, &FULL_STATE));
    while let Some(field) = reader.field()? {
        match field {
            1 => parts.push(Part::take(reader.message(&PART)?)?),
            _ => reader.skip()?,
        }
    }
    Ok(parts)
}

/// The records of a part, each as `decode` says. What cannot be read is left out, and the first reason is given.
pub fn records<T>(data: &[u8], decode: fn(&[u8]) -> Result<T, String>) -> (Vec<T>, Option<String>) {
    let (records, damaged) = split(data);
    let mut error = damaged.map(|at| format!("cut off at byte {at}"));
    let mut taken = Vec::with_capacity(records.len());
    for record in records {
        match decode(record) {
            Ok(record) => taken.push(record),
            Err(problem) => _ = error.get_or_insert(problem),
        }
    }
    (taken, error)
}

/// The part of a letter.
pub fn letter_part(from: &str, letter: &Letter) -> Vec<u8> {
    let mut data = Vec::with_capacity(128);
    put_bytes(&mut data, 1, from.as_bytes());
    put_uint(&mut data, 2, letter.id());
    put_bytes(&mut data, 3, letter.line().as_bytes());
    match letter {
        Letter::Ask { known_at, .. } => {
            if let Some(at) = known_at {
                put_time(&mut data, 4, *at);
            }
        }
        Letter::Answer { verdict, .. } => {
            let number = match verdict {
                Verdict::Granted => 1,
                Verdict::Busy => 2,
                Verdict::Told(_) => 3,
            };
            put_uint(&mut data, 5, number);
            if let Verdict::Told(entry) = verdict {
                put_bytes(&mut data, 6, &nflog::encode(entry));
            }
        }
    }
    Part { key: LETTER, data: &data }.encode()
}

/// Who wrote a letter, and the letter.
pub fn letter(data: &[u8]) -> Result<(String, Letter), String> {
    let (mut from, mut id, mut line) = (String::new(), 0, String::new());
    let (mut known_at, mut verdict, mut entry) = (None, 0, None);
    let mut read = || -> Result<(), ProtobufError> {
        let mut reader = Reader::new(data, &LETTER_FIELDS);
        while let Some(field) = reader.field()? {
            match field {
                1 => from = reader.text()?.to_owned(),
                2 => id = reader.uint()?,
                3 => line = reader.text()?.to_owned(),
                4 => known_at = Some(take_time(&mut reader)?),
                5 => verdict = reader.uint()?,
                6 => entry = Some(reader.bytes()?),
                _ => reader.skip()?,
            }
        }
        Ok(())
    };
    read().map_err(|error| error.to_string())?;
    let verdict = match (verdict, entry) {
        (0, _) => return Ok((from, Letter::Ask { id, line, known_at })),
        (1, _) => Verdict::Granted,
        (3, Some(entry)) => Verdict::Told(Arc::new(nflog::decode(entry)?)),
        // Whatever else a later version may say, it is no permission.
        _ => Verdict::Busy,
    };
    Ok((from, Letter::Answer { id, line, verdict }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::from_ms;
    use crate::nflog::Notes;

    fn entry() -> LogEntry {
        LogEntry {
            group_key: "{}:{}".to_owned(),
            integration: ("team".to_owned(), "email".to_owned(), 0),
            at: from_ms(5),
            firing: vec![1, 2],
            resolved: vec![],
            notes: Notes::new(),
            perhaps: vec![3],
            expires_at: from_ms(9),
        }
    }

    #[test]
    fn parts_survive() {
        let bytes = entry_part(&entry());
        let part = Part::decode(&bytes).unwrap();
        assert_eq!(part.key, "nfl");
        assert_eq!(records(part.data, nflog::decode), (vec![entry()], None));
        let cut = &part.data[..part.data.len() - 1];
        assert_eq!(records(cut, nflog::decode), (vec![], Some("cut off at byte 0".to_owned())));
    }

    #[test]
    fn letters_survive() {
        let line = || "{}:{}:team/email/0".to_owned();
        let answer = |verdict| Letter::Answer { id: 8, line: line(), verdict };
        for letter in [
            Letter::Ask { id: 7, line: line(), known_at: None },
            Letter::Ask { id: 7, line: line(), known_at: Some(from_ms(3)) },
            answer(Verdict::Granted),
            answer(Verdict::Busy),
            answer(Verdict::Told(Arc::new(entry()))),
        ] {
            let bytes = letter_part("n1", &letter);
            let part = Part::decode(&bytes).unwrap();
            assert_eq!(part.key, LETTER);
            assert_eq!(super::letter(part.data).unwrap(), ("n1".to_owned(), letter));
        }
    }
}
