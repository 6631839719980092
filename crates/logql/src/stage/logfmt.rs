//! `| logfmt`: `key=value` and `key="a value"` with blanks between.

use std::borrow::Cow;

use super::hints::Hints;
use crate::ast::Extraction;
use crate::labels::{RowLabels, sanitize_into};

/// What a line is marked with that is not well-formed.
const LOGFMT_ERROR: &str = "LogfmtParserErr";

/// Takes labels from a line.
#[derive(Debug)]
pub(crate) struct Logfmt {
    strict: bool,
    keep_empty: bool,
    /// Keys of the line by the labels they become.
    wanted: Vec<(String, String)>,
}

impl Logfmt {
    pub fn new(strict: bool, keep_empty: bool, extractions: &[Extraction]) -> Result<Self, String> {
        let mut wanted: Vec<(String, String)> = Vec::with_capacity(extractions.len());
        for Extraction { label, expression } in extractions {
            let key = key_of(expression)
                .map_err(|problem| format!("cannot parse expression [{expression}]: {problem}"))?;
            wanted.retain(|(other, _)| other != label);
            wanted.push((label.clone(), key));
        }
        Ok(Self { strict, keep_empty, wanted })
    }

    pub fn run(&self, line: &str, labels: &mut RowLabels, hints: &Hints) {
        if self.wanted.is_empty() { self.all(line, labels, hints) } else { self.some(line, labels, hints) }
    }

    fn all(&self, line: &str, labels: &mut RowLabels, hints: &Hints) {
        if hints.wants_nothing() {
            return;
        }
        let (mut pairs, mut name, mut found) = (Pairs::new(line), String::new(), 0);
        while let Some(pair) = pairs.next() {
            let (key, value) = match pair {
                Ok(pair) => pair,
                Err(problem) if self.strict => return fail(labels, problem, hints),
                Err(_) => continue,
            };
            if value.is_empty() && !self.keep_empty {
                continue;
            }
            name.clear();
            sanitize_into(&mut name, key, true);
            if name.is_empty() || !hints.wants(&name) {
                continue;
            }
            if labels.stream_has(&name) || labels.metadata_has(&name) {
                name.push_str("_extracted");
            }
            if labels.parsed_has(&name) {
                continue;
            }
            labels.set(&name, &value);
            found += 1;
            if hints.is_satisfied(found) {
                return;
            }
        }
    }

    fn some(&self, line: &str, labels: &mut RowLabels, hints: &Hints) {
        let mut pairs = Pairs::new(line);
        let mut found = vec![false; self.wanted.len()];
        while let Some(pair) = pairs.next() {
            let (key, value) = match pair {
                Ok(pair) => pair,
                Err(problem) if self.strict => {
                    fail(labels, problem, hints);
                    break;
                }
                Err(_) => continue,
            };
            for (at, (label, wanted)) in self.wanted.iter().enumerate() {
                if wanted != key || found[at] || value.is_empty() && !self.keep_empty {
                    continue;
                }
                found[at] = true;
                let name = labels.free_name(label).into_owned();
                labels.set(&name, &value);
            }
            if found.iter().all(|found| *found) {
                break;
            }
        }
        // What was asked for is there, if only empty.
        for (label, _) in &self.wanted {
            if labels.get(label).is_none() {
                labels.set(label, "");
            }
        }
    }
}

fn fail(labels: &mut RowLabels, problem: String, hints: &Hints) {
    labels.set_error(LOGFMT_ERROR, Some(problem));
    if hints.preserves_errors {
        labels.preserve_error();
    }
}

/// The key an expression names: one word, or one in quotes.
fn key_of(expression: &str) -> Result<String, String> {
    let expression = expression.trim();
    if expression.is_empty() {
        return Err("syntax error: unexpected $end, expecting STRING or KEY".to_owned());
    }
    if expression.starts_with('"') {
        let quoted = syntax::literal::unquote(expression);
        return quoted.map_err(|_| "syntax error: unexpected $end, expecting STRING or KEY".to_owned());
    }
    if expression.contains(|c: char| c.is_whitespace()) {
        return Err("syntax error: unexpected KEY".to_owned());
    }
    Ok(expression.to_owned())
}

/// The pairs of a line. After an error the next blank begins anew.
struct Pairs<'a> {
    line: &'a str,
    at: usize,
}

type Pair<'a> = Result<(&'a str, Cow<'a, str>), String>;

impl<'a> Pairs<'a> {
    fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    /// Goes on to the first byte of this kind.
    fn skip_to(&mut self, is_wanted: impl Fn(u8) -> bool) {
        while self.byte().is_some_and(|byte| !is_wanted(byte)) {
            self.at += 1;
        }
    }

    fn unexpected(&mut self, byte: u8) -> String {
        let place = self.at + 1;
        self.skip_to(|byte| byte <= b' ');
        format!(
            "logfmt syntax error at pos {place} : unexpected {}",
            syntax::literal::quote_char(byte as char)
        )
    }

    fn next(&mut self) -> Option<Pair<'a>> {
        self.skip_to(|byte| byte > b' ');
        self.byte()?;
        let start = self.at;
        self.skip_to(|byte| byte <= b' ' || matches!(byte, b'=' | b'"'));
        let key = &self.line[start..self.at];
        Some(match self.byte() {
            Some(byte @ b'=') if key.is_empty() => Err(self.unexpected(byte)),
            Some(byte @ b'"') => Err(self.unexpected(byte)),
            Some(b'=') => {
                self.at += 1;
                self.value().map(|value| (key, value))
            }
            _ => Ok((key, Cow::Borrowed(""))),
        })
    }

    fn value(&mut self) -> Result<Cow<'a, str>, String> {
        if self.byte() == Some(b'"') {
            return self.quoted();
        }
        let start = self.at;
        self.skip_to(|byte| byte <= b' ' || matches!(byte, b'=' | b'"'));
        match self.byte() {
            Some(byte @ (b'=' | b'"')) => Err(self.unexpected(byte)),
            _ => Ok(Cow::Borrowed(&self.line[start..self.at])),
        }
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let start = self.at;
        let bytes = self.line.as_bytes();
        let (mut at, mut escapes) = (start + 1, false);
        loop {
            match bytes.get(at) {
                None => {
                    self.at = bytes.len();
                    return Err(format!(
                        "logfmt syntax error at pos {} : unterminated quoted value",
                        bytes.len() + 1
                    ));
                }
                Some(b'\\') => {
                    escapes = true;
                    at += 2;
                }
                Some(b'"') => break,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        let inner = &self.line[start + 1..at];
        if !escapes {
            return Ok(Cow::Borrowed(inner));
        }
        match super::json::unescape(inner) {
            Some(value) => Ok(Cow::Owned(value)),
            None => Err(format!("logfmt syntax error at pos {} : invalid quoted value", start + 1)),
        }
    }
}
