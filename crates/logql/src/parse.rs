//! Tokens to a tree.
//!
//! Errors name what stands where it should not, and what could stand there when that is a short list, as users of
//! the reference know them. In reading order: this file (expressions), `pipeline` (what follows a selector),
//! `metric` (aggregations), `check` (what no grammar says), `beyond` (what is only there
//! when it is switched on).

mod beyond;
mod check;
mod metric;
mod pipeline;

use model::{MatchOp, Matcher};
use syntax::Span;
use syntax::pratt::{Depth, Operators, Power, climb};

use crate::ast::{Binary, BinaryOp, Expr, LogExpr, Matching, MetricExpr, Side};
use crate::error::ParseError;
use crate::features::Features;
use crate::lex::{Lexed, Token, lex, name_of};

/// How deep expressions may nest.
const MAX_DEPTH: usize = 100;
/// How many operations and conditions a query may have: chains of them are trees as deep as they are long.
const MAX_JOINS: usize = 1000;
/// Bytes of a query.
const MAX_BYTES: usize = 128 << 10;

type Result<T> = std::result::Result<T, ParseError>;

/// Reads a query.
pub fn parse(text: &str) -> Result<Expr> {
    parse_with(text, Features::default())
}

/// Reads a query in which these features may be used.
pub fn parse_with(text: &str, features: Features) -> Result<Expr> {
    if text.len() > MAX_BYTES {
        return Err(ParseError::general(format!("input size too long ({} > {MAX_BYTES})", text.len())));
    }
    let mut parser = Parser::new(text, features)?;
    let expr = climb(&mut parser, 0)?;
    if *parser.peek() != Token::End {
        return Err(parser.unexpected(&[]));
    }
    if let Some(problem) = parser.semantic.take() {
        return Err(problem);
    }
    check::expression(&expr)?;
    Ok(expr)
}

/// Reads a query that selects lines.
pub fn parse_log(text: &str) -> std::result::Result<LogExpr, LogQueryError> {
    match parse(text)? {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => Err(LogQueryError::NotLog),
    }
}

/// Reads a selector of streams without any pipeline.
pub fn parse_matchers(text: &str) -> std::result::Result<Vec<Matcher>, LogQueryError> {
    match parse(text)? {
        Expr::Log(log) if log.stages.is_empty() && log.distinct.is_empty() => Ok(log.matchers),
        _ => Err(LogQueryError::NotMatchers),
    }
}

