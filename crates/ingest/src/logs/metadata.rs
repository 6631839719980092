//! Structured metadata: names that queries can write.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Metadata as it is stored: sorted, each name once (the last one counts), without empty values.
pub(super) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Metadata, String> {
    let mut sorted = BTreeMap::new();
    for (name, value) in pairs {
        let name = name_of(&name)?;
        if !value.is_empty() && !name.is_empty() {
            sorted.insert(name, value);
        }
    }
    Ok(sorted.into_iter().map(|(name, value)| (Arc::from(name), Arc::from(value))).collect())
}

/// Adds or replaces one name.
pub(super) fn put(metadata: &mut Metadata, name: &str, value: &str) {
    match metadata.binary_search_by(|(other, _)| (**other).cmp(name)) {
        Ok(at) => metadata[at].1 = Arc::from(value),
        Err(at) => metadata.insert(at, (Arc::from(name), Arc::from(value))),
    }
}
