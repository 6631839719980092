//! `| line_format "{{.msg}}"` and the templates of `| label_format`.

mod date;
mod decimal;
mod functions;

use std::borrow::Cow;

use gotmpl::{MissingKey, Templates, Value};

use super::Row;
use crate::labels::RowLabels;

/// What a line is marked with whose template failed.
const TEMPLATE_ERROR: &str = "TemplateFormatErr";

/// A template, ready to run.
#[derive(Debug)]
pub(crate) struct Template {
    name: &'static str,
    templates: Templates,
    /// Texts and labels one after the other: what most templates are.
    simple: Option<Vec<Segment>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    Label(String),
}

impl Template {
    pub fn new(name: &'static str, text: &str) -> Result<Self, String> {
        let mut templates = Templates::new(functions::functions());
        templates.parse(name, text).map_err(|problem| problem.to_string())?;
        Ok(Self { name, templates, simple: segments(text) })
    }

    /// The text for a line; an error where the template failed.
    fn render(
        &self,
        row: &Row<'_>,
        labels: &RowLabels,
        context: &mut Option<Value>,
    ) -> Result<String, String> {
        if let (Some(segments), None) = (&self.simple, &context) {
            let mut out = String::new();
            for segment in segments {
                out.push_str(match segment {
                    Segment::Text(text) => text,
                    Segment::Label(name) => value_of(labels, name),
                });
            }
            return Ok(out);
        }
        let data = context.get_or_insert_with(|| context_of(labels)).clone();
        let mut out = Vec::new();
        functions::with_row(&row.line, row.timestamp_ns, || {
            self.templates
                .render(self.name, data, MissingKey::Zero, &mut out)
                .map_err(|error| error.to_string())
        })?;
        Ok(String::from_utf8(out).unwrap_or_else(|error| crate::text::lossy(error.as_bytes()).into_owned()))
    }

    /// Replaces the line.
    pub fn format_line(&self, row: &mut Row<'_>, labels: &mut RowLabels) {
        match self.render(row, labels, &mut None) {
            Ok(line) => row.line = Cow::Owned(line),
            Err(problem) => labels.set_error(TEMPLATE_ERROR, Some(problem)),
        }
    }

    /// Sets a label. `context` keeps the labels as they were before the first of several.
    pub fn format_label(
        &self,
        name: &str,
        row: &Row<'_>,
        labels: &mut RowLabels,
        context: &mut Option<Value>,
    ) {
        context.get_or_insert_with(|| context_of(labels));
        match self.render(row, labels, context) {
            Ok(value) => labels.set(name, &value),
            Err(problem) => labels.set_error(TEMPLATE_ERROR, Some(problem)),
        }
    }
}

fn value_of<'a>(labels: &'a RowLabels, name: &str) -> &'a str {
    match name {
        crate::labels::ERROR => labels.error(),
        crate::labels::ERROR_DETAILS => labels.details(),
        _ => labels.get(name),
    }
    .unwrap_or_default()
}

