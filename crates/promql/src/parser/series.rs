//! Series descriptions, the notation of test scripts and rule unit tests:
//! `up{job="a"} 0 1+2x3 _x4 stale {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x2`.

mod histogram;

use std::sync::Arc;

use model::labels::{METRIC_NAME, Quoted};
use model::{FloatHistogram, Labels, LabelsBuilder, stale_nan};
use syntax::Span;
use syntax::literal::quote_char;

pub use super::expression::parse_number;
use super::{ParseError, ParseOptions, Parser};
use crate::lexer::Lexer;
use crate::token::TokenKind;

/// The most values one description may stand for.
pub const MAX_VALUES: usize = 1_000_000;

/// One value of a described series.
#[derive(Debug, Clone, PartialEq)]
pub enum SequenceValue {
    /// `_`: there is no sample.
    Omitted,
    /// A number, or the staleness marker.
    Float(f64),
    /// A histogram.
    Histogram {
        /// The histogram; repeated ones are shared.
        histogram: Arc<FloatHistogram>,
        /// Whether the counter-reset hint was written out, rather than left to its default.
        hint_given: bool,
    },
}

/// A series and its values, one per interval.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDescription {
    /// The labels, metric name included.
    pub labels: Labels,
    /// The values.
    pub values: Vec<SequenceValue>,
}

/// Parses a metric such as `up{job="a"}`.
pub fn parse_metric(text: &str) -> Result<Labels, ParseError> {
    let options = ParseOptions::ALL;
    let mut parser = Parser::new(text, &options);
    let labels = parser.metric_labels()?;
    parser.expect_end()?;
    Ok(labels)
}

/// Parses a series description.
pub fn parse_series(text: &str) -> Result<SeriesDescription, ParseError> {
    let (labels, behind) = leading_metric(text)?;
    let mut values = Values { text, pos: behind, values: Vec::new() };
    values.read()?;
    Ok(SeriesDescription { labels, values: values.values })
}

/// Parses values alone, as expected results of range queries are written.
pub fn parse_values(text: &str) -> Result<Vec<SequenceValue>, ParseError> {
    let mut values = Values { text, pos: 0, values: Vec::new() };
    values.read()?;
    Ok(values.values)
}

/// The metric at the start of a description, and where it ends. Braces must follow the name at once:
/// behind a blank the values begin.
fn leading_metric(text: &str) -> Result<(Labels, usize), ParseError> {
    let options = ParseOptions::ALL;
    let mut parser = Parser::new(text, &options);
    let first = parser.bump()?;
    let labels = match first.kind {
        TokenKind::LeftBrace => parser.label_set("")?,
        kind if kind.is_metric_name() => {
            let name = first.span.of(text);
            if !text[first.span.end..].starts_with('{') {
                return Ok((Labels::from_pairs([(METRIC_NAME, name)]), first.span.end));
            }
            parser.bump()?;
            parser.label_set(name)?
        }
        _ => return Err(parser.unexpected(first)),
    };
    Ok((labels, parser.lexer.position()))
}

const LABEL_SET: &str = "label set";

