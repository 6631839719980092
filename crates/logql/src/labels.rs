//! Labels of lines and series while a query works on them.
//!
//! Unlike label sets of streams, those of a query's result may have empty values: a parser that finds nothing says so.

use std::borrow::Cow;
use std::sync::Arc;

use model::Labels;
use model::labels::Quoted;

/// The kind of error a line met.
pub const ERROR: &str = "__error__";
/// What exactly was wrong.
pub const ERROR_DETAILS: &str = "__error_details__";
/// The label of a series whose error is wanted, because the query filters by it.
pub(crate) const PRESERVE_ERROR: &str = "__preserve_error__";

/// Sorted names and values in one allocation; equal sets have equal bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct LabelSet(Arc<[u8]>);

impl LabelSet {
    /// A set of pairs sorted by name, each name once.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut out = Vec::new();
        for (name, value) in pairs {
            push(&mut out, name);
            push(&mut out, value);
        }
        Self(Arc::from(out))
    }

    /// A set of pairs in any order; the last of equal names wins.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let sorted: std::collections::BTreeMap<&str, &str> = pairs.into_iter().collect();
        Self::from_sorted(sorted)
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> LabelIter<'_> {
        LabelIter { rest: &self.0 }
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A set of these bytes, which another set has.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// Equal for equal sets, different for different ones.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The labels of these names, or all others.
    #[must_use]
    pub fn project(&self, names: &[String], others: bool) -> Self {
        Self::from_sorted(self.iter().filter(|(name, _)| names.iter().any(|n| n == name) != others))
    }

    /// The set with a label set anew, or removed.
    #[must_use]
    pub fn with(&self, name: &str, value: Option<&str>) -> Self {
        let kept = self.iter().filter(|(n, _)| *n != name);
        let mut pairs: Vec<(&str, &str)> = kept.chain(value.map(|value| (name, value))).collect();
        pairs.sort_unstable();
        Self::from_sorted(pairs)
    }
}

/// Sets are looked up by the bytes they would have.
impl std::borrow::Borrow<[u8]> for LabelSet {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Labels> for LabelSet {
    fn from(labels: &Labels) -> Self {
        Self::from_sorted(labels.iter())
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

/// `{a="b", c="d"}`
impl std::fmt::Display for LabelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

impl std::fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    // Texts come from bodies and lines, which are capped far below four gibibytes.
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..len as usize]);
}

/// Iterates over names and values.
#[derive(Debug, Clone)]
pub struct LabelIter<'a> {
    rest: &'a [u8],
}

impl<'a> LabelIter<'a> {
    fn text(&mut self) -> &'a str {
        let (len, rest) = self.rest.split_at(4);
        let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
        let (text, rest) = rest.split_at(len);
        self.rest = rest;
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some((self.text(), self.text()))
    }
}

/// Where a label comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The stream.
    Stream,
    /// Structured metadata.
    Metadata,
    /// The line, or the query.
    Parsed,
}

#[derive(Debug, Clone, Copy)]
struct Slice {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Slice,
    value: Slice,
    origin: Origin,
}

/// The labels of one line. Used for line after line: names and values lie in one buffer that is kept.
#[derive(Debug)]
pub(crate) struct RowLabels {
    stream: Arc<Labels>,
    /// The lengths of the names of the stream, a bit for each; longer ones share the last.
    stream_lengths: u64,
    text: String,
    entries: Vec<Entry>,
    deleted: Vec<Slice>,
    error: Option<Cow<'static, str>>,
    details: Option<String>,
    preserve_error: bool,
}

impl RowLabels {
    pub fn new(stream: Arc<Labels>) -> Self {
        let stream_lengths = stream.iter().fold(0, |bits, (name, _)| bits | length_bit(name));
        Self {
            stream,
            stream_lengths,
            text: String::new(),
            entries: Vec::new(),
            deleted: Vec::new(),
            error: None,
            details: None,
            preserve_error: false,
        }
    }

    /// Begins the next line of the same stream.
    pub fn reset(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.deleted.clear();
        self.error = None;
        self.details = None;
        self.preserve_error = false;
    }

