//! What objects a day of a tenant consists of: the only truth about it, changed by compare-and-swap.

mod commit;

use std::collections::BTreeMap;

use blob::{BlobError, Bucket, Version};
use model::source::TenantId;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::codec::Damaged;
use crate::day::Day;

pub use commit::{Changed, CommitError, Document, Edit, commit};
pub(crate) use commit::{decode_json, encode_json, load as load_document, load_changed};

const HEADER: &str = "bartizan-logs-manifest 1 crc32c=";

/// The objects of one day of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Grows with each change.
    pub revision: u64,
    /// What is to be read, in the order of identifiers.
    pub objects: Vec<ObjectMeta>,
    /// For each writer the last generation of its memtables that is in objects.
    pub writers: BTreeMap<String, u64>,
    /// Objects that are read no more and can be deleted some time after `at_ms`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// Objects that were found damaged and are kept, but not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<Quarantined>,
    /// Objects of this name or an earlier one that are not named by now never will be: they may be deleted. Whoever is about to name
    /// one stores it again under a later name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Ulid>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMeta {
    /// Its name.
    pub id: Ulid,
    /// Its length.
    pub size_bytes: u64,
    /// Number of entries.
    pub rows: u64,
    /// Bytes of lines, before compression.
    pub line_bytes: u64,
    /// Time of the first entry.
    pub first_ns: i64,
    /// Time of the last entry.
    pub last_ns: i64,
    /// How often its entries were compacted.
    pub level: u8,
    /// The last revision of the tenant's delete requests its writer knew and followed.
    #[serde(default)]
    pub deletes: u64,
}

/// An object that is read no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub id: Ulid,
    /// Since when, milliseconds since the epoch.
    pub at_ms: i64,
}

/// An object that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// What was known of it.
    pub object: ObjectMeta,
    /// What is wrong.
    pub reason: String,
    /// Since when, milliseconds since the epoch.
    pub at_ms: i64,
}

/// The folder of all logs.
pub const ROOT: &str = "logs/v1/";

/// The folder of a tenant.
pub fn folder_of_tenant(tenant: &TenantId) -> String {
    format!("{ROOT}{}/", blob::bucket::key_part(&tenant.0))
}

/// The folder of a day.
pub fn folder_of(tenant: &TenantId, day: Day) -> String {
    format!("{}{day}/", folder_of_tenant(tenant))
}

/// The key of an object.
pub fn object_key(tenant: &TenantId, day: Day, id: Ulid) -> String {
    format!("{}{id}.parquet", folder_of(tenant, day))
}

/// The key of a manifest.
pub fn manifest_key(tenant: &TenantId, day: Day) -> String {
    format!("{}manifest", folder_of(tenant, day))
}

/// The key of the copy of a manifest, which is used when the manifest is damaged.
pub fn copy_key(tenant: &TenantId, day: Day) -> String {
    format!("{}manifest.copy", folder_of(tenant, day))
}

/// The identifier in the key of an object of a folder; `None` when it is something else.
pub fn object_id(folder: &str, key: &str) -> Option<Ulid> {
    let id = key.strip_prefix(folder)?.strip_suffix(".parquet")?;
    Ulid::from_string(id).ok().filter(|parsed| parsed.to_string() == id)
}

impl Manifest {
    /// The object of that name.
    pub fn object(&self, id: Ulid) -> Option<&ObjectMeta> {
        let at = self.objects.binary_search_by_key(&id, |object| object.id).ok()?;
        self.objects.get(at)
    }

    /// Adds an object.
    pub fn add(&mut self, object: ObjectMeta) {
        if let Err(at) = self.objects.binary_search_by_key(&object.id, |object| object.id) {
            self.objects.insert(at, object);
        }
    }

    /// Takes an object out of what is read.
    pub fn remove(&mut self, id: Ulid, now_ms: i64) -> Option<ObjectMeta> {
        let at = self.objects.binary_search_by_key(&id, |object| object.id).ok()?;
        self.removed.push(Removed { id, at_ms: now_ms });
        Some(self.objects.remove(at))
    }

