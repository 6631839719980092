//! Finding dashboards, and those a user has marked with a star.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};
use serde::Serialize;

use crate::dashboards;
use crate::store::{StateError, Store};

/// The most dashboards one search gives.
pub const MAX_FOUND: usize = 5_000;

/// What is looked for; everything that is empty matches all.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Words that all stand in the title, or in that of the folder.
    pub text: String,
    /// Tags it has, all of them.
    pub tags: Vec<String>,
    /// A folder it lies in.
    pub folder_uid: Option<String>,
    /// The user whose stars are told.
    pub user: i64,
    /// Whether only those with a star of the user are looked for.
    pub starred: bool,
    /// The most to give.
    pub limit: Option<usize>,
}

/// A dashboard that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// What names it in addresses.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// The folder it lies in.
    pub folder_uid: Option<String>,
    /// The title of that.
    pub folder_title: Option<String>,
    /// Whether the user marked it.
    pub is_starred: bool,
    /// Whether it comes from a file.
    pub is_provisioned: bool,
}

/// Between tags in a list: no tag has it, as JSON's writers escape it.
const SEPARATOR: char = '\u{1f}';

impl Store {
    /// Dashboards that match, by title.
    pub fn search(&self, search: &Search) -> Result<Vec<Found>, StateError> {
        let mut select = String::from(
            "SELECT d.uid, d.title, f.uid, f.title, d.provider IS NOT NULL, s.user_id IS NOT NULL,
             (SELECT group_concat(tag, char(31) ORDER BY tag) FROM dashboard_tag t WHERE t.dashboard_id = d.id)
             FROM dashboard d LEFT JOIN folder f ON f.id = d.folder_id
             LEFT JOIN star s ON s.dashboard_id = d.id AND s.user_id = ? WHERE true",
        );
        let mut values = vec![Value::from(search.user)];
        for word in search.text.split_whitespace() {
            // Not LIKE: it knows upper and lower case of ASCII only, and wildcards.
            select.push_str(" AND instr(fold(d.title || ' ' || coalesce(f.title, '')), ?) > 0");
            values.push(Value::from(word.to_lowercase()));
        }
        for tag in &search.tags {
            select.push_str(
                " AND EXISTS (SELECT 1 FROM dashboard_tag t WHERE t.dashboard_id = d.id AND t.tag = ?)",
            );
            values.push(Value::from(tag.clone()));
        }
        if let Some(folder) = &search.folder_uid {
            select.push_str(" AND f.uid IS ?");
            values.push(if folder.is_empty() { Value::Null } else { Value::from(folder.clone()) });
        }
        if search.starred {
            select.push_str(" AND s.user_id IS NOT NULL");
        }
        let limit = search.limit.unwrap_or(MAX_FOUND).min(MAX_FOUND);
        select.push_str(&format!(" ORDER BY fold(d.title), d.uid LIMIT {limit}"));
        self.read(|db| {
            let mut statement = db.prepare_cached(&select)?;
            let found = statement.query_map(params_from_iter(values), from_row)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    /// All tags there are, with the number of dashboards that have them.
    pub fn tags(&self) -> Result<Vec<(String, i64)>, StateError> {
        self.read(|db| {
            let select = "SELECT tag, count(*) FROM dashboard_tag GROUP BY tag ORDER BY tag";
            let mut statement = db.prepare_cached(select)?;
            let tags = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(tags.collect::<Result<_, _>>()?)
        })
    }

    /// Marks a dashboard for a user, or takes the mark away.
    pub fn set_star(&self, user: i64, uid: &str, is_starred: bool) -> Result<(), StateError> {
        self.write(|db| {
            let dashboard = dashboards::stored(db, uid)?.ok_or(StateError::NotFound("dashboard"))?;
            let change = if is_starred {
                "INSERT OR IGNORE INTO star (user_id, dashboard_id) VALUES (?1, ?2)"
            } else {
                "DELETE FROM star WHERE user_id = ?1 AND dashboard_id = ?2"
            };
            db.execute(change, params![user, dashboard.id])?;
            Ok(())
        })
    }
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    let tags: Option<String> = row.get(6)?;
    Ok(Found {
        uid: row.get(0)?,
        title: row.get(1)?,
        tags: tags.map(|tags| tags.split(SEPARATOR).map(str::to_owned).collect()).unwrap_or_default(),
        folder_uid: row.get(2)?,
        folder_title: row.get(3)?,
        is_provisioned: row.get(4)?,
        is_starred: row.get(5)?,
    })
}
