//! Rule files: groups of recording and alerting rules as they are written.
//!
//! [`RuleFile::parse`] reads a text and checks everything that can be known before a rule is evaluated. Texts of
//! faults, and the order they come in, are Prometheus's. In reading order: this file (what is written),
//! `decode` (from YAML), `validate` (what is demanded beyond the shape), [`lint`] (what is legal but not good).

mod decode;
pub mod lint;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::yaml::Pos;
use config::{NameValidation, PromDuration};
use model::Labels;
use model::labels::Quoted;

pub use self::decode::namespaces_yaml;

use crate::expression::Language;

/// How rule files are read.
#[derive(Clone, Copy)]
pub struct FileOptions<'o> {
    /// The language expressions are written in.
    pub language: &'o dyn Language,
    /// Which names of metrics and labels are accepted.
    pub names: NameValidation,
    /// Whether keys nobody knows are passed over.
    pub ignore_unknown_fields: bool,
}

/// The content of a rule file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleFile {
    /// The groups, in source order.
    pub groups: Vec<RuleGroup>,
    /// What an author should know although the file is valid.
    pub warnings: Vec<String>,
}

/// Rules that are evaluated together, one after the other where they depend on each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleGroup {
    /// Unique within the file.
    pub name: String,
    /// How often the group is evaluated; zero for the server's default.
    pub interval: PromDuration,
    /// How far into the past the rules look; `None` for the server's default.
    pub query_offset: Option<PromDuration>,
    /// The most alerts of an alerting rule, or series of a recording rule; 0 for no limit.
    pub limit: i64,
    /// The rules, in source order.
    pub rules: Vec<RuleSpec>,
    /// Labels of all rules of the group; those of a rule win.
    pub labels: BTreeMap<String, String>,
    /// Where the group stands.
    pub place: Option<Pos>,
}

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleSpec {
    /// The metric a recording rule writes; empty for alerting rules.
    pub record: String,
    /// The name of an alert; empty for recording rules.
    pub alert: String,
    /// What is evaluated.
    pub expr: String,
    /// How long an alert must be true before it fires.
    pub hold: PromDuration,
    /// How long an alert goes on firing after it was true last.
    pub keep_firing_for: PromDuration,
    /// Labels to add or overwrite; templates, where the rule is an alerting rule.
    pub labels: BTreeMap<String, String>,
    /// What is told with an alert; templates.
    pub annotations: BTreeMap<String, String>,
    /// Where the keys stand.
    pub places: RulePlaces,
}

/// Where the keys of a rule have their values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RulePlaces {
    /// Of `record`.
    pub record: Option<Pos>,
    /// Of `alert`.
    pub alert: Option<Pos>,
    /// Of `expr`.
    pub expr: Option<Pos>,
}

impl RuleSpec {
    /// The name of the alert, or of the metric that is recorded.
    pub fn name(&self) -> &str {
        if self.alert.is_empty() { &self.record } else { &self.alert }
    }

    /// The rule's labels, with those of its group where it has none of the name.
    pub fn labels_in(&self, group: &RuleGroup) -> Labels {
        Labels::from_pairs(self.label_pairs_in(group))
    }

    /// As [`RuleSpec::labels_in`], with those of empty values, which remove labels from what a rule makes.
    pub fn label_pairs_in(&self, group: &RuleGroup) -> Vec<(String, String)> {
        let mut pairs = group.labels.clone();
        pairs.extend(self.labels.clone());
        pairs.into_iter().collect()
    }
}

/// A line and a column, both counted from one. Zeros stand for a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// The place of `pos` in `text`.
    fn of(pos: Option<Pos>, text: &str) -> Self {
        let Some(pos) = pos.filter(|pos| pos.line > 0) else { return Self::default() };
        let before = text.get(..pos.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self { line: pos.line, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong with a rule file, shown as Prometheus shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Where; more than one place where keys contradict each other, none where only the rule is known.
    pub places: Vec<Place>,
    /// The group, the number of the rule in it (from one) and its name; `None` when the fault is not about a rule.
    pub rule: Option<(String, usize, String)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in &self.places {
            write!(f, "{place}: ")?;
        }
        if let Some((group, number, name)) = &self.rule {
            write!(f, "group {}, rule {number}, {}: ", Quoted(group), Quoted(name))?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for FileFault {}

impl RuleFile {
    /// Reads and checks a text. The faults are all that were found.
    pub fn parse(text: &str, options: &FileOptions<'_>) -> Result<Self, Vec<FileFault>> {
        let file = decode::read(text, options.ignore_unknown_fields)?;
        let faults = validate::faults(&file, text, options);
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }

    /// Reads and checks the text of a single group, as clients send it.
    pub fn parse_group(text: &str, options: &FileOptions<'_>) -> Result<RuleGroup, Vec<FileFault>> {
        let group = decode::read_group(text, options.ignore_unknown_fields)?;
        let mut file = Self { groups: vec![group], warnings: Vec::new() };
        let faults = validate::faults(&file, text, options);
        match file.groups.pop() {
            Some(group) if faults.is_empty() => Ok(group),
            _ => Err(faults),
        }
    }

    /// Reads and checks a file. A file that cannot be read is a fault too; faults do not name the file.
    pub fn load(path: &Path, options: &FileOptions<'_>) -> Result<Self, Vec<FileFault>> {
        let whole = |message: String| vec![FileFault { places: Vec::new(), rule: None, message }];
        let bytes = std::fs::read(path)
            .map_err(|error| whole(config::ConfigError::unreadable(path, &error).message().to_owned()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count();
            whole(format!("yaml: line {line}: invalid UTF-8 at byte {at}"))
        })?;
        Self::parse(&text, options)
    }

    /// How many rules the file has.
    pub fn rule_count(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }
}
