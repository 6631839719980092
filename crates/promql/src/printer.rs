//! Writes trees as queries: on one line, or spread over lines where one is too long.

mod pretty;

pub use pretty::prettify;

use std::fmt::{self, Display, Formatter, Write};

use model::duration::format_duration_ms;
use model::labels::{METRIC_NAME, Quoted, is_legacy_label_name};
use model::number::{FloatFormat, Formatted, general};
use model::{MatchOp, Matcher};

use crate::ast::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Cardinality, DurationExpr, DurationOp, DurationSpec, Expr,
    MatrixSelector, NumberLiteral, ParenExpr, RangeEdges, StringLiteral, SubqueryExpr, UnaryExpr,
    VectorMatching, VectorSelector,
};

/// The query on one line. Parsing it gives an equal tree, apart from places in the text.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(e) => e.fmt(f),
            Self::String(e) => e.fmt(f),
            Self::Unary(e) => e.fmt(f),
            Self::Binary(e) => e.fmt(f),
            Self::Aggregate(e) => e.fmt(f),
            Self::Call(e) => e.fmt(f),
            Self::Paren(e) => e.fmt(f),
            Self::Vector(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Subquery(e) => e.fmt(f),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            return f.write_str(&format_duration_ms((self.value * 1e9) as i64 / 1_000_000));
        }
        Formatted(self.value, FloatFormat::Plain).fmt(f)
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(bytes) = &self.invalid_utf8 else { return Quoted(&self.value).fmt(f) };
        f.write_char('"')?;
        for chunk in bytes.utf8_chunks() {
            let quoted = Quoted(chunk.valid()).to_string();
            f.write_str(&quoted[1..quoted.len() - 1])?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        f.write_char('"')
    }
}

impl Display for UnaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.op, self.expr)
    }
}

impl Display for ParenExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.expr)
    }
}

impl Display for BinaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.lhs, Operator(self), self.rhs)
    }
}

/// The operator of a binary expression with its modifiers: `== bool on (a)`.
pub(crate) struct Operator<'a>(pub &'a BinaryExpr);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let binary = self.0;
        write!(f, "{}{}", binary.op, if binary.return_bool { " bool" } else { "" })?;
        match &binary.matching {
            Some(matching) => matching.fmt(f),
            None => Ok(()),
        }
    }
}

impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("left"),
            Cardinality::OneToMany => Some("right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if self.on || !self.labels.is_empty() || group.is_some() {
            write!(f, " {} ({})", if self.on { "on" } else { "ignoring" }, LabelList(&self.labels))?;
        }
        if let Some(side) = group {
            write!(f, " group_{side} ({})", LabelList(&self.include))?;
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left == right => write!(f, " fill ({})", general(left)),
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", general(left))?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({})", general(right))?;
                }
                Ok(())
            }
        }
    }
}

/// Label names with commas between them, quoted where that is needed.
struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, label) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            if is_legacy_label_name(label) {
                f.write_str(label)?;
            } else {
                Quoted(label).fmt(f)?;
            }
        }
        Ok(())
    }
}

impl Display for AggregateExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", Grouping(self))?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

/// The operator of an aggregation with its grouping: `sum by (a) `.
pub(crate) struct Grouping<'a>(pub &'a AggregateExpr);

impl Display for Grouping<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let aggregate = self.0;
        let labels = LabelList(&aggregate.grouping);
        match aggregate.without {
            true => write!(f, "{} without ({labels}) ", aggregate.op),
            false if aggregate.grouping.is_empty() => aggregate.op.fmt(f),
            false => write!(f, "{} by ({labels}) ", aggregate.op),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
        }
        f.write_char(')')
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_series(f)?;
        self.at.map_or(Ok(()), |at| at.fmt(f))?;
        f.write_str(self.edges.suffix())?;
        write_offset(f, &self.offset)
    }
}

impl VectorSelector {
    /// The name and the conditions, without modifiers.
    fn write_series(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or_default();
        let is_name = |m: &Matcher| {
            m.name == METRIC_NAME && m.op == MatchOp::Equal && m.value == name && !m.value.is_empty()
        };
        let mut conditions: Vec<String> =
            self.matchers.iter().filter(|m| !is_name(m)).map(Matcher::to_string).collect();
        conditions.sort_unstable();
        f.write_str(name)?;
        if !conditions.is_empty() {
            write!(f, "{{{}}}", conditions.join(","))?;
        }
        Ok(())
    }
}

impl RangeEdges {
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Anchored => " anchored",
            Self::Smoothed => " smoothed",
        }
    }
}

impl Display for AtModifier {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(ms) => {
                write!(f, " @ {}", Formatted(*ms as f64 / 1000.0, FloatFormat::Fixed(3)))
            }
            Self::Start => f.write_str(" @ start()"),
            Self::End => f.write_str(" @ end()"),
        }
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: &DurationSpec) -> fmt::Result {
    if offset.is_unset() { Ok(()) } else { write!(f, " offset {offset}") }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let selector = &self.selector;
        selector.write_series(f)?;
        write!(f, "[{}]{}", self.range, selector.edges.suffix())?;
        selector.at.map_or(Ok(()), |at| at.fmt(f))?;
        write_offset(f, &selector.offset)
    }
}

impl Display for SubqueryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, SubqueryRange(self))
    }
}

/// What stands behind the inner expression of a subquery: `[1h:5m] offset 5m`.
pub(crate) struct SubqueryRange<'a>(pub &'a SubqueryExpr);

impl Display for SubqueryRange<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let subquery = self.0;
        write!(f, "[{}:", subquery.range)?;
        if let Some(step) = subquery.step.as_ref().filter(|step| !step.is_unset()) {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        subquery.at.map_or(Ok(()), |at| at.fmt(f))?;
        write_offset(f, &subquery.offset)
    }
}

/// The expression where there is one, also after it was evaluated.
impl Display for DurationSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.expr {
            Some(expr) => expr.fmt(f),
            None => f.write_str(&format_duration_ms(self.ms)),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => literal.fmt(f),
            Self::Step(_) => f.write_str("step()"),
            Self::Range(_) => f.write_str("range()"),
            Self::Negate(inner, _) => write!(f, "-{inner}"),
            Self::Paren(inner, _) => write!(f, "({inner})"),
            Self::Binary { op: op @ (DurationOp::MinOf | DurationOp::MaxOf), lhs, rhs, .. } => {
                write!(f, "{op}({lhs}, {rhs})")
            }
            Self::Binary { op, lhs, rhs, .. } => write!(f, "{lhs} {op} {rhs}"),
        }
    }
}

#[cfg(test)]
mod tests;
