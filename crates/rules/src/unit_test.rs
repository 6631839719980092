//! Unit tests of rules, in the format of `promtool test rules`.
//!
//! A test loads series, evaluates rule files from a start on every interval, and compares the alerts that fire,
//! and what expressions evaluate to, with what is expected. Texts of failures are promtool's. In reading order:
//! [`format`](mod@format) (the files), `run` (one test), `compare` (got against expected), [`report`] (JUnit).

mod compare;
pub mod format;
pub mod report;
mod run;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::NameValidation;
use model::regex::Regex;
use model::{Appendable, SeriesSource};
use promql::engine::EngineOptions;

use crate::expression::PromQlLanguage;
use crate::file::{FileOptions, RuleFile};
use format::TestFile;

/// What a test runs on.
pub struct TestStorage {
    /// Where samples go.
    pub appendable: Arc<dyn Appendable>,
    /// Where expressions read.
    pub source: Arc<dyn SeriesSource>,
    /// Dropped last: what must outlive both.
    pub keep: Option<Box<dyn Any + Send>>,
}

/// How tests are run.
pub struct TestOptions<'o> {
    /// Opens an empty storage for each test.
    pub storage: &'o dyn Fn() -> Result<TestStorage, String>,
    /// How expressions are evaluated.
    pub engine: EngineOptions,
    /// Only tests with a matching name run.
    pub only: Option<Regex>,
    /// Whether failures show differences rather than both sides.
    pub diff: bool,
    /// Whether keys of rule files that nobody knows are passed over.
    pub ignore_unknown_fields: bool,
    /// Whether the data at the end of each test is shown.
    pub debug: bool,
}

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The name of the test, or its number.
    pub name: String,
    /// What failed.
    pub failures: Vec<String>,
    /// What was asked for about the run.
    pub notes: Vec<String>,
}

/// How the tests of one file ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileOutcome {
    /// The file.
    pub file: String,
    /// What should be known although it is no failure.
    pub warnings: Vec<String>,
    /// Why no test was run.
    pub aborted: Option<String>,
    /// The tests, in source order.
    pub cases: Vec<CaseOutcome>,
}

impl FileOutcome {
    /// All that failed.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        let of_cases = self.cases.iter().flat_map(|case| case.failures.iter());
        self.aborted.iter().chain(of_cases).map(String::as_str)
    }

    /// Whether everything was as expected.
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }
}

/// Runs the tests of a file.
pub fn run_file(path: &Path, options: &TestOptions<'_>) -> FileOutcome {
    let mut outcome = FileOutcome { file: path.display().to_string(), ..FileOutcome::default() };
    match load(path, &mut outcome.warnings) {
        Err(problem) => outcome.aborted = Some(problem),
        Ok((file, rule_files)) => {
            for (i, test) in file.tests.iter().enumerate() {
                if options.only.as_ref().is_some_and(|only| !only.is_match(&test.name)) {
                    continue;
                }
                let name = if test.name.is_empty() { format!("unnamed#{i}") } else { test.name.clone() };
                let (failures, notes) = match load_rules(&rule_files, options) {
                    Ok(rules) => run::run(&file, test, &name, &rules, options),
                    Err(faults) => (faults, Vec::new()),
                };
                outcome.cases.push(CaseOutcome { name, failures, notes });
            }
        }
    }
    outcome
}

/// The file, and the rule files it names.
fn load(path: &Path, warnings: &mut Vec<String>) -> Result<(TestFile, Vec<PathBuf>), String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| config::ConfigError::unreadable(path, &error).message().to_owned())?;
    let file = TestFile::parse(&text)?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut rule_files = Vec::new();
    for pattern in &file.rule_files {
        let pattern = dir.join(pattern);
        let found = config::glob::glob(&pattern).map_err(|error| error.to_string())?;
        if found.is_empty() {
            warnings.push(format!("no file match pattern {}", pattern.display()));
        }
        rule_files.extend(found);
    }
    let mut seen = std::collections::HashSet::new();
    match file.group_eval_order.iter().find(|group| !seen.insert(group.as_str())) {
        Some(again) => Err(format!("group name repeated in evaluation order: {again}")),
        None => Ok((file, rule_files)),
    }
}

type LoadedRules = Vec<(String, RuleFile)>;

fn load_rules(files: &[PathBuf], options: &TestOptions<'_>) -> Result<LoadedRules, Vec<String>> {
    let language = PromQlLanguage { options: options.engine.parse };
    let file_options = FileOptions {
        language: &language,
        names: NameValidation::Utf8,
        ignore_unknown_fields: options.ignore_unknown_fields,
    };
    let mut loaded = LoadedRules::new();
    for path in files {
        let name = path.display().to_string();
        let file = RuleFile::load(path, &file_options);
        let file =
            file.map_err(|faults| faults.iter().map(|fault| format!("{name}: {fault}")).collect::<Vec<_>>())?;
        loaded.push((name, file));
    }
    Ok(loaded)
}
