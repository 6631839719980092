//! Other servers that dashboards may ask: data sources.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::store::{StateError, Store};

/// What a data source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Prometheus's API.
    Prometheus,
    /// Loki's API.
    Loki,
    /// Alertmanager's API.
    Alertmanager,
}

impl SourceKind {
    /// The name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Loki => "loki",
            Self::Alertmanager => "alertmanager",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Prometheus, Self::Loki, Self::Alertmanager].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A data source, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// What names it in dashboards.
    #[serde(default)]
    pub uid: String,
    /// The name shown.
    pub name: String,
    /// What it speaks.
    pub kind: SourceKind,
    /// Where it is; empty is this server itself.
    #[serde(default)]
    pub url: String,
    /// Whether panels that name none ask this one, among those of its kind.
    #[serde(default)]
    pub is_default: bool,
    /// Whether it comes from a file, and is changed there.
    #[serde(default, skip_deserializing)]
    pub is_provisioned: bool,
    /// How it is asked: user names, headers, `httpMethod`, `timeInterval` and the like.
    #[serde(default)]
    pub settings: BTreeMap<String, Json>,
    /// The names of the secrets that are stored with it, which are never told.
    #[serde(default, skip_deserializing)]
    pub secret_names: Vec<String>,
}

const MAX_NAME_BYTES: usize = 190;

impl Store {
    /// All data sources, by name.
    pub fn sources(&self) -> Result<Vec<Source>, StateError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
            let sources = statement.query_map([], from_row)?;
            Ok(sources.collect::<Result<_, _>>()?)
        })
    }

    /// A data source with its secrets, for who asks it on behalf of others.
    pub fn source(&self, uid: &str) -> Result<(Source, BTreeMap<String, String>), StateError> {
        self.read(|db| {
            let source = find(db, uid)?.ok_or(StateError::NotFound("data source"))?;
            let select = "SELECT secrets FROM data_source WHERE uid = ?1";
            let text: String = db.query_row(select, [uid], |row| row.get(0))?;
            let secrets =
                serde_json::from_str(&text).map_err(|error| StateError::Internal(error.to_string()))?;
            Ok((source, secrets))
        })
    }

    /// Makes a data source or replaces it. Secrets that are not named stay; one that is empty goes.
    pub fn put_source(
        &self,
        source: &Source,
        secrets: &BTreeMap<String, String>,
    ) -> Result<Source, StateError> {
        check(source)?;
        let uid = self.checked_uid(Some(&source.uid))?;
        self.write(|db| {
            if find(db, &uid)?.is_some_and(|old| old.is_provisioned) {
                return Err(StateError::Conflict(
                    "the data source comes from a file: change it there".to_owned(),
                ));
            }
            put(db, &Source { uid: uid.clone(), is_provisioned: false, ..source.clone() }, secrets, true)?;
            find(db, &uid)?.ok_or(StateError::NotFound("data source"))
        })
    }

    /// Takes a data source away.
    pub fn delete_source(&self, uid: &str) -> Result<(), StateError> {
        self.write(|db| {
            let old = find(db, uid)?.ok_or(StateError::NotFound("data source"))?;
            if old.is_provisioned {
                return Err(StateError::Conflict(
                    "the data source comes from a file: remove it there".to_owned(),
                ));
            }
            db.execute("DELETE FROM data_source WHERE uid = ?1", [uid])?;
            Ok(())
        })
    }

    /// Makes the provisioned data sources those of the files, and takes those away that `deleted` names.
    pub fn provision_sources(
        &self,
        sources: &[(Source, BTreeMap<String, String>)],
        deleted: &[String],
    ) -> Result<(), StateError> {
        for (source, _) in sources {
            check(source)?;
            self.checked_uid(Some(&source.uid))?;
        }
        self.write(|db| {
            db.execute("DELETE FROM data_source WHERE is_provisioned", [])?;
            for name in deleted {
                db.execute("DELETE FROM data_source WHERE name = ?1", [name])?;
            }
            for (source, secrets) in sources {
                // A name that somebody took by hand is the file's from now on.
                db.execute(
                    "DELETE FROM data_source WHERE name = ?1 AND uid <> ?2",
                    params![source.name, source.uid],
                )?;
                put(db, &Source { is_provisioned: true, ..source.clone() }, secrets, false)?;
            }
            Ok(())
        })
    }
}

const SELECT: &str =
    "SELECT uid, name, kind, url, is_default, is_provisioned, json, secrets FROM data_source";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Source> {
    let (kind, json, secrets): (String, String, String) = (row.get(2)?, row.get(6)?, row.get(7)?);
    let wrong = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let secrets: BTreeMap<String, String> =
        serde_json::from_str(&secrets).map_err(|error| wrong(7, error.into()))?;
    Ok(Source {
        uid: row.get(0)?,
        name: row.get(1)?,
        kind: SourceKind::from_name(&kind).ok_or_else(|| wrong(2, format!("no kind {kind:?}").into()))?,
        url: row.get(3)?,
        is_default: row.get(4)?,
        is_provisioned: row.get(5)?,
        settings: serde_json::from_str(&json).map_err(|error| wrong(6, error.into()))?,
        secret_names: secrets.into_keys().collect(),
    })
}

fn find(db: &Connection, uid: &str) -> Result<Option<Source>, StateError> {
    Ok(db.query_row(&format!("{SELECT} WHERE uid = ?1"), [uid], from_row).optional()?)
}

fn put(
    db: &Connection,
    source: &Source,
    secrets: &BTreeMap<String, String>,
    keeps_secrets: bool,
) -> Result<(), StateError> {
    let taken = "SELECT 1 FROM data_source WHERE name = ?1 AND uid <> ?2";
    if db.query_row(taken, params![source.name, source.uid], |_| Ok(())).optional()?.is_some() {
        return Err(StateError::Conflict(format!("there is a data source {:?} already", source.name)));
    }
    let internal = |error: serde_json::Error| StateError::Internal(error.to_string());
    let mut kept = BTreeMap::new();
    if keeps_secrets {
        let select = "SELECT secrets FROM data_source WHERE uid = ?1";
        let old: Option<String> = db.query_row(select, [&source.uid], |row| row.get(0)).optional()?;
        kept = old.map_or(Ok(kept), |old| serde_json::from_str(&old)).map_err(internal)?;
    }
    kept.extend(secrets.iter().map(|(key, value)| (key.clone(), value.clone())));
    kept.retain(|_, value| !value.is_empty());
    if source.is_default {
        db.execute("UPDATE data_source SET is_default = 0 WHERE kind = ?1", [source.kind.as_str()])?;
    }
    db.execute(
        "INSERT OR REPLACE INTO data_source (uid, name, kind, url, is_default, is_provisioned, json, secrets)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            source.uid,
            source.name,
            source.kind.as_str(),
            source.url,
            source.is_default,
            source.is_provisioned,
            serde_json::to_string(&source.settings).map_err(internal)?,
            serde_json::to_string(&kept).map_err(internal)?,
        ],
    )?;
    Ok(())
}

fn check(source: &Source) -> Result<(), StateError> {
    if source.name.trim().is_empty() || source.name.len() > MAX_NAME_BYTES {
        return Err(StateError::invalid(format!("a data source has a name of 1 to {MAX_NAME_BYTES} bytes")));
    }
    let is_web = ["http://", "https://"].iter().any(|scheme| source.url.starts_with(scheme));
    if !source.url.is_empty() && !is_web {
        let why =
            format!("the address of a data source begins with http:// or https://, not as {:?}", source.url);
        return Err(StateError::invalid(why));
    }
    Ok(())
}
