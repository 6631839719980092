//! Users and what they may do.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::passwords;
use crate::store::{StateError, Store};

/// What somebody may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Change dashboards and silences.
    Editor,
    /// Change users, data sources and the server itself.
    Admin,
}

impl Role {
    /// The name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of a name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Admin]
            .into_iter()
            .find(|role| role.as_str().eq_ignore_ascii_case(name))
    }
}

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The number of the user.
    pub id: i64,
    /// The name to log in with.
    pub login: String,
    /// The name to show.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may not log in for now.
    pub is_disabled: bool,
    /// Since when there is this user.
    pub created_ms: i64,
    /// When they last logged in or used their session, to about a minute.
    pub seen_ms: Option<i64>,
}

impl User {
    fn is_active_admin(&self) -> bool {
        self.role == Role::Admin && !self.is_disabled
    }
}

/// A user to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// The name to log in with.
    pub login: String,
    /// The name to show; that of the login when it is empty.
    #[serde(default)]
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The first password.
    pub password: String,
}

/// What of a user is changed; the rest stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserChange {
    /// The name to show.
    pub name: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// Whether they may log in.
    pub is_disabled: Option<bool>,
    /// A new password. It ends all sessions of the user.
    pub password: Option<String>,
}

/// The login of the first administrator.
pub const FIRST_ADMIN: &str = "admin";
const MAX_NAME_BYTES: usize = 190;
const COLUMNS: &str = "id, login, name, role, is_disabled, created_ms, seen_ms";

pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get(3)?;
    Ok(User {
        id: row.get(0)?,
        login: row.get(1)?,
        name: row.get(2)?,
        // The table admits no other; what is least is what a stranger to this code may have written.
        role: Role::from_name(&role).unwrap_or(Role::Viewer),
        is_disabled: row.get(4)?,
        created_ms: row.get(5)?,
        seen_ms: row.get(6)?,
    })
}

impl Store {
    /// Makes the first administrator where there is no user at all, and returns the password, which is
    /// not kept anywhere.
    pub fn first_admin(&self) -> Result<Option<String>, StateError> {
        if self.read(|db| Ok(db.query_row("SELECT count(*) FROM user", [], |row| row.get::<_, i64>(0))?))? > 0
        {
            return Ok(None);
        }
        let password = self.random_text::<15>();
        let first = NewUser {
            login: FIRST_ADMIN.to_owned(),
            name: "Administrator".to_owned(),
            role: Role::Admin,
            password: password.clone(),
        };
        self.create_user(&first)?;
        Ok(Some(password))
    }

    /// Makes a user.
    pub fn create_user(&self, new: &NewUser) -> Result<User, StateError> {
        check_login(&new.login)?;
        let name = if new.name.trim().is_empty() { &new.login } else { &new.name };
        check_name(name)?;
        let hash = passwords::hash(self, &new.password)?;
        let now_ms = self.now_ms();
        self.write(|db| {
            let known = "SELECT 1 FROM user WHERE login = ?1";
            if db.query_row(known, [&new.login], |_| Ok(())).optional()?.is_some() {
                return Err(StateError::Conflict(format!("there is a user {:?} already", new.login)));
            }
            db.execute(
                "INSERT INTO user (login, name, role, password_hash, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![new.login, name.trim(), new.role.as_str(), hash, now_ms],
            )?;
            find(db, db.last_insert_rowid())
        })
    }

