//! Rule groups that clients make: kept as one file for each namespace of each tenant, below a directory.
//!
//! A change is acknowledged when the file and its directory are synced; a crash leaves either the old file or the new
//! one. A file that cannot be read is set aside under another name, and the rest is served. The files are ordinary rule
//! files, so that they can be copied to where rule files are, and back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::TenantId;
use parking_lot::Mutex;

use crate::file::{FileOptions, RuleFile, RuleGroup};

/// How much a tenant may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Groups of a tenant.
    pub max_groups: usize,
    /// Rules of a group.
    pub max_rules: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self { max_groups: 10_000, max_rules: 1_000 }
    }
}

/// Why rules are as they were.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such group.
    #[error("group does not exist")]
    NoGroup,
    /// There is no such namespace.
    #[error("group namespace does not exist")]
    NoNamespace,
    /// The name of a tenant or namespace makes no name of a file.
    #[error(
        "invalid name {0:?}: it must not be empty, and not longer than {MAX_NAME_BYTES} bytes when it is escaped"
    )]
    Name(String),
    /// More groups than a tenant may have.
    #[error("per-user rule groups limit (limit: {limit} actual: {actual}) exceeded")]
    Groups {
        /// The limit.
        limit: usize,
        /// How many there would be.
        actual: usize,
    },
    /// More rules than a group may have.
    #[error("per-user rules per rule group limit (limit: {limit} actual: {actual}) exceeded")]
    Rules {
        /// The limit.
        limit: usize,
        /// How many there would be.
        actual: usize,
    },
    /// A file could not be written.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// File systems take names of 255 bytes, and ours have an ending.
const MAX_NAME_BYTES: usize = 200;
const ENDING: &str = "yml";

/// Groups by namespace.
pub type Namespaces = BTreeMap<String, Vec<RuleGroup>>;

/// The rules of all tenants.
pub struct RuleStore {
    dir: PathBuf,
    limits: StoreLimits,
    tenants: Mutex<BTreeMap<String, Namespaces>>,
}

impl RuleStore {
    /// Reads what is in `dir`, which is made where there is none. Blocks.
    pub fn open(dir: &Path, limits: StoreLimits, options: &FileOptions<'_>) -> Result<Self, StoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let mut tenants: BTreeMap<String, Namespaces> = BTreeMap::new();
        for folder in children(dir).map_err(at(dir))? {
            let Some(tenant) = name_of(&folder).filter(|_| folder.is_dir()) else { continue };
            for path in children(&folder).map_err(at(&folder))? {
                let is_ours = path.extension().is_some_and(|ending| ending == ENDING);
                let Some(namespace) = path.file_stem().and_then(|stem| unescape(stem.to_str()?)) else {
                    continue;
                };
                if !is_ours {
                    continue;
                }
                match RuleFile::load(&path, options) {
                    Ok(file) => {
                        tenants.entry(tenant.clone()).or_default().insert(namespace, file.groups);
                    }
                    Err(faults) => set_aside(&path, &faults[0].to_string()).map_err(at(&path))?,
                }
            }
        }
        Ok(Self { dir: dir.to_owned(), limits, tenants: Mutex::new(tenants) })
    }

