//! The labels of streams: reading them, and deriving the name of the service.

use model::labels::Quoted;
use wire::loki::PushLabels;

/// The label that names the service.
pub(super) const SERVICE_NAME: &str = "service_name";
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Sorted labels without empty values.
pub(super) type Pairs = Vec<(String, String)>;

/// Reads the labels of a stream.
pub(super) fn read(labels: PushLabels) -> Result<Pairs, String> {
    let mut pairs = match labels {
        PushLabels::Text(text) => {
            parse(&text).map_err(|problem| format!("couldn't parse labels: {problem}"))?
        }
        PushLabels::Pairs(pairs) => {
            // The last of equal names counts.
            let pairs: std::collections::BTreeMap<String, String> = pairs.into_iter().collect();
            if pairs.keys().any(|name| !model::labels::is_legacy_label_name(name)) {
                // Senders know the problem by its place in the labels written out.
                let pairs: Pairs = pairs.into_iter().collect();
                let problem = parse(&display(&pairs)).err().unwrap_or_default();
                return Err(format!("couldn't parse labels: {problem}"));
            }
            pairs.into_iter().collect()
        }
    };
    pairs.retain(|(_, value)| !value.is_empty());
    pairs.sort();
    Ok(pairs)
}

/// `{a="b", c="d"}`
pub(super) fn display(pairs: &[(String, String)]) -> String {
    let shown: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", Quoted(value))).collect();
    format!("{{{}}}", shown.join(", "))
}

/// Adds the name of the service, if there is none: the value of the first of `candidates` there is.
pub(super) fn add_service_name(pairs: &mut Pairs, candidates: &[String]) {
    let value_of = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    if candidates.is_empty() || value_of(SERVICE_NAME).is_some() {
        return;
    }
    let name =
        candidates.iter().find_map(|name| value_of(name)).unwrap_or_else(|| UNKNOWN_SERVICE.to_owned());
    pairs.push((SERVICE_NAME.to_owned(), name));
    pairs.sort();
}

/// Reads `{a="b", c='d'}`, of equal names all; errors name line and column.
fn parse(text: &str) -> Result<Pairs, String> {
    let mut cursor = Cursor { text, at: 0 };
    let mut pairs = Vec::new();
    cursor.blanks();
    if !cursor.take('{') {
        cursor.word();
        return Err(match cursor.rest().chars().next() {
            Some(c) => cursor.error(&format!("unexpected {:?}", c.to_string())),
            None => cursor.error("unexpected end of input"),
        });
    }
    loop {
        cursor.blanks();
        if cursor.take('}') {
            break;
        }
        let name = cursor.name()?;
        cursor.blanks();
        match cursor.rest().chars().next() {
            Some('=') => cursor.at += 1,
            None => return Err(cursor.error("unexpected end of input inside braces")),
            Some(c) if c == ',' || c == '}' || c == '"' => {
                return Err(
                    cursor.error(&format!("unexpected {:?} in label set, expected \"=\"", c.to_string()))
                );
            }
            Some(c) => return Err(cursor.misplaced(c, "\"=\"")),
        }
        cursor.blanks();
        let value = cursor.value()?;
        pairs.push((name, value));
        cursor.blanks();
        if cursor.take(',') {
            continue;
        }
        match cursor.rest().chars().next() {
            Some('}') => {}
            None => return Err(cursor.error("unexpected end of input inside braces")),
            Some(c) => return Err(cursor.misplaced(c, "\",\" or \"}\"")),
        }
    }
    cursor.blanks();
    match cursor.rest().chars().next() {
        None => Ok(pairs),
        Some(c) => Err(cursor.error(&format!("unexpected {:?}", c.to_string()))),
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, c: char) -> bool {
        let is_next = self.rest().starts_with(c);
        if is_next {
            self.at += c.len_utf8();
        }
        is_next
    }

    fn word(&mut self) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let len = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let word = self.rest()[..len].to_owned();
        self.at += len;
        word
    }

    fn error(&self, problem: &str) -> String {
        let place = syntax_place(self.text, self.at);
        format!("{place}: parse error: {problem}")
    }

    fn character(&self, c: char) -> String {
        self.error(&format!("unexpected character inside braces: '{c}'"))
    }

    /// What stands where something else is expected: a word as a whole, or a character that is never there.
    fn misplaced(&mut self, c: char, expected: &str) -> String {
        if !(c.is_ascii_alphabetic() || c == '_') {
            return self.character(c);
        }
        let at = self.at;
        let word = self.word();
        self.at = at;
        self.error(&format!("unexpected identifier {word:?} in label set, expected {expected}"))
    }

    fn name(&mut self) -> Result<String, String> {
        let start = self.at;
        let word = self.word();
        if model::labels::is_legacy_label_name(&word) {
            return Ok(word);
        }
        self.at = start;
        Err(match self.rest().chars().next() {
            None => self.error("unexpected end of input inside braces"),
            Some(c) if matches!(c, '=' | ',') => self.error(&format!(
                "unexpected {:?} in label set, expected identifier or \"}}\"",
                c.to_string()
            )),
            Some(c) => self.character(c),
        })
    }

    fn value(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let quote = match rest.chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => quote,
            None => return Err(self.error("unexpected end of input inside braces")),
            Some(c) => {
                return Err(
                    self.error(&format!("unexpected {:?} in label set, expected string", c.to_string()))
                );
            }
        };
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, c)| {
            let ends = !escaped && c == quote;
            escaped = quote != '`' && c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else { return Err(self.error("unterminated quoted string")) };
        let value = syntax::literal::unquote(&rest[..=end]);
        let value = value.map_err(|_| self.error("invalid escape in label value"))?;
        self.at += end + 1;
        Ok(value)
    }
}

fn syntax_place(text: &str, at: usize) -> String {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    format!("{line}:{column}")
}
