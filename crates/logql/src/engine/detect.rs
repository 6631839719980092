//! What screens want to know before they ask: which labels streams have, and which fields their lines.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use model::duration::parse_go_duration;
use model::logs::LogRange;
use model::{Labels, Matcher};

use super::lines::{Direction, LineParams};
use super::{Engine, stream_matchers};
use crate::ast::{LogExpr, Parser, Stage};
use crate::error::QueryError;
use crate::labels::{ERROR, ERROR_DETAILS, Origin, RowLabels, sanitize_into};
use crate::stage::hints::Hints;
use crate::stage::{json, logfmt};
use crate::units::parse_bytes_text;

/// Distinct values of a field that are told apart.
const MAX_VALUES: usize = 10_000;

/// A field of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedField {
    /// The label a parser makes of it.
    pub label: String,
    /// What its values look like.
    pub kind: &'static str,
    /// Number of distinct values.
    pub cardinality: usize,
    /// The parsers that find it; none for structured metadata.
    pub parsers: Vec<&'static str>,
    /// Where it stands in a JSON line.
    pub json_path: Vec<String>,
}

/// A label of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedLabel {
    /// The label.
    pub label: String,
    /// Number of distinct values.
    pub cardinality: usize,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub struct FieldParams {
    /// The time.
    pub range: LogRange,
    /// The newest lines that are looked at.
    pub lines: usize,
    /// Fields or values that are told.
    pub limit: usize,
}

#[derive(Default)]
struct Field {
    kind: &'static str,
    values: BTreeSet<String>,
    parsers: BTreeSet<&'static str>,
    json_path: Vec<String>,
}

impl Engine<'_> {
    /// The labels of streams that are worth choosing by: those with few values, or always wanted.
    pub fn detected_labels(
        &self,
        range: LogRange,
        matchers: Option<&[Matcher]>,
    ) -> Result<Vec<DetectedLabel>, QueryError> {
        let sets: Vec<Vec<Matcher>> = matchers.map(stream_matchers).into_iter().collect();
        let streams = self.source.streams(range, &sets, self.ctx)?;
        let mut values: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for (name, value) in streams.iter().flat_map(Labels::iter) {
            values.entry(name).or_default().insert(value);
        }
        const ALWAYS: [&str; 5] = ["cluster", "namespace", "instance", "pod", "level"];
        let is_told = |name: &str, values: &HashSet<&str>| {
            ALWAYS.contains(&name) || values.iter().any(|value| !looks_like_id(value))
        };
        let told = values.into_iter().filter(|(name, values)| is_told(name, values));
        Ok(told
            .map(|(name, values)| DetectedLabel { label: name.to_owned(), cardinality: values.len() })
            .collect())
    }

    /// The fields of the newest lines of a query.
    pub fn detected_fields(
        &self,
        query: &LogExpr,
        params: &FieldParams,
    ) -> Result<Vec<DetectedField>, QueryError> {
        let fields = self.fields(query, params)?;
        let told = fields.into_iter().take(params.limit).map(|(label, field)| DetectedField {
            label,
            kind: field.kind,
            cardinality: field.values.len(),
            parsers: field.parsers.into_iter().collect(),
            json_path: field.json_path,
        });
        Ok(told.collect())
    }

    /// The values of one field in the newest lines of a query, sorted.
    pub fn detected_values(
        &self,
        query: &LogExpr,
        field: &str,
        params: &FieldParams,
    ) -> Result<Vec<String>, QueryError> {
        let found = self.fields(query, params)?.remove(field);
        Ok(found.map(|found| found.values.into_iter().take(params.limit).collect()).unwrap_or_default())
    }

    fn fields(&self, query: &LogExpr, params: &FieldParams) -> Result<BTreeMap<String, Field>, QueryError> {
        let lines = LineParams {
            range: params.range,
            limit: params.lines,
            direction: Direction::Backward,
            interval_ns: 0,
            categorize: true,
        };
        let result = self.lines(query, &lines)?;
        let named = parsers_of(query);
        let mut fields: BTreeMap<String, Field> = BTreeMap::new();
        for (labels, entries) in &result.streams {
            let stream = Arc::new(Labels::from_pairs(labels.iter()));
            for entry in entries {
                let Some((metadata, parsed)) = &entry.extra else { continue };
                metadata.iter().for_each(|(name, value)| note(&mut fields, name, value, None, None));
                if named.is_empty() {
                    detect(&mut fields, &stream, &String::from_utf8_lossy(&entry.line));
                    continue;
                }
                let paths = json_paths(&String::from_utf8_lossy(&entry.line));
                for (name, value) in parsed.iter().filter(|(name, _)| !matches!(*name, ERROR | ERROR_DETAILS))
                {
                    let plain = name.strip_suffix("_extracted").unwrap_or(name);
                    let path =
                        paths.get(name).or_else(|| paths.get(plain)).filter(|_| named.contains(&"json"));
                    for parser in &named {
                        note(&mut fields, name, value, Some(parser), path);
                    }
                }
            }
        }
        Ok(fields)
    }
}

