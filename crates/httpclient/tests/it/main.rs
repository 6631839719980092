//! The client against real servers on the loopback interface.

mod plain;
mod proxies;
mod server;
mod tls;
mod tokens;
