//! The text of a series: metric name and labels.

use model::{METRIC_NAME, MetricType};

use super::error::{Input, ParseError};
use super::raw_labels::{RawLabels, push_unescaped};
use super::scan::{Quotable, label_name_end, metric_name_end, quoted_end, skip_blanks, starts_label_name};
use crate::number::{open_metrics_float, parse_float};
use crate::quote::quoted;

/// How the text formats differ between braces.
pub(super) trait Dialect {
    /// Blanks may stand between any two tokens, and commas may be left out.
    const LOOSE: bool;
    /// The braces hold the labels of an exemplar: no metric name, no NUL.
    const EXEMPLAR: bool;
}

/// Prometheus text.
pub(super) struct Loose;
/// OpenMetrics.
pub(super) struct Strict;
/// An exemplar of OpenMetrics.
pub(super) struct ExemplarLabels;

impl Dialect for Loose {
    const LOOSE: bool = true;
    const EXEMPLAR: bool = false;
}

impl Dialect for Strict {
    const LOOSE: bool = false;
    const EXEMPLAR: bool = false;
}

impl Dialect for ExemplarLabels {
    const LOOSE: bool = false;
    const EXEMPLAR: bool = true;
}

/// Checks the labels after the brace at `open` and returns the place after the closing one. `line` is where
/// the entry starts, for errors; `has_name` tells whether a metric name stood before the brace, and
/// whether there is one at all afterwards.
#[inline]
pub(super) fn scan_labels<D: Dialect>(
    input: Input<'_>,
    line: usize,
    open: usize,
    has_name: &mut bool,
) -> Result<usize, ParseError> {
    let bytes = input.bytes;
    let mut pos = open + 1;
    let mut previous = open;
    loop {
        pos = blanks::<D>(bytes, pos);
        let name_start = pos;
        let byte = input.at(pos);
        if starts_label_name(byte) {
            pos = label_name_end(bytes, pos);
        } else if byte == b'"' {
            pos = scan_quoted_name::<D>(input, line, pos)?;
            let next = blanks::<D>(bytes, pos);
            if matches!(input.at(next), b',' | b'}') {
                if D::EXEMPLAR {
                    let token = token_name(input.at(next));
                    return Err(input.unexpected(line, "expected label name", token, next, next + 1));
                }
                if *has_name {
                    return Err(input.bad_line(line, next + 1, "metric name already set"));
                }
                *has_name = true;
                if bytes[next] == b'}' {
                    return Ok(next + 1);
                }
                (previous, pos) = (next, next + 1);
                continue;
            }
        } else if byte == b'}' && pos < bytes.len() {
            return Ok(pos + 1);
        } else {
            return Err(wrong_token(input, line, "expected label name", previous, pos));
        }
        pos = blanks::<D>(bytes, pos);
        if input.at(pos) != b'=' {
            return Err(wrong_token(input, line, "expected equal", name_start, pos));
        }
        let equal = pos;
        pos = scan_value::<D>(input, line, equal)?;
        let value_start = equal;
        pos = blanks::<D>(bytes, pos);
        match input.at(pos) {
            b',' => (previous, pos) = (pos, pos + 1),
            b'}' => return Ok(pos + 1),
            _ if D::LOOSE => previous = value_start,
            _ => return Err(wrong_token(input, line, "expected comma or brace close", value_start, pos)),
        }
    }
}

#[inline(always)]
fn blanks<D: Dialect>(bytes: &[u8], pos: usize) -> usize {
    if D::LOOSE { skip_blanks(bytes, pos) } else { pos }
}

#[inline(always)]
fn scan_value<D: Dialect>(input: Input<'_>, line: usize, equal: usize) -> Result<usize, ParseError> {
    let expected = "expected label value";
    let pos = blanks::<D>(input.bytes, equal + 1);
    if input.at(pos) != b'"' {
        return Err(if pos >= input.bytes.len() && !input.end_is_newline {
            input.unexpected(line, expected, "EOF", equal, pos)
        } else {
            input.unexpected(line, expected, "INVALID", pos, pos)
        });
    }
    let may = Quotable { newline: D::LOOSE, nul: !D::EXEMPLAR };
    let end = quoted_end(input.bytes, pos, may)
        .map_err(|fault| input.unexpected(line, expected, "INVALID", pos, fault))?;
    let value = &input.bytes[pos..end];
    if !value.is_ascii() && std::str::from_utf8(value).is_err() {
        return Err(ParseError::other(format!("invalid UTF-8 label value: {}", quoted(value))));
    }
    Ok(end)
}

#[cold]
fn scan_quoted_name<D: Dialect>(input: Input<'_>, line: usize, pos: usize) -> Result<usize, ParseError> {
    let may = Quotable { newline: !D::EXEMPLAR, nul: false };
    let end = quoted_end(input.bytes, pos, may)
        .map_err(|fault| input.unexpected(line, "expected label name", "INVALID", pos, fault))?;
    let name = &input.bytes[pos..end];
    if std::str::from_utf8(name).is_err() {
        return Err(ParseError::other(format!("invalid UTF-8 metric or label name: {}", quoted(name))));
    }
    Ok(end)
}

fn token_name(byte: u8) -> &'static str {
    match byte {
        b',' => "COMMA",
        b'=' => "EQUAL",
        b'}' => "BCLOSE",
        _ => "INVALID",
    }
}

