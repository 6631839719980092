//! The Prometheus text format, versions 0.0.4 and 1.0.0.

use std::borrow::Cow;

use model::{Exemplar, MetricType};

use super::error::{Input, ParseError};
use super::raw_labels::RawLabels;
use super::scan::{Quotable, line_end, metric_name_end, quoted_end, skip_blanks, starts_metric_name};
use super::series::{FamilyLabels, Loose, labels_of, scan_labels, unescaped};
use super::{Entry, Exposition, HistogramSample, KnownSeries, ParseOptions};
use crate::number::{parse_float, parse_int};
use crate::quote::quoted;

/// A parser of the Prometheus text format.
#[derive(Debug)]
pub struct TextParser<'a> {
    input: Input<'a>,
    pos: usize,
    line: usize,
    series: &'a [u8],
    value: f64,
    timestamp_ms: Option<i64>,
    family: &'a [u8],
    text: &'a [u8],
    metric_type: MetricType,
    type_and_unit_labels: bool,
}

impl<'a> TextParser<'a> {
    /// A parser of `body`.
    pub fn new(body: &'a [u8], options: &ParseOptions) -> Self {
        Self {
            input: Input { bytes: body, end_is_newline: true },
            pos: 0,
            line: 0,
            series: &[],
            value: 0.0,
            timestamp_ms: None,
            family: &[],
            text: &[],
            metric_type: MetricType::Unknown,
            type_and_unit_labels: options.type_and_unit_labels,
        }
    }

    #[inline(always)]
    fn next_series<K: KnownSeries>(&mut self, start: usize, known: &mut K) -> Result<Entry, ParseError> {
        let bytes = self.input.bytes;
        let known_len = known.known_len(&bytes[start..]);
        if known_len > 0 {
            let end = start + known_len;
            let next = skip_blanks(bytes, end);
            // A bare name is not the whole series where labels follow it.
            if bytes[end - 1] == b'}' || (next > end && self.input.at(next) != b'{') {
                self.series = &bytes[start..end];
                self.finish_sample(end, next)?;
                return Ok(Entry::KnownSeries);
            }
        }
        let mut has_name = false;
        let mut end = start;
        if bytes[start] != b'{' {
            has_name = true;
            end = metric_name_end(bytes, start);
        }
        let mut next = skip_blanks(bytes, end);
        if self.input.at(next) == b'{' {
            end = scan_labels::<Loose>(self.input, self.line, next, &mut has_name)?;
            next = skip_blanks(bytes, end);
        }
        self.series = &bytes[start..end];
        if !has_name {
            let value_end = if self.input.at(next) == b'\n' { next } else { self.value_end(next) };
            return Err(self.input.bad_line(self.line, value_end, "metric name not set"));
        }
        self.finish_sample(end, next)?;
        Ok(Entry::Series)
    }

    #[inline(always)]
    fn value_end(&self, mut pos: usize) -> usize {
        let bytes = self.input.bytes;
        while pos < bytes.len() && !matches!(bytes[pos], b' ' | b'\n' | b'\t' | b'{' | 0) {
            pos += 1;
        }
        pos
    }

    /// Reads value and timestamp from `pos` to the end of the line.
    #[inline(always)]
    fn finish_sample(&mut self, series_end: usize, pos: usize) -> Result<(), ParseError> {
        let (input, line) = (self.input, self.line);
        let bytes = input.bytes;
        let end = self.value_end(pos);
        if end == pos {
            let (token, end) = if input.at(pos) == b'{' { ("BOPEN", pos + 1) } else { ("INVALID", pos) };
            debug_assert!(series_end <= pos);
            return Err(input.unexpected(line, "expected value after metric", token, pos, end));
        }
        self.value = parse_float(&bytes[pos..end]).map_err(|error| input.bad_number(line, end, error))?;
        self.timestamp_ms = None;
        let mut pos = end;
        if input.at(pos) != b'\n' {
            pos = skip_blanks(bytes, pos);
            if input.at(pos).is_ascii_digit() {
                let start = pos;
                while input.at(pos).is_ascii_digit() {
                    pos += 1;
                }
                let time =
                    parse_int(&bytes[start..pos]).map_err(|error| input.bad_number(line, pos, error))?;
                self.timestamp_ms = Some(time);
                pos = skip_blanks(bytes, pos);
            }
            if input.at(pos) != b'\n' {
                return Err(self.bad_end(pos));
            }
        }
        self.pos = pos + 1;
        Ok(())
    }

    #[cold]
    fn bad_end(&self, pos: usize) -> ParseError {
        let (input, line) = (self.input, self.line);
        if self.timestamp_ms.is_none() {
            return input.unexpected(line, "expected timestamp or new record", "INVALID", pos, pos);
        }
        let expected = "expected next entry after timestamp";
        let digits = input.bytes[pos..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            return input.unexpected(line, expected, "TIMESTAMP", pos, pos + digits);
        }
        input.unexpected(line, expected, "INVALID", pos, pos)
    }

