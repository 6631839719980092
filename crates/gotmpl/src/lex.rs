//! Text to tokens.

use crate::node::Position;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Dot,
    /// `.name`
    Field,
    /// `$name` or `$`
    Variable,
    Identifier,
    Bool,
    Nil,
    Keyword,
    Number,
    /// A character in single quotes.
    Rune,
    /// A text in double quotes.
    Quoted,
    /// A text in backquotes.
    Raw,
    /// Any other printable character.
    Char,
    End,
}

/// A token and where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a [u8],
    pub start: usize,
}

impl<'a> Token<'a> {
    /// The text, for messages and names.
    pub fn string(&self) -> String {
        String::from_utf8_lossy(self.text).into_owned()
    }
}

const KEYWORDS: [&[u8]; 10] =
    [b"block", b"break", b"continue", b"define", b"else", b"end", b"if", b"range", b"template", b"with"];
const LEFT: &[u8] = b"{{";
const RIGHT: &[u8] = b"}}";
const COMMENT: &[u8] = b"/*";
const COMMENT_END: &[u8] = b"*/";

/// Prefixes of numbers that are not decimal, their digits, and the letters of their exponents.
const BASES: [(&str, &str, &str); 3] =
    [("xX", "0123456789abcdefABCDEF_", "pP"), ("oO", "01234567_", ""), ("bB", "01_", "")];

/// Whether templates count the byte as white space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

/// Reads tokens from a template.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a [u8],
    at: usize,
    in_action: bool,
    parens: usize,
    /// The text before the next action loses its leading white space.
    trims: bool,
}

/// A message without a place.
type Lexed<T> = Result<T, String>;

