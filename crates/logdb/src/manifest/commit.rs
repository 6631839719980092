//! Changing a manifest, whoever else does at the same time.

use blob::{BlobError, Bucket, PutIf, Version};
use model::source::TenantId;

use super::{Manifest, ManifestError, load, manifest_key};
use crate::day::Day;

/// What an edit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The manifest was changed and is to be stored.
    Change,
    /// It is as it should be: nothing to do, or an earlier try was stored although it seemed to fail.
    Done,
    /// The change is not possible any more.
    Impossible,
}

/// Why a manifest was not changed.
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
    /// Others changed it each time.
    #[error("changed by someone else {0} times in a row")]
    Contended(u32),
}

const MAX_TRIES: u32 = 50;

/// Applies `edit` to the manifest as it is, again and again until nobody was faster. `edit` must recognise its own
/// change: what seemed to fail may have happened. A manifest that is not there yet begins behind `first_revision`, which grows
/// with time, so that one made anew is newer than what anyone remembers of the one before.
pub fn commit(
    bucket: &dyn Bucket,
    tenant: &TenantId,
    day: Day,
    first_revision: u64,
    mut edit: impl FnMut(&mut Manifest) -> Edit,
) -> Result<(Manifest, Version), CommitError> {
    let key = manifest_key(tenant, day);
    let mut failure = None;
    for _ in 0..MAX_TRIES {
        let (mut manifest, version) = match load(bucket, tenant, day)? {
            Some((manifest, version)) => (manifest, Some(version)),
            None => (Manifest { revision: first_revision, ..Default::default() }, None),
        };
        match edit(&mut manifest) {
            Edit::Impossible => return Err(CommitError::Impossible),
            Edit::Done => match version {
                Some(version) => return Ok((manifest, version)),
                None => return Ok((manifest, Version(String::new()))),
            },
            Edit::Change => {}
        }
        // A second failure in a row is told: whoever waits can try again later.
        if let Some(error) = failure {
            return Err(CommitError::Blob(error));
        }
        manifest.revision += 1;
        let condition = version.map_or(PutIf::Absent, PutIf::Unchanged);
        match bucket.put(&key, manifest.encode().into(), &condition) {
            Ok(version) => return Ok((manifest, version)),
            Err(BlobError::Conflict(_)) => {}
            Err(error) => failure = Some(error),
        }
    }
    Err(CommitError::Contended(MAX_TRIES))
}