/// Identifiers: nobody chooses streams by them.
fn looks_like_id(value: &str) -> bool {
    let is_number = value.parse::<f64>().is_ok();
    let is_uuid = value.len() == 36 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_uuid || is_number && value.len() > 8
}

fn parsers_of(query: &LogExpr) -> Vec<&'static str> {
    let mut names = Vec::new();
    for stage in &query.stages {
        let Stage::Parser(parser) = stage else { continue };
        names.push(match parser {
            Parser::Json(_) => "json",
            Parser::Logfmt { .. } => "logfmt",
            Parser::Regexp(_) => "regexp",
            Parser::Pattern(_) => "pattern",
            Parser::Unpack => "unpack",
        });
    }
    names.dedup();
    names
}

fn note(
    fields: &mut BTreeMap<String, Field>,
    name: &str,
    value: &str,
    parser: Option<&'static str>,
    json_path: Option<&Vec<String>>,
) {
    let field = fields.entry(name.to_owned()).or_default();
    field.kind = kind_of(value);
    field.parsers.extend(parser);
    if field.values.len() < MAX_VALUES && !field.values.contains(value) {
        field.values.insert(value.to_owned());
    }
    if let Some(path) = json_path
        && field.json_path.is_empty()
    {
        field.json_path.clone_from(path);
    }
}

/// What a value looks like.
fn kind_of(value: &str) -> &'static str {
    if value.parse::<i64>().is_ok() {
        "int"
    } else if model::number::parse_float(value).is_ok() {
        "float"
    } else if matches!(value, "t" | "T" | "f" | "F" | "true" | "TRUE" | "True" | "false" | "FALSE" | "False")
    {
        "boolean"
    } else if parse_go_duration(value).is_ok() {
        "duration"
    } else if parse_bytes_text(value).is_ok() {
        "bytes"
    } else {
        "string"
    }
}

/// The fields of a line that no parser is named for: those of JSON, else of logfmt.
fn detect(fields: &mut BTreeMap<String, Field>, stream: &Arc<Labels>, line: &str) {
    let hints = Hints::default();
    let mut labels = RowLabels::new(Arc::clone(stream));
    let mut parser = "json";
    json::Json.run(line, &mut labels, &hints);
    if labels.has_error() {
        labels.reset();
        parser = "logfmt";
        if let Ok(logfmt) = logfmt::Logfmt::new(false, false, &[]) {
            logfmt.run(line, &mut labels, &hints);
        }
    }
    let paths = if parser == "json" { json_paths(line) } else { BTreeMap::new() };
    labels.visit(|name, value, origin| {
        if origin == Origin::Parsed {
            let plain = name.strip_suffix("_extracted").unwrap_or(name);
            note(fields, name, value, Some(parser), paths.get(name).or_else(|| paths.get(plain)));
        }
    });
}

/// Where each label of a JSON line stands in it.
fn json_paths(line: &str) -> BTreeMap<String, Vec<String>> {
    fn walk(text: &str, path: &mut Vec<String>, name: &str, out: &mut BTreeMap<String, Vec<String>>) {
        if path.len() > 16 {
            return;
        }
        json::fields_of(text, |key, value| {
            let mut label = name.to_owned();
            if !label.is_empty() {
                label.push('_');
            }
            sanitize_into(&mut label, key, path.is_empty());
            path.push(key.to_owned());
            match value {
                json::Value::Object(inner) => walk(inner, path, &label, out),
                json::Value::String(_) | json::Value::Plain(_) => drop(out.insert(label, path.clone())),
                json::Value::Array(_) | json::Value::Null => {}
            }
            path.pop();
        });
    }
    let mut out = BTreeMap::new();
    walk(line, &mut Vec::new(), "", &mut out);
    out
}
