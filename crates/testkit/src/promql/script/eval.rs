//! `eval instant` and `eval range`, and the lines below that say what must come out.

use std::sync::LazyLock;

use model::Labels;
use model::duration::parse_duration_ms;
use promql::ast::Expr;
use promql::parser::series::{SequenceValue, parse_number, parse_series};
use promql::parser::{ParseOptions, parse as parse_query};
use regex::Regex;
use syntax::LineColumn;
use syntax::literal::unquote;

use super::expect::{self, Expectations, Pattern};
use super::{Lines, ScriptError};

/// A query and what it must answer.
#[derive(Debug, Clone)]
pub struct Eval {
    /// The query as written.
    pub query: String,
    /// The parsed query.
    pub expr: Expr,
    /// When it is evaluated.
    pub time: EvalTime,
    /// Errors, annotations, order.
    pub expectations: Expectations,
    /// The value.
    pub expected: ExpectedValue,
    /// Whether an instant query is also run as a range query. It is not when the result is none that
    /// a range query can have.
    pub rerun_as_range: bool,
}

/// When a query is evaluated, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvalTime {
    /// At one time.
    Instant {
        /// The evaluation time.
        t_ms: i64,
        /// The times of the samples of an expected range vector: start, end and step.
        samples: Option<(i64, i64, i64)>,
    },
    /// At steps.
    Range {
        /// The first time.
        start_ms: i64,
        /// The last time, if a step falls on it.
        end_ms: i64,
        /// The distance.
        step_ms: i64,
    },
}

/// What a query must answer.
#[derive(Debug, Clone)]
pub enum ExpectedValue {
    /// These series and no others; also stands for "nothing".
    Series(Vec<ExpectedSeries>),
    /// A number.
    Scalar(f64),
    /// A string.
    String(String),
}

/// One expected series.
#[derive(Debug, Clone)]
pub struct ExpectedSeries {
    /// The labels.
    pub labels: Labels,
    /// The values, one per step.
    pub values: Vec<SequenceValue>,
    /// The place in an ordered result.
    pub position: usize,
}

static INSTANT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$")
        .expect("the pattern is a constant that compiles")
});
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$")
        .expect("the pattern is a constant that compiles")
});
static SAMPLES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$")
        .expect("the pattern is a constant that compiles")
});

const USAGE: &str = "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered] instant [at \
                     <offset:duration>] <query>' or 'eval[_fail|_warn] range from <from> to <to> step <step> <query>'";

pub(super) fn parse(head: &str, line: usize, lines: &mut Lines<'_>) -> Result<Eval, ScriptError> {
    let error = |message: String| ScriptError::new(line, message);
    let (kind, query, time) = if let Some(parts) = INSTANT.captures(head) {
        let at = parts.get(2).map_or("", |at| at.as_str());
        let t_ms =
            parse_duration_ms(at).map_err(|e| error(format!("invalid timestamp definition {at:?}: {e}")))?;
        let kind = parts.get(1).map(|kind| kind.as_str());
        (kind, parts.get(3), EvalTime::Instant { t_ms, samples: None })
    } else if let Some(parts) = RANGE.captures(head) {
        let (start_ms, end_ms, step_ms) = times(&parts[2], &parts[3], &parts[4]).map_err(error)?;
        (parts.get(1).map(|kind| kind.as_str()), parts.get(5), EvalTime::Range { start_ms, end_ms, step_ms })
    } else {
        return Err(error(USAGE.to_owned()));
    };
    let query = query.ok_or_else(|| error(USAGE.to_owned()))?;
    let expr = parse_query(query.as_str(), &ParseOptions::ALL).map_err(|e| {
        let column = query.start() + LineColumn::locate(&e.query, e.span.start).map_or(1, |at| at.column);
        error(format!("{line}:{column}: parse error: {}", e.message))
    })?;
    let mut eval = Eval {
        query: query.as_str().to_owned(),
        expr,
        time,
        expectations: Expectations::default(),
        expected: ExpectedValue::Series(Vec::new()),
        rerun_as_range: matches!(time, EvalTime::Instant { .. }),
    };
    match kind {
        Some("fail") => eval.expectations.fail = Some(Pattern::Any),
        Some("warn") => eval.expectations.any_warning = true,
        Some("info") => eval.expectations.any_info = true,
        Some(_) => eval.expectations.ordered = true,
        None => {}
    }
    let mut position = 0;
    while let Some((line, text)) = lines.next_of_command() {
        let error = |message: String| ScriptError::new(line, message);
        if !eval.expectation_line(text, kind == Some("fail")).map_err(error)? {
            position += 1;
            eval.value_line(text, line, position)?;
        }
    }
    Ok(eval)
}

