//! The interface of a bucket, and what may be expected of every one.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Objects by key. A key is a relative path: parts of letters, digits and `!-_.*'()=%`, joined by `/`, none of them
/// `.` or `..` ([`check_key`]).
///
/// * A put is all or nothing, and durable when it answers. An error leaves open whether it happened, and whether what can be read
///   then would survive a loss of power, until [`Bucket::settle`] answers.
/// * What a put made is seen by every read and listing that begins after it answered.
/// * Objects whose version does not matter are never changed: they are put once and deleted once.
pub trait Bucket: Send + Sync {
    /// Stores an object, if the condition holds.
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError>;

    /// Begins to store an object that is too large to be held in memory. It appears when the upload is finished.
    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError>;

    /// A whole object of at most `limit_bytes`, and its version.
    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError>;

    /// Like [`Self::get`], but `None` when the object still has the version that is known.
    fn get_changed(
        &self,
        key: &str,
        limit_bytes: u64,
        known: &Version,
    ) -> Result<Option<(Bytes, Version)>, BlobError> {
        let (data, version) = self.get(key, limit_bytes)?;
        Ok((version != *known).then_some((data, version)))
    }

    /// Makes durable what can be read under a key, if that could be otherwise: where a put that answered an error, or none
    /// because its process died, had its effect.
    fn settle(&self, _key: &str) -> Result<(), BlobError> {
        Ok(())
    }

    /// Deletes what uploads and puts left behind that never ended and were last written to before an instant in milliseconds since
    /// the epoch. Returns how many there were. No listing shows them.
    fn delete_unfinished(&self, _before_ms: i64) -> Result<usize, BlobError> {
        Ok(0)
    }

    /// An object to read parts of.
    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError>;

    /// All objects whose key begins with `prefix` (empty, or ending in `/`), in the order of keys.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError>;

    /// The parts that follow `prefix` (empty, or ending in `/`) directly and have objects below them, in order.
    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError>;

    /// Deletes an object. One that is not there is no error.
    fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// Where this is, for messages.
    fn location(&self) -> String;
}

/// The form in which components hold a bucket.
pub type SharedBucket = Arc<dyn Bucket>;

/// An object that is open for reading.
pub trait Object: Send + Sync {
    /// Its length.
    fn len_bytes(&self) -> u64;

    /// A part of it; fails when the object ends earlier.
    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError>;
}

/// An object that is being stored. Dropping it unfinished leaves nothing behind that a listing shows.
pub trait Upload: Send {
    /// Adds bytes.
    fn write(&mut self, data: Bytes) -> Result<(), BlobError>;

    /// Makes the object appear, durably.
    fn finish(self: Box<Self>) -> Result<(), BlobError>;
}

/// When to store an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutIf {
    /// In any case.
    Always,
    /// If there is none.
    Absent,
    /// If it still has this version.
    Unchanged(Version),
}

/// Tells states of an object apart: two with equal versions are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// What a listing tells of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its length.
    pub size_bytes: u64,
    /// When it was stored, milliseconds since the epoch, by the clock of the bucket.
    pub modified_ms: i64,
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    /// There is no such object.
    #[error("{0}: no such object")]
    NotFound(String),
    /// The condition of a put does not hold.
    #[error("{0}: changed by someone else")]
    Conflict(String),
    /// It may pass: connection, time-out, throttling.
    #[error("{key}: {message}")]
    Unavailable {
        /// The object, or the prefix.
        key: String,
        /// What happened.
        message: String,
    },
    /// It will not pass by itself: permission, a full disk, a wrong bucket.
    #[error("{key}: {message}")]
    Failed {
        /// The object, or the prefix.
        key: String,
        /// What happened.
        message: String,
    },
}

impl BlobError {
    /// A failure that may pass.
    pub fn unavailable(key: &str, message: impl ToString) -> Self {
        Self::Unavailable { key: key.to_owned(), message: message.to_string() }
    }

    /// A failure that will not pass by itself.
    pub fn failed(key: &str, message: impl ToString) -> Self {
        Self::Failed { key: key.to_owned(), message: message.to_string() }
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

const MAX_KEY_BYTES: usize = 900;

/// Whether a key is one every bucket can store, so that a key is never a path out of a directory.
pub fn check_key(key: &str) -> Result<(), BlobError> {
    let good_byte = |b: u8| b.is_ascii_alphanumeric() || b"!-_.*'()=%".contains(&b);
    let good_part = |part: &str| {
        !part.is_empty() && part.len() <= 250 && part != "." && part != ".." && part.bytes().all(good_byte)
    };
    if key.len() <= MAX_KEY_BYTES && key.split('/').all(good_part) {
        Ok(())
    } else {
        Err(BlobError::failed(key, "not a key"))
    }
}

/// Whether a prefix is empty or ends in a `/` after parts of a key.
pub fn check_prefix(prefix: &str) -> Result<(), BlobError> {
    match prefix.strip_suffix('/') {
        Some(folder) => check_key(folder),
        None if prefix.is_empty() => Ok(()),
        None => Err(BlobError::failed(prefix, "not a prefix")),
    }
}

/// A part of a key that stands for any text: what a key may not hold is written as `%` and two hexadecimal digits.
pub fn key_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        let dots_only = byte == b'.' && part.is_empty();
        if byte != b'%' && !dots_only && (byte.is_ascii_alphanumeric() || b"!-_.*'()=".contains(&byte)) {
            part.push(char::from(byte));
        } else {
            part.push_str(&format!("%{byte:02X}"));
        }
    }
    part
}

/// The text a part of a key stands for; `None` when [`key_part`] does not write such.
pub fn text_of_key_part(part: &str) -> Option<String> {
    let mut text = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        text.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(text).ok()
}

/// Bytes of `data` from `start` on, or that the object ends before them.
pub(crate) fn part_of(key: &str, data: &Bytes, range: Range<u64>) -> Result<Bytes, BlobError> {
    let (start, end) = (range.start as usize, range.end as usize);
    if start <= end && end <= data.len() {
        Ok(data.slice(start..end))
    } else {
        Err(BlobError::failed(key, format!("bytes {start} to {end} of {} were asked for", data.len())))
    }
}
