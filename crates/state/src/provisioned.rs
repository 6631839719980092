//! Dashboards that files bring.
//!
//! A provider is a folder of files. What its files have is what is stored: a changed file is a new
//! version, and a dashboard whose file is gone goes, too, unless the provider says otherwise.

use rusqlite::{Connection, params};
use serde_json::Value as Json;

use crate::dashboards::{self, Content};
use crate::folders::folder_of_title;
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
        let mut outcome = Outcome::default();
        let mut seen = Vec::with_capacity(files.len());
        for file in files {
            let path = file.path.clone();
            match self.provision_file(provider, file) {
                Ok((uid, change)) => {
                    match change {
                        Some(true) => outcome.added += 1,
                        Some(false) => outcome.changed += 1,
                        None => {}
                    }
                    if seen.contains(&uid) {
                        outcome
                            .refused
                            .push(format!("{path}: another file has a dashboard with the uid {uid:?}, too"));
                    }
                    seen.push(uid);
                }
                Err(StateError::Storage(error)) => return Err(StateError::Storage(error)),
                Err(error) => {
                    // What was stored of it before stays until the file is right again.
                    seen.extend(self.uid_of_file(provider, &path)?);
                    outcome.refused.push(format!("{path}: {error}"));
                }
            }
        }
        outcome.removed = self.forget_others(provider, &seen, keeps_removed)?;
        Ok(outcome)
    }

    /// Stores one file; says whether it is new (`true`), changed (`false`), or as it was.
    fn provision_file(&self, provider: &str, file: FromFile) -> Result<(String, Option<bool>), StateError> {
        let mut content = Content::of(file.dashboard)?;
        let known = self.uid_of_file(provider, &file.path)?;
        let uid = self.checked_uid(content.uid.take().or(known).as_deref())?;
        let now_ms = self.now_ms();
        let folder_uids: Vec<String> = file.folders.iter().map(|_| self.random_text::<10>()).collect();
        self.write(|db| {
            let mut folder = None;
            for (title, uid) in file.folders.iter().zip(&folder_uids) {
                folder = Some(folder_of_title(db, title, folder, (uid, now_ms))?);
            }
            let old = dashboards::stored(db, &uid)?;
            if old.as_ref().is_some_and(|old| old.provider.as_deref().is_some_and(|other| other != provider))
            {
                let why = format!("another provider has a dashboard with the uid {uid:?}");
                return Err(StateError::Conflict(why));
            }
            let change = versions::Change { message: "", restored_from: None, now_ms, by: BY };
            let is_new = match &old {
                None => {
                    dashboards::create(db, &uid, &content, folder, &change)?;
                    Some(true)
                }
                Some(old) if is_same(db, old.id, (&file.hash, folder))? => None,
                Some(old) => {
                    dashboards::update(db, old, &content, folder, &change)?;
                    Some(false)
                }
            };
            db.execute(
                "UPDATE dashboard SET provider = ?2, source_file = ?3, source_hash = ?4 WHERE uid = ?1",
                params![uid, provider, file.path, file.hash],
            )?;
            Ok((uid.clone(), is_new))
        })
    }

    fn uid_of_file(&self, provider: &str, path: &str) -> Result<Option<String>, StateError> {
        self.read(|db| {
            let select = "SELECT uid FROM dashboard WHERE provider = ?1 AND source_file = ?2";
            let mut statement = db.prepare_cached(select)?;
            let mut rows = statement.query(params![provider, path])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
        })
    }

    /// Lets go of what the provider had and none of its files has any more.
    fn forget_others(&self, provider: &str, seen: &[String], keeps: bool) -> Result<usize, StateError> {
        self.write(|db| {
            let mut statement = db.prepare("SELECT uid FROM dashboard WHERE provider = ?1")?;
            let had: Vec<String> = statement.query_map([provider], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut removed = 0;
            for uid in had.iter().filter(|uid| !seen.contains(uid)) {
                let change = if keeps {
                    "UPDATE dashboard SET provider = NULL, source_file = NULL, source_hash = NULL WHERE uid = ?1"
                } else {
                    "DELETE FROM dashboard WHERE uid = ?1"
                };
                db.execute(change, [uid])?;
                removed += 1;
            }
            Ok(removed)
        })
    }

    /// Lets go of the dashboards of providers that are configured no more.
    pub fn forget_providers_but(&self, configured: &[String]) -> Result<usize, StateError> {
        let known: Vec<String> = self.read(|db| {
            let mut statement =
                db.prepare("SELECT DISTINCT provider FROM dashboard WHERE provider IS NOT NULL")?;
            let known = statement.query_map([], |row| row.get(0))?;
            Ok(known.collect::<Result<_, _>>()?)
        })?;
        let gone = known.iter().filter(|provider| !configured.contains(provider));
        gone.map(|provider| self.forget_others(provider, &[], false)).sum()
    }
}

fn is_same(db: &Connection, id: i64, (hash, folder): (&[u8], Option<i64>)) -> Result<bool, StateError> {
    let select = "SELECT source_hash IS ?2 AND folder_id IS ?3 FROM dashboard WHERE id = ?1";
    Ok(db.query_row(select, params![id, hash, folder], |row| row.get(0))?)
}
