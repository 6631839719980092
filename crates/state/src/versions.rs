//! Earlier versions of dashboards.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value as Json;

use crate::dashboards::{self, About, Content, parse_stored};
use crate::store::{StateError, Store};

/// How many versions of a dashboard are kept, the newest ones.
pub const KEPT: i64 = 20;
const MAX_MESSAGE_CHARS: usize = 500;

/// A version of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its number.
    pub version: i64,
    /// What was changed, in the words of who did.
    pub message: String,
    /// The version it was made from by restoring that.
    pub restored_from: Option<i64>,
    /// When it was made.
    pub created_ms: i64,
    /// By whom: a login.
    pub created_by: String,
}

/// A change that makes a version.
pub(crate) struct Change<'a> {
    pub message: &'a str,
    pub restored_from: Option<i64>,
    pub now_ms: i64,
    pub by: &'a str,
}

impl Store {
    /// The versions of a dashboard that are kept, the newest first.
    pub fn versions(&self, uid: &str) -> Result<Vec<Version>, StateError> {
        self.read(|db| {
            let old = dashboards::stored(db, uid)?.ok_or(StateError::NotFound("dashboard"))?;
            let select = "SELECT version, message, restored_from, created_ms, created_by
                 FROM dashboard_version WHERE dashboard_id = ?1 ORDER BY version DESC";
            let mut statement = db.prepare_cached(select)?;
            let versions = statement.query_map([old.id], |row| {
                Ok(Version {
                    version: row.get(0)?,
                    message: row.get(1)?,
                    restored_from: row.get(2)?,
                    created_ms: row.get(3)?,
                    created_by: row.get(4)?,
                })
            })?;
            Ok(versions.collect::<Result<_, _>>()?)
        })
    }

    /// A dashboard as it was at a version.
    pub fn version(&self, uid: &str, version: i64) -> Result<Json, StateError> {
        let text = self.read(|db| {
            let old = dashboards::stored(db, uid)?.ok_or(StateError::NotFound("dashboard"))?;
            json_of(db, old.id, version)
        })?;
        Ok(dashboards::shown(parse_stored(&text)?, uid, version))
    }

    /// Makes an earlier version the newest one; the folder stays that of today.
    pub fn restore_version(&self, uid: &str, version: i64, by: &str) -> Result<About, StateError> {
        let now_ms = self.now_ms();
        self.write(|db| {
            let old = dashboards::stored(db, uid)?.ok_or(StateError::NotFound("dashboard"))?;
            dashboards::refuse_provisioned(&old)?;
            let content = Content::of(parse_stored(&json_of(db, old.id, version)?)?)?;
            let folder =
                db.query_row("SELECT folder_id FROM dashboard WHERE id = ?1", [old.id], |row| row.get(0))?;
            let message = format!("Restored from version {version}");
            let change = Change { message: &message, restored_from: Some(version), now_ms, by };
            dashboards::update(db, &old, &content, folder, &change)?;
            dashboards::about(db, uid)
        })
    }
}

fn json_of(db: &Connection, id: i64, version: i64) -> Result<String, StateError> {
    let select = "SELECT json FROM dashboard_version WHERE dashboard_id = ?1 AND version = ?2";
    let found = db.query_row(select, params![id, version], |row| row.get(0)).optional()?;
    found.ok_or(StateError::NotFound("version"))
}

/// Adds a version and lets the oldest go.
pub(crate) fn add(
    db: &Connection,
    (id, version): (i64, i64),
    json: &str,
    change: &Change<'_>,
) -> Result<(), StateError> {
    let message: String = change.message.chars().take(MAX_MESSAGE_CHARS).collect();
    db.execute(
        "INSERT INTO dashboard_version (dashboard_id, version, json, message, restored_from, created_ms, created_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![id, version, json, message, change.restored_from, change.now_ms, change.by],
    )?;
    let old = "DELETE FROM dashboard_version WHERE dashboard_id = ?1 AND version <= ?2";
    db.execute(old, params![id, version - KEPT])?;
    Ok(())
}
