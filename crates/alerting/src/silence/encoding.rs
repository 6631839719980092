//! Silences as protobuf messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::alertmanager::Matcher;
use jiff::Timestamp;
use model::matcher::MatchOp;
use wire::protobuf::{Reader, Schema, put_bytes, put_message, put_uint};

use super::{Silence, SilenceRecord};
use crate::record::{put_time, take_time};

static MATCHER: Schema =
    Schema { message: "silencepb.Matcher", fields: &[(1, "type"), (2, "name"), (3, "pattern")] };
static COMMENT: Schema =
    Schema { message: "silencepb.Comment", fields: &[(1, "author"), (2, "comment"), (3, "timestamp")] };
static MATCHER_SET: Schema = Schema { message: "silencepb.MatcherSet", fields: &[(1, "matchers")] };
static ANNOTATION: Schema =
    Schema { message: "silencepb.Silence.AnnotationsEntry", fields: &[(1, "key"), (2, "value")] };
static SILENCE: Schema = Schema {
    message: "silencepb.Silence",
    fields: &[
        (1, "id"),
        (2, "matchers"),
        (3, "starts_at"),
        (4, "ends_at"),
        (5, "updated_at"),
        (7, "comments"),
        (8, "created_by"),
        (9, "comment"),
        (10, "annotations"),
        (11, "matcher_sets"),
    ],
};
static RECORD: Schema =
    Schema { message: "silencepb.MeshSilence", fields: &[(1, "silence"), (2, "expires_at")] };

fn put_text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

fn put_matcher(out: &mut Vec<u8>, field: u32, matcher: &Matcher) {
    let number = match matcher.op {
        MatchOp::Equal => 0,
        MatchOp::Regex => 1,
        MatchOp::NotEqual => 2,
        MatchOp::NotRegex => 3,
    };
    put_message(out, field, |out| {
        if number != 0 {
            put_uint(out, 1, number);
        }
        put_text(out, 2, &matcher.name);
        put_text(out, 3, &matcher.value);
    });
}

/// The message of a record.
pub fn encode(record: &SilenceRecord) -> Vec<u8> {
    let silence = &record.silence;
    let mut out = Vec::new();
    put_message(&mut out, 1, |out| {
        put_text(out, 1, &silence.id);
        // Older readers know only one set, and look for it here.
        silence.matcher_sets.iter().take(1).flatten().for_each(|matcher| put_matcher(out, 2, matcher));
        put_time(out, 3, silence.starts_at);
        put_time(out, 4, silence.ends_at);
        put_time(out, 5, silence.updated_at);
        put_text(out, 8, &silence.created_by);
        put_text(out, 9, &silence.comment);
        for (key, value) in &silence.annotations {
            put_message(out, 10, |out| {
                put_text(out, 1, key);
                put_text(out, 2, value);
            });
        }
        for set in &silence.matcher_sets {
            put_message(out, 11, |out| set.iter().for_each(|matcher| put_matcher(out, 1, matcher)));
        }
    });
    put_time(&mut out, 2, record.expires_at);
    out
}

/// The record of a message; the error says what is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<SilenceRecord, String> {
    Ok(decode_record(bytes)?)
}

/// Why a message is no record.
#[derive(Debug, thiserror::Error)]
enum DecodeError {
    #[error(transparent)]
    Protobuf(#[from] wire::protobuf::ProtobufError),
    #[error("{0}")]
    Record(String),
}

impl From<DecodeError> for String {
    fn from(error: DecodeError) -> Self {
        error.to_string()
    }
}

fn decode_record(bytes: &[u8]) -> Result<SilenceRecord, DecodeError> {
    let mut reader = Reader::new(bytes, &RECORD);
    let (mut silence, mut expires_at) = (None, Timestamp::UNIX_EPOCH);
    while let Some(field) = reader.field()? {
        match field {
            1 => silence = Some(decode_silence(reader.message(&SILENCE)?)?),
            2 => expires_at = take_time(&mut reader)?,
            _ => reader.skip()?,
        }
    }
    let silence = silence.ok_or_else(|| DecodeError::Record("a record without a silence".to_owned()))?;
    Ok(SilenceRecord { silence: Arc::new(silence), expires_at })
}

fn decode_silence(mut reader: Reader<'_>) -> Result<Silence, DecodeError> {
    let mut silence = Silence {
        id: String::new(),
        matcher_sets: Vec::new(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        created_by: String::new(),
        comment: String::new(),
        annotations: BTreeMap::new(),
    };
    let mut lone = Vec::new();
    while let Some(field) = reader.field()? {
        match field {
            1 => silence.id = reader.text()?.to_owned(),
            2 => lone.push(decode_matcher(reader.message(&MATCHER)?)?),
            3 => silence.starts_at = take_time(&mut reader)?,
            4 => silence.ends_at = take_time(&mut reader)?,
            5 => silence.updated_at = take_time(&mut reader)?,
            7 if silence.comment.is_empty() => {
                // Silences once had a list of comments, of which the first was the one that counted.
                let [author, comment] = pair(reader.message(&COMMENT)?)?;
                (silence.created_by, silence.comment) = (author, comment);
            }
            8 => silence.created_by = reader.text()?.to_owned(),
            9 => silence.comment = reader.text()?.to_owned(),
            10 => {
                let [key, value] = pair(reader.message(&ANNOTATION)?)?;
                silence.annotations.insert(key, value);
            }
            11 => {
                let mut set = Vec::new();
                let mut fields = reader.message(&MATCHER_SET)?;
                while let Some(field) = fields.field()? {
                    match field {
                        1 => set.push(decode_matcher(fields.message(&MATCHER)?)?),
                        _ => fields.skip()?,
                    }
                }
                silence.matcher_sets.push(set);
            }
            _ => reader.skip()?,
        }
    }
    if silence.matcher_sets.is_empty() && !lone.is_empty() {
        silence.matcher_sets.push(lone);
    }
    Ok(silence)
}

/// The texts in fields 1 and 2.
fn pair(mut reader: Reader<'_>) -> Result<[String; 2], DecodeError> {
    let mut texts = [String::new(), String::new()];
    while let Some(field) = reader.field()? {
        match field {
            1 | 2 => texts[field as usize - 1] = reader.text()?.to_owned(),
            _ => reader.skip()?,
        }
    }
    Ok(texts)
}

fn decode_matcher(mut reader: Reader<'_>) -> Result<Matcher, DecodeError> {
    let (mut number, mut texts) = (0, [String::new(), String::new()]);
    while let Some(field) = reader.field()? {
        match field {
            1 => number = reader.uint()?,
            2 | 3 => texts[field as usize - 2] = reader.text()?.to_owned(),
            _ => reader.skip()?,
        }
    }
    let op = match number {
        0 => MatchOp::Equal,
        1 => MatchOp::Regex,
        2 => MatchOp::NotEqual,
        3 => MatchOp::NotRegex,
        other => return Err(DecodeError::Record(format!("unknown matcher type {other}"))),
    };
    let [name, value] = texts;
    Matcher::new(op, name, value).map_err(DecodeError::Record)
}
