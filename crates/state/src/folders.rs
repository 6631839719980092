//! Folders of dashboards.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::store::{StateError, Store};

/// How deep folders lie in each other.
const MAX_DEPTH: usize = 4;
const MAX_TITLE_BYTES: usize = 190;
const MAX_UID_BYTES: usize = 40;
/// Random bytes of an identifier made here: 14 characters.
const UID_BYTES: usize = 10;

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Folder {
    /// What names it in addresses.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// The folder it lies in.
    pub parent_uid: Option<String>,
    /// How many dashboards lie in it, not counting those in folders of its own.
    pub dashboards: i64,
}

impl Store {
    /// Makes a folder; without `uid` one is made up.
    pub fn create_folder(
        &self,
        uid: Option<&str>,
        title: &str,
        parent_uid: Option<&str>,
    ) -> Result<Folder, StateError> {
        let title = checked_title(title, "folder")?;
        let uid = self.checked_uid(uid)?;
        let now_ms = self.now_ms();
        self.write(|db| {
            let parent = parent_uid.map(|parent| folder_id(db, parent)).transpose()?;
            if depth(db, parent)? >= MAX_DEPTH {
                return Err(StateError::invalid(format!(
                    "folders lie at most {MAX_DEPTH} deep in each other"
                )));
            }
            if folder_id(db, &uid).is_ok() {
                return Err(StateError::Conflict(format!("there is a folder {uid:?} already")));
            }
            check_sibling(db, title, parent, None)?;
            db.execute(
                "INSERT INTO folder (uid, title, parent_id, created_ms) VALUES (?1, ?2, ?3, ?4)",
                params![uid, title, parent, now_ms],
            )?;
            folder(db, &uid)
        })
    }

    /// All folders, by title.
    pub fn folders(&self) -> Result<Vec<Folder>, StateError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(&format!("{SELECT} ORDER BY f.title, f.uid"))?;
            let folders = statement.query_map([], from_row)?;
            Ok(folders.collect::<Result<_, _>>()?)
        })
    }

    /// Gives a folder another title.
    pub fn rename_folder(&self, uid: &str, title: &str) -> Result<Folder, StateError> {
        let title = checked_title(title, "folder")?;
        self.write(|db| {
            let id = folder_id(db, uid)?;
            let parent =
                db.query_row("SELECT parent_id FROM folder WHERE id = ?1", [id], |row| row.get(0))?;
            check_sibling(db, title, parent, Some(id))?;
            db.execute("UPDATE folder SET title = ?2 WHERE id = ?1", params![id, title])?;
            folder(db, uid)
        })
    }

    /// Puts a folder with all that lies in it into another, or to the top.
    pub fn move_folder(&self, uid: &str, parent_uid: Option<&str>) -> Result<Folder, StateError> {
        self.write(|db| {
            let id = folder_id(db, uid)?;
            let parent = parent_uid.map(|parent| folder_id(db, parent)).transpose()?;
            let mut above = parent;
            while let Some(at) = above {
                if at == id {
                    return Err(StateError::invalid("a folder cannot lie in itself: choose another folder"));
                }
                above = db.query_row("SELECT parent_id FROM folder WHERE id = ?1", [at], |row| row.get(0))?;
            }
            if depth(db, parent)? + height(db, id)? > MAX_DEPTH {
                return Err(StateError::invalid(format!(
                    "folders lie at most {MAX_DEPTH} deep in each other"
                )));
            }
            let title: String =
                db.query_row("SELECT title FROM folder WHERE id = ?1", [id], |row| row.get(0))?;
            check_sibling(db, &title, parent, Some(id))?;
            db.execute("UPDATE folder SET parent_id = ?2 WHERE id = ?1", params![id, parent])?;
            folder(db, uid)
        })
    }

    /// Takes a folder away with all that lies in it, unless a dashboard from a file does.
    pub fn delete_folder(&self, uid: &str) -> Result<(), StateError> {
        self.write(|db| {
            let id = folder_id(db, uid)?;
            let below = "WITH RECURSIVE below (id) AS (SELECT ?1 UNION
                 SELECT f.id FROM folder f JOIN below ON f.parent_id = below.id)
                 SELECT title FROM dashboard WHERE provider IS NOT NULL AND folder_id IN below LIMIT 1";
            let kept: Option<String> = db.query_row(below, [id], |row| row.get(0)).optional()?;
            if let Some(title) = kept {
                let why = format!(
                    "the folder has the dashboard {title:?}, which comes from a file: remove the file first"
                );
                return Err(StateError::Conflict(why));
            }
            db.execute("DELETE FROM folder WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// An identifier as it was given, if it can be one, or a new one.
    pub(crate) fn checked_uid(&self, uid: Option<&str>) -> Result<String, StateError> {
        match uid.filter(|uid| !uid.is_empty()) {
            Some(uid) => Ok(checked(uid)?.to_owned()),
            None => Ok(self.random_text::<UID_BYTES>()),
        }
    }
}

/// An identifier, if it can be one.
pub(crate) fn checked(uid: &str) -> Result<&str, StateError> {
    if uid.len() > MAX_UID_BYTES {
        return Err(StateError::invalid(format!("uid too long, max {MAX_UID_BYTES} characters")));
    }
    if !uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(StateError::invalid(
            "uid contains illegal characters: letters, digits, - and _ are allowed",
        ));
    }
    Ok(uid)
}

const SELECT: &str = "SELECT f.uid, f.title, p.uid,
     (SELECT count(*) FROM dashboard d WHERE d.folder_id = f.id)
     FROM folder f LEFT JOIN folder p ON p.id = f.parent_id";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Folder> {
    Ok(Folder { uid: row.get(0)?, title: row.get(1)?, parent_uid: row.get(2)?, dashboards: row.get(3)? })
}

