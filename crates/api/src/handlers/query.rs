//! Instant and range queries.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use model::{QueryContext, QueryStop, SeriesSource};
use promql::engine::{Engine, QueryError, QueryOptions, QueryResult, QueryStats, QueryValue};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::admission::{Admission, time_left};
use super::{CancelOnDrop, Shared, context};
use crate::envelope::{ANSWER_BYTES, Notes, write_success};
use crate::error::{ApiError, ErrorType};
use crate::json;
use crate::params::Params;
use crate::queries::{Asked, Language, QueryKind, RunningQuery};
use crate::screens::caller::Caller;

/// The most points a series of a range query may have: a week every minute, a year every hour.
const MAX_POINTS: i64 = 11_000;
/// The most warnings and the most infos an answer carries.
const MAX_NOTES: usize = 10;

/// `GET|POST /query`
pub async fn instant(
    State(state): State<Shared>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let t_ms = params.time_or("time", state.clock.now_ms())?;
    let asked = Asked { language: Language::PromQl, kind: QueryKind::Instant, asker: name_of(asker) };
    let work = Work::new(&state, &headers, &params, limit, asked)?;
    let query = params.get("query").to_owned();
    work.run(state, move |engine, source, options, ctx| engine.instant(source, &query, t_ms, options, ctx))
        .await
}

/// `GET|POST /query_range`
pub async fn range(
    State(state): State<Shared>,
    asker: Option<Extension<Caller>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let (start_ms, end_ms) = (params.time("start")?, params.time("end")?);
    if end_ms < start_ms {
        return Err(ApiError::invalid_parameter("end", "end timestamp must not be before start time"));
    }
    let step_ms = params.duration_ms("step")?;
    if step_ms <= 0 {
        let problem =
            "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::invalid_parameter("step", problem));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let kind = QueryKind::Range { start_ms, end_ms, step_ms };
    let asked = Asked { language: Language::PromQl, kind, asker: name_of(asker) };
    let work = Work::new(&state, &headers, &params, limit, asked)?;
    let query = params.get("query").to_owned();
    work.run(state, move |engine, source, options, ctx| {
        engine.range(source, &query, start_ms, end_ms, step_ms, options, ctx)
    })
    .await
}

/// Which statistics a client wants with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatsWanted {
    None,
    Basic,
    All,
}

/// The login of whoever asks, for the list of queries.
pub(super) fn name_of(asker: Option<Extension<Caller>>) -> Option<String> {
    asker.and_then(|Extension(caller)| caller.user).map(|user| user.login)
}

/// What both kinds of queries have in common.
struct Work {
    running: RunningQuery,
    ctx: QueryContext,
    options: QueryOptions,
    stats: StatsWanted,
    limit: usize,
    notes: Notes,
}

impl Work {
    fn new(
        state: &Shared,
        headers: &HeaderMap,
        params: &Params,
        limit: usize,
        asked: Asked,
    ) -> Result<Self, ApiError> {
        let timeout = params.optional_duration_ms("timeout")?.map(millis);
        let lookback = match params.get("lookback_delta") {
            "" => None,
            text => Some(millis(crate::params::parse_duration_ms(text).map_err(|problem| {
                ApiError::bad_data(format!("error parsing lookback delta duration: {problem}"))
            })?)),
        };
        let mut notes = Notes::default();
        let stats = match params.get("stats") {
            "" => StatsWanted::None,
            "true" => StatsWanted::Basic,
            "all" => StatsWanted::All,
            other => {
                notes.warnings.push(format!(
                    "value {other:?} for parameter \"stats\" is deprecated and will be rejected in the next major \
                     release, use \"true\" or \"all\""
                ));
                StatsWanted::Basic
            }
        };
        let options = QueryOptions { lookback, per_step_stats: stats == StatsWanted::All };
        let ctx = context(state, headers, timeout);
        let running = state.queries.begin(params.get("query"), asked, &ctx);
        Ok(Self { running, ctx, options, stats, limit, notes })
    }

    /// Waits for its turn, evaluates and answers; a second and a third time when others left it too little memory.
    async fn run<F>(self, state: Shared, evaluate: F) -> Result<Response, ApiError>
    where
        F: Fn(&Engine, &dyn SeriesSource, QueryOptions, &QueryContext) -> Result<QueryResult, QueryError>
            + Send
            + Sync
            + 'static,
    {
        let asked = state.clock.monotonic();
        let _canceled = CancelOnDrop(self.ctx.cancel.clone());
        let slots = Some(state.query_slots.clone());
        let waiting = Admission::wait(slots, &state.query_budget, self.ctx.timeout());
        let mut admission = self.unless_ended(waiting).await?;
        let (work, evaluate) = (Arc::new(self), Arc::new(evaluate));
        loop {
            let queued = state.clock.monotonic().saturating_sub(asked);
            let (begun, answer) = oneshot::channel();
            let attempt = Attempt { work: work.clone(), state: state.clone(), queued, admission };
            let evaluate = evaluate.clone();
            let running = tokio::task::spawn_blocking(move || attempt.run(&*evaluate, begun));
            if let Ok(answer) = answer.await {
                return Ok(answer);
            }
            match running.await {
                Ok(Some((ended, bytes))) => {
                    let waiting = ended.wait_for_own(bytes, time_left(&work.ctx, asked));
                    admission = work.unless_ended(waiting).await?;
                }
                Ok(None) => return Err(ApiError::internal("query ended without an answer")),
                Err(error) => return Err(ApiError::internal(format!("query failed: {error}"))),
            }
        }
    }
}

