//! Character classes: `[...]`, `\d`, `[:alpha:]`, `\pL`.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::RegexError;
use super::escape::{Escaped, parse_escape};
use super::parser::any_char;

const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// The ASCII classes by the names they have between `[:` and `:]`.
const POSIX: [(&str, &[(char, char)]); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", &[('0', '9')]),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

fn class_of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(from, to)| ClassUnicodeRange::new(from, to)))
}

/// Folding comes before negation: `(?i)[^k]` excludes the Kelvin sign.
fn finished(mut class: ClassUnicode, negated: bool, fold_case: bool) -> ClassUnicode {
    if fold_case {
        class.case_fold_simple();
    }
    if negated {
        class.negate();
    }
    class
}

/// The class of `\d`, `\s`, `\w` or their negations. ASCII only.
pub(super) fn perl_class(letter: char, fold_case: bool) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
        'd' => &[('0', '9')],
        's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        'w' => WORD,
        _ => return None,
    };
    Some(finished(class_of(ranges), letter.is_ascii_uppercase(), fold_case))
}

/// Reads the `\pN`, `\p{Greek}`, `\P..` or `\p{^..}` that `text` begins with.
pub(super) fn unicode_class(text: &str, fold_case: bool) -> Result<(ClassUnicode, &str), RegexError> {
    let bad = |text: &str| RegexError::syntax("invalid character class range", text);
    let mut negated = text.starts_with("\\P");
    let after = &text[2..];
    let (name, rest) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(|| bad(text))?,
        None => {
            let first = after.chars().next().ok_or_else(|| bad(text))?;
            after.split_at(first.len_utf8())
        }
    };
    let whole = &text[..text.len() - rest.len()];
    let bare = name.strip_prefix('^').unwrap_or(name);
    negated ^= bare.len() < name.len();
    let class = table(bare).ok_or_else(|| bad(whole))?;
    Ok((finished(class, negated, fold_case), rest))
}

/// Scripts whose full name is as short as the four-letter codes that Go does not know.
const FOUR_LETTER_SCRIPTS: [&str; 6] = ["cham", "kawi", "lisu", "modi", "thai", "toto"];

/// A general category or a script by its name, in any case, ignoring spaces, hyphens and underscores.
fn table(name: &str) -> Option<ClassUnicode> {
    let loose: String = name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect();
    let loose = loose.to_ascii_lowercase();
    // Beyond names: `L&`, properties with values, and the prefix "is", which Go does not skip.
    if loose.is_empty() || !loose.bytes().all(|b| b.is_ascii_alphanumeric()) || loose.starts_with("is") {
        return None;
    }
    match loose.as_str() {
        "any" => return Some(any_char(false)),
        "ascii" => return Some(class_of(&[('\0', '\x7f')])),
        "assigned" => {
            let mut class = property("gc", "cn")?;
            class.negate();
            return Some(class);
        }
        // No text contains a surrogate.
        "cs" | "surrogate" => return Some(ClassUnicode::empty()),
        _ => {}
    }
    property("gc", &loose).or_else(|| {
        let is_code = loose.len() == 4 && !FOUR_LETTER_SCRIPTS.contains(&loose.as_str());
        if is_code { None } else { property("sc", &loose) }
    })
}

fn property(kind: &str, name: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!("\\p{{{kind}={name}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character is simplified to that.
        HirKind::Literal(literal) => {
            let ranges = std::str::from_utf8(&literal.0).ok()?.chars().map(|c| ClassUnicodeRange::new(c, c));
            Some(ClassUnicode::new(ranges))
        }
        _ => None,
    }
}

/// Reads the `[...]` that `text` begins with. Neither set operations nor nested brackets exist: `&&`
/// and `[` stand for themselves.
pub(super) fn parse_bracketed(text: &str, fold_case: bool) -> Result<(ClassUnicode, &str), RegexError> {
    let missing = || RegexError::syntax("missing closing ]", text);
    let bad_range = |text: &str| RegexError::syntax("invalid character class range", text);
    let mut class = ClassUnicode::empty();
    let mut rest = &text[1..];
    let negated = rest.starts_with('^');
    if negated {
        rest = &rest[1..];
    }
    let mut first = true;
    while first || !rest.starts_with(']') {
        first = false;
        if let Some((ranges, posix_negated, after)) = posix(rest)? {
            class.union(&finished(class_of(ranges), posix_negated, fold_case));
            rest = after;
            continue;
        }
        if rest.starts_with("\\p") || rest.starts_with("\\P") {
            let (table, after) = unicode_class(rest, fold_case)?;
            class.union(&table);
            rest = after;
            continue;
        }
        let letter = rest.strip_prefix('\\').and_then(|after| after.chars().next());
        if let Some(perl) = letter.and_then(|letter| perl_class(letter, fold_case)) {
            class.union(&perl);
            rest = &rest[2..];
            continue;
        }
        let start = rest;
        let (from, after) = class_char(rest, missing)?;
        rest = after;
        let mut to = from;
        if rest.starts_with('-') && rest.len() > 1 && !rest.starts_with("-]") {
            (to, rest) = class_char(&rest[1..], missing)?;
            if to < from {
                return Err(bad_range(&start[..start.len() - rest.len()]));
            }
        }
        let mut range = between(from, to);
        if fold_case {
            range.case_fold_simple();
        }
        class.union(&range);
    }
    if negated {
        class.negate();
    }
    Ok((class, &rest[1..]))
}

/// The `[:name:]` that `text` begins with: its ranges, whether it is negated, and what follows.
type Posix<'t> = (&'static [(char, char)], bool, &'t str);

fn posix(text: &str) -> Result<Option<Posix<'_>>, RegexError> {
    let Some((name, rest)) = text.strip_prefix("[:").and_then(|inside| inside.split_once(":]")) else {
        return Ok(None);
    };
    let bare = name.strip_prefix('^').unwrap_or(name);
    match POSIX.iter().find(|(known, _)| *known == bare) {
        Some((_, ranges)) => Ok(Some((ranges, bare.len() < name.len(), rest))),
        None => {
            let whole = &text[..text.len() - rest.len()];
            Err(RegexError::syntax("invalid character class range", whole))
        }
    }
}

/// One character of a class, as a code point, for ranges may end at a surrogate.
fn class_char(text: &str, missing: impl Fn() -> RegexError) -> Result<(u32, &str), RegexError> {
    let Some(c) = text.chars().next() else { return Err(missing()) };
    if c != '\\' {
        return Ok((u32::from(c), &text[c.len_utf8()..]));
    }
    let (escaped, rest) = parse_escape(text)?;
    match escaped {
        Escaped::Char(c) => Ok((u32::from(c), rest)),
        // Which one does not matter for what follows it, since no text contains any.
        Escaped::Surrogate => Ok((0xd800, rest)),
    }
}

fn between(from: u32, to: u32) -> ClassUnicode {
    const SURROGATES: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;
    let from = if SURROGATES.contains(&from) { 0xe000 } else { from };
    let to = if SURROGATES.contains(&to) { 0xd7ff } else { to };
    match (char::from_u32(from), char::from_u32(to)) {
        (Some(from), Some(to)) if from <= to => ClassUnicode::new([ClassUnicodeRange::new(from, to)]),
        _ => ClassUnicode::empty(),
    }
}
