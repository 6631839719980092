//! The tree a document is parsed into.

/// A stretch of the source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pos {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last byte.
    pub end: usize,
    /// Line of the first byte, counted from one; 0 when there is no place to point to.
    pub line: usize,
}

/// One node of a document, where it stands, and how many nodes it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What the node is.
    pub value: Value,
    /// Where it stands.
    pub pos: Pos,
    /// Number of nodes in this tree, itself included: what an alias to it costs.
    pub(super) weight: usize,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, with its quoting.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in source order; keys may repeat, which readers refuse.
    Mapping(Vec<(Node, Node)>),
}

/// A scalar before anybody decided what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, escapes resolved.
    pub text: String,
    /// Whether it was written without quotes and without a tag, so that it may be a number or a boolean.
    pub plain: bool,
    /// The decoded bytes of a `!!binary` scalar that is not valid UTF-8; `text` is then lossy.
    pub invalid_utf8: Option<Vec<u8>>,
}

impl Node {
    /// A node without children.
    pub(super) fn leaf(value: Value, pos: Pos) -> Self {
        Self { value, pos, weight: 1 }
    }

    /// An absent document.
    pub fn null() -> Self {
        Self::leaf(Value::Null, Pos::default())
    }

    /// Whether the node is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Key and value of an entry of a mapping.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().find(|(k, _)| k.text() == Some(key))
    }

    /// The value of an entry of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The YAML tag a reader would give the node, for messages.
    pub fn tag(&self) -> &'static str {
        match &self.value {
            Value::Null => "!!null",
            Value::Sequence(_) => "!!seq",
            Value::Mapping(_) => "!!map",
            Value::Scalar(scalar) if !scalar.plain => "!!str",
            Value::Scalar(scalar) => super::emit::plain_tag(&scalar.text),
        }
    }
}
