//! What binds to an operand from behind: ranges, `offset`, `@`, `anchored` and `smoothed`.

use model::number::{FloatFormat, format_float};
use syntax::Span;

use super::duration::{RANGE, STEP};
use super::{Node, ParseError, Parser};
use crate::ast::{AtModifier, BinaryOp, DurationSpec, Expr, MatrixSelector, RangeEdges, SubqueryExpr};
use crate::token::{Keyword, Token, TokenKind};

impl Parser<'_> {
    /// Reads what binds to an operand from behind.
    pub(super) fn modifiers(&mut self, mut node: Node) -> Result<Node, ParseError> {
        loop {
            match self.peek()?.kind {
                TokenKind::LeftBracket => {
                    let open = self.bump()?;
                    node = self.range(node, open)?;
                }
                TokenKind::Keyword(Keyword::Offset) => {
                    self.bump()?;
                    let offset = self.offset_duration()?;
                    self.set_offset(&mut node.expr, offset)?;
                }
                TokenKind::At => {
                    self.bump()?;
                    self.at_modifier(&mut node.expr)?;
                }
                TokenKind::Keyword(Keyword::Anchored) => {
                    self.set_edges(&mut node.expr, RangeEdges::Anchored)?
                }
                TokenKind::Keyword(Keyword::Smoothed) => {
                    self.set_edges(&mut node.expr, RangeEdges::Smoothed)?
                }
                _ => return Ok(node),
            }
        }
    }

    /// `[5m]` or `[1h:5m]`, the bracket of which has been read.
    fn range(&mut self, node: Node, open: Token) -> Result<Node, ParseError> {
        let range = self.positive_duration(RANGE)?;
        let token = self.bump()?;
        match token.kind {
            TokenKind::RightBracket => self.matrix(node, range, open.span.to(token.span)),
            TokenKind::Colon => {
                let (step, close) = match self.accept(TokenKind::RightBracket)? {
                    Some(close) => (None, close),
                    None => {
                        let step = self.positive_duration(STEP)?;
                        let close = self.bump()?;
                        if close.kind != TokenKind::RightBracket {
                            return Err(self.unexpected_in(close, "subquery selector", "\"]\""));
                        }
                        (Some(step), close)
                    }
                };
                let (height, expr) = (node.height, Box::new(node.expr));
                let span = expr.span().to(close.span);
                let (offset, at) = (DurationSpec::default(), None);
                self.node(Expr::Subquery(SubqueryExpr { expr, range, step, offset, at, span }), height)
            }
            _ => Err(self.unexpected_in(token, "subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(&self, node: Node, range: DurationSpec, brackets: Span) -> Result<Node, ParseError> {
        let message = match node.expr {
            Expr::Vector(selector) if selector.offset.is_unset() && selector.at.is_none() => {
                let span = selector.span.to(brackets);
                return self.node(Expr::Matrix(MatrixSelector { selector, range, span }), node.height);
            }
            Expr::Vector(selector) if !selector.offset.is_unset() => {
                "no offset modifiers allowed before range"
            }
            Expr::Vector(_) => "no @ modifiers allowed before range",
            _ => "ranges only allowed for vector selectors",
        };
        Err(self.error(brackets, message))
    }

    fn set_offset(&self, expr: &mut Expr, offset: DurationSpec) -> Result<(), ParseError> {
        let (span, end) = (expr.span(), self.lexer_end());
        let (target, node_span) = match expr {
            Expr::Vector(selector) => (&mut selector.offset, &mut selector.span),
            Expr::Matrix(matrix) => (&mut matrix.selector.offset, &mut matrix.span),
            Expr::Subquery(subquery) => (&mut subquery.offset, &mut subquery.span),
            _ => {
                let who = "an instant vector selector or range vector selector or a subquery";
                return Err(self.error(span, format!("offset modifier must be preceded by {who}")));
            }
        };
        if !target.is_unset() {
            return Err(self.error(span, "offset may not be set multiple times"));
        }
        (*target, node_span.end) = (offset, end);
        Ok(())
    }

    /// The time behind `@`.
    fn at_modifier(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let mut token = self.bump()?;
        let mut sign = 1.0;
        if let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind {
            sign = if op == BinaryOp::Sub { -1.0 } else { 1.0 };
            token = self.bump()?;
            if !matches!(token.kind, TokenKind::Number | TokenKind::Duration) {
                return Err(self.unexpected_in(token, "@", "timestamp"));
            }
        }
        let at = match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let seconds = sign * self.number(token)?.value;
                // Written so that NaN is out of bounds, too.
                if !(seconds < i64::MAX as f64 && seconds > i64::MIN as f64) {
                    let shown = format_float(seconds, FloatFormat::Fixed(6));
                    let message = format!("timestamp out of bounds for @ modifier: {shown}");
                    return Err(self.error(expr.span(), message));
                }
                AtModifier::Timestamp((seconds * 1000.0).round() as i64)
            }
            TokenKind::Keyword(keyword @ (Keyword::Start | Keyword::End)) => {
                for wanted in [TokenKind::LeftParen, TokenKind::RightParen] {
                    let token = self.bump()?;
                    if token.kind != wanted {
                        return Err(self.unexpected_in(token, "@", "timestamp"));
                    }
                }
                if keyword == Keyword::Start { AtModifier::Start } else { AtModifier::End }
            }
            _ => return Err(self.unexpected_in(token, "@", "timestamp")),
        };
        self.set_at(expr, at)
    }

    fn set_at(&self, expr: &mut Expr, at: AtModifier) -> Result<(), ParseError> {
        let (span, end) = (expr.span(), self.lexer_end());
        let (target, node_span) = match expr {
            Expr::Vector(selector) => (&mut selector.at, &mut selector.span),
            Expr::Matrix(matrix) => (&mut matrix.selector.at, &mut matrix.span),
            Expr::Subquery(subquery) => (&mut subquery.at, &mut subquery.span),
            _ => {
                let who = "an instant vector selector or range vector selector or a subquery";
                return Err(self.error(span, format!("@ modifier must be preceded by {who}")));
            }
        };
        if target.is_some() {
            return Err(self.error(span, "@ <timestamp> may not be set multiple times"));
        }
        (*target, node_span.end) = (Some(at), end);
        Ok(())
    }

    /// The keyword `anchored` or `smoothed`.
    fn set_edges(&mut self, expr: &mut Expr, edges: RangeEdges) -> Result<(), ParseError> {
        let token = self.bump()?;
        let name = if edges == RangeEdges::Anchored { "anchored" } else { "smoothed" };
        let span = expr.span();
        if !self.options.extended_range_selectors {
            return Err(self.error(span, format!("{name} modifier is experimental and not enabled")));
        }
        let (target, node_span) = match expr {
            Expr::Vector(selector) => (&mut selector.edges, &mut selector.span),
            Expr::Matrix(matrix) => (&mut matrix.selector.edges, &mut matrix.span),
            Expr::Subquery(_) => {
                return Err(self.error(span, format!("{name} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(span, format!("{name} modifier not implemented"))),
        };
        if !matches!(*target, RangeEdges::Plain) && *target != edges {
            return Err(self.error(span, "anchored and smoothed modifiers cannot be used together"));
        }
        (*target, node_span.end) = (edges, token.span.end);
        Ok(())
    }

    /// Where the word consumed last ends.
    fn lexer_end(&self) -> usize {
        self.peeked.map_or(self.lexer.position(), |next| {
            self.text[..next.span.start].trim_end_matches([' ', '\t', '\n', '\r']).len()
        })
    }
}
