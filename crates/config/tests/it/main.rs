//! The configuration loader against the reference's own files.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod alertmanager;
mod bad;
mod good;
mod mutation;
mod page;
mod status;
mod support;