impl Work {
    /// What it waits for, unless somebody ends it meanwhile.
    async fn unless_ended<T>(
        &self,
        waiting: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let ended = || ApiError::new(ErrorType::Canceled, "query was canceled in query queue");
        let waited = self.running.unless_ended(waiting).await.unwrap_or_else(|| Err(ended()));
        waited.inspect_err(|error| self.running.failed(&error.message))
    }
}

/// A query that is about to run.
struct Attempt {
    work: Arc<Work>,
    state: Shared,
    queued: Duration,
    admission: Admission,
}

impl Attempt {
    /// Evaluates and answers on this thread, which may block. Returns without an answer when it is worth trying with
    /// so many bytes.
    fn run<F>(self, evaluate: &F, begun: oneshot::Sender<Response>) -> Option<(Admission, usize)>
    where
        F: Fn(&Engine, &dyn SeriesSource, QueryOptions, &QueryContext) -> Result<QueryResult, QueryError>,
    {
        let Self { work, state, queued, admission } = self;
        // Its own part of the budget, to know what it took.
        let budget = admission.budget();
        let mut ctx = work.ctx.clone();
        ctx.budget = budget.clone();
        work.running.runs_in(budget.clone());
        let evaluated = evaluate(&state.engine, &*state.source, work.options, &ctx).and_then(|result| {
            let buffers = ctx.reserve(ANSWER_BYTES)?;
            Ok((result, buffers))
        });
        let again = match (&evaluated, admission.more_bytes(&budget)) {
            (Err(QueryError::Stopped(QueryStop::Budget(_))), Some(bytes)) => Some(bytes),
            _ => None,
        };
        match again {
            Some(bytes) => Some((admission, bytes)),
            None => {
                let _held = admission.into_held(&budget);
                match evaluated {
                    Ok((result, _buffers)) => {
                        state.query_metrics.observe(&result.stats, queued);
                        let (stats, limit, notes) = (work.stats, work.limit, work.notes.clone());
                        write_answer(begun, result, Shown { stats, limit, queued, notes });
                    }
                    // Nobody may be waiting any more.
                    Err(error) => {
                        work.running.failed(&error.to_string());
                        drop(begun.send(ApiError::from(error).into_response()));
                    }
                }
                None
            }
        }
    }
}

/// What is shown with a result.
struct Shown {
    stats: StatsWanted,
    limit: usize,
    queued: Duration,
    notes: Notes,
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Cuts a result to `limit` series; whether anything was cut.
fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    let cut = |len: usize| limit > 0 && len > limit;
    match value {
        QueryValue::Vector(samples) if cut(samples.len()) => samples.truncate(limit),
        QueryValue::Matrix(series) if cut(series.len()) => series.truncate(limit),
        _ => return false,
    }
    true
}

/// Writes the answer on this thread, which has evaluated the query and frees its result.
fn write_answer(begun: oneshot::Sender<Response>, mut result: QueryResult, shown: Shown) {
    let Shown { stats, limit, queued, mut notes } = shown;
    let (warnings, infos) = result.warnings_and_infos(MAX_NOTES);
    notes.warnings.splice(0..0, warnings);
    notes.infos = infos;
    if truncate(&mut result.value, limit) {
        notes.add_truncated();
    }
    let stats = (stats != StatsWanted::None).then(|| stats_json(&result.stats, queued));
    write_success(begun, notes, |out, piece| {
        let kind = json::result_type(&result.value);
        out.extend_from_slice(format!("{{\"resultType\":\"{kind}\",\"result\":").as_bytes());
        json::result(out, &result.value, piece);
        if let Some(stats) = stats {
            out.extend_from_slice(format!(",\"stats\":{stats}").as_bytes());
        }
        out.push(b'}');
    });
}

fn stats_json(stats: &QueryStats, queued: Duration) -> Value {
    let timings = &stats.timings;
    let mut samples = json!({
        "totalQueryableSamples": stats.total_queryable_samples,
        "samplesRead": stats.samples_read,
        "peakSamples": stats.peak_samples,
    });
    if let Some(per_step) = &stats.total_queryable_samples_per_step {
        samples["totalQueryableSamplesPerStep"] =
            per_step.iter().map(|&(t_ms, count)| json!([t_ms as f64 / 1e3, count])).collect();
    }
    json!({
        "timings": {
            "evalTotalTime": timings.eval_total.as_secs_f64(),
            "resultSortTime": timings.result_sort.as_secs_f64(),
            "queryPreparationTime": timings.preparation.as_secs_f64(),
            "innerEvalTime": timings.inner_eval.as_secs_f64(),
            "execQueueTime": queued.as_secs_f64(),
            "execTotalTime": (timings.exec_total + queued).as_secs_f64(),
        },
        "samples": samples,
    })
}
