//! Searching metric names, label names and label values; answers are lines of JSON.

mod score;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use model::{LabelRequest, METRIC_NAME, Matcher, TimeRange};
use serde_json::{Value, json};

use self::score::{Algorithm, Scorer};
use super::series::LabelSet;
use super::{Shared, blocking, context};
use crate::error::{ApiError, ErrorType};
use crate::params::Params;

const DEFAULT_LIMIT: usize = 100;
const DEFAULT_BATCH_SIZE: usize = 100;
const MAX_TERMS: usize = 32;
/// Time searched before `end` when `start` is absent.
const DEFAULT_RANGE_MS: i64 = 3_600_000;

/// How results are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    Score,
}

/// A search as asked for.
#[derive(Debug)]
struct Search {
    range: TimeRange,
    matcher_sets: Vec<Vec<Matcher>>,
    scorer: Scorer,
    order: Order,
    include_score: bool,
    limit: usize,
    batch_size: usize,
}

/// One result and how well it fits, from 0 to 1.
type Scored = (String, f64);

/// `GET|POST /search/metric_names`
pub async fn metric_names(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::read(&state, &params, "metric_names")?;
    let include_metadata = boolean(&params, "include_metadata", false)?;
    let found = values(&state, &headers, &search, METRIC_NAME).await?;
    let mut metadata = BTreeMap::new();
    if include_metadata {
        for entry in state.targets.metadata("") {
            metadata.entry(entry.family).or_insert(entry.metadata);
        }
    }
    Ok(search.answer("name", &found, |result, name| {
        if let Some(m) = metadata.get(name) {
            let fields =
                [("type", m.metric_type.as_str()), ("help", m.help.as_str()), ("unit", m.unit.as_str())];
            for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
                result[field] = json!(value);
            }
        }
    }))
}

/// `GET|POST /search/label_names`
pub async fn label_names(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::read(&state, &params, "label_names")?;
    let (requests, ctx) = (search.requests(), context(&state, &headers, None));
    let source = state.source.clone();
    let all = blocking(&state, ctx, move |ctx| {
        let mut all = LabelSet::new(ctx)?;
        for request in &requests {
            all.add(source.label_names(request, ctx)?)?;
        }
        Ok(all)
    });
    let (all, _held) = all.await?;
    let found = search.rank(all.texts);
    Ok(search.answer("name", &found, |_, _| {}))
}

/// `GET|POST /search/label_values`
pub async fn label_values(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::read(&state, &params, "label_values")?;
    let label = params.get("label");
    if label.is_empty() {
        return Err(ApiError::bad_data("missing required parameter \"label\""));
    }
    let found = values(&state, &headers, &search, label).await?;
    Ok(search.answer("value", &found, |_, _| {}))
}

async fn values(
    state: &Shared,
    headers: &HeaderMap,
    search: &Search,
    label: &str,
) -> Result<Vec<Scored>, ApiError> {
    let (requests, ctx) = (search.requests(), context(state, headers, None));
    let (source, label) = (state.source.clone(), label.to_owned());
    let all = blocking(state, ctx, move |ctx| {
        let mut all = LabelSet::new(ctx)?;
        for request in &requests {
            all.add(source.label_values(&label, request, ctx)?)?;
        }
        Ok(all)
    });
    let (all, _held) = all.await?;
    Ok(search.rank(all.texts))
}

impl Search {
    fn read(state: &Shared, params: &Params, endpoint: &str) -> Result<Self, ApiError> {
        if !state.options.enable_search {
            return Err(ApiError::new(ErrorType::Unavailable, "search API disabled"));
        }
        let now_ms = state.clock.now_ms();
        let start_ms = params.time_or("start", now_ms - DEFAULT_RANGE_MS)?;
        let range = TimeRange::new(start_ms, params.time_or("end", now_ms)?);
        if range.is_empty() {
            return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
        }
        let matcher_sets = params.matcher_sets()?;
        let scorer = scorer(params)?;
        let order = order(params, endpoint)?;
        let include_score = boolean(params, "include_score", false)?;
        let limit = limit(params, state.options.search_max_limit)?;
        let batch_size = positive(params, "batch_size")?.unwrap_or(DEFAULT_BATCH_SIZE);
        Ok(Self { range, matcher_sets, scorer, order, include_score, limit, batch_size })
    }

    fn requests(&self) -> Vec<LabelRequest> {
        let request = |matchers: &[Matcher]| LabelRequest {
            range: Some(self.range),
            matchers: matchers.to_vec(),
            limit: 0,
        };
        if self.matcher_sets.is_empty() {
            return vec![request(&[])];
        }
        self.matcher_sets.iter().map(|matchers| request(matchers)).collect()
    }

