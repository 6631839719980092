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
            let failed = |problem: String| {
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

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    End,
    Dot,
    Open,
    Close,
    Text(String),
    Field(String),
    Index(usize),
}

impl Token {
    /// The next token of a text, and what follows it. What cannot begin one ends the expression.
    fn next(text: &str) -> (Self, &str) {
        let text = text.trim_start();
        match text.as_bytes().first() {
            Some(b'.') => (Self::Dot, &text[1..]),
            Some(b'[') => (Self::Open, &text[1..]),
            Some(b']') => (Self::Close, &text[1..]),
            Some(b'"') => {
                let end = text[1..].find('"').map(|len| len + 2);
                let key = end.and_then(|end| syntax::literal::unquote(&text[..end]).ok());
                key.map_or((Self::End, ""), |key| (Self::Text(key), &text[end.unwrap_or_default()..]))
            }
            Some(b'0'..=b'9') => {
                let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
                digits.parse().map_or((Self::End, ""), |index| (Self::Index(index), rest))
            }
            _ if !text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@')) => (Self::End, ""),
            _ => {
                let is_end = |c: char| matches!(c, '.' | '[' | ']' | '"') || c.is_whitespace();
                let (field, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
                (Self::Field(field.to_owned()), rest)
            }
        }
    }

    /// That it stands where it must not, told as users know it.
    fn unexpected(&self, expected: &str) -> String {
        let name = match self {
            Self::End => "$end",
            Self::Dot => "DOT",
            Self::Open => "LSB",
            Self::Close => "RSB",
            Self::Text(_) => "STRING",
            Self::Field(_) => "FIELD",
            Self::Index(_) => "INDEX",
        };
        format!("{name}{expected}")
    }
}

/// Reads an expression; an error says what is not expected.
fn read(text: &str) -> Result<Vec<Step>, String> {
    let (mut steps, mut rest) = (Vec::new(), text);
    loop {
        let (mut token, tail) = Token::next(rest);
        rest = tail;
        let is_first = steps.is_empty();
        if token == Token::End && !is_first {
            return Ok(steps);
        }
        let mut expected = if is_first { ", expecting LSB or FIELD" } else { "" };
        let is_dotted = token == Token::Dot && !is_first;
        if is_dotted {
            (token, rest) = Token::next(rest);
            expected = ", expecting FIELD";
        }
        match token {
            Token::Field(name) if is_first || is_dotted => steps.push(Step::Field(name)),
            Token::Open if !is_dotted => {
                let (inside, tail) = Token::next(rest);
                steps.push(match inside {
                    Token::Text(key) => Step::Field(key),
                    Token::Index(index) => Step::Index(index),
                    other => return Err(other.unexpected(", expecting STRING or INDEX")),
                });
                let (close, tail) = Token::next(tail);
                if close != Token::Close {
                    return Err(close.unexpected(", expecting RSB"));
                }
                rest = tail;
            }
            other => return Err(other.unexpected(expected)),
        }
    }
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
        for (text, told) in [
            ("", "$end, expecting LSB or FIELD"),
            (".a", "DOT, expecting LSB or FIELD"),
            ("0", "INDEX, expecting LSB or FIELD"),
            ("a.", "$end, expecting FIELD"),
            ("a..b", "DOT, expecting FIELD"),
            ("a.[0]", "LSB, expecting FIELD"),
            ("[", "$end, expecting STRING or INDEX"),
            ("a[-1]", "$end, expecting STRING or INDEX"),
            ("a[b]", "FIELD, expecting STRING or INDEX"),
            ("a[*]", "$end, expecting STRING or INDEX"),
            ("$.a", "$end, expecting LSB or FIELD"),
            ("a[]", "RSB, expecting STRING or INDEX"),
            ("a[0", "$end, expecting RSB"),
            ("a[0 1]", "INDEX, expecting RSB"),
            ("a]", "RSB"),
            ("a b", "FIELD"),
            ("a\"b\"", "STRING"),
        ] {
            assert_eq!(read(text), Err(told.to_owned()), "{text}");
        }
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(
            read(" a [0] . b-c [\"d e\"] ").unwrap(),
            [field("a"), Step::Index(0), field("b-c"), field("d e")]
        );
    }
}
