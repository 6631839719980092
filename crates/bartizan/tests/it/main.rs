//! Tests of the program as users run it.

mod check;
mod inspect;
mod script;
mod support;

