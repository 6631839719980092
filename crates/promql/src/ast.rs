//! The syntax tree of PromQL. Every node knows the [`Span`] of text it was read from.
//!
//! The parser builds it, [`crate::check`] types it, [`crate::durations`] replaces duration
//! expressions by their values, and the planner turns it into something to run.

mod op;
mod walk;

pub use op::{AggregateOp, BinaryOp, DurationOp, UnaryOp, ValueType};

use model::Matcher;
use syntax::Span;

use crate::function_table::Function;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `1.5`, `Inf`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `-x`, `+x`
    Unary(UnaryExpr),
    /// `a + on (job) b`
    Binary(BinaryExpr),
    /// `sum by (job) (x)`
    Aggregate(AggregateExpr),
    /// `rate(x[5m])`
    Call(Call),
    /// `(x)`
    Paren(ParenExpr),
    /// `x{job="a"} offset 5m`
    Vector(VectorSelector),
    /// `x{job="a"}[5m]`
    Matrix(MatrixSelector),
    /// `x[1h:5m]`
    Subquery(SubqueryExpr),
}

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberLiteral {
    /// The value; seconds when written as a duration.
    pub value: f64,
    /// Whether it was written as a duration, and is printed as one.
    pub is_duration: bool,
    /// Where it stands, sign included.
    pub span: Span,
}

/// A string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringLiteral {
    /// The decoded text, with U+FFFD for bytes that are not UTF-8.
    pub value: String,
    /// The bytes the literal denotes, when they are not UTF-8. Such a string is no valid label name.
    pub invalid_utf8: Option<Vec<u8>>,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// A sign before an expression that is not a number literal (those take the sign themselves).
#[derive(Debug, Clone, PartialEq)]
pub struct UnaryExpr {
    /// The sign.
    pub op: UnaryOp,
    /// What it applies to: a scalar or an instant vector.
    pub expr: Box<Expr>,
    /// From the sign to the end of the operand.
    pub span: Span,
}

/// Two operands joined by an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryExpr {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand: a scalar or an instant vector.
    pub lhs: Box<Expr>,
    /// The right operand: a scalar or an instant vector.
    pub rhs: Box<Expr>,
    /// How elements find each other. After the check it is present exactly if both operands are
    /// instant vectors.
    pub matching: Option<VectorMatching>,
    /// `bool`: a comparison answers 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// The operator alone.
    pub op_span: Span,
    /// From the left operand to the right one.
    pub span: Span,
}

/// How many elements of each side may share one matching group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cardinality {
    /// At most one on each side.
    #[default]
    OneToOne,
    /// `group_left`: the left side may have many.
    ManyToOne,
    /// `group_right`: the right side may have many.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Cardinality {
    /// The name in messages and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }
}

/// How elements of two instant vectors find each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorMatching {
    /// How many elements of each side may share one group.
    pub cardinality: Cardinality,
    /// True for `on (labels)`, false for `ignoring (labels)`.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Labels that `group_left` or `group_right` copies from the "one" side.
    pub include: Vec<String>,
    /// The value that stands in for a missing element of the left side.
    pub fill_left: Option<f64>,
    /// The value that stands in for a missing element of the right side.
    pub fill_right: Option<f64>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateExpr {
    /// The operator.
    pub op: AggregateOp,
    /// The instant vector to aggregate.
    pub expr: Box<Expr>,
    /// The parameter of operators that take one ([`AggregateOp::takes_param`]): a scalar, or a
    /// string for `count_values`.
    pub param: Option<Box<Expr>>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether `grouping` is dropped (`without`) rather than kept (`by`).
    pub without: bool,
    /// From the operator to the closing parenthesis or the grouping behind it.
    pub span: Span,
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// The arguments; after the check, their number and types fit the function.
    pub args: Vec<Expr>,
    /// From the name to the closing parenthesis.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct ParenExpr {
    /// What is inside.
    pub expr: Box<Expr>,
    /// Parentheses included.
    pub span: Span,
}

/// A moment fixed by `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AtModifier {
    /// `@ 1600000000`: milliseconds since the Unix epoch.
    Timestamp(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// How a selector treats the edges of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RangeEdges {
    /// Only samples inside count.
    #[default]
    Plain,
    /// `anchored`: the last sample at or before each edge stands at the edge.
    Anchored,
    /// `smoothed`: values at the edges are interpolated.
    Smoothed,
}

