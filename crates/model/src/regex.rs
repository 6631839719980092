//! Regular expressions as the field uses them: Go's syntax and semantics (RE2).
//!
//! [`AnchoredRegex`] must match a whole value, as matchers and relabelling do, and recognises the
//! patterns that need no automaton. [`Regex`] searches anywhere. In reading order: `parser` (with
//! `escape` and `class`), `strategy` (patterns without automaton), `template` (replacements).

use std::sync::{Arc, OnceLock};

use regex_automata::meta;
use regex_automata::util::captures::Captures as Slots;
use regex_automata::util::syntax;
use regex_syntax::hir::{Hir, Look};

use parser::{Flags, Parsed, parse};
use strategy::Strategy;

mod class;
mod escape;
mod literals;
mod parser;
mod strategy;
mod template;

#[cfg(test)]
mod tests;

/// A pattern that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegexError {
    /// The message, worded as Go's `regexp/syntax` does.
    pub message: String,
}

impl RegexError {
    fn syntax(what: &str, at: &str) -> Self {
        Self { message: format!("error parsing regexp: {what}: `{at}`") }
    }
}

/// Bytes of one automaton, beyond which a pattern is refused: `(((x{1000})...` within Go's limits of
/// repetition could otherwise take gigabytes.
const MAX_AUTOMATON_BYTES: usize = 64 << 20;
/// Bytes of lazily built states that one thread may keep for one pattern. Many patterns live long, so
/// this is a fraction of the library's default.
const LAZY_STATES_BYTES: usize = 256 << 10;

fn compile(hir: &Hir, pattern: &str) -> Result<meta::Regex, RegexError> {
    let config = meta::Config::new()
        .nfa_size_limit(Some(MAX_AUTOMATON_BYTES))
        .hybrid_cache_capacity(LAZY_STATES_BYTES)
        .dfa(false);
    meta::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().utf8(true))
        .build_from_hir(hir)
        .map_err(|_| RegexError::syntax("expression too large", pattern))
}

/// A pattern that must match the whole value, with `.` matching newlines too. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct AnchoredRegex(Arc<Anchored>);

#[derive(Debug)]
struct Anchored {
    pattern: Box<str>,
    parsed: Parsed,
    strategy: Strategy,
    /// Literal that every match begins with.
    prefix: Box<str>,
    /// Built at once where the strategy needs it, else when captures are first asked for.
    program: OnceLock<meta::Regex>,
}

/// Patterns up to this size that need no automaton get one only when captures are asked for.
const SMALL_PATTERN_BYTES: usize = 1024;

impl AnchoredRegex {
    /// Compiles `pattern`, placed textually in `^(?s:` `)$`: with that, `a)(b` is legal. A pattern that
    /// stands on its own is also taken where the placement would break it (`\Qa`), as label matchers
    /// take it.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let parsed = parse_anchored(pattern)?;
        let (strategy, prefix) = Strategy::of(&parsed.hir, pattern);
        let program = OnceLock::new();
        let is_small = pattern.len() <= SMALL_PATTERN_BYTES;
        if matches!(strategy, Strategy::Automaton) || !parsed.names.is_empty() && !is_small {
            let compiled = compile(&parsed.hir, pattern)?;
            program.get_or_init(|| compiled);
        }
        let (pattern, prefix) = (pattern.into(), prefix.into());
        Ok(Self(Arc::new(Anchored { pattern, parsed, strategy, prefix, program })))
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// Whether the whole of `value` matches.
    pub fn is_match(&self, value: &str) -> bool {
        match self.0.strategy.is_match(value) {
            Some(answer) => answer,
            None => value.starts_with(&*self.0.prefix) && self.0.program().is_match(value),
        }
    }

    /// The complete set of strings that match, in ascending order, when it is finite and small or the
    /// pattern lists its members. Storage engines look these up instead of scanning all values. The
    /// empty string may be among them: it also stands for an absent label.
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.0.strategy {
            Strategy::Set(set) => Some(set),
            _ => None,
        }
    }

    /// A literal every match begins with; empty when there is none.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Whether every value matches, the empty one included.
    pub fn matches_everything(&self) -> bool {
        matches!(self.0.strategy, Strategy::Everything)
    }

    /// The groups of a match of the whole of `value`.
    pub fn captures<'r, 'v>(&'r self, value: &'v str) -> Option<Captures<'r, 'v>> {
        let names = &self.0.parsed.names;
        if names.is_empty() {
            return self.is_match(value).then(|| Captures {
                value,
                names,
                spans: vec![Some((0, value.len()))],
            });
        }
        if self.0.strategy.is_match(value) == Some(false) {
            return None;
        }
        captures_from(self.0.program(), names, value)
    }
}

impl Anchored {
    fn program(&self) -> &meta::Regex {
        self.program.get_or_init(|| {
            compile(&self.parsed.hir, &self.pattern)
                .expect("a small pattern whose expansion is bounded makes a small automaton")
        })
    }
}

