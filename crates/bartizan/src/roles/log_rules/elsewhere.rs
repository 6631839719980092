//! Rules that others bring: files in a folder with one for each tenant, or groups in a bucket, as rulers of Loki and Cortex
//! keep them there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use blob::{BlobError, SharedBucket, Version};
use model::TenantId;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use wire::protobuf::{ProtobufError, Reader, Schema};

/// Texts of files by their names, by tenant.
pub type Found = BTreeMap<TenantId, BTreeMap<String, String>>;

/// What keys of groups begin with: `rules/<tenant>/<namespace>/<group>`, the last two in base64.
const PREFIX: &str = "rules/";
/// Bytes of one group.
const MAX_GROUP_BYTES: u64 = 4 << 20;
/// Groups of all tenants.
const MAX_GROUPS: usize = 20_000;

/// Where rules are that others bring.
#[derive(Debug, Clone)]
pub enum Elsewhere {
    /// A folder with one of files for each tenant.
    Folder(PathBuf),
    /// A bucket.
    Bucket(BucketRules),
}

impl Elsewhere {
    /// What is there. Blocks.
    pub fn read(&self) -> Result<Found, String> {
        match self {
            Self::Folder(folder) => {
                read_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))
            }
            Self::Bucket(bucket) => bucket.read(),
        }
    }
}

/// The files of a folder with one for each tenant. What begins with a dot is not meant: file systems that are put together from
/// elsewhere keep their own there.
fn read_folder(folder: &Path) -> std::io::Result<Found> {
    let visible = |path: &Path| -> std::io::Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            match entry.file_name().into_string() {
                Ok(name) if !name.starts_with('.') => found.push((name, entry.path())),
                _ => {}
            }
        }
        Ok(found)
    };
    let mut found = Found::new();
    let tenants = match visible(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        tenants => tenants?,
    };
    for (tenant, path) in tenants.into_iter().filter(|(_, path)| path.is_dir()) {
        let mut files = BTreeMap::new();
        for (name, path) in visible(&path)?.into_iter().filter(|(_, path)| path.is_file()) {
            files.insert(name, std::fs::read_to_string(path)?);
        }
        if !files.is_empty() {
            found.insert(TenantId(tenant.into()), files);
        }
    }
    Ok(found)
}

/// Groups of rules in a bucket. Clones share what they have read.
#[derive(Clone)]
pub struct BucketRules {
    bucket: SharedBucket,
    /// The bucket, for errors.
    shown: String,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

impl fmt::Debug for BucketRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketRules").field(&self.shown).finish()
    }
}

/// An object as it was read last.
struct Known {
    version: Version,
    /// What it says, unless it is damaged.
    group: Option<Value>,
}

impl BucketRules {
    /// The rules in a bucket, which errors call `shown`.
    pub fn new(bucket: SharedBucket, shown: String) -> Self {
        Self { bucket, shown, known: Arc::default() }
    }

    fn read(&self) -> Result<Found, String> {
        let told = |error: BlobError| format!("rules in {}: {error}", self.shown);
        let objects = self.bucket.list(PREFIX).map_err(told)?;
        if objects.len() > MAX_GROUPS {
            return Err(format!("rules in {}: more than {MAX_GROUPS} groups", self.shown));
        }
        let mut known = self.known.lock();
        known.retain(|key, _| objects.binary_search_by(|object| object.key.as_str().cmp(key)).is_ok());
        let mut groups: BTreeMap<TenantId, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
        for key in objects.into_iter().map(|object| object.key) {
            let Some((tenant, namespace)) = names_of(&key) else { continue };
            match self.changed(&key, known.get(&key)) {
                Ok(None) => {}
                Ok(Some(now)) => drop(known.insert(key.clone(), now)),
                // It went meanwhile.
                Err(BlobError::NotFound(_)) => drop(known.remove(&key)),
                Err(error) => return Err(told(error)),
            }
            if let Some(group) = known.get(&key).and_then(|known| known.group.clone()) {
                groups.entry(tenant).or_default().entry(namespace).or_default().push(group);
            }
        }
        let texts = |namespaces: BTreeMap<String, Vec<Value>>| {
            // What is JSON is YAML.
            let text = |(name, groups)| (name, json!({ "groups": groups }).to_string());
            namespaces.into_iter().map(text).collect()
        };
        Ok(groups.into_iter().map(|(tenant, namespaces)| (tenant, texts(namespaces))).collect())
    }

