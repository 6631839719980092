//! Patterns of paths: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Alternatives that braces may multiply to.
const MAX_ALTERNATIVES: usize = 256;
/// Directories below each other that `**` goes down.
const MAX_DEPTH: usize = 32;
/// Directory entries one search looks at.
const MAX_VISITED: usize = 1 << 20;

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?}: {problem}")]
pub struct GlobError {
    pattern: String,
    problem: &'static str,
}

/// A pattern of paths.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    alternatives: Vec<Vec<Component>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    Literal(String),
    Wild(Vec<Token>),
    /// `**`
    Directories,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Star,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let fail = |problem| GlobError { pattern: text.to_owned(), problem };
        if text.is_empty() {
            return Err(fail("a pattern of paths cannot be empty"));
        }
        let mut plain = Vec::new();
        expand(text, &mut plain).map_err(fail)?;
        let read = |text: &String| text.split('/').filter(|part| !part.is_empty()).map(component).collect();
        let alternatives = plain.iter().map(read).collect::<Result<_, _>>().map_err(fail)?;
        Ok(Self { text: text.to_owned(), alternatives })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a whole path.
    pub fn matches(&self, path: &Path) -> bool {
        let text = path.to_string_lossy();
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        self.alternatives.iter().any(|pattern| matches_parts(pattern, &parts))
    }

    /// Adds the files that match now, symbolic links to files included. Directories that cannot be read are passed
    /// over.
    pub fn find(&self, found: &mut BTreeSet<PathBuf>) {
        let root = if self.text.starts_with('/') { "/" } else { "." };
        for pattern in &self.alternatives {
            let mut search = Search { found, visited: 0 };
            search.descend(Path::new(root), pattern, 0);
        }
    }
}

/// Writes out braces.
fn expand(text: &str, into: &mut Vec<String>) -> Result<(), &'static str> {
    let Some(open) = text.find('{') else {
        into.push(text.to_owned());
        return if into.len() > MAX_ALTERNATIVES { Err("too many alternatives in braces") } else { Ok(()) };
    };
    let (mut depth, mut from, mut close) = (0_usize, open + 1, None);
    let mut choices = Vec::new();
    for (at, c) in text[open..].char_indices().map(|(at, c)| (at + open, c)) {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    choices.push(&text[from..at]);
                    close = Some(at);
                    break;
                }
            }
            ',' if depth == 1 => {
                choices.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    let Some(close) = close else { return Err("a brace is not closed") };
    if choices.len() > MAX_ALTERNATIVES {
        return Err("too many alternatives in braces");
    }
    for choice in choices {
        expand(&format!("{}{choice}{}", &text[..open], &text[close + 1..]), into)?;
    }
    Ok(())
}

fn component(text: &str) -> Result<Component, &'static str> {
    if text == "**" {
        return Ok(Component::Directories);
    }
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '[' => class(&mut chars)?,
            '\\' => Token::Char(chars.next().ok_or("nothing follows the backslash")?),
            c => Token::Char(c),
        });
    }
    let literal = tokens.iter().map(|token| if let Token::Char(c) = token { Some(*c) } else { None });
    Ok(match literal.collect::<Option<String>>() {
        Some(name) => Component::Literal(name),
        None => Component::Wild(tokens),
    })
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    let negated = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
    let mut ranges = Vec::new();
    loop {
        let low = chars.next().ok_or("a bracket is not closed")?;
        if low == ']' && !ranges.is_empty() {
            return Ok(Token::Class { negated, ranges });
        }
        let mut high = low;
        if chars.peek() == Some(&'-') {
            chars.next();
            match chars.peek() {
                Some(&c) if c != ']' => {
                    high = c;
                    chars.next();
                }
                // A hyphen at the end means itself.
                _ => ranges.push(('-', '-')),
            }
        }
        ranges.push((low, high));
    }
}

impl Component {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Wild(tokens) => matches_tokens(tokens, name),
            Self::Directories => true,
        }
    }
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any | Self::Star => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != *negated
            }
        }
    }
}

