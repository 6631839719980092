//! OpenTelemetry's metrics: from a request to one transaction of the storage.
//!
//! Points are stored one by one: those the storage refuses are counted and told, and do not keep the others
//! out. Only a request that is malformed, of which nothing can be stored, or that the storage cannot take at all is
//! refused as a whole. In reading order: [`settings`], `names`, `context` (what points share), `labels`,
//! `translate` (the walk through a request), `histogram`, `exemplar`, `delta`, `sink` (the transaction) and
//! `tally` (what became of it).

mod context;
mod delta;
mod exemplar;
mod histogram;
mod labels;
mod names;
pub mod settings;
mod sink;
mod tally;
#[cfg(test)]
mod tests;
mod translate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use base::clock::SharedClock;
use base::metrics::{Family, Kind, Registry};
use model::{Appendable, TenantId};
use wire::otlp::answer::{Code, ExportResponse, Status};
use wire::otlp::{Metric, Request, Temporality};

use self::delta::{DeltaRefusal, Deltas};
use self::names::Namer;
use self::settings::DeltaMode;
pub use self::settings::{Options, Promotion, Strategy, Translation};
use self::sink::{Metrics, Sink};
use self::translate::{Stop, Translator};
use crate::cache::{Secret, SeriesCache};

/// Series that were not fed for this long, and at most twice as long, are looked up anew.
const CACHE_GENERATION_MS: i64 = 10 * 60_000;

/// Stores metrics that come by OTLP. Safe to use from many threads.
pub struct OtlpReceiver {
    storage: Arc<dyn Appendable>,
    clock: SharedClock,
    in_force: ArcSwap<InForce>,
    shared: Arc<Shared>,
    cache_generation: AtomicU64,
}

/// What requests share.
struct Shared {
    options: Options,
    secret: Box<Secret>,
    cache: SeriesCache,
    metrics: Metrics,
    deltas: Deltas,
    dropped_deltas: DroppedDeltas,
}

/// The translation in force, and how many there were before it.
struct InForce {
    translation: Translation,
    namer: Namer,
    generation: u64,
}

/// Refused deltas by reason.
#[derive(Default)]
struct DroppedDeltas([AtomicU64; REASONS.len()]);

const REASONS: [&str; 3] = ["out_of_order", "older_start", "limit"];

impl DroppedDeltas {
    fn count(&self, refusal: &DeltaRefusal) {
        if let Some(at) = REASONS.iter().position(|reason| *reason == refusal.reason()) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl OtlpReceiver {
    /// Stores in `storage`; `secret` is random.
    pub fn new(
        storage: Arc<dyn Appendable>,
        options: Options,
        secret: Box<Secret>,
        clock: SharedClock,
        registry: &Registry,
    ) -> Self {
        let shared = Arc::new(Shared {
            cache: SeriesCache::new(options.cached_series),
            deltas: Deltas::new(options.max_delta_streams),
            metrics: Metrics::new(registry),
            dropped_deltas: DroppedDeltas::default(),
            secret,
            options,
        });
        publish(&shared, registry);
        let in_force = InForce::new(Translation::default(), 0);
        let cache_generation = AtomicU64::new(0);
        Self { storage, clock, in_force: ArcSwap::from_pointee(in_force), shared, cache_generation }
    }

    /// Translates by these rules from the next request on.
    pub fn apply(&self, translation: Translation) {
        let before = self.in_force.load();
        if before.translation != translation {
            self.in_force.store(Arc::new(InForce::new(translation, before.generation + 1)));
        }
    }

    /// Stores the request in `body`, which is protobuf. When this returns, what was accepted is as durable as the
    /// storage makes it.
    pub fn export(&self, tenant: &TenantId, body: &[u8]) -> Result<ExportResponse, Status> {
        let now_ms = self.clock.now_ms();
        self.age_cache(now_ms);
        let (shared, in_force) = (&*self.shared, self.in_force.load_full());
        let turn = (shared.options.delta == DeltaMode::Accumulate && has_deltas(body))
            .then(|| shared.deltas.begin(self.clock.monotonic()));
        let appender = self.storage.appender(tenant);
        let sink = Sink::new(appender, now_ms, shared.options.zero_at_start, shared.metrics.clone());
        let mut translator = Translator::new(shared, &in_force, sink, tenant);
        translator.turn = turn;
        let walked = translator.request(&Request::new(body));
        let Translator { sink, turn, tally, warnings, .. } = translator;
        walked.map_err(Status::from)?;
        if !warnings.is_empty() {
            let warnings = warnings.join("\n");
            tracing::warn!(warnings, "metrics received by OTLP are odd");
        }
        shared.metrics.rejected.add(tally.rejected);
        if tally.is_refused() {
            return Err(Status { code: tally.code(), message: tally.message() });
        }
        sink.commit().map_err(|error| Status { code: Code::Unavailable, message: error.to_string() })?;
        if let Some(turn) = turn {
            turn.keep();
        }
        shared.metrics.accepted.add(tally.accepted);
        let rejected_data_points = i64::try_from(tally.rejected).unwrap_or(i64::MAX);
        Ok(ExportResponse { rejected_data_points, error_message: tally.message() })
    }

    fn age_cache(&self, now_ms: i64) {
        let now = now_ms.div_euclid(CACHE_GENERATION_MS) as u64;
        if self.cache_generation.swap(now, Ordering::Relaxed) != now {
            self.shared.cache.age();
        }
    }
}

impl InForce {
    fn new(translation: Translation, generation: u64) -> Self {
        Self { namer: Namer::new(&translation), translation, generation }
    }
}

impl From<Stop> for Status {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Malformed(error) => Self { code: Code::InvalidArgument, message: error.to_string() },
            Stop::Unavailable(message) => Self { code: Code::Unavailable, message },
        }
    }
}

/// Whether a request has to wait for its turn. What cannot be read here is told where it is read again.
fn has_deltas(body: &[u8]) -> bool {
    for resource in Request::new(body).resources().flatten() {
        for scope in resource.scopes().flatten() {
            let is_delta = |metric: Metric<'_>| metric.data.temporality() == Some(Temporality::Delta);
            if scope.metrics().flatten().any(is_delta) {
                return true;
            }
        }
    }
    false
}

fn publish(shared: &Arc<Shared>, registry: &Registry) {
    if shared.options.delta != DeltaMode::Accumulate {
        return;
    }
    let weak = Arc::downgrade(shared);
    registry.collect_with(move |families| {
        let Some(shared) = weak.upgrade() else { return };
        let name = "bartizan_otlp_delta_streams";
        let mut streams = Family::new(name, "Streams of deltas that are added up.", Kind::Gauge);
        streams.push(&[], shared.deltas.len() as f64);
        let name = "bartizan_otlp_deltas_dropped_total";
        let mut dropped = Family::new(name, "Deltas that were not added up, by reason.", Kind::Counter);
        for (reason, count) in REASONS.iter().zip(&shared.dropped_deltas.0) {
            dropped.push(&[("reason", reason)], count.load(Ordering::Relaxed) as f64);
        }
        families.extend([streams, dropped]);
    });
}
