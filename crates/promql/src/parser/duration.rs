//! Durations: literals, and expressions over them.

use syntax::Span;
use syntax::pratt::Power;

use super::expression::power_of;
use super::{ParseError, Parser};
use crate::ast::{BinaryOp, DurationExpr, DurationOp, DurationSpec, NumberLiteral};
use crate::token::{Keyword, Token, TokenKind};

/// Where a duration stands, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub name: &'static str,
    pub expected: &'static str,
}

pub(super) const OFFSET: Place = Place { name: "offset", expected: "number, duration, step(), or range()" };
pub(super) const RANGE: Place =
    Place { name: "subquery or range selector", expected: "number, duration, step(), or range()" };
pub(super) const STEP: Place =
    Place { name: "subquery selector", expected: "number, duration, step(), range(), or \"]\"" };

/// The longest time span in seconds: nanoseconds must fit 64 bits.
const MAX_SECONDS: f64 = i64::MAX as f64 / 1e9;

/// The whole milliseconds of a length in seconds. Nanoseconds are rounded, the rest is cut off.
fn to_ms(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64 / 1_000_000
}

impl From<DurationExpr> for DurationSpec {
    fn from(expr: DurationExpr) -> Self {
        match expr {
            DurationExpr::Literal(literal) => Self::literal(to_ms(literal.value)),
            expr => Self { ms: 0, expr: Some(Box::new(expr)) },
        }
    }
}

