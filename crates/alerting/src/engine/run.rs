//! The loop that does what is due, and the deliveries it starts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{Alertmanager, EngineError, Loaded};
use crate::core::{Delivery, Failure, Outcome};
use crate::nflog::LogEntry;
use crate::notify::{Channel, SendError};

/// Timers looked at with the lock held; then others may have it.
const TIMERS_AT_ONCE: usize = 64;
/// The longest pause. The time of day may be set, and a machine may sleep: neither must delay what is due.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long deliveries that are under way at the end are waited for.
const FAREWELL: Duration = Duration::from_secs(5);

/// Makes a server that no longer works not ready, however that came.
struct Readiness<'m>(&'m Alertmanager);

impl Drop for Readiness<'_> {
    fn drop(&mut self) {
        self.0.ready.store(false, Ordering::Release);
    }
}

/// Turns to tell the core how a delivery ended.
static FINISHING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

impl Alertmanager {
    /// Works until `shutdown` completes, then writes everything down. An error is a defect; nothing is told
    /// any more after it.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        let Some(mut to_write) = self.to_write.lock().take() else { return Ok(()) };
        let writer = {
            let manager = self.clone();
            tokio::spawn(async move {
                let mut batch = Vec::new();
                // What is told while the disk is busy is written together.
                while to_write.recv_many(&mut batch, 4096).await > 0 {
                    let (manager, entries) = (manager.clone(), std::mem::take(&mut batch));
                    let _ = tokio::task::spawn_blocking(move || manager.write_log(&entries)).await;
                }
            })
        };
        self.ready.store(true, Ordering::Release);
        let readiness = Readiness(&self);
        let (leave, leaving) = oneshot::channel::<()>();
        let membership = self.cluster().map(|cluster| {
            let leaving = async { drop(leaving.await) };
            tokio::spawn(cluster.clone().run(self.clone(), leaving))
        });
        let outcome = self.work_until(shutdown).await;
        self.is_ending.store(true, Ordering::Release);
        // What is under way may still be accepted; give it a moment, so that it is not repeated after a restart.
        let mut under_way = self.under_way.subscribe();
        let _ = tokio::time::timeout(FAREWELL, under_way.wait_for(|count| *count == 0)).await;
        let perhaps_told = self.core.lock().abandon(self.now());
        self.share(&perhaps_told);
        // Only now the others get all that was told.
        drop(leave);
        if let Some(membership) = membership {
            let _ = membership.await;
        }
        writer.abort();
        let manager = self.clone();
        let _ = tokio::task::spawn_blocking(move || manager.maintain()).await;
        drop(readiness);
        outcome
    }

    async fn work_until(self: &Arc<Self>, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        let least = |interval: Duration| tokio::time::interval(interval.max(Duration::from_secs(1)));
        let (mut maintenance, mut gc) =
            (least(self.options.maintenance_interval), least(self.options.gc_interval));
        tokio::pin!(shutdown);
        let mut is_woken = true;
        let mut next = None;
        loop {
            if is_woken || next.is_some_and(|at: Timestamp| at <= self.now()) {
                let manager = self.clone();
                next = tokio::task::spawn_blocking(move || manager.tick())
                    .await
                    .map_err(|error| EngineError::Setup(format!("deciding what to tell failed: {error}")))?;
            }
            let pause = next.map_or(LONGEST_PAUSE, |at| {
                Duration::try_from(at.duration_since(self.now())).unwrap_or_default().min(LONGEST_PAUSE)
            });
            is_woken = false;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => is_woken = true,
                _ = gc.tick() => {
                    let manager = self.clone();
                    tokio::task::spawn_blocking(move || manager.core.lock().forget(manager.now()));
                }
                _ = maintenance.tick() => self.maintain_beside(),
                () = &mut shutdown => return Ok(()),
            }
        }
    }

    /// Maintains the state on a thread of its own, unless that is being done.
    fn maintain_beside(self: &Arc<Self>) {
        if self.is_maintaining.swap(true, Ordering::AcqRel) {
            return;
        }
        let manager = self.clone();
        tokio::task::spawn_blocking(move || {
            manager.maintain();
            manager.is_maintaining.store(false, Ordering::Release);
        });
    }

    /// Does what is due, and says when something is due next.
    pub fn tick(self: &Arc<Self>) -> Option<Timestamp> {
        if !self.may_tell() {
            return None;
        }
        loop {
            let now = self.now();
            let mut core = self.core.lock();
            let (deliveries, entries) = core.poll_some(now, TIMERS_AT_ONCE);
            // With the lock held: these are the channels the decisions were made for.
            let loaded = self.loaded.load_full();
            let next = core.next_timer();
            drop(core);
            self.share(&entries);
            self.note(entries);
            self.deliver_all(deliveries, &loaded);
            if next.is_none_or(|at| at > now) {
                return next;
            }
        }
    }

    pub(super) fn note(&self, entries: Vec<LogEntry>) {
        for entry in entries {
            // The writer ends only with the process; then the snapshot has the entry.
            let _ = self.told.send(entry);
        }
    }

    pub(super) fn deliver_all(self: &Arc<Self>, deliveries: Vec<Delivery>, loaded: &Arc<Loaded>) {
        for delivery in deliveries {
            self.under_way.send_modify(|count| *count += 1);
            let (manager, channel) = (self.clone(), loaded.channels.get(&delivery.integration).cloned());
            tokio::spawn(async move {
                let job = delivery.job;
                let outcome = match channel {
                    None => Outcome::Failed(Failure::new("the receiver is gone from the configuration")),
                    Some(channel) => manager.attempt(channel, delivery).await,
                };
                // The lock may be held for a while by who decides. Those who wait for it shall not be a thread each.
                let _turn = FINISHING.acquire().await;
                let _ = tokio::task::spawn_blocking(move || manager.finish(job, outcome)).await;
            });
        }
    }

    /// Makes an attempt to send. Whatever happens there has an outcome: the group waits for it.
    async fn attempt(self: &Arc<Self>, channel: Arc<Channel>, delivery: Delivery) -> Outcome {
        let begun = self.clock.monotonic();
        let limit = Duration::try_from(delivery.deadline.duration_since(self.now())).unwrap_or_default();
        let key = delivery.integration.clone();
        let sent = tokio::spawn(async move { channel.send(delivery, limit).await }).await;
        let sent = sent.unwrap_or_else(|error| Err(SendError::defect(&error)));
        let took = self.clock.monotonic().saturating_sub(begun);
        self.metrics.attempted(&key, sent.is_ok(), took);
        sent.into()
    }

    fn finish(self: &Arc<Self>, job: u64, outcome: Outcome) {
        let mut core = self.core.lock();
        let (more, entries) = core.finish(job, outcome, self.now());
        let loaded = self.loaded.load_full();
        drop(core);
        self.share(&entries);
        self.note(entries);
        self.deliver_all(more, &loaded);
        self.under_way.send_modify(|count| *count = count.saturating_sub(1));
        self.wake.notify_one();
    }
}
