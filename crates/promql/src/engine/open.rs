//! Opening a plan: every node becomes an operator or a row of scalars.

use std::collections::HashMap;
use std::sync::Arc;

use model::{METRIC_NAME, MatchOp, Projection, SelectRequest, SeriesSource, TimeRange};

use super::env::{Env, HeldBytes, Tally};
use super::error::{EvalResult, QueryError};
use super::mapped::{Broadcast, Mapped, Transform, WithScalar};
use super::matching::changes_metric;
use super::names::LabelEffect;
use super::operator::{
    Collision, HeldRows, HeldSeries, Materialized, SharedOperator, count_samples, hold_all,
    resolve_collisions,
};
use super::plan::{Kind, Matching, NodeId, Plan, Selector};
use super::range::{RangeCall, RangeSource, Windowing};
use super::selector::{Facet, SelectedSeries, TimeShift, VectorSelector};
use super::value::{RangeExtension, StepGrid, StepVector};
use crate::ast::{BinaryOp, ValueType};
use crate::functions::range::RangeFunction;

/// When a node is evaluated, and how the samples it loads count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub grid: StepGrid,
    pub tally: Tally,
}

/// Shared expressions with more values than this are evaluated again rather than held.
const MAX_SHARED_SLOTS: usize = 4 << 20;

/// Opens the nodes of one query's plan.
pub(crate) struct Opener<'a> {
    pub env: Arc<Env>,
    pub plan: &'a Plan,
    /// The text of the query.
    pub query: &'a str,
    pub source: &'a dyn SeriesSource,
    /// Operators of nodes that are used more than once.
    shared: HashMap<(NodeId, Scope), SharedOperator>,
}

impl<'a> Opener<'a> {
    pub fn new(env: Arc<Env>, plan: &'a Plan, query: &'a str, source: &'a dyn SeriesSource) -> Self {
        Self { env, plan, query, source, shared: HashMap::new() }
    }

    /// Opens a node of type vector.
    pub fn vector(&mut self, id: NodeId, scope: Scope) -> EvalResult<SharedOperator> {
        self.env.check()?;
        if scope.grid.len == 0 {
            return self.nothing();
        }
        let plan = self.plan;
        let node = plan.node(id);
        if node.uses <= 1 {
            return self.open(id, scope);
        }
        if let Some(known) = self.shared.get(&(id, scope)) {
            return Ok(known.clone());
        }
        let opened = self.open(id, scope)?;
        let is_cheap = matches!(node.kind, Kind::Aggregate { .. } | Kind::Absent { .. });
        let slots = opened.len().saturating_mul(scope.grid.len);
        let shared = if is_cheap || slots > MAX_SHARED_SLOTS { opened } else { self.hold(opened, scope)? };
        self.shared.insert((id, scope), shared.clone());
        Ok(shared)
    }

    fn hold(&self, operator: SharedOperator, scope: Scope) -> EvalResult<SharedOperator> {
        let before = self.env.samples.current();
        let rows = hold_all(&*operator, &self.env, scope.grid.len)?;
        self.env.samples.settle(before, count_samples(&rows.series))?;
        let is_unique = operator.is_unique_without_metadata();
        Ok(Materialized::new(rows).unique_without_metadata(is_unique).shared())
    }

    pub fn nothing(&self) -> EvalResult<SharedOperator> {
        Ok(Materialized::new(HeldRows::new(&self.env)?).unique_without_metadata(true).shared())
    }

