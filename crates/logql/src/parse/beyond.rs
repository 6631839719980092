//! What the language can do beyond the reference, where it is switched on.

use syntax::pratt::climb;

use super::{Parser, Result};
use crate::ast::{At, Expr, LogExpr, MetricExpr, RangeOp, Subquery, VectorAggregation, VectorOp};
use crate::lex::Token;

impl Parser<'_> {
    /// Whether `| distinct` follows.
    pub(super) fn is_distinct(&self) -> bool {
        self.features.distinct && self.is("|") && matches!(self.peek_second(), Token::Fixed("distinct"))
    }

    /// `| distinct a, b`
    pub(super) fn distinct(&mut self, log: &mut LogExpr) -> Result<()> {
        self.next();
        self.next();
        log.distinct.push(self.identifier()?);
        while self.take(",") {
            log.distinct.push(self.identifier()?);
        }
        Ok(())
    }

    /// `offset 5m` and `@ 1700000000`, in any order.
    pub(super) fn range_modifiers(&mut self) -> Result<(i64, Option<At>)> {
        let mut offset_ns = self.offset()?;
        let Some(at) = self.at()? else { return Ok((offset_ns, None)) };
        if offset_ns == 0 {
            offset_ns = self.offset()?;
        }
        Ok((offset_ns, Some(at)))
    }

    fn at(&mut self) -> Result<Option<At>> {
        let follows = matches!(self.peek(), Token::Identifier(sign) if sign == "@");
        if !self.features.at_modifier || !follows {
            return Ok(None);
        }
        self.next();
        let edge = match self.peek() {
            Token::Identifier(word) if word == "start" => Some(At::Start),
            Token::Identifier(word) if word == "end" => Some(At::End),
            _ => None,
        };
        if let Some(edge) = edge {
            self.next();
            self.expect("(")?;
            self.expect(")")?;
            return Ok(Some(edge));
        }
        let seconds = self.literal()?;
        let ns = seconds * 1e9;
        if !ns.is_finite() || ns.abs() >= i64::MAX as f64 {
            self.note("the time behind @ is out of range");
        }
        Ok(Some(At::Time(ns as i64)))
    }

    /// What a function works on if it is series and not lines: `expression[range:step]`. Nothing is taken otherwise.
    pub(super) fn subquery(&mut self, op: RangeOp, parameter: Option<f64>) -> Result<Option<MetricExpr>> {
        if !self.features.subqueries || self.is("{") {
            return Ok(None);
        }
        let (at, joins, depth) = (self.at, self.joins, self.depth);
        let semantic = self.semantic.clone();
        let inner = climb(self, 0);
        let (Ok(Expr::Metric(inner)), &Token::Subquery(range_ns, step_ns)) = (inner, self.peek()) else {
            // Lines in parentheses, or a mistake, which is told as one about lines.
            (self.at, self.joins, self.depth, self.semantic) = (at, joins, depth, semantic);
            return Ok(None);
        };
        self.next();
        let (offset_ns, at) = self.range_modifiers()?;
        self.expect(")")?;
        if let Some(problem) = problem_of(op, parameter) {
            self.note(problem);
        }
        let subquery = Subquery { op, parameter, inner, range_ns, step_ns, offset_ns, at };
        Ok(Some(MetricExpr::Subquery(Box::new(subquery))))
    }

    /// Whether `count_values(` or `count_values by` follows.
    pub(super) fn is_count_values(&self) -> bool {
        let is_name = matches!(self.peek(), Token::Identifier(name) if name == "count_values");
        is_name && self.features.count_values
    }

    /// `count_values by (a) ("label", expression)`
    pub(super) fn count_values(&mut self) -> Result<MetricExpr> {
        self.next();
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let label = self.string()?;
        self.expect(",")?;
        let inner = self.series()?;
        self.expect(")")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        if !model::labels::is_legacy_label_name(&label) {
            self.note(format!("invalid label name {label:?} in count_values"));
        }
        let op = VectorOp::CountValues;
        Ok(MetricExpr::Vector(Box::new(VectorAggregation {
            op,
            count: 0,
            label: Some(label),
            inner,
            grouping,
        })))
    }
}

/// Why a function cannot work on the values of a subquery.
fn problem_of(op: RangeOp, parameter: Option<f64>) -> Option<String> {
    let name = op.as_str();
    match (op, parameter) {
        (RangeOp::Rate | RangeOp::BytesRate | RangeOp::BytesOverTime, _) => {
            Some(format!("{name} works on lines, not on a subquery"))
        }
        (RangeOp::QuantileOverTime, None) => Some(format!("parameter required for operation {name}")),
        (RangeOp::QuantileOverTime, Some(_)) | (_, None) => None,
        (_, Some(parameter)) => {
            let parameter = model::number::general(parameter);
            Some(format!("parameter {parameter} not supported for operation {name}"))
        }
    }
}
