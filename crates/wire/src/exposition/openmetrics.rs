//! The OpenMetrics text format, versions 0.0.1 and 1.0.0.
//!
//! As lenient as scraping needs; [`crate::lint`] holds what the standard forbids on top.

use std::borrow::Cow;

use model::{Exemplar, Labels, MetricType};

use super::created::{CreatedSeries, has_start};
use super::error::{Input, ParseError};
use super::raw_labels::RawLabels;
use super::scan::{Quotable, metric_name_end, quoted_end, starts_metric_name};
use super::series::{ExemplarLabels, FamilyLabels, Piece, Pieces, Strict, labels_of, scan_labels, unescaped};
use super::{Entry, Exposition, HistogramSample, KnownSeries, ParseOptions};
use crate::number::parse_float;
use crate::quote::quoted;

/// A parser of OpenMetrics text.
#[derive(Debug)]
pub struct OpenMetricsParser<'a> {
    input: Input<'a>,
    pos: usize,
    line: usize,
    series: &'a [u8],
    value: f64,
    timestamp_ms: Option<i64>,
    exemplar: Option<RawExemplar<'a>>,
    family: &'a [u8],
    text: &'a [u8],
    unit: &'a str,
    unit_family: &'a [u8],
    metric_type: MetricType,
    created: CreatedSeries<'a>,
    skip_created: bool,
    type_and_unit_labels: bool,
}

/// An exemplar whose syntax was checked; `braces` are its labels.
#[derive(Debug, Clone, Copy)]
struct RawExemplar<'a> {
    braces: &'a [u8],
    value: f64,
    timestamp_ms: Option<i64>,
}

const NO_EOF: &str = "data does not end with # EOF";

