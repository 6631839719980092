//! Numbers and durations.

use model::labels::Quoted;

use super::{Lexer, is_word};
use crate::parser::ParseError;
use crate::token::TokenKind;

impl Lexer<'_> {
    /// `1.5e3`, `0x1f`, `1_000` or `1h30m`.
    pub(super) fn number_or_duration(&mut self) -> Result<TokenKind, ParseError> {
        if self.scan_number() {
            return Ok(TokenKind::Number);
        }
        if self.scan_duration_units() {
            return Ok(TokenKind::Duration);
        }
        self.error(format!("bad number or duration syntax: {}", Quoted(&self.text[self.start..self.pos])))
    }

    /// A number; no duration.
    pub fn number(&mut self) -> Result<TokenKind, ParseError> {
        self.start = self.pos;
        if self.scan_number() {
            return Ok(TokenKind::Number);
        }
        self.error(format!("bad number syntax: {}", Quoted(&self.text[self.start..self.pos])))
    }

    /// Reads digits with separators, point and exponent. False when they do not form a number or
    /// something else is joined to them; then the position is behind the last character looked at.
    fn scan_number(&mut self) -> bool {
        let first = self.pos;
        // In series descriptions `0x3` means "zero, three times".
        let hex = !self.series && self.text[first..].get(..2).is_some_and(|p| p.eq_ignore_ascii_case("0x"));
        if hex {
            self.pos += 2;
            self.accept(|c| c == '_');
        }
        let is_digit = move |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let (mut seen_point, mut seen_exponent) = (false, false);
        while let Some(c) = self.peek() {
            match c {
                c if is_digit(c) => self.accept_while(is_digit),
                '.' => {
                    self.pos += 1;
                    if seen_point || hex || self.accept(|c| matches!(c, '_' | '.')) {
                        return false;
                    }
                    seen_point = true;
                }
                'e' | 'E' => {
                    self.pos += 1;
                    if seen_exponent {
                        return false;
                    }
                    seen_exponent = true;
                    self.accept(|c| matches!(c, '+' | '-'));
                    if self.accept(|c| matches!(c, '.' | '_' | 'e' | 'E')) || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.pos += 1;
                    if self.accept(|c| matches!(c, '.' | '_' | 'e' | 'E')) || self.peek().is_none() {
                        return false;
                    }
                }
                _ => break,
            }
        }
        self.pos > first && self.peek().is_none_or(|c| !is_word(c) || (self.series && c == 'x'))
    }

    /// Reads the units, and further numbers with units, behind a first number.
    fn scan_duration_units(&mut self) -> bool {
        if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w' | 'y')) {
            return false;
        }
        // The "s" of "ms"; bad units such as "hs" are found when the duration is decoded.
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            self.accept_while(|c| c.is_ascii_digit());
            if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w')) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        !self.accept(is_word)
    }
}
