//! Line filters. Those at the beginning of a pipeline run over the bytes of a whole page: a search for a string goes
//! through all lines at once, and lines without a match are never looked at on their own.

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;
use model::logs::{ByteColumn, LogHint};
use model::regex::Regex;

use super::ip::Addresses;
use super::pattern;
use crate::ast::{LineFilter, LineOp};

/// A line filter, ready to run.
#[derive(Debug)]
pub(crate) struct Filter {
    negated: bool,
    any: Vec<Test>,
    /// Byte strings one of which every line that matches contains.
    literals: Option<Vec<Vec<u8>>>,
    search: Option<Search>,
}

#[derive(Debug)]
enum Test {
    /// Every line.
    Everything,
    Contains(Box<Finder<'static>>),
    Regex(Regex),
    Ip(Addresses),
    Pattern(pattern::Template),
}

/// Finds where a line may match, over many lines at once.
#[derive(Debug)]
enum Search {
    One(Box<Finder<'static>>),
    Many(Box<AhoCorasick>),
}

impl Filter {
    pub fn new(filter: &LineFilter) -> Result<Self, String> {
        let mut any = Vec::with_capacity(filter.alternatives.len());
        let mut literals = Some(Vec::new());
        for operand in &filter.alternatives {
            let test = if operand.is_ip {
                if !matches!(filter.op, LineOp::Contains | LineOp::NotContains) {
                    return Err("ip: invalid operation".to_owned());
                }
                Test::Ip(Addresses::new(&operand.text)?)
            } else {
                test(filter.op, &operand.text)?
            };
            match (test.literals(), &mut literals) {
                (Some(found), Some(all)) => all.extend(found),
                _ => literals = None,
            }
            any.push(test);
        }
        let search = literals.as_deref().and_then(Search::new);
        Ok(Self { negated: filter.op.is_negated(), any, literals, search })
    }

    /// What every line that passes contains.
    pub fn hint(&self) -> Option<LogHint> {
        let literals = self.literals.as_ref().filter(|literals| !self.negated && !literals.is_empty())?;
        Some(LogHint::LineContains(literals.iter().map(|literal| literal.clone().into()).collect()))
    }

    /// Whether a line passes.
    pub fn matches(&self, line: &[u8]) -> bool {
        self.any.iter().any(|test| test.matches(line)) != self.negated
    }

    /// Whether finding one of the literals already is a match.
    fn is_plain(&self) -> bool {
        self.any.iter().all(|test| matches!(test, Test::Contains(_)))
    }

    /// Takes rows that do not pass out of `rows`, which are ascending.
    pub fn retain(&self, lines: &ByteColumn, rows: &mut Vec<u32>) {
        let (Some(first), Some(last)) = (rows.first().copied(), rows.last().copied()) else { return };
        let Some(search) = &self.search else {
            rows.retain(|row| self.matches(lines.get(*row as usize)));
            return;
        };
        // The rows a literal is found in, as one walk over the bytes from the first row to the last.
        let (start, end) =
            (lines.offsets[first as usize] as usize, lines.offsets[last as usize + 1] as usize);
        let bytes = &lines.bytes[start..end];
        let (mut from, mut kept, mut reading) = (0, 0, 0);
        let is_plain = self.is_plain();
        while reading < rows.len() {
            let hit = search.find(bytes, from).map(|(at, end)| (at + start, end + start));
            let Some((hit_start, hit_end)) = hit else { break };
            // Rows before the one the hit begins in hold none.
            let passed =
                rows[reading..].partition_point(|row| lines.offsets[*row as usize + 1] as usize <= hit_start);
            if self.negated {
                rows.copy_within(reading..reading + passed, kept);
                kept += passed;
            }
            reading += passed;
            let Some(&row) = rows.get(reading) else { break };
            let (row_start, row_end) =
                (lines.offsets[row as usize] as usize, lines.offsets[row as usize + 1] as usize);
            if hit_start < row_start {
                // In a row that is out already.
                from = row_start - start;
                continue;
            }
            if hit_end > row_end {
                // Across the border of two rows: neither holds it here.
                from = hit_start + 1 - start;
                continue;
            }
            let passes = if is_plain { !self.negated } else { self.matches(lines.get(row as usize)) };
            if passes {
                rows[kept] = row;
                kept += 1;
            }
            reading += 1;
            from = row_end - start;
        }
        if self.negated {
            let rest = rows.len() - reading;
            rows.copy_within(reading.., kept);
            kept += rest;
        }
        rows.truncate(kept);
    }
}

fn test(op: LineOp, text: &str) -> Result<Test, String> {
    Ok(match op {
        LineOp::Contains | LineOp::NotContains if text.is_empty() => Test::Everything,
        LineOp::Contains | LineOp::NotContains => {
            Test::Contains(Box::new(Finder::new(text.as_bytes()).into_owned()))
        }
        LineOp::Match | LineOp::NotMatch => {
            Test::Regex(Regex::new(text).map_err(|problem| problem.to_string())?)
        }
        LineOp::Pattern | LineOp::NotPattern => Test::Pattern(pattern::Template::filter(text)?),
    })
}

impl Test {
    fn matches(&self, line: &[u8]) -> bool {
        match self {
            Self::Everything => true,
            Self::Contains(finder) => finder.find(line).is_some(),
            Self::Regex(regex) => regex.is_match_bytes(line),
            Self::Ip(addresses) => addresses.is_in(line),
            Self::Pattern(template) => template.matches(line),
        }
    }

