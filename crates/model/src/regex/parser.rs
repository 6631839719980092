//! Go's regular expression syntax (RE2 with Perl extensions), parsed to the automata's own form.
//!
//! Rust's syntax differs in what classes mean (`\w` is Unicode there), what is an error and what
//! nests, so patterns are parsed here rather than rewritten: what Go refuses is refused, with Go's
//! words. The parser keeps its own stack, so that depth costs no call frames.

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::RegexError;
use super::class::{parse_bracketed, perl_class, unicode_class};
use super::escape::{Escaped, parse_escape};

/// The highest number in a repetition, and the highest product of nested ones.
const MAX_REPEAT: u32 = 1000;
/// How deep expressions may nest.
const MAX_HEIGHT: u32 = 1000;

/// A parsed pattern.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) hir: Hir,
    /// Names of the groups from group 1 on. They are kept out of `hir` because Go lets a name recur.
    pub(super) names: Vec<Option<String>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) fold_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_matches_newline: bool,
    pub(super) swap_greed: bool,
}

/// Part of an expression, with what Go limits.
struct Item {
    hir: Hir,
    height: u32,
    /// The product of nested repetition counts.
    repeats: u32,
}

impl Item {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, repeats: 1 }
    }
}

/// An open group, or the whole pattern.
struct Group {
    /// Finished alternatives.
    branches: Vec<Item>,
    /// The alternative being read.
    items: Vec<Item>,
    /// Its number, if it captures.
    capture: Option<u32>,
    /// Flags to return to at its end.
    outer_flags: Flags,
}

impl Group {
    fn new(capture: Option<u32>, outer_flags: Flags) -> Self {
        Self { branches: Vec::new(), items: Vec::new(), capture, outer_flags }
    }

    fn end_branch(&mut self) {
        let branch = join(std::mem::take(&mut self.items), Hir::concat);
        self.branches.push(branch);
    }

    fn close(mut self) -> Item {
        self.end_branch();
        let mut item = join(self.branches, Hir::alternation);
        if let Some(index) = self.capture {
            item.hir = Hir::capture(Capture { index, name: None, sub: Box::new(item.hir) });
            item.height += 1;
        }
        item
    }
}

fn join(mut items: Vec<Item>, joined: impl Fn(Vec<Hir>) -> Hir) -> Item {
    if items.len() == 1
        && let Some(only) = items.pop()
    {
        return only;
    }
    let height = 1 + items.iter().map(|item| item.height).max().unwrap_or(0);
    let repeats = items.iter().map(|item| item.repeats).max().unwrap_or(1);
    Item { hir: joined(items.into_iter().map(|item| item.hir).collect()), height, repeats }
}

/// Parses `pattern` with initial `flags`.
pub(super) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, RegexError> {
    let mut parser =
        Parser { pattern, rest: pattern, flags, groups: vec![Group::new(None, flags)], names: Vec::new() };
    parser.run()?;
    let whole = parser.groups.pop();
    let (Some(whole), true) = (whole, parser.groups.is_empty()) else {
        return Err(RegexError::syntax("missing closing )", pattern));
    };
    let item = whole.close();
    if item.height > MAX_HEIGHT {
        return Err(RegexError::syntax("expression nests too deeply", pattern));
    }
    Ok(Parsed { hir: item.hir, names: parser.names })
}

struct Parser<'p> {
    pattern: &'p str,
    rest: &'p str,
    flags: Flags,
    groups: Vec<Group>,
    names: Vec<Option<String>>,
}

