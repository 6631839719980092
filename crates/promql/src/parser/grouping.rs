//! Label lists in parentheses, and what may stand behind a binary operator.

use model::labels::Quoted;

use super::{ParseError, Parser};
use crate::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::token::{Keyword, TokenKind};

const PLACE: &str = "grouping opts";

impl Parser<'_> {
    /// `(a, b)`; a comma may follow the last label.
    pub(super) fn grouping_labels(&mut self) -> Result<Vec<String>, ParseError> {
        let open = self.bump()?;
        if open.kind != TokenKind::LeftParen {
            return Err(self.unexpected_in(open, PLACE, "\"(\""));
        }
        let mut labels = Vec::new();
        loop {
            if self.accept(TokenKind::RightParen)?.is_some() {
                return Ok(labels);
            }
            labels.push(self.grouping_label()?);
            let token = self.bump()?;
            match token.kind {
                TokenKind::RightParen => return Ok(labels),
                TokenKind::Comma => {}
                _ => return Err(self.unexpected_in(token, PLACE, "\",\" or \")\"")),
            }
        }
    }

    fn grouping_label(&mut self) -> Result<String, ParseError> {
        let token = self.bump()?;
        let label = match token.kind {
            TokenKind::String => self.unquote(token)?,
            kind if kind.is_grouping_label() => token.span.of(self.text).to_owned(),
            _ => return Err(self.unexpected_in(token, PLACE, "label")),
        };
        if label.is_empty() {
            let message = format!("invalid label name for grouping: {}", Quoted(&label));
            return Err(self.error(token.span, message));
        }
        Ok(label)
    }

    /// `bool on (a) group_left (b) fill (0)`, all of it optional.
    pub(super) fn binary_modifiers(&mut self) -> Result<(bool, VectorMatching), ParseError> {
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool))?.is_some();
        let mut matching = VectorMatching::default();
        if let TokenKind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.peek()?.kind {
            self.bump()?;
            matching.on = keyword == Keyword::On;
            matching.labels = self.grouping_labels()?;
            self.group_modifier(&mut matching)?;
        }
        self.fill_modifiers(&mut matching)?;
        Ok((return_bool, matching))
    }

    fn group_modifier(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        matching.cardinality = match self.peek()?.kind {
            TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(()),
        };
        self.bump()?;
        // A parenthesis here always opens the labels, never the right operand.
        if self.peek()?.kind == TokenKind::LeftParen {
            matching.include = self.grouping_labels()?;
        }
        Ok(())
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        const LEFT: TokenKind = TokenKind::Keyword(Keyword::FillLeft);
        const RIGHT: TokenKind = TokenKind::Keyword(Keyword::FillRight);
        let first = self.peek()?.kind;
        match first {
            TokenKind::Keyword(Keyword::Fill) => {
                let value = Some(self.fill_value()?);
                (matching.fill_left, matching.fill_right) = (value, value);
            }
            LEFT => {
                matching.fill_left = Some(self.fill_value()?);
                if self.peek()?.kind == RIGHT {
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            RIGHT => {
                matching.fill_right = Some(self.fill_value()?);
                if self.peek()?.kind == LEFT {
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The keyword and the number in parentheses behind it.
    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.bump()?;
        self.expect(TokenKind::LeftParen)?;
        let negative = match self.peek()?.kind {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.bump()?;
                op == BinaryOp::Sub
            }
            _ => false,
        };
        let token = self.bump()?;
        let value = match token.kind {
            TokenKind::Number | TokenKind::Duration => self.number(token)?.value,
            _ => return Err(self.unexpected(token)),
        };
        self.expect(TokenKind::RightParen)?;
        Ok(if negative { -value } else { value })
    }
}
