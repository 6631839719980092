//! What the standards forbid although scraping forgives it: for `check metrics` and for the tests of targets.

mod advice;
mod open_metrics;
#[cfg(test)]
mod tests;

pub use advice::{Problem, lint_text, samples_by_family};
pub use open_metrics::{LintError, validate_open_metrics};
