//! Parses queries, metric selectors and series descriptions.

mod duration;
mod error;
mod expression;
mod grouping;
mod modifier;
mod selector;
pub mod series;

pub use error::ParseError;

use model::Matcher;
use syntax::Span;
use syntax::pratt::{Depth, climb};

use crate::ast::Expr;
use crate::check;
use crate::lexer::Lexer;
use crate::token::{Token, TokenKind};

/// Which experimental parts of the language are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// Functions and aggregations marked experimental (`promql-experimental-functions`).
    pub experimental_functions: bool,
    /// Arithmetic, `step()` and `range()` where a duration stands (`promql-duration-expr`).
    pub duration_expressions: bool,
    /// `anchored` and `smoothed` (`promql-extended-range-selectors`).
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right` (`promql-binop-fill-modifiers`).
    pub fill_modifiers: bool,
}

impl ParseOptions {
    /// Everything is accepted.
    pub const ALL: Self = Self {
        experimental_functions: true,
        duration_expressions: true,
        extended_range_selectors: true,
        fill_modifiers: true,
    };
}

/// How deep expressions may nest in the text.
pub const MAX_NESTING: usize = 200;
/// How high a tree may be: long chains of operators make high trees without nesting.
pub const MAX_HEIGHT: usize = 500;

/// Parses and checks a query.
pub fn parse(query: &str, options: &ParseOptions) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query, options);
    if parser.peek()?.kind == TokenKind::End {
        return Err(ParseError::new(query, Span::default(), "no expression found in input"));
    }
    let mut expr = climb(&mut parser, 0)?.expr;
    parser.expect_end()?;
    check::check(&mut expr).map_err(|error| ParseError::new(query, error.span, error.message))?;
    Ok(expr)
}

/// Parses a metric selector such as `up{job="a"}`, without modifiers. It may match every series.
pub fn parse_selector(text: &str, options: &ParseOptions) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text, options);
    let token = parser.bump()?;
    let selector = match token.kind {
        TokenKind::LeftBrace => parser.braces(token)?,
        kind if kind.is_metric_name() => parser.named_selector(token)?,
        _ => return Err(parser.unexpected(token)),
    };
    parser.expect_end()?;
    Ok(selector.matchers)
}

/// An expression and the height of its tree.
struct Node {
    expr: Expr,
    height: usize,
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    options: &'a ParseOptions,
    peeked: Option<Token>,
    depth: Depth,
    /// Aggregations whose arguments are being read: errors in there name the aggregation.
    open_aggregations: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: &'a ParseOptions) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            options,
            peeked: None,
            depth: Depth::limit(MAX_NESTING),
            open_aggregations: 0,
        }
    }

    /// The next word, which stays.
    fn peek(&mut self) -> Result<Token, ParseError> {
        match self.peeked {
            Some(token) => Ok(token),
            None => {
                let token = self.lexer.next_token()?;
                self.peeked = Some(token);
                Ok(token)
            }
        }
    }

    /// The next word, consumed.
    fn bump(&mut self) -> Result<Token, ParseError> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    /// Consumes the next word if it is of this kind.
    fn accept(&mut self, kind: TokenKind) -> Result<Option<Token>, ParseError> {
        if self.peek()?.kind != kind {
            return Ok(None);
        }
        self.bump().map(Some)
    }

    fn expect_end(&mut self) -> Result<(), ParseError> {
        let token = self.bump()?;
        if token.kind == TokenKind::End { Ok(()) } else { Err(self.unexpected(token)) }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, span, message)
    }

    /// The word cannot stand where it does.
    fn unexpected(&self, token: Token) -> ParseError {
        let place = if self.open_aggregations > 0 { " in aggregation" } else { "" };
        self.error(token.span, format!("unexpected {}{place}", token.describe(self.text)))
    }

    /// The word cannot stand in `place`, where `expected` could.
    fn unexpected_in(&self, token: Token, place: &str, expected: &str) -> ParseError {
        let word = token.describe(self.text);
        self.error(token.span, format!("unexpected {word} in {place}, expected {expected}"))
    }

    /// Goes one level deeper; undone by `self.depth.leave()`.
    fn enter(&mut self, span: Span) -> Result<(), ParseError> {
        let too_deep =
            |_| ParseError::new(self.text, span, format!("nested more than {MAX_NESTING} levels deep"));
        self.depth.enter().map_err(too_deep)
    }

    /// An expression above others, the highest of which has height `below`.
    fn node(&self, expr: Expr, below: usize) -> Result<Node, ParseError> {
        let height = below + 1;
        if height > MAX_HEIGHT {
            let message = format!("more than {MAX_HEIGHT} operations depend on each other");
            return Err(self.error(expr.span(), message));
        }
        Ok(Node { expr, height })
    }
}

#[cfg(test)]
mod tests;
