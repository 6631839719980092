//! Service discovery and relabelling: from the configuration of a job to its targets.
//!
//! It must not know scraping or storage. In reading order: [`group`] (what discovery finds),
//! [`relabel`] (what relabelling makes of labels), [`provider`] (one source of groups: static, [`file`],
//! [`http`], [`dns`]), and [`manager`], which runs the providers of all jobs and hands on their groups.

pub mod dns;
pub mod file;
pub mod group;
pub mod http;
pub mod manager;
pub mod metrics;
pub mod provider;
pub mod relabel;

pub use group::TargetGroup;
pub use manager::{Groups, Manager};
pub use provider::DiscoveryError;
