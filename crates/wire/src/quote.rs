//! Bytes quoted for error messages as Go's `%q` quotes them.

use std::fmt::Write;

use model::labels::Quoted;

/// Bytes of input an error message repeats at most: a message must not carry a whole hostile body.
const SHOWN_BYTES: usize = 1024;

/// `bytes` in double quotes, invalid UTF-8 as `\xNN`; cut after a kilobyte.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let mut out = String::from("\"");
    for chunk in shown.utf8_chunks() {
        let valid = Quoted(chunk.valid()).to_string();
        out.push_str(&valid[1..valid.len() - 1]);
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    if shown.len() < bytes.len() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn invalid_bytes_and_controls_are_escaped_and_long_texts_cut() {
        assert_eq!(quoted(b"a\"\n\xff\x00\xc3\xbc"), r#""a\"\n\xff\x00ü""#);
        assert!(quoted(&[b'x'; 5000]).ends_with("x\"..."));
    }
}
