//! The classic notation: `name op value`, with tolerance for missing quotes.

use model::matcher::MatchOp;

use super::Matcher;

/// Reads matchers separated by commas outside of quotes, with or without braces.
pub(super) fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut found = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                found.push(matcher(&text[start..at])?);
                start = at + 1;
                // The flag is left alone: a backslash before the comma still escapes what comes after it.
                continue;
            }
            // Inside quotes a comma is text, and leaves the flag alone too.
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        found.push(matcher(last)?);
    }
    Ok(found)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// Takes a name, an operator and the raw value apart.
fn split(text: &str) -> Option<(&str, MatchOp, &str)> {
    let text = text.trim_start_matches(is_space);
    let len = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')).count();
    let (name, rest) = text.split_at(len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start_matches(is_space);
    let ops =
        [("=~", MatchOp::Regex), ("=", MatchOp::Equal), ("!=", MatchOp::NotEqual), ("!~", MatchOp::NotRegex)];
    let (op, rest) = ops.into_iter().find_map(|(word, op)| Some((op, rest.strip_prefix(word)?)))?;
    Some((name, op, rest.trim_matches(is_space)))
}

/// Reads one matcher.
pub(super) fn matcher(text: &str) -> Result<Matcher, String> {
    let (name, op, raw) = split(text).ok_or_else(|| format!("bad matcher format: {text}"))?;
    let unescaped_quote = || format!("matcher value contains unescaped double quote: {raw}");
    let (body, mut open) = raw.strip_prefix('"').map_or((raw, false), |body| (body, true));
    let mut value = String::with_capacity(body.len());
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        let is_last = at + c.len_utf8() == body.len();
        match c {
            _ if escaped => {
                escaped = false;
                match c {
                    'n' => value.push('\n'),
                    '"' | '\\' => value.push(c),
                    // Not an escape: the backslash stands for itself.
                    other => value.extend(['\\', other]),
                }
            }
            '\\' if !is_last => escaped = true,
            '"' if !open || !is_last => return Err(unescaped_quote()),
            '"' => open = false,
            c => value.push(c),
        }
    }
    if open {
        return Err(unescaped_quote());
    }
    Matcher::new(op, name, value)
}
