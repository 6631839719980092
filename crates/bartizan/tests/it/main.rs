//! Tests of the program as users run it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod check;
mod faults;
mod inspect;
mod script;
mod support;
