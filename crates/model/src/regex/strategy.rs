//! Patterns that need no automaton: finite sets of strings, and strings joined by gaps (`foo.*bar`).
//!
//! A pattern is expanded into sequences of literals and gaps, one of which must match the whole value.
//! That covers literals, alternations, small classes, `.*foo.*`, `.+` and the empty pattern in any
//! nesting. A case-insensitive pattern is expanded over case-folded text, and values are folded
//! before they are compared.

use std::collections::BTreeMap;

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look, Repetition};

use super::parser::folded_char;

/// How to tell whether a value matches.
#[derive(Debug)]
pub(super) enum Strategy {
    /// Every value does.
    Everything,
    /// These do, in ascending order.
    Set(Vec<String>),
    /// These do, and those that fit a glob.
    Globs { literals: Vec<String>, globs: Vec<Glob> },
    /// Those do whose folded form fits.
    Folded { table: FoldTable, folded: Box<Strategy> },
    /// Only an automaton can tell.
    Automaton,
}

/// Sequences a pattern may expand to, unless it lists more alternatives itself.
const MAX_SEQUENCES: usize = 256;
/// Globs tried one after the other; with more an automaton is faster.
const MAX_GLOBS: usize = 32;
/// Bytes an expansion may take per byte of a long pattern, for the places where strings are kept.
const BUDGET_PER_PATTERN_BYTE: usize = 64;
/// Bytes an expansion may take in any case.
const MIN_BUDGET_BYTES: usize = 256 << 10;

impl Strategy {
    /// The strategy for `hir`, which must match whole values, and the literal all matches begin with.
    pub(super) fn of(hir: &Hir, pattern: &str) -> (Self, String) {
        let alternatives = 1 + pattern.bytes().filter(|&b| b == b'|').count();
        let expander = |fold| Expander {
            fold,
            max_sequences: MAX_SEQUENCES.max(alternatives),
            budget_bytes: MIN_BUDGET_BYTES.max(BUDGET_PER_PATTERN_BYTE * pattern.len()),
        };
        let exact = expander(None).strategy(hir);
        if let Some((strategy @ (Self::Everything | Self::Set(_)), prefix)) = exact {
            return (strategy, prefix);
        }
        let exact_globs = exact.as_ref().map_or(usize::MAX, |(strategy, _)| strategy.globs());
        if exact_globs > 1 {
            let mut folding = expander(Some(FoldTable::default()));
            if let Some((folded, _)) = folding.strategy(hir)
                && folded.globs() < exact_globs
                && let Some(table) = folding.fold
            {
                return (Self::Folded { table, folded: Box::new(folded) }, String::new());
            }
        }
        exact.unwrap_or_else(|| (Self::Automaton, leading_literal(hir)))
    }

    fn globs(&self) -> usize {
        match self {
            Self::Globs { globs, .. } => globs.len(),
            _ => 0,
        }
    }

    /// Whether `value` matches; `None` where only an automaton can tell.
    pub(super) fn is_match(&self, value: &str) -> Option<bool> {
        Some(match self {
            Self::Everything => true,
            Self::Set(set) => contains(set, value),
            Self::Globs { literals, globs } => {
                contains(literals, value) || globs.iter().any(|glob| glob.is_match(value))
            }
            Self::Folded { table, folded } => {
                return table.with_folded(value, |value| folded.is_match(value));
            }
            Self::Automaton => return None,
        })
    }
}

fn contains(sorted: &[String], value: &str) -> bool {
    match sorted {
        [] => false,
        [only] => only == value,
        _ => sorted.binary_search_by(|candidate| candidate.as_str().cmp(value)).is_ok(),
    }
}

/// Literals in order with gaps between them, at least one gap.
#[derive(Debug)]
pub(super) struct Glob {
    prefix: String,
    /// Literals with the least number of characters in the gap before each.
    middle: Vec<(usize, Finder<'static>)>,
    /// The least number of characters between the last of those and the suffix.
    last_gap: usize,
    suffix: String,
}

impl Glob {
    /// Taking each literal at the first place it occurs is enough, for gaps have no upper limit.
    fn is_match(&self, value: &str) -> bool {
        let inner =
            value.strip_prefix(self.prefix.as_str()).and_then(|v| v.strip_suffix(self.suffix.as_str()));
        let Some(mut rest) = inner else { return false };
        for (gap, literal) in &self.middle {
            let Some(after_gap) = skip_chars(rest, *gap) else { return false };
            let Some(at) = literal.find(after_gap.as_bytes()) else { return false };
            rest = &after_gap[at + literal.needle().len()..];
        }
        skip_chars(rest, self.last_gap).is_some()
    }
}

fn skip_chars(text: &str, count: usize) -> Option<&str> {
    let mut chars = text.chars();
    for _ in 0..count {
        chars.next()?;
    }
    Some(chars.as_str())
}

/// Maps characters to the one that stands for all that differ in case only. ASCII letters stand in
/// lower case; of other characters only those the pattern holds are known, for no others can match.
#[derive(Debug, Default)]
pub(super) struct FoldTable(BTreeMap<char, char>);

impl FoldTable {
    /// The representative of `c`, remembering all it stands for.
    fn learn(&mut self, c: char) -> char {
        let members: Vec<char> = chars_of(&folded_char(c)).collect();
        let ascii = members.iter().find(|m| m.is_ascii()).map(char::to_ascii_lowercase);
        let representative = ascii.or_else(|| members.first().copied()).unwrap_or(c);
        self.0.extend(members.into_iter().filter(|m| !m.is_ascii()).map(|m| (m, representative)));
        representative
    }