/// Goes back only to the last star, so the time is bounded by the product of both lengths.
fn matches_tokens(tokens: &[Token], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(token) {
            Some(Token::Star) => {
                star = Some((token + 1, at));
                token += 1;
            }
            Some(other) if other.matches(name[at]) => {
                token += 1;
                at += 1;
            }
            _ => match &mut star {
                Some((behind, from)) => {
                    *from += 1;
                    (token, at) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    tokens[token..].iter().all(|token| *token == Token::Star)
}

fn matches_parts(pattern: &[Component], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, _) => parts.is_empty(),
        (Some((Component::Directories, rest)), None) => rest.is_empty(),
        (Some((Component::Directories, rest)), Some((_, behind))) => {
            matches_parts(rest, parts) || matches_parts(pattern, behind)
        }
        (Some((component, rest)), Some((part, behind))) => {
            component.matches(part) && matches_parts(rest, behind)
        }
        (Some(_), None) => false,
    }
}

struct Search<'a> {
    found: &'a mut BTreeSet<PathBuf>,
    visited: usize,
}

impl Search<'_> {
    fn descend(&mut self, dir: &Path, pattern: &[Component], depth: usize) {
        let Some((component, rest)) = pattern.split_first() else { return };
        match component {
            Component::Literal(name) => self.take(dir.join(name), rest, depth),
            Component::Wild(_) => {
                for entry in self.list(dir) {
                    if component.matches(&entry.file_name().to_string_lossy()) {
                        self.take(entry.path(), rest, depth);
                    }
                }
            }
            Component::Directories => {
                self.descend(dir, rest, depth);
                for entry in self.list(dir) {
                    // Links to directories may lead in a circle.
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    if is_dir && depth < MAX_DEPTH {
                        self.descend(&entry.path(), pattern, depth + 1);
                    } else if !is_dir && rest.is_empty() {
                        self.take(entry.path(), rest, depth);
                    }
                }
            }
        }
    }

    fn take(&mut self, path: PathBuf, rest: &[Component], depth: usize) {
        if !rest.is_empty() {
            self.descend(&path, rest, depth);
        } else if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            self.found.insert(path);
        }
    }

    fn list(&mut self, dir: &Path) -> Vec<std::fs::DirEntry> {
        let left = MAX_VISITED.saturating_sub(self.visited);
        let entries: Vec<_> = std::fs::read_dir(dir)
            .map(|entries| entries.filter_map(Result::ok).take(left).collect())
            .unwrap_or_default();
        self.visited += entries.len();
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "/var/log/deep/a.log", false),
            ("/var/log/**/*.log", "/var/log/a.log", true),
            ("/var/log/**/*.log", "/var/log/x/y/a.log", true),
            ("/var/log/**", "/var/log/x/y", true),
            ("/var/log/{syslog,messages}", "/var/log/messages", true),
            ("/var/log/{a,b{1,2}}.log", "/var/log/b2.log", true),
            ("/var/log/{a,b{1,2}}.log", "/var/log/b3.log", false),
            ("/l/[a-c]?[!x].log", "/l/bzy.log", true),
            ("/l/[a-c]?[!x].log", "/l/bzx.log", false),
            ("/l/[]a-]", "/l/-", true),
            ("/l/a\\*", "/l/a*", true),
            ("/l/a\\*", "/l/ab", false),
            ("/l/*a*b*c", "/l/xxaxxbxbxc", true),
            ("/l/*é?", "/l/caféx", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(Path::new(path)), expected, "{pattern} {path}");
        }
        for bad in ["", "/a/[b", "/a/{b", "/a/b\\"] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
        assert!(Glob::new(&"{a,b}".repeat(9)).is_err());
    }

    #[test]
    fn files_are_found_and_links_to_directories_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("x/y")).unwrap();
        for name in ["a.log", "x/b.log", "x/y/c.log", "x/y/c.txt"] {
            std::fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("x/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("x/y/c.txt"), root.join("linked.log")).unwrap();
        let find = |pattern: &str| {
            let mut found = BTreeSet::new();
            Glob::new(&format!("{}/{pattern}", root.display())).unwrap().find(&mut found);
            let name = |path: &PathBuf| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(find("**/*.log"), ["a.log", "linked.log", "x/b.log", "x/y/c.log"]);
        assert_eq!(find("*/*/c.*"), ["x/y/c.log", "x/y/c.txt"]);
        assert_eq!(find("x/**"), ["x/b.log", "x/y/c.log", "x/y/c.txt"]);
        assert!(find("none/*").is_empty());
    }
}
