//! Tests of the program as users run it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod agent;
mod alert_requests;
mod alerts;
mod check;
mod cluster;
mod faults;
mod federation;
mod host_logs;
mod inspect;
mod log_crash;
mod log_rules;
mod loki;
mod notifications;
mod otlp;
mod peer;
mod remote_read;
mod remote_send;
mod remote_write;
mod rules;
mod screens;
mod script;
mod support;
mod up;
