//! Aggregations and functions.

use model::regex::AnchoredRegex;
use syntax::pratt::climb;

use super::{Parser, Result};
use crate::ast::{
    At, Expr, Grouping, LabelReplace, LogExpr, MetricExpr, RangeAggregation, RangeOp, Unwrap,
    VectorAggregation, VectorOp,
};
use crate::lex::Token;

/// Lines, and the range they are taken from.
struct LogRange {
    log: LogExpr,
    unwrap: Option<Unwrap>,
    range: Option<(i64, i64, Option<At>)>,
}

impl Parser<'_> {
    /// An expression that begins with the name of a function.
    pub(super) fn function(&mut self) -> Result<MetricExpr> {
        let Token::Fixed(word) = *self.peek() else { return Err(self.unexpected(&[])) };
        if let Some(&(_, op)) = RangeOp::ALL.iter().find(|(name, _)| *name == word) {
            self.next();
            return self.range_aggregation(op);
        }
        if let Some(&(_, op)) = VectorOp::ALL.iter().find(|(name, _)| *name == word) {
            self.next();
            return self.vector_aggregation(op);
        }
        match word {
            "vector" => {
                self.next();
                self.expect("(")?;
                let value = self.number(&["NUMBER"])?;
                self.expect(")")?;
                Ok(MetricExpr::Constant(value))
            }
            "label_replace" => {
                self.next();
                self.label_replace()
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>> {
        let without = self.is("without");
        if !without && !self.is("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some(Grouping { names: self.names()?, without }))
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Result<MetricExpr> {
        let begins = ["NUMBER", "{", "("];
        if !self.take("(") {
            return Err(self.unexpected(&["("]));
        }
        let mut parameter = None;
        if matches!(self.peek(), Token::Number(_)) {
            parameter = Some(self.number(&["NUMBER"])?);
            self.expect(",")?;
        }
        let expected = if parameter.is_some() { &begins[1..] } else { &begins[..] };
        if let Some(subquery) = self.subquery(op, parameter)? {
            return Ok(subquery);
        }
        let lines = self.log_range(expected)?;
        let Some((range_ns, offset_ns, at)) = lines.range else {
            return Err(self.unexpected(no_range(&lines)));
        };
        if !self.take(")") {
            return Err(self.unexpected(no_range(&lines)));
        }
        let grouping = self.grouping()?;
        let LogRange { log, unwrap, .. } = lines;
        let aggregation = RangeAggregation { op, parameter, log, unwrap, range_ns, offset_ns, at, grouping };
        if let Err(problem) = super::check::range_aggregation(&aggregation) {
            self.note(problem);
        }
        Ok(MetricExpr::Range(Box::new(aggregation)))
    }

    /// Lines with a range, which may stand before or after the pipeline.
    fn log_range(&mut self, expected: &[&str]) -> Result<LogRange> {
        self.depth.enter().map_err(|_| self.too_deep())?;
        let mut lines = if self.take("(") {
            let inner = self.log_range(&["{", "("])?;
            if !self.take(")") {
                return Err(self.unexpected(no_range(&inner)));
            }
            inner
        } else if self.is("{") {
            LogRange { log: self.selector()?, unwrap: None, range: None }
        } else {
            return Err(self.unexpected(expected));
        };
        loop {
            if let (Token::Range(range_ns), None) = (self.peek(), lines.range) {
                let range_ns = *range_ns;
                self.next();
                let (offset_ns, at) = self.range_modifiers()?;
                lines.range = Some((range_ns, offset_ns, at));
            } else if lines.unwrap.is_some() {
                break;
            } else if self.is_unwrap() {
                self.next();
                self.next();
                lines.unwrap = Some(self.unwrap()?);
            } else if let Some(stage) = self.stage()? {
                lines.log.stages.push(stage);
            } else {
                break;
            }
        }
        self.depth.leave();
        Ok(lines)
    }

    pub(super) fn offset(&mut self) -> Result<i64> {
        if !self.take("offset") {
            return Ok(0);
        }
        let Token::Duration(ns) = *self.peek() else { return Err(self.unexpected(&["DURATION"])) };
        self.next();
        Ok(ns)
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Result<MetricExpr> {
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let mut parameter = None;
        if let (Token::Number(text), Token::Fixed(",")) = (self.peek().clone(), self.peek_second()) {
            self.next();
            self.next();
            parameter = Some(text);
        }
        let inner = self.series()?;
        if !self.take(")") {
            return Err(self.unexpected(&[]));
        }
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let count = super::check::vector_aggregation(op, parameter.as_deref(), grouping.as_ref())
            .unwrap_or_else(|problem| {
                self.note(problem);
                0
            });
        Ok(MetricExpr::Vector(Box::new(VectorAggregation { op, count, label: None, inner, grouping })))
    }

    /// An expression that must not select lines: behind lines, an operator would have to follow.
    pub(super) fn series(&mut self) -> Result<MetricExpr> {
        match climb(self, 0)? {
            Expr::Metric(metric) => Ok(metric),
            Expr::Log(_) => Err(self.unexpected(&[])),
        }
    }

    fn label_replace(&mut self) -> Result<MetricExpr> {
        self.expect("(")?;
        let inner = self.series()?;
        let mut arguments = Vec::with_capacity(4);
        for at in 0..4 {
            if !self.take(",") {
                // Behind the series an operator may follow as well.
                return Err(self.unexpected(if at == 0 { &[] } else { &[","] }));
            }
            arguments.push(self.string()?);
        }
        self.expect(")")?;
        let [destination, replacement, source, pattern] =
            <[String; 4]>::try_from(arguments).unwrap_or_default();
        let compiled =
            model::regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string());
        let regex = compiled.and_then(|_| AnchoredRegex::new(&pattern).map_err(|error| error.to_string()));
        match regex {
            Ok(regex) => Ok(MetricExpr::LabelReplace(Box::new(LabelReplace {
                inner,
                destination,
                replacement,
                source,
                pattern,
                regex,
            }))),
            Err(problem) => {
                self.note(format!("invalid regex in label_replace: {problem}"));
                Ok(inner)
            }
        }
    }
}

/// What is expected where a range is missing or lines end too late.
fn no_range(lines: &LogRange) -> &'static [&'static str] {
    match (&lines.unwrap, lines.range) {
        (Some(_), None) => &["RANGE", "|"],
        (_, Some(_)) => &[")"],
        (None, None) => &[],
    }
}
