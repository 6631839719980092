//! The HTTP surface over real connections.

mod lifecycle;
mod metadata;
mod queries;
mod security;
mod server;