impl<'p> Parser<'p> {
    fn run(&mut self) -> Result<(), RegexError> {
        // The text from the repetition operator read just before, if there was one.
        let mut last_repeat: Option<&'p str> = None;
        while let Some(c) = self.rest.chars().next() {
            let start = self.rest;
            let mut repeat = None;
            match c {
                '(' if start.starts_with("(?") => self.open_flagged()?,
                '(' => {
                    self.bump(1);
                    self.open(None);
                }
                ')' => self.close()?,
                '|' => {
                    self.bump(1);
                    self.top().end_branch();
                }
                '^' => self.anchor(Look::Start, Look::StartLF),
                '$' => self.anchor(Look::End, Look::EndLF),
                '.' => {
                    self.bump(1);
                    let dot = any_char(!self.flags.dot_matches_newline);
                    self.push(Hir::class(Class::Unicode(dot)));
                }
                '[' => {
                    let (class, rest) = parse_bracketed(start, self.flags.fold_case)?;
                    self.rest = rest;
                    self.push(Hir::class(Class::Unicode(class)));
                }
                '*' | '+' | '?' | '{' => match counts(start)? {
                    Some((min, max, rest)) => {
                        self.rest = rest;
                        self.repeat(start, min, max, last_repeat)?;
                        repeat = Some(start);
                    }
                    None => self.literal_char(c),
                },
                '\\' => self.escape()?,
                _ => self.literal_char(c),
            }
            last_repeat = repeat;
        }
        Ok(())
    }

    fn bump(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn top(&mut self) -> &mut Group {
        self.groups.last_mut().expect("closing the outermost group is refused")
    }

    fn push(&mut self, hir: Hir) {
        self.top().items.push(Item::leaf(hir));
    }

    fn literal_char(&mut self, c: char) {
        self.bump(c.len_utf8());
        self.push_literal(c);
    }

    fn push_literal(&mut self, c: char) {
        let hir = if self.flags.fold_case {
            Hir::class(Class::Unicode(folded_char(c)))
        } else {
            Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes())
        };
        self.push(hir);
    }

    fn anchor(&mut self, text: Look, line: Look) {
        self.bump(1);
        let look = if self.flags.multi_line { line } else { text };
        self.push(Hir::look(look));
    }

    fn open(&mut self, name: Option<String>) {
        self.names.push(name);
        let index = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.groups.push(Group::new(Some(index), self.flags));
    }

