//! Dashboards: the JSON as it was made, and what is known of it.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::folders::{checked_title, folder_id};
use crate::store::{StateError, Store};
use crate::versions;

/// The largest dashboard, as JSON without spaces.
pub const MAX_JSON_BYTES: usize = 8 << 20;
const MAX_TAGS: usize = 100;
const MAX_TAG_BYTES: usize = 50;

/// A dashboard.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// What is known of it.
    #[serde(flatten)]
    pub about: About,
    /// The dashboard itself, with `uid` and `version` as they are here and no `id`.
    pub dashboard: Json,
}

/// What is known of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// What names it in addresses.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// The folder it lies in.
    pub folder_uid: Option<String>,
    /// The title of that.
    pub folder_title: Option<String>,
    /// Grows by one with each change.
    pub version: i64,
    /// When it was made.
    pub created_ms: i64,
    /// By whom: a login.
    pub created_by: String,
    /// When it was changed last.
    pub updated_ms: i64,
    /// By whom.
    pub updated_by: String,
    /// The provider of the file it comes from; such a dashboard is changed there.
    pub provider: Option<String>,
    /// The file, as the provider names it.
    pub source_file: Option<String>,
}

/// A dashboard to be stored.
#[derive(Debug, Clone)]
pub struct Save<'a> {
    /// The dashboard. Its `uid` says which one it replaces; without one it is new.
    pub dashboard: Json,
    /// The folder it is to lie in; none is the top.
    pub folder_uid: Option<&'a str>,
    /// What was changed, for the list of versions.
    pub message: &'a str,
    /// Whether it replaces one that was changed since the version it says it comes from.
    pub overwrite: bool,
    /// Who stores it: a login.
    pub by: &'a str,
}

const SELECT: &str =
    "SELECT d.uid, d.title, f.uid, f.title, d.version, d.created_ms, d.created_by, d.updated_ms,
     d.updated_by, d.provider, d.source_file, d.json, d.id
     FROM dashboard d LEFT JOIN folder f ON f.id = d.folder_id WHERE d.uid = ?1";

impl Store {
    /// The dashboard of an identifier.
    pub fn dashboard(&self, uid: &str) -> Result<Dashboard, StateError> {
        let (about, text) = self.read(|db| Ok((about(db, uid)?, json_text(db, uid)?)))?;
        let dashboard = shown(parse_stored(&text)?, uid, about.version);
        Ok(Dashboard { about, dashboard })
    }

    /// Stores a dashboard: a new one, or the next version of one.
    pub fn save_dashboard(&self, save: Save<'_>) -> Result<About, StateError> {
        let mut content = Content::of(save.dashboard)?;
        let given = content.uid.take();
        let uid = self.checked_uid(given.as_deref())?;
        let now_ms = self.now_ms();
        self.write(|db| {
            let folder =
                save.folder_uid.filter(|uid| !uid.is_empty()).map(|uid| folder_id(db, uid)).transpose()?;
            let change = versions::Change { message: save.message, restored_from: None, now_ms, by: save.by };
            match stored(db, &uid)? {
                None => create(db, &uid, &content, folder, &change)?,
                Some(old) => {
                    refuse_provisioned(&old)?;
                    if !save.overwrite && content.version != Some(old.version) {
                        let why = "the dashboard has been changed by someone else";
                        return Err(StateError::Conflict(why.to_owned()));
                    }
                    update(db, &old, &content, folder, &change)?;
                }
            }
            about(db, &uid)
        })
    }

    /// Puts a dashboard into a folder, or to the top. It stays the version it is.
    pub fn move_dashboard(&self, uid: &str, folder_uid: Option<&str>) -> Result<About, StateError> {
        self.write(|db| {
            let old = stored(db, uid)?.ok_or(StateError::NotFound("dashboard"))?;
            if old.provider.is_some() {
                let why = "the dashboard comes from a file: move the file instead";
                return Err(StateError::Conflict(why.to_owned()));
            }
            let folder =
                folder_uid.filter(|uid| !uid.is_empty()).map(|uid| folder_id(db, uid)).transpose()?;
            db.execute("UPDATE dashboard SET folder_id = ?2 WHERE id = ?1", params![old.id, folder])?;
            about(db, uid)
        })
    }

