//! What was refused of a request, told in bounded length.

use crate::receiver::PushError;

/// Lines an answer has at most.
const MAX_LINES: usize = 50;

/// The refusals of one request.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    lines: Vec<String>,
    more: usize,
}

impl Refusals {
    /// Adds a refusal; `line` is called while there is room for more.
    pub fn add(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    /// How many there were.
    pub fn len(&self) -> usize {
        self.lines.len() + self.more
    }

    /// The first refusal.
    pub fn first(&self) -> Option<&str> {
        self.lines.first().map(String::as_str)
    }

    /// The error they amount to, if there are any.
    pub fn into_error(mut self) -> Option<PushError> {
        if self.lines.is_empty() {
            return None;
        }
        if self.more > 0 {
            self.lines.push(format!("and {} more", self.more));
        }
        Some(PushError::Refused(self.lines.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_counted() {
        let mut refusals = Refusals::default();
        for i in 0..1000 {
            refusals.add(|| format!("sample {i}"));
        }
        assert_eq!((refusals.len(), refusals.first()), (1000, Some("sample 0")));
        let text = refusals.into_error().unwrap().to_string();
        assert!(text.ends_with("sample 49\nand 950 more"), "{text}");
        assert_eq!(Refusals::default().into_error(), None);
    }
}
