//! Expressions: operands and the operators between them.

use model::labels::Quoted;
use syntax::Span;
use syntax::literal::unquote_bytes;
use syntax::pratt::{Operators, Power, climb};

use super::{Node, ParseError, Parser};
use crate::ast::{
    AggregateExpr, AggregateOp, BinaryExpr, BinaryOp, Call, Expr, NumberLiteral, ParenExpr, StringLiteral,
    UnaryExpr, UnaryOp,
};
use crate::function_table;
use crate::token::{Keyword, Token, TokenKind};

/// The level of `*`, which signs share: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`.
pub(super) const MUL_LEVEL: u8 = 5;

pub(super) fn power_of(op: BinaryOp) -> Power {
    use BinaryOp::{Add, And, Atan2, Div, Mod, Mul, Or, Pow, Sub, Unless};
    match op {
        Or => Power::left(1),
        And | Unless => Power::left(2),
        Add | Sub => Power::left(4),
        Mul | Div | Mod | Atan2 => Power::left(MUL_LEVEL),
        Pow => Power::right(6),
        _ => Power::left(3),
    }
}

impl Operators for Parser<'_> {
    type Expr = Node;
    type Op = BinaryOp;
    type Error = ParseError;

    fn operand(&mut self) -> Result<Node, ParseError> {
        let start = self.peek()?.span;
        self.enter(start)?;
        let primary = self.primary()?;
        let node = self.modifiers(primary)?;
        self.depth.leave();
        Ok(node)
    }

    fn peek_operator(&mut self) -> Result<Option<(BinaryOp, Power)>, ParseError> {
        Ok(match self.peek()?.kind {
            TokenKind::Operator(op) => Some((op, power_of(op))),
            _ => None,
        })
    }

    fn join(&mut self, left: Node, op: BinaryOp, right: u8) -> Result<Node, ParseError> {
        let token = self.bump()?;
        let (return_bool, matching) = self.binary_modifiers()?;
        self.enter(token.span)?;
        let right = climb(self, right)?;
        self.depth.leave();
        let span = left.expr.span().to(right.expr.span());
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if fills && !self.options.fill_modifiers {
            return Err(self.error(span, "binop fill modifiers are experimental and not enabled"));
        }
        let (lhs, rhs) = (Box::new(left.expr), Box::new(right.expr));
        let (op_span, matching) = (token.span, Some(matching));
        let expr = BinaryExpr { op, lhs, rhs, matching, return_bool, op_span, span };
        self.node(Expr::Binary(expr), left.height.max(right.height))
    }
}

