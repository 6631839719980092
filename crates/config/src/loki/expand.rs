//! Variables of the environment in a configuration file: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign.

use crate::error::Fault;
use crate::yaml::Pos;

/// The text with its variables replaced; those that are not set are empty unless they have a default.
pub fn expand(text: &str, value_of: &dyn Fn(&str) -> Option<String>) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find('$') {
        let dollar = at + found;
        out.push_str(&text[at..dollar]);
        let rest = &text[dollar + 1..];
        if rest.starts_with('$') {
            out.push('$');
            at = dollar + 2;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end =
                inner.find('}').ok_or_else(|| fault(text, dollar, "variable without a closing brace"))?;
            out.push_str(&value(text, dollar, &inner[..end], value_of)?);
            at = dollar + 2 + end + 1;
        } else {
            out.push('$');
            at = dollar + 1;
        }
    }
    out.push_str(&text[at..]);
    Ok(out)
}

fn value(
    text: &str,
    at: usize,
    inner: &str,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Fault> {
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() {
        return Err(fault(text, at, "variable without a name"));
    }
    let found = value_of(name);
    let default = match rest {
        "" => return Ok(found.unwrap_or_default()),
        rest => rest.strip_prefix(":-").or_else(|| rest.strip_prefix(":=")),
    };
    match (default, rest.strip_prefix(['-', '='])) {
        (Some(default), _) => {
            Ok(found.filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()))
        }
        (None, Some(default)) => Ok(found.unwrap_or_else(|| default.to_owned())),
        (None, None) => Err(fault(text, at, "only ${NAME} and ${NAME:-default} are replaced")),
    }
}

fn fault(text: &str, at: usize, message: &str) -> Fault {
    let line = 1 + text[..at].matches('\n').count();
    Fault::new(Pos { start: at, end: at + 1, line }, message).remedy("write $$ for a dollar sign")
}
