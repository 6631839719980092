//! Splits a query into words.
//!
//! What a character means depends on where it stands: inside braces every word is a label name,
//! inside brackets there are only durations. The lexer follows the brackets itself, so that it never
//! needs the parser's help.

mod number;
mod string;

use model::MatchOp;
use syntax::Span;
use syntax::literal::quote_char;

use crate::ast::BinaryOp;
use crate::parser::ParseError;
use crate::token::{Keyword, Token, TokenKind};

/// Reads words from a text, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// The next byte to read.
    pos: usize,
    /// Where the current word starts.
    start: usize,
    paren_depth: usize,
    in_braces: bool,
    in_brackets: bool,
    /// Inside brackets, before the first number: nothing but the parts of a duration may come.
    duration_only: bool,
    seen_colon: bool,
    seen_duration: bool,
    /// Whether the text describes a series: `x` after a number then means "times".
    series: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            pos: 0,
            start: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            duration_only: false,
            seen_colon: false,
            seen_duration: false,
            series: false,
        }
    }

    /// A lexer of series descriptions, which starts at byte `pos`.
    pub fn for_series(text: &'a str, pos: usize) -> Self {
        Self { series: true, pos, start: pos, ..Self::new(text) }
    }

    /// The byte behind the word read last.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// The next word; [`TokenKind::End`] again and again at the end.
    pub fn next_token(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks();
        let kind = if self.in_braces {
            self.inside_braces()
        } else if self.duration_only {
            self.duration_start()
        } else {
            self.statement()
        }?;
        Ok(Token { kind, span: Span::new(self.start, self.pos) })
    }

    fn skip_blanks(&mut self) {
        loop {
            self.start = self.pos;
            match self.peek() {
                Some(' ' | '\t' | '\n' | '\r') => self.pos += 1,
                // Where only a duration may come a comment may not.
                Some('#') if !self.duration_only => {
                    let rest = &self.text[self.pos..];
                    self.pos += rest.find(['\n', '\r']).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let accepted = self.peek().filter(|&c| wanted(c));
        self.pos += accepted.map_or(0, char::len_utf8);
        accepted.is_some()
    }

    fn accept_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.accept(&wanted) {}
    }

    /// An error about the current word.
    fn error<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::new(self.text, Span::new(self.start, self.text.len()), message))
    }

    /// An error behind the character just read.
    fn error_behind<T>(&mut self, message: impl Into<String>) -> Result<T, ParseError> {
        self.start = self.pos;
        self.error(message)
    }

    fn statement(&mut self) -> Result<TokenKind, ParseError> {
        use TokenKind::{Assign, At, Comma, End, LeftBrace, LeftBracket, LeftParen, Operator, RightBracket};
        let Some(c) = self.next() else {
            return match () {
                () if self.paren_depth > 0 => self.error("unclosed left parenthesis"),
                () if self.in_brackets => self.error("unclosed left bracket"),
                () => Ok(End),
            };
        };
        Ok(match c {
            ',' => Comma,
            '+' | '-' | '*' | '/' | '%' | '^' => return Ok(Operator(arithmetic(c))),
            '=' if self.accept(|c| c == '=') => Operator(BinaryOp::Equal),
            '=' if self.peek() == Some('~') => return self.error("unexpected character after '=': '~'"),
            '=' => Assign,
            '!' => match self.next() {
                Some('=') => Operator(BinaryOp::NotEqual),
                other => return self.error(format!("unexpected character after '!': {}", shown(other))),
            },
            '<' if self.accept(|c| c == '=') => Operator(BinaryOp::LessEqual),
            '<' if self.accept(|c| c == '/') => Operator(BinaryOp::TrimUpper),
            '<' => Operator(BinaryOp::Less),
            '>' if self.accept(|c| c == '=') => Operator(BinaryOp::GreaterEqual),
            '>' if self.accept(|c| c == '/') => Operator(BinaryOp::TrimLower),
            '>' => Operator(BinaryOp::Greater),
            '"' | '\'' => return self.quoted_string(c),
            '`' => return self.raw_string(),
            '@' => At,
            '(' => {
                self.paren_depth += 1;
                LeftParen
            }
            ')' => return self.close_paren(),
            '{' => {
                self.in_braces = true;
                LeftBrace
            }
            '[' if self.in_brackets => return self.error("unexpected left bracket '['"),
            '[' => {
                (self.in_brackets, self.duration_only, self.seen_colon) = (true, true, false);
                LeftBracket
            }
            ']' if !self.in_brackets => return self.error("unexpected right bracket ']'"),
            ']' => {
                self.in_brackets = false;
                RightBracket
            }
            c if self.starts_number(c) => {
                self.pos = self.start;
                return self.number_or_duration();
            }
            c if is_letter(c) || c == ':' => return self.word_or_bracket_part(c),
            c => return self.error(format!("unexpected character: {}", quote_char(c))),
        })
    }

    fn close_paren(&mut self) -> Result<TokenKind, ParseError> {
        match self.paren_depth.checked_sub(1) {
            Some(depth) => self.paren_depth = depth,
            None => return self.error_behind("unexpected right parenthesis ')'"),
        }
        Ok(TokenKind::RightParen)
    }

    fn starts_number(&self, c: char) -> bool {
        c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|next| next.is_ascii_digit()))
    }

    /// A word that starts with a letter or colon; inside brackets, the colon of a subquery or one of
    /// the functions of durations.
    fn word_or_bracket_part(&mut self, first: char) -> Result<TokenKind, ParseError> {
        if !self.in_brackets {
            self.accept_while(|c| is_word(c) || c == ':');
            let kind = TokenKind::of_word(&self.text[self.start..self.pos]);
            use Keyword::{Fill, FillLeft, FillRight};
            return Ok(match kind {
                // Series were called "fill" before it was a keyword: it is one only before parentheses.
                TokenKind::Keyword(Fill | FillLeft | FillRight) if !self.paren_follows() => {
                    TokenKind::Identifier
                }
                kind => kind,
            });
        }
        if first == ':' {
            if self.seen_colon {
                return self.error("unexpected colon ':'");
            }
            self.seen_colon = true;
            return Ok(TokenKind::Colon);
        }
        match self.duration_keyword(first) {
            Some(keyword) => Ok(TokenKind::Keyword(keyword)),
            None => self.error(format!("unexpected character: {}, expected ':'", quote_char(first))),
        }
    }

    fn paren_follows(&self) -> bool {
        self.text[self.pos..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(')
    }

    fn duration_keyword(&mut self, first: char) -> Option<Keyword> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.accept_while(is_letter);
        match TokenKind::of_word(&self.text[self.start..self.pos]) {
            TokenKind::Keyword(
                keyword @ (Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf),
            ) => Some(keyword),
            _ => None,
        }
    }

    /// The inside of brackets before the first number.
    fn duration_start(&mut self) -> Result<TokenKind, ParseError> {
        let Some(c) = self.next() else {
            return self.error("unexpected end of input in duration expression");
        };
        match c {
            ']' => {
                (self.in_brackets, self.duration_only, self.seen_colon) = (false, false, false);
                Ok(TokenKind::RightBracket)
            }
            ':' if !self.seen_duration => {
                self.error_behind("unexpected colon before duration in duration expression")
            }
            ':' if self.seen_colon => self.error_behind("unexpected repeated colon in duration expression"),
            ':' => {
                self.seen_colon = true;
                Ok(TokenKind::Colon)
            }
            '(' => {
                self.paren_depth += 1;
                Ok(TokenKind::LeftParen)
            }
            ')' => self.close_paren(),
            ',' => Ok(TokenKind::Comma),
            '+' | '-' | '*' | '/' | '%' | '^' => Ok(TokenKind::Operator(arithmetic(c))),
            c if self.starts_number(c) => {
                self.pos = self.start;
                (self.seen_duration, self.duration_only) = (true, false);
                self.number_or_duration()
            }
            c => match self.duration_keyword(c) {
                Some(keyword) => Ok(TokenKind::Keyword(keyword)),
                None => self.error(format!("unexpected character in duration expression: {}", quote_char(c))),
            },
        }
    }

    fn inside_braces(&mut self) -> Result<TokenKind, ParseError> {
        let Some(c) = self.next() else {
            return self.error("unexpected end of input inside braces");
        };
        Ok(match c {
            ',' => TokenKind::Comma,
            '"' | '\'' => return self.quoted_string(c),
            '`' => return self.raw_string(),
            '=' if self.accept(|c| c == '~') => TokenKind::MatchRegex,
            '=' => TokenKind::Assign,
            '!' => match self.next() {
                Some('~') => TokenKind::MatchNotRegex,
                Some('=') => TokenKind::Operator(BinaryOp::NotEqual),
                other => {
                    let message = format!("unexpected character after '!' inside braces: {}", shown(other));
                    return self.error(message);
                }
            },
            '{' => return self.error("unexpected left brace '{'"),
            '}' => {
                self.in_braces = false;
                TokenKind::RightBrace
            }
            c if is_letter(c) => {
                self.accept_while(is_word);
                TokenKind::Identifier
            }
            c => return self.error(format!("unexpected character inside braces: {}", quote_char(c))),
        })
    }
}

impl TokenKind {
    /// The matcher operator the word is, if it is one.
    pub fn match_op(self) -> Option<MatchOp> {
        match self {
            Self::Assign => Some(MatchOp::Equal),
            Self::Operator(BinaryOp::NotEqual) => Some(MatchOp::NotEqual),
            Self::MatchRegex => Some(MatchOp::Regex),
            Self::MatchNotRegex => Some(MatchOp::NotRegex),
            _ => None,
        }
    }
}

fn arithmetic(c: char) -> BinaryOp {
    match c {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        _ => BinaryOp::Pow,
    }
}

/// The end of input is shown as the replacement character.
fn shown(c: Option<char>) -> String {
    quote_char(c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_word(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit()
}
