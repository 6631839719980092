//! Lowering of the syntax tree.

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use syntax::Span;

use super::{Bits, Grouping, Kind, Matching, NodeId, Plan, Selector};
use crate::ast::{self, AtModifier, BinaryOp, Expr, RangeEdges, UnaryOp, ValueType};
use crate::engine::selector::TimeShift;
use crate::engine::value::RangeExtension;

/// The times of a query, as its text may refer to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryTimes {
    pub start_ms: i64,
    pub end_ms: i64,
    /// 0 for an instant query.
    pub step_ms: i64,
}

/// Functions whose value changes with the evaluation time even when their arguments do not.
const DEPENDS_ON_TIME: [&str; 11] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
];

/// Plans `expr`, in which durations have been resolved.
pub(crate) fn lower(expr: &Expr, times: QueryTimes) -> Plan {
    let mut lowering = Lowering { plan: Plan::default(), times, detail: Detail::Any };
    let lowered = lowering.expr(expr);
    let root = lowering.once_if(lowered.wraps, lowered.id);
    lowering.plan.nodes[root.0 as usize].uses += 1;
    lowering.plan.root = Some(root);
    lowering.plan
}

/// A lowered expression.
#[derive(Debug, Clone, Copy)]
struct Lowered {
    id: NodeId,
    /// Whether its value is the same at all steps.
    is_invariant: bool,
    /// Whether it gains from being evaluated once: constants do not, and range vectors are evaluated
    /// by the function around them.
    wraps: bool,
}

impl Lowered {
    fn constant(id: NodeId) -> Self {
        Self { id, is_invariant: true, wraps: false }
    }

    fn invariant_if(is_invariant: bool, id: NodeId) -> Self {
        Self { id, is_invariant, wraps: is_invariant }
    }
}

struct Lowering {
    plan: Plan,
    times: QueryTimes,
    detail: Detail,
}

/// What the functions around an expression look at of its histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Nothing in particular is known.
    Any,
    /// Count and sum.
    Statistics,
    /// Buckets too, and those below cannot change that: quantiles and trims read buckets, and between
    /// the steps of a subquery only buckets tell of counter resets.
    Buckets,
}

impl Detail {
    /// As seen by the arguments of a function.
    fn inside(self, function: &str) -> Self {
        match function {
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => Self::Buckets,
            "histogram_count" | "histogram_sum" | "histogram_avg" if self == Self::Any => Self::Statistics,
            _ => self,
        }
    }
}

impl Lowering {
    fn add(&mut self, kind: Kind, expr: &Expr) -> NodeId {
        self.plan.add(kind, expr.value_type(), expr.span(), Vec::new())
    }

    fn once_if(&mut self, wraps: bool, id: NodeId) -> NodeId {
        if !wraps || matches!(self.plan.node(id).kind, Kind::Once(_) | Kind::Number(_) | Kind::String(_)) {
            return id;
        }
        let node = self.plan.node(id);
        let (value_type, span) = (node.value_type, node.span);
        self.plan.add(Kind::Once(id), value_type, span, Vec::new())
    }

    /// Lowers an expression inside of what looks at `detail` of histograms.
    fn inside(&mut self, detail: Detail, expr: &Expr) -> Lowered {
        let around = std::mem::replace(&mut self.detail, detail);
        let lowered = self.expr(expr);
        self.detail = around;
        lowered
    }

