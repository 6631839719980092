//! Which files are older parts of a log: `app.log.1`, `app.log-20260101.gz`, `app-2026-01-01.log.zst`.

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or more.
    Gzip,
    /// Zstandard, of one frame or more.
    Zstd,
}

impl Compression {
    /// What the end of a name says, and the name without it.
    pub fn of(name: &str) -> (&str, Self) {
        for (ending, compression) in [(".gz", Self::Gzip), (".zst", Self::Zstd)] {
            if let Some(rest) = name.strip_suffix(ending) {
                return (rest, compression);
            }
        }
        (name, Self::None)
    }
}

/// Digits a date has that stands before the ending of a name. Fewer could number programs.
const DATE_DIGITS: usize = 8;

/// The name of the log that a file with this name would be an older part of.
pub fn live_name(name: &str) -> Option<(String, Compression)> {
    let (plain, compression) = Compression::of(name);
    if let Some(live) = plain.strip_suffix(".old") {
        return Some((live.to_owned(), compression)).filter(|(live, _)| !live.is_empty());
    }
    // `app.log.1`, `app.log-20260101`, `app.log.2026-01-01_00`
    let live = plain.trim_end_matches(is_stamp);
    let stamp = &plain[live.len()..];
    if stamp.starts_with(['.', '-', '_']) && stamp.contains(|c: char| c.is_ascii_digit()) && !live.is_empty()
    {
        return Some((live.to_owned(), compression));
    }
    // `app-2026-01-01.log`, `app.2026-01-01.3.log`
    if let Some((stem, ending)) = plain.rsplit_once('.')
        && !ending.is_empty()
    {
        let live = stem.trim_end_matches(is_stamp);
        let stamp = &stem[live.len()..];
        let digits = stamp.chars().filter(char::is_ascii_digit).count();
        if stamp.starts_with(['.', '-', '_']) && digits >= DATE_DIGITS && !live.is_empty() {
            return Some((format!("{live}.{ending}"), compression));
        }
    }
    (compression != Compression::None && !plain.is_empty()).then(|| (plain.to_owned(), compression))
}

fn is_stamp(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | 'T' | 'Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_older_parts_lead_to_the_log() {
        use Compression::*;
        for (name, expected) in [
            ("syslog.1", Some(("syslog", None))),
            ("syslog.2.gz", Some(("syslog", Gzip))),
            ("app.log-20260101.zst", Some(("app.log", Zstd))),
            ("app.log.2026-01-01T00", Some(("app.log", None))),
            ("app-2026-01-01.log", Some(("app.log", None))),
            ("app.2026-01-01.3.log.gz", Some(("app.log", Gzip))),
            ("app.log.old", Some(("app.log", None))),
            ("app.log.gz", Some(("app.log", Gzip))),
            ("app.log", Option::None),
            ("app-1.log", Option::None),
            ("syslog", Option::None),
            (".1", Option::None),
            (".gz", Option::None),
        ] {
            let expected = expected.map(|(live, compression)| (live.to_owned(), compression));
            assert_eq!(live_name(name), expected, "{name}");
        }
    }
}