    /// An object, if it is not what is known of it.
    fn changed(&self, key: &str, known: Option<&Known>) -> Result<Option<Known>, BlobError> {
        let read = match known {
            Some(known) => self.bucket.get_changed(key, MAX_GROUP_BYTES, &known.version)?,
            None => Some(self.bucket.get(key, MAX_GROUP_BYTES)?),
        };
        Ok(read.map(|(data, version)| {
            let group = group_of(&data).inspect_err(|error| {
                tracing::error!(%error, key, bucket = self.shown, "a group of rules is damaged and left out");
            });
            Known { version, group: group.ok() }
        }))
    }
}

/// The tenant and the namespace of a group with this key, if it is one.
fn names_of(key: &str) -> Option<(TenantId, String)> {
    let parts: Vec<&str> = key.strip_prefix(PREFIX)?.split('/').collect();
    let [tenant, namespace, group] = parts[..] else { return None };
    if tenant.is_empty() || group.is_empty() || blob::bucket::check_key(key).is_err() {
        return None;
    }
    let namespace = String::from_utf8(URL_SAFE.decode(namespace).ok()?).ok()?;
    Some((TenantId(tenant.into()), namespace))
}

static GROUP: Schema = Schema {
    message: "rules.RuleGroupDesc",
    fields: &[(1, "name"), (3, "interval"), (4, "rules"), (10, "limit")],
};
static RULE: Schema = Schema {
    message: "rules.RuleDesc",
    fields: &[(1, "expr"), (2, "record"), (3, "alert"), (4, "for"), (5, "labels"), (6, "annotations")],
};
static PAIR: Schema = Schema { message: "LabelPair", fields: &[(1, "name"), (2, "value")] };
static DURATION: Schema =
    Schema { message: "google.protobuf.Duration", fields: &[(1, "seconds"), (2, "nanos")] };

/// A group as files have it.
fn group_of(body: &[u8]) -> Result<Value, ProtobufError> {
    let (mut group, mut rules) = (Map::new(), Vec::new());
    let mut reader = Reader::new(body, &GROUP);
    while let Some(field) = reader.field()? {
        match field {
            1 => put_text(&mut group, "name", reader.text()?),
            3 => put_duration(&mut group, "interval", reader.bytes()?)?,
            4 => rules.push(rule_of(reader.bytes()?)?),
            10 => drop(group.insert("limit".to_owned(), reader.int()?.into())),
            _ => reader.skip()?,
        }
    }
    group.insert("rules".to_owned(), rules.into());
    Ok(group.into())
}

fn rule_of(body: &[u8]) -> Result<Value, ProtobufError> {
    let (mut rule, mut labels, mut annotations) = (Map::new(), Map::new(), Map::new());
    let mut reader = Reader::new(body, &RULE);
    while let Some(field) = reader.field()? {
        match field {
            1 => put_text(&mut rule, "expr", reader.text()?),
            2 => put_text(&mut rule, "record", reader.text()?),
            3 => put_text(&mut rule, "alert", reader.text()?),
            4 => put_duration(&mut rule, "for", reader.bytes()?)?,
            5 => put_pair(&mut labels, reader.bytes()?)?,
            6 => put_pair(&mut annotations, reader.bytes()?)?,
            _ => reader.skip()?,
        }
    }
    for (name, pairs) in [("labels", labels), ("annotations", annotations)] {
        if !pairs.is_empty() {
            rule.insert(name.to_owned(), pairs.into());
        }
    }
    Ok(rule.into())
}

/// A text is said unless it is empty, which stands for none.
fn put_text(said: &mut Map<String, Value>, name: &str, text: &str) {
    if !text.is_empty() {
        said.insert(name.to_owned(), text.into());
    }
}

fn put_pair(pairs: &mut Map<String, Value>, body: &[u8]) -> Result<(), ProtobufError> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(body, &PAIR);
    while let Some(field) = reader.field()? {
        match field {
            1 => name = reader.text()?,
            2 => value = reader.text()?,
            _ => reader.skip()?,
        }
    }
    pairs.insert(name.to_owned(), value.into());
    Ok(())
}

/// A duration is said unless it is 0, which stands for none.
fn put_duration(said: &mut Map<String, Value>, name: &str, body: &[u8]) -> Result<(), ProtobufError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(body, &DURATION);
    while let Some(field) = reader.field()? {
        match field {
            1 => seconds = reader.int()?,
            2 => nanos = reader.int()?,
            _ => reader.skip()?,
        }
    }
    let ms = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
    if ms > 0 {
        said.insert(name.to_owned(), format!("{ms}ms").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
