//! `index/stats`, `index/volume` and `index/volume_range`: what there is, without reading lines.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use logql::engine::stream_matchers;
use model::logs::{LogRange, LogSteps, StreamVolume};
use model::{Labels, Matcher, QueryContext, QueryStop};

use super::limits::LogQueryLimits;
use super::params::{Bounds, integer};
use super::query::plain_steps;
use super::respond::Failure;
use super::streams::matchers_of;
use super::{LogState, Logs, encode, json, run};
use crate::params::Params;

const DEFAULT_LIMIT: i64 = 100;

/// `GET /index/stats`
pub(super) async fn stats(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let body = run(&state, &headers, move |state, ctx| {
        let bounds = Bounds::ordered(&params, state.now_ns())?;
        let matchers = logql::parse_matchers(params.get("query"))?;
        let bounds = bounds.admitted(state, ctx)?;
        let volumes = state.source.volumes(bounds.range(), &stream_matchers(&matchers), ctx)?;
        let sum = |of: fn(&StreamVolume) -> u64| volumes.iter().map(of).sum::<u64>();
        Ok(format!(
            "{{\"streams\":{},\"chunks\":{},\"bytes\":{},\"entries\":{}}}",
            volumes.len(),
            sum(|volume| volume.chunks),
            sum(|volume| volume.bytes),
            sum(|volume| volume.entries)
        ))
    });
    Ok(json(body.await?))
}

/// How volumes are added up.
struct Grouping {
    names: Vec<String>,
    /// Each label on its own, not each combination of values.
    by_label: bool,
    limit: usize,
}

type Group = Vec<(String, String)>;

impl Grouping {
    fn read(params: &Params, matchers: &[Matcher]) -> Result<Self, Failure> {
        let limit = integer(params, "limit", DEFAULT_LIMIT)?;
        let by_label = match params.get("aggregateBy") {
            "" | "series" => false,
            "labels" => true,
            other => return Err(Failure::bad(format!("invalid aggregation option: {other}"))),
        };
        let targets = params.get("targetLabels").split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut names: Vec<String> = targets.map(str::to_owned).collect();
        if names.is_empty() && !by_label {
            names = matchers.iter().map(|matcher| matcher.name.clone()).collect();
        }
        Ok(Self { names, by_label, limit: usize::try_from(limit).unwrap_or(0) })
    }

    /// The groups a stream is counted in.
    fn groups_of(&self, stream: &Labels) -> Vec<Group> {
        let is_named = |name: &str| self.names.iter().any(|other| other == name);
        if self.by_label {
            let wanted = stream.iter().filter(|(name, _)| self.names.is_empty() || is_named(name));
            return wanted.map(|(name, _)| vec![(name.to_owned(), String::new())]).collect();
        }
        let pairs = stream.iter().filter(|(name, _)| is_named(name));
        let group: Group = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if group.is_empty() { Vec::new() } else { vec![group] }
    }

    /// The largest groups, as many as are told, the largest first.
    fn largest(&self, limits: &LogQueryLimits, mut groups: Vec<(Group, u64)>) -> Vec<(Group, u64)> {
        groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let most = if limits.volume_max_series > 0 { limits.volume_max_series } else { usize::MAX };
        groups.truncate(self.limit.min(most));
        groups
    }
}

fn allowed(state: &LogState, ctx: &QueryContext) -> Result<Arc<LogQueryLimits>, Failure> {
    let limits = state.limits_of(&ctx.tenant);
    if !limits.volume_enabled {
        return Err(Failure::new(404, "volumes are not enabled for this tenant (volume_enabled)"));
    }
    Ok(limits)
}

fn volumes(
    state: &LogState,
    ctx: &QueryContext,
    range: LogRange,
    matchers: &[Matcher],
    grouping: &Grouping,
) -> Result<Vec<(Group, u64)>, Failure> {
    let limits = allowed(state, ctx)?;
    let mut groups: BTreeMap<Group, u64> = BTreeMap::new();
    for volume in state.source.volumes(range, matchers, ctx)? {
        for group in grouping.groups_of(&volume.stream) {
            *groups.entry(group).or_default() += volume.bytes;
        }
    }
    Ok(grouping.largest(&limits, groups.into_iter().collect()))
}

/// What a group takes for each step in which it has anything.
const STEP_BYTES: usize = 48;

