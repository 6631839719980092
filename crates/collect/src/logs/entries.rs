//! Bytes of a file to entries: lines, joined where an entry has several, cut where one is too long.
//!
//! What is cut depends on the bytes alone and not on how many of them are seen at once, so that the same range of a
//! file gives the same entries whenever it is read.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use regex::bytes::Regex;

/// How lines are joined.
#[derive(Debug, Clone)]
pub struct Multiline {
    /// A line that matches begins an entry; those behind it that do not match belong to it.
    pub start: Arc<Regex>,
    /// Lines of one entry; 0 for any number.
    pub max_lines: usize,
}

impl Multiline {
    /// Joins lines to those that match a pattern, so many at most.
    pub fn new(pattern: &str, max_lines: usize) -> Result<Self, regex::Error> {
        Ok(Self { start: Arc::new(Regex::new(pattern)?), max_lines })
    }
}

/// How bytes become entries.
#[derive(Debug, Clone)]
pub struct EntryOptions {
    /// Bytes of an entry; what is longer becomes several.
    pub max_bytes: usize,
    /// How lines are joined, if they are.
    pub multiline: Option<Multiline>,
}

/// What is known of what follows the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// More may come at any time.
    Open,
    /// Lines belong to no later ones any more; an unfinished line still waits for its end.
    Settled,
    /// Nothing will come: what is there is all.
    Closed,
}

/// Entries of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Where each entry lies.
    pub entries: Vec<Range<usize>>,
    /// Bytes up to the end of the last entry, its line feed included. The others are held.
    pub consumed: usize,
    /// Entries that were cut off because they were too long.
    pub split: u64,
}

impl Cut {
    /// Leaves the entries behind the first ones for later.
    pub fn keep(&mut self, count: usize) {
        if let Some(next) = self.entries.get(count) {
            self.consumed = next.start;
            self.entries.truncate(count);
        }
    }
}

/// Bytes that are needed beyond the longest entry to see whether it is complete.
pub const LOOKAHEAD_BYTES: usize = 4;

/// Cuts bytes into entries.
pub fn cut(bytes: &[u8], options: &EntryOptions, ending: Ending) -> Cut {
    let mut cut = Cut::default();
    // The group of lines that is being joined: where it begins, where it ends, and its number of lines.
    let mut group: Option<(Range<usize>, usize)> = None;
    let mut at = 0;
    while at < bytes.len() {
        let Some(line) = next_line(&bytes[at..], options.max_bytes, ending) else { break };
        let text = at..at + line.text;
        let fits = |group: &Range<usize>| text.end - group.start <= options.max_bytes;
        let joined = options.multiline.as_ref().zip(group.as_mut()).filter(|(multiline, (range, lines))| {
            let has_room = multiline.max_lines == 0 || *lines < multiline.max_lines;
            has_room && fits(range) && !multiline.start.is_match(&bytes[text.clone()])
        });
        match joined {
            Some((_, (range, lines))) => {
                range.end = text.end;
                *lines += 1;
            }
            None => {
                cut.entries.extend(group.take().map(|(range, _)| range));
                cut.consumed = at;
                group = Some((text, 1));
            }
        }
        cut.split += u64::from(line.is_split);
        at += line.whole;
        // What is cut off is an entry of its own, and so is every line where none are joined.
        if options.multiline.is_none() || line.is_split {
            cut.entries.extend(group.take().map(|(range, _)| range));
            cut.consumed = at;
        }
    }
    if ending != Ending::Open
        && let Some((range, _)) = group
    {
        cut.entries.push(range);
        cut.consumed = at;
    }
    cut
}

struct Line {
    /// Bytes of text.
    text: usize,
    /// Bytes with what ends the line.
    whole: usize,
    is_split: bool,
}

fn next_line(bytes: &[u8], max_bytes: usize, ending: Ending) -> Option<Line> {
    let window = &bytes[..bytes.len().min(max_bytes + 2)];
    if let Some(feed) = memchr::memchr(b'\n', window) {
        let text = if feed > 0 && bytes[feed - 1] == b'\r' { feed - 1 } else { feed };
        if text <= max_bytes {
            return Some(Line { text, whole: feed + 1, is_split: false });
        }
    }
    if bytes.len() > max_bytes + 1 || (ending == Ending::Closed && bytes.len() > max_bytes) {
        let text = boundary(bytes, max_bytes);
        return Some(Line { text, whole: text, is_split: true });
    }
    (ending == Ending::Closed).then_some(Line { text: bytes.len(), whole: bytes.len(), is_split: false })
}

/// The last place up to `at` where no character is cut in two.
fn boundary(bytes: &[u8], at: usize) -> usize {
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // Bytes that are no text have no boundaries to keep.
    (at.saturating_sub(3)..=at).rev().find(|&at| at > 0 && !is_inside(at)).unwrap_or(at)
}