impl Parser<'_> {
    /// A duration that must be positive, as far as it is known yet.
    pub(super) fn positive_duration(&mut self, place: Place) -> Result<DurationSpec, ParseError> {
        let expr = self.duration_expr(0, place)?;
        match &expr {
            DurationExpr::Literal(literal) if literal.value <= 0.0 => {
                Err(self.error(literal.span, "duration must be greater than 0"))
            }
            _ => Ok(expr.into()),
        }
    }

    /// The duration behind `offset`. A single literal or function ends it, with a sign or without:
    /// in `x offset -2 ^ 2` the power applies to `x offset -2`. What starts with a parenthesis goes
    /// on with further operators.
    pub(super) fn offset_duration(&mut self) -> Result<DurationSpec, ParseError> {
        let first = self.peek()?;
        let expr = match first.kind {
            TokenKind::LeftParen => self.duration_expr(0, OFFSET)?,
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.bump()?;
                let second = self.peek()?;
                match second.kind {
                    TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub) => {
                        let operand = self.signed_duration(first, op, OFFSET)?;
                        self.duration_tail(operand, 0, OFFSET)?
                    }
                    TokenKind::LeftParen => {
                        let (inner, _) = self.duration_in_parens(OFFSET)?;
                        let span = inner.span();
                        self.apply_sign(first, op, wrap(inner, span))?
                    }
                    _ => {
                        let operand = self.duration_operand(OFFSET)?;
                        self.apply_sign(first, op, operand)?
                    }
                }
            }
            _ => self.duration_operand(OFFSET)?,
        };
        Ok(expr.into())
    }

    fn duration_expr(&mut self, minimum: u8, place: Place) -> Result<DurationExpr, ParseError> {
        let left = self.duration_operand(place)?;
        self.duration_tail(left, minimum, place)
    }

    /// The operators behind an operand that bind at least as strongly as `minimum`.
    fn duration_tail(
        &mut self,
        mut left: DurationExpr,
        minimum: u8,
        place: Place,
    ) -> Result<DurationExpr, ParseError> {
        let mut joined = 0;
        loop {
            let token = self.peek()?;
            let TokenKind::Operator(binary) = token.kind else { break };
            let (Some(op), power) = (duration_op(binary), power_of(binary)) else { break };
            if power.left < minimum {
                break;
            }
            self.bump()?;
            // Chains make the tree as high as nesting does, and it is walked recursively.
            self.enter(token.span)?;
            joined += 1;
            let right = self.duration_expr(power.right, place)?;
            self.require_duration_expressions(left.span())?;
            if let (DurationExpr::Literal(NumberLiteral { value: 0.0, .. }), Some(what)) =
                (&right, zero_message(op))
            {
                return Err(self.error(token.span, what));
            }
            let span = left.span().to(right.span());
            left = DurationExpr::Binary { op, lhs: Box::new(left), rhs: Box::new(right), span };
        }
        (0..joined).for_each(|_| self.depth.leave());
        Ok(left)
    }

    fn duration_operand(&mut self, place: Place) -> Result<DurationExpr, ParseError> {
        let token = self.peek()?;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                self.bump()?;
                let literal = self.number(token)?;
                self.check_range(literal.value, token.span)?;
                Ok(DurationExpr::Literal(literal))
            }
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.bump()?;
                self.signed_duration(token, op, place)
            }
            TokenKind::LeftParen => {
                let (inner, parens) = self.duration_in_parens(place)?;
                self.require_duration_expressions(inner.span())?;
                Ok(wrap(inner, parens))
            }
            TokenKind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.bump()?;
                self.expect_in(TokenKind::LeftParen, place)?;
                let close = self.expect_in(TokenKind::RightParen, place)?;
                let span = token.span.to(close.span);
                self.require_duration_expressions(span)?;
                let step = keyword == Keyword::Step;
                Ok(if step { DurationExpr::Step(span) } else { DurationExpr::Range(span) })
            }
            TokenKind::Keyword(Keyword::MinOf) => self.choice(DurationOp::MinOf, place),
            TokenKind::Keyword(Keyword::MaxOf) => self.choice(DurationOp::MaxOf, place),
            _ => Err(self.unexpected_in(token, place.name, place.expected)),
        }
    }

    /// An operand whose sign has been read.
    fn signed_duration(
        &mut self,
        sign: Token,
        op: BinaryOp,
        place: Place,
    ) -> Result<DurationExpr, ParseError> {
        self.enter(sign.span)?;
        let operand = self.duration_expr(Power::left(super::expression::MUL_LEVEL).right, place)?;
        self.depth.leave();
        self.apply_sign(sign, op, operand)
    }

    fn apply_sign(
        &self,
        sign: Token,
        op: BinaryOp,
        operand: DurationExpr,
    ) -> Result<DurationExpr, ParseError> {
        Ok(match operand {
            DurationExpr::Literal(mut literal) => {
                if op == BinaryOp::Sub {
                    literal.value = -literal.value;
                }
                self.check_range(literal.value, sign.span)?;
                literal.span.start = sign.span.start;
                DurationExpr::Literal(literal)
            }
            operand if op == BinaryOp::Sub => {
                let span = sign.span.to(operand.span());
                DurationExpr::Negate(Box::new(operand), span)
            }
            operand => operand,
        })
    }

    /// A duration in parentheses, and from where to where it reaches for messages.
    fn duration_in_parens(&mut self, place: Place) -> Result<(DurationExpr, Span), ParseError> {
        let open = self.bump()?;
        self.enter(open.span)?;
        let inner = self.duration_expr(0, place)?;
        self.depth.leave();
        self.expect_in(TokenKind::RightParen, place)?;
        let span = match &inner {
            DurationExpr::Literal(literal) => open.span.to(literal.span),
            other => other.span(),
        };
        Ok((inner, span))
    }

    /// `min_of(a, b)`
    fn choice(&mut self, op: DurationOp, place: Place) -> Result<DurationExpr, ParseError> {
        let name = self.bump()?;
        self.enter(name.span)?;
        self.expect_in(TokenKind::LeftParen, place)?;
        let lhs = Box::new(self.duration_expr(0, place)?);
        self.expect_in(TokenKind::Comma, place)?;
        let rhs = Box::new(self.duration_expr(0, place)?);
        self.expect_in(TokenKind::RightParen, place)?;
        self.depth.leave();
        let span = lhs.span().to(rhs.span());
        self.require_duration_expressions(span)?;
        Ok(DurationExpr::Binary { op, lhs, rhs, span })
    }

    fn expect_in(&mut self, kind: TokenKind, place: Place) -> Result<Token, ParseError> {
        let token = self.bump()?;
        if token.kind == kind {
            Ok(token)
        } else {
            Err(self.unexpected_in(token, place.name, place.expected))
        }
    }

    fn check_range(&self, seconds: f64, span: Span) -> Result<(), ParseError> {
        if seconds.abs() > MAX_SECONDS {
            return Err(self.error(span, "duration out of range"));
        }
        Ok(())
    }

    fn require_duration_expressions(&self, span: Span) -> Result<(), ParseError> {
        if !self.options.duration_expressions {
            return Err(self.error(span, "experimental duration expression is not enabled"));
        }
        Ok(())
    }
}

/// Parentheses around parentheses mean nothing.
fn wrap(inner: DurationExpr, span: Span) -> DurationExpr {
    match inner {
        DurationExpr::Paren(..) => inner,
        inner => DurationExpr::Paren(Box::new(inner), span),
    }
}

fn duration_op(op: BinaryOp) -> Option<DurationOp> {
    Some(match op {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _ => return None,
    })
}

fn zero_message(op: DurationOp) -> Option<&'static str> {
    match op {
        DurationOp::Div => Some("division by zero"),
        DurationOp::Mod => Some("modulo by zero"),
        _ => None,
    }
}
