//! Runs scripts.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use model::{Appendable, SampleValue, TenantId};
use promql::ast::{AtModifier, Expr};
use promql::engine::{QueryValue, VectorSample};
use regex::Regex;

use super::compare::{check_sorted, compare};
use super::engine::{Outcome, ScriptEngine};
use super::script::{Action, Command, Eval, EvalTime, Load, parse};
use super::storage::{OpenStorage, ScriptStorage};

/// The outcome of one or more scripts.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Evaluations that answered as expected.
    pub passed: usize,
    /// What did not.
    pub failed: Vec<Failure>,
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The script.
    pub file: String,
    /// The line of the command, counted from one.
    pub line: usize,
    /// What went wrong.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl Report {
    /// Adds what another script did.
    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

/// `N passed, M failed`
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed.len())
    }
}

/// Runs the script in the file at `path`. A file that cannot be read is a failure.
pub fn run_file(path: &Path, storage: &dyn ScriptStorage, engine: &dyn ScriptEngine) -> Report {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => run_text(&file, &text, storage, engine),
        Err(error) => {
            let message = format!("cannot read the script: {error}");
            Report { passed: 0, failed: vec![Failure { file, line: 0, message }] }
        }
    }
}

/// Runs a script; failures name it `file`. A script that does not parse is not run at all.
pub fn run_text(file: &str, text: &str, storage: &dyn ScriptStorage, engine: &dyn ScriptEngine) -> Report {
    run_text_at(file, text, None, storage, engine)
}

/// As [`run_text`]; when `only_line` is given, only the evaluation at that line.
pub fn run_text_at(
    file: &str,
    text: &str,
    only_line: Option<usize>,
    storage: &dyn ScriptStorage,
    engine: &dyn ScriptEngine,
) -> Report {
    let mut report = Report::default();
    let failure = |line, message| Failure { file: file.to_owned(), line, message };
    let commands = match parse(text) {
        Ok(commands) => commands,
        Err(error) => {
            report.failed.push(failure(error.line, error.message));
            return report;
        }
    };
    let mut open = None;
    for Command { line, action } in &commands {
        let outcome = match action {
            Action::Clear => {
                open = None;
                continue;
            }
            Action::Load(load) => match opened(&mut open, storage).and_then(|open| append(open, load)) {
                Ok(()) => continue,
                Err(message) => Err(message),
            },
            Action::Eval(_) if only_line.is_some_and(|only| only != *line) => continue,
            Action::Eval(eval) => opened(&mut open, storage).and_then(|open| run_eval(eval, open, engine)),
        };
        match outcome {
            Ok(()) => report.passed += 1,
            Err(message) => report.failed.push(failure(*line, message)),
        }
    }
    report
}

fn opened<'a>(
    open: &'a mut Option<OpenStorage>,
    storage: &dyn ScriptStorage,
) -> Result<&'a OpenStorage, String> {
    if open.is_none() {
        *open = Some(storage.fresh().map_err(|error| format!("cannot open a storage: {error}"))?);
    }
    Ok(open.as_ref().expect("the line above has opened it"))
}

fn append(open: &OpenStorage, load: &Load) -> Result<(), String> {
    let mut appender = open.appendable.appender(&TenantId::default());
    for series in &load.series {
        let failed = |error| format!("cannot load {}: {error}", series.labels);
        if series.samples.is_empty() {
            continue;
        }
        let reference = appender.resolve(&series.labels).map_err(failed)?;
        for sample in &series.samples {
            let value = match &sample.histogram {
                Some(histogram) => SampleValue::FloatHistogram(histogram),
                None => SampleValue::Float(sample.value),
            };
            appender.append(reference, sample.start_ms, sample.t_ms, value).map_err(failed)?;
        }
    }
    appender.commit().map_err(|error| format!("cannot commit: {error}"))
}

fn run_eval(eval: &Eval, open: &OpenStorage, engine: &dyn ScriptEngine) -> Result<(), String> {
    match eval.time {
        EvalTime::Range { start_ms, end_ms, step_ms } => {
            let result = engine.range(&open.source, &eval.query, start_ms, end_ms, step_ms);
            match judge(eval, result, &eval.query)? {
                Some(outcome) => in_query(&eval.query, "", compare(eval, &outcome.value)),
                None => Ok(()),
            }
        }
        EvalTime::Instant { t_ms, .. } => {
            run_instant(eval, &eval.query, t_ms, open, engine)?;
            let Some(pinned) = pin_to(&eval.expr, t_ms) else { return Ok(()) };
            let pinned = pinned.to_string();
            for t_ms in other_times(t_ms) {
                run_instant(eval, &pinned, t_ms, open, engine)?;
            }
            Ok(())
        }
    }
}

fn in_query<T>(query: &str, mode: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|message| format!("{query}{mode}: {message}"))
}