    /// A user, unless there is none of that number.
    pub fn user(&self, id: i64) -> Result<Option<User>, StateError> {
        match self.read(|db| find(db, id)) {
            Err(StateError::NotFound(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// All users, by login.
    pub fn users(&self) -> Result<Vec<User>, StateError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM user ORDER BY login"))?;
            let users = statement.query_map([], from_row)?;
            Ok(users.collect::<Result<_, _>>()?)
        })
    }

    /// Changes a user. One administrator who can log in always stays.
    pub fn change_user(&self, id: i64, change: &UserChange) -> Result<User, StateError> {
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        let hash = change.password.as_deref().map(|password| passwords::hash(self, password)).transpose()?;
        self.write(|db| {
            let user = find(db, id)?;
            let name = change.name.as_deref().map_or(user.name.as_str(), str::trim);
            let role = change.role.unwrap_or(user.role);
            let is_disabled = change.is_disabled.unwrap_or(user.is_disabled);
            let update = "UPDATE user SET name = ?2, role = ?3, is_disabled = ?4 WHERE id = ?1";
            db.execute(update, params![id, name, role.as_str(), is_disabled])?;
            if let Some(hash) = hash {
                db.execute("UPDATE user SET password_hash = ?2 WHERE id = ?1", params![id, hash])?;
            }
            if is_disabled || change.password.is_some() {
                db.execute("DELETE FROM session WHERE user_id = ?1", [id])?;
            }
            let changed = find(db, id)?;
            if user.is_active_admin() && !changed.is_active_admin() {
                require_admin(db)?;
            }
            Ok(changed)
        })
    }

    /// Takes a user away, with sessions, stars and preferences.
    pub fn delete_user(&self, id: i64) -> Result<(), StateError> {
        self.write(|db| {
            let user = find(db, id)?;
            db.execute("DELETE FROM user WHERE id = ?1", [id])?;
            db.execute("DELETE FROM preferences WHERE user_id = ?1", [id])?;
            if user.is_active_admin() { require_admin(db) } else { Ok(()) }
        })
    }

    /// Changes the password of a user who knows the old one; other sessions of theirs end.
    pub fn change_password(&self, id: i64, old: &str, new: &str) -> Result<(), StateError> {
        let known = self.read(|db| {
            let hash = "SELECT password_hash FROM user WHERE id = ?1";
            Ok(db.query_row(hash, [id], |row| row.get::<_, String>(0)).optional()?)
        })?;
        if !passwords::verify(old, known.as_deref()) {
            return Err(StateError::invalid("the old password is another"));
        }
        self.change_user(id, &UserChange { password: Some(new.to_owned()), ..UserChange::default() })?;
        Ok(())
    }

    /// The user of a login and a password, if that is theirs and they may log in.
    pub fn authenticate(&self, login: &str, password: &str) -> Result<Option<User>, StateError> {
        let found = self.read(|db| {
            let select = format!("SELECT {COLUMNS}, password_hash FROM user WHERE login = ?1");
            let row = |row: &Row<'_>| Ok((from_row(row)?, row.get::<_, String>(7)?));
            Ok(db.query_row(&select, [login], row).optional()?)
        })?;
        // Not under the lock: a hash takes tens of milliseconds.
        let verified = passwords::verify(password, found.as_ref().map(|(_, hash)| hash.as_str()));
        Ok(found.map(|(user, _)| user).filter(|user| verified && !user.is_disabled))
    }
}

pub(crate) fn find(db: &Connection, id: i64) -> Result<User, StateError> {
    let select = format!("SELECT {COLUMNS} FROM user WHERE id = ?1");
    db.query_row(&select, [id], from_row).optional()?.ok_or(StateError::NotFound("user"))
}

fn require_admin(db: &Connection) -> Result<(), StateError> {
    let admins = "SELECT count(*) FROM user WHERE role = 'admin' AND NOT is_disabled";
    if db.query_row(admins, [], |row| row.get::<_, i64>(0))? == 0 {
        return Err(StateError::Conflict("one administrator who can log in has to stay".to_owned()));
    }
    Ok(())
}

fn check_login(login: &str) -> Result<(), StateError> {
    let fits = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    if login.is_empty() || login.len() > MAX_NAME_BYTES || !login.chars().all(fits) {
        let rule = "letters, digits and any of . _ - @ +";
        return Err(StateError::invalid(format!("a login has 1 to {MAX_NAME_BYTES} bytes: {rule}")));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), StateError> {
    if name.trim().is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(StateError::invalid(format!(
            "a name has 1 to {MAX_NAME_BYTES} bytes and no control characters"
        )));
    }
    Ok(())
}
