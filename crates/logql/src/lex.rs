//! Text to tokens.
//!
//! Names of functions are names of functions only where an argument list follows; everywhere else they are plain
//! identifiers, so that labels may be called `sum` or `rate`.

use std::borrow::Cow;

use syntax::Span;

use crate::duration::parse_range_ns;
use crate::error::ParseError;
use crate::features::Features;
use crate::units::parse_bytes;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// The end of the text.
    End,
    /// A name.
    Identifier(String),
    /// A string, without quotes.
    String(String),
    /// A number, as written.
    Number(String),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A number of bytes.
    Bytes(u64),
    /// A duration in square brackets, in nanoseconds.
    Range(i64),
    /// `[1h:5m]` or `[1h:]`, in nanoseconds.
    Subquery(i64, Option<i64>),
    /// An operator, a bracket, a keyword or the name of a function, as written.
    Fixed(&'static str),
    /// `--strict` and `--keep-empty`
    Flag(&'static str),
}

/// A token and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Lexed {
    pub token: Token,
    pub span: Span,
    /// Tokens that are put together from several characters by looking ahead carry no line in error texts.
    pub has_line: bool,
}

/// Operators and brackets, the longest first where one begins another.
const OPERATORS: &[&str] = &[
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "|", "=", ">", "<", "{", "}", "(", ")", ",",
    ".", "+", "-", "*", "/", "%", "^", "[", "]", "!",
];

/// Words that are never identifiers.
const KEYWORDS: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "and",
    "or",
    "unless",
    "offset",
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "line_format",
    "label_format",
    "decolorize",
    "drop",
    "keep",
    "unwrap",
    "distinct",
];

/// Words that are functions where `(`, `by` or `without` follows.
pub(crate) const FUNCTIONS: &[&str] = &[
    "count_over_time",
    "rate",
    "rate_counter",
    "bytes_over_time",
    "bytes_rate",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
    "absent_over_time",
    "sum",
    "avg",
    "max",
    "min",
    "count",
    "stddev",
    "stdvar",
    "bottomk",
    "topk",
    "approx_topk",
    "sort",
    "sort_desc",
    "label_replace",
    "vector",
    "bytes",
    "duration",
    "duration_seconds",
    "ip",
];

/// How the reference names a token in its errors.
pub(crate) fn name_of(token: &Token) -> Cow<'static, str> {
    Cow::Borrowed(match token {
        Token::End => "$end",
        Token::Identifier(_) => "IDENTIFIER",
        Token::String(_) => "STRING",
        Token::Number(_) => "NUMBER",
        Token::Duration(_) => "DURATION",
        Token::Bytes(_) => "BYTES",
        Token::Range(_) => "RANGE",
        Token::Subquery(..) => "SUBQUERY RANGE",
        Token::Flag(_) => "PARSER_FLAG",
        Token::Fixed("bytes") => "BYTES_CONV",
        Token::Fixed("duration") => "DURATION_CONV",
        Token::Fixed("duration_seconds") => "DURATION_SECONDS_CONV",
        Token::Fixed("ip") => "ip",
        Token::Fixed(word) if FUNCTIONS.contains(word) => return Cow::Owned(word.to_ascii_uppercase()),
        Token::Fixed(word) => word,
    })
}