fn context_of(labels: &RowLabels) -> Value {
    let mut pairs = Vec::new();
    labels.visit(|name, value, _| pairs.push((name.to_owned(), value.to_owned())));
    Value::string_map(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// A template of texts and plain labels only.
fn segments(text: &str) -> Option<Vec<Segment>> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(open) = rest.find("{{") {
        if open > 0 {
            out.push(Segment::Text(rest[..open].to_owned()));
        }
        let action = &rest[open + 2..];
        let close = action.find("}}")?;
        let name = action[..close].trim_matches(' ').strip_prefix('.')?;
        if !model::labels::is_legacy_label_name(name) {
            return None;
        }
        out.push(Segment::Label(name.to_owned()));
        rest = &action[close + 2..];
    }
    if !rest.is_empty() {
        out.push(Segment::Text(rest.to_owned()));
    }
    Some(out)
}

/// The labels a template looks at; `None` where that cannot be told.
pub(crate) fn field_names(text: &str) -> Option<Vec<String>> {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some(open) = rest.find("{{") {
        let action = &rest[open + 2..];
        let close = action.find("}}").unwrap_or(action.len());
        let mut inner = &action[..close];
        while let Some(dot) = inner.find('.') {
            let before = inner[..dot].chars().next_back();
            let tail = &inner[dot + 1..];
            let len = tail.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(tail.len());
            if len > 0 {
                names.push(tail[..len].to_owned());
            } else if !before.is_some_and(|c| c.is_ascii_digit()) {
                return None;
            }
            inner = &tail[len..];
        }
        rest = &action[close..];
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_templates_are_recognised() {
        let label = |name: &str| Segment::Label(name.to_owned());
        assert_eq!(
            segments("{{.a}} {{ .b }}"),
            Some(vec![label("a"), Segment::Text(" ".to_owned()), label("b")])
        );
        assert_eq!(segments("{{.a | upper}}"), None);
        assert_eq!(segments("{{- .a -}}"), None);
    }

    fn rendered(text: &str) -> String {
        let template = Template::new("line", text).unwrap();
        let stream = std::sync::Arc::new(model::Labels::from_pairs([("level", "info"), ("n", "3")]));
        let (mut labels, line) = (RowLabels::new(stream), "the line".into());
        let mut row = Row { timestamp_ns: 0, line };
        template.format_line(&mut row, &mut labels);
        labels.details().map_or_else(|| row.line.into_owned(), str::to_owned)
    }

    #[test]
    fn functions_take_what_they_take() {
        for (text, told) in [
            ("{{upper 5}}", r#"template: line:1:8: executing "line" at <5>: expected string; found 5"#),
            (
                "{{trunc \"a\" .level}}",
                r#"template: line:1:8: executing "line" at <"a">: expected integer; found "a""#,
            ),
            (
                "{{trunc .n .level}}",
                r#"template: line:1:8: executing "line" at <.n>: wrong type for value; expected int; got string"#,
            ),
            (
                "{{.n | int | upper}}",
                r#"template: line:1:13: executing "line" at <upper>: wrong type for value; expected string; got int"#,
            ),
            (
                "{{unixEpoch .n}}",
                r#"template: line:1:12: executing "line" at <.n>: wrong type for value; expected time.Time; got string"#,
            ),
            (
                "{{substr 3 1 .level}}",
                r#"template: line:1:2: executing "line" at <substr 3 1 .level>: error calling substr: runtime error: slice bounds out of range [3:1]"#,
            ),
            (
                "{{substr -1 9 .level}}",
                r#"template: line:1:2: executing "line" at <substr -1 9 .level>: error calling substr: runtime error: slice bounds out of range [:9] with length 4"#,
            ),
            (
                "{{repeat -1 .level}}",
                r#"template: line:1:2: executing "line" at <repeat -1 .level>: error calling repeat: strings: negative Repeat count"#,
            ),
            (
                "{{divf 1 0}}",
                r#"template: line:1:2: executing "line" at <divf 1 0>: error calling divf: decimal division by 0"#,
            ),
            ("{{addf 0.1 0.2}} {{add}} {{trunc (add 1 1) .level}}", "0.3 0 in"),
            ("{{int \"1.9\"}} {{int \"1e3\"}} {{int \" 5\"}} {{float64 \"1e3\"}}", "1 0 0 1000"),
            ("{{title \"it's a-b c_d \u{fc}b\"}}", "It'S A-B C_d \u{dc}b"),
            ("{{toDateInZone \"2006-01-02\" \"No/Where\" \"2026-03-01\" | unixEpoch}}", "1772323200"),
            (
                "{{toDate \"2006-01-02T15:04:05Z07:00\" \"2026-03-01T12:00:00+02:00\" | date \"15:04\"}}",
                "10:00",
            ),
        ] {
            assert_eq!(rendered(text), told, "{text}");
        }
    }

    #[test]
    fn names_in_templates_are_found() {
        assert_eq!(field_names("{{.a}} x {{if eq .b \"1.5\"}}{{.c}}{{end}}").unwrap(), ["a", "b", "5", "c"]);
        assert_eq!(field_names("{{range .}}x{{end}}"), None);
    }
}
