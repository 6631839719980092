//! What each line goes through, made ready to run.
//!
//! In reading order: this file (a pipeline and its stages), `hints` (which labels are needed), [`line`] (line filters,
//! which run on columns), `needed` (what else can be told from a line before it is taken apart), `label_filter`, the parsers `json`, `logfmt`, `pattern`, `regexp`, and [`template`].

pub(crate) mod hints;
pub(crate) mod ip;
pub(crate) mod json;
pub(crate) mod json_path;
pub(crate) mod label_filter;
pub(crate) mod line;
pub(crate) mod logfmt;
pub(crate) mod needed;
pub(crate) mod pattern;
pub(crate) mod regexp;
pub(crate) mod template;

use std::borrow::Cow;

use crate::ast;
use crate::error::ParseError;
use crate::labels::{ERROR, ERROR_DETAILS, RowLabels};
use hints::Hints;

/// A line on its way.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub timestamp_ns: i64,
    pub line: Cow<'a, str>,
}

/// A stage, ready to run.
#[derive(Debug)]
enum Step {
    Line(line::Filter),
    Json(json::Json),
    JsonPaths(json_path::JsonPaths),
    Logfmt(logfmt::Logfmt),
    Regexp(regexp::Regexp),
    Pattern(pattern::Template),
    Unpack(json::Unpack),
    Label(label_filter::Filter),
    LineFormat(template::Template),
    LabelFormat(Vec<Format>),
    Drop(Vec<ast::LabelSelection>),
    Keep(Vec<ast::LabelSelection>),
    Decolorize,
}

#[derive(Debug)]
struct Format {
    label: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Rename(String),
    Template(template::Template),
}

/// Stages behind the line filters that run on columns.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// Line filters that see lines as they are stored: they need neither labels nor rows.
    pub leading: Vec<line::Filter>,
    /// What lines must contain for their labels to pass.
    pub needed: Vec<needed::Needed>,
    steps: Vec<Step>,
    hints: Hints,
}

impl Pipeline {
    /// Makes stages ready. With hints, only those labels are taken from lines.
    pub fn new(stages: &[ast::Stage], hints: Hints) -> Result<Self, ParseError> {
        let (mut leading, mut steps, mut is_changed) = (Vec::new(), Vec::new(), false);
        for stage in stages {
            let failed = |problem: String| ParseError::general(format!("stage '{stage}' : {problem}"));
            match step(stage).map_err(failed)? {
                // Stages before it that leave the line alone do not matter to a filter of lines.
                Step::Line(filter) if !is_changed => leading.push(filter),
                step => {
                    is_changed |= matches!(step, Step::LineFormat(_) | Step::Unpack(_) | Step::Decolorize);
                    steps.push(step);
                }
            }
        }
        Ok(Self { leading, needed: needed::needed(stages), steps, hints })
    }