    fn put(&mut self, text: &str) -> Slice {
        // A line's labels are a small multiple of the line, which is capped.
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Slice { start, len: text.len() as u32 }
    }

    fn of(&self, slice: Slice) -> &str {
        &self.text[slice.start as usize..(slice.start + slice.len) as usize]
    }

    /// Adds structured metadata. Names that streams have get a suffix.
    pub fn add_metadata(&mut self, name: &str, value: &str) {
        match name {
            ERROR => self.error = Some(value.to_owned().into()),
            ERROR_DETAILS => self.details = Some(value.to_owned()),
            _ if self.stream_value(name).is_some() => {
                self.set_as(&format!("{name}_extracted"), value, Origin::Metadata);
            }
            _ => self.set_as(name, value, Origin::Metadata),
        }
    }

    /// The value of a label of the stream. Most names that are asked for are none of its, and of another length.
    fn stream_value(&self, name: &str) -> Option<&str> {
        let may_be = self.stream_lengths & length_bit(name) != 0;
        may_be.then(|| self.stream.get(name)).flatten()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| self.of(entry.name) == name)
    }

    /// Sets a label; it hides others of that name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_as(name, value, Origin::Parsed);
    }

    fn set_as(&mut self, name: &str, value: &str, origin: Origin) {
        let value = self.put(value);
        match self.find(name) {
            Some(at) => {
                self.entries[at].value = value;
                self.entries[at].origin = origin;
            }
            None => {
                let name = self.put(name);
                self.entries.push(Entry { name, value, origin });
            }
        }
    }

    pub fn delete(&mut self, name: &str) {
        if let Some(at) = self.find(name) {
            self.entries.remove(at);
        }
        if self.stream_value(name).is_some() && !self.is_deleted(name) {
            let name = self.put(name);
            self.deleted.push(name);
        }
    }

    fn is_deleted(&self, name: &str) -> bool {
        self.deleted.iter().any(|slice| self.of(*slice) == name)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        match self.find(name) {
            Some(at) => Some(self.of(self.entries[at].value)),
            None if self.deleted.is_empty() || !self.is_deleted(name) => self.stream_value(name),
            None => None,
        }
    }

    pub fn get_with_origin(&self, name: &str) -> Option<(&str, Origin)> {
        match self.find(name) {
            Some(at) => Some((self.of(self.entries[at].value), self.entries[at].origin)),
            None => self.get(name).map(|value| (value, Origin::Stream)),
        }
    }

    /// Sets a label with the origin another has.
    pub fn set_with_origin(&mut self, name: &str, value: &str, origin: Origin) {
        let origin = if origin == Origin::Stream { Origin::Parsed } else { origin };
        self.set_as(name, value, origin);
    }

    /// Whether the stream has a label of this name.
    pub fn stream_has(&self, name: &str) -> bool {
        self.stream_value(name).is_some()
    }

    pub fn metadata_has(&self, name: &str) -> bool {
        self.find(name).is_some_and(|at| self.entries[at].origin == Origin::Metadata)
    }

    pub fn parsed_has(&self, name: &str) -> bool {
        self.find(name).is_some_and(|at| self.entries[at].origin == Origin::Parsed)
    }

    /// The name under which a parser stores what it found as `name`.
    pub fn free_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.stream_has(name) || self.metadata_has(name) {
            Cow::Owned(format!("{name}_extracted"))
        } else {
            Cow::Borrowed(name)
        }
    }

    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    pub fn has_error(&self) -> bool {
        self.error.is_some()
    }

    pub fn details(&self) -> Option<&str> {
        self.details.as_deref()
    }

    pub fn set_error(&mut self, error: &'static str, details: Option<String>) {
        self.error = Some(error.into());
        if details.is_some() {
            self.details = details;
        }
    }

    pub fn clear_error(&mut self) {
        self.error = None;
    }

    pub fn clear_details(&mut self) {
        self.details = None;
    }

    pub fn preserve_error(&mut self) {
        self.preserve_error = true;
    }

    /// All labels, unsorted, the errors last.
    pub fn visit(&self, mut visit: impl FnMut(&str, &str, Origin)) {
        for (name, value) in self.stream.iter() {
            let is_hidden = !self.entries.is_empty() && self.find(name).is_some();
            if !is_hidden && (self.deleted.is_empty() || !self.is_deleted(name)) {
                visit(name, value, Origin::Stream);
            }
        }
        for entry in &self.entries {
            visit(self.of(entry.name), self.of(entry.value), entry.origin);
        }
        if let Some(error) = &self.error {
            visit(ERROR, error, Origin::Parsed);
        }
        if let Some(details) = &self.details {
            visit(ERROR_DETAILS, details, Origin::Parsed);
        }
        if self.preserve_error {
            visit(PRESERVE_ERROR, "true", Origin::Parsed);
        }
    }

    /// The labels that `keep` lets through as a sorted set.
    pub fn collect(&self, keep: impl Fn(&str, Origin) -> bool) -> LabelSet {
        LabelSet::from_sorted(self.sorted(keep))
    }

    /// Writes the bytes that [`RowLabels::collect`] would have.
    pub fn encode(&self, key: &mut Vec<u8>, keep: impl Fn(&str, Origin) -> bool) {
        key.clear();
        for (name, value) in self.sorted(keep) {
            push(key, name);
            push(key, value);
        }
    }

    fn sorted(&self, keep: impl Fn(&str, Origin) -> bool) -> Vec<(&str, &str)> {
        let mut scratch = Vec::with_capacity(16);
        for (name, value) in self.stream.iter() {
            let is_hidden = !self.entries.is_empty() && self.find(name).is_some();
            if !is_hidden && (self.deleted.is_empty() || !self.is_deleted(name)) && keep(name, Origin::Stream)
            {
                scratch.push((name, value));
            }
        }
        for entry in &self.entries {
            let name = self.of(entry.name);
            if keep(name, entry.origin) {
                scratch.push((name, self.of(entry.value)));
            }
        }
        let error = self.error.as_deref().map(|error| (ERROR, error));
        let details = self.details.as_deref().map(|details| (ERROR_DETAILS, details));
        scratch.extend(error.into_iter().chain(details).filter(|(name, _)| keep(name, Origin::Parsed)));
        scratch.sort_unstable_by_key(|(name, _)| *name);
        scratch
    }

    /// Whether an error is one that the query itself looks at.
    pub fn preserves_error(&self) -> bool {
        self.preserve_error
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

/// Whether a key of a line is the name of a label as it stands.
pub(crate) fn is_name(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.first().is_some_and(|first| !first.is_ascii_digit())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// A key of a line as the name of a label: what cannot be in one becomes `_`. The empty key has no name.
pub(crate) fn sanitize_into(out: &mut String, key: &str, is_prefix: bool) {
    if is_name(key) {
        return out.push_str(key);
    }
    let key = key.trim();
    let begins_with_digit = is_prefix && key.starts_with(|c: char| c.is_ascii_digit());
    if begins_with_digit {
        out.push('_');
    }
    for c in key.chars() {
        out.push(if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_hides_what_the_stream_has() {
        let stream = Arc::new(Labels::from_pairs([("a", "1"), ("b", "2")]));
        let mut row = RowLabels::new(stream);
        row.add_metadata("a", "meta");
        assert_eq!(row.get("a_extracted"), Some("meta"));
        row.set("b", "3");
        row.delete("a");
        assert_eq!(row.collect(|_, _| true).to_string(), r#"{a_extracted="meta", b="3"}"#);
        row.reset();
        assert_eq!((row.get("a"), row.get("b")), (Some("1"), Some("2")));
    }

    #[test]
    fn keys_become_names() {
        let name = |key: &str| {
            let mut out = String::new();
            sanitize_into(&mut out, key, true);
            out
        };
        assert_eq!(name("a.b-c d"), "a_b_c_d");
        assert_eq!(name("1x"), "_1x");
        assert_eq!((name(" a_1 ").as_str(), name("é").as_str(), name("").as_str()), ("a_1", "_", ""));
        assert!(is_name("a_1") && !is_name("1a") && !is_name("") && !is_name("a.b"));
    }
}