    /// Those who have rules.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.tenants.lock().keys().map(|name| TenantId(name.as_str().into())).collect()
    }

    /// The groups of a tenant.
    pub fn namespaces(&self, tenant: &TenantId) -> Namespaces {
        self.tenants.lock().get(&*tenant.0).cloned().unwrap_or_default()
    }

    /// Puts a group in the place of the one of its name, or adds it. Blocks until it is durable.
    pub fn put(&self, tenant: &TenantId, namespace: &str, group: RuleGroup) -> Result<(), StoreError> {
        self.put_within(tenant, namespace, group, self.limits)
    }

    /// As [`Self::put`], within the limits of this tenant.
    pub fn put_within(
        &self,
        tenant: &TenantId,
        namespace: &str,
        group: RuleGroup,
        limits: StoreLimits,
    ) -> Result<(), StoreError> {
        if group.rules.len() > limits.max_rules {
            return Err(StoreError::Rules { limit: limits.max_rules, actual: group.rules.len() });
        }
        for name in [&*tenant.0, namespace] {
            escape(name)?;
        }
        let mut tenants = self.tenants.lock();
        let namespaces = tenants.entry(tenant.0.to_string()).or_default();
        let mut groups = namespaces.get(namespace).cloned().unwrap_or_default();
        match groups.iter_mut().find(|other| other.name == group.name) {
            Some(place) => *place = group,
            None => {
                let actual = 1 + namespaces.values().map(Vec::len).sum::<usize>();
                if actual > limits.max_groups {
                    return Err(StoreError::Groups { limit: limits.max_groups, actual });
                }
                groups.push(group);
            }
        }
        self.write(tenant, namespace, &groups)?;
        namespaces.insert(namespace.to_owned(), groups);
        Ok(())
    }

    /// Removes a group; its namespace goes with the last one. Blocks until that is durable.
    pub fn remove_group(&self, tenant: &TenantId, namespace: &str, name: &str) -> Result<(), StoreError> {
        let mut tenants = self.tenants.lock();
        let namespaces = tenants.get_mut(&*tenant.0).ok_or(StoreError::NoGroup)?;
        let mut groups = namespaces.get(namespace).cloned().ok_or(StoreError::NoGroup)?;
        let before = groups.len();
        groups.retain(|group| group.name != name);
        if groups.len() == before {
            return Err(StoreError::NoGroup);
        }
        self.write(tenant, namespace, &groups)?;
        match groups.is_empty() {
            true => drop(namespaces.remove(namespace)),
            false => drop(namespaces.insert(namespace.to_owned(), groups)),
        }
        Ok(())
    }

    /// Removes all groups of a namespace. Blocks until that is durable.
    pub fn remove_namespace(&self, tenant: &TenantId, namespace: &str) -> Result<(), StoreError> {
        let mut tenants = self.tenants.lock();
        let namespaces = tenants.get_mut(&*tenant.0).ok_or(StoreError::NoNamespace)?;
        if !namespaces.contains_key(namespace) {
            return Err(StoreError::NoNamespace);
        }
        self.write(tenant, namespace, &[])?;
        namespaces.remove(namespace);
        Ok(())
    }

    /// Makes the file of a namespace say `groups`; without any there is no file.
    fn write(&self, tenant: &TenantId, namespace: &str, groups: &[RuleGroup]) -> Result<(), StoreError> {
        let dir = self.dir.join(escape(&tenant.0)?);
        let path = dir.join(format!("{}.{ENDING}", escape(namespace)?));
        let failed = |error| StoreError::Io { path: path.clone(), error };
        if groups.is_empty() {
            fs::remove_file(&path).map_err(failed)?;
            return sync_dir(&dir).map_err(failed);
        }
        let file = RuleFile { groups: groups.to_vec(), warnings: Vec::new() };
        let replace = || {
            if !dir.is_dir() {
                fs::create_dir(&dir)?;
                sync_dir(&self.dir)?;
            }
            let half = path.with_extension("tmp");
            let mut out = File::create(&half)?;
            out.write_all(file.to_yaml().as_bytes())?;
            out.sync_all()?;
            fs::rename(&half, &path)?;
            sync_dir(&dir)
        };
        replace().map_err(failed)
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn children(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn name_of(path: &Path) -> Option<String> {
    unescape(path.file_name()?.to_str()?)
}

fn set_aside(path: &Path, problem: &str) -> io::Result<()> {
    let aside = path.with_extension(format!("{ENDING}.damaged"));
    tracing::error!(path = %path.display(), aside = %aside.display(), problem, "rules cannot be read, set aside");
    fs::rename(path, aside)
}

/// A name as one of a file: all but letters, digits, `-` and `_` becomes `%` and two hexadecimal digits.
fn escape(name: &str) -> Result<String, StoreError> {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    let fits = !out.is_empty() && out.len() <= MAX_NAME_BYTES;
    if fits { Ok(out) } else { Err(StoreError::Name(name.to_owned())) }
}

/// What [`escape`] was given; `None` for what it never makes.
fn unescape(name: &str) -> Option<String> {
    let (mut out, mut rest) = (Vec::with_capacity(name.len()), name.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    let name = String::from_utf8(out).ok()?;
    escape(&name).is_ok_and(|escaped| !escaped.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use config::NameValidation;

    use super::*;
    use crate::expression::LogQlLanguage;

    fn options() -> FileOptions<'static> {
        FileOptions { language: &LogQlLanguage, names: NameValidation::Utf8, ignore_unknown_fields: false }
    }

    fn group(name: &str, expr: &str) -> RuleGroup {
        let text = format!("name: {name}\ninterval: 30s\nrules:\n- {{alert: A, expr: '{expr}', for: 5m}}\n");
        RuleFile::parse_group(&text, &options()).unwrap()
    }

    fn open(dir: &Path) -> RuleStore {
        RuleStore::open(dir, StoreLimits { max_groups: 3, max_rules: 1 }, &options()).unwrap()
    }

    /// Names of groups by namespace.
    fn names(store: &RuleStore, tenant: &TenantId) -> Vec<(String, Vec<String>)> {
        let name = |group: &RuleGroup| group.name.clone();
        let all = store.namespaces(tenant).into_iter();
        all.map(|(namespace, groups)| (namespace, groups.iter().map(name).collect())).collect()
    }

    #[test]
    fn what_was_put_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (me, you) = (TenantId("me".into()), TenantId("../you".into()));
        let store = open(dir.path());
        store.put(&me, "a/b c", group("g", "rate({a=\"b\"}[1m]) > 1")).unwrap();
        store.put(&me, "a/b c", group("h", "rate({a=\"b\"}[1m]) > 1")).unwrap();
        store.put(&me, "a/b c", group("g", "rate({a=\"b\"}[1m]) > 2")).unwrap();
        store.put(&you, "..", group("g", "rate({a=\"c\"}[1m])")).unwrap();
        for store in [&store, &open(dir.path())] {
            assert_eq!(names(store, &me), [("a/b c".to_owned(), vec!["g".to_owned(), "h".to_owned()])]);
            assert!(store.namespaces(&me)["a/b c"][0].rules[0].expr.ends_with("> 2"));
            assert_eq!(names(store, &you), [("..".to_owned(), vec!["g".to_owned()])]);
            assert_eq!(store.tenants().len(), 2);
        }
        store.remove_group(&me, "a/b c", "g").unwrap();
        store.remove_namespace(&you, "..").unwrap();
        assert!(matches!(store.remove_group(&me, "a/b c", "g"), Err(StoreError::NoGroup)));
        assert!(matches!(store.remove_namespace(&you, ".."), Err(StoreError::NoNamespace)));
        let store = open(dir.path());
        assert_eq!(names(&store, &me), [("a/b c".to_owned(), vec!["h".to_owned()])]);
        assert!(names(&store, &you).is_empty());
        store.remove_group(&me, "a/b c", "h").unwrap();
        assert!(names(&open(dir.path()), &me).is_empty());
    }

    #[test]
    fn there_are_limits_with_names() {
        let dir = tempfile::tempdir().unwrap();
        let (store, me) = (open(dir.path()), TenantId::default());
        for name in ["a", "b", "c"] {
            store.put(&me, name, group("g", "1")).unwrap();
        }
        let refused = |outcome: Result<(), StoreError>| outcome.unwrap_err().to_string();
        assert_eq!(
            refused(store.put(&me, "d", group("g", "1"))),
            "per-user rule groups limit (limit: 3 actual: 4) exceeded"
        );
        let mut large = group("g", "1");
        large.rules.extend(large.rules.clone());
        assert_eq!(
            refused(store.put(&me, "a", large)),
            "per-user rules per rule group limit (limit: 1 actual: 2) exceeded"
        );
        assert!(refused(store.put(&me, "", group("g", "1"))).starts_with("invalid name \"\""));
        let long = "/".repeat(100);
        assert!(matches!(store.put(&me, &long, group("a", "1")), Err(StoreError::Name(_))));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_the_rest_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let me = TenantId::default();
        let store = open(dir.path());
        store.put(&me, "a", group("g", "1")).unwrap();
        store.put(&me, "b", group("g", "1")).unwrap();
        let file = dir.path().join(&*me.0).join("a.yml");
        fs::write(&file, "groups: [").unwrap();
        // What a crash in the middle of a change leaves.
        fs::write(file.with_extension("tmp"), "groups: [").unwrap();
        assert_eq!(names(&open(dir.path()), &me), [("b".to_owned(), vec!["g".to_owned()])]);
        assert!(!file.exists() && file.with_extension("yml.damaged").exists());
    }
}
