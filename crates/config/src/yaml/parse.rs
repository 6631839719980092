//! Text to tree. The tokenizer is `granit-parser`; this file builds nodes, resolves aliases and merge
//! keys, and bounds what a hostile document can cost.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::node::{Node, Pos, Scalar, Value};
use crate::error::Fault;

/// What one document may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of text.
    pub max_bytes: usize,
    /// Nodes after aliases are expanded, which bounds the "billion laughs" document.
    pub max_nodes: usize,
    /// Collections inside each other.
    pub max_depth: usize,
}

impl Default for Limits {
    /// 64 MiB of text, four million nodes, 100 levels: far beyond any real file.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_nodes: 4_000_000, max_depth: 100 }
    }
}

/// Parses bytes that must be UTF-8; otherwise as [`parse`].
pub fn parse_bytes(bytes: &[u8], limits: Limits) -> Result<Node, Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, limits),
        Err(error) => {
            let at = error.valid_up_to();
            let line = 1 + bytes[..at].iter().filter(|&&b| b == b'\n').count();
            let pos = Pos { start: at, end: at + 1, line };
            Err(Fault::new(pos, format!("yaml: line {line}: invalid UTF-8 at byte {at}"))
                .remedy("save the file as UTF-8"))
        }
    }
}

/// Parses the first document of `text`; an empty text is a null node.
pub fn parse(text: &str, limits: Limits) -> Result<Node, Fault> {
    if text.len() > limits.max_bytes {
        let message =
            format!("yaml: document of {} bytes exceeds the limit of {} bytes", text.len(), limits.max_bytes);
        return Err(Fault::new(Pos::default(), message));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits.max_depth,
        block_nesting_limit: limits.max_depth,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    Builder { parser, text, limits, anchors: HashMap::new(), nodes: 0 }.document()
}

struct Builder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    text: &'t str,
    limits: Limits,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn document(mut self) -> Result<Node, Fault> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd | Event::DocumentEnd => return Ok(Node::null()),
                Event::StreamStart | Event::DocumentStart(..) => {}
                event => {
                    let root = self.node(event, span)?;
                    self.drain()?;
                    return Ok(root);
                }
            }
        }
    }

    /// Reads on to the end of the first document, so that an error behind the root node is reported.
    /// Later documents are ignored, as the reference ignores them.
    fn drain(&mut self) -> Result<(), Fault> {
        loop {
            match self.next()?.0 {
                Event::DocumentEnd | Event::StreamEnd => return Ok(()),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let marker = error.marker();
                let start = marker.byte_offset().unwrap_or(0).min(self.text.len());
                let pos = Pos { start, end: start, line: marker.line() };
                let message = format!("yaml: line {}: {}", marker.line(), error.info());
                let tab = self.text[..start].rsplit('\n').next().is_some_and(|line| line.contains('\t'))
                    || self.text[start..].starts_with('\t');
                let fault = Fault::new(pos, message);
                Err(if tab {
                    fault.remedy("indent with spaces: YAML forbids tabs in indentation")
                } else {
                    fault
                })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let pos = self.pos(&span);
        self.count(1, pos)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(text.into_owned(), style, tag.as_deref(), pos)?;
                Ok(self.remember(anchor, Node::leaf(value, pos)))
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, span)?);
                }
                let weight = 1 + items.iter().map(|item| item.weight).sum::<usize>();
                Ok(self.remember(anchor, Node { value: Value::Sequence(items), pos, weight }))
            }
            Event::MappingStart(_, anchor, _) => {
                let entries = self.entries()?;
                let weight = 1 + entries.iter().map(|(k, v)| k.weight + v.weight).sum::<usize>();
                Ok(self.remember(anchor, Node { value: Value::Mapping(entries), pos, weight }))
            }
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(target) => {
                    let target = target.clone();
                    self.count(target.weight, pos)?;
                    Ok(target)
                }
                None => {
                    Err(Fault::new(pos, format!("yaml: line {}: anchor value contains itself", pos.line)))
                }
            },
            _ => Err(Fault::new(pos, format!("yaml: line {}: did not find expected node content", pos.line))),
        }
    }

    fn entries(&mut self) -> Result<Vec<(Node, Node)>, Fault> {
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            let is_merge = matches!(&key.value, Value::Scalar(s) if s.plain && s.text == "<<");
            if is_merge { merged.push(value) } else { entries.push((key, value)) }
        }
        for source in merged {
            merge(&mut entries, source)?;
        }
        Ok(entries)
    }

    fn remember(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn count(&mut self, nodes: usize, pos: Pos) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= self.limits.max_nodes {
            return Ok(());
        }
        let message =
            format!("yaml: document contains more than {} nodes, aliases expanded", self.limits.max_nodes);
        Err(Fault::new(pos, message))
    }

    fn pos(&self, span: &Span) -> Pos {
        let range = span.byte_range().unwrap_or(0..0);
        let start = range.start.min(self.text.len());
        // A block collection reaches to the next token; its last line break and comments are not it.
        let end = start + self.text[start..range.end.clamp(start, self.text.len())].trim_end().len();
        Pos { start, end, line: span.start.line() }
    }
}