    fn with_folded<T>(&self, value: &str, then: impl FnOnce(&str) -> T) -> T {
        // Label values are mostly short and ASCII: those are folded without allocating.
        let mut short = [0_u8; 128];
        if value.is_ascii()
            && let Some(folded) = short.get_mut(..value.len())
        {
            folded.copy_from_slice(value.as_bytes());
            folded.make_ascii_lowercase();
            if let Ok(folded) = std::str::from_utf8(folded) {
                return then(folded);
            }
        }
        let fold = |c: char| match c.is_ascii() {
            true => c.to_ascii_lowercase(),
            false => self.0.get(&c).copied().unwrap_or(c),
        };
        then(&value.chars().map(fold).collect::<String>())
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    /// At least so many characters, any.
    Gap(usize),
    Start,
    End,
}

type Sequence = Vec<Piece>;

struct Expander {
    /// Present when text is to be folded.
    fold: Option<FoldTable>,
    max_sequences: usize,
    budget_bytes: usize,
}

impl Expander {
    fn strategy(&mut self, hir: &Hir) -> Option<(Strategy, String)> {
        let sequences = self.expand(hir)?;
        let sequences: Vec<Sequence> = sequences.into_iter().map(normalized).collect::<Option<_>>()?;
        let prefix = common_prefix(&sequences).to_owned();
        let (mut literals, mut globs) = (Vec::new(), Vec::new());
        for sequence in sequences {
            match as_literal(&sequence) {
                Some(literal) => literals.push(literal.to_owned()),
                None if sequence == [Piece::Gap(0)] => return Some((Strategy::Everything, String::new())),
                None => globs.push(sequence),
            }
        }
        literals.sort_unstable();
        literals.dedup();
        if globs.is_empty() {
            return Some((Strategy::Set(literals), prefix));
        }
        if globs.len() > MAX_GLOBS {
            return None;
        }
        let globs = globs.into_iter().map(glob).collect();
        Some((Strategy::Globs { literals, globs }, prefix))
    }

    fn expand(&mut self, hir: &Hir) -> Option<Vec<Sequence>> {
        let sequences = match hir.kind() {
            HirKind::Empty => vec![vec![]],
            HirKind::Look(Look::Start) => vec![vec![Piece::Start]],
            HirKind::Look(Look::End) => vec![vec![Piece::End]],
            HirKind::Look(_) => return None,
            HirKind::Literal(literal) => vec![vec![self.literal(std::str::from_utf8(&literal.0).ok()?)?]],
            HirKind::Class(class) => self.class(class)?,
            HirKind::Repetition(repetition) => self.repetition(repetition)?,
            HirKind::Capture(capture) => self.expand(&capture.sub)?,
            HirKind::Concat(parts) => {
                let mut product = vec![vec![]];
                for part in parts {
                    let expanded = self.expand(part)?;
                    product = self.product(&product, &expanded)?;
                }
                product
            }
            HirKind::Alternation(branches) => {
                let mut union = Vec::new();
                for branch in branches {
                    union.extend(self.expand(branch)?);
                    self.check_number(union.len())?;
                }
                union
            }
        };
        self.check_number(sequences.len())?;
        Some(sequences)
    }

    fn check_number(&self, sequences: usize) -> Option<()> {
        (sequences <= self.max_sequences).then_some(())
    }

    fn product(&mut self, left: &[Sequence], right: &[Sequence]) -> Option<Vec<Sequence>> {
        self.check_number(left.len().checked_mul(right.len())?)?;
        let mut product = Vec::with_capacity(left.len() * right.len());
        for head in left {
            for tail in right {
                let joined = [head.as_slice(), tail].concat();
                self.budget_bytes = self.budget_bytes.checked_sub(cost_bytes(&joined))?;
                product.push(joined);
            }
        }
        Some(product)
    }

    fn repetition(&mut self, repetition: &Repetition) -> Option<Vec<Sequence>> {
        if is_any_char(&repetition.sub) && repetition.max.is_none() {
            return Some(vec![vec![Piece::Gap(repetition.min as usize)]]);
        }
        let once = self.expand(&repetition.sub)?;
        match (repetition.min, repetition.max) {
            (0, Some(1)) => Some(std::iter::once(vec![]).chain(once).collect()),
            (min, Some(max)) if min == max => {
                let mut product = vec![vec![]];
                for _ in 0..min {
                    product = self.product(&product, &once)?;
                }
                Some(product)
            }
            _ => None,
        }
    }

