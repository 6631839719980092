//! Queries over a store in memory, and texts that mean harm.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

mod beyond;
mod hostile;
mod pages;
