//! `| json a="b.c[0]", d=["e f"]`

use super::hints::Hints;
use super::json::{Value, fail, token, unescaped, value_at};
use crate::ast::Extraction;
use crate::labels::RowLabels;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

/// Takes what stands at some places of a JSON value as labels.
#[derive(Debug)]
pub(crate) struct JsonPaths {
    paths: Vec<(String, Vec<Step>)>,
}

impl JsonPaths {
    pub fn new(extractions: &[Extraction]) -> Result<Self, String> {
        let path = |extraction: &Extraction| {
            let Extraction { label, expression } = extraction;
            let failed = |problem| {
                format!("cannot parse expression [{expression}]: syntax error: unexpected {problem}")
            };
            Ok((label.clone(), read(expression).map_err(failed)?))
        };
        Ok(Self { paths: extractions.iter().map(path).collect::<Result<_, String>>()? })
    }

    pub fn run(&self, line: &str, labels: &mut RowLabels, hints: &Hints) {
        if line.is_empty() || hints.wants_nothing() {
            return;
        }
        if !line.starts_with(['{', '[', '"']) {
            return fail(labels, None, hints);
        }
        let found =
            self.paths.iter().filter_map(|(label, path)| find(line, path).map(|found| (label, found)));
        let mut found: Vec<_> = found.collect();
        // Of two places for one label, the later one in the line wins.
        found.sort_by_key(|(_, (at, _))| *at);
        for (label, (_, value)) in found {
            let text = match value {
                Value::String(raw) => unescaped(raw),
                Value::Array(text) | Value::Object(text) | Value::Plain(text) => text.into(),
                Value::Null => "".into(),
            };
            let name = labels.free_name(label);
            labels.set(&name, &text);
        }
        for (label, _) in &self.paths {
            if labels.get(label).is_none() {
                labels.set(label, "");
            }
        }
    }
}

/// Reads an expression; an error says what is not expected.
fn read(text: &str) -> Result<Vec<Step>, &'static str> {
    const IN_BRACKETS: &str = "$end, expecting STRING or INDEX";
    let (mut steps, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let inner = inner.trim_start();
            let (step, tail) = if let Some(quoted) = inner.strip_prefix('"') {
                let end = quoted.find('"').ok_or(IN_BRACKETS)? + 2;
                let key = syntax::literal::unquote(&inner[..end]).map_err(|_| IN_BRACKETS)?;
                (Step::Field(key), &inner[end..])
            } else {
                let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
                let index = inner[..digits].parse().map_err(|_| IN_BRACKETS)?;
                (Step::Index(index), &inner[digits..])
            };
            steps.push(step);
            rest = tail.trim_start().strip_prefix(']').ok_or("$end, expecting RSB")?;
            continue;
        }
        if let Some(tail) = rest.strip_prefix('.') {
            if steps.is_empty() {
                return Err("DOT, expecting STRING or FIELD or LSB");
            }
            rest = tail;
            if rest.starts_with('.') {
                return Err("DOT, expecting FIELD");
            }
        } else if !steps.is_empty() {
            return Err("FIELD");
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let field = rest[..end].trim();
        if field.is_empty() {
            return Err("$end, expecting FIELD");
        }
        if field.contains(char::is_whitespace) {
            return Err("FIELD");
        }
        steps.push(Step::Field(field.to_owned()));
        rest = &rest[end..];
    }
    if steps.is_empty() { Err("$end, expecting STRING or FIELD or LSB") } else { Ok(steps) }
}

/// What stands at a path, and where.
fn find<'a>(text: &'a str, path: &[Step]) -> Option<(usize, Value<'a>)> {
    let (mut offset, mut value) = (0, value_at(text, 0).ok().map(|(value, _)| value));
    // A line that is cut off may still hold what is looked for.
    let mut inner = text;
    for (depth, step) in path.iter().enumerate() {
        if depth > 0 {
            inner = match value? {
                Value::Object(inner) | Value::Array(inner) => inner,
                _ => return None,
            };
            offset = inner.as_ptr() as usize - text.as_ptr() as usize;
        }
        let (at, found) = match step {
            Step::Field(name) => field(inner, name)?,
            Step::Index(index) => element(inner, *index)?,
        };
        offset += at;
        value = Some(found);
    }
    value.map(|value| (offset, value))
}

fn field<'a>(text: &'a str, name: &str) -> Option<(usize, Value<'a>)> {
    let bytes = text.as_bytes();
    let mut at = token(bytes, 0).filter(|&at| bytes[at] == b'{')? + 1;
    loop {
        let (Value::String(key), end) = value_at(text, at).ok()? else { return None };
        let colon = token(bytes, end).filter(|&at| bytes[at] == b':')?;
        let (value, end) = value_at(text, colon + 1).ok()?;
        if unescaped(key) == name {
            return Some((colon, value));
        }
        at = token(bytes, end).filter(|&at| bytes[at] == b',')? + 1;
    }
}

fn element(text: &str, index: usize) -> Option<(usize, Value<'_>)> {
    let bytes = text.as_bytes();
    let mut at = token(bytes, 0).filter(|&at| bytes[at] == b'[')? + 1;
    for _ in 0..index {
        let (_, end) = value_at(text, at).ok()?;
        at = token(bytes, end).filter(|&at| bytes[at] == b',')? + 1;
    }
    value_at(text, at).ok().map(|(value, _)| (at, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found() {
        let line = r#"{"a":{"b.c":[1,{"d":"x"}]},"e":null}"#;
        let at = |path: &str| find(line, &read(path).unwrap()).map(|(_, value)| value);
        assert_eq!(at(r#"a["b.c"][1].d"#), Some(Value::String("x")));
        assert_eq!(at(r#"a["b.c"][0]"#), Some(Value::Plain("1")));
        assert_eq!(at("e"), Some(Value::Null));
        assert_eq!(at("e.f"), None);
        assert_eq!(at("a.x"), None);
        assert_eq!(
            find(r#"{"a":1,"b":"#, &read("a").unwrap()).map(|(_, value)| value),
            Some(Value::Plain("1"))
        );
    }

    #[test]
    fn expressions_that_are_none_are_told_so() {
        assert_eq!(read("a..b"), Err("DOT, expecting FIELD"));
        assert_eq!(read("["), Err("$end, expecting STRING or INDEX"));
        assert_eq!(read("a[-1]"), Err("$end, expecting STRING or INDEX"));
    }
}
