//! What is wrong with a configuration file, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::yaml::Pos;

/// One thing that is wrong at one place of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub pos: Pos,
    /// What, worded as Prometheus words it.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
    /// Whether the value merely has the wrong shape; such faults are collected, not fatal at once.
    pub(crate) unmarshal: bool,
}

impl Fault {
    /// A fault at `pos`.
    pub fn new(pos: Pos, message: impl Into<String>) -> Self {
        Self { pos, message: message.into(), remedy: None, unmarshal: false }
    }

    /// A value of the wrong shape or an unknown key.
    pub(crate) fn unmarshal(pos: Pos, message: impl Into<String>) -> Self {
        Self { unmarshal: true, ..Self::new(pos, message) }
    }

    /// The fault with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// A text that was read, and where from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Its content.
    pub text: Arc<str>,
}

impl Source {
    /// A source named `file`.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), text: text.into() }
    }
}

/// A configuration file that cannot be used: every fault with file, line, the offending piece of
/// source, and a remedy where one is known.
#[derive(Debug, Clone)]
pub struct ConfigError {
    file: PathBuf,
    summary: String,
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    line: usize,
    column: usize,
    source_line: String,
    width: usize,
    remedy: Option<String>,
}

impl ConfigError {
    /// Faults found in `source`.
    pub fn new(source: &Source, faults: &[Fault]) -> Self {
        let summary = match faults {
            [fault] if !fault.unmarshal => fault.message.clone(),
            faults => {
                let mut lines = String::from("yaml: unmarshal errors:");
                for fault in faults {
                    lines.push_str(&format!("\n  line {}: {}", fault.pos.line, fault.message));
                }
                lines
            }
        };
        let places = faults.iter().map(|fault| Place::of(fault, &source.text)).collect();
        Self { file: source.file.clone(), summary, places }
    }

    /// A file that could not be read at all.
    pub fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let summary = format!("open {}: {reason}", file.display());
        Self { file: file.to_owned(), summary, places: Vec::new() }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of the first fault, counted from one; 0 when the file could not be read.
    pub fn line(&self) -> usize {
        self.places.first().map_or(0, |place| place.line)
    }

    /// What is wrong, without file and source.
    pub fn message(&self) -> &str {
        &self.summary
    }
}

impl Place {
    fn of(fault: &Fault, text: &str) -> Self {
        let start = floor_boundary(text, fault.pos.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &text[line_start..];
        let source_line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = text[line_start..start].chars().count();
        let end = floor_boundary(
            text,
            fault.pos.end.clamp(start, line_start + source_line.len().max(start - line_start)),
        );
        let width = text[start..end].chars().count().max(1);
        let line = fault.pos.line.max(1);
        Self { line, column: column + 1, source_line: clip(source_line), width, remedy: fault.remedy.clone() }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// A minified file may be one line of megabytes.
fn clip(line: &str) -> String {
    const LONGEST: usize = 240;
    let printable = |c: char| if c == '\t' || c.is_control() { ' ' } else { c };
    line.chars().take(LONGEST).map(printable).collect()
}

/// The message, then each place with its source line and a caret under the offending piece.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.places.is_empty() {
            return f.write_str(&self.summary);
        }
        let file = self.file.display();
        write!(f, "parsing YAML file {file}: {}", self.summary)?;
        for place in &self.places {
            let gutter = place.line.to_string().len();
            write!(f, "\n{:gutter$}--> {file}:{}:{}", "", place.line, place.column)?;
            write!(f, "\n{:gutter$} |\n{} | {}", "", place.line, place.source_line)?;
            let shown = place.source_line.chars().count();
            if place.column <= shown + 1 {
                let carets = "^".repeat(place.width.min(shown + 1 - (place.column - 1)).max(1));
                write!(f, "\n{:gutter$} | {:indent$}{carets}", "", "", indent = place.column - 1)?;
            }
            if let Some(remedy) = &place.remedy {
                write!(f, "\n{:gutter$} = remedy: {remedy}", "")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate)).min()?;
    (best.0 <= 1 + word.chars().count() / 4).then_some(best.1)
}

/// Edits (insert, delete, replace, swap of neighbours) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested_and_a_far_one_is_not() {
        let keys = ["consul_sd_configs", "static_configs", "job_name"];
        assert_eq!(nearest("consult_sd_configs", keys), Some("consul_sd_configs"));
        assert_eq!(nearest("jbo_name", keys), Some("job_name"));
        assert_eq!(nearest("nonexistent_field", keys), None);
    }

    #[test]
    fn an_error_shows_file_line_source_caret_and_remedy() {
        let source = Source::new("p.yml", "global:\n  scrap: 1\n");
        let pos = Pos { start: 10, end: 15, line: 2 };
        let error = ConfigError::new(&source, &[Fault::new(pos, "bad").remedy("write it well")]);
        let expected = "parsing YAML file p.yml: bad\n --> p.yml:2:3\n  |\n2 |   scrap: 1\n  |   ^^^^^\n  = remedy: write it well";
        assert_eq!(error.to_string(), expected);
    }
}
