//! Metadata in version 1.0 of the protocol: from time to time, in requests of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wire::remote_write::encode::{FamilyMetadata, encode_metadata};

use super::client::Outcome;
use super::queue::{Delivery, Phase};

/// Who knows the metadata of all metric families.
pub trait FamilySource: Send + Sync {
    /// The families of all targets; the same one may be in it more than once. May take a while.
    fn families(&self) -> Vec<FamilyMetadata>;
}

/// When and how metadata is sent.
#[derive(Debug, Clone, Copy)]
pub struct MetadataOptions {
    /// Time between.
    pub interval: Duration,
    /// Families of a request.
    pub batch: usize,
}

/// Sends metadata until the destination ends.
pub async fn run(delivery: Arc<Delivery>, source: Arc<dyn FamilySource>, options: MetadataOptions) {
    let mut phases = delivery.phase.subscribe();
    let mut ticks = tokio::time::interval(options.interval.max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once, before anything was scraped.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = phases.wait_for(|phase| *phase >= Phase::Finishing) => return,
            _ = ticks.tick() => {}
        }
        let asked = source.clone();
        let Ok(families) = tokio::task::spawn_blocking(move || distinct(asked.families())).await else {
            continue;
        };
        for batch in families.chunks(options.batch.max(1)) {
            tokio::select! {
                _ = phases.wait_for(|phase| *phase >= Phase::Finishing) => return,
                () = send(&delivery, batch) => {}
            }
        }
    }
}

fn distinct(families: Vec<FamilyMetadata>) -> Vec<FamilyMetadata> {
    let mut seen = HashSet::with_capacity(families.len());
    families.into_iter().filter(|family| seen.insert(family.clone())).collect()
}

/// Sends one request, again and again until it is answered for good.
async fn send(delivery: &Delivery, families: &[FamilyMetadata]) {
    let body = Bytes::from(encode_metadata(families));
    let [sent, failed, retried] = &delivery.metrics.metadata;
    let count = families.len() as u64;
    let mut backoff = delivery.retry.min_backoff;
    let mut attempt = 0;
    loop {
        let client = delivery.client.load_full();
        let (error, after) = match client.store(body.clone(), attempt, delivery.clock.now_ms()).await {
            Outcome::Accepted(_) => {
                sent.add(count);
                delivery.metrics.sent_bytes[1].add(body.len() as u64);
                return;
            }
            Outcome::Refused { error, .. } => {
                failed.add(count);
                tracing::error!(
                    remote_name = delivery.name,
                    url = delivery.url,
                    error,
                    count,
                    "metadata was refused"
                );
                return;
            }
            Outcome::Later { error, after } => (error, after),
        };
        retried.add(count);
        let wait = delivery.wait(backoff, after);
        tracing::debug!(
            remote_name = delivery.name,
            error,
            attempt,
            "failed to send metadata; it is sent again"
        );
        tokio::time::sleep(wait).await;
        backoff = (backoff * 2).min(delivery.retry.max_backoff).max(Duration::from_millis(1));
        attempt += 1;
    }
}
