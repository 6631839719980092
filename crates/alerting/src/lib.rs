//! The Alertmanager's seat: alerts are routed, grouped, silenced, inhibited and told, once.
//!
//! It must not know the HTTP surface or how alerts come about. In reading order: [`alert`], [`annotations`]
//! (what is said about them), [`store`] (the alerts known), [`route`] (the routing tree), [`inhibit`], [`record`]
//! (state that instances share),
//! [`silence`], [`nflog`] (what was told), [`journal`] (state on disk), [`core`] (the decisions,
//! without I/O), [`template`] (what notifications say), [`notify`] (how it
//! is sent), [`cluster`] (several instances that tell as one), [`engine`] (all of it, running).

pub mod alert;
pub mod annotations;
pub mod cluster;
pub mod core;
pub mod engine;
pub mod inhibit;
pub mod journal;
pub mod nflog;
pub mod notify;
pub mod record;
pub mod route;
pub mod silence;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod template;
#[cfg(test)]
mod testing;

pub use alert::{Alert, Fingerprint};
pub use annotations::Annotations;
pub use engine::{Alertmanager, EngineOptions};
