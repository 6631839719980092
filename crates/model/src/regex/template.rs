//! Replacement templates: `$1`, `$name`, `${name}` and `$$`, as Go expands them.

/// Appends `template` to `out`, replacing references by what `group` answers for them; what it does
/// not know becomes nothing. A name is the longest run of letters, digits and underscores, so `$1x` is
/// the group named `1x`.
pub(super) fn expand<'v>(
    template: &str,
    out: &mut String,
    by_index: impl Fn(usize) -> Option<&'v str>,
    by_name: impl Fn(&str) -> Option<&'v str>,
) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(escaped) = after.strip_prefix('$') {
            out.push('$');
            rest = escaped;
            continue;
        }
        let Some((name, tail)) = reference(after) else {
            // Malformed: the dollar stands for itself.
            out.push('$');
            rest = after;
            continue;
        };
        let is_number =
            name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
        let value = if is_number { name.parse().ok().and_then(&by_index) } else { by_name(name) };
        out.push_str(value.unwrap_or_default());
        rest = tail;
    }
    out.push_str(rest);
}

/// The name after a dollar sign, and what follows the reference.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (braced, inside) = match text.strip_prefix('{') {
        Some(inside) => (true, inside),
        None => (false, text),
    };
    let end = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
    let (name, tail) = inside.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced { tail.strip_prefix('}').map(|tail| (name, tail)) } else { Some((name, tail)) }
}
