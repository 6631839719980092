//! `expect` lines: errors, annotations and order.

use std::sync::LazyLock;

use regex::Regex;

/// What a query must do besides answering the expected series.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// It must fail, with an error like this.
    pub fail: Option<Pattern>,
    /// Each must match a warning, and each warning one of them.
    pub warn: Vec<Pattern>,
    /// As `warn`, for infos.
    pub info: Vec<Pattern>,
    /// There must be a warning, whatever it says.
    pub any_warning: bool,
    /// There must be an info, whatever it says.
    pub any_info: bool,
    /// There must be no warning.
    pub no_warn: bool,
    /// There must be no info.
    pub no_info: bool,
    /// The series must come in the order they are listed.
    pub ordered: bool,
}

/// A text to match.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Any text.
    Any,
    /// Exactly this one.
    Exact(String),
    /// A text in which the expression matches somewhere.
    Regex(Regex),
}

impl Pattern {
    /// Whether `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => wanted == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Exact(text) => write!(f, "message {text:?}"),
            Self::Regex(regex) => write!(f, "pattern {:?}", regex.as_str()),
        }
    }
}

/// One `expect` line.
#[derive(Debug, Clone)]
pub enum Expectation {
    /// `expect ordered`
    Ordered,
    /// `expect fail`
    Fail(Pattern),
    /// `expect warn`
    Warn(Pattern),
    /// `expect info`
    Info(Pattern),
    /// `expect no_warn`
    NoWarn,
    /// `expect no_info`
    NoInfo,
}

static EXPECT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$")
        .expect("the pattern is a constant that compiles")
});

pub(super) fn regex_pattern(text: &str) -> Result<Pattern, String> {
    Regex::new(text).map(Pattern::Regex).map_err(|_| format!("invalid regex {text}"))
}

/// Parses an `expect` line.
pub(super) fn parse(line: &str) -> Result<Expectation, String> {
    let usage = "invalid expect statement, must match `expect <type> <match_type>: <string>` format";
    let parts = EXPECT.captures(line.trim()).ok_or(usage)?;
    let text = parts.get(3).map_or("", |text| text.as_str().trim());
    let pattern = match parts.get(2).map(|kind| kind.as_str()) {
        Some("msg") => Pattern::Exact(text.to_owned()),
        Some(_) => regex_pattern(text)?,
        None => Pattern::Any,
    };
    Ok(match &parts[1] {
        "ordered" => Expectation::Ordered,
        "fail" => Expectation::Fail(pattern),
        "warn" => Expectation::Warn(pattern),
        "info" => Expectation::Info(pattern),
        "no_warn" => Expectation::NoWarn,
        _ => Expectation::NoInfo,
    })
}

impl Expectations {
    /// Adds a line; fails when it contradicts an earlier one.
    pub(super) fn add(&mut self, expectation: Expectation) -> Result<(), String> {
        match expectation {
            Expectation::Ordered => self.ordered = true,
            Expectation::Fail(pattern) => {
                if self.fail.replace(pattern).is_some() {
                    return Err("invalid expect lines, multiple expect fail lines are not allowed".to_owned());
                }
            }
            Expectation::Warn(pattern) => self.warn.push(pattern),
            Expectation::Info(pattern) => self.info.push(pattern),
            Expectation::NoWarn => self.no_warn = true,
            Expectation::NoInfo => self.no_info = true,
        }
        if self.no_info && !self.info.is_empty() {
            return Err("invalid expect lines, info and no_info cannot be used together".to_owned());
        }
        if self.no_warn && !self.warn.is_empty() {
            return Err("invalid expect lines, warn and no_warn cannot be used together".to_owned());
        }
        Ok(())
    }

    /// Compares the annotations of a query that succeeded.
    pub fn check_annotations(&self, warnings: &[String], infos: &[String]) -> Result<(), String> {
        let kinds = [
            ("warn", &self.warn, self.any_warning, self.no_warn, warnings),
            ("info", &self.info, self.any_info, self.no_info, infos),
        ];
        for (kind, wanted, any, none, found) in kinds {
            if found.is_empty() && (any || !wanted.is_empty()) {
                return Err(format!("expected {kind} annotations but none were found"));
            }
            if none && !found.is_empty() {
                return Err(format!("unexpected {kind} annotations: {found:?}"));
            }
            if let Some(missing) = wanted.iter().find(|p| !found.iter().any(|text| p.matches(text))) {
                return Err(format!("expected {kind} annotation matching {missing}, found: {found:?}"));
            }
            if wanted.is_empty() {
                continue;
            }
            if let Some(surplus) = found.iter().find(|text| !wanted.iter().any(|p| p.matches(text))) {
                return Err(format!("unexpected {kind} annotation {surplus:?}"));
            }
        }
        Ok(())
    }
}