    fn close(&mut self) -> Result<(), RegexError> {
        if self.groups.len() == 1 {
            return Err(RegexError::syntax("unexpected )", self.pattern));
        }
        if let Some(group) = self.groups.pop() {
            self.bump(1);
            self.flags = group.outer_flags;
            let item = group.close();
            self.top().items.push(item);
        }
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` or `(?flags:`.
    fn open_flagged(&mut self) -> Result<(), RegexError> {
        let start = self.rest;
        for prefix in ["(?P<", "(?<"] {
            // With nothing behind it, it is no name that begins.
            let Some(after) = start.strip_prefix(prefix).filter(|after| !after.is_empty()) else { continue };
            let Some(end) = after.find('>') else {
                return Err(RegexError::syntax("invalid named capture", start));
            };
            let name = &after[..end];
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                let until_name_ends = &start[..prefix.len() + end + 1];
                return Err(RegexError::syntax("invalid named capture", until_name_ends));
            }
            self.bump(prefix.len() + end + 1);
            self.open(Some(name.to_owned()));
            return Ok(());
        }
        let mut flags = self.flags;
        let (mut on, mut any_flag) = (true, false);
        for (at, c) in start.char_indices().skip(2) {
            let flag = match c {
                'i' => &mut flags.fold_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_matches_newline,
                'U' => &mut flags.swap_greed,
                '-' if on => {
                    (on, any_flag) = (false, false);
                    continue;
                }
                ':' | ')' if on || any_flag => {
                    if c == ':' {
                        self.groups.push(Group::new(None, self.flags));
                    }
                    self.flags = flags;
                    self.bump(at + 1);
                    return Ok(());
                }
                _ => return Err(bad_perl(&start[..at + c.len_utf8()])),
            };
            *flag = on;
            any_flag = true;
        }
        Err(bad_perl(start))
    }

    fn repeat(
        &mut self,
        start: &str,
        min: u32,
        max: Option<u32>,
        last_repeat: Option<&str>,
    ) -> Result<(), RegexError> {
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.bump(1);
        }
        let operator = &start[..start.len() - self.rest.len()];
        if let Some(last) = last_repeat {
            let both = &last[..last.len() - self.rest.len()];
            return Err(RegexError::syntax("invalid nested repetition operator", both));
        }
        let greedy = lazy == self.flags.swap_greed;
        let Some(item) = self.top().items.pop() else {
            return Err(RegexError::syntax("missing argument to repetition operator", operator));
        };
        let mut repeats = item.repeats;
        if operator.starts_with('{') {
            repeats = match (max, min) {
                (Some(0), _) => 0,
                (Some(count), _) | (None, count @ 1..) => item.repeats.max(1).saturating_mul(count),
                (None, 0) => item.repeats,
            };
            if (min >= 2 || max.is_some_and(|max| max >= 2)) && repeats > MAX_REPEAT {
                return Err(RegexError::syntax("invalid repeat count", operator));
            }
        }
        let height = item.height + 1;
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(item.hir) });
        self.top().items.push(Item { hir, height, repeats });
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexError> {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            text.chars().for_each(|c| self.push_literal(c));
            self.rest = rest;
            return Ok(());
        }
        let mut chars = self.rest.chars();
        let (_, letter) = (chars.next(), chars.next());
        let look = match letter {
            Some('A') => Some(Look::Start),
            Some('z') => Some(Look::End),
            Some('b') => Some(Look::WordAscii),
            Some('B') => Some(Look::WordAsciiNegate),
            _ => None,
        };
        if let Some(look) = look {
            self.rest = chars.as_str();
            self.push(Hir::look(look));
            return Ok(());
        }
        if let Some(class) = letter.and_then(|letter| perl_class(letter, self.flags.fold_case)) {
            self.rest = chars.as_str();
            self.push(Hir::class(Class::Unicode(class)));
            return Ok(());
        }
        if let Some('p' | 'P') = letter {
            let (class, rest) = unicode_class(self.rest, self.flags.fold_case)?;
            self.rest = rest;
            self.push(Hir::class(Class::Unicode(class)));
            return Ok(());
        }
        let (escaped, rest) = parse_escape(self.rest)?;
        self.rest = rest;
        match escaped {
            Escaped::Char(c) => self.push_literal(c),
            Escaped::Surrogate => self.push(Hir::fail()),
        }
        Ok(())
    }
}

fn bad_perl(text: &str) -> RegexError {
    RegexError::syntax("invalid or unsupported Perl syntax", text)
}

/// The least and the greatest count, and what follows the operator.
type Counts<'t> = (u32, Option<u32>, &'t str);

/// The counts of the repetition operator `text` begins with, and what follows it; `None` where a brace
/// stands for itself.
fn counts(text: &str) -> Result<Option<Counts<'_>>, RegexError> {
    let after = &text[1..];
    match text.as_bytes()[0] {
        b'*' => return Ok(Some((0, None, after))),
        b'+' => return Ok(Some((1, None, after))),
        b'?' => return Ok(Some((0, Some(1), after))),
        _ => {}
    }
    let Some((inside, rest)) = after.split_once('}') else { return Ok(None) };
    let (min, max) = match inside.split_once(',') {
        None => (inside, Some(inside)),
        Some((min, "")) => (min, None),
        Some((min, max)) => (min, Some(max)),
    };
    let (Some(min), Some(max)) = (count(min), max.map_or(Some(None), |max| count(max).map(Some))) else {
        return Ok(None);
    };
    if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || min > max) {
        let operator = &text[..text.len() - rest.len()];
        return Err(RegexError::syntax("invalid repeat count", operator));
    }
    Ok(Some((min, max, rest)))
}

/// A number without leading zeros; one too big for its type counts as far too big.
fn count(digits: &str) -> Option<u32> {
    let well_formed = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    well_formed.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// Every character, perhaps without the newline.
pub(super) fn any_char(without_newline: bool) -> ClassUnicode {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]);
    if without_newline {
        class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
    }
    class
}

/// A character and those that differ from it in case only.
pub(super) fn folded_char(c: char) -> ClassUnicode {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    class.case_fold_simple();
    class
}