/// Why a text is not a query of the kind that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogQueryError {
    /// It is no query.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It computes series.
    #[error("only log selector is supported")]
    NotLog,
    /// It is more than a selector.
    #[error("only label matchers are supported")]
    NotMatchers,
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexed>,
    at: usize,
    depth: Depth,
    joins: usize,
    features: Features,
    /// The first problem that the grammar does not know of; told only where the grammar is satisfied.
    semantic: Option<ParseError>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, features: Features) -> Result<Self> {
        let tokens = lex(text, features)?;
        Ok(Self { text, tokens, at: 0, depth: Depth::limit(MAX_DEPTH), joins: 0, features, semantic: None })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].token
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].token.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    /// Whether the next token is this operator or keyword.
    fn is(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Fixed(fixed) if *fixed == word)
    }

    /// Takes the next token if it is this operator or keyword.
    fn take(&mut self, word: &str) -> bool {
        let taken = self.is(word);
        if taken {
            self.next();
        }
        taken
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected(&[word])) }
    }

    fn identifier(&mut self) -> Result<String> {
        match self.peek() {
            Token::Identifier(name) => {
                let name = name.clone();
                self.next();
                Ok(name)
            }
            _ => Err(self.unexpected(&["IDENTIFIER"])),
        }
    }

    fn string(&mut self) -> Result<String> {
        self.string_or(&["STRING"])
    }

    fn string_or(&mut self, expected: &[&str]) -> Result<String> {
        match self.peek() {
            Token::String(value) => {
                let value = value.clone();
                self.next();
                Ok(value)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// An error about the next token. Long lists of what was expected are left out by passing none.
    fn unexpected(&self, expected: &[&str]) -> ParseError {
        let lexed = &self.tokens[self.at];
        let mut problem = format!("syntax error: unexpected {}", name_of(&lexed.token));
        for (at, name) in expected.iter().enumerate() {
            problem.push_str(if at == 0 { ", expecting " } else { " or " });
            problem.push_str(name);
        }
        if self.text.is_empty() {
            return ParseError::general(problem);
        }
        ParseError::at(self.text, lexed.span, lexed.has_line, problem)
    }

    fn note(&mut self, problem: impl Into<String>) {
        self.semantic.get_or_insert_with(|| ParseError::general(problem));
    }

    /// Counts an operation or a condition that is joined to another.
    fn count_join(&mut self) -> Result<()> {
        self.joins += 1;
        if self.joins <= MAX_JOINS {
            return Ok(());
        }
        let problem = format!("more than {MAX_JOINS} operations and conditions");
        Err(ParseError::at(self.text, self.span(), true, problem))
    }

    fn too_deep(&self) -> ParseError {
        ParseError::at(
            self.text,
            self.span(),
            true,
            format!("expressions are nested deeper than {MAX_DEPTH}"),
        )
    }

    /// `{a="b", c=~"d"}`
    fn selector(&mut self) -> Result<LogExpr> {
        let start = self.span();
        self.expect("{")?;
        let mut matchers = Vec::new();
        if !self.is("}") {
            if !matches!(self.peek(), Token::Identifier(_)) {
                return Err(self.unexpected(&["IDENTIFIER", "}"]));
            }
            loop {
                let name = self.identifier()?;
                let op = self.match_op()?;
                let value = self.string()?;
                if let Some(matcher) = self.matcher(op, name, value) {
                    matchers.push(matcher);
                }
                if self.take(",") {
                    continue;
                }
                if self.is("}") {
                    break;
                }
                return Err(self.unexpected(&["}", ","]));
            }
        }
        let span = start.to(self.span());
        self.next();
        Ok(LogExpr { matchers, stages: Vec::new(), distinct: Vec::new(), span })
    }

    fn match_op(&mut self) -> Result<MatchOp> {
        let op = match self.peek() {
            Token::Fixed("=") => MatchOp::Equal,
            Token::Fixed("=~") => MatchOp::Regex,
            Token::Fixed("!~") => MatchOp::NotRegex,
            Token::Fixed("!=") => MatchOp::NotEqual,
            _ => return Err(self.unexpected(&["=", "=~", "!~", "!="])),
        };
        self.next();
        Ok(op)
    }

    fn matcher(&mut self, op: MatchOp, name: String, value: String) -> Option<Matcher> {
        match Matcher::new(op, name, value) {
            Ok(matcher) => Some(matcher),
            Err(problem) => {
                self.note(problem.to_string());
                None
            }
        }
    }

    /// A number with an optional sign.
    fn literal(&mut self) -> Result<f64> {
        let sign = match self.peek() {
            Token::Fixed("-") => -1.0,
            Token::Fixed("+") => 1.0,
            _ => 0.0,
        };
        if sign != 0.0 {
            self.next();
        }
        let value = self.number(&["NUMBER"])?;
        Ok(if sign < 0.0 { -value } else { value })
    }

    fn number(&mut self, expected: &[&str]) -> Result<f64> {
        let Token::Number(text) = self.peek() else { return Err(self.unexpected(expected)) };
        let text = text.clone();
        self.next();
        Ok(self.float(&text))
    }

    fn float(&mut self, text: &str) -> f64 {
        let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
        let plain = text.replace('_', "");
        let value = if hexadecimal {
            Err(model::number::ParseFloatError::Syntax(text))
        } else {
            model::number::parse_float(&plain)
        };
        value.unwrap_or_else(|problem| {
            self.note(format!("unable to parse literal as a float: {problem}"));
            0.0
        })
    }

    /// `(a, b)`, perhaps empty.
    fn names(&mut self) -> Result<Vec<String>> {
        self.expect("(")?;
        let mut names = Vec::new();
        if self.take(")") {
            return Ok(names);
        }
        if !matches!(self.peek(), Token::Identifier(_)) {
            return Err(self.unexpected(&["IDENTIFIER", ")"]));
        }
        loop {
            names.push(self.identifier()?);
            if self.take(")") {
                return Ok(names);
            }
            if !self.take(",") {
                return Err(self.unexpected(&[",", ")"]));
            }
        }
    }

    /// What an operation works on: series, never lines.
    fn operand_of(&mut self, expr: Expr, leg: &str, op: BinaryOp) -> MetricExpr {
        match expr {
            Expr::Metric(metric) => metric,
            Expr::Log(log) => {
                let kind = if log.stages.is_empty() { "MatchersExpr" } else { "PipelineExpr" };
                let op = op.as_str();
                self.note(format!(
                    "unexpected type for {leg} leg of binary operation ({op}): *syntax.{kind}"
                ));
                MetricExpr::Literal(0.0)
            }
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
        returns_bool: bool,
        matching: Matching,
    ) -> MetricExpr {
        let left = self.operand_of(left, "left", op);
        let right = self.operand_of(right, "right", op);
        if let (MetricExpr::Literal(a), MetricExpr::Literal(b), false) = (&left, &right, op.is_set()) {
            return MetricExpr::Literal(crate::engine::arithmetic::literals(op, *a, *b));
        }
        for (leg, side) in [("left", &left), ("right", &right)] {
            if let (MetricExpr::Literal(value), true) = (side, op.is_set()) {
                self.note(format!(
                    "unexpected literal for {leg} leg of logical/set binary operation ({}): {value:.6}",
                    op.as_str()
                ));
            }
        }
        MetricExpr::Binary(Box::new(Binary { op, left, right, returns_bool, matching }))
    }

    /// `bool`, `on (...)`, `ignoring (...)`, `group_left (...)`
    fn modifiers(&mut self) -> Result<(bool, Matching)> {
        let returns_bool = self.take("bool");
        let mut matching = Matching::default();
        let is_on = self.is("on");
        if is_on || self.is("ignoring") {
            self.next();
            matching.is_explicit = true;
            matching.on = is_on;
            matching.names = self.names()?;
            for (word, side) in [("group_left", Side::Left), ("group_right", Side::Right)] {
                if self.take(word) {
                    matching.many = Some(side);
                    if self.is("(") && !self.is_expression_behind_parenthesis() {
                        matching.include = self.names()?;
                    }
                    break;
                }
            }
        }
        Ok((returns_bool, matching))
    }

    /// Whether a parenthesis after `group_left` holds the operand and not a list of labels.
    fn is_expression_behind_parenthesis(&self) -> bool {
        !matches!(self.peek_second(), Token::Identifier(_) | Token::Fixed(")"))
    }
}

fn power(op: BinaryOp) -> Power {
    match op {
        BinaryOp::Or => Power::left(1),
        BinaryOp::And | BinaryOp::Unless => Power::left(2),
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual => Power::left(3),
        BinaryOp::Add | BinaryOp::Sub => Power::left(4),
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => Power::left(5),
        BinaryOp::Pow => Power::right(6),
    }
}

impl Operators for Parser<'_> {
    type Expr = Expr;
    type Op = BinaryOp;
    type Error = ParseError;

    fn operand(&mut self) -> Result<Expr> {
        self.depth.enter().map_err(|_| self.too_deep())?;
        let expr = match self.peek() {
            Token::Fixed("{") => {
                let mut log = self.selector()?;
                self.stages(&mut log)?;
                Expr::Log(log)
            }
            Token::Fixed("(") => {
                self.next();
                let inner = climb(self, 0)?;
                if !self.take(")") {
                    return Err(self.unexpected(&[]));
                }
                inner
            }
            Token::Number(_) | Token::Fixed("+" | "-") => Expr::Metric(MetricExpr::Literal(self.literal()?)),
            Token::Fixed(_) => Expr::Metric(self.function()?),
            _ if self.is_count_values() => Expr::Metric(self.count_values()?),
            _ => return Err(self.unexpected(&[])),
        };
        self.depth.leave();
        Ok(expr)
    }

    fn peek_operator(&mut self) -> Result<Option<(BinaryOp, Power)>> {
        let Token::Fixed(word) = self.peek() else { return Ok(None) };
        let op = BinaryOp::ALL.iter().find(|(text, _)| text == word);
        Ok(op.map(|&(_, op)| (op, power(op))))
    }

    fn join(&mut self, left: Expr, op: BinaryOp, right: u8) -> Result<Expr> {
        self.count_join()?;
        self.next();
        let (returns_bool, matching) = self.modifiers()?;
        self.depth.enter().map_err(|_| self.too_deep())?;
        let right = climb(self, right)?;
        self.depth.leave();
        Ok(Expr::Metric(self.binary(op, left, right, returns_bool, matching)))
    }
}
