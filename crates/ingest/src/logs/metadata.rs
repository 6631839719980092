//! Structured metadata: names that queries can write.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::level::{DETECTED_LEVEL, LEVELS};

/// Sorted names and values of one line, as they are stored.
pub(super) type Metadata = Vec<(Arc<str>, Arc<str>)>;

/// A name as queries can write it: what cannot stand in one becomes `_`, and none begins with a digit.
pub(super) fn name_of(name: &str) -> Result<String, String> {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "key_");
    }
    if !out.is_empty() && out.bytes().all(|b| b == b'_') {
        return Err(format!("normalization for label name {name:?} resulted in invalid name {out:?}"));
    }
    Ok(out)
}

/// Metadata as it is stored: sorted, each name once (the last one counts), without empty values. There is room for one
/// more.
pub(super) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Metadata, String> {
    let mut sorted = BTreeMap::new();
    for (name, value) in pairs {
        let name = name_of(&name)?;
        if !value.is_empty() && !name.is_empty() {
            sorted.insert(name, value);
        }
    }
    let mut metadata = Metadata::with_capacity(sorted.len() + 1);
    metadata.extend(sorted.into_iter().map(|(name, value)| (Arc::from(name), Arc::from(value))));
    Ok(metadata)
}

/// All of two, which share what they have with the result; of equal names that of `own` counts.
pub(super) fn joined(shared: &Metadata, own: Metadata) -> Metadata {
    if shared.is_empty() {
        return own;
    }
    let mut out = Metadata::with_capacity(shared.len() + own.len() + 1);
    let mut shared = shared.iter().peekable();
    for pair in own {
        while let Some(other) = shared.next_if(|other| other.0 < pair.0) {
            out.push(other.clone());
        }
        shared.next_if(|other| other.0 == pair.0);
        out.push(pair);
    }
    out.extend(shared.cloned());
    out
}

/// Texts that lines have in common, once for each request.
#[derive(Debug)]
pub(super) struct Shared {
    detected_level: Arc<str>,
    levels: [Arc<str>; LEVELS.len()],
}

impl Default for Shared {
    fn default() -> Self {
        Self { detected_level: Arc::from(DETECTED_LEVEL), levels: LEVELS.map(Arc::from) }
    }
}

impl Shared {
    /// Notes the level of a line that has none.
    pub fn put_level(&self, metadata: &mut Metadata, level: &str) {
        let known = self.levels.iter().find(|known| &***known == level);
        let level = known.map_or_else(|| Arc::from(level), Arc::clone);
        let name = Arc::clone(&self.detected_level);
        match metadata.binary_search_by(|(other, _)| (**other).cmp(DETECTED_LEVEL)) {
            Ok(at) => metadata[at].1 = level,
            Err(at) => metadata.insert(at, (name, level)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_records_share_is_joined_with_what_they_have_of_their_own() {
        let of = |pairs: &[(&str, &str)]| {
            of_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()).unwrap()
        };
        let shared = of(&[("a", "1"), ("c", "1"), ("e", "1")]);
        let joined = joined(&shared, of(&[("b", "2"), ("c", "2"), ("f", "2")]));
        assert_eq!(joined, of(&[("a", "1"), ("b", "2"), ("c", "2"), ("e", "1"), ("f", "2")]));
        assert!(Arc::ptr_eq(&joined[0].1, &shared[0].1));
    }
}
