//! The configuration loader against the reference's own files.

mod bad;
mod good;
mod mutation;
mod page;
mod status;
mod support;
