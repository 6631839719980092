//! Quoted strings. Escapes are checked here, where their place is known, and decoded by the parser.

use super::Lexer;
use crate::parser::ParseError;
use crate::token::TokenKind;

impl Lexer<'_> {
    /// A string whose opening quote has been read.
    pub(super) fn quoted_string(&mut self, quote: char) -> Result<TokenKind, ParseError> {
        loop {
            match self.next() {
                Some('\\') => self.escape(quote)?,
                Some(char::REPLACEMENT_CHARACTER) => return self.error("invalid UTF-8 rune"),
                None | Some('\n') => return self.error("unterminated quoted string"),
                Some(c) if c == quote => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// A string whose opening backquote has been read.
    pub(super) fn raw_string(&mut self) -> Result<TokenKind, ParseError> {
        loop {
            match self.next() {
                Some(char::REPLACEMENT_CHARACTER) => return self.error("invalid UTF-8 rune"),
                None => return self.error("unterminated raw string"),
                Some('`') => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape sequence whose backslash has been read.
    fn escape(&mut self, quote: char) -> Result<(), ParseError> {
        let (digits, base, max) = match self.next() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some(first @ '0'..='7') => {
                self.pos -= first.len_utf8();
                (3, 8, 255)
            }
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, u32::from(char::MAX)),
            Some('U') => (8, 16, u32::from(char::MAX)),
            Some(other) => return self.error(format!("unknown escape sequence {}", code_point(other))),
            None => return self.error("escape sequence not terminated"),
        };
        let mut value = 0u32;
        for _ in 0..digits {
            let Some(c) = self.next() else {
                return self.error("escape sequence not terminated");
            };
            let Some(digit) = c.to_digit(base) else {
                return self.error(format!("illegal character {} in escape sequence", code_point(c)));
            };
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return self.error("escape sequence is an invalid Unicode code point");
        }
        Ok(())
    }
}

/// `U+0078 'x'`
fn code_point(c: char) -> String {
    let number = format!("U+{:04X}", u32::from(c));
    if c.is_control() { number } else { format!("{number} '{c}'") }
}
