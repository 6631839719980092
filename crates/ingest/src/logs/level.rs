//! Which level a line has: as its labels, its metadata, its fields or its words tell.

use std::borrow::Cow;

/// The metadata that tells the level.
pub(super) const DETECTED_LEVEL: &str = "detected_level";
const UNKNOWN: &str = "unknown";
/// The levels most lines have.
pub(super) const LEVELS: [&str; 8] =
    ["info", "error", "warn", "debug", "trace", "fatal", "critical", UNKNOWN];

/// Bytes of a line that are searched for words.
const SEARCHED_BYTES: usize = 4096;

/// The level of a line of a stream, told by what has one of these names, or by its words.
pub(super) fn detect<'a>(
    names: &[String],
    stream: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    metadata: &[(std::sync::Arc<str>, std::sync::Arc<str>)],
    line: &[u8],
) -> Cow<'static, str> {
    let of = |name: &str| metadata.iter().find(|(other, _)| &**other == name).map(|(_, value)| &**value);
    if let Some(number) = of("severity_number").and_then(|number| number.parse().ok())
        && let Some(level) = of_severity(number)
    {
        return Cow::Borrowed(level);
    }
    for name in names {
        let given =
            of(name).or_else(|| stream.clone().find(|(other, _)| other == name).map(|(_, value)| value));
        if let Some(value) = given {
            // What is given is taken, also where nobody else knows it.
            return known(value).map_or_else(|| Cow::Owned(value.to_lowercase()), Cow::Borrowed);
        }
    }
    Cow::Borrowed(of_line(names, line))
}

/// The level of a severity number of OpenTelemetry.
fn of_severity(number: u64) -> Option<&'static str> {
    Some(match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => return None,
    })
}

/// The usual name of a level.
fn known(word: &str) -> Option<&'static str> {
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(word));
    Some(if is(&["info", "inf", "information"]) {
        "info"
    } else if is(&["error", "err"]) {
        "error"
    } else if is(&["warn", "warning", "wrn"]) {
        "warn"
    } else if is(&["debug", "dbg"]) {
        "debug"
    } else if is(&["trace", "trc"]) {
        "trace"
    } else if is(&["fatal"]) {
        "fatal"
    } else if is(&["critical"]) {
        "critical"
    } else {
        return None;
    })
}

fn of_line(names: &[String], line: &[u8]) -> &'static str {
    let head = &line[..line.len().min(SEARCHED_BYTES)];
    let text = String::from_utf8_lossy(head);
    let field = if text.trim_start().starts_with('{') {
        json_level(names, &text)
    } else {
        logfmt_level(names, &text)
    };
    if let Some(level) = field.as_deref().and_then(known) {
        return level;
    }
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    // Short forms are too common as parts of other things to count as words of a text.
    let is_word = |word: &&str| {
        word.len() >= 3 && !word.eq_ignore_ascii_case("information") && !word.eq_ignore_ascii_case("inf")
    };
    words.filter(is_word).find_map(known).unwrap_or(UNKNOWN)
}

/// The first field of a logfmt line that holds a level.
fn logfmt_level(names: &[String], text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        while bytes.get(at).is_some_and(|b| *b <= b' ') {
            at += 1;
        }
        let start = at;
        while bytes.get(at).is_some_and(|b| *b > b' ' && *b != b'=') {
            at += 1;
        }
        let key = text.get(start..at)?;
        if bytes.get(at) != Some(&b'=') {
            continue;
        }
        at += 1;
        let begin = at;
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            while bytes.get(at).is_some_and(|b| *b != b'"') {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at = (at + 1).min(bytes.len());
        } else {
            while bytes.get(at).is_some_and(|b| *b > b' ') {
                at += 1;
            }
        }
        if names.iter().any(|name| name == key) {
            return Some(text.get(begin..at)?.trim_matches('"').to_owned());
        }
    }
    None
}

/// The first field of a JSON line that holds a level, wherever it stands.
fn json_level(names: &[String], text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        let tail = &rest[open + 1..];
        let close = tail.find('"')?;
        let (key, behind) = (&tail[..close], tail[close + 1..].trim_start());
        rest = &tail[close + 1..];
        let Some(value) = behind.strip_prefix(':') else { continue };
        let Some(value) = value.trim_start().strip_prefix('"') else { continue };
        if names.iter().any(|name| name == key) {
            return value.find('"').map(|end| value[..end].to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::limits::LEVEL_NAMES;

    #[test]
    fn levels_are_found_in_fields_and_words() {
        for (line, level) in [
            ("level=warn msg=x", "warn"),
            ("lvl=err a=b", "error"),
            ("{\"level\":\"WARNING\",\"msg\":\"x\"}", "warn"),
            ("{\"log\":{\"level\":\"error\"}}", "error"),
            ("2026 ERROR broken", "error"),
            ("for your information", "unknown"),
            ("[info] ready", "info"),
            ("panic: oh no", "unknown"),
            ("level= msg=ERROR", "error"),
            ("level=loud", "unknown"),
            ("{\"level\":50}", "unknown"),
            ("msg=\"level=error\" level=info", "info"),
            ("Level=Error x=y", "error"),
            ("E0115 12:00:00.000000 1 main.go:5] boom", "unknown"),
            ("", "unknown"),
        ] {
            let names = LEVEL_NAMES.map(str::to_owned);
            assert_eq!(detect(&names, std::iter::empty(), &[], line.as_bytes()), level, "{line}");
        }
        let names = ["prio".to_owned()];
        let line = "level=warn prio=err x";
        assert_eq!(detect(&names, std::iter::empty(), &[], line.as_bytes()), "error");
    }
}