fn folder(db: &Connection, uid: &str) -> Result<Folder, StateError> {
    Ok(db.query_row(&format!("{SELECT} WHERE f.uid = ?1"), [uid], from_row)?)
}

/// The number of the folder of an identifier.
pub(crate) fn folder_id(db: &Connection, uid: &str) -> Result<i64, StateError> {
    let id = db.query_row("SELECT id FROM folder WHERE uid = ?1", [uid], |row| row.get(0)).optional()?;
    id.ok_or(StateError::NotFound("folder"))
}

/// The number of the folder of a title in another; it is made if it is not there.
pub(crate) fn folder_of_title(
    db: &Connection,
    title: &str,
    parent: Option<i64>,
    (uid, now_ms): (&str, i64),
) -> Result<i64, StateError> {
    let find = "SELECT id FROM folder WHERE title = ?1 AND parent_id IS ?2";
    if let Some(id) = db.query_row(find, params![title, parent], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    db.execute(
        "INSERT INTO folder (uid, title, parent_id, created_ms) VALUES (?1, ?2, ?3, ?4)",
        params![uid, title, parent, now_ms],
    )?;
    Ok(db.last_insert_rowid())
}

/// A title without space around it, if it is one.
pub(crate) fn checked_title<'a>(title: &'a str, what: &str) -> Result<&'a str, StateError> {
    let title = title.trim();
    if title.is_empty() {
        return Err(StateError::invalid(format!("{what} title cannot be empty")));
    }
    if title.len() > MAX_TITLE_BYTES {
        return Err(StateError::invalid(format!(
            "{what} title cannot contain more than {MAX_TITLE_BYTES} bytes"
        )));
    }
    Ok(title)
}

fn depth(db: &Connection, mut id: Option<i64>) -> Result<usize, StateError> {
    let mut depth = 0;
    while let Some(at) = id {
        depth += 1;
        id = db.query_row("SELECT parent_id FROM folder WHERE id = ?1", [at], |row| row.get(0))?;
    }
    Ok(depth)
}

/// How many folders lie below each other from this one on, itself counted.
fn height(db: &Connection, id: i64) -> Result<usize, StateError> {
    let select = "WITH RECURSIVE below (id, level) AS (SELECT ?1, 1 UNION
         SELECT f.id, below.level + 1 FROM folder f JOIN below ON f.parent_id = below.id)
         SELECT max(level) FROM below";
    let levels: i64 = db.query_row(select, [id], |row| row.get(0))?;
    Ok(usize::try_from(levels).unwrap_or(MAX_DEPTH))
}

fn check_sibling(
    db: &Connection,
    title: &str,
    parent: Option<i64>,
    own: Option<i64>,
) -> Result<(), StateError> {
    let find = "SELECT 1 FROM folder WHERE title = ?1 AND parent_id IS ?2 AND id IS NOT ?3";
    if db.query_row(find, params![title, parent, own], |_| Ok(())).optional()?.is_some() {
        return Err(StateError::Conflict(format!(
            "there is a folder with the title {title:?} at this place already"
        )));
    }
    Ok(())
}
