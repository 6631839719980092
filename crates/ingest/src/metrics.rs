//! What is published about what is pushed: under Prometheus's names where it has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::ByteBudget;
use base::metrics::{Counter, Family, Kind, Registry};
use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::tenant::Tenants;

/// Counters of what is pushed.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub invalid_labels: Counter,
    pub without_metadata: Counter,
    pub samples: Counter,
    pub histograms: Counter,
    pub exemplars: Counter,
    pub series_resolved: Counter,
    discarded: Arc<Mutex<BTreeMap<(SmolStr, &'static str), u64>>>,
}

/// Tenants whose discarded samples are told apart; those of further ones are counted together.
const MAX_TENANTS_SHOWN: usize = 1000;

impl Metrics {
    pub fn new(registry: &Registry, tenants: &Arc<Tenants>, budget: &ByteBudget) -> Self {
        let received = |kind: &str| {
            registry.counter(
                "bartizan_ingest_samples_total",
                "Samples that were pushed to this server and stored, by kind.",
                &[("kind", kind)],
            )
        };
        let metrics = Self {
            invalid_labels: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due \
                 to invalid labels.",
                &[],
            ),
            without_metadata: registry.counter(
                "prometheus_api_remote_write_without_metadata_appended_samples_total",
                "The total number of received remote write samples (and histogram samples) which were ingested \
                 without corresponding metadata.",
                &[],
            ),
            samples: received("float"),
            histograms: received("histogram"),
            exemplars: received("exemplar"),
            series_resolved: registry.counter(
                "bartizan_ingest_series_resolved_total",
                "Series whose labels had to be read because they were not remembered.",
                &[],
            ),
            discarded: Arc::default(),
        };
        metrics.publish_levels(registry, tenants.clone(), budget.clone());
        metrics
    }

    fn publish_levels(&self, registry: &Registry, tenants: Arc<Tenants>, budget: ByteBudget) {
        let discarded = self.discarded.clone();
        registry.collect_with(move |families| {
            let mut family = Family::new(
                "bartizan_ingest_discarded_samples_total",
                "Samples that were pushed to this server and not stored, by tenant and reason.",
                Kind::Counter,
            );
            for ((tenant, reason), count) in discarded.lock().iter() {
                family.push(&[("reason", reason), ("tenant", tenant)], *count as f64);
            }
            families.push(family);
            let mut family = Family::new(
                "bartizan_ingest_active_series",
                "Series each tenant pushed to lately.",
                Kind::Gauge,
            );
            for tenant in tenants.all() {
                family.push(&[("tenant", &tenant.id.0)], tenant.active_series() as f64);
            }
            families.push(family);
            let family = Family::new(
                "bartizan_ingest_memory_bytes",
                "Memory held by requests that are being taken in.",
                Kind::Gauge,
            );
            families.push(family.with(&[], budget.used_bytes() as f64));
        });
    }

    /// Counts samples that are not stored.
    pub fn discard(&self, tenant: &SmolStr, reason: &'static str, samples: usize) {
        if samples == 0 {
            return;
        }
        let mut discarded = self.discarded.lock();
        let mut key = (tenant.clone(), reason);
        if discarded.len() >= MAX_TENANTS_SHOWN && !discarded.contains_key(&key) {
            key.0 = SmolStr::new_static("other");
        }
        *discarded.entry(key).or_insert(0) += samples as u64;
    }
}