fn parse_anchored(pattern: &str) -> Result<Parsed, RegexError> {
    let flags = Flags { dot_matches_newline: true, ..Flags::default() };
    let (hir, names) = match parse(pattern, flags) {
        Ok(parsed) => (parsed.hir, parsed.names),
        // The error of the pattern itself is the one that tells its author what to change.
        Err(error) => return parse(&format!("^(?s:{pattern})$"), Flags::default()).map_err(|_| error),
    };
    Ok(Parsed { hir: Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]), names })
}

/// The groups of one match.
#[derive(Debug, Clone)]
pub struct Captures<'r, 'v> {
    value: &'v str,
    names: &'r [Option<String>],
    spans: Vec<Option<(usize, usize)>>,
}

impl<'v> Captures<'_, 'v> {
    /// Number of groups, with group 0, the whole match.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Never: there is always group 0.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The byte offsets of a group; `None` when it took no part in the match or does not exist.
    pub fn span(&self, group: usize) -> Option<(usize, usize)> {
        self.spans.get(group).copied().flatten()
    }

    /// The text of a group; `None` when it took no part in the match or does not exist.
    pub fn get(&self, group: usize) -> Option<&'v str> {
        self.span(group).map(|(start, end)| &self.value[start..end])
    }

    /// The text of the first group of this name that took part in the match.
    pub fn name(&self, name: &str) -> Option<&'v str> {
        let named = |(at, candidate): (usize, &Option<String>)| {
            if candidate.as_deref() == Some(name) { self.get(at + 1) } else { None }
        };
        self.names.iter().enumerate().find_map(named)
    }

    /// Appends `template` to `out`, with `$1`, `$name` and `${name}` replaced by the groups (by nothing
    /// where there is none) and `$$` by a dollar sign.
    pub fn expand(&self, template: &str, out: &mut String) {
        template::expand(template, out, |index| self.get(index), |name| self.name(name));
    }
}

fn captures_from<'r, 'v>(
    program: &meta::Regex,
    names: &'r [Option<String>],
    value: &'v str,
) -> Option<Captures<'r, 'v>> {
    let mut slots = program.create_captures();
    program.captures(value, &mut slots);
    slots.is_match().then(|| captures_of(&slots, names, value))
}

fn captures_of<'r, 'v>(slots: &Slots, names: &'r [Option<String>], value: &'v str) -> Captures<'r, 'v> {
    let span = |group| slots.get_group(group).map(|span| (span.start, span.end));
    Captures { value, names, spans: (0..=names.len()).map(span).collect() }
}

/// A pattern that is searched for anywhere in a text. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Regex(Arc<Unanchored>);

#[derive(Debug)]
struct Unanchored {
    pattern: Box<str>,
    names: Vec<Option<String>>,
    program: meta::Regex,
    literals: Option<Vec<Vec<u8>>>,
}

impl Regex {
    /// Compiles `pattern`.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let parsed = parse(pattern, Flags::default())?;
        let program = compile(&parsed.hir, pattern)?;
        let literals = literals::required(&parsed.hir);
        Ok(Self(Arc::new(Unanchored { pattern: pattern.into(), names: parsed.names, program, literals })))
    }

    /// Byte strings one of which every text with a match contains, none of them empty. `None` where that cannot be
    /// told: storage that skips what cannot match then must look at everything.
    pub fn required_literals(&self) -> Option<&[Vec<u8>]> {
        self.0.literals.as_deref()
    }

    /// As [`Regex::is_match`], of bytes that need not be UTF-8.
    pub fn is_match_bytes(&self, bytes: &[u8]) -> bool {
        self.0.program.is_match(bytes)
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// The names of the groups from group 1 on; `None` for unnamed ones.
    pub fn names(&self) -> &[Option<String>] {
        &self.0.names
    }

    /// Whether there is a match anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.program.is_match(text)
    }

    /// The groups of the first match.
    pub fn captures<'r, 'v>(&'r self, text: &'v str) -> Option<Captures<'r, 'v>> {
        captures_from(&self.0.program, &self.0.names, text)
    }

    /// The groups of all matches that do not overlap, in order. An empty match directly behind another
    /// match is left out.
    pub fn find_all<'r, 'v>(&'r self, text: &'v str) -> impl Iterator<Item = Captures<'r, 'v>> + use<'r, 'v> {
        self.0.program.captures_iter(text).map(move |slots| captures_of(&slots, &self.0.names, text))
    }

    /// `text` with every match replaced by `template`, expanded as [`Captures::expand`] does.
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
        for captures in self.find_all(text) {
            let Some((start, end)) = captures.span(0) else { continue };
            out.push_str(&text[copied..start]);
            captures.expand(template, &mut out);
            copied = end;
        }
        out.push_str(&text[copied..]);
        out
    }
}
