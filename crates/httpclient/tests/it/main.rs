//! The client against real servers on the loopback interface.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod plain;
mod proxies;
mod server;
mod tls;
mod tokens;
