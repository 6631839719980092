//! Functions that alert templates of all programs have in common.

use std::borrow::Cow;

use model::regex::Regex;

use crate::functions::{Arguments, Function};
use crate::humanize;
use crate::value::Value;

/// A function from one text to another.
pub fn text_function(change: fn(&str) -> String) -> Function {
    Function::of(1, move |arguments| text(arguments, 0).map(|text| change(&text).into()))
}

/// The argument `i`, which must be a text; otherwise the error Go's executor gives for a constant.
pub fn text(arguments: &Arguments, i: usize) -> Result<Cow<'_, str>, String> {
    arguments.text(i)
}

/// The functions on texts: `toUpper`, `toLower`, `title`, `match`, `reReplaceAll` and `safeHtml`.
pub fn text_functions() -> Vec<(&'static str, Function)> {
    vec![
        ("toUpper", text_function(upper)),
        ("toLower", text_function(lower)),
        ("title", text_function(title)),
        (
            "match",
            Function::of(2, |arguments| {
                let (pattern, subject) = (text(arguments, 0)?, text(arguments, 1)?);
                let regex = Regex::new(&pattern).map_err(|error| error.to_string())?;
                Ok(regex.is_match(&subject).into())
            }),
        ),
        (
            "reReplaceAll",
            Function::of(3, |arguments| {
                let (pattern, template) = (text(arguments, 0)?, text(arguments, 1)?);
                let regex = Regex::new(&pattern).map_err(|error| {
                    let quoted = if pattern.contains('`') {
                        model::labels::Quoted(&pattern).to_string()
                    } else {
                        format!("`{pattern}`")
                    };
                    format!("regexp: Compile({quoted}): {error}")
                })?;
                Ok(regex.replace_all(&text(arguments, 2)?, &template).into())
            }),
        ),
        ("safeHtml", text_function(str::to_owned)),
    ]
}

/// The function `humanizeDuration`.
pub fn humanize_duration() -> Function {
    Function::of(1, |arguments| {
        humanize::number(arguments.get(0)).map(|number| humanize::humanize_duration(number).into())
    })
}

/// Upper case, one character for one: what has no such form stays, as in Go.
fn upper(text: &str) -> String {
    let one = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(upper), None) => upper,
            _ => c,
        }
    };
    text.chars().map(one).collect()
}

/// The first letter of each word in upper case, the others in lower case.
pub fn title_and_lower(text: &str) -> String {
    title(&lower(text))
}

/// Lower case without the dot that Unicode keeps above a Turkish capital I.
fn lower(text: &str) -> String {
    text.chars().flat_map(|c| if c == 'İ' { 'i'.to_lowercase() } else { c.to_lowercase() }).collect()
}

/// The first letter of each word in upper case, the others as they are.
pub fn title(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut in_word, mut done) = (String::with_capacity(text.len()), false, false);
    for (i, &c) in chars.iter().enumerate() {
        let belongs = is_word(c) || in_word && joins(&chars, i);
        if !belongs {
            (in_word, done) = (false, false);
            out.push(c);
            continue;
        }
        in_word = true;
        if !done && c.is_alphabetic() {
            done = true;
            // Digraphs have a form of their own for titles; Rust's upper case is right for all others.
            match c {
                'ǆ' | 'Ǆ' => out.push('ǅ'),
                'ǉ' | 'Ǉ' => out.push('ǈ'),
                'ǌ' | 'Ǌ' => out.push('ǋ'),
                'ǳ' | 'Ǳ' => out.push('ǲ'),
                'ß' => out.push_str("Ss"),
                c => out.extend(c.to_uppercase()),
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || matches!(c, '\u{300}'..='\u{36f}' | '\u{200d}')
}

/// Whether a mark between two letters, or two digits, does not end the word.
fn joins(chars: &[char], i: usize) -> bool {
    let (Some(&before), Some(&after)) = (i.checked_sub(1).and_then(|i| chars.get(i)), chars.get(i + 1))
    else {
        return false;
    };
    match chars[i] {
        '\'' | '.' | '\u{2018}' | '\u{2019}' | '\u{2024}' => {
            before.is_alphabetic() && after.is_alphabetic() || before.is_numeric() && after.is_numeric()
        }
        ':' | '\u{b7}' | '\u{387}' | '\u{2027}' => before.is_alphabetic() && after.is_alphabetic(),
        ',' | ';' => before.is_numeric() && after.is_numeric(),
        _ => false,
    }
}

/// A text for the query of a URL, as Go escapes it: a space becomes a plus sign.
pub fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Texts of a list, for `join`.
pub fn texts(value: &Value) -> Result<Vec<Vec<u8>>, String> {
    match value.underlying() {
        Value::List(list) => list
            .items
            .iter()
            .map(|item| match item.underlying() {
                Value::String(text) => Ok(text.to_vec()),
                _ => Err(format!("wrong type for value; expected []string; got {}", value.type_name())),
            })
            .collect(),
        _ => Err(format!("wrong type for value; expected []string; got {}", value.type_name())),
    }
}