    fn literals(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Everything | Self::Ip(_) => None,
            Self::Contains(finder) => Some(vec![finder.needle().to_vec()]),
            Self::Regex(regex) => regex.required_literals().map(<[Vec<u8>]>::to_vec),
            Self::Pattern(template) => template.longest_literal().map(|literal| vec![literal.to_vec()]),
        }
    }
}

impl Search {
    fn new(literals: &[Vec<u8>]) -> Option<Self> {
        match literals {
            [] => None,
            _ if literals.iter().any(Vec::is_empty) => None,
            [one] => Some(Self::One(Box::new(Finder::new(one).into_owned()))),
            many => AhoCorasick::new(many).ok().map(|automaton| Self::Many(Box::new(automaton))),
        }
    }

    /// The first hit from a place on, as start and end.
    fn find(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let rest = bytes.get(from..)?;
        match self {
            Self::One(finder) => finder.find(rest).map(|at| (from + at, from + at + finder.needle().len())),
            Self::Many(automaton) => automaton.find(rest).map(|hit| (from + hit.start(), from + hit.end())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::LineOperand;

    fn filter(op: LineOp, texts: &[&str]) -> Filter {
        let operand = |text: &&str| LineOperand { text: (*text).to_owned(), is_ip: false };
        Filter::new(&LineFilter { op, alternatives: texts.iter().map(operand).collect() }).unwrap()
    }

    fn column(lines: &[&str]) -> ByteColumn {
        let mut offsets = vec![0];
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            offsets.push(bytes.len() as u32);
        }
        ByteColumn { bytes: bytes.into(), offsets }
    }

    #[test]
    fn columns_and_single_lines_agree() {
        let lines = ["", "abc", "xab", "cx", "ab", "", "abcabc", "b", "c", "zabc", "\u{e9}abx"];
        let column = column(&lines);
        let all = [
            filter(LineOp::Contains, &["abc"]),
            filter(LineOp::NotContains, &["abc"]),
            filter(LineOp::Contains, &["abc", "x"]),
            filter(LineOp::NotContains, &["abc", "x"]),
            filter(LineOp::Match, &["ab.*c"]),
            filter(LineOp::NotMatch, &["ab.*c", "^x"]),
            filter(LineOp::Match, &["a|b"]),
            filter(LineOp::Contains, &[""]),
            filter(LineOp::NotMatch, &[""]),
            filter(LineOp::Pattern, &["<_>ab<_>"]),
        ];
        let selections: [Vec<u32>; 3] =
            [(0..lines.len() as u32).collect(), vec![1, 3, 6, 9], vec![2, 4, 5, 10]];
        for (at, filter) in all.iter().enumerate() {
            for selection in &selections {
                let mut rows = selection.clone();
                filter.retain(&column, &mut rows);
                let expected: Vec<u32> = selection
                    .iter()
                    .copied()
                    .filter(|row| filter.matches(lines[*row as usize].as_bytes()))
                    .collect();
                assert_eq!(rows, expected, "filter {at} of {selection:?}");
            }
        }
    }
}