/// Describes the token at `pos`, which is not the expected one. At the end of input the token before,
/// which starts at `previous`, is shown.
#[cold]
fn wrong_token(
    input: Input<'_>,
    line: usize,
    expected: &'static str,
    previous: usize,
    pos: usize,
) -> ParseError {
    let bytes = input.bytes;
    if pos >= bytes.len() && !input.end_is_newline {
        return input.unexpected(line, expected, "EOF", previous, pos);
    }
    match input.at(pos) {
        b',' | b'=' | b'}' => input.unexpected(line, expected, token_name(input.at(pos)), pos, pos + 1),
        b'"' => match quoted_end(bytes, pos, Quotable { newline: true, nul: false }) {
            Ok(end) => input.unexpected(line, expected, "QSTRING", pos, end),
            Err(fault) => input.unexpected(line, expected, "INVALID", pos, fault),
        },
        byte if starts_label_name(byte) => {
            input.unexpected(line, expected, "LNAME", pos, label_name_end(bytes, pos))
        }
        _ => input.unexpected(line, expected, "INVALID", pos, pos),
    }
}

/// A part of a series text, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Name(&'a str),
    Label(&'a str, &'a str),
}

/// The parts of a series text that a parser has accepted, in either dialect.
#[derive(Debug, Clone)]
pub(super) struct Pieces<'a> {
    text: &'a [u8],
    pos: usize,
    in_braces: bool,
}

impl<'a> Pieces<'a> {
    pub fn of(series: &'a [u8]) -> Self {
        Self { text: series, pos: 0, in_braces: false }
    }

    /// The labels between braces, starting at the brace.
    pub fn of_braces(braces: &'a [u8]) -> Self {
        Self { text: braces, pos: 1, in_braces: true }
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        // The parser accepted the text, so that this never replaces anything but by a caller's mistake.
        std::str::from_utf8(&self.text[from..to]).unwrap_or_default()
    }

    /// A name or quoted string at the current place, without quotes.
    fn take_name(&mut self) -> &'a str {
        let start = self.pos;
        if self.text.get(start) == Some(&b'"') {
            self.pos = quoted_end(self.text, start, Quotable { newline: true, nul: true })
                .unwrap_or(self.text.len());
            return self.slice(start + 1, self.pos.max(start + 2) - 1);
        }
        self.pos = metric_name_end(self.text, start);
        self.slice(start, self.pos)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if !self.in_braces {
            self.in_braces = true;
            if self.text.first() != Some(&b'{') {
                let name = self.take_name();
                self.pos = skip_blanks(self.text, self.pos) + 1;
                return Some(Piece::Name(name));
            }
            self.pos = 1;
        }
        while matches!(self.text.get(self.pos), Some(b' ' | b'\t' | b',')) {
            self.pos += 1;
        }
        if self.pos >= self.text.len() || self.text[self.pos] == b'}' {
            return None;
        }
        let name = self.take_name();
        self.pos = skip_blanks(self.text, self.pos);
        if self.text.get(self.pos) != Some(&b'=') {
            return Some(Piece::Name(name));
        }
        self.pos = skip_blanks(self.text, self.pos + 1);
        Some(Piece::Label(name, self.take_name()))
    }
}

/// What a family's metadata adds to the labels of its series.
#[derive(Debug, Clone, Copy)]
pub(super) struct FamilyLabels<'a> {
    pub metric_type: MetricType,
    pub unit: &'a str,
    /// Whether `__type__` and `__unit__` are added.
    pub added: bool,
}

/// The label of a family's type.
pub const TYPE_LABEL: &str = "__type__";
/// The label of a family's unit.
pub const UNIT_LABEL: &str = "__unit__";

impl FamilyLabels<'_> {
    /// Whether the metadata replaces a label the target gave.
    pub fn overrides(&self, label: &str) -> bool {
        self.added
            && match label {
                METRIC_NAME => true,
                TYPE_LABEL => self.metric_type != MetricType::Unknown,
                UNIT_LABEL => !self.unit.is_empty(),
                _ => false,
            }
    }

    /// Adds the metric name and, if wanted, the metadata.
    pub fn push(&self, name: &str, out: &mut RawLabels) {
        out.push_escaped(METRIC_NAME, name);
        self.push_metadata(out);
    }

    /// Adds the metadata, if wanted.
    pub fn push_metadata(&self, out: &mut RawLabels) {
        if self.added {
            if self.metric_type != MetricType::Unknown {
                out.push(TYPE_LABEL, self.metric_type.as_str());
            }
            if !self.unit.is_empty() {
                out.push(UNIT_LABEL, self.unit);
            }
        }
    }
}

/// Writes the labels of a series text.
pub(super) fn labels_of(series: &[u8], family: FamilyLabels<'_>, out: &mut RawLabels) {
    out.clear();
    let name = Pieces::of(series).find_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Label(..) => None,
    });
    family.push(name.unwrap_or_default(), out);
    for piece in Pieces::of(series) {
        let Piece::Label(name, value) = piece else { continue };
        out.push_escaped(name, value);
        let Some((name, value)) = out.last() else { continue };
        if family.overrides(name) {
            out.pop();
            continue;
        }
        // Bounds must be spelt one way, or one bucket would be two series.
        let is_bound = match family.metric_type {
            MetricType::Summary => name == "quantile",
            MetricType::Histogram => name == "le",
            _ => false,
        };
        if is_bound && let Ok(bound) = parse_float(value.as_bytes()) {
            out.replace_last_value(&open_metrics_float(bound));
        }
    }
}

/// A name from a metadata line, its escapes replaced.
pub(super) fn unescaped(text: &[u8]) -> std::borrow::Cow<'_, str> {
    let text = String::from_utf8_lossy(text);
    if !text.contains('\\') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    push_unescaped(&mut out, &text);
    out.into()
}