impl Parser<'_> {
    fn metric_labels(&mut self) -> Result<Labels, ParseError> {
        let token = self.bump()?;
        match token.kind {
            TokenKind::LeftBrace => self.label_set(""),
            kind if kind.is_metric_name() => {
                let name = token.span.of(self.text);
                match self.accept(TokenKind::LeftBrace)? {
                    Some(_) => self.label_set(name),
                    None => Ok(Labels::from_pairs([(METRIC_NAME, name)])),
                }
            }
            _ => Err(self.unexpected(token)),
        }
    }

    /// Labels in braces, the first of which has been read.
    fn label_set(&mut self, name: &str) -> Result<Labels, ParseError> {
        let mut labels = LabelsBuilder::default();
        loop {
            if self.accept(TokenKind::RightBrace)?.is_some() {
                break;
            }
            let (label, value) = self.label()?;
            labels.set(&label, &value);
            let token = self.bump()?;
            match token.kind {
                TokenKind::RightBrace => break,
                TokenKind::Comma => {}
                _ => return Err(self.unexpected_in(token, LABEL_SET, "\",\" or \"}\"")),
            }
        }
        if !name.is_empty() {
            labels.set(METRIC_NAME, name);
        }
        Ok(labels.build())
    }

    fn label(&mut self) -> Result<(String, String), ParseError> {
        let token = self.bump()?;
        let name = match token.kind {
            TokenKind::Identifier => token.span.of(self.text).to_owned(),
            TokenKind::String => self.unquote(token)?,
            _ => return Err(self.unexpected_in(token, LABEL_SET, "identifier or \"}\"")),
        };
        if self.peek()?.kind != TokenKind::Assign {
            if token.kind == TokenKind::String {
                return Ok((METRIC_NAME.to_owned(), name));
            }
            let next = self.bump()?;
            return Err(self.unexpected_in(next, LABEL_SET, "\"=\""));
        }
        self.bump()?;
        let value = self.bump()?;
        match value.kind {
            TokenKind::String => Ok((name, self.unquote(value)?)),
            _ => Err(self.unexpected_in(value, LABEL_SET, "string")),
        }
    }
}

/// Reads values character by character: `x` and `_` mean something else here than in queries.
struct Values<'a> {
    text: &'a str,
    pos: usize,
    values: Vec<SequenceValue>,
}

const SERIES_VALUES: &str = "series values";

impl<'a> Values<'a> {
    fn read(&mut self) -> Result<(), ParseError> {
        loop {
            let had_blank = self.skip_blanks();
            match self.peek() {
                None => return Ok(()),
                Some(_) if !had_blank && self.pos > 0 => {
                    let word = self.word();
                    return Err(
                        self.error(self.pos, format!("unexpected {} in {SERIES_VALUES}", Quoted(word)))
                    );
                }
                Some(_) => self.item()?,
            }
        }
    }

    fn item(&mut self) -> Result<(), ParseError> {
        match self.rest() {
            rest if rest.starts_with('_') => {
                self.pos += 1;
                // Omitted values are repeated as often as is written: unlike others, they do not
                // stand for one more value at the start.
                let times = self.times()?.unwrap_or(1);
                self.push_all(times, |_| SequenceValue::Omitted)
            }
            rest if rest.starts_with("{{") => self.histogram_item(),
            rest if rest.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_special_number(rest) => {
                let word = self.word();
                if word != "stale" && word.split('x').next() != Some("stale") {
                    let message = format!(
                        "unexpected identifier {} in {SERIES_VALUES}, expected number or \"stale\"",
                        Quoted(word)
                    );
                    return Err(self.error(self.pos, message));
                }
                self.pos += "stale".len();
                let times = self.times()?.map_or(1, |n| n.saturating_add(1));
                self.push_all(times, |_| SequenceValue::Float(stale_nan()))
            }
            _ => self.number_item(),
        }
    }

    /// `1`, `1x4`, `1+2x4`
    fn number_item(&mut self) -> Result<(), ParseError> {
        let first = self.signed_number()?;
        let step = match self.peek() {
            Some('+' | '-') => self.signed_number()?,
            _ => 0.0,
        };
        let Some(times) = self.times()? else {
            if step != 0.0 {
                return Err(self.error(self.pos, format!("unexpected {} in {SERIES_VALUES}", self.shown())));
            }
            return self.push_all(1, |_| SequenceValue::Float(first));
        };
        let mut value = first;
        self.push_all(times.saturating_add(1), |i| {
            value += if i > 0 { step } else { 0.0 };
            SequenceValue::Float(value)
        })
    }