    /// Takes a dashboard away, with its versions and stars.
    pub fn delete_dashboard(&self, uid: &str) -> Result<(), StateError> {
        self.write(|db| {
            let old = stored(db, uid)?.ok_or(StateError::NotFound("dashboard"))?;
            if old.provider.is_some() {
                let why = "the dashboard comes from a file: remove the file instead";
                return Err(StateError::Conflict(why.to_owned()));
            }
            db.execute("DELETE FROM dashboard WHERE id = ?1", [old.id])?;
            Ok(())
        })
    }
}

/// What there is of a dashboard already.
pub(crate) struct Stored {
    pub id: i64,
    pub version: i64,
    pub provider: Option<String>,
}

pub(crate) fn stored(db: &Connection, uid: &str) -> Result<Option<Stored>, StateError> {
    let select = "SELECT id, version, provider FROM dashboard WHERE uid = ?1";
    let row =
        |row: &rusqlite::Row<'_>| Ok(Stored { id: row.get(0)?, version: row.get(1)?, provider: row.get(2)? });
    Ok(db.query_row(select, [uid], row).optional()?)
}

pub(crate) fn refuse_provisioned(old: &Stored) -> Result<(), StateError> {
    if old.provider.is_some() {
        let why = "cannot save provisioned dashboard: change its file, or save it under another name";
        return Err(StateError::Conflict(why.to_owned()));
    }
    Ok(())
}

/// A dashboard as it is stored, and what is known of it besides.
pub(crate) struct Content {
    pub uid: Option<String>,
    pub title: String,
    pub version: Option<i64>,
    pub tags: Vec<String>,
    pub json: String,
}

impl Content {
    /// Reads what has to be known, and takes out what is the store's own.
    pub(crate) fn of(dashboard: Json) -> Result<Self, StateError> {
        let Json::Object(mut fields) = dashboard else {
            return Err(StateError::invalid("a dashboard is a JSON object"));
        };
        let names = Names::of(&fields);
        let inner = names.inner.map_or(Some(&fields), |key| fields.get(key).and_then(Json::as_object));
        let title = inner.and_then(|inner| inner.get("title")).and_then(Json::as_str).unwrap_or_default();
        let title = checked_title(title, "dashboard")?.to_owned();
        let tags = tags(inner.and_then(|inner| inner.get("tags")))?;
        let own = names.own(&mut fields);
        let uid = own.and_then(|own| own.remove(names.uid)).and_then(|uid| uid.as_str().map(str::to_owned));
        let version = names
            .own(&mut fields)
            .and_then(|own| own.remove(names.version))
            .and_then(|version| version.as_i64());
        if names.inner.is_none() {
            fields.remove("id");
        }
        let json = Json::Object(fields).to_string();
        if json.len() > MAX_JSON_BYTES {
            let why = format!("the dashboard has {} bytes of JSON; {MAX_JSON_BYTES} are allowed", json.len());
            return Err(StateError::invalid(why));
        }
        Ok(Self { uid: uid.filter(|uid| !uid.is_empty()), title, version, tags, json })
    }
}

/// Where a dashboard has what is the store's own. There are two forms: the older one has everything at
/// the top, the newer one (`kind: Dashboard`) is a resource with `metadata` and `spec`.
struct Names {
    /// Where title and tags are.
    inner: Option<&'static str>,
    /// Where identifier and version are.
    holder: Option<&'static str>,
    uid: &'static str,
    version: &'static str,
}

impl Names {
    fn of(fields: &Map<String, Json>) -> Self {
        let is_resource =
            fields.get("kind").and_then(Json::as_str) == Some("Dashboard") && fields.contains_key("spec");
        if is_resource {
            Self { inner: Some("spec"), holder: Some("metadata"), uid: "name", version: "generation" }
        } else {
            Self { inner: None, holder: None, uid: "uid", version: "version" }
        }
    }

