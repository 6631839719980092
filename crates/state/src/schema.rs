//! Tables, and how the file of an older version becomes one of this.

use std::path::Path;

use rusqlite::Connection;

use crate::store::StateError;

/// What leads from each version to the next. A step that was released is never changed again.
const STEPS: [&str; 2] = [FIRST, QUERY_RUNS];

/// Times are milliseconds since the Unix epoch.
const FIRST: &str = "
CREATE TABLE user (
    id            INTEGER PRIMARY KEY,
    login         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    password_hash TEXT NOT NULL,
    is_disabled   INTEGER NOT NULL DEFAULT 0,
    created_ms    INTEGER NOT NULL,
    seen_ms       INTEGER
) STRICT;

CREATE TABLE session (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,
    client     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_user ON session (user_id);

CREATE TABLE folder (
    id         INTEGER PRIMARY KEY,
    uid        TEXT NOT NULL UNIQUE,
    title      TEXT NOT NULL,
    parent_id  INTEGER REFERENCES folder (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE dashboard (
    id          INTEGER PRIMARY KEY,
    uid         TEXT NOT NULL UNIQUE,
    title       TEXT NOT NULL,
    folder_id   INTEGER REFERENCES folder (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    json        TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    updated_ms  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL,
    provider    TEXT,
    source_file TEXT,
    source_hash BLOB
) STRICT;
CREATE INDEX dashboard_of_folder ON dashboard (folder_id);
CREATE INDEX dashboard_of_provider ON dashboard (provider);

CREATE TABLE dashboard_version (
    dashboard_id  INTEGER NOT NULL REFERENCES dashboard (id) ON DELETE CASCADE,
    version       INTEGER NOT NULL,
    json          TEXT NOT NULL,
    message       TEXT NOT NULL,
    restored_from INTEGER,
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    PRIMARY KEY (dashboard_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE dashboard_tag (
    dashboard_id INTEGER NOT NULL REFERENCES dashboard (id) ON DELETE CASCADE,
    tag          TEXT NOT NULL,
    PRIMARY KEY (dashboard_id, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE star (
    user_id      INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    dashboard_id INTEGER NOT NULL REFERENCES dashboard (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, dashboard_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE preferences (
    -- 0 is everybody: what holds where a user has no wish.
    user_id  INTEGER PRIMARY KEY,
    json     TEXT NOT NULL
) STRICT;

CREATE TABLE data_source (
    id          INTEGER PRIMARY KEY,
    uid         TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    url         TEXT NOT NULL,
    is_default  INTEGER NOT NULL,
    is_provisioned INTEGER NOT NULL,
    json        TEXT NOT NULL,
    secrets     TEXT NOT NULL
) STRICT;
";

/// Queries are a list in JSON.
const QUERY_RUNS: &str = "
CREATE TABLE query_run (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    datasource TEXT NOT NULL,
    queries    TEXT NOT NULL,
    comment    TEXT NOT NULL,
    is_starred INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    UNIQUE (user_id, datasource, queries)
) STRICT;
CREATE INDEX query_run_of_user ON query_run (user_id, is_starred, at_ms);
";

/// Brings the tables to the newest version, in one transaction.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StateError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known || found < 0 {
        return Err(StateError::TooNew { path: path.to_path_buf(), found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}
