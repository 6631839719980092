//! The HTTP surface over real connections.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

mod lifecycle;
mod logs;
mod memory;
mod metadata;
mod operations;
mod otlp;
mod queries;
mod screens;
mod security;
mod server;
mod surface;
