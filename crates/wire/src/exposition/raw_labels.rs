//! Labels as a target gave them: unsorted, perhaps duplicate, perhaps empty.

use model::Labels;

/// Label pairs in one reused buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawLabels {
    text: String,
    /// End of name and end of value of each pair.
    ends: Vec<(usize, usize)>,
}

impl RawLabels {
    /// Removes all pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a pair.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str(value);
        self.ends.push((name_end, self.text.len()));
    }

    /// Adds a pair whose parts may contain the escapes `\"`, `\\` and `\n`.
    pub(crate) fn push_escaped(&mut self, name: &str, value: &str) {
        push_unescaped(&mut self.text, name);
        let name_end = self.text.len();
        push_unescaped(&mut self.text, value);
        self.ends.push((name_end, self.text.len()));
    }

    /// The pairs as given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let pair = (&self.text[start..name_end], &self.text[name_end..end]);
            start = end;
            pair
        })
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of the first pair named `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Replaces the value of the last pair.
    pub(crate) fn replace_last_value(&mut self, value: &str) {
        if let Some((name_end, end)) = self.ends.last_mut() {
            self.text.truncate(*name_end);
            self.text.push_str(value);
            *end = self.text.len();
        }
    }

    /// The last pair.
    pub(crate) fn last(&self) -> Option<(&str, &str)> {
        let (name_end, end) = *self.ends.last()?;
        let start = self.ends.len().checked_sub(2).map_or(0, |before| self.ends[before].1);
        Some((&self.text[start..name_end], &self.text[name_end..end]))
    }

    /// Removes the last pair.
    pub(crate) fn pop(&mut self) {
        self.ends.pop();
        self.text.truncate(self.ends.last().map_or(0, |&(_, end)| end));
    }

    /// A name that occurs twice, if there is one.
    pub fn duplicate(&self) -> Option<&str> {
        // Series have a handful of labels, but a hostile one may have a million: sort beyond that.
        if self.len() > 32 {
            let mut names: Vec<&str> = self.iter().map(|(n, _)| n).collect();
            names.sort_unstable();
            return names.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]);
        }
        let mut rest = self.iter();
        while let Some((name, _)) = rest.next() {
            if rest.clone().any(|(other, _)| other == name) {
                return Some(name);
            }
        }
        None
    }

    /// The label set: sorted, without empty values; of duplicate names the last wins.
    pub fn to_labels(&self) -> Labels {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_by_key(|&(name, _)| name);
        let mut unique: Vec<(&str, &str)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match unique.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => unique.push(pair),
            }
        }
        unique.retain(|(_, value)| !value.is_empty());
        Labels::from_sorted(unique.into_iter())
    }
}

/// Appends `text` with the escapes `\"`, `\\` and `\n` replaced; a backslash before anything else stays.
pub(crate) fn push_unescaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (replacement, taken) = match rest.as_bytes().get(at + 1) {
            Some(b'"') => ("\"", 2),
            Some(b'\\') => ("\\", 2),
            Some(b'n') => ("\n", 2),
            _ => ("\\", 1),
        };
        out.push_str(replacement);
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_found_and_sets_are_sorted_without_empty_values() {
        let mut raw = RawLabels::default();
        for (name, value) in [("b", "1"), ("a", ""), ("c", "2")] {
            raw.push(name, value);
        }
        assert_eq!(raw.duplicate(), None);
        assert_eq!(raw.to_labels(), Labels::from_pairs([("b", "1"), ("c", "2")]));
        raw.push("b", "3");
        assert_eq!(raw.duplicate(), Some("b"));
        for i in 0..100 {
            raw.push(&format!("l{i}"), "x");
        }
        assert_eq!(raw.duplicate(), Some("b"));
    }

    #[test]
    fn only_three_escapes_are_known() {
        let mut out = String::new();
        push_unescaped(&mut out, r#"a\"\\\n\z\"#);
        assert_eq!(out, "a\"\\\n\\z\\");
    }
}
