//! What became of the points of a request.

use wire::otlp::answer::Code;

/// Texts told at most; they are much the same most often.
const MAX_MESSAGES: usize = 10;

/// Points that were stored and points that were refused, and why.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub accepted: u64,
    pub rejected: u64,
    /// Refused deltas: the sender can do nothing about them, and the request stands without them.
    pub dropped_deltas: u64,
    code: Option<Code>,
    messages: Vec<String>,
    unsaid: usize,
}

impl Tally {
    /// Counts points that were refused for one reason.
    pub fn refuse(&mut self, points: u64, code: Code, message: String) {
        self.rejected += points;
        self.code.get_or_insert(code);
        if self.messages.contains(&message) {
            return;
        }
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(message);
        } else {
            self.unsaid += 1;
        }
    }

    /// Whether the request is refused as a whole: something was, and nothing was stored.
    pub fn is_refused(&self) -> bool {
        self.accepted == 0 && self.dropped_deltas == 0 && self.code.is_some()
    }

    /// The code of the first refusal.
    pub fn code(&self) -> Code {
        self.code.unwrap_or(Code::Ok)
    }

    /// All reasons.
    pub fn message(&self) -> String {
        let mut message = self.messages.join("\n");
        if self.unsaid > 0 {
            message.push_str(&format!("\nand {} more", self.unsaid));
        }
        message
    }
}
