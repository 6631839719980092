//! Patterns such as `<ip> - <_> "<method> <path>"`: as a parser, which takes labels from lines, and as a line filter.

use memchr::memmem;

use crate::labels::RowLabels;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// `None` for `<_>`.
    Capture(Option<String>),
}

/// A pattern, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// A pattern that takes labels from lines.
    pub fn parser(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL".to_owned()
            );
        }
        let template = Self::read(text)?;
        let mut names: Vec<&str> = Vec::new();
        for part in &template.parts {
            let Part::Capture(Some(name)) = part else { continue };
            if names.contains(&name.as_str()) {
                return Err(format!("duplicate capture name ({name}): invalid expression"));
            }
            names.push(name);
        }
        if names.is_empty() {
            return Err("at least one capture is required".to_owned());
        }
        Ok(template)
    }

    /// A pattern that lines are compared with.
    pub fn filter(text: &str) -> Result<Self, String> {
        let template = Self::read(text)?;
        match template
            .parts
            .iter()
            .find_map(|part| if let Part::Capture(name) = part { name.as_ref() } else { None })
        {
            Some(name) => Err(format!("named captures are not allowed: found '<{name}>'")),
            None => Ok(template),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((name, len)) = capture(rest) {
                if let Some(Part::Capture(previous)) = parts.last() {
                    let shown = |name: Option<&str>| format!("<{}>", name.unwrap_or("_"));
                    let both = [previous.as_deref(), (name != "_").then_some(name)].map(shown).concat();
                    return Err(format!("found consecutive capture '{both}': invalid expression"));
                }
                parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
                rest = &rest[len..];
                continue;
            }
            let first = rest.chars().next().map_or(1, char::len_utf8);
            let end = rest[first..].find('<').map_or(rest.len(), |at| at + first);
            match parts.last_mut() {
                Some(Part::Literal(literal)) => literal.push_str(&rest[..end]),
                _ => parts.push(Part::Literal(rest[..end].to_owned())),
            }
            rest = &rest[end..];
        }
        Ok(Self { parts })
    }

    /// Takes labels from a line. Where a literal is missing, the capture before it takes what is left.
    pub fn extract(&self, line: &str, labels: &mut RowLabels) {
        let (mut rest, mut parts) = (line, &self.parts[..]);
        if line.is_empty() {
            return;
        }
        if let Some(Part::Literal(literal)) = parts.first() {
            let Some(tail) = rest.strip_prefix(literal.as_str()) else { return };
            (rest, parts) = (tail, &parts[1..]);
        }
        while let Some((Part::Capture(name), tail)) = parts.split_first() {
            let (value, behind) = match tail.first() {
                Some(Part::Literal(literal)) => match memmem::find(rest.as_bytes(), literal.as_bytes()) {
                    Some(at) => (&rest[..at], Some(&rest[at + literal.len()..])),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let Some(name) = name {
                let name = labels.free_name(name);
                if !labels.parsed_has(&name) {
                    labels.set(&name, value);
                }
            }
            let Some(behind) = behind else { return };
            (rest, parts) = (behind, &tail[1..]);
        }
    }

    /// Whether a whole line looks like the pattern. Placeholders stand for at least one byte.
    pub fn matches(&self, line: &[u8]) -> bool {
        let Some((last, front)) = self.parts.split_last() else { return line.is_empty() };
        let (mut rest, mut gap) = (line, false);
        for part in front {
            match part {
                Part::Capture(_) => gap = true,
                Part::Literal(literal) => {
                    let Some(tail) = skip(rest, literal.as_bytes(), gap) else { return false };
                    (rest, gap) = (tail, false);
                }
            }
        }
        match last {
            Part::Capture(_) => !rest.is_empty(),
            Part::Literal(literal) if gap => rest.len() > literal.len() && rest.ends_with(literal.as_bytes()),
            Part::Literal(literal) => rest == literal.as_bytes(),
        }
    }

    /// The longest text every line that matches contains.
    pub fn longest_literal(&self) -> Option<&[u8]> {
        let literals = self.parts.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.as_bytes()),
            Part::Capture(_) => None,
        });
        literals.max_by_key(|literal| literal.len())
    }
}

/// What follows a literal: right here, or behind a gap of at least one byte.
fn skip<'a>(rest: &'a [u8], literal: &[u8], gap: bool) -> Option<&'a [u8]> {
    if !gap {
        return rest.strip_prefix(literal);
    }
    let at = memmem::find(rest.get(1..)?, literal)?;
    Some(&rest[1 + at + literal.len()..])
}

/// The name of the placeholder a text begins with, and how long it is.
fn capture(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>')?;
    let name = &inner[..end];
    model::labels::is_legacy_label_name(name).then_some((name, end + 2))
}