    fn next_comment(&mut self, start: usize) -> Result<Entry, ParseError> {
        let bytes = self.input.bytes;
        let word = skip_blanks(bytes, start + 1);
        let after_word = word + 4;
        let is_meta = word > start + 1
            && matches!(bytes.get(word..after_word), Some(b"HELP" | b"TYPE"))
            && matches!(bytes.get(after_word), Some(b' ' | b'\t'));
        if is_meta {
            return self.next_metadata(word);
        }
        let end = line_end(bytes, start);
        self.text = &bytes[start..end];
        self.pos = end + 1;
        Ok(Entry::Comment)
    }

    fn next_metadata(&mut self, word: usize) -> Result<Entry, ParseError> {
        let (input, line) = (self.input, self.line);
        let bytes = input.bytes;
        let is_type = bytes[word] == b'T';
        let start = skip_blanks(bytes, word + 4);
        let expected =
            if is_type { "expected metric name after TYPE" } else { "expected metric name after HELP" };
        let name_end;
        if input.at(start) == b'"' {
            name_end = quoted_end(bytes, start, Quotable { newline: true, nul: false })
                .map_err(|fault| input.unexpected(line, expected, "INVALID", start, fault))?;
            self.family = &bytes[start + 1..name_end - 1];
        } else if starts_metric_name(input.at(start)) {
            name_end = metric_name_end(bytes, start);
            self.family = &bytes[start..name_end];
        } else {
            return Err(input.unexpected(line, expected, "INVALID", start, start));
        }
        let end = line_end(bytes, name_end);
        self.text = bytes.get(name_end + 1..end).unwrap_or_default();
        self.pos = end + 1;
        if !is_type {
            if std::str::from_utf8(self.text).is_err() {
                let text = quoted(self.text);
                return Err(ParseError::other(format!("help text {text} is not a valid utf8 string")));
            }
            return Ok(Entry::Help);
        }
        self.metric_type = match self.text {
            b"counter" => MetricType::Counter,
            b"gauge" => MetricType::Gauge,
            b"histogram" => MetricType::Histogram,
            b"summary" => MetricType::Summary,
            b"untyped" => MetricType::Unknown,
            other => return Err(ParseError::other(format!("invalid metric type {}", quoted(other)))),
        };
        Ok(Entry::Type)
    }
}

impl Exposition for TextParser<'_> {
    #[inline]
    fn next<K: KnownSeries>(&mut self, known: &mut K) -> Result<Option<Entry>, ParseError> {
        let bytes = self.input.bytes;
        loop {
            self.line = self.pos;
            let start = skip_blanks(bytes, self.pos);
            match bytes.get(start) {
                // A NUL at the start of a line ends the exposition, as targets that pad with NULs rely on.
                None | Some(0) => return Ok(None),
                Some(b'\n') => self.pos = start + 1,
                Some(b'#') => return self.next_comment(start).map(Some),
                Some(&byte) if byte == b'{' || starts_metric_name(byte) => {
                    return self.next_series(start, known).map(Some);
                }
                Some(_) => {
                    let expected = "expected a valid start token";
                    return Err(self.input.unexpected(self.line, expected, "INVALID", start, start));
                }
            }
        }
    }

    fn family_name(&self) -> Cow<'_, str> {
        unescaped(self.family)
    }

    fn metric_type(&self) -> MetricType {
        self.metric_type
    }

    fn help(&self) -> Cow<'_, str> {
        unescape_help(self.text)
    }

    fn unit(&self) -> &str {
        ""
    }

    fn comment(&self) -> &[u8] {
        self.text
    }

    fn series(&self) -> &[u8] {
        self.series
    }

    fn value(&self) -> f64 {
        self.value
    }

    fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }

    fn histogram(&self) -> Option<HistogramSample<'_>> {
        None
    }

    fn labels_into(&self, out: &mut RawLabels) {
        let added = self.type_and_unit_labels;
        labels_of(self.series, FamilyLabels { metric_type: self.metric_type, unit: "", added }, out);
    }

    fn next_exemplar(&mut self) -> Option<Exemplar> {
        None
    }

    fn start_timestamp_ms(&mut self) -> i64 {
        0
    }
}

/// In help texts of this format a quote needs no escape, so `\"` stays.
fn unescape_help(text: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(text);
    if !text.contains('\\') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, rest.as_str().chars().next()) {
            ('\\', Some('\\')) => out.push('\\'),
            ('\\', Some('n')) => out.push('\n'),
            _ => {
                out.push(c);
                continue;
            }
        }
        rest.next();
    }
    out.into()
}
