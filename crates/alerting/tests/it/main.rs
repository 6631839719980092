//! The running Alertmanager and those it tells.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod http;
mod mail;
mod receivers;
mod state;
mod support;