/// An entry as text: what is not UTF-8 is replaced, and nothing is longer than `max_bytes`.
pub fn text(bytes: &Bytes, range: Range<usize>, max_bytes: usize) -> Bytes {
    let entry = bytes.slice(range);
    match String::from_utf8_lossy(&entry) {
        std::borrow::Cow::Borrowed(_) => entry,
        std::borrow::Cow::Owned(mut text) => {
            // A replacement is longer than what it stands for.
            text.truncate(boundary(text.as_bytes(), max_bytes.min(text.len())));
            text.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(max_bytes: usize) -> EntryOptions {
        EntryOptions { max_bytes, multiline: None }
    }

    fn joined(max_bytes: usize, max_lines: usize) -> EntryOptions {
        let multiline = Multiline::new("^[0-9]", max_lines).unwrap();
        EntryOptions { max_bytes, multiline: Some(multiline) }
    }

    fn texts(bytes: &str, options: &EntryOptions, ending: Ending) -> (Vec<String>, usize) {
        let cut = cut(bytes.as_bytes(), options, ending);
        (cut.entries.into_iter().map(|range| bytes[range].to_owned()).collect(), cut.consumed)
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn lines_end_at_feeds_and_the_unfinished_one_waits() {
        assert_eq!(texts("a\nb\r\n\nc", &plain(100), Ending::Open), (owned(&["a", "b", ""]), 6));
        assert_eq!(texts("a\nc", &plain(100), Ending::Settled), (owned(&["a"]), 2));
        assert_eq!(texts("a\nc", &plain(100), Ending::Closed), (owned(&["a", "c"]), 3));
        assert_eq!(texts("a\nc\r", &plain(100), Ending::Closed), (owned(&["a", "c\r"]), 4));
        assert_eq!(texts("", &plain(100), Ending::Closed), (vec![], 0));
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(texts("abcdefgh\nx\n", &plain(3), Ending::Open), (owned(&["abc", "def", "gh", "x"]), 11));
        assert_eq!(texts("abc\r\nabc\n", &plain(3), Ending::Open), (owned(&["abc", "abc"]), 9));
        assert_eq!(texts("aéé\n", &plain(2), Ending::Open), (owned(&["a", "é", "é"]), 6));
        // Whether the line is too long cannot be told yet.
        assert_eq!(texts("abc", &plain(3), Ending::Open), (vec![], 0));
        assert_eq!(texts("abc\r", &plain(3), Ending::Open), (vec![], 0));
        assert_eq!(cut(b"abcdefg\n", &plain(3), Ending::Open).split, 2);
    }

    #[test]
    fn lines_that_begin_no_entry_belong_to_the_one_before() {
        let options = joined(100, 10);
        let trace = "  at x\n1 a\n  at b\n  at c\n2 d\n";
        assert_eq!(texts(trace, &options, Ending::Open), (owned(&["  at x", "1 a\n  at b\n  at c"]), 25));
        let all = owned(&["  at x", "1 a\n  at b\n  at c", "2 d"]);
        assert_eq!(texts(trace, &options, Ending::Settled), (all, 29));
        assert_eq!(texts("1\na\nb\nc\n2\n", &joined(100, 2), Ending::Open).0, owned(&["1\na", "b\nc"]));
        assert_eq!(texts("1\naaa\nbbb\n2\n", &joined(5, 10), Ending::Open).0, owned(&["1\naaa", "bbb"]));
    }

    #[test]
    fn the_same_bytes_give_the_same_entries_however_many_are_seen() {
        let content = "1 first\n  more\r\n\n2 été très long, plus long que permis\n  x\n3\n4 end".repeat(3);
        let bytes = content.as_bytes();
        for options in [plain(9), plain(1000), joined(9, 3), joined(40, 2), joined(1000, 100)] {
            let whole = cut(bytes, &options, Ending::Closed).entries;
            for step in 1..40 {
                let (mut at, mut seen, mut entries) = (0, 0, Vec::new());
                while seen < bytes.len() {
                    seen = (seen + step).min(bytes.len());
                    let ending = if seen == bytes.len() { Ending::Closed } else { Ending::Open };
                    let part = cut(&bytes[at..seen], &options, ending);
                    // What was consumed gives the same entries again.
                    let again = cut(&bytes[at..at + part.consumed], &options, Ending::Closed);
                    assert_eq!(again.entries, part.entries);
                    entries.extend(part.entries.iter().map(|range| range.start + at..range.end + at));
                    at += part.consumed;
                }
                assert_eq!(entries, whole, "{options:?} by {step}");
            }
        }
    }

    #[test]
    fn entries_that_are_left_for_later_come_next() {
        let bytes = b"a\r\n\nb\nc";
        let mut first = cut(bytes, &plain(100), Ending::Closed);
        first.keep(2);
        assert_eq!((first.entries.len(), first.consumed), (2, 4));
        assert_eq!(cut(&bytes[4..], &plain(100), Ending::Closed).entries, [0..1, 2..3]);
        first.keep(2);
        assert_eq!(first.consumed, 4);
    }

    #[test]
    fn what_is_not_text_is_replaced() {
        let bytes = Bytes::from_static(b"ok \xff\xfe end");
        assert_eq!(text(&bytes, 0..9, 100), "ok \u{fffd}\u{fffd} end".as_bytes());
        assert_eq!(text(&bytes, 0..9, 4), b"ok "[..].to_vec());
        assert_eq!(text(&bytes, 0..2, 100).as_ptr(), bytes.as_ptr());
    }
}
