//! Changing a document of a bucket, whoever else does at the same time.

use blob::{BlobError, Bucket, PutIf, Version};

use super::ManifestError;
use crate::codec::Damaged;

/// Something that is stored as a whole under one key.
pub trait Document: Sized {
    /// As it is stored.
    fn encode(&self) -> Vec<u8>;
    /// Reads what [`Self::encode`] wrote.
    fn decode(data: &[u8]) -> Result<Self, Damaged>;
    /// One that is not there yet. Its revision is behind `first_revision`, which grows with time, so that one made anew is newer
    /// than what anyone remembers of the one before.
    fn begin(first_revision: u64) -> Self;
    /// Notes that it was changed.
    fn count_change(&mut self);
}

/// What an edit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The document was changed and is to be stored.
    Change,
    /// It is as it should be: nothing to do, or an earlier try was stored although it seemed to fail.
    Done,
    /// The change is not possible any more.
    Impossible,
}

/// Why a document was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// It could not be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The bucket failed; whether the change happened is open.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The edit says that it is not possible any more.
    #[error("changed by someone else")]
    Impossible,
    /// Others changed it each time, or it was not there although the bucket said so.
    #[error("changed by someone else, or not stored, {0} times in a row")]
    Contended(u32),
}

const MAX_TRIES: u32 = 50;
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// A document and its version; `None` when there is none.
pub fn load<T: Document>(bucket: &dyn Bucket, key: &str) -> Result<Option<(T, Version)>, ManifestError> {
    match bucket.get(key, MAX_DOCUMENT_BYTES) {
        Ok((data, version)) => match T::decode(&data) {
            Ok(document) => Ok(Some((document, version))),
            Err(damaged) => Err(ManifestError::Damaged(key.to_owned(), damaged)),
        },
        Err(BlobError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A document and its version, when it is there and has another version than the one that is known.
pub fn load_changed<T: Document>(
    bucket: &dyn Bucket,
    key: &str,
    known: Option<&Version>,
) -> Result<Changed<T>, ManifestError> {
    let Some(known) = known else { return Ok(load(bucket, key)?.map_or(Changed::Absent, Changed::of)) };
    match bucket.get_changed(key, MAX_DOCUMENT_BYTES, known) {
        Ok(None) => Ok(Changed::Same),
        Ok(Some((data, version))) => match T::decode(&data) {
            Ok(document) => Ok(Changed::To(document, version)),
            Err(damaged) => Err(ManifestError::Damaged(key.to_owned(), damaged)),
        },
        Err(BlobError::NotFound(_)) => Ok(Changed::Absent),
        Err(error) => Err(error.into()),
    }
}

/// What became of a document.
#[derive(Debug)]
pub enum Changed<T> {
    /// It is as it was.
    Same,
    /// It is another.
    To(T, Version),
    /// It is not there.
    Absent,
}

impl<T> Changed<T> {
    fn of((document, version): (T, Version)) -> Self {
        Self::To(document, version)
    }
}

/// Applies `edit` to the document as it is, again and again until nobody was faster and the change can be read. `edit` must
/// recognise its own change: what seemed to fail may have happened, and what seemed to happen may not.
pub fn commit<T: Document>(
    bucket: &dyn Bucket,
    key: &str,
    first_revision: u64,
    mut edit: impl FnMut(&mut T) -> Edit,
) -> Result<(T, Option<Version>), CommitError> {
    let (mut failure, mut stored) = (None, None);
    for _ in 0..MAX_TRIES {
        let (mut document, version) = match load::<T>(bucket, key)? {
            Some((document, version)) => (document, Some(version)),
            None => (T::begin(first_revision), None),
        };
        if stored.is_some() && stored == version {
            return Ok((document, version));
        }
        match edit(&mut document) {
            Edit::Impossible => return Err(CommitError::Impossible),
            Edit::Done => {
                // It is seen. That it stays is not said: its put may have failed half way, here or in a process that died.
                bucket.settle(key)?;
                return Ok((document, version));
            }
            Edit::Change => {}
        }
        // A second failure in a row is told: whoever waits can try again later.
        if let Some(error) = failure {
            return Err(CommitError::Blob(error));
        }
        document.count_change();
        let condition = version.map_or(PutIf::Absent, PutIf::Unchanged);
        match bucket.put(key, document.encode().into(), &condition) {
            Ok(version) => stored = Some(version),
            Err(BlobError::Conflict(_)) => {}
            Err(error) => failure = Some(error),
        }
    }
    Err(CommitError::Contended(MAX_TRIES))
}

/// A line with the name of the format and a checksum, then JSON.
pub(crate) fn encode_json(header: &str, document: &impl serde::Serialize) -> Vec<u8> {
    // Maps with text keys, texts and numbers: there is nothing JSON could not hold.
    let json = serde_json::to_vec(document).expect("a document is plain data");
    let mut out = format!("{header}{:08x}\n", crc32c::crc32c(&json)).into_bytes();
    out.extend_from_slice(&json);
    out.push(b'\n');
    out
}

/// Reads what [`encode_json`] wrote.
pub(crate) fn decode_json<T: serde::de::DeserializeOwned>(header: &str, data: &[u8]) -> Result<T, Damaged> {
    const NONE: Damaged = Damaged("no document of this kind, or one of an unknown version");
    let newline = memchr::memchr(b'\n', data).ok_or(NONE)?;
    let (first, json) = (&data[..newline], &data[newline + 1..]);
    let first = std::str::from_utf8(first).map_err(|_| NONE)?;
    let crc = first.strip_prefix(header).ok_or(NONE)?;
    let json = json.strip_suffix(b"\n").ok_or(Damaged("a document cut short"))?;
    if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(json)) {
        return Err(Damaged("the checksum of a document is wrong"));
    }
    serde_json::from_slice(json).map_err(|_| Damaged("a document that is not the JSON it should be"))
}