fn times(from: &str, to: &str, step: &str) -> Result<(i64, i64, i64), String> {
    let start_ms =
        parse_duration_ms(from).map_err(|e| format!("invalid start timestamp definition {from:?}: {e}"))?;
    let end_ms =
        parse_duration_ms(to).map_err(|e| format!("invalid end timestamp definition {to:?}: {e}"))?;
    if end_ms < start_ms {
        return Err(format!(
            "invalid test definition, end timestamp ({to}) is before start timestamp ({from})"
        ));
    }
    let step_ms = parse_duration_ms(step).map_err(|e| format!("invalid step definition {step:?}: {e}"))?;
    Ok((start_ms, end_ms, step_ms))
}

impl Eval {
    /// Takes a line that states something other than a series; false when it is none.
    fn expectation_line(&mut self, text: &str, legacy_fail: bool) -> Result<bool, String> {
        if let Some(message) = text.strip_prefix("expected_fail_message").filter(|_| legacy_fail) {
            self.expectations.fail = Some(Pattern::Exact(message.trim().to_owned()));
            return Ok(true);
        }
        if let Some(pattern) = text.strip_prefix("expected_fail_regexp").filter(|_| legacy_fail) {
            self.expectations.fail = Some(expect::regex_pattern(pattern.trim())?);
            return Ok(true);
        }
        if text.starts_with("expect range vector") {
            let parts =
                SAMPLES.captures(text).ok_or_else(|| format!("invalid range vector definition {text:?}"))?;
            let (start_ms, end_ms, step_ms) = times(&parts[1], &parts[2], &parts[3])?;
            self.time = EvalTime::Instant { t_ms: end_ms, samples: Some((start_ms, end_ms, step_ms)) };
            self.rerun_as_range = false;
            return Ok(true);
        }
        if let Some(literal) = text.strip_prefix("expect string") {
            let invalid = "expected string literal not valid - check that the string is correctly quoted";
            let value = unquote(literal.trim()).map_err(|_| invalid.to_owned())?;
            self.expected = ExpectedValue::String(value);
            self.rerun_as_range = false;
            return Ok(true);
        }
        // A metric of that name can be written as `expect{}`.
        if text.split(' ').next() == Some("expect") {
            self.expectations.add(expect::parse(text)?)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn value_line(&mut self, text: &str, line: usize, position: usize) -> Result<(), ScriptError> {
        if let Ok(number) = parse_number(text) {
            self.expected = ExpectedValue::Scalar(number);
            return Ok(());
        }
        let described = parse_series(text).map_err(|error| ScriptError::new(line, error.to_string()))?;
        let single = matches!(self.time, EvalTime::Instant { samples: None, .. });
        if single && described.values.len() > 1 {
            let message = "expecting multiple values in instant evaluation not allowed. consider using 'expect range \
                           vector' directive to enable a range vector result for an instant query";
            return Err(ScriptError::new(line, message));
        }
        let series = ExpectedSeries { labels: described.labels, values: described.values, position };
        match &mut self.expected {
            ExpectedValue::Series(all) => {
                all.retain(|other| other.labels != series.labels);
                all.push(series);
            }
            other => *other = ExpectedValue::Series(vec![series]),
        }
        Ok(())
    }
}