    fn expr(&mut self, expr: &Expr) -> Lowered {
        match expr {
            Expr::Number(literal) => {
                Lowered::constant(self.add(Kind::Number(Bits::new(literal.value)), expr))
            }
            Expr::String(literal) => Lowered::constant(self.add(Kind::String(literal.value.clone()), expr)),
            Expr::Paren(paren) => self.expr(&paren.expr),
            Expr::Vector(selector) => {
                let selector = self.selector(selector);
                let is_invariant = selector.shift.at_ms.is_some();
                Lowered::invariant_if(is_invariant, self.add(Kind::Selector(selector), expr))
            }
            Expr::Matrix(matrix) => {
                let selector = self.selector(&matrix.selector);
                let is_invariant = selector.shift.at_ms.is_some();
                let id = self.add(Kind::Range { selector, range_ms: matrix.range.ms }, expr);
                Lowered { id, is_invariant, wraps: false }
            }
            Expr::Subquery(subquery) => self.subquery(subquery, expr),
            Expr::Unary(unary) => {
                let inner = self.expr(&unary.expr);
                match unary.op {
                    UnaryOp::Plus => inner,
                    UnaryOp::Minus => Lowered { id: self.add(Kind::Negate(inner.id), expr), ..inner },
                }
            }
            Expr::Binary(binary) => self.binary(binary, expr),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, expr),
            Expr::Call(call) => self.call(call, expr),
        }
    }

    fn selector(&self, selector: &ast::VectorSelector) -> Selector {
        Selector {
            matchers: selector.matchers.clone(),
            shift: self.shift(selector.at, selector.offset.ms),
            extension: match selector.edges {
                RangeEdges::Plain => RangeExtension::None,
                RangeEdges::Anchored => RangeExtension::Anchored,
                RangeEdges::Smoothed => RangeExtension::Smoothed,
            },
            statistics: self.detail == Detail::Statistics,
        }
    }

    fn shift(&self, at: Option<AtModifier>, offset_ms: i64) -> TimeShift {
        let at_ms = at.map(|at| match at {
            AtModifier::Timestamp(t_ms) => t_ms,
            AtModifier::Start => self.times.start_ms,
            AtModifier::End => self.times.end_ms,
        });
        TimeShift { at_ms, offset_ms }
    }

    fn subquery(&mut self, subquery: &ast::SubqueryExpr, expr: &Expr) -> Lowered {
        let inner = self.inside(Detail::Buckets, &subquery.expr);
        let inner = self.once_if(inner.is_invariant, inner.id);
        let shift = self.shift(subquery.at, subquery.offset.ms);
        let step_ms = subquery.step.as_ref().map(|step| step.ms).filter(|&ms| ms != 0);
        let id = self.add(Kind::Subquery { inner, range_ms: subquery.range.ms, step_ms, shift }, expr);
        Lowered { id, is_invariant: shift.at_ms.is_some(), wraps: false }
    }

    fn binary(&mut self, binary: &ast::BinaryExpr, expr: &Expr) -> Lowered {
        let trims = matches!(binary.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        let detail = if trims { Detail::Buckets } else { self.detail };
        let lhs = self.inside(detail, &binary.lhs);
        let rhs = self.inside(detail, &binary.rhs);
        let is_invariant = lhs.is_invariant && rhs.is_invariant;
        let (lhs, rhs) = if is_invariant {
            (lhs.id, rhs.id)
        } else {
            (self.once_if(lhs.wraps, lhs.id), self.once_if(rhs.wraps, rhs.id))
        };
        let matching = binary.matching.as_ref().map(|matching| Matching {
            cardinality: matching.cardinality,
            on: matching.on,
            labels: sorted(&matching.labels),
            include: matching.include.clone(),
            fill_left: matching.fill_left.map(Bits::new),
            fill_right: matching.fill_right.map(Bits::new),
        });
        let kind = Kind::Binary { op: binary.op, return_bool: binary.return_bool, lhs, rhs, matching };
        Lowered::invariant_if(is_invariant, self.add(kind, expr))
    }

    fn aggregate(&mut self, aggregate: &ast::AggregateExpr, expr: &Expr) -> Lowered {
        let input_expr = aggregate.expr.unparen();
        let input = self.expr(input_expr);
        let param_expr = aggregate.param.as_deref().map(Expr::unparen);
        let param = param_expr.map(|param| self.expr(param));
        let grouping = Grouping { labels: sorted(&aggregate.grouping), without: aggregate.without };
        let kind =
            Kind::Aggregate { op: aggregate.op, grouping, param: param.map(|p| p.id), input: input.id };
        let mut arg_spans = vec![input_expr.span()];
        arg_spans.extend(param_expr.map(Expr::span));
        // As in the reference, the parameter has no say: with a pinned vector, a varying one is taken
        // at the first step.
        let id = self.plan.add(kind, ValueType::Vector, expr.span(), arg_spans);
        Lowered::invariant_if(input.is_invariant, id)
    }

    fn call(&mut self, call: &ast::Call, expr: &Expr) -> Lowered {
        if let Some(value) = self.context_value(call.function.name) {
            return Lowered::constant(self.add(Kind::Number(Bits::new(value)), expr));
        }
        let arg_exprs: Vec<&Expr> = call.args.iter().map(Expr::unparen).collect();
        let arg_spans: Vec<Span> = arg_exprs.iter().map(|arg| arg.span()).collect();
        if call.function.name == "info" {
            return self.info(&arg_exprs, arg_spans, expr);
        }
        let detail = self.detail.inside(call.function.name);
        let args: Vec<Lowered> = arg_exprs.iter().map(|arg| self.inside(detail, arg)).collect();
        let all_invariant = args.iter().all(|arg| arg.is_invariant);
        // The timestamp of a pinned sample does not change, unlike that of a computed one.
        let of_pinned_selector =
            call.function.name == "timestamp" && all_invariant && matches!(arg_exprs[..], [Expr::Vector(_)]);
        let is_invariant =
            (all_invariant && !DEPENDS_ON_TIME.contains(&call.function.name)) || of_pinned_selector;
        let args: Vec<NodeId> =
            args.iter().map(|arg| self.once_if(arg.wraps && !is_invariant, arg.id)).collect();
        let kind = match call.function.name {
            "absent" | "absent_over_time" => {
                self.absent(call.function.name, args[0], arg_exprs[0], &arg_spans)
            }
            name => Kind::Call { name, args },
        };
        let id = self.plan.add(kind, call.function.returns, expr.span(), arg_spans);
        Lowered::invariant_if(is_invariant, id)
    }

    /// The value of functions that tell the query's own times.
    fn context_value(&self, function: &str) -> Option<f64> {
        let QueryTimes { start_ms, end_ms, step_ms } = self.times;
        let is_instant = start_ms == end_ms;
        Some(match function {
            "start" => start_ms as f64 / 1000.0,
            "end" => end_ms as f64 / 1000.0,
            "range" => (end_ms - start_ms) as f64 / 1000.0,
            "step" => (if is_instant { 0 } else { step_ms }) as f64 / 1000.0,
            "pi" => std::f64::consts::PI,
            _ => return None,
        })
    }

    fn absent(&mut self, name: &str, arg: NodeId, arg_expr: &Expr, arg_spans: &[Span]) -> Kind {
        let labels = match arg_expr {
            Expr::Vector(selector) => absent_labels(&selector.matchers),
            Expr::Matrix(matrix) => absent_labels(&matrix.selector.matchers),
            _ => Labels::empty(),
        };
        let input = if name == "absent" {
            arg
        } else {
            let present = Kind::Call { name: "absent_over_time", args: vec![arg] };
            self.plan.add(present, ValueType::Vector, arg_spans[0], arg_spans.to_vec())
        };
        Kind::Absent { input, labels }
    }

    fn info(&mut self, arg_exprs: &[&Expr], arg_spans: Vec<Span>, expr: &Expr) -> Lowered {
        let input = self.expr(arg_exprs[0]);
        let conditions = arg_exprs.get(1).and_then(|arg| match arg {
            Expr::Vector(selector) => Some(selector.matchers.clone()),
            _ => None,
        });
        let mut outer = Vec::new();
        let shift = self.first_selector_shift(arg_exprs[0], &mut outer).unwrap_or_default();
        // The second argument names no data of its own, but is not pinned either: the call is
        // evaluated once only when it is absent.
        let is_invariant = input.is_invariant && arg_exprs.len() == 1;
        let input = self.once_if(input.wraps && !is_invariant, input.id);
        let kind = Kind::Info { input, conditions, shift };
        Lowered::invariant_if(is_invariant, self.plan.add(kind, ValueType::Vector, expr.span(), arg_spans))
    }

    /// When the first selector below `expr` is looked at, seen through the subqueries around it
    /// (`outer`, outermost first): offsets add up until an `@` pins the time.
    fn first_selector_shift(&self, expr: &Expr, outer: &mut Vec<TimeShift>) -> Option<TimeShift> {
        let selector = match expr {
            Expr::Vector(selector) => selector,
            Expr::Matrix(matrix) => &matrix.selector,
            Expr::Subquery(subquery) => {
                outer.push(self.shift(subquery.at, subquery.offset.ms));
                let found = self.first_selector_shift(&subquery.expr, outer);
                outer.pop();
                return found;
            }
            _ => {
                return expr.children().into_iter().find_map(|child| self.first_selector_shift(child, outer));
            }
        };
        let mut shift = self.shift(selector.at, selector.offset.ms);
        for around in outer.iter().rev() {
            if shift.at_ms.is_some() {
                break;
            }
            shift = TimeShift { at_ms: around.at_ms, offset_ms: shift.offset_ms + around.offset_ms };
        }
        Some(shift)
    }
}

/// The labels that equality matchers pin down; a further matcher of a label takes it out again.
fn absent_labels(matchers: &[Matcher]) -> Labels {
    let mut labels = LabelsBuilder::default();
    let mut pinned: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && !pinned.contains(&matcher.name.as_str()) {
            labels.set(&matcher.name, &matcher.value);
            pinned.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}
