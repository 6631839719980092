//! What people keep in this server: users and their sessions, dashboards with their history, folders,
//! stars, preferences, data sources and queries that were run, in one SQLite file.
//!
//! It knows neither HTTP nor what a panel is: of a dashboard it reads title, tags and identifiers, and
//! keeps the rest as it came. Its calls write to the disk and hash passwords, so callers make them on
//! threads that may block. In reading order: [`store`] (the file, transactions, failures), [`schema`]
//! (tables and how older files become newer ones), [`passwords`], [`users`], [`sessions`], [`folders`],
//! [`dashboards`] and their [`versions`], [`search`] with stars, [`preferences`], [`history`] (queries that were run), [`sources`] (other servers), [`provisioned`]
//! (dashboards that files bring).

pub mod dashboards;
pub mod folders;
pub mod history;
pub mod passwords;
pub mod preferences;
pub mod provisioned;
mod schema;
pub mod search;
pub mod sessions;
pub mod sources;
pub mod store;
pub mod users;
pub mod versions;

#[cfg(test)]
mod tests;

pub use store::{Random, StateError, Store};
pub use users::{Role, User};