    fn literal(&mut self, text: &str) -> Option<Piece> {
        // Over folded text, a character that is meant in one case only cannot be expressed.
        if self.fold.is_some() && text.chars().any(|c| chars_of(&folded_char(c)).nth(1).is_some()) {
            return None;
        }
        Some(Piece::Literal(text.to_owned()))
    }

    fn class(&mut self, class: &Class) -> Option<Vec<Sequence>> {
        let Class::Unicode(class) = class else { return None };
        let number: usize = class.ranges().iter().map(|range| range.len()).sum();
        if number > self.max_sequences {
            return None;
        }
        let mut chars: Vec<char> = chars_of(class).collect();
        if let Some(table) = &mut self.fold {
            let mut closed = class.clone();
            closed.case_fold_simple();
            if closed != *class {
                return None;
            }
            chars = chars.into_iter().map(|c| table.learn(c)).collect();
            chars.sort_unstable();
            chars.dedup();
        }
        Some(chars.into_iter().map(|c| vec![Piece::Literal(c.to_string())]).collect())
    }
}

fn chars_of(class: &ClassUnicode) -> impl Iterator<Item = char> + '_ {
    class.ranges().iter().flat_map(|range| range.start()..=range.end())
}

fn is_any_char(hir: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
        return matches!(hir.kind(), HirKind::Capture(capture) if is_any_char(&capture.sub));
    };
    matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
}

fn cost_bytes(sequence: &[Piece]) -> usize {
    let text = |piece: &Piece| if let Piece::Literal(text) = piece { text.len() } else { 0 };
    sequence.iter().map(|piece| size_of::<Piece>() + text(piece)).sum()
}

/// Joins neighbours of a kind and drops anchors that stand where a value begins and ends anyway. An
/// anchor elsewhere is left to the automaton.
fn normalized(sequence: Sequence) -> Option<Sequence> {
    let mut joined: Sequence = Vec::with_capacity(sequence.len());
    let mut ended = false;
    for piece in sequence {
        match (piece, joined.last_mut()) {
            (Piece::Literal(text), _) if text.is_empty() => {}
            (Piece::Start, None) => {}
            (Piece::Start, Some(_)) => return None,
            (Piece::End, _) => ended = true,
            _ if ended => return None,
            (Piece::Literal(text), Some(Piece::Literal(before))) => before.push_str(&text),
            (Piece::Gap(min), Some(Piece::Gap(before))) => *before += min,
            (piece, _) => joined.push(piece),
        }
    }
    Some(joined)
}

fn as_literal(sequence: &[Piece]) -> Option<&str> {
    match sequence {
        [] => Some(""),
        [Piece::Literal(text)] => Some(text),
        _ => None,
    }
}

fn glob(sequence: Sequence) -> Glob {
    let mut glob = Glob { prefix: String::new(), middle: Vec::new(), last_gap: 0, suffix: String::new() };
    let last = sequence.len() - 1;
    for (at, piece) in sequence.into_iter().enumerate() {
        match piece {
            Piece::Literal(text) if at == 0 => glob.prefix = text,
            Piece::Literal(text) if at == last => glob.suffix = text,
            Piece::Literal(text) => {
                let gap = std::mem::take(&mut glob.last_gap);
                glob.middle.push((gap, Finder::new(text.as_bytes()).into_owned()));
            }
            Piece::Gap(min) => glob.last_gap = min,
            Piece::Start | Piece::End => {}
        }
    }
    glob
}

fn common_prefix(sequences: &[Sequence]) -> &str {
    let first_literal = |sequence: &'_ Sequence| match sequence.first() {
        Some(Piece::Literal(text)) => text.len(),
        _ => 0,
    };
    let Some(Piece::Literal(first)) = sequences.first().and_then(|sequence| sequence.first()) else {
        return "";
    };
    let mut common = first.as_str();
    for sequence in sequences {
        let Some(Piece::Literal(text)) = sequence.first().filter(|_| first_literal(sequence) > 0) else {
            return "";
        };
        let same = common.chars().zip(text.chars()).take_while(|(a, b)| a == b);
        common = &common[..same.map(|(c, _)| c.len_utf8()).sum()];
    }
    common
}

/// The literal every match of `hir` begins with, as far as it is easily seen.
fn leading_literal(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).unwrap_or_default(),
        HirKind::Capture(capture) => leading_literal(&capture.sub),
        HirKind::Concat(parts) => {
            let mut prefix = String::new();
            for part in parts {
                match part.kind() {
                    HirKind::Look(Look::Start) if prefix.is_empty() => {}
                    HirKind::Literal(_) => prefix.push_str(&leading_literal(part)),
                    HirKind::Capture(_) => {
                        // What follows a group follows its end, which only a literal group shows.
                        prefix.push_str(&leading_literal(part));
                        break;
                    }
                    _ => break,
                }
            }
            prefix
        }
        _ => String::new(),
    }
}