    /// What fits, in the order asked for.
    fn rank(&self, all: BTreeSet<String>) -> Vec<Scored> {
        let scored =
            all.into_iter().filter_map(|value| self.scorer.score(&value).map(|score| (value, score)));
        let mut found: Vec<Scored> = scored.collect();
        match self.order {
            Order::Ascending => {}
            Order::Descending => found.reverse(),
            Order::Score => found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0))),
        }
        found
    }

    /// Batches of results, a line each, and a closing line that tells whether there is more.
    fn answer(&self, key: &str, found: &[Scored], mut extend: impl FnMut(&mut Value, &str)) -> Response {
        let shown = &found[..found.len().min(self.limit)];
        let mut lines = String::new();
        let mut line = |results: Vec<Value>| lines.push_str(&format!("{}\n", json!({ "results": results })));
        if shown.is_empty() {
            line(Vec::new());
        }
        for batch in shown.chunks(self.batch_size) {
            let results = batch.iter().map(|(value, score)| {
                let mut result = json!({ key: value });
                if self.include_score {
                    result["score"] = json!(score);
                }
                extend(&mut result, value);
                result
            });
            line(results.collect());
        }
        let trailer = json!({ "status": "success", "has_more": found.len() > self.limit });
        lines.push_str(&format!("{trailer}\n"));
        ([(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8")], lines).into_response()
    }
}

fn scorer(params: &Params) -> Result<Scorer, ApiError> {
    let terms: Vec<&str> = params.all("search[]").collect();
    if terms.len() > MAX_TERMS {
        let got = terms.len();
        return Err(ApiError::bad_data(format!(
            "too many search[] terms: got {got}, maximum is {MAX_TERMS}"
        )));
    }
    let threshold =
        match params.get("fuzz_threshold") {
            "" => 0,
            text => text.parse().ok().filter(|percent| (0..=100).contains(percent)).ok_or_else(|| {
                ApiError::bad_data(format!("invalid fuzz_threshold {text:?}: must be 0-100"))
            })?,
        };
    let algorithm = match params.get("fuzz_alg") {
        "" | "subsequence" => Algorithm::Subsequence,
        "jarowinkler" => Algorithm::JaroWinkler,
        other => {
            let known = "[subsequence jarowinkler]";
            return Err(ApiError::bad_data(format!(
                "unsupported fuzz_alg {other:?}: must be one of {known}"
            )));
        }
    };
    let case_sensitive = boolean(params, "case_sensitive", true)?;
    Ok(Scorer::new(&terms, algorithm, f64::from(threshold) / 100.0, case_sensitive))
}

fn order(params: &Params, endpoint: &str) -> Result<Order, ApiError> {
    let (sort_by, sort_dir) = (params.get("sort_by"), params.get("sort_dir"));
    let problem = match (sort_by, sort_dir) {
        ("", "") | ("alpha", "" | "asc") => return Ok(Order::Ascending),
        ("alpha", "dsc") => return Ok(Order::Descending),
        ("score", "") if params.all("search[]").next().is_some() => return Ok(Order::Score),
        ("", _) => "sort_dir is only valid when sort_by is set".to_owned(),
        ("score", "") => "sort_by=score requires search[] to be set".to_owned(),
        ("score", _) => "sort_dir is not supported for sort_by=score".to_owned(),
        (_, "" | "asc" | "dsc") => {
            format!("invalid sort_by {sort_by:?} for {endpoint}: must be \"alpha\" or \"score\"")
        }
        _ => format!("invalid sort_dir {sort_dir:?}: must be \"asc\" or \"dsc\""),
    };
    Err(ApiError::bad_data(problem))
}

fn limit(params: &Params, max: usize) -> Result<usize, ApiError> {
    let cap = if max == 0 { usize::MAX } else { max };
    let limit = positive(params, "limit")?.unwrap_or(DEFAULT_LIMIT.min(cap));
    if limit > cap {
        return Err(ApiError::bad_data(format!(
            "limit {limit} exceeds the configured maximum ({max}, see --web.search.max-limit)"
        )));
    }
    Ok(limit)
}

fn positive(params: &Params, name: &str) -> Result<Option<usize>, ApiError> {
    match params.get(name) {
        "" => Ok(None),
        text => match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(ApiError::bad_data(format!("invalid {name} {text:?}: must be a positive integer"))),
        },
    }
}

fn boolean(params: &Params, name: &str, default: bool) -> Result<bool, ApiError> {
    match params.boolean(name) {
        None => Ok(default),
        Some(Ok(value)) => Ok(value),
        Some(Err(())) => {
            Err(ApiError::bad_data(format!("invalid {name} {:?}: must be boolean", params.get(name))))
        }
    }
}