/// Selects the current element of each matching series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorSelector {
    /// The metric name written before the braces, if any.
    pub name: Option<String>,
    /// All conditions, the one on the name included (last, when it stands before the braces).
    pub matchers: Vec<Matcher>,
    /// How far back to look; negative looks ahead.
    pub offset: DurationSpec,
    /// The moment to look at instead of the evaluation time.
    pub at: Option<AtModifier>,
    /// `anchored` or `smoothed`.
    pub edges: RangeEdges,
    /// Whether this is the second argument of `info`: conditions on labels of info metrics, which
    /// selects nothing by itself.
    pub label_conditions_only: bool,
    /// Modifiers included.
    pub span: Span,
}

/// Selects the samples of each matching series in a range that ends at the evaluation time.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// Which series; also carries `@`, `offset` and the treatment of edges.
    pub selector: VectorSelector,
    /// The length of the range.
    pub range: DurationSpec,
    /// Modifiers included.
    pub span: Span,
}

/// Evaluates an instant expression at steps of a range.
#[derive(Debug, Clone, PartialEq)]
pub struct SubqueryExpr {
    /// What to evaluate.
    pub expr: Box<Expr>,
    /// The length of the range.
    pub range: DurationSpec,
    /// The distance of evaluations; `None` for the engine's default.
    pub step: Option<DurationSpec>,
    /// How far back to look; negative looks ahead.
    pub offset: DurationSpec,
    /// The moment to look at instead of the evaluation time.
    pub at: Option<AtModifier>,
    /// Modifiers included.
    pub span: Span,
}

/// A length of time: a literal, or an expression whose value depends on the query's step and range.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DurationSpec {
    /// Milliseconds; 0 for an expression until [`crate::durations::resolve`] has evaluated it.
    pub ms: i64,
    /// The expression, unless a plain literal was written.
    pub expr: Option<Box<DurationExpr>>,
}

impl DurationSpec {
    /// A literal length.
    pub const fn literal(ms: i64) -> Self {
        Self { ms, expr: None }
    }

    /// Whether nothing was given: neither a length other than zero nor an expression.
    pub fn is_unset(&self) -> bool {
        self.ms == 0 && self.expr.is_none()
    }
}

/// An expression over lengths of time, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// `5m`, `300`
    Literal(NumberLiteral),
    /// `step()`: the resolution of the query.
    Step(Span),
    /// `range()`: the time between the query's start and end.
    Range(Span),
    /// `-x`
    Negate(Box<DurationExpr>, Span),
    /// `(x)`
    Paren(Box<DurationExpr>, Span),
    /// `x + y`, `min_of(x, y)`
    Binary {
        /// The operator.
        op: DurationOp,
        /// The left operand.
        lhs: Box<DurationExpr>,
        /// The right operand.
        rhs: Box<DurationExpr>,
        /// From the left operand to the right one.
        span: Span,
    },
}

impl DurationExpr {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Literal(literal) => literal.span,
            Self::Step(span) | Self::Range(span) | Self::Negate(_, span) | Self::Paren(_, span) => *span,
            Self::Binary { span, .. } => *span,
        }
    }
}

impl Expr {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(e) => e.span,
            Self::String(e) => e.span,
            Self::Unary(e) => e.span,
            Self::Binary(e) => e.span,
            Self::Aggregate(e) => e.span,
            Self::Call(e) => e.span,
            Self::Paren(e) => e.span,
            Self::Vector(e) => e.span,
            Self::Matrix(e) => e.span,
            Self::Subquery(e) => e.span,
        }
    }

    /// The type of its value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Unary(e) => e.expr.value_type(),
            Self::Binary(e) => {
                let scalars = [&e.lhs, &e.rhs].iter().all(|side| side.value_type() == ValueType::Scalar);
                if scalars { ValueType::Scalar } else { ValueType::Vector }
            }
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Call(e) => e.function.returns,
            Self::Paren(e) => e.expr.value_type(),
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
        }
    }

    /// The expression without parentheses around it.
    pub fn unparen(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}
