//! File patterns of the configuration: wildcards in the last path element.

use std::io;
use std::path::{Path, PathBuf};

/// The files that match `pattern`, sorted. A pattern without wildcards matches itself if it exists.
/// `*`, `?` and `[a-z]` are understood in the last path element.
pub fn glob(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(name) = pattern.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    if !name.contains(['*', '?', '[']) {
        return Ok(if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() });
    }
    let dir = match pattern.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        // A directory that is not there holds no files.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?.file_name();
        if entry.to_str().is_some_and(|entry| name_matches(name, entry)) {
            files.push(pattern.with_file_name(entry));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file name matches a pattern as a whole.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Iterative backtracking to the last star: linear in practice, never exponential.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = match_one(&pattern, p, name[n]) {
                    (p, n) = (next, n + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((after, from)) = star else { return false };
        star = Some((after, from + 1));
        (p, n) = (after, from + 1);
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Matches one character against the pattern element at `p`; answers where the next element is.
fn match_one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern[p] {
        '?' => Some(p + 1),
        '\\' if p + 1 < pattern.len() => (pattern[p + 1] == c).then_some(p + 2),
        '[' => {
            let end = p + 1 + pattern[p + 1..].iter().skip(1).position(|&c| c == ']')? + 1;
            let (negated, class) = match pattern[p + 1] {
                '^' | '!' => (true, &pattern[p + 2..end]),
                _ => (false, &pattern[p + 1..end]),
            };
            let mut inside = false;
            let mut i = 0;
            while i < class.len() {
                let range = i + 2 < class.len() && class[i + 1] == '-';
                let high = if range { class[i + 2] } else { class[i] };
                inside |= class[i] <= c && c <= high;
                i += if range { 3 } else { 1 };
            }
            (inside != negated).then_some(end + 1)
        }
        literal => (literal == c).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_names() {
        for (pattern, name) in [
            ("*.yml", "a.yml"),
            ("a*b*c", "aXbYbZc"),
            ("?.json", "x.json"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("*", ""),
            ("a\\*", "a*"),
        ] {
            assert!(name_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.yml", "a.yaml"), ("a*", "ba"), ("?", ""), ("[a-c]x", "dx"), ("[", "[")] {
            assert!(!name_matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_sorted_and_a_missing_directory_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yml", "c.json"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = glob(&dir.path().join("*.yml")).unwrap();
        assert_eq!(found, [dir.path().join("a.yml"), dir.path().join("b.yml")]);
        assert!(glob(&dir.path().join("none/*.yml")).unwrap().is_empty());
        assert!(glob(&dir.path().join("none.yml")).unwrap().is_empty());
    }
}
