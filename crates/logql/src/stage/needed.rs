//! What a line must contain for a filter of labels behind a parser to let it pass.
//!
//! `| json | status="500"` can only hold where the line has `500` in it, or an escape that may stand for it. Searching a page for
//! that is many times faster than taking lines apart.

use model::MatchOp;
use model::logs::ByteColumn;

use super::line;
use crate::ast::{LabelFilter, LineFilter, LineOp, LineOperand, Parser, Stage};

/// A label with a value that is asked for.
#[derive(Debug)]
pub(crate) struct Needed {
    /// The label. Where a stream or an entry has it of its own, the line need not.
    pub label: String,
    /// What the line must match.
    line: line::Filter,
    /// The same where there are no escapes.
    plain: line::Filter,
}

impl Needed {
    /// Takes rows whose lines cannot pass out of `rows`, which are ascending.
    pub fn retain(&self, lines: &ByteColumn, rows: &mut Vec<u32>) {
        let has_escapes = memchr::memchr(b'\\', &lines.bytes).is_some();
        if has_escapes { &self.line } else { &self.plain }.retain(lines, rows);
    }
}

/// What filters behind the parsers of a pipeline need, up to the stage that changes lines or sets labels.
pub(crate) fn needed(stages: &[Stage]) -> Vec<Needed> {
    let (mut found, mut is_parsed) = (Vec::new(), false);
    for stage in stages {
        match stage {
            Stage::Parser(Parser::Unpack)
            | Stage::LineFormat(_)
            | Stage::LabelFormat(_)
            | Stage::Decolorize => break,
            Stage::Parser(_) => is_parsed = true,
            Stage::LabelFilter(filter) if is_parsed => collect(filter, &mut found),
            Stage::LabelFilter(_) | Stage::LineFilter(_) | Stage::Drop(_) | Stage::Keep(_) => {}
        }
    }
    found
}

fn collect(filter: &LabelFilter, found: &mut Vec<Needed>) {
    match filter {
        LabelFilter::And(left, right) => {
            collect(left, found);
            collect(right, found);
        }
        LabelFilter::Text(matcher)
            if matcher.op == MatchOp::Equal
                && !matcher.name.starts_with("__")
                && is_plain(&matcher.value) =>
        {
            let operand = |text: &str| LineOperand { text: text.to_owned(), is_ip: false };
            let filter = |alternatives| line::Filter::new(&LineFilter { op: LineOp::Contains, alternatives });
            let plain = filter(vec![operand(&matcher.value)]);
            let line = filter(vec![operand(&matcher.value), operand("\\")]);
            // Plain strings always make filters.
            if let (Ok(plain), Ok(line)) = (plain, line) {
                found.push(Needed { label: matcher.name.clone(), line, plain });
            }
        }
        _ => {}
    }
}

/// Whether a value stands in a line as it is, unless it is escaped: what parsers put in the place of something else, as
/// a space for what is no text, is not.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(query: &str) -> Vec<String> {
        let log = crate::parse_log(query).unwrap();
        needed(&log.stages).into_iter().map(|needed| needed.label).collect()
    }

    #[test]
    fn only_what_lines_must_have_is_needed() {
        let none: [&str; 0] = [];
        assert_eq!(labels(r#"{a="b"} | json | status="500""#), ["status"]);
        assert_eq!(labels(r#"{a="b"} |= "x" | logfmt | drop c | x="1", y="2" | z="3""#), ["x", "y", "z"]);
        assert_eq!(labels(r#"{a="b"} | status="500" | json"#), none);
        assert_eq!(labels(r#"{a="b"} | json | status="500" or status="404""#), none);
        assert_eq!(labels(r#"{a="b"} | json | status!="500""#), none);
        assert_eq!(labels(r#"{a="b"} | json | status="""#), none);
        assert_eq!(labels(r#"{a="b"} | json | msg="two words""#), none);
        assert_eq!(labels(r#"{a="b"} | json | __error__="JSONParserErr""#), none);
        assert_eq!(labels(r#"{a="b"} | json | label_format status="500" | status="500""#), none);
        assert_eq!(labels(r#"{a="b"} | unpack | json | status="500""#), none);
    }

    #[test]
    fn escapes_may_stand_for_anything() {
        let log = crate::parse_log(r#"{a="b"} | json | status="500""#).unwrap();
        let [needed] = &needed(&log.stages)[..] else { panic!("one is needed") };
        let left = |lines: &[&str]| {
            let ends = lines.iter().scan(0, |end, line| {
                *end += line.len() as u32;
                Some(*end)
            });
            let offsets = [0].into_iter().chain(ends).collect();
            let column = ByteColumn { bytes: lines.concat().into(), offsets };
            let mut rows = (0..lines.len() as u32).collect();
            needed.retain(&column, &mut rows);
            rows
        };
        assert_eq!(left(&[r#"{"status":500}"#, "{}", r#"{"code":"500"}"#]), [0, 2]);
        assert_eq!(left(&["{}", r#"{"status":"\u0035\u0030\u0030"}"#, r#"{"status":500}"#, "50"]), [1, 2]);
    }
}
