//! Bytes as text.

use std::borrow::Cow;

/// Bytes as text, with each byte that is not part of a character replaced: one for one, as clients of log stores know it.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_byte_counts() {
        assert_eq!(super::lossy(b"a\xf0\x9f\x91b"), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(super::lossy("aé".as_bytes()), "aé");
    }
}
