//! Vector selectors.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};
use syntax::literal::unquote;

use super::{ParseError, Parser};
use crate::ast::VectorSelector;
use crate::token::{Token, TokenKind};

const PLACE: &str = "label matching";

impl Parser<'_> {
    /// A selector whose metric name has been read.
    pub(super) fn named_selector(&mut self, name: Token) -> Result<VectorSelector, ParseError> {
        let mut selector = match self.accept(TokenKind::LeftBrace)? {
            Some(open) => self.braces(open)?,
            None => VectorSelector { span: name.span, ..VectorSelector::default() },
        };
        let text = name.span.of(self.text);
        selector.span.start = name.span.start;
        selector.matchers.push(Matcher::equal(METRIC_NAME, text));
        selector.name = Some(text.to_owned());
        Ok(selector)
    }

    /// A selector without a name whose opening brace has been read.
    pub(super) fn braces(&mut self, open: Token) -> Result<VectorSelector, ParseError> {
        let mut matchers = Vec::new();
        let close = loop {
            if let Some(close) = self.accept(TokenKind::RightBrace)? {
                break close;
            }
            matchers.push(self.label_matcher()?);
            let token = self.bump()?;
            match token.kind {
                TokenKind::RightBrace => break token,
                TokenKind::Comma => {}
                _ => return Err(self.unexpected_in(token, PLACE, "\",\" or \"}\"")),
            }
        };
        Ok(VectorSelector { matchers, span: open.span.to(close.span), ..VectorSelector::default() })
    }

    /// `name="value"`, or a quoted metric name alone.
    fn label_matcher(&mut self) -> Result<Matcher, ParseError> {
        let token = self.bump()?;
        let name = match token.kind {
            TokenKind::Identifier => token.span.of(self.text).to_owned(),
            TokenKind::String => self.unquote(token)?,
            _ => return Err(self.unexpected_in(token, PLACE, "identifier or \"}\"")),
        };
        let Some(op) = self.peek()?.kind.match_op() else {
            if token.kind == TokenKind::String {
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            let next = self.bump()?;
            return Err(self.unexpected_in(next, PLACE, "label matching operator"));
        };
        self.bump()?;
        let value = self.bump()?;
        if value.kind != TokenKind::String {
            return Err(self.unexpected_in(value, PLACE, "string"));
        }
        let text = self.unquote(value)?;
        self.matcher(op, name, text, token, value)
    }

    fn matcher(
        &self,
        op: MatchOp,
        name: String,
        value: String,
        first: Token,
        last: Token,
    ) -> Result<Matcher, ParseError> {
        Matcher::new(op, name, value).map_err(|error| self.error(first.span.to(last.span), error.to_string()))
    }

    /// The decoded text of a string.
    pub(super) fn unquote(&self, token: Token) -> Result<String, ParseError> {
        let literal = token.span.of(self.text);
        unquote(literal).map_err(|_| {
            let quoted = model::labels::Quoted(literal);
            self.error(token.span, format!("error unquoting string {quoted}: invalid syntax"))
        })
    }
}
