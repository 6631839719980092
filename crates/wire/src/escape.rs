//! Names beyond the legacy characters, written for those who know only these.

use std::borrow::Cow;
use std::fmt::Write;

use model::labels::is_legacy_metric_name;

/// How names with other than the legacy characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Escaping {
    /// As they are, in quotes.
    #[default]
    AllowUtf8,
    /// Every other character becomes `_`. Cannot be undone.
    Underscores,
    /// `.` becomes `_dot_`, `_` becomes `__`, every other character too.
    Dots,
    /// A `U__` before the name, and the code point of every other character between underscores.
    Values,
}

impl Escaping {
    /// The name in headers and configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The escaping called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values].into_iter().find(|e| e.name() == name)
    }

    /// `name`, escaped.
    pub fn apply(self, name: &str) -> Cow<'_, str> {
        if self == Self::AllowUtf8 || name.is_empty() {
            return name.into();
        }
        // Dots escapes underscores too, so that legacy names with any change as well.
        if self != Self::Dots && is_legacy_metric_name(name) {
            return name.into();
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (i, c) in name.chars().enumerate() {
            self.push(&mut out, c, i == 0);
        }
        out.into()
    }

    fn push(self, out: &mut String, c: char, first: bool) {
        let legacy = c.is_ascii_alphabetic() || c == '_' || c == ':' || (c.is_ascii_digit() && !first);
        match self {
            Self::AllowUtf8 => out.push(c),
            Self::Underscores => out.push(if legacy { c } else { '_' }),
            Self::Dots | Self::Values if c == '_' => out.push_str("__"),
            Self::Dots if c == '.' => out.push_str("_dot_"),
            Self::Dots | Self::Values if legacy => out.push(c),
            Self::Dots => out.push_str("__"),
            Self::Values => {
                // Writing to a string cannot fail.
                let _ = write!(out, "_{:x}_", u32::from(c));
            }
        }
    }
}

/// Undoes [`Escaping::Values`]; a name that is not of that form comes back as it is.
pub fn unescape_values(name: &str) -> Cow<'_, str> {
    let decoded = name.strip_prefix("U__").and_then(decode_values);
    decoded.map_or(Cow::Borrowed(name), Cow::Owned)
}

fn decode_values(mut rest: &str) -> Option<String> {
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // Two underscores stand for one; else a code point follows up to the next underscore.
        let (code, after) = rest.split_once('_')?;
        out.push(if code.is_empty() { '_' } else { char::from_u32(u32::from_str_radix(code, 16).ok()?)? });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::Escaping::{AllowUtf8, Dots, Underscores, Values};
    use super::unescape_values;

    #[test]
    fn each_scheme_has_its_own_spelling() {
        for (name, underscores, dots, values) in [
            ("no:escaping_required", "no:escaping_required", "no:escaping__required", "no:escaping_required"),
            (
                "mysystem.prod.west.cpu.load",
                "mysystem_prod_west_cpu_load",
                "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
                "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load",
            ),
            ("http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"),
            ("label with 😱", "label_with__", "label__with____", "U__label_20_with_20__1f631_"),
            ("0a", "_a", "__a", "U___30_a"),
        ] {
            assert_eq!(AllowUtf8.apply(name), name);
            assert_eq!(Underscores.apply(name), underscores);
            assert_eq!(Dots.apply(name), dots);
            assert_eq!(Values.apply(name), values);
            assert_eq!(unescape_values(values), name);
        }
    }
}