/// All tokens of a text, the last of them [`Token::End`].
pub(crate) fn lex(text: &str, features: Features) -> Result<Vec<Lexed>, ParseError> {
    let mut lexer = Lexer { text, at: 0, features, out: Vec::new() };
    while lexer.step()? {}
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    features: Features,
    out: Vec<Lexed>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, len: usize, has_line: bool) {
        self.out.push(Lexed { token, span: Span::new(self.at, self.at + len), has_line });
        self.at += len;
    }

    /// Reads a token; false at the end.
    fn step(&mut self) -> Result<bool, ParseError> {
        self.skip_blanks();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            self.push(Token::End, 0, true);
            return Ok(false);
        };
        match first {
            '"' | '`' => self.string(first)?,
            '\'' => return Err(self.error("invalid char literal", true)),
            '[' => self.range()?,
            '0'..='9' => return Ok(self.number()),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => return Ok(self.number()),
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => self.operator(first),
        }
        Ok(true)
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn error(&self, problem: &str, has_line: bool) -> ParseError {
        ParseError::at(self.text, Span::new(self.at, self.at + 1), has_line, problem.to_owned())
    }

    fn string(&mut self, quote: char) -> Result<(), ParseError> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest[1..].char_indices().find_map(|(at, c)| {
            let ends = !escaped && (c == quote || c == '\n' && quote == '"');
            escaped = quote == '"' && c == '\\' && !escaped;
            ends.then_some((at + 2, c == quote))
        });
        let Some((end, true)) = end else { return Err(self.error("literal not terminated", true)) };
        let Ok(value) = syntax::literal::unquote(&rest[..end]) else {
            return Err(self.error("invalid char escape", true));
        };
        self.push(Token::String(value), end, true);
        Ok(())
    }

    fn range(&mut self) -> Result<(), ParseError> {
        let rest = self.rest();
        let Some(end) = rest.find(']') else {
            return Err(self.error("missing closing ']' in duration", false));
        };
        let inner = rest[1..end].trim();
        if let Some((range, step)) = inner.split_once(':').filter(|_| self.features.subqueries) {
            let read =
                |text: &str| parse_range_ns(text.trim()).map_err(|problem| self.error(&problem, false));
            let step_ns = if step.trim().is_empty() { None } else { Some(read(step)?) };
            let token = Token::Subquery(read(range)?, step_ns);
            self.push(token, end + 1, false);
            return Ok(());
        }
        let duration_ns = parse_range_ns(inner).map_err(|problem| self.error(&problem, false))?;
        self.push(Token::Range(duration_ns), end + 1, false);
        Ok(())
    }

    /// A number, a duration or a number of bytes.
    fn number(&mut self) -> bool {
        let rest = self.rest();
        let joined = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | 'µ')))
            .unwrap_or(rest.len());
        let word = &rest[..joined];
        let digits = number_len(rest);
        let unit = &word[digits.min(word.len())..];
        if unit.is_empty() || word.len() < digits {
            self.push(Token::Number(rest[..digits].to_owned()), digits, true);
            return true;
        }
        if let Ok(duration_ns) = crate::duration::parse_literal_ns(word) {
            self.push(Token::Duration(duration_ns), joined, false);
        } else if let Some(bytes) = parse_bytes(word) {
            self.push(Token::Bytes(bytes), joined, false);
        } else if unit.bytes().all(|b| b"bBkKmMgGtTpPeEiI".contains(&b)) {
            // What begins as a number of bytes and is none ends the text, as far as the reference is concerned.
            self.at += joined;
            self.push(Token::End, 0, true);
            return false;
        } else {
            self.push(Token::Number(rest[..digits].to_owned()), digits, true);
        }
        true
    }

    fn word(&mut self) {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..len];
        if !word.is_ascii() {
            // A name that would have to be quoted.
            return self.push(Token::String(word.to_owned()), len, true);
        }
        let fixed = |list: &'static [&'static str]| list.iter().copied().find(|known| *known == word);
        let token = match (fixed(KEYWORDS), fixed(FUNCTIONS)) {
            (Some(keyword), _) => Token::Fixed(keyword),
            (_, Some(function)) if is_call(&rest[len..]) => Token::Fixed(function),
            // Functions are known in capitals, too.
            _ if is_call(&rest[len..]) => match fixed_function(word) {
                Some(function) => Token::Fixed(function),
                None => Token::Identifier(word.to_owned()),
            },
            _ => Token::Identifier(word.to_owned()),
        };
        self.push(token, len, true);
    }

    fn operator(&mut self, first: char) {
        let rest = self.rest();
        for flag in ["--strict", "--keep-empty"] {
            if rest.starts_with(flag) {
                return self.push(Token::Flag(flag), flag.len(), false);
            }
        }
        match OPERATORS.iter().copied().find(|operator| rest.starts_with(operator)) {
            Some(operator) => self.push(Token::Fixed(operator), operator.len(), operator.len() == 1),
            None => self.push(Token::Identifier(first.to_string()), first.len_utf8(), true),
        }
    }
}

/// The function of this name in any case.
fn fixed_function(word: &str) -> Option<&'static str> {
    FUNCTIONS.iter().copied().find(|known| known.eq_ignore_ascii_case(word))
}

/// Bytes of the number a text begins with.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize, hex: bool| {
        while bytes
            .get(at)
            .is_some_and(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() || *b == b'_' })
        {
            at += 1;
        }
        at
    };
    if bytes.len() > 2 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X') {
        return digits(2, true);
    }
    let mut at = digits(0, false);
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1, false);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let end = digits(at + 1 + sign, false);
        if end > at + 1 + sign {
            at = end;
        }
    }
    at
}

/// Whether what follows a function's name makes it one.
fn is_call(rest: &str) -> bool {
    let rest = rest.trim_start();
    let grouped = |word: &str| rest.strip_prefix(word).is_some_and(|tail| tail.trim_start().starts_with('('));
    rest.starts_with('(') || grouped("by") || grouped("without")
}
