//! Where series come from: how many there are by metric, label and value, and how many there were some time before.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base::Reservation;
use model::{Matcher, Projection, QueryContext, SelectRequest, SeriesSource, SourceError, TimeRange};
use promql::engine::QueryError;
use serde::Serialize;

use crate::envelope::{Notes, success_with};
use crate::error::ApiError;
use crate::handlers::{Shared, blocking, context};
use crate::params::Params;

/// Entries of each list unless `limit` says otherwise, and at most.
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 1000;
/// Series between two looks at whether the request may go on.
const STEP: usize = 1024;
/// What an entry of the tables takes beside its text: its key, its counts, and room the table keeps free.
const ENTRY_BYTES: usize = 96;
const METRIC: &str = "__name__";

/// Series in the range that is asked about, and in the one before.
type Counts = [u64; 2];

/// What is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cardinality {
    series: u64,
    series_before: u64,
    metrics: Vec<Entry>,
    labels: Vec<LabelEntry>,
    pairs: Vec<Entry>,
    grown_metrics: Vec<Entry>,
    grown_pairs: Vec<Entry>,
}

/// A metric, or a label and its value.
#[derive(Serialize, Clone)]
struct Entry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    series: u64,
    before: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LabelEntry {
    name: String,
    values: u64,
    values_before: u64,
    series: u64,
    before: u64,
}

/// `GET /cardinality?start=…&end=…&offset=1d&match[]=…&limit=…`: the series with samples between `start` and `end`,
/// counted by metric, by label and by label and value, most first, beside those of the same range `offset` earlier.
///
/// `{"series", "seriesBefore", "metrics": [{"name", "series", "before"}], "labels": [{"name", "values",
/// "valuesBefore", "series", "before"}], "pairs": [{"name", "value", "series", "before"}], "grownMetrics": […],
/// "grownPairs": […]}`; what has grown most comes first in the last two. Only the index is read, so that series count
/// whose samples lie in the same chunk or block as the range.
pub async fn cardinality(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let problem = "limit must be a number from 1 to 1000";
    let limit = params.number("limit", problem)?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::bad_data(problem));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let (start_ms, end_ms) = (params.time("start")?, params.time("end")?);
    let offset_ms = params.optional_duration_ms("offset")?.unwrap_or(0);
    let ranges =
        [0, offset_ms].map(|back| TimeRange::new(start_ms.saturating_sub(back), end_ms.saturating_sub(back)));
    let mut sets = params.matcher_sets()?;
    if sets.len() > 1 {
        return Err(ApiError::bad_data("one match[] can be given, not more"));
    }
    let matchers = sets.pop().unwrap_or_default();
    let ctx = context(&state, &headers, None);
    let source = state.source.clone();
    let counted = blocking(&state, ctx, move |ctx| {
        let mut table = Table::new(ctx)?;
        for (at, range) in ranges.into_iter().enumerate() {
            // Without an offset there is nothing to compare with.
            if at == 0 || offset_ms != 0 {
                table.count(&*source, at, range, &matchers, ctx)?;
            }
        }
        Ok((table.answer(limit), ctx.take_warnings()))
    });
    let ((answer, warnings), _held) = counted.await?;
    Ok(success_with(&answer, &Notes::warnings(warnings)))
}

/// Series by label and value.
struct Table {
    series: Counts,
    labels: HashMap<Box<str>, Label>,
    memory: Reservation,
}

#[derive(Default)]
struct Label {
    series: Counts,
    values: HashMap<Box<str>, Counts>,
}

impl Table {
    fn new(ctx: &QueryContext) -> Result<Self, ApiError> {
        let memory = ctx.reserve(0).map_err(SourceError::from)?;
        Ok(Self { series: [0; 2], labels: HashMap::new(), memory })
    }

