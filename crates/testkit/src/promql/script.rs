//! The script language: blank lines end a command, `#` starts a comment line.

mod eval;
mod expect;
mod load;

pub use eval::{Eval, EvalTime, ExpectedSeries, ExpectedValue};
pub use expect::{Expectation, Expectations, Pattern};
pub use load::{Load, LoadedSample, LoadedSeries};

/// A command and where it stands.
#[derive(Debug, Clone)]
pub struct Command {
    /// The line it starts on, counted from one.
    pub line: usize,
    /// What to do.
    pub action: Action,
}

/// What a command does.
#[derive(Debug, Clone)]
pub enum Action {
    /// `clear`: start with an empty storage.
    Clear,
    /// `load`: append samples.
    Load(Load),
    /// `eval`: run a query and compare.
    Eval(Box<Eval>),
}

/// A script that is not well-formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl ScriptError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The lines of a script with comments blanked out, and how far it is read.
struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let without_comment = |line: &'a str| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        };
        Self { lines: text.split('\n').map(without_comment).collect(), next: 0 }
    }

    /// The next line and its number.
    fn next_line(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.next)?;
        self.next += 1;
        Some((self.next, line))
    }

    /// The next line of the same command.
    fn next_of_command(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.next).filter(|line| !line.is_empty())?;
        self.next += 1;
        Some((self.next, line))
    }
}

/// Parses a whole script.
pub fn parse(text: &str) -> Result<Vec<Command>, ScriptError> {
    let mut lines = Lines::new(text);
    let mut commands = Vec::new();
    while let Some((line, head)) = lines.next_line() {
        if head.is_empty() {
            continue;
        }
        let word = head.split([' ', '\t']).next().unwrap_or_default().to_lowercase();
        let action = match word.as_str() {
            "clear" => Action::Clear,
            word if word.starts_with("load") => Action::Load(load::parse(head, line, &mut lines)?),
            word if word.starts_with("eval") => Action::Eval(Box::new(eval::parse(head, line, &mut lines)?)),
            _ => return Err(ScriptError::new(line, format!("invalid command {head:?}"))),
        };
        commands.push(Command { line, action });
    }
    Ok(commands)
}

#[cfg(test)]
mod tests;
