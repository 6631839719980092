//! Queries that users ran in Explore: what they asked when, marked by stars and explained by comments.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde::Serialize;

use crate::store::{StateError, Store};

/// Runs of a user without a star that are kept: the newest.
const MAX_KEPT: i64 = 1_000;
/// Runs of a user with a star.
const MAX_STARRED: i64 = 1_000;
/// Runs of one answer.
const MAX_FOUND: usize = 500;
const MAX_QUERIES: usize = 50;
/// Bytes of the queries of one run.
const MAX_QUERY_BYTES: usize = 64 << 10;
const MAX_COMMENT_BYTES: usize = 4 << 10;
const MAX_SOURCE_BYTES: usize = 190;

/// Queries that were run together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What names it.
    pub id: i64,
    /// The identifier of the data source it was asked of.
    pub datasource: String,
    /// The queries.
    pub queries: Vec<String>,
    /// What its user says about it.
    pub comment: String,
    /// Whether it has a star, so that it stays.
    pub starred: bool,
    /// When it was run last, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What changes about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunChange {
    /// Whether it has a star from now on.
    pub starred: Option<bool>,
    /// What is said about it from now on.
    pub comment: Option<String>,
}

/// Which runs are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSearch {
    /// All its words are in the queries or the comment.
    pub text: String,
    /// Whether only those with a star are wanted.
    pub starred: bool,
    /// The most that are told.
    pub limit: Option<usize>,
}

const SELECT: &str =
    "SELECT id, datasource, queries, comment, is_starred, at_ms FROM query_run WHERE user_id = ?";

impl Store {
    /// The runs of a user, the newest first.
    pub fn runs(&self, user: i64, search: &RunSearch) -> Result<Vec<Run>, StateError> {
        let mut select = String::from(SELECT);
        let mut values = vec![Value::from(user)];
        for word in search.text.split_whitespace() {
            select.push_str(" AND instr(fold(queries || ' ' || comment), ?) > 0");
            // Queries are stored as JSON, in which quotes are escaped.
            let word = serde_json::to_string(&word.to_lowercase());
            let word = word.map_err(|error| StateError::Internal(error.to_string()))?;
            values.push(Value::from(word[1..word.len() - 1].to_owned()));
        }
        if search.starred {
            select.push_str(" AND is_starred");
        }
        let limit = search.limit.unwrap_or(MAX_FOUND).min(MAX_FOUND);
        select.push_str(&format!(" ORDER BY at_ms DESC, id DESC LIMIT {limit}"));
        self.read(|db| {
            let mut statement = db.prepare_cached(&select)?;
            let runs = statement.query_map(params_from_iter(values), from_row)?;
            Ok(runs.collect::<Result<_, _>>()?)
        })
    }

    /// Keeps a run of a user. The same queries to the same data source are there once: the run before gives way, and
    /// its star and its comment stay. `at_ms` is for runs from elsewhere; it is now where it is `None` or to come.
    pub fn add_run(
        &self,
        user: i64,
        datasource: &str,
        queries: &[String],
        at_ms: Option<i64>,
    ) -> Result<Run, StateError> {
        check(datasource, queries)?;
        let now_ms = self.now_ms();
        let at_ms = at_ms.unwrap_or(now_ms).min(now_ms);
        let text = serde_json::to_string(queries).map_err(|error| StateError::Internal(error.to_string()))?;
        self.write(|db| {
            let id: i64 = db.query_row(
                "INSERT INTO query_run (user_id, datasource, queries, comment, is_starred, at_ms)
                 VALUES (?1, ?2, ?3, '', 0, ?4)
                 ON CONFLICT (user_id, datasource, queries) DO UPDATE SET at_ms = max(at_ms, ?4)
                 RETURNING id",
                params![user, datasource, text, at_ms],
                |row| row.get(0),
            )?;
            db.execute(
                "DELETE FROM query_run WHERE user_id = ?1 AND NOT is_starred AND id <> ?2 AND id NOT IN
                 (SELECT id FROM query_run WHERE user_id = ?1 AND NOT is_starred
                  ORDER BY at_ms DESC, id DESC LIMIT ?3)",
                params![user, id, MAX_KEPT],
            )?;
            find(db, user, id)
        })
    }

    /// Gives a run a star or a comment, or takes them away.
    pub fn change_run(&self, user: i64, id: i64, change: &RunChange) -> Result<Run, StateError> {
        if change.comment.as_ref().is_some_and(|comment| comment.len() > MAX_COMMENT_BYTES) {
            return Err(StateError::invalid(format!("a comment has at most {MAX_COMMENT_BYTES} bytes")));
        }
        self.write(|db| {
            let old = find(db, user, id)?;
            if change.starred == Some(true) && !old.starred {
                let count = "SELECT count(*) FROM query_run WHERE user_id = ?1 AND is_starred";
                let starred: i64 = db.query_row(count, [user], |row| row.get(0))?;
                if starred >= MAX_STARRED {
                    let why = format!("{MAX_STARRED} queries have a star: take one away first");
                    return Err(StateError::Conflict(why));
                }
            }
            db.execute(
                "UPDATE query_run SET is_starred = coalesce(?3, is_starred), comment = coalesce(?4, comment)
                 WHERE user_id = ?1 AND id = ?2",
                params![user, id, change.starred, change.comment],
            )?;
            find(db, user, id)
        })
    }

    /// Forgets a run.
    pub fn delete_run(&self, user: i64, id: i64) -> Result<(), StateError> {
        self.write(|db| {
            let gone = db.execute("DELETE FROM query_run WHERE user_id = ?1 AND id = ?2", [user, id])?;
            if gone == 0 { Err(NOT_FOUND) } else { Ok(()) }
        })
    }
}

const NOT_FOUND: StateError = StateError::NotFound("query");

fn check(datasource: &str, queries: &[String]) -> Result<(), StateError> {
    if datasource.is_empty() || datasource.len() > MAX_SOURCE_BYTES {
        let why = format!("a data source is named by 1 to {MAX_SOURCE_BYTES} bytes");
        return Err(StateError::invalid(why));
    }
    let bytes: usize = queries.iter().map(String::len).sum();
    if queries.is_empty() || queries.len() > MAX_QUERIES || bytes > MAX_QUERY_BYTES {
        let why = format!("a run has 1 to {MAX_QUERIES} queries of {MAX_QUERY_BYTES} bytes in all");
        return Err(StateError::invalid(why));
    }
    Ok(())
}

fn find(db: &Connection, user: i64, id: i64) -> Result<Run, StateError> {
    let select = format!("{SELECT} AND id = ?");
    db.query_row(&select, [user, id], from_row).optional()?.ok_or(NOT_FOUND)
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Run> {
    let queries: String = row.get(2)?;
    let queries = serde_json::from_str(&queries).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Run {
        id: row.get(0)?,
        datasource: row.get(1)?,
        queries,
        comment: row.get(3)?,
        starred: row.get(4)?,
        at_ms: row.get(5)?,
    })
}