/// Compares errors and annotations. `None` when the query failed as it should.
fn judge(eval: &Eval, result: Result<Outcome, String>, query: &str) -> Result<Option<Outcome>, String> {
    let problem = match (result, &eval.expectations.fail) {
        (Err(error), Some(wanted)) if wanted.matches(&error) => return Ok(None),
        (Err(error), Some(wanted)) => format!("expected an error matching {wanted}, but got: {error}"),
        (Err(error), None) => format!("error evaluating query: {error}"),
        (Ok(_), Some(_)) => "expected an error but got none".to_owned(),
        (Ok(outcome), None) => match eval.expectations.check_annotations(&outcome.warnings, &outcome.infos) {
            Ok(()) => return Ok(Some(outcome)),
            Err(problem) => problem,
        },
    };
    in_query(query, "", Err(problem))
}

/// Runs an instant query, and again as the middle step of a range query.
fn run_instant(
    eval: &Eval,
    query: &str,
    t_ms: i64,
    open: &OpenStorage,
    engine: &dyn ScriptEngine,
) -> Result<(), String> {
    let at = format!(" at {t_ms} ms");
    let result = engine.instant(&open.source, query, t_ms);
    let Some(outcome) = in_query(&at, "", judge(eval, result, query))? else { return Ok(()) };
    in_query(query, &at, compare(eval, &outcome.value))?;
    if !eval.rerun_as_range || QUERY_TIMES.is_match(query) {
        return Ok(());
    }
    const MINUTE_MS: i64 = 60_000;
    let mode = format!("{at} as a range query");
    let range = engine.range(&open.source, query, t_ms - MINUTE_MS, t_ms + MINUTE_MS, MINUTE_MS);
    let range = in_query(query, &mode, range)?;
    if eval.expectations.ordered {
        // A matrix is always in label order.
        return Ok(());
    }
    let is_scalar = matches!(outcome.value, QueryValue::Scalar { .. });
    let value = in_query(query, &mode, value_at(range.value, t_ms, is_scalar))?;
    in_query(query, &mode, compare(eval, &value))
}

/// What depends on the times of the query differs between an instant and a range query.
static QUERY_TIMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(start|end|range|step)\(\)").expect("the pattern is a constant that compiles")
});

/// The step `t_ms` of a matrix as the value of an instant query.
fn value_at(value: QueryValue, t_ms: i64, as_scalar: bool) -> Result<QueryValue, String> {
    let QueryValue::Matrix(matrix) = value else {
        return Err(format!("expected a matrix, but got {}", value.type_name()));
    };
    check_sorted(&matrix)?;
    let mut vector = Vec::with_capacity(matrix.len());
    for series in matrix {
        let samples = &series.samples;
        if let Ok(i) = samples.timestamps_ms.binary_search(&t_ms) {
            let histogram = samples.histogram(i).cloned();
            let value = if histogram.is_some() { 0.0 } else { samples.values[i] };
            vector.push(VectorSample { labels: series.labels, t_ms, value, histogram });
        }
    }
    if !as_scalar {
        return Ok(QueryValue::Vector(vector));
    }
    let first = vector.first().ok_or("expected a value at the middle step, but got none")?;
    Ok(QueryValue::Scalar { t_ms, value: first.value })
}

/// Functions whose result depends on the evaluation time whatever their arguments.
const TIME_DEPENDENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// The query with every selector pinned to `t_ms` by `@`, which must not change what it answers,
/// whenever it is asked. `None` when that does not hold because of a function of the current time.
fn pin_to(expr: &Expr, t_ms: i64) -> Option<Expr> {
    let mut pinned = expr.clone();
    pin(&mut pinned, t_ms).then_some(pinned)
}

fn pin(expr: &mut Expr, t_ms: i64) -> bool {
    let pin_at = |at: &mut Option<AtModifier>| {
        if !matches!(at, Some(AtModifier::Timestamp(_))) {
            *at = Some(AtModifier::Timestamp(t_ms));
        }
    };
    match expr {
        Expr::Vector(selector) => pin_at(&mut selector.at),
        Expr::Matrix(matrix) => pin_at(&mut matrix.selector.at),
        Expr::Subquery(subquery) => {
            // Inside, times follow from the subquery's own.
            pin_at(&mut subquery.at);
            return true;
        }
        Expr::Call(call) if TIME_DEPENDENT.contains(&call.function.name) => return false,
        _ => {}
    }
    expr.children_mut().into_iter().all(|child| pin(child, t_ms))
}

/// Times to ask a pinned query at.
fn other_times(t_ms: i64) -> Vec<i64> {
    if t_ms == 0 { vec![-1000, 0, 1000] } else { vec![-10 * t_ms, 0, t_ms / 5, t_ms, 10 * t_ms] }
}

#[cfg(test)]
mod tests;
