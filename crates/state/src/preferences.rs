//! What users like, and what holds where they have no wish.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::store::{StateError, Store};

/// Wishes. What is `None` is that of everybody, and without one, of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Preferences {
    /// Light or dark, or as the system has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// `browser`, `utc`, or a name such as `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// `monday`, `saturday` or `sunday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_start: Option<String>,
    /// The dashboard to begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_dashboard_uid: Option<String>,
}

impl Preferences {
    /// These, and those of `other` where there is no wish.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            theme: self.theme.or(other.theme),
            timezone: self.timezone.or(other.timezone),
            week_start: self.week_start.or(other.week_start),
            home_dashboard_uid: self.home_dashboard_uid.or(other.home_dashboard_uid),
        }
    }
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
    /// As the system has it.
    System,
}

/// Whose preferences are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of everybody.
    Everybody,
    /// Those of one user.
    User(i64),
}

impl Whose {
    fn key(self) -> i64 {
        match self {
            Self::Everybody => 0,
            Self::User(id) => id,
        }
    }
}

const MAX_TEXT_BYTES: usize = 100;

impl Store {
    /// The preferences somebody set.
    pub fn preferences(&self, whose: Whose) -> Result<Preferences, StateError> {
        let text: Option<String> = self.read(|db| {
            let select = "SELECT json FROM preferences WHERE user_id = ?1";
            Ok(db.query_row(select, [whose.key()], |row| row.get(0)).optional()?)
        })?;
        let Some(text) = text else { return Ok(Preferences::default()) };
        serde_json::from_str(&text)
            .map_err(|error| StateError::Internal(format!("stored preferences: {error}")))
    }

    /// Replaces the preferences of somebody.
    pub fn set_preferences(&self, whose: Whose, preferences: &Preferences) -> Result<(), StateError> {
        let texts = [&preferences.timezone, &preferences.week_start, &preferences.home_dashboard_uid];
        if texts.into_iter().flatten().any(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(StateError::invalid(format!("a preference has at most {MAX_TEXT_BYTES} bytes")));
        }
        let days = ["monday", "saturday", "sunday"];
        if preferences.week_start.as_deref().is_some_and(|day| !days.contains(&day)) {
            return Err(StateError::invalid("weekStart is one of monday, saturday, sunday"));
        }
        let text =
            serde_json::to_string(preferences).map_err(|error| StateError::Internal(error.to_string()))?;
        self.write(|db| {
            db.execute(
                "INSERT OR REPLACE INTO preferences (user_id, json) VALUES (?1, ?2)",
                params![whose.key(), text],
            )?;
            Ok(())
        })
    }
}