    fn count(
        &mut self,
        source: &dyn SeriesSource,
        at: usize,
        range: TimeRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<(), ApiError> {
        let projection = Projection::All;
        let request =
            SelectRequest { range, matchers: matchers.to_vec(), projection, sorted: false, limit: 0 };
        let set = source.select(&request, ctx)?;
        for first in (0..set.len()).step_by(STEP) {
            ctx.check("series lookup").map_err(SourceError::from)?;
            let mut new_bytes = 0;
            for i in first..set.len().min(first + STEP) {
                self.series[at] += 1;
                set.visit_labels(i, &mut |name, value| new_bytes += self.add(at, name, value));
            }
            self.memory.grow(new_bytes).map_err(QueryError::from)?;
        }
        Ok(())
    }

    /// Counts a label of a series; the bytes that took.
    fn add(&mut self, at: usize, name: &str, value: &str) -> usize {
        let mut new_bytes = 0;
        if !self.labels.contains_key(name) {
            new_bytes += name.len() + ENTRY_BYTES;
            self.labels.insert(name.into(), Label::default());
        }
        let Some(label) = self.labels.get_mut(name) else { return new_bytes };
        label.series[at] += 1;
        match label.values.get_mut(value) {
            Some(counts) => counts[at] += 1,
            None => {
                new_bytes += value.len() + ENTRY_BYTES;
                let mut counts = [0; 2];
                counts[at] = 1;
                label.values.insert(value.into(), counts);
            }
        }
        new_bytes
    }

    fn answer(&self, limit: usize) -> Cardinality {
        let metric = |(name, counts): (&str, Counts)| entry(name, None, counts);
        let metrics = || self.labels.get(METRIC).into_iter().flat_map(values);
        let pairs = || {
            let labels = self.labels.iter().filter(|(name, _)| &***name != METRIC);
            labels
                .flat_map(|(name, label)| values(label).map(move |(value, counts)| (&**name, value, counts)))
        };
        let pair = |(name, value, counts): (&str, &str, Counts)| entry(name, Some(value), counts);
        let grown = |[now, before]: Counts| now.saturating_sub(before);
        Cardinality {
            series: self.series[0],
            series_before: self.series[1],
            metrics: top(metrics(), limit, |(name, counts)| (counts[0], *name)).map(metric).collect(),
            labels: self.top_labels(limit),
            pairs: top(pairs(), limit, |(name, value, counts)| (counts[0], (*name, *value)))
                .map(pair)
                .collect(),
            grown_metrics: top(metrics(), limit, |(name, counts)| (grown(*counts), *name))
                .map(metric)
                .collect(),
            grown_pairs: top(pairs(), limit, |(name, value, counts)| (grown(*counts), (*name, *value)))
                .map(pair)
                .collect(),
        }
    }

    fn top_labels(&self, limit: usize) -> Vec<LabelEntry> {
        let shown = self.labels.iter().map(|(name, label)| {
            let in_use = |at: usize| label.values.values().filter(|counts| counts[at] > 0).count() as u64;
            LabelEntry {
                name: name.to_string(),
                values: in_use(0),
                values_before: in_use(1),
                series: label.series[0],
                before: label.series[1],
            }
        });
        let mut shown: Vec<LabelEntry> = shown.collect();
        shown.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.name.cmp(&b.name)));
        shown.truncate(limit);
        shown
    }
}

fn values(label: &Label) -> impl Iterator<Item = (&str, Counts)> {
    label.values.iter().map(|(value, counts)| (&**value, *counts))
}

fn entry(name: &str, value: Option<&str>, [series, before]: Counts) -> Entry {
    Entry { name: name.to_owned(), value: value.map(str::to_owned), series, before }
}

/// The entries of the largest numbers, largest first; those without any are left out. Equal ones are in the order of
/// their names.
fn top<T, K: Ord>(
    entries: impl Iterator<Item = T>,
    limit: usize,
    rank: impl Fn(&T) -> (u64, K),
) -> impl Iterator<Item = T> {
    let order = |a: &T, b: &T| {
        let ((a, a_name), (b, b_name)) = (rank(a), rank(b));
        b.cmp(&a).then(a_name.cmp(&b_name))
    };
    // A bounded number is kept at a time: of millions of pairs only a few are shown.
    let mut kept: Vec<T> = Vec::new();
    for entry in entries.filter(|entry| rank(entry).0 > 0) {
        kept.push(entry);
        if kept.len() >= 2 * limit.max(STEP) {
            kept.sort_unstable_by(order);
            kept.truncate(limit);
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(limit);
    kept.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_equal_ones_by_name() {
        let mut table = Table::new(&QueryContext::unbounded()).unwrap();
        for i in 0..5000 {
            table.add(0, METRIC, if i % 10 == 0 { "rare" } else { "common" });
            table.add(0, "id", &i.to_string());
        }
        for _ in 0..4600 {
            table.add(1, METRIC, "common");
        }
        let answer = table.answer(3);
        let shown = |entries: &[Entry]| -> Vec<(String, u64, u64)> {
            entries.iter().map(|e| (e.value.clone().unwrap_or(e.name.clone()), e.series, e.before)).collect()
        };
        assert_eq!(shown(&answer.metrics), [("common".into(), 4500, 4600), ("rare".into(), 500, 0)]);
        assert_eq!(shown(&answer.grown_metrics), [("rare".into(), 500, 0)], "what shrank has not grown");
        assert_eq!(shown(&answer.pairs), [("0".into(), 1, 0), ("1".into(), 1, 0), ("10".into(), 1, 0)]);
        let label = &answer.labels[0];
        assert_eq!((&*label.name, label.values, label.values_before), ("id", 5000, 0));
    }
}