impl Parser<'_> {
    pub(super) fn expect(&mut self, kind: TokenKind) -> Result<Token, ParseError> {
        let token = self.bump()?;
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token)) }
    }

    /// A number, or a duration in seconds.
    pub(super) fn number(&self, token: Token) -> Result<NumberLiteral, ParseError> {
        let text = token.span.of(self.text);
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            let ms = model::duration::parse_duration_ms(text)
                .map_err(|e| self.error(token.span, e.to_string()))?;
            ms as f64 / 1000.0
        } else {
            parse_number(text).map_err(|e| self.error(token.span, format!("error parsing number: {e}")))?
        };
        Ok(NumberLiteral { value, is_duration, span: token.span })
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        let token = self.bump()?;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => self.node(Expr::Number(self.number(token)?), 0),
            TokenKind::String => {
                let literal = self.string_literal(token)?;
                self.node(Expr::String(literal), 0)
            }
            TokenKind::Operator(BinaryOp::Add) => self.unary(token, UnaryOp::Plus),
            TokenKind::Operator(BinaryOp::Sub) => self.unary(token, UnaryOp::Minus),
            TokenKind::LeftParen => {
                let inner = climb(self, 0)?;
                let close = self.expect(TokenKind::RightParen)?;
                let expr = ParenExpr { expr: Box::new(inner.expr), span: token.span.to(close.span) };
                self.node(Expr::Paren(expr), inner.height)
            }
            TokenKind::LeftBrace => {
                let selector = self.braces(token)?;
                self.node(Expr::Vector(selector), 0)
            }
            TokenKind::Aggregate(op) => match self.peek()?.kind {
                TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without) => {
                    self.aggregation(token, op)
                }
                _ => self.metric(token),
            },
            TokenKind::Identifier => self.call_or_metric(token),
            TokenKind::Keyword(keyword) if keyword.is_function_like() => self.call_or_metric(token),
            kind if kind.is_metric_name() => self.metric(token),
            _ => Err(self.unexpected(token)),
        }
    }

    fn string_literal(&self, token: Token) -> Result<StringLiteral, ParseError> {
        let value = self.unquote(token)?;
        let bytes = unquote_bytes(token.span.of(self.text)).unwrap_or_default();
        let invalid_utf8 = (bytes != value.as_bytes()).then_some(bytes);
        Ok(StringLiteral { value, invalid_utf8, span: token.span })
    }

    fn metric(&mut self, name: Token) -> Result<Node, ParseError> {
        let selector = self.named_selector(name)?;
        self.node(Expr::Vector(selector), 0)
    }

    fn unary(&mut self, sign: Token, op: UnaryOp) -> Result<Node, ParseError> {
        let operand = climb(self, Power::left(MUL_LEVEL).right)?;
        match operand.expr {
            Expr::Number(mut literal) => {
                if op == UnaryOp::Minus {
                    literal.value = -literal.value;
                }
                literal.span.start = sign.span.start;
                Ok(Node { expr: Expr::Number(literal), height: operand.height })
            }
            expr => {
                let span = sign.span.to(expr.span());
                self.node(Expr::Unary(UnaryExpr { op, expr: Box::new(expr), span }), operand.height)
            }
        }
    }

    fn call_or_metric(&mut self, name: Token) -> Result<Node, ParseError> {
        if self.peek()?.kind != TokenKind::LeftParen {
            return self.metric(name);
        }
        let (args, height, close) = self.arguments()?;
        let text = name.span.of(self.text);
        let Some(function) = function_table::lookup(text) else {
            return Err(self.error(name.span, format!("unknown function with name {}", Quoted(text))));
        };
        if function.experimental && !self.options.experimental_functions {
            return Err(self.error(name.span, format!("function {} is not enabled", Quoted(text))));
        }
        self.node(Expr::Call(Call { function, args, span: name.span.to(close) }), height)
    }

    /// `(a, b)`: the expressions, the greatest height among them, and the closing parenthesis.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize, Span), ParseError> {
        self.expect(TokenKind::LeftParen)?;
        let (mut args, mut height) = (Vec::new(), 0);
        if let Some(close) = self.accept(TokenKind::RightParen)? {
            return Ok((args, height, close.span));
        }
        loop {
            let arg = climb(self, 0)?;
            height = height.max(arg.height);
            args.push(arg.expr);
            let token = self.bump()?;
            match token.kind {
                TokenKind::RightParen => return Ok((args, height, token.span)),
                TokenKind::Comma if self.peek()?.kind.starts_expression() => {}
                TokenKind::Comma => {
                    return Err(self.error(token.span, "trailing commas not allowed in function call args"));
                }
                _ => return Err(self.unexpected(token)),
            }
        }
    }

    fn aggregation(&mut self, name: Token, op: AggregateOp) -> Result<Node, ParseError> {
        self.open_aggregations += 1;
        let mut grouping = self.aggregation_grouping()?;
        let (args, height, mut end) = self.arguments()?;
        self.open_aggregations -= 1;
        if grouping.is_none() {
            grouping = self.aggregation_grouping()?;
        }
        let (without, grouping, grouping_end) = grouping.unwrap_or_default();
        end.end = end.end.max(grouping_end);
        let span = name.span.to(end);
        let (param, expr) = self.aggregation_arguments(op, args, span)?;
        let (expr, param) = (Box::new(expr), param.map(Box::new));
        self.node(Expr::Aggregate(AggregateExpr { op, expr, param, grouping, without, span }), height)
    }

    /// Whether `without` was written, the labels, and where they end.
    fn aggregation_grouping(&mut self) -> Result<Option<(bool, Vec<String>, usize)>, ParseError> {
        let without = match self.peek()?.kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.bump()?;
        let labels = self.grouping_labels()?;
        Ok(Some((without, labels, self.lexer.position())))
    }

    fn aggregation_arguments(
        &self,
        op: AggregateOp,
        args: Vec<Expr>,
        span: Span,
    ) -> Result<(Option<Expr>, Expr), ParseError> {
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.experimental_functions {
            let feature = "--enable-feature=promql-experimental-functions";
            let message = format!("{op}() is experimental and must be enabled with {feature}");
            return Err(self.error(span, message));
        }
        let (got, expected) = (args.len(), if op.takes_param() { 2 } else { 1 });
        let mut args = args.into_iter();
        match (args.next(), args.next(), got == expected) {
            (Some(param), Some(expr), true) => Ok((Some(param), expr)),
            (Some(expr), None, true) => Ok((None, expr)),
            _ => {
                let what = "wrong number of arguments for aggregate expression provided";
                Err(self.error(span, format!("{what}, expected {expected}, got {got}")))
            }
        }
    }
}

/// The value of a number: an integer literal in Go's syntax, or a decimal fraction. The error is the
/// text of Go's `ParseFloat`.
pub fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(integer) = syntax::literal::parse_integer(text) {
        return Ok(integer as f64);
    }
    let failed = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", Quoted(text));
    let separated =
        text.as_bytes().windows(3).all(|w| w[1] != b'_' || (w[0].is_ascii_digit() && w[2].is_ascii_digit()));
    let value: f64 = match separated {
        true => text.replace('_', "").parse().map_err(|_| failed("invalid syntax"))?,
        false => return Err(failed("invalid syntax")),
    };
    if value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(failed("value out of range"));
    }
    Ok(value)
}