/// What a float stands for, for errors.
#[derive(Clone, Copy)]
struct TimeOf(&'static str);

impl<'a> OpenMetricsParser<'a> {
    /// A parser of `body`.
    pub fn new(body: &'a [u8], options: &ParseOptions) -> Self {
        Self {
            input: Input { bytes: body, end_is_newline: false },
            pos: 0,
            line: 0,
            series: &[],
            value: 0.0,
            timestamp_ms: None,
            exemplar: None,
            family: &[],
            text: &[],
            unit: "",
            unit_family: &[],
            metric_type: MetricType::Unknown,
            created: CreatedSeries::default(),
            skip_created: options.skip_created_series,
            type_and_unit_labels: options.type_and_unit_labels,
        }
    }

    /// The offset of the entry the parser stands on.
    pub(crate) fn line_start(&self) -> usize {
        self.line
    }

    /// The offset after that entry.
    pub(crate) fn line_end(&self) -> usize {
        self.pos
    }

    #[inline(always)]
    fn next_series<K: KnownSeries>(&mut self, known: &mut K) -> Result<Entry, ParseError> {
        let bytes = self.input.bytes;
        let start = self.line;
        let known_len = known.known_len(&bytes[start..]);
        if known_len > 0 {
            let end = start + known_len;
            // A bare name is not the whole series where more of it or labels follow.
            if bytes[end - 1] == b'}' || self.input.at(end) == b' ' {
                self.series = &bytes[start..end];
                self.finish_sample(start, end)?;
                return Ok(Entry::KnownSeries);
            }
        }
        let mut has_name = false;
        let mut end = start;
        let mut last_token = start;
        if bytes[start] != b'{' {
            has_name = true;
            end = metric_name_end(bytes, start);
        }
        if self.input.at(end) == b'{' {
            end = scan_labels::<Strict>(self.input, start, end, &mut has_name)?;
            last_token = end - 1;
        }
        self.series = &bytes[start..end];
        if !has_name {
            let shown = if self.input.at(end) == b' ' { value_end(bytes, end + 1) } else { end };
            return Err(self.input.bad_line(start, shown, "metric name not set"));
        }
        self.finish_sample(last_token, end)?;
        Ok(Entry::Series)
    }

    /// Reads a space and a float from `pos`; returns the float and the place after it.
    #[inline(always)]
    fn float(
        &self,
        last_token: usize,
        pos: usize,
        expected: &'static str,
    ) -> Result<(f64, usize), ParseError> {
        let (input, line) = (self.input, self.line);
        let end = value_end(input.bytes, (pos + 1).min(input.bytes.len()));
        if input.at(pos) != b' ' || end == pos + 1 {
            return Err(no_value(input, line, expected, last_token, pos));
        }
        match parse_float(&input.bytes[pos + 1..end]) {
            Ok(value) => Ok((value, end)),
            Err(error) => Err(input.bad_number(line, end, error)),
        }
    }

    /// Reads value, timestamp and exemplar from `pos` to the end of the line.
    #[inline(always)]
    fn finish_sample(&mut self, last_token: usize, pos: usize) -> Result<(), ParseError> {
        let input = self.input;
        let (value, mut pos) = self.float(last_token, pos, "expected value after metric")?;
        self.value = value;
        self.timestamp_ms = None;
        self.exemplar = None;
        if input.at(pos) != b'\n' {
            pos = self.finish_long_sample(pos)?;
        }
        self.pos = pos + 1;
        Ok(())
    }

    /// Reads timestamp and exemplar and returns the place of the newline.
    fn finish_long_sample(&mut self, mut pos: usize) -> Result<usize, ParseError> {
        let (input, line) = (self.input, self.line);
        let mut expected = "expected timestamp or new record";
        let mut last_token = pos;
        if pos < input.bytes.len() && !input.bytes[pos..].starts_with(b" # {") {
            expected = "expected next entry after timestamp";
            last_token = pos;
            let (time, end) = self.time(pos, TimeOf("timestamp"))?;
            self.timestamp_ms = Some(time);
            pos = end;
        }
        if input.at(pos) == b'\n' {
            return Ok(pos);
        }
        if input.bytes[pos.min(input.bytes.len())..].starts_with(b" # {") {
            return self.exemplar(pos + 3);
        }
        if pos >= input.bytes.len() {
            return Err(if self.timestamp_ms.is_none() {
                ParseError::other(NO_EOF)
            } else {
                input.unexpected(line, expected, "EOF", last_token, pos)
            });
        }
        Err(self.extra_token(pos, expected))
    }

    /// Reads a space and a timestamp in seconds.
    fn time(&self, pos: usize, what: TimeOf) -> Result<(i64, usize), ParseError> {
        let (seconds, end) = self.float(pos, pos, "expected timestamp or new record")?;
        if !seconds.is_finite() {
            let shown = model::number::general(seconds);
            return Err(ParseError::other(format!("invalid {} {shown}", what.0)));
        }
        Ok(((seconds * 1000.0) as i64, end))
    }

    #[cold]
    fn extra_token(&self, pos: usize, expected: &'static str) -> ParseError {
        let (input, line) = (self.input, self.line);
        if input.at(pos) != b' ' {
            return input.unexpected(line, expected, "INVALID", pos, pos);
        }
        let end = value_end(input.bytes, pos + 1);
        if end == pos + 1 {
            return input.unexpected(line, expected, "INVALID", pos, pos + 1);
        }
        input.unexpected(line, expected, "TIMESTAMP", pos, end)
    }

    /// Reads the exemplar whose brace is at `open` and returns the place of the newline.
    fn exemplar(&mut self, open: usize) -> Result<usize, ParseError> {
        let (input, line) = (self.input, self.line);
        let close = scan_labels::<ExemplarLabels>(input, line, open, &mut false)?;
        let (value, mut pos) = self.float(close - 1, close, "expected value after exemplar labels")?;
        let mut timestamp_ms = None;
        if pos >= input.bytes.len() {
            return Err(ParseError::other(NO_EOF));
        }
        if input.at(pos) == b' ' && value_end(input.bytes, pos + 1) > pos + 1 {
            let (time, end) = self.time(pos, TimeOf("exemplar timestamp"))?;
            timestamp_ms = Some(time);
            pos = end;
            if input.at(pos) != b'\n' {
                return Err(self.extra_token(pos, "expected next entry after exemplar timestamp"));
            }
        }
        if input.at(pos) != b'\n' {
            return Err(self.extra_token(pos, "expected timestamp or comment"));
        }
        self.exemplar = Some(RawExemplar { braces: &input.bytes[open..close], value, timestamp_ms });
        Ok(pos)
    }

    /// Reads a metadata line or the end marker; `None` at the end marker.
    fn next_comment(&mut self) -> Result<Option<Entry>, ParseError> {
        let (input, line) = (self.input, self.line);
        let bytes = input.bytes;
        let rest = &bytes[line..];
        let (entry, word) = match rest {
            [b'#', b' ', b'H', b'E', b'L', b'P', b' ', ..] => (Entry::Help, "HELP"),
            [b'#', b' ', b'T', b'Y', b'P', b'E', b' ', ..] => (Entry::Type, "TYPE"),
            [b'#', b' ', b'U', b'N', b'I', b'T', b' ', ..] => (Entry::Unit, "UNIT"),
            [b'#', b' ', b'E', b'O', b'F', after @ ..] => {
                self.pos = line + 5;
                return match after {
                    [] | [b'\n'] => Ok(None),
                    _ => Err(ParseError::other("unexpected data after # EOF")),
                };
            }
            _ => {
                let known = ["# HELP ", "# TYPE ", "# UNIT ", "# EOF"].map(str::as_bytes);
                let common = |word: &[u8]| word.iter().zip(rest).take_while(|(a, b)| a == b).count();
                let fault = line + known.into_iter().map(common).max().unwrap_or(0);
                return Err(input.unexpected(line, "expected a valid start token", "INVALID", line, fault));
            }
        };
        let (name, after) = self.metadata_name(word)?;
        let newline = memchr::memchr(b'\n', &bytes[after..]).map(|at| after + at);
        let Some(end) = newline.filter(|_| bytes[after] == b' ') else {
            return Err(ParseError::other(format!("expected text in {word}")));
        };
        self.family = name;
        self.text = &bytes[after + 1..end];
        self.pos = end + 1;
        match entry {
            Entry::Help => self.check_help()?,
            Entry::Type => {
                self.metric_type = metric_type_of(self.text)?;
                if self.unit_family != self.family {
                    self.unit = "";
                }
            }
            _ => self.read_unit()?,
        }
        Ok(Some(entry))
    }

    fn metadata_name(&self, word: &str) -> Result<(&'a [u8], usize), ParseError> {
        let (input, line) = (self.input, self.line);
        let start = line + "# HELP ".len();
        let fault = match input.at(start) {
            b'"' => match quoted_end(input.bytes, start, Quotable { newline: true, nul: false }) {
                Ok(end) => return Ok((&input.bytes[start + 1..end - 1], end)),
                Err(fault) => fault,
            },
            byte if starts_metric_name(byte) => {
                let end = metric_name_end(input.bytes, start);
                return Ok((&input.bytes[start..end], end));
            }
            _ => start,
        };
        Err(input.unexpected(line, format!("expected metric name after {word}"), "INVALID", start, fault))
    }

    fn check_help(&self) -> Result<(), ParseError> {
        if std::str::from_utf8(self.text).is_err() {
            let text = quoted(self.text);
            return Err(ParseError::other(format!("help text {text} is not a valid utf8 string")));
        }
        Ok(())
    }

    fn read_unit(&mut self) -> Result<(), ParseError> {
        let is_suffix = self.text.is_empty()
            || self.family.strip_suffix(self.text).is_some_and(|base| base.ends_with(b"_"));
        self.unit = std::str::from_utf8(self.text).unwrap_or_default();
        self.unit_family = self.family;
        if !is_suffix || self.unit.len() != self.text.len() {
            let (unit, family) = (quoted(self.text), quoted(self.family));
            return Err(ParseError::other(format!("unit {unit} not a suffix of metric {family}")));
        }
        Ok(())
    }

    fn is_created_series(&self) -> bool {
        has_start(self.metric_type)
            && match Pieces::of(self.series).find_map(|piece| match piece {
                Piece::Name(name) => Some(name),
                Piece::Label(..) => None,
            }) {
                Some(name) => name.ends_with("_created"),
                None => false,
            }
    }
}

fn metric_type_of(text: &[u8]) -> Result<MetricType, ParseError> {
    Ok(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        b"unknown" => MetricType::Unknown,
        other => return Err(ParseError::other(format!("invalid metric type {}", quoted(other)))),
    })
}