impl<'a> Lexer<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, in_action: false, parens: 0, trims: false }
    }

    /// The line and column of an offset.
    pub fn position(&self, offset: usize) -> Position {
        let before = &self.input[..offset.min(self.input.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() as u32 + 1;
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() as u32;
        Position { line, column }
    }

    /// How far it has read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The bytes between two offsets.
    pub fn between(&self, start: usize, end: usize) -> &'a [u8] {
        &self.input[start..end]
    }

    /// The next token.
    pub fn next(&mut self) -> Lexed<Token<'a>> {
        if self.in_action { self.action() } else { self.text() }
    }

    fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    fn token(&self, kind: Kind, start: usize) -> Token<'a> {
        Token { kind, text: &self.input[start..self.at], start }
    }

    /// Text up to the next action, comments left out.
    fn text(&mut self) -> Lexed<Token<'a>> {
        loop {
            if std::mem::take(&mut self.trims) {
                self.at += self.rest().iter().take_while(|&&b| is_space(b)).count();
            }
            let start = self.at;
            let Some(found) = find(self.rest(), LEFT) else {
                self.at = self.input.len();
                let kind = if start == self.at { Kind::End } else { Kind::Text };
                return Ok(self.token(kind, start));
            };
            let action = start + found;
            let trims_left = self.trims_left(action + LEFT.len());
            let mut end = action;
            if trims_left {
                end = start + trimmed_len(&self.input[start..action]);
            }
            if end > start {
                self.at = action;
                let text = &self.input[start..end];
                return Ok(Token { kind: Kind::Text, text, start });
            }
            self.at = action + LEFT.len() + if trims_left { 1 } else { 0 };
            if !self.comment(trims_left)? {
                (self.in_action, self.parens) = (true, 0);
                return Ok(Token { kind: Kind::LeftDelimiter, text: LEFT, start: action });
            }
        }
    }

    /// Whether `- ` follows a left delimiter that ends at `at`.
    fn trims_left(&self, at: usize) -> bool {
        self.input.get(at) == Some(&b'-') && self.input.get(at + 1).copied().is_some_and(is_space)
    }

    /// Skips a comment that makes up the whole action.
    fn comment(&mut self, trimmed: bool) -> Lexed<bool> {
        let start = self.at + usize::from(trimmed);
        if !self.input.get(start..).is_some_and(|rest| rest.starts_with(COMMENT)) {
            return Ok(false);
        }
        let body = start + COMMENT.len();
        let end = find(&self.input[body..], COMMENT_END).ok_or("unclosed comment")?;
        self.at = body + end + COMMENT_END.len();
        match self.right_delimiter() {
            Some((len, trims)) => {
                self.at += len;
                self.trims = trims;
                Ok(true)
            }
            None => Err("comment ends before closing delimiter".to_owned()),
        }
    }

    /// The length of the right delimiter here, and whether it trims the text behind it.
    fn right_delimiter(&self) -> Option<(usize, bool)> {
        let rest = self.rest();
        if rest.first().copied().is_some_and(is_space) && rest[1..].starts_with(b"-}}") {
            return Some((4, true));
        }
        rest.starts_with(RIGHT).then_some((RIGHT.len(), false))
    }

    fn action(&mut self) -> Lexed<Token<'a>> {
        let start = self.at;
        if let Some((len, trims)) = self.right_delimiter() {
            if self.parens > 0 {
                return Err("unclosed left paren".to_owned());
            }
            self.at += len;
            (self.in_action, self.trims) = (false, trims);
            return Ok(Token { kind: Kind::RightDelimiter, text: RIGHT, start });
        }
        let Some(c) = self.peek() else { return Err("unclosed action".to_owned()) };
        if c.is_ascii() && is_space(c as u8) {
            while self.rest().first().copied().is_some_and(is_space) && self.right_delimiter().is_none() {
                self.at += 1;
            }
            return Ok(self.token(Kind::Space, start));
        }
        self.advance();
        let kind = match c {
            '=' => Kind::Assign,
            ':' if self.accept('=') => Kind::Declare,
            ':' => return Err("expected :=".to_owned()),
            '|' => Kind::Pipe,
            '"' => self.quoted('"', "unterminated quoted string").map(|()| Kind::Quoted)?,
            '`' => self.raw()?,
            '\'' => self.quoted('\'', "unterminated character constant").map(|()| Kind::Rune)?,
            '$' => self.name(Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => self.name(Kind::Dot, Kind::Field)?,
            '.' | '+' | '-' | '0'..='9' => {
                self.at = start;
                self.number()?
            }
            '(' => {
                self.parens += 1;
                Kind::LeftParen
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                Kind::RightParen
            }
            c if is_word(c) => {
                self.words();
                self.require_terminator()?;
                word_kind(&self.input[start..self.at])
            }
            ' '..='~' => Kind::Char,
            c => return Err(format!("unrecognized character in action: {}", unicode(c))),
        };
        Ok(self.token(kind, start))
    }

    /// The character here; bytes that are not UTF-8 count as one each.
    fn peek(&self) -> Option<char> {
        let rest = self.rest();
        let head = &rest[..rest.len().min(4)];
        match std::str::from_utf8(head) {
            Ok(text) => text.chars().next(),
            Err(error) if error.valid_up_to() > 0 => {
                std::str::from_utf8(&head[..error.valid_up_to()]).ok()?.chars().next()
            }
            Err(_) => Some(char::REPLACEMENT_CHARACTER),
        }
    }

    fn advance(&mut self) {
        let c = self.peek();
        let invalid =
            c == Some(char::REPLACEMENT_CHARACTER) && !self.rest().starts_with("\u{fffd}".as_bytes());
        self.at += if invalid { 1 } else { c.map_or(0, char::len_utf8) };
    }

    fn accept(&mut self, c: char) -> bool {
        let is_here = self.peek() == Some(c);
        if is_here {
            self.advance();
        }
        is_here
    }

    fn words(&mut self) {
        while self.peek().is_some_and(is_word) {
            self.advance();
        }
    }

    /// The rest of a field or variable, or what stands for itself when no name follows.
    fn name(&mut self, alone: Kind, named: Kind) -> Lexed<Kind> {
        if self.at_terminator() {
            return Ok(alone);
        }
        self.words();
        self.require_terminator()?;
        Ok(named)
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) if c.is_ascii() && is_space(c as u8) => true,
            Some(_) => self.rest().starts_with(RIGHT),
        }
    }

    fn require_terminator(&self) -> Lexed<()> {
        match self.peek() {
            Some(c) if !self.at_terminator() => Err(format!("bad character {}", unicode(c))),
            _ => Ok(()),
        }
    }

    fn quoted(&mut self, quote: char, unterminated: &str) -> Lexed<()> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err(unterminated.to_owned()),
                Some('\\') => {
                    self.advance();
                    if matches!(self.peek(), None | Some('\n')) {
                        return Err(unterminated.to_owned());
                    }
                    self.advance();
                }
                Some(c) => {
                    self.advance();
                    if c == quote {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn raw(&mut self) -> Lexed<Kind> {
        let end = find(self.rest(), b"`").ok_or("unterminated raw quoted string")?;
        self.at += end + 1;
        Ok(Kind::Raw)
    }

    fn number(&mut self) -> Lexed<Kind> {
        let start = self.at;
        let is_number = self.scan_number();
        let complex = is_number && matches!(self.peek(), Some('+' | '-'));
        if !is_number || (complex && (!self.scan_number() || self.input[self.at - 1] != b'i')) {
            let text = String::from_utf8_lossy(&self.input[start..self.at]);
            return Err(format!("bad number syntax: {text:?}"));
        }
        Ok(Kind::Number)
    }

    fn accept_any(&mut self, of: &str) -> bool {
        let is_here = self.peek().is_some_and(|c| of.contains(c));
        if is_here {
            self.advance();
        }
        is_here
    }

    fn scan_number(&mut self) -> bool {
        self.accept_any("+-");
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        if self.accept('0') {
            for (prefix, of, with) in BASES {
                if self.accept_any(prefix) {
                    (digits, exponent) = (of, with);
                    break;
                }
            }
        }
        while self.accept_any(digits) {}
        if self.accept('.') {
            while self.accept_any(digits) {}
        }
        if self.accept_any(exponent) {
            self.accept_any("+-");
            while self.accept_any("0123456789_") {}
        }
        self.accept('i');
        if self.peek().is_some_and(is_word) {
            self.advance();
            return false;
        }
        true
    }
}

fn word_kind(word: &[u8]) -> Kind {
    match word {
        b"true" | b"false" => Kind::Bool,
        b"nil" => Kind::Nil,
        _ if KEYWORDS.contains(&word) => Kind::Keyword,
        _ => Kind::Identifier,
    }
}

/// A character as `U+002D '-'`.
fn unicode(c: char) -> String {
    let code = format!("U+{:04X}", c as u32);
    if c.is_control() || c.is_whitespace() { code } else { format!("{code} '{c}'") }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The length without white space at the end.
fn trimmed_len(text: &[u8]) -> usize {
    text.len() - text.iter().rev().take_while(|&&b| is_space(b)).count()
}