    /// Whether an object is mentioned, in whatever way.
    pub fn mentions(&self, id: Ulid) -> bool {
        self.object(id).is_some()
            || self.removed.iter().any(|removed| removed.id == id)
            || self.quarantined.iter().any(|quarantined| quarantined.object.id == id)
    }

    /// Whether an object must not be added: it may have been deleted.
    pub fn refuses(&self, id: Ulid) -> bool {
        self.floor.is_some_and(|floor| id <= floor) && !self.mentions(id)
    }

    /// Whether the manifest of a day that is past could be forgotten.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.removed.is_empty() && self.quarantined.is_empty()
    }

    /// Whether the entries of a writer's generation are in objects.
    pub fn has_generation(&self, writer: &str, generation: u64) -> bool {
        self.writers.get(writer).is_some_and(|&last| last >= generation)
    }
}

impl Document for Manifest {
    fn encode(&self) -> Vec<u8> {
        encode_json(HEADER, self)
    }

    fn decode(data: &[u8]) -> Result<Self, Damaged> {
        let manifest: Self = decode_json(HEADER, data)?;
        if manifest.objects.windows(2).all(|pair| pair[0].id < pair[1].id) {
            Ok(manifest)
        } else {
            Err(Damaged("the objects of a manifest are not in order"))
        }
    }

    fn begin(first_revision: u64) -> Self {
        Self { revision: first_revision, ..Self::default() }
    }

    fn count_change(&mut self) {
        self.revision += 1;
    }
}

/// Why a manifest could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ManifestError {
    /// The bucket failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It is not what was written.
    #[error("{0}: {1}")]
    Damaged(String, Damaged),
}

/// A manifest and its version; `None` when there is none.
pub fn load(
    bucket: &dyn Bucket,
    tenant: &TenantId,
    day: Day,
) -> Result<Option<(Manifest, Version)>, ManifestError> {
    commit::load(bucket, &manifest_key(tenant, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_written_and_damage_is_noticed() {
        let mut manifest = Manifest { revision: 3, ..Default::default() };
        let object = |n| ObjectMeta {
            id: Ulid::from_parts(n, 7),
            size_bytes: 1,
            rows: 2,
            line_bytes: 3,
            first_ns: i64::MIN,
            last_ns: i64::MAX,
            level: 0,
            deletes: 0,
        };
        [5, 1, 9].map(object).into_iter().for_each(|object| manifest.add(object));
        manifest.remove(Ulid::from_parts(5, 7), 42);
        manifest.writers.insert("w".to_owned(), u64::MAX);
        manifest.floor = Some(Ulid::from_parts(4, 0));
        assert!(manifest.refuses(Ulid::from_parts(3, 0)) && !manifest.refuses(Ulid::from_parts(4, 1)));
        assert!(!manifest.refuses(Ulid::from_parts(1, 7)), "one that is named");
        let data = manifest.encode();
        assert_eq!(Manifest::decode(&data).as_ref(), Ok(&manifest));
        for at in 0..data.len() {
            let mut damaged = data.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged).is_err(), "{at}");
            assert!(Manifest::decode(&data[..at]).is_err(), "{at}");
        }
        assert!(manifest.has_generation("w", 7) && !manifest.has_generation("v", 0));
    }

    #[test]
    fn keys_name_tenant_day_and_object() {
        let (tenant, id) = (TenantId("team/a".into()), Ulid::from_parts(1, 2));
        let key = object_key(&tenant, Day(0), id);
        assert_eq!(key, format!("logs/v1/team%2Fa/1970-01-01/{id}.parquet"));
        assert_eq!(object_id(&folder_of(&tenant, Day(0)), &key), Some(id));
        assert_eq!(object_id("", "x.parquet"), None);
    }
}