#[inline(always)]
fn value_end(bytes: &[u8], mut pos: usize) -> usize {
    while pos < bytes.len() && !matches!(bytes[pos], b' ' | b'\n' | 0) {
        pos += 1;
    }
    pos
}

#[cold]
fn no_value(
    input: Input<'_>,
    line: usize,
    expected: &'static str,
    last_token: usize,
    pos: usize,
) -> ParseError {
    if pos >= input.bytes.len() {
        return input.unexpected(line, expected, "EOF", last_token, pos);
    }
    let (token, end) = match input.at(pos) {
        b' ' => ("INVALID", pos + 1),
        b'{' => ("BOPEN", pos + 1),
        _ => ("INVALID", pos),
    };
    input.unexpected(line, expected, token, pos, end)
}

impl Exposition for OpenMetricsParser<'_> {
    #[inline]
    fn next<K: KnownSeries>(&mut self, known: &mut K) -> Result<Option<Entry>, ParseError> {
        loop {
            self.line = self.pos;
            match self.input.bytes.get(self.pos) {
                None => return Err(ParseError::other(NO_EOF)),
                Some(b'#') => return self.next_comment(),
                Some(&byte) if byte == b'{' || starts_metric_name(byte) => {
                    let entry = self.next_series(known)?;
                    if self.skip_created && self.is_created_series() {
                        continue;
                    }
                    return Ok(Some(entry));
                }
                Some(_) => {
                    let (at, expected) = (self.pos, "expected a valid start token");
                    return Err(self.input.unexpected(at, expected, "INVALID", at, at));
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
        unescaped(self.text)
    }

    fn unit(&self) -> &str {
        self.unit
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
        labels_of(self.series, FamilyLabels { metric_type: self.metric_type, unit: self.unit, added }, out);
    }

    #[inline]
    fn next_exemplar(&mut self) -> Option<Exemplar> {
        let raw = self.exemplar.take()?;
        let mut labels = RawLabels::default();
        for piece in Pieces::of_braces(raw.braces) {
            if let Piece::Label(name, value) = piece {
                labels.push_escaped(name, value);
            }
        }
        let labels = if labels.is_empty() { Labels::empty() } else { labels.to_labels() };
        Some(Exemplar {
            labels,
            value: raw.value,
            timestamp_ms: raw.timestamp_ms.unwrap_or(0),
            has_timestamp: raw.timestamp_ms.is_some(),
        })
    }

    fn start_timestamp_ms(&mut self) -> i64 {
        self.created.start_of(self.input, self.pos, self.series, self.family, self.metric_type)
    }
}