/// By group the ends of steps and the bytes in them; of each step the largest groups.
fn volumes_by_step(
    state: &LogState,
    ctx: &QueryContext,
    steps: LogSteps,
    matchers: &[Matcher],
    grouping: &Grouping,
) -> Result<BTreeMap<Group, Vec<(i64, u64)>>, Failure> {
    let limits = allowed(state, ctx)?;
    let mut memory = ctx.reserve(0)?;
    let mut known: HashMap<Labels, Vec<Group>> = HashMap::new();
    let mut by_step: BTreeMap<usize, BTreeMap<Group, u64>> = BTreeMap::new();
    state.source.volumes_by_step(steps, matchers, ctx, &mut |stream, step, bytes| {
        if bytes == 0 {
            return Ok(());
        }
        if !known.contains_key(stream) {
            known.insert(stream.clone(), grouping.groups_of(stream));
        }
        for group in known.get(stream).into_iter().flatten() {
            let of_step = by_step.entry(step).or_default();
            match of_step.get_mut(group) {
                Some(sum) => *sum += bytes,
                None => {
                    let text: usize = group.iter().map(|(name, value)| name.len() + value.len()).sum();
                    memory.grow(STEP_BYTES + text).map_err(QueryStop::from)?;
                    of_step.insert(group.clone(), bytes);
                }
            }
        }
        Ok(())
    })?;
    let mut series: BTreeMap<Group, Vec<(i64, u64)>> = BTreeMap::new();
    for (step, groups) in by_step {
        let end_ns = steps.at(step).end_ns;
        for (group, bytes) in grouping.largest(&limits, groups.into_iter().collect()) {
            series.entry(group).or_default().push((end_ns, bytes));
        }
    }
    Ok(series)
}

fn metric(out: &mut String, group: &Group) {
    out.push_str("{\"metric\":");
    encode::pairs(out, group.iter().map(|(name, value)| (name.as_str(), value.as_str())));
}

fn vector(found: &[(Group, u64)], at_ns: i64) -> String {
    let mut out = String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[");
    encode::list(&mut out, found, |out, (group, bytes)| {
        metric(out, group);
        out.push_str(",\"value\":[");
        encode::seconds(out, at_ns);
        let _ = write!(out, ",\"{bytes}\"]}}");
    });
    out.push_str("]}}");
    out
}

/// `GET /index/volume`
pub(super) async fn volume(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let body = run(&state, &headers, move |state, ctx| {
        let bounds = Bounds::ordered(&params, state.now_ns())?;
        let matchers = matchers_of(params.get("query"))?;
        let grouping = Grouping::read(&params, &matchers)?;
        let bounds = bounds.admitted(state, ctx)?;
        Ok(vector(&volumes(state, ctx, bounds.range(), &matchers, &grouping)?, bounds.end_ns))
    });
    Ok(json(body.await?))
}

/// `GET /index/volume_range`
pub(super) async fn volume_range(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let body = run(&state, &headers, move |state, ctx| {
        let steps = plain_steps(&params, state.now_ns())?;
        let bounds = Bounds { start_ns: steps.start_ns, end_ns: steps.end_ns };
        let matchers = matchers_of(params.get("query"))?;
        let grouping = Grouping::read(&params, &matchers)?;
        let bounds = bounds.admitted(state, ctx)?;
        let count = bounds.end_ns.saturating_sub(bounds.start_ns).div_euclid(steps.step_ns).saturating_add(1);
        if count > state.options.max_points {
            return Err(Failure::bad(
                "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
            ));
        }
        if count <= 1 {
            return Ok(vector(&volumes(state, ctx, bounds.range(), &matchers, &grouping)?, bounds.end_ns));
        }
        let steps = LogSteps { range: bounds.range(), step_ns: steps.step_ns };
        let series = volumes_by_step(state, ctx, steps, &matchers, &grouping)?;
        let mut out =
            String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[");
        encode::list(&mut out, &series, |out, (group, samples)| {
            metric(out, group);
            out.push_str(",\"values\":[");
            encode::list(out, samples, |out, (at_ns, bytes)| {
                out.push('[');
                encode::seconds(out, *at_ns);
                let _ = write!(out, ",\"{bytes}\"]");
            });
            out.push_str("]}");
        });
        out.push_str("]}}");
        Ok(out)
    });
    Ok(json(body.await?))
}