    fn open(&mut self, id: NodeId, scope: Scope) -> EvalResult<SharedOperator> {
        let plan = self.plan;
        let node = plan.node(id);
        match &node.kind {
            Kind::Selector(selector) => self.selector(id, selector, scope, Facet::Value),
            Kind::Once(inner) => {
                let input = self.vector(*inner, once(scope))?;
                Ok(Arc::new(Broadcast { input, steps: scope.grid.len }))
            }
            Kind::Negate(inner) => {
                let input = self.vector(*inner, scope)?;
                Mapped::open(&self.env, input, Transform::Negate, LabelEffect::DropMetadata, scope.grid.len)
            }
            Kind::Binary { op, return_bool, lhs, rhs, matching } => {
                self.binary(id, *op, *return_bool, (*lhs, *rhs), matching.as_ref(), scope)
            }
            Kind::Aggregate { op, grouping, param, input } => {
                super::aggregate::open_aggregate(self, node, *op, grouping, *param, *input, scope)
            }
            Kind::Absent { input, labels } => {
                let input = self.vector(*input, scope)?;
                super::absent::open_absent(&self.env, &*input, labels.clone(), scope.grid.len)
            }
            Kind::Info { input, conditions, shift } => {
                super::info::open_info(self, *input, conditions.as_deref(), *shift, scope)
            }
            Kind::Call { name, args } => self.call(id, name, args, scope),
            Kind::Number(_) | Kind::String(_) | Kind::Range { .. } | Kind::Subquery { .. } => {
                Err(QueryError::Execution(format!("unexpected {} where a vector is needed", node.value_type)))
            }
        }
    }

    /// The series a selector selects in `range`.
    pub fn select(&self, selector: &Selector, range: TimeRange) -> EvalResult<SelectedSeries> {
        let request = SelectRequest {
            range,
            matchers: selector.matchers.clone(),
            projection: Projection::All,
            sorted: false,
            limit: 0,
        };
        let set = self.source.select(&request, &self.env.ctx)?;
        let warnings = set.warnings();
        if !warnings.is_empty() {
            self.env.annotate(|annotations| {
                warnings.iter().for_each(|text| annotations.add_storage_warning(text))
            });
        }
        let is_name =
            |m: &&model::Matcher| m.op == MatchOp::Equal && m.name == METRIC_NAME && !m.value.is_empty();
        let name = selector.matchers.iter().find(is_name).map(|m| m.value.clone());
        Ok(SelectedSeries { set: Arc::from(set), range, name, statistics: selector.statistics })
    }

    fn selector(
        &mut self,
        id: NodeId,
        selector: &Selector,
        scope: Scope,
        facet: Facet,
    ) -> EvalResult<SharedOperator> {
        let (first_ms, last_ms) = selector.shift.ends(&scope.grid);
        let lookback_ms = self.env.settings.lookback_ms;
        let is_smoothed = selector.extension == RangeExtension::Smoothed && facet == Facet::Value;
        let end_ms = if is_smoothed { last_ms.saturating_add(lookback_ms) } else { last_ms };
        let range = TimeRange::new(first_ms.saturating_sub(lookback_ms - 1), end_ms);
        let series = self.select(selector, range)?;
        let env = self.env.clone();
        let (grid, shift, tally) = (scope.grid, selector.shift, scope.tally);
        if is_smoothed {
            let start = self.plan.node(id).span.start;
            return Ok(Arc::new(super::smoothed::SmoothedSelector { env, series, grid, shift, start }));
        }
        Ok(Arc::new(VectorSelector { env, series, grid, shift, facet, tally }))
    }

    /// Opens a range vector: its samples and its windows.
    pub fn range(&mut self, id: NodeId, scope: Scope) -> EvalResult<(RangeSource, Windowing)> {
        let lookback_ms = self.env.settings.lookback_ms;
        let grid = scope.grid;
        let plan = self.plan;
        match &plan.node(id).kind {
            Kind::Range { selector, range_ms } => {
                let (shift, extension) = (selector.shift, selector.extension);
                let windowing = Windowing { grid, shift, range_ms: *range_ms, extension, lookback_ms };
                let series = self.select(selector, windowing.total_range())?;
                Ok((RangeSource::Stored(series), windowing))
            }
            Kind::Subquery { inner, range_ms, step_ms, shift } => {
                let extension = RangeExtension::None;
                let windowing =
                    Windowing { grid, shift: *shift, range_ms: *range_ms, extension, lookback_ms };
                let step_ms = step_ms.unwrap_or(self.env.settings.default_subquery_step_ms);
                let inner_grid = subquery_grid(&windowing, step_ms);
                let held = self.hold_steps(&inner_grid)?;
                let scope = Scope { grid: inner_grid, tally: Tally::ReadOnly };
                let inner = if self.plan.node(*inner).value_type == ValueType::Scalar {
                    let values = self.scalar(*inner, scope)?;
                    self.one_series(&values)?
                } else {
                    self.vector(*inner, scope)?
                };
                Ok((RangeSource::Subquery { inner, grid: inner_grid, _held: held }, windowing))
            }
            _ => Err(QueryError::Execution("expected a range vector".to_owned())),
        }
    }

