//! Matchers of alerts and the two notations they are written in.
//!
//! The classic notation (`foo=bar baz`) allows only old label names and takes values without quotes as they
//! come; the newer one allows any UTF-8 and wants reserved characters quoted. By default a text is read by both:
//! where they disagree the classic reading holds, so that no existing configuration changes its meaning.

mod classic;
mod utf8;

use std::cmp::Ordering;
use std::fmt;

use model::labels::{Quoted, is_legacy_label_name};
use model::matcher::MatchOp;
use model::regex::AnchoredRegex;

use crate::decode::{Cx, Setting, scalar_text};
use crate::error::Fault;
use crate::section::Shape;
use crate::yaml::{Node, Out};

/// Which notations are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatcherMode {
    /// Both; see the module.
    #[default]
    Fallback,
    /// Only the classic one.
    Classic,
    /// Only the newer one.
    Utf8Strict,
}

/// A condition on the value of one label of an alert; an absent label has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// How it compares.
    pub op: MatchOp,
    /// The label.
    pub name: String,
    /// The literal or pattern, as written.
    pub value: String,
    regex: Option<AnchoredRegex>,
}

impl Matcher {
    /// A matcher; the error says why a pattern does not compile.
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            // Here a dot does not match a line break, unlike in queries.
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(AnchoredRegex::new(&format!("(?-s:{value})")).map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { op, name, value, regex })
    }

    /// A matcher on equality.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { op: MatchOp::Equal, name: name.into(), value: value.into(), regex: None }
    }

    /// Whether a label value satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatchOp::NotRegex => self.regex.as_ref().is_some_and(|regex| !regex.is_match(value)),
        }
    }

    /// Reads exactly one matcher; the error is the reference's message.
    pub fn parse(text: &str, mode: MatcherMode) -> Result<Self, String> {
        if mode != MatcherMode::Classic && (text.starts_with('{') || text.ends_with('}')) {
            return Err(format!("unexpected open or close brace: {text}"));
        }
        let newer = || {
            let mut found = utf8::matchers(text)?;
            match found.len() {
                1 => Ok(found.remove(0)),
                0 => Err("no matchers".to_owned()),
                n => Err(format!("expected 1 matcher, found {n}")),
            }
        };
        choose(mode, classic::matcher(text), newer)
    }

    fn rank(&self) -> u8 {
        match self.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        }
    }
}

/// Takes the reading the mode asks for.
fn choose<T: PartialEq>(
    mode: MatcherMode,
    classic: Result<T, String>,
    newer: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    match mode {
        MatcherMode::Classic => classic,
        MatcherMode::Utf8Strict => newer(),
        // The classic reading wins where both exist and differ; its error is reported where neither does.
        MatcherMode::Fallback => classic.or_else(|error| newer().map_err(|_| error)),
    }
}

/// Whether a name may stand in `group_by`, `equal` and the like.
pub fn is_valid_name(name: &str, mode: MatcherMode) -> bool {
    match mode {
        MatcherMode::Classic => is_legacy_label_name(name),
        MatcherMode::Fallback | MatcherMode::Utf8Strict => !name.is_empty(),
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Matcher {}

/// By name, then value, then operator: the order in which group keys print them.
impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.name, &self.value, self.rank()).cmp(&(&other.name, &other.value, other.rank()))
    }
}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `name="value"`; a name with reserved characters is quoted, and then so is the value in Go's manner.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op.as_str();
        if self.name.contains(utf8::is_reserved) {
            return write!(f, "{}{op}{}", Quoted(&self.name), Quoted(&self.value));
        }
        let value = self.value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        write!(f, "{}{op}\"{value}\"", self.name)
    }
}

/// Conditions that must all hold, sorted when they come from a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matchers(pub Vec<Matcher>);

impl Matchers {
    /// Whether labels, given by a lookup that answers the empty text for absent ones, satisfy all of them.
    pub fn matches<'l>(&self, value_of: impl Fn(&str) -> &'l str) -> bool {
        self.0.iter().all(|matcher| matcher.matches(value_of(&matcher.name)))
    }

    /// Reads a list of matchers, with or without braces; the error is the reference's message.
    pub fn parse(text: &str, mode: MatcherMode) -> Result<Self, String> {
        choose(mode, classic::matchers(text), || utf8::matchers(text)).map(Self)
    }
}

/// `{a="b",c!="d"}`
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

impl Setting for Matchers {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let mut all = Vec::new();
        // A lone scalar is a list of one.
        let items = if node.text().is_some() { std::slice::from_ref(node) } else { node.items() };
        if items.is_empty() && !node.entries().is_empty() {
            return Err(crate::decode::wrong_shape(node, "[]string")
                .remedy("write a list: one `- name=\"value\"` a line"));
        }
        for item in items {
            let text = if item.is_null() { "" } else { scalar_text(item, "string")? };
            let found = Self::parse(text, cx.matcher_mode()).map_err(|message| {
                Fault::new(item.pos, message).remedy("write name=\"value\", or !=, =~, !~")
            })?;
            let is_old = cx.matcher_mode() == MatcherMode::Fallback && utf8::matchers(text).is_err();
            if is_old {
                let suggestion: Vec<String> = found.0.iter().map(ToString::to_string).collect();
                cx.warn(format!(
                    "line {}: the matchers {text} are written in the classic notation only; write {} instead",
                    item.pos.line,
                    suggestion.join(",")
                ));
            }
            all.extend(found.0);
        }
        all.sort();
        Ok(Self(all))
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Out {
        Out::List(self.0.iter().map(|matcher| Out::Text(matcher.to_string())).collect())
    }

    fn shape() -> Shape {
        Shape::Scalar("list of matchers")
    }
}

#[cfg(test)]
mod tests;
