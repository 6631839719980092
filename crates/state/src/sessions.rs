//! Sessions of users who logged in.
//!
//! A session is known by a token only its browser has; the file has a hash of it, so that who reads a
//! copy of the file cannot take a session over.

use ring::digest::{SHA256, digest};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use crate::store::{StateError, Store};
use crate::users::{self, User};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A session nobody uses ends after this time.
pub const MAX_IDLE_MS: i64 = 7 * DAY_MS;
/// Every session ends after this time.
pub const MAX_AGE_MS: i64 = 30 * DAY_MS;
/// How exactly it is known when a session was last used: not every request is worth a write.
const SEEN_EVERY_MS: i64 = 60_000;
/// Sessions of one user; the one that was not used for longest ends for a new one.
const MAX_SESSIONS: i64 = 100;
const MAX_CLIENT_CHARS: usize = 200;

/// A session, as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// When it began.
    pub created_ms: i64,
    /// When it was last used, to about a minute.
    pub seen_ms: i64,
    /// What the browser says of itself.
    pub client: String,
}

fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

impl Store {
    /// Begins a session of a user and returns its token.
    pub fn begin_session(&self, user: i64, client: &str) -> Result<String, StateError> {
        let token = self.random_text::<32>();
        let now_ms = self.now_ms();
        let client: String = client.chars().filter(|c| !c.is_control()).take(MAX_CLIENT_CHARS).collect();
        self.write(|db| {
            db.execute(
                "DELETE FROM session WHERE created_ms <= ?1 OR seen_ms <= ?2",
                params![now_ms - MAX_AGE_MS, now_ms - MAX_IDLE_MS],
            )?;
            db.execute(
                "DELETE FROM session WHERE token_hash IN (SELECT token_hash FROM session WHERE user_id = ?1
                 ORDER BY seen_ms DESC LIMIT -1 OFFSET ?2)",
                params![user, MAX_SESSIONS - 1],
            )?;
            db.execute(
                "INSERT INTO session (token_hash, user_id, created_ms, seen_ms, client) VALUES (?1, ?2, ?3, ?3, ?4)",
                params![hash(&token), user, now_ms, client],
            )?;
            db.execute("UPDATE user SET seen_ms = ?2 WHERE id = ?1", params![user, now_ms])?;
            Ok(())
        })?;
        Ok(token)
    }

    /// The user whose session a token is, if it has not ended.
    pub fn session_user(&self, token: &str) -> Result<Option<User>, StateError> {
        let now_ms = self.now_ms();
        let hash = hash(token);
        let found = self.read(|db| {
            let select = "SELECT user_id, seen_ms FROM session
                 WHERE token_hash = ?1 AND created_ms > ?2 AND seen_ms > ?3";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
            let mut statement = db.prepare_cached(select)?;
            let times = params![hash, now_ms - MAX_AGE_MS, now_ms - MAX_IDLE_MS];
            let found = statement.query_row(times, row).optional()?;
            found.map(|(user, seen_ms)| Ok((users::find(db, user)?, seen_ms))).transpose()
        })?;
        let Some((user, seen_ms)) = found.filter(|(user, _)| !user.is_disabled) else { return Ok(None) };
        if now_ms - seen_ms >= SEEN_EVERY_MS {
            self.write(|db| {
                db.execute("UPDATE session SET seen_ms = ?2 WHERE token_hash = ?1", params![hash, now_ms])?;
                db.execute("UPDATE user SET seen_ms = ?2 WHERE id = ?1", params![user.id, now_ms])?;
                Ok(())
            })?;
        }
        Ok(Some(user))
    }

    /// The sessions of a user, the one used last first.
    pub fn sessions(&self, user: i64) -> Result<Vec<Session>, StateError> {
        let now_ms = self.now_ms();
        self.read(|db| {
            let select = "SELECT created_ms, seen_ms, client FROM session
                 WHERE user_id = ?1 AND created_ms > ?2 AND seen_ms > ?3 ORDER BY seen_ms DESC, created_ms DESC";
            let mut statement = db.prepare_cached(select)?;
            let rows = statement.query_map(params![user, now_ms - MAX_AGE_MS, now_ms - MAX_IDLE_MS], |row| {
                Ok(Session { created_ms: row.get(0)?, seen_ms: row.get(1)?, client: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Ends the session of a token; one that has ended already is no error.
    pub fn end_session(&self, token: &str) -> Result<(), StateError> {
        self.write(|db| {
            db.execute("DELETE FROM session WHERE token_hash = ?1", [hash(token)])?;
            Ok(())
        })
    }

    /// Ends all sessions of a user but that of `kept`.
    pub fn end_other_sessions(&self, user: i64, kept: &str) -> Result<usize, StateError> {
        self.write(|db| {
            let delete = "DELETE FROM session WHERE user_id = ?1 AND token_hash <> ?2";
            Ok(db.execute(delete, params![user, hash(kept)])?)
        })
    }
}