    fn own<'f>(&self, fields: &'f mut Map<String, Json>) -> Option<&'f mut Map<String, Json>> {
        match self.holder {
            None => Some(fields),
            Some(key) => fields.entry(key).or_insert_with(|| Json::Object(Map::new())).as_object_mut(),
        }
    }
}

/// A stored dashboard with its identifier and version.
pub(crate) fn shown(mut dashboard: Json, uid: &str, version: i64) -> Json {
    if let Some(fields) = dashboard.as_object_mut() {
        let names = Names::of(fields);
        if let Some(own) = names.own(fields) {
            own.insert(names.uid.to_owned(), Json::from(uid));
            own.insert(names.version.to_owned(), Json::from(version));
        }
    }
    dashboard
}

fn tags(value: Option<&Json>) -> Result<Vec<String>, StateError> {
    let listed = value.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut tags: Vec<String> = listed.iter().filter_map(Json::as_str).map(str::to_owned).collect();
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MAX_TAGS || tags.iter().any(|tag| tag.is_empty() || tag.len() > MAX_TAG_BYTES) {
        let why = format!("a dashboard has at most {MAX_TAGS} tags of 1 to {MAX_TAG_BYTES} bytes");
        return Err(StateError::invalid(why));
    }
    Ok(tags)
}

pub(crate) fn create(
    db: &Connection,
    uid: &str,
    content: &Content,
    folder: Option<i64>,
    change: &versions::Change<'_>,
) -> Result<(), StateError> {
    db.execute(
        "INSERT INTO dashboard (uid, title, folder_id, version, json, created_ms, created_by, updated_ms, updated_by)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?5, ?6)",
        params![uid, content.title, folder, content.json, change.now_ms, change.by],
    )?;
    let id = db.last_insert_rowid();
    put_tags(db, id, &content.tags)?;
    versions::add(db, (id, 1), &content.json, change)
}

pub(crate) fn update(
    db: &Connection,
    old: &Stored,
    content: &Content,
    folder: Option<i64>,
    change: &versions::Change<'_>,
) -> Result<(), StateError> {
    let version = old.version + 1;
    db.execute(
        "UPDATE dashboard SET title = ?2, folder_id = ?3, version = ?4, json = ?5, updated_ms = ?6, updated_by = ?7
         WHERE id = ?1",
        params![old.id, content.title, folder, version, content.json, change.now_ms, change.by],
    )?;
    db.execute("DELETE FROM dashboard_tag WHERE dashboard_id = ?1", [old.id])?;
    put_tags(db, old.id, &content.tags)?;
    versions::add(db, (old.id, version), &content.json, change)
}

fn put_tags(db: &Connection, id: i64, tags: &[String]) -> Result<(), StateError> {
    let mut statement = db.prepare_cached("INSERT INTO dashboard_tag (dashboard_id, tag) VALUES (?1, ?2)")?;
    for tag in tags {
        statement.execute(params![id, tag])?;
    }
    Ok(())
}

pub(crate) fn about(db: &Connection, uid: &str) -> Result<About, StateError> {
    let row = |row: &rusqlite::Row<'_>| {
        Ok(About {
            uid: row.get(0)?,
            title: row.get(1)?,
            folder_uid: row.get(2)?,
            folder_title: row.get(3)?,
            version: row.get(4)?,
            created_ms: row.get(5)?,
            created_by: row.get(6)?,
            updated_ms: row.get(7)?,
            updated_by: row.get(8)?,
            provider: row.get(9)?,
            source_file: row.get(10)?,
        })
    };
    let found = db.prepare_cached(SELECT)?.query_row([uid], row).optional()?;
    found.ok_or(StateError::NotFound("dashboard"))
}

fn json_text(db: &Connection, uid: &str) -> Result<String, StateError> {
    Ok(db.query_row("SELECT json FROM dashboard WHERE uid = ?1", [uid], |row| row.get(0))?)
}

pub(crate) fn parse_stored(text: &str) -> Result<Json, StateError> {
    serde_json::from_str(text)
        .map_err(|error| StateError::Internal(format!("a stored dashboard is no JSON: {error}")))
}
