//! Label sets: sorted, deduplicated names and values in one shared allocation.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set, sorted by name, without empty values. Cloning is cheap.
///
/// The encoding is `len name len value ...` in one allocation; a length is one byte below 255, else
/// 255 and four little-endian bytes. Equality and hashing therefore work on plain bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<[u8]>);

static EMPTY: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::from([]));

/// A larger buffer is not kept for the next label set.
const MAX_SPARE_BYTES: usize = 64 << 10;

thread_local! {
    static ENCODING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Labels {
    /// The empty label set.
    pub fn empty() -> Self {
        Self(EMPTY.clone())
    }

    /// A label set of these pairs in any order; empty values are dropped, the last of equal names wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// A label set of pairs already sorted by name, without duplicates or empty values. The fast path
    /// for decoders, which have checked that.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        // Series are labelled by the million: encoding into a spare buffer leaves one allocation each.
        let mut encoded = ENCODING.take();
        let mut previous: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(previous.is_none_or(|p| p < name), "labels not sorted: {previous:?} {name:?}");
            debug_assert!(!value.is_empty(), "empty value of label {name:?}");
            previous = Some(name);
            push_str(&mut encoded, name);
            push_str(&mut encoded, value);
        }
        let labels = if encoded.is_empty() { Self::empty() } else { Self(Arc::from(&encoded[..])) };
        if encoded.capacity() <= MAX_SPARE_BYTES {
            encoded.clear();
            ENCODING.set(encoded);
        }
        labels
    }

    /// The pairs in name order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// The value of `name`, if present.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter() {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The value of `name`, or the empty string: in matching, an absent label is an empty one.
    pub fn get_or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The metric name, or the empty string.
    pub fn metric_name(&self) -> &str {
        self.get_or_empty(METRIC_NAME)
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The encoding described at the type: a stable key within one process.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A 64-bit hash of all labels, equal for equal sets within one build.
    pub fn hash64(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.0)
    }

    /// The labels whose name is in `names`.
    #[must_use]
    pub fn keep<S: AsRef<str>>(&self, names: &[S]) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| names.iter().any(|k| k.as_ref() == *n)))
    }

    /// The labels whose name is not in `names`.
    #[must_use]
    pub fn drop<S: AsRef<str>>(&self, names: &[S]) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| !names.iter().any(|k| k.as_ref() == *n)))
    }

    /// The labels without the metric name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        if self.get(METRIC_NAME).is_none() { self.clone() } else { self.drop(&[METRIC_NAME]) }
    }
}

fn push_str(out: &mut Vec<u8>, s: &str) {
    match u8::try_from(s.len()) {
        Ok(short) if short < 255 => out.push(short),
        _ => {
            let len =
                u32::try_from(s.len()).expect("a label is shorter than 4 GiB: bodies are capped far below");
            out.push(255);
            out.extend_from_slice(&len.to_le_bytes());
        }
    }
    out.extend_from_slice(s.as_bytes());
}

/// Iterates over `(name, value)`.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    fn take_str(&mut self) -> &'a str {
        let (len, start) = match self.rest[0] {
            255 => {
                let len = u32::from_le_bytes([self.rest[1], self.rest[2], self.rest[3], self.rest[4]]);
                (len as usize, 5)
            }
            short => (usize::from(short), 1),
        };
        let (taken, rest) = self.rest[start..].split_at(len);
        self.rest = rest;
        // SAFETY: `Labels` are only built by `push_str` from `&str` values.
        unsafe { std::str::from_utf8_unchecked(taken) }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let name = self.take_str();
        Some((name, self.take_str()))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// Label by label, name before value; a prefix sorts first. This is Prometheus's order of series.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

/// `{a="b", c="d"}`, with the metric name as an ordinary label and names quoted where they are not
/// legacy names.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            if is_legacy_label_name(name) {
                write!(f, "{separator}{name}={}", Quoted(value))?;
            } else {
                write!(f, "{separator}{}={}", Quoted(name), Quoted(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A string quoted as Go's `strconv.Quote` does.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{b}' => f.write_str("\\v")?,
                c if c == ' ' || !(c.is_control() || c.is_whitespace() || is_format(c)) => f.write_char(c)?,
                c if (c as u32) < 0x80 => write!(f, "\\x{:02x}", c as u32)?,
                c if (c as u32) < 0x1_0000 => write!(f, "\\u{:04x}", c as u32)?,
                c => write!(f, "\\U{:08x}", c as u32)?,
            }
        }
        f.write_char('"')
    }
}

fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c as u32, 0xe000..=0xf8ff | 0xf_0000..)
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: a label name every Prometheus version accepts.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`: a metric name every Prometheus version accepts.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Builds [`Labels`] in any order; reusable.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// A builder that starts from `labels`.
    pub fn from_labels(labels: &Labels) -> Self {
        Self { pairs: labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Sets `name` to `value`; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter().position(|(n, _)| n == name) {
            Some(at) if value.is_empty() => {
                self.pairs.swap_remove(at);
            }
            Some(at) => {
                self.pairs[at].1.clear();
                self.pairs[at].1.push_str(value);
            }
            None if value.is_empty() => {}
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The current value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The pairs, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Keeps only the names for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.pairs.retain(|(n, v)| keep(n, v));
        self
    }

    /// Removes all pairs.
    pub fn clear(&mut self) -> &mut Self {
        self.pairs.clear();
        self
    }

    /// The label set; the builder keeps its pairs.
    pub fn build(&mut self) -> Labels {
        self.pairs.sort_unstable();
        Labels::from_sorted(self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_deduplicated_and_empty_values_dropped() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn long_values_survive_the_encoding() {
        for len in [0, 1, 254, 255, 256, 70_000] {
            let value = "x".repeat(len);
            let labels = Labels::from_pairs([("a", value.as_str()), ("b", "y")]);
            assert_eq!(labels.get_or_empty("a"), value);
            assert_eq!(labels.get("b"), Some("y"));
        }
    }

    #[test]
    fn order_is_by_label_then_by_length() {
        let sorted = [
            Labels::empty(),
            Labels::from_pairs([("a", "1")]),
            Labels::from_pairs([("a", "1"), ("b", "1")]),
            Labels::from_pairs([("a", "10")]),
            Labels::from_pairs([("a", "2")]),
            Labels::from_pairs([("b", "1")]),
        ];
        assert!(sorted.windows(2).all(|w| w[0] < w[1]));
    }
}
