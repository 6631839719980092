//! Errors shown under the text they are about.

use std::fmt::Write;

use crate::span::{LineColumn, Span};

/// Lines longer than this are cut to a window around the place of the error.
const MAX_WIDTH: usize = 120;

/// `message` with the line of `text` that `span` starts on and a caret line under it:
///
/// ```text
/// 1:5: unexpected "+"
///   sum(+)
///       ^
/// ```
///
/// Long lines are cut; a span that leaves its line is underlined to the end of the line.
pub fn render(text: &str, span: Span, message: &str) -> String {
    let Some(at) = LineColumn::locate(text, span.start) else {
        return message.to_owned();
    };
    let line_start = span.start - (at.column - 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let first = floor_boundary(line, span.start - line_start);
    let last = floor_boundary(line, span.end.max(span.start) - line_start).max(first);

    let window_start =
        if line.len() <= MAX_WIDTH { 0 } else { floor_boundary(line, first.saturating_sub(MAX_WIDTH / 2)) };
    let window_end = floor_boundary(line, window_start + MAX_WIDTH);
    let shown = line[window_start..window_end].replace('\t', " ");
    let indent = line[window_start..first].chars().count();
    let width = line[first..last.min(window_end).max(first)].chars().count().max(1);

    let mut out = String::new();
    let (lead, trail) = (ellipsis(window_start > 0), ellipsis(window_end < line.len()));
    let gap = " ".repeat(indent + lead.chars().count());
    // Writing to a string cannot fail.
    let _ = write!(out, "{at}: {message}\n  {lead}{shown}{trail}\n  {gap}{}", "^".repeat(width));
    out
}

fn ellipsis(cut: bool) -> &'static str {
    if cut { "…" } else { "" }
}

fn floor_boundary(line: &str, at: usize) -> usize {
    let mut at = at.min(line.len());
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_span() {
        let shown = render("a +\n b{c} + d", Span::new(5, 9), "no");
        assert_eq!(shown, "2:2: no\n   b{c} + d\n   ^^^^");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = render(&text, Span::new(500, 501), "no");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].chars().count() < 130);
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().nth(caret), Some('X'));
    }

    #[test]
    fn places_outside_the_text_and_inside_characters_do_not_panic() {
        assert_eq!(render("ab", Span::new(9, 10), "no"), "no");
        assert!(render("äöü", Span::new(1, 3), "no").starts_with("1:2: no"));
        assert!(render("", Span::new(0, 0), "no").contains('^'));
    }
}