    /// Whether labels or lines are looked at behind the leading filters.
    pub fn is_trivial(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether structured metadata of this name may change what becomes of a line.
    pub fn looks_at(&self, name: &str) -> bool {
        matches!(name, ERROR | ERROR_DETAILS) || (!self.hints.wants_nothing() && self.hints.wants(name))
    }

    /// Whether a line passes; it and its labels are changed on the way.
    pub fn run(&self, row: &mut Row<'_>, labels: &mut RowLabels) -> bool {
        self.steps.iter().all(|step| run_step(step, row, labels, &self.hints))
    }
}

fn step(stage: &ast::Stage) -> Result<Step, String> {
    Ok(match stage {
        ast::Stage::LineFilter(filter) => Step::Line(line::Filter::new(filter)?),
        ast::Stage::Parser(parser) => match parser {
            ast::Parser::Json(extractions) if extractions.is_empty() => Step::Json(json::Json),
            ast::Parser::Json(extractions) => Step::JsonPaths(json_path::JsonPaths::new(extractions)?),
            ast::Parser::Logfmt { strict, keep_empty, extractions } => {
                Step::Logfmt(logfmt::Logfmt::new(*strict, *keep_empty, extractions)?)
            }
            ast::Parser::Regexp(pattern) => Step::Regexp(regexp::Regexp::new(pattern)?),
            ast::Parser::Pattern(pattern) => Step::Pattern(pattern::Template::parser(pattern)?),
            ast::Parser::Unpack => Step::Unpack(json::Unpack),
        },
        ast::Stage::LabelFilter(filter) => Step::Label(label_filter::Filter::new(filter)?),
        ast::Stage::LineFormat(text) => Step::LineFormat(
            template::Template::new("line", text)
                .map_err(|problem| format!("invalid line template: {problem}"))?,
        ),
        ast::Stage::LabelFormat(formats) => Step::LabelFormat(label_formats(formats)?),
        ast::Stage::Drop(selections) => Step::Drop(selections.clone()),
        ast::Stage::Keep(selections) => Step::Keep(selections.clone()),
        ast::Stage::Decolorize => Step::Decolorize,
    })
}

fn label_formats(formats: &[ast::LabelFormat]) -> Result<Vec<Format>, String> {
    let mut out: Vec<Format> = Vec::with_capacity(formats.len());
    for format in formats {
        if matches!(format.label.as_str(), ERROR | ERROR_DETAILS) {
            return Err(format!("{} cannot be formatted", format.label));
        }
        if out.iter().any(|other| other.label == format.label) {
            return Err(format!(
                "multiple label name '{}' not allowed in a single format operation",
                format.label
            ));
        }
        let source = if format.is_rename {
            Source::Rename(format.value.clone())
        } else {
            let template = template::Template::new("label", &format.value);
            let failed = |problem| format!("invalid template for label '{}': {problem}", format.label);
            Source::Template(template.map_err(failed)?)
        };
        out.push(Format { label: format.label.clone(), source });
    }
    Ok(out)
}

fn run_step(step: &Step, row: &mut Row<'_>, labels: &mut RowLabels, hints: &Hints) -> bool {
    match step {
        Step::Line(filter) => return filter.matches(row.line.as_bytes()),
        Step::Label(filter) => return filter.matches(labels),
        Step::Json(parser) => parser.run(&row.line, labels, hints),
        Step::JsonPaths(parser) => parser.run(&row.line, labels, hints),
        Step::Logfmt(parser) => parser.run(&row.line, labels, hints),
        Step::Regexp(parser) => parser.run(&row.line, labels),
        Step::Pattern(template) => template.extract(&row.line, labels),
        Step::Unpack(parser) => {
            if let Some(entry) = parser.run(&row.line, labels, hints) {
                row.line = Cow::Owned(entry);
            }
        }
        Step::LineFormat(template) => template.format_line(row, labels),
        Step::LabelFormat(formats) => format_labels(formats, row, labels),
        Step::Drop(selections) => drop_labels(selections, labels),
        Step::Keep(selections) => keep_labels(selections, labels),
        Step::Decolorize => decolorize(row),
    }
    true
}

/// Templates see the labels as they were before the stage.
fn format_labels(formats: &[Format], row: &Row<'_>, labels: &mut RowLabels) {
    let mut context = None;
    for format in formats {
        match &format.source {
            Source::Rename(from) => {
                let found = labels.get_with_origin(from).map(|(value, origin)| (value.to_owned(), origin));
                if let Some((value, origin)) = found {
                    labels.set_with_origin(&format.label, &value, origin);
                    if *from != format.label {
                        labels.delete(from);
                    }
                }
            }
            Source::Template(template) => template.format_label(&format.label, row, labels, &mut context),
        }
    }
}

fn is_selected(selection: &ast::LabelSelection, value: &str) -> bool {
    selection.matcher.as_ref().is_none_or(|matcher| matcher.matches(value))
}

fn drop_labels(selections: &[ast::LabelSelection], labels: &mut RowLabels) {
    for selection in selections {
        match selection.name.as_str() {
            ERROR => {
                if labels.error().is_some_and(|error| is_selected(selection, error)) {
                    labels.clear_error();
                }
            }
            ERROR_DETAILS => {
                if labels.details().is_some_and(|details| is_selected(selection, details)) {
                    labels.clear_details();
                }
            }
            name => {
                if is_selected(selection, labels.get(name).unwrap_or_default()) {
                    labels.delete(name);
                }
            }
        }
    }
}

fn keep_labels(selections: &[ast::LabelSelection], labels: &mut RowLabels) {
    let mut gone = Vec::new();
    labels.visit(|name, value, _| {
        let is_kept =
            selections.iter().any(|selection| selection.name == name && is_selected(selection, value));
        // Errors are never lost this way.
        if !is_kept && !name.starts_with("__") {
            gone.push(name.to_owned());
        }
    });
    for name in gone {
        labels.delete(&name);
    }
}

/// Takes escape sequences of terminals out of a line.
fn decolorize(row: &mut Row<'_>) {
    let bytes = row.line.as_bytes();
    if memchr::memchr(0x1b, bytes).is_none() {
        return;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(escape) = memchr::memchr(0x1b, &bytes[at..]) {
        out.extend_from_slice(&bytes[at..at + escape]);
        at += escape;
        match sequence_len(&bytes[at..]) {
            Some(len) => at += len,
            None => {
                out.push(0x1b);
                at += 1;
            }
        }
    }
    out.extend_from_slice(&bytes[at..]);
    // Sequences are ASCII, so what is left is text as before.
    if let Ok(line) = String::from_utf8(out) {
        row.line = Cow::Owned(line);
    }
}

/// Bytes of the control sequence a text begins with: `ESC [ 1 ; 31 m`.
fn sequence_len(bytes: &[u8]) -> Option<usize> {
    if bytes.get(1) != Some(&b'[') {
        return None;
    }
    let parameters =
        bytes[2..].iter().take_while(|b| b.is_ascii_digit() || matches!(b, b';' | b':' | b'?')).count();
    bytes.get(2 + parameters).is_some_and(u8::is_ascii_alphabetic).then_some(parameters + 3)
}
