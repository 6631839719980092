//! Dashboards that files bring.
//!
//! A provider is a folder of files. What its files have is what is stored: a changed file is a new
//! version, and a dashboard whose file is gone goes, too, unless the provider says otherwise.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value as Json;

use crate::dashboards::{self, Content};
use crate::folders::{checked, folder_of_title};
use crate::store::{StateError, Store};
use crate::versions;

/// Who is told to have made them.
const BY: &str = "provisioning";

/// A dashboard in a file.
#[derive(Debug, Clone)]
pub struct FromFile {
    /// The file, relative to the folder of the provider.
    pub path: String,
    /// What the content is known by; a file with the same is not stored again.
    pub hash: Vec<u8>,
    /// The titles of folders it lies in, the outermost first.
    pub folders: Vec<String>,
    /// The dashboard.
    pub dashboard: Json,
}

/// What bringing the store in line with files did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Dashboards that are new.
    pub added: usize,
    /// Those that have changed.
    pub changed: usize,
    /// Those whose file is gone.
    pub removed: usize,
    /// Files that could not be stored, each with the reason.
    pub refused: Vec<String>,
}

impl Store {
    /// Brings the dashboards of a provider in line with its files.
    ///
    /// `keeps_removed` has dashboards stay whose file is gone; from then on they are nobody's and may be
    /// changed.
    pub fn provision_dashboards(
        &self,
        provider: &str,
        files: Vec<FromFile>,
        keeps_removed: bool,
    ) -> Result<Outcome, StateError> {
        let now_ms = self.now_ms();
        // Made before the transaction, which has the store for itself.
        let uids: Vec<_> = files.iter().map(|file| self.new_uids(file)).collect();
        self.write(|db| {
            let mut outcome = Outcome::default();
            let mut seen = Vec::with_capacity(files.len());
            for (file, uids) in files.into_iter().zip(uids) {
                let path = file.path.clone();
                match provision_file(db, provider, file, (uids, now_ms)) {
                    Ok((uid, change)) => {
                        match change {
                            Change::Added => outcome.added += 1,
                            Change::Changed => outcome.changed += 1,
                            Change::None => {}
                        }
                        if seen.contains(&uid) {
                            let why =
                                format!("{path}: another file has a dashboard with the uid {uid:?}, too");
                            outcome.refused.push(why);
                        }
                        seen.push(uid);
                    }
                    Err(StateError::Storage(error)) => return Err(StateError::Storage(error)),
                    Err(error) => {
                        // What was stored of it before stays until the file is right again.
                        seen.extend(uid_of_file(db, provider, &path)?);
                        outcome.refused.push(format!("{path}: {error}"));
                    }
                }
            }
            outcome.removed = forget_others(db, provider, &seen, keeps_removed)?;
            Ok(outcome)
        })
    }

    /// Identifiers a file may need: one for itself, and one for each folder.
    fn new_uids(&self, file: &FromFile) -> Vec<String> {
        (0..=file.folders.len()).map(|_| self.random_text::<10>()).collect()
    }

    /// Lets go of the dashboards of providers that are configured no more.
    pub fn forget_providers_but(&self, configured: &[String]) -> Result<usize, StateError> {
        let known: Vec<String> = self.read(|db| {
            let mut statement =
                db.prepare("SELECT DISTINCT provider FROM dashboard WHERE provider IS NOT NULL")?;
            let known = statement.query_map([], |row| row.get(0))?;
            Ok(known.collect::<Result<_, _>>()?)
        })?;
        let gone: Vec<_> = known.iter().filter(|provider| !configured.contains(provider)).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        self.write(|db| gone.into_iter().map(|provider| forget_others(db, provider, &[], false)).sum())
    }
}

/// What storing a file did.
enum Change {
    Added,
    Changed,
    None,
}

/// Stores one file. What is refused is refused before anything is written.
fn provision_file(
    db: &Connection,
    provider: &str,
    file: FromFile,
    (new_uids, now_ms): (Vec<String>, i64),
) -> Result<(String, Change), StateError> {
    let mut content = Content::of(file.dashboard)?;
    let uid = match content.uid.take().or(uid_of_file(db, provider, &file.path)?) {
        Some(uid) => checked(&uid)?.to_owned(),
        None => new_uids[0].clone(),
    };
    let old = dashboards::stored(db, &uid)?;
    if old.as_ref().is_some_and(|old| old.provider.as_deref().is_some_and(|other| other != provider)) {
        return Err(StateError::Conflict(format!("another provider has a dashboard with the uid {uid:?}")));
    }
    let mut folder = None;
    for (title, uid) in file.folders.iter().zip(&new_uids[1..]) {
        folder = Some(folder_of_title(db, title, folder, (uid, now_ms))?);
    }
    let change = versions::Change { message: "", restored_from: None, now_ms, by: BY };
    let done = match &old {
        Some(old) if is_same(db, old.id, (&file.hash, &file.path, folder))? => {
            return Ok((uid, Change::None));
        }
        Some(old) => {
            dashboards::update(db, old, &content, folder, &change)?;
            Change::Changed
        }
        None => {
            dashboards::create(db, &uid, &content, folder, &change)?;
            Change::Added
        }
    };
    db.execute(
        "UPDATE dashboard SET provider = ?2, source_file = ?3, source_hash = ?4 WHERE uid = ?1",
        params![uid, provider, file.path, file.hash],
    )?;
    Ok((uid, done))
}

fn uid_of_file(db: &Connection, provider: &str, path: &str) -> Result<Option<String>, StateError> {
    let select = "SELECT uid FROM dashboard WHERE provider = ?1 AND source_file = ?2";
    Ok(db.prepare_cached(select)?.query_row(params![provider, path], |row| row.get(0)).optional()?)
}

/// Lets go of what the provider had and none of its files has any more.
fn forget_others(db: &Connection, provider: &str, seen: &[String], keeps: bool) -> Result<usize, StateError> {
    let mut statement = db.prepare("SELECT uid FROM dashboard WHERE provider = ?1")?;
    let had: Vec<String> = statement.query_map([provider], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let change = if keeps {
        "UPDATE dashboard SET provider = NULL, source_file = NULL, source_hash = NULL WHERE uid = ?1"
    } else {
        "DELETE FROM dashboard WHERE uid = ?1"
    };
    let gone = had.iter().filter(|uid| !seen.contains(uid));
    gone.map(|uid| Ok(db.execute(change, [uid])?)).sum()
}

fn is_same(
    db: &Connection,
    id: i64,
    (hash, path, folder): (&[u8], &str, Option<i64>),
) -> Result<bool, StateError> {
    let select =
        "SELECT source_hash IS ?2 AND source_file IS ?3 AND folder_id IS ?4 FROM dashboard WHERE id = ?1";
    Ok(db.query_row(select, params![id, hash, path, folder], |row| row.get(0))?)
}
