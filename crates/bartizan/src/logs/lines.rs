//! How lines are shown: with time and labels in the colour of their level, alone, as JSON, or in columns.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::Output;

/// Labels, and the structured metadata a server adds to them.
pub(super) type Labels = BTreeMap<String, String>;

/// A line and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub timestamp_ns: i64,
    pub labels: Labels,
    pub text: String,
}

/// The lines of streams in an answer, as they stand there.
pub(super) fn of_streams(streams: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    for stream in streams.as_array().into_iter().flatten() {
        let labels = labels_of(&stream["stream"]);
        for value in stream["values"].as_array().into_iter().flatten() {
            let timestamp_ns = value[0].as_str().and_then(|ns| ns.parse().ok()).unwrap_or_default();
            let text = value[1].as_str().unwrap_or_default().to_owned();
            lines.push(Line { timestamp_ns, labels: labels.clone(), text });
        }
    }
    lines
}

/// An object of texts.
pub(super) fn labels_of(object: &Value) -> Labels {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = object.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Labels that all lines have.
pub(super) fn common(lines: &[Line]) -> Labels {
    let Some((first, rest)) = lines.split_first() else { return Labels::new() };
    let mut common = first.labels.clone();
    for line in rest {
        common.retain(|name, value| line.labels.get(name) == Some(value));
    }
    common
}

/// `{a="b", c="d"}`
pub(super) fn shown(labels: &Labels) -> String {
    let pair = |(name, value): (&String, &String)| format!("{name}={}", model::labels::Quoted(value));
    format!("{{{}}}", labels.iter().map(pair).collect::<Vec<_>>().join(", "))
}

/// RFC 3339 with milliseconds.
pub(super) fn time(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    format!("{time:.3}")
}

/// Prints lines.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    pub output: Output,
    pub coloured: bool,
    pub with_labels: bool,
    /// Labels that are told elsewhere.
    pub common: &'a Labels,
}

/// The colour of a level, as the number of an escape sequence.
fn colour(labels: &Labels) -> Option<u8> {
    let level = ["level", "detected_level", "severity"].iter().find_map(|name| labels.get(*name))?;
    Some(match level.to_ascii_lowercase().as_str() {
        "emerg" | "alert" | "crit" | "critical" | "fatal" | "panic" => 35,
        "error" | "err" => 31,
        "warn" | "warning" => 33,
        "notice" | "info" | "information" => 32,
        "debug" | "trace" => 36,
        _ => return None,
    })
}

impl Printer<'_> {
    fn painted(&self, code: Option<u8>, text: &str) -> String {
        match code {
            Some(code) if self.coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// What of its labels a line shows.
    fn own(&self, line: &Line) -> Labels {
        let mut own = line.labels.clone();
        own.retain(|name, value| self.common.get(name) != Some(value));
        own
    }

    /// Prints one line; columns are not aligned.
    pub fn print(&self, out: &mut impl Write, line: &Line) -> io::Result<()> {
        match self.output {
            Output::Raw => writeln!(out, "{}", line.text),
            Output::Jsonl => {
                let object = serde_json::json!({
                    "timestamp": jiff::Timestamp::from_nanosecond(i128::from(line.timestamp_ns)).unwrap_or_default().to_string(),
                    "timestamp_ns": line.timestamp_ns.to_string(),
                    "labels": line.labels,
                    "line": line.text,
                });
                writeln!(out, "{object}")
            }
            _ => {
                let when = self.painted(Some(90), &time(line.timestamp_ns));
                let text = self.painted(colour(&line.labels), &line.text);
                let own = self.own(line);
                if own.is_empty() || !self.with_labels {
                    return writeln!(out, "{when} {text}");
                }
                writeln!(out, "{when} {} {text}", self.painted(Some(34), &shown(&own)))
            }
        }
    }

    /// Prints lines in columns: the time, each label that differs, the line.
    pub fn table(&self, out: &mut impl Write, lines: &[Line]) -> io::Result<()> {
        let mut names: Vec<String> = Vec::new();
        for line in lines.iter().filter(|_| self.with_labels) {
            names.extend(self.own(line).into_keys());
            names.sort();
            names.dedup();
        }
        let mut rows = vec![
            std::iter::once("TIME".to_owned())
                .chain(names.iter().map(|name| name.to_uppercase()))
                .collect::<Vec<_>>(),
        ];
        for line in lines {
            let value = |name: &String| line.labels.get(name).cloned().unwrap_or_default();
            rows.push(std::iter::once(time(line.timestamp_ns)).chain(names.iter().map(value)).collect());
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..=names.len()).map(width).collect();
        let texts = std::iter::once(("LINE", None))
            .chain(lines.iter().map(|line| (line.text.as_str(), colour(&line.labels))));
        for (row, (text, code)) in rows.iter().zip(texts) {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}  "));
            writeln!(out, "{}{}", cells.collect::<String>(), self.painted(code, text))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines() -> Vec<Line> {
        of_streams(&json!([
            { "stream": { "job": "a", "level": "error" }, "values": [["1500000000", "bad"], ["2000000000", "worse"]] },
            { "stream": { "job": "a", "level": "info" }, "values": [["3000000000", "good \"x\""]] },
        ]))
    }

    fn printed(output: Output, coloured: bool) -> String {
        let lines = lines();
        let common = common(&lines);
        let printer = Printer { output, coloured, with_labels: true, common: &common };
        let mut out = Vec::new();
        match output {
            Output::Table => printer.table(&mut out, &lines).unwrap(),
            _ => lines.iter().for_each(|line| printer.print(&mut out, line).unwrap()),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_form_shows_the_lines() {
        assert_eq!(shown(&common(&lines())), "{job=\"a\"}");
        assert_eq!(printed(Output::Raw, true), "bad\nworse\ngood \"x\"\n");
        assert_eq!(
            printed(Output::Default, false).lines().next().unwrap(),
            "1970-01-01T00:00:01.500Z {level=\"error\"} bad"
        );
        assert!(printed(Output::Default, true).contains("\x1b[31mbad\x1b[0m"));
        assert_eq!(
            printed(Output::Table, false),
            "TIME                      LEVEL  LINE\n\
             1970-01-01T00:00:01.500Z  error  bad\n\
             1970-01-01T00:00:02.000Z  error  worse\n\
             1970-01-01T00:00:03.000Z  info   good \"x\"\n"
        );
        let last = printed(Output::Jsonl, false);
        let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
        assert_eq!(last["line"], "good \"x\"");
        assert_eq!(last["timestamp_ns"], "3000000000");
        assert_eq!(last["labels"]["level"], "info");
    }
}
