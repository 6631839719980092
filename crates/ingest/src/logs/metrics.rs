//! What is published about logs that are pushed: Loki's names, as its dashboards and alerts use them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::metrics::{Family, Kind, Registry};
use parking_lot::Mutex;
use smol_str::SmolStr;

use super::tenants::Tenants;

/// Tenants that are told apart; those of further ones are counted together.
const MAX_TENANTS_SHOWN: usize = 1000;

/// Counters of what is pushed. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct LogMetrics(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    tenants: BTreeMap<SmolStr, Received>,
    discarded: BTreeMap<(SmolStr, &'static str), Amount>,
}

/// Entries and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of their lines and structured metadata.
    pub bytes: u64,
}

impl Amount {
    /// Adds entries.
    pub fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }
}

/// What came of a tenant.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Received {
    pub all: Amount,
    pub metadata_bytes: u64,
    pub truncated: Amount,
}

impl LogMetrics {
    /// Lets a registry publish the counters.
    pub fn publish(&self, registry: &Registry, tenants: Arc<Tenants>) {
        let shared = self.clone();
        registry.collect_with(move |families| {
            let counts = shared.0.lock();
            families.extend(received(&counts));
            families.extend(discarded(&counts));
            drop(counts);
            let mut active = Family::new(
                "bartizan_logs_active_streams",
                "Streams each tenant pushed to lately, where they are limited.",
                Kind::Gauge,
            );
            for (id, tenant) in tenants.all() {
                active.push(&[("tenant", &id.0)], tenant.active_streams() as f64);
            }
            families.push(active);
        });
    }

    /// Counts what came.
    pub fn received(&self, tenant: &SmolStr, came: Received) {
        let mut counts = self.0.lock();
        let key = shown(tenant, counts.tenants.len(), |key| counts.tenants.contains_key(key));
        let sum = counts.tenants.entry(key).or_default();
        sum.all.add(came.all);
        sum.truncated.add(came.truncated);
        sum.metadata_bytes += came.metadata_bytes;
    }

    /// Counts what is not stored.
    pub fn discarded(&self, tenant: &SmolStr, reason: &'static str, amount: Amount) {
        let mut counts = self.0.lock();
        let known = |key: &SmolStr| counts.discarded.contains_key(&(key.clone(), reason));
        let key = shown(tenant, counts.discarded.len(), known);
        counts.discarded.entry((key, reason)).or_default().add(amount);
    }
}

fn shown(tenant: &SmolStr, count: usize, is_known: impl Fn(&SmolStr) -> bool) -> SmolStr {
    if count < MAX_TENANTS_SHOWN || is_known(tenant) { tenant.clone() } else { SmolStr::new_static("other") }
}

fn received(counts: &Counts) -> [Family; 4] {
    let counter = |name: &str, help: &str, of: &dyn Fn(&Received) -> u64| {
        let mut family = Family::new(name, help, Kind::Counter);
        for (tenant, came) in &counts.tenants {
            family.push(&[("tenant", tenant)], of(came) as f64);
        }
        family
    };
    [
        counter(
            "loki_distributor_bytes_received_total",
            "The total number of uncompressed bytes received per tenant. Includes structured metadata bytes.",
            &|came| came.all.bytes,
        ),
        counter(
            "loki_distributor_structured_metadata_bytes_received_total",
            "The total number of uncompressed bytes received per tenant for entries' structured metadata.",
            &|came| came.metadata_bytes,
        ),
        counter(
            "loki_distributor_lines_received_total",
            "The total number of lines received per tenant.",
            &|came| came.all.entries,
        ),
        counter(
            "loki_mutated_samples_total",
            "The total number of lines that were cut because they are too long.",
            &|came| came.truncated.entries,
        ),
    ]
}

fn discarded(counts: &Counts) -> [Family; 2] {
    let counter = |name: &str, help: &str, of: &dyn Fn(&Amount) -> u64| {
        let mut family = Family::new(name, help, Kind::Counter);
        for ((tenant, reason), amount) in &counts.discarded {
            family.push(&[("reason", reason), ("tenant", tenant)], of(amount) as f64);
        }
        family
    };
    [
        counter(
            "loki_discarded_samples_total",
            "The total number of samples that were discarded.",
            &|amount| amount.entries,
        ),
        counter("loki_discarded_bytes_total", "The total number of bytes that were discarded.", &|amount| {
            amount.bytes
        }),
    ]
}