/// Adds the entries of a merge key's value that are not already there.
fn merge(entries: &mut Vec<(Node, Node)>, source: Node) -> Result<(), Fault> {
    let pos = source.pos;
    match source.value {
        Value::Mapping(inherited) => {
            for (key, value) in inherited {
                if !entries.iter().any(|(k, _)| k.value == key.value) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Value::Sequence(sources) => sources.into_iter().try_for_each(|source| merge(entries, source)),
        _ => Err(Fault::new(pos, "yaml: map merge requires map or sequence of maps as the value")),
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>, pos: Pos) -> Result<Value, Fault> {
    if tag.is_some_and(|tag| tag.core_suffix().is_none() && tag.to_string().ends_with("binary")) {
        let decoded = decode_base64(&text);
        let bytes = decoded.ok_or_else(|| {
            let fault = Fault::new(pos, "yaml: !!binary value contains invalid base64 data");
            fault.remedy("remove !!binary, or write base64 behind it")
        })?;
        return Ok(Value::Scalar(match String::from_utf8(bytes) {
            Ok(text) => Scalar { text, plain: false, invalid_utf8: None },
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Scalar { text, plain: false, invalid_utf8: Some(error.into_bytes()) }
            }
        }));
    }
    let plain = style == ScalarStyle::Plain && tag.is_none();
    let null_tag = tag.is_some_and(|tag| tag.core_suffix() == Some("null"));
    if null_tag || plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::Null);
    }
    // `!!int "5"` means the number although it is quoted.
    let typed = tag.is_some_and(|tag| matches!(tag.core_suffix(), Some("int" | "float" | "bool")));
    Ok(Value::Scalar(Scalar { text, plain: plain || typed, invalid_utf8: None }))
}

/// Standard base64 with padding; white space is ignored as YAML asks.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for (i, group) in digits.chunks_exact(4).enumerate() {
        let padding = group.iter().rev().take_while(|&&b| b == b'=').count();
        if padding > 2 || padding > 0 && (i + 1) * 4 != digits.len() {
            return None;
        }
        let mut bits = 0u32;
        for &digit in &group[..4 - padding] {
            bits = bits << 6 | u32::from(value(digit)?);
        }
        bits <<= 6 * padding;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, Limits::default()).unwrap()
    }

    #[test]
    fn scalars_keep_their_text_quoting_and_place() {
        let root = tree("a: 0755\nb: '1'\nc:\n");
        let (key, value) = root.entry("a").unwrap();
        assert_eq!((key.pos.line, key.pos.start, key.pos.end), (1, 0, 1));
        assert_eq!(value.text(), Some("0755"));
        assert_eq!(root.get("b").unwrap().tag(), "!!str");
        assert!(root.get("c").unwrap().is_null());
    }

    #[test]
    fn merge_keys_and_aliases_expand_and_explicit_keys_win() {
        let root = tree("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
        let used = root.get("use").unwrap();
        assert_eq!(used.get("x").and_then(Node::text), Some("1"));
        assert_eq!(used.get("y").and_then(Node::text), Some("3"));
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        let fault = parse(&text, Limits::default()).unwrap_err();
        assert!(fault.message.contains("nodes, aliases expanded"), "{}", fault.message);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let fault = parse(&"[".repeat(100_000), Limits::default()).unwrap_err();
        assert!(fault.message.starts_with("yaml: line 1:"), "{}", fault.message);
    }

    #[test]
    fn binary_scalars_are_decoded() {
        let root = tree("a: !!binary aGk=\nb: !!binary /w==\n");
        assert_eq!(root.get("a").and_then(Node::text), Some("hi"));
        let Value::Scalar(scalar) = &root.get("b").unwrap().value else { panic!("not a scalar") };
        assert_eq!(scalar.invalid_utf8.as_deref(), Some(&[0xff][..]));
    }

    #[test]
    fn an_empty_text_is_null() {
        assert!(tree("").is_null());
        assert!(tree("# only a comment\n").is_null());
    }
}