    fn histogram_item(&mut self) -> Result<(), ParseError> {
        let start = self.pos;
        let first = self.histogram()?;
        let sign = self.peek().filter(|c| matches!(c, '+' | '-'));
        let Some(sign) = sign else {
            let times = self.times()?.map_or(1, |n| n.saturating_add(1));
            let (histogram, hint_given) = (Arc::new(first.histogram), first.hint_given);
            return self
                .push_all(times, |_| SequenceValue::Histogram { histogram: histogram.clone(), hint_given });
        };
        self.pos += 1;
        let step = self.histogram()?;
        let times = self
            .times()?
            .ok_or_else(|| self.error(self.pos, format!("unexpected {} in {SERIES_VALUES}", self.shown())))?;
        let hint_given = step.hint_given;
        let mut current = first.histogram;
        self.check_count(times.saturating_add(1))?;
        self.values.push(SequenceValue::Histogram { histogram: Arc::new(current.clone()), hint_given });
        for _ in 0..times {
            if current.schema > step.histogram.schema {
                let (to, from) = (step.histogram.schema, current.schema);
                let message = format!("error combining histograms: cannot merge from schema {to} to {from}");
                return Err(self.error(start, message));
            }
            let added = match sign {
                '+' => current.add(&step.histogram),
                _ => current.sub(&step.histogram),
            };
            added.map_err(|error| self.error(start, error.to_string()))?;
            self.values.push(SequenceValue::Histogram { histogram: Arc::new(current.clone()), hint_given });
        }
        Ok(())
    }

    fn push_all(
        &mut self,
        count: usize,
        mut value: impl FnMut(usize) -> SequenceValue,
    ) -> Result<(), ParseError> {
        self.check_count(count)?;
        self.values.extend((0..count).map(&mut value));
        Ok(())
    }

    fn check_count(&self, more: usize) -> Result<(), ParseError> {
        if self.values.len().saturating_add(more) > MAX_VALUES {
            return Err(self.error(self.pos, format!("more than {MAX_VALUES} values in one series")));
        }
        Ok(())
    }

    /// `x3`, if it follows.
    fn times(&mut self) -> Result<Option<usize>, ParseError> {
        if self.peek() != Some('x') {
            return Ok(None);
        }
        self.pos += 1;
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let count = self.rest()[..digits].parse();
        let count = count
            .map_err(|error| self.error(self.pos, format!("invalid repetition in series values: {error}")))?;
        self.pos += digits;
        Ok(Some(count))
    }

    /// A number with or without a sign.
    fn signed_number(&mut self) -> Result<f64, ParseError> {
        let negative = match self.peek() {
            Some(sign @ ('+' | '-')) => {
                self.pos += 1;
                sign == '-'
            }
            _ => false,
        };
        let value = self.number()?;
        Ok(if negative { -value } else { value })
    }

    fn number(&mut self) -> Result<f64, ParseError> {
        let start = self.pos;
        if is_special_number(self.rest()) {
            self.pos += "inf".len();
        } else if self.rest().starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let mut lexer = Lexer::for_series(self.text, self.pos);
            lexer.number()?;
            self.pos = lexer.position();
        } else {
            return Err(self.error(start, format!("unexpected {} in {SERIES_VALUES}", self.shown())));
        }
        let text = &self.text[start..self.pos];
        parse_number(text).map_err(|e| self.error(start, format!("error parsing number: {e}")))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The next character for messages.
    fn shown(&self) -> String {
        self.peek().map_or_else(|| "end of input".to_owned(), |c| format!("character {}", quote_char(c)))
    }

    fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find([' ', '\t', '\n', '\r']).unwrap_or(rest.len())]
    }

    fn skip_blanks(&mut self) -> bool {
        let blanks = self.rest().bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.pos += blanks;
        blanks > 0
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, Span::new(at, self.text.len()), message)
    }
}

/// Whether the text starts with `Inf` or `NaN`, in any mixture of cases, as a word of its own (but
/// for a repetition).
fn is_special_number(text: &str) -> bool {
    let word = text.get(..3).unwrap_or_default();
    let special = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
    special && !text[3..].starts_with(|c: char| c != 'x' && (c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests;