    /// Makes sure that one series at all steps of a grid is within the limits, for every thread.
    pub fn hold_steps(&self, grid: &StepGrid) -> EvalResult<HeldBytes> {
        if grid.len as u64 > self.env.settings.max_samples.cast_unsigned() {
            return Err(QueryError::TooManySamples);
        }
        let mut held = HeldBytes::new(&self.env)?;
        // The values of a series as steps and as samples.
        held.add(grid.len.saturating_mul(24 * rayon::current_num_threads()))?;
        Ok(held)
    }

    /// One series without labels.
    fn one_series(&self, values: &[f64]) -> EvalResult<SharedOperator> {
        let values = StepVector { values: values.to_vec(), histograms: Vec::new() };
        let mut rows = HeldRows::new(&self.env)?;
        if !values.is_empty() {
            rows.push(HeldSeries::new(model::Labels::empty(), values))?;
        }
        Ok(Materialized::new(rows).unique_without_metadata(true).shared())
    }

    fn binary(
        &mut self,
        id: NodeId,
        op: BinaryOp,
        return_bool: bool,
        (lhs, rhs): (NodeId, NodeId),
        matching: Option<&Matching>,
        scope: Scope,
    ) -> EvalResult<SharedOperator> {
        let start = self.plan.node(id).span.start;
        let steps = scope.grid.len;
        let is_scalar = |id: NodeId| self.plan.node(id).value_type == ValueType::Scalar;
        let (vector, scalar, swapped) = match (is_scalar(lhs), is_scalar(rhs)) {
            (true, _) => (rhs, lhs, true),
            (_, true) => (lhs, rhs, false),
            _ => {
                let default;
                let matching = match matching {
                    Some(matching) => matching,
                    None => {
                        default = Matching::default();
                        &default
                    }
                };
                let (lhs, rhs) = (self.vector(lhs, scope)?, self.vector(rhs, scope)?);
                if op.is_set() {
                    return super::sets::open_set(&self.env, op, lhs, rhs, matching, steps);
                }
                let operation = super::binary::Operation { op, return_bool, start };
                return super::binary::open_binary(&self.env, operation, lhs, rhs, matching, steps);
            }
        };
        let scalar = self.scalar(scalar, scope)?;
        let input = self.vector(vector, scope)?;
        let drops = changes_metric(op) || return_bool;
        let effect = if drops { LabelEffect::DropMetadata } else { LabelEffect::Keep };
        let transform = Transform::WithScalar(WithScalar { op, scalar, swapped, return_bool, start });
        Mapped::open(&self.env, input, transform, effect, steps)
    }

