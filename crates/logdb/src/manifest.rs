//! What objects a day of a tenant consists of: the only truth about it, changed by compare-and-swap.

mod commit;

use std::collections::BTreeMap;

use blob::{BlobError, Bucket, Version};
use model::source::TenantId;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::codec::Damaged;
use crate::day::Day;

pub use commit::{CommitError, Edit, commit};

const HEADER: &str = "bartizan-logs-manifest 1 crc32c=";
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

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

/// The folder of a day.
pub fn folder_of(tenant: &TenantId, day: Day) -> String {
    format!("{ROOT}{}/{day}/", blob::bucket::key_part(&tenant.0))
}

/// The key of an object.
pub fn object_key(tenant: &TenantId, day: Day, id: Ulid) -> String {
    format!("{}{id}.parquet", folder_of(tenant, day))
}

/// The key of a manifest.
pub fn manifest_key(tenant: &TenantId, day: Day) -> String {
    format!("{}manifest", folder_of(tenant, day))
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

    /// Whether the entries of a writer's generation are in objects.
    pub fn has_generation(&self, writer: &str, generation: u64) -> bool {
        self.writers.get(writer).is_some_and(|&last| last >= generation)
    }

    /// The manifest as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        // A map with text keys and plain numbers: there is nothing JSON could not hold.
        let json = serde_json::to_vec(self).expect("a manifest is plain data");
        let mut out = format!("{HEADER}{:08x}\n", crc32c::crc32c(&json)).into_bytes();
        out.extend_from_slice(&json);
        out.push(b'\n');
        out
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(data: &[u8]) -> Result<Self, Damaged> {
        let newline = memchr::memchr(b'\n', data).ok_or(Damaged("no manifest"))?;
        let (header, json) = (&data[..newline], &data[newline + 1..]);
        let header = std::str::from_utf8(header).map_err(|_| Damaged("no manifest"))?;
        let crc = header.strip_prefix(HEADER).ok_or(Damaged("no manifest, or one of an unknown version"))?;
        let json = json.strip_suffix(b"\n").ok_or(Damaged("a manifest cut short"))?;
        if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(json)) {
            return Err(Damaged("the checksum of a manifest is wrong"));
        }
        let manifest: Self =
            serde_json::from_slice(json).map_err(|_| Damaged("a manifest that is no JSON"))?;
        if manifest.objects.windows(2).all(|pair| pair[0].id < pair[1].id) {
            Ok(manifest)
        } else {
            Err(Damaged("the objects of a manifest are not in order"))
        }
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
    let key = manifest_key(tenant, day);
    match bucket.get(&key, MAX_MANIFEST_BYTES) {
        Ok((data, version)) => match Manifest::decode(&data) {
            Ok(manifest) => Ok(Some((manifest, version))),
            Err(damaged) => Err(ManifestError::Damaged(key, damaged)),
        },
        Err(BlobError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
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
        };
        [5, 1, 9].map(object).into_iter().for_each(|object| manifest.add(object));
        manifest.remove(Ulid::from_parts(5, 7), 42);
        manifest.writers.insert("w".to_owned(), u64::MAX);
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
