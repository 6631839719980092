//! Histogram literals: `{{schema:1 count:5 sum:3.5 buckets:[1 2 2]}}`.

use std::sync::Arc;

use model::labels::Quoted;
use model::{CounterResetHint, FloatHistogram, Span};

use super::Values;
use crate::parser::ParseError;

/// A histogram as written.
#[derive(Debug, Default)]
pub(super) struct Literal {
    pub histogram: FloatHistogram,
    pub hint_given: bool,
    offset: i32,
    negative_offset: i32,
    /// Keys seen so far: none may come twice.
    seen: Vec<&'static str>,
}

const KEYS: [&str; 11] = [
    "sum",
    "count",
    "schema",
    "offset",
    "n_offset",
    "buckets",
    "n_buckets",
    "z_bucket",
    "z_bucket_w",
    "custom_values",
    "counter_reset_hint",
];

impl Values<'_> {
    /// A literal, at whose opening braces the position is.
    pub(super) fn histogram(&mut self) -> Result<Literal, ParseError> {
        self.expect("{{")?;
        let mut literal = Literal::default();
        loop {
            self.skip_blanks();
            if self.rest().starts_with("}}") {
                self.pos += 2;
                break;
            }
            self.field(&mut literal)?;
        }
        let h = &mut literal.histogram;
        h.positive_spans = spans(literal.offset, h.positive_buckets.len());
        h.negative_spans = spans(literal.negative_offset, h.negative_buckets.len());
        Ok(literal)
    }

    fn field(&mut self, literal: &mut Literal) -> Result<(), ParseError> {
        let start = self.pos;
        let key = self.key()?;
        if literal.seen.contains(&key) {
            return Err(self.error(start, format!("duplicate key \"{key}\" in histogram")));
        }
        literal.seen.push(key);
        let h = &mut literal.histogram;
        match key {
            "sum" => h.sum = self.signed_number()?,
            "count" => h.count = self.signed_number()?,
            "z_bucket" => h.zero_count = self.signed_number()?,
            "z_bucket_w" => h.zero_threshold = self.number()?,
            "schema" => h.schema = self.integer()?,
            "offset" => literal.offset = self.integer()?,
            "n_offset" => literal.negative_offset = self.integer()?,
            "buckets" => h.positive_buckets = self.numbers()?,
            "n_buckets" => h.negative_buckets = self.numbers()?,
            "custom_values" => h.custom_values = Some(Arc::from(self.numbers()?)),
            _ => {
                h.counter_reset_hint = self.hint()?;
                literal.hint_given = true;
            }
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let len = rest.bytes().take_while(|b| b.is_ascii_alphabetic() || *b == b'_').count();
        self.pos += len;
        rest[..len].to_ascii_lowercase()
    }

    fn key(&mut self) -> Result<&'static str, ParseError> {
        let start = self.pos;
        let name = self.name();
        let Some(&key) = KEYS.iter().find(|key| **key == name) else {
            if name.is_empty() {
                let message = format!("histogram description incomplete unexpected: {}", self.shown());
                return Err(self.error(start, message));
            }
            return Err(self.error(start, format!("bad histogram descriptor found: {}", Quoted(&name))));
        };
        if !self.rest().starts_with(':') {
            return Err(self.error(start, "missing `:` for histogram descriptor"));
        }
        self.pos += 1;
        Ok(key)
    }

    fn hint(&mut self) -> Result<CounterResetHint, ParseError> {
        let start = self.pos;
        match self.name().as_str() {
            "unknown" => Ok(CounterResetHint::Unknown),
            "reset" => Ok(CounterResetHint::CounterReset),
            "not_reset" => Ok(CounterResetHint::NotCounterReset),
            "gauge" => Ok(CounterResetHint::Gauge),
            other => Err(self.error(start, format!("bad histogram descriptor found: {}", Quoted(other)))),
        }
    }

    fn integer(&mut self) -> Result<i32, ParseError> {
        let (start, rest) = (self.pos, self.rest());
        let digits =
            rest[usize::from(rest.starts_with('-'))..].bytes().take_while(u8::is_ascii_digit).count();
        let len = digits + usize::from(rest.starts_with('-'));
        self.pos += len;
        rest[..len].parse().map_err(|error| {
            self.error(
                start,
                format!("bad number in histogram description: {}: {error}", Quoted(&rest[..len])),
            )
        })
    }

    /// `[1 2 3]`
    fn numbers(&mut self) -> Result<Vec<f64>, ParseError> {
        self.expect("[")?;
        let mut numbers = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest().starts_with(']') {
                self.pos += 1;
                break;
            }
            numbers.push(self.signed_number()?);
        }
        Ok(numbers)
    }

    fn expect(&mut self, wanted: &str) -> Result<(), ParseError> {
        if !self.rest().starts_with(wanted) {
            let message =
                format!("unexpected {} in histogram description, expected \"{wanted}\"", self.shown());
            return Err(self.error(self.pos, message));
        }
        self.pos += wanted.len();
        Ok(())
    }
}

fn spans(offset: i32, buckets: usize) -> Vec<Span> {
    match u32::try_from(buckets) {
        Ok(length @ 1..) => vec![Span { offset, length }],
        _ => Vec::new(),
    }
}