    /// Opens a function of a range vector.
    fn range_call(
        &mut self,
        id: NodeId,
        function: RangeFunction,
        args: &[NodeId],
        scope: Scope,
    ) -> EvalResult<SharedOperator> {
        let plan = self.plan;
        let (vectors, scalars): (Vec<NodeId>, Vec<NodeId>) =
            args.iter().partition(|&&arg| plan.node(arg).value_type == ValueType::Matrix);
        let params =
            scalars.into_iter().map(|arg| self.scalar(arg, scope)).collect::<EvalResult<Vec<_>>>()?;
        self.check_extension(id, function, vectors[0])?;
        let (source, windowing) = self.range(vectors[0], scope)?;
        let is_unique = source.is_unique_without_metadata(&self.env);
        let effect = if function.keeps_metric_name() { LabelEffect::Keep } else { LabelEffect::DropMetadata };
        let drops = super::operator::effective(&self.env, effect) != LabelEffect::Keep;
        let call = Arc::new(RangeCall {
            env: self.env.clone(),
            source,
            function,
            windowing,
            params,
            argument_start: self.arg_start(id, 0),
            kernel: self.env.next_kernel(),
            tally: scope.tally,
            effect,
            is_unique: is_unique || drops,
        });
        if drops && !is_unique {
            return resolve_collisions(call, &self.env, scope.grid.len, Collision::Refuse);
        }
        Ok(call)
    }

    /// Fails when the selector's modifier does not go with the function.
    fn check_extension(&self, id: NodeId, function: RangeFunction, range: NodeId) -> EvalResult<()> {
        let Kind::Range { selector, .. } = &self.plan.node(range).kind else { return Ok(()) };
        let (modifier, functions, is_allowed) = match selector.extension {
            RangeExtension::None => return Ok(()),
            RangeExtension::Anchored => {
                ("anchored", "changes, delta, increase, rate, resets", function.allows_anchored())
            }
            RangeExtension::Smoothed => ("smoothed", "delta, increase, rate", function.allows_smoothed()),
        };
        if is_allowed {
            return Ok(());
        }
        let Kind::Call { name, .. } = &self.plan.node(id).kind else { return Ok(()) };
        Err(QueryError::Execution(format!(
            "{modifier} modifier can only be used with: {functions} - not with {name}"
        )))
    }

    /// Where argument `arg` of a call starts in the query.
    pub fn arg_start(&self, id: NodeId, arg: usize) -> usize {
        let node = self.plan.node(id);
        node.arg_spans.get(arg).map_or(node.span.start, |span| span.start)
    }

    fn call(
        &mut self,
        id: NodeId,
        name: &'static str,
        args: &[NodeId],
        scope: Scope,
    ) -> EvalResult<SharedOperator> {
        if let Some(function) = RangeFunction::from_name(name) {
            return self.range_call(id, function, args, scope);
        }
        super::calls::open_call(self, id, name, args, scope)
    }

    /// `timestamp` and `start_timestamp` of a selector, which look at its samples.
    pub fn sample_time(
        &mut self,
        id: NodeId,
        facet: Facet,
        scope: Scope,
    ) -> EvalResult<Option<SharedOperator>> {
        let plan = self.plan;
        match &plan.node(id).kind {
            Kind::Selector(selector) => Ok(Some(self.selector(id, selector, scope, facet)?)),
            _ => Ok(None),
        }
    }
}

/// The scope of an expression that is evaluated once for all steps of `scope`.
pub(crate) fn once(scope: Scope) -> Scope {
    let grid = StepGrid { len: scope.grid.len.min(1), ..scope.grid };
    let tally = match scope.tally {
        Tally::AtStep => Tally::AtEach(scope.grid.len),
        other => other,
    };
    Scope { grid, tally }
}

/// The multiples of the step in the range of a subquery.
fn subquery_grid(windowing: &Windowing, step_ms: i64) -> StepGrid {
    let TimeRange { start_ms, end_ms } = windowing.total_range();
    // `total_range` begins after the exclusive start; division truncates towards zero, so that the
    // multiple may lie before the start.
    let mut first_ms = step_ms * (start_ms.saturating_sub(1) / step_ms);
    if first_ms < start_ms {
        first_ms += step_ms;
    }
    StepGrid::range(first_ms, end_ms, step_ms)
}

impl TimeShift {
    /// As seen by the info series of `info`.
    pub fn range_with_lookback(&self, grid: &StepGrid, lookback_ms: i64) -> TimeRange {
        let (first_ms, last_ms) = self.ends(grid);
        TimeRange::new(first_ms.saturating_sub(lookback_ms - 1), last_ms)
    }
}
