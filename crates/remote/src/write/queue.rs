//! Queues of requests, and the tasks that send them: one of each a shard.
//!
//! A request stays at the head of its queue until it is acknowledged or given up for good. So the place in the log a
//! queue begins at is all that is to be remembered of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::SharedClock;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tsdb::wal::Position;
use wire::remote_write::MessageType;
use wire::remote_write::encode::{Counts, Part, halves, without_older};

use super::Random;
use super::bell::Bell;
use super::client::{Outcome, WriteClient, Written};
use super::metrics::{DropReason, QueueMetrics};
use super::progress::{Place, ProgressFile, ShardProgress};

/// A request ready to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The compressed message.
    pub body: Bytes,
    /// Where the first sample stands.
    pub first: Place,
    /// Where the last sample stands.
    pub last: Place,
    /// Whether it has no samples but those of one request that was under way when the process was killed.
    pub is_repetition: bool,
    /// What is in it.
    pub counts: Counts,
    /// The earliest timestamp.
    pub lowest_ms: i64,
    /// The latest timestamp.
    pub highest_ms: i64,
}

impl Outgoing {
    /// Two requests with the first and the second half of the samples; `None` when there is only one.
    fn halves(&self, message: MessageType) -> Option<[Self; 2]> {
        let part = |Part { body, counts }: Part| Self { body: body.into(), counts, ..self.clone() };
        Some(halves(message, &self.body).ok().flatten()?.map(part))
    }
}

/// How requests are repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The first wait.
    pub min_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// Samples older than this are not sent again; zero for no limit.
    pub sample_age_limit: Duration,
}

/// How far a destination is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Requests are repeated until they succeed.
    Running,
    /// What is queued is sent, but a failure ends it: the log has everything.
    Finishing,
    /// The request being sent is the last one.
    Closing,
    /// Requests being sent are given up as well.
    Halted,
}

/// What all shards of a destination share.
pub struct Delivery {
    /// The destination, for the log.
    pub name: String,
    /// The destination's URL, for the log.
    pub url: String,
    /// The message.
    pub message: MessageType,
    /// How to reach the destination; exchanged when secrets may have changed.
    pub client: ArcSwap<WriteClient>,
    /// How to repeat.
    pub retry: RetryPolicy,
    /// Whether refused requests are logged in full.
    pub log_refused: bool,
    /// Time.
    pub clock: SharedClock,
    /// Randomness.
    pub random: Random,
    /// What is published.
    pub metrics: Arc<QueueMetrics>,
    /// Wakes the reader.
    pub bell: Arc<Bell>,
    /// Whether the reader waits for room or for queues to be empty.
    pub reader_waits: AtomicBool,
    /// How far the end is.
    pub phase: watch::Sender<Phase>,
    /// Where the log ended when sending was taken up again: what lies before may have been sent already.
    pub repeated_until: OnceLock<Position>,
    /// Monotonic milliseconds of the last request that ended; -1 before.
    pub last_end_ms: AtomicI64,
    /// Monotonic milliseconds until which repetitions forbid a new number of shards.
    pub no_reshard_until_ms: AtomicI64,
    /// Samples and exemplars whose requests ended.
    pub ended: AtomicU64,
    /// Nanoseconds those requests took.
    pub busy_ns: AtomicU64,
}

/// One queue.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    progress: Option<Arc<ProgressFile>>,
    queue: Mutex<VecDeque<Outgoing>>,
    added: Notify,
    closed: AtomicBool,
}

impl Shard {
    /// An empty queue, which notes how far it is as that `number` of the file.
    pub fn new(number: usize, progress: Option<Arc<ProgressFile>>) -> Self {
        let (queue, added, closed) = (Mutex::default(), Notify::default(), AtomicBool::new(false));
        Self { number, progress, queue, added, closed }
    }

    /// Requests in the queue, the one being sent included.
    pub fn len(&self) -> usize {
        self.queue.lock().len()
    }

    /// Where in the log the first request begins.
    pub fn first(&self) -> Option<Position> {
        self.queue.lock().front().map(|outgoing| outgoing.first.record)
    }

    /// Adds a request.
    pub fn push(&self, outgoing: Outgoing) {
        self.queue.lock().push_back(outgoing);
        self.added.notify_one();
    }

    /// Lets the task end once the queue is empty.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.added.notify_one();
    }

    /// Takes what is left when nobody sends it any more.
    pub fn give_up(&self) -> VecDeque<Outgoing> {
        std::mem::take(&mut *self.queue.lock())
    }

    fn front(&self) -> Option<Outgoing> {
        self.queue.lock().front().cloned()
    }

    fn pop(&self) {
        self.queue.lock().pop_front();
    }

    fn note(&self, progress: ShardProgress) {
        if let Some(file) = &self.progress
            && let Err(error) = file.set(self.number, progress)
        {
            tracing::debug!(%error, "progress of a shard not noted");
        }
    }
}

/// How a request was answered.
enum Attempt {
    /// It is stored.
    Done,
    /// It never will be as it is; what was written all the same, if the answer tells.
    Refused { error: String, written: Option<Written> },
    /// It is still to be sent, by another process or queue.
    Kept,
}

/// What became of a request in the end.
enum End {
    /// It was acknowledged, or will never be.
    Done,
    /// It is still to be sent, by another process or queue.
    Kept,
}

impl Delivery {
    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Sends what is in `shard` until that is closed or the destination ends.
    pub async fn run(self: Arc<Self>, shard: Arc<Shard>) {
        let mut phases = self.phase.subscribe();
        loop {
            if *phases.borrow_and_update() >= Phase::Closing {
                break;
            }
            let Some(outgoing) = shard.front() else {
                if shard.closed.load(Ordering::Acquire) {
                    break;
                }
                tokio::select! {
                    () = shard.added.notified() => {}
                    _ = phases.changed() => {}
                }
                continue;
            };
            let (counts, first, last) = (outgoing.counts, outgoing.first, outgoing.last);
            shard.note(ShardProgress { from: first, last: Some(last) });
            let began = self.clock.monotonic();
            let end = tokio::select! {
                end = self.deliver(outgoing) => end,
                _ = halted(self.phase.subscribe()) => End::Kept,
            };
            if let End::Kept = end {
                break;
            }
            let now = self.clock.monotonic();
            let busy = now.saturating_sub(began);
            self.busy_ns.fetch_add(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.ended.fetch_add(counts.total() as u64, Ordering::Relaxed);
            self.last_end_ms.store(ms(now), Ordering::Relaxed);
            self.metrics.pending.remove(counts);
            shard.note(ShardProgress { from: last.next(), last: None });
            shard.pop();
            if self.reader_waits.load(Ordering::Acquire) {
                self.bell.call();
            }
        }
        self.bell.call();
    }

    /// Sends a request, or its parts where the destination refuses the whole.
    async fn deliver(&self, outgoing: Outgoing) -> End {
        let is_repetition = outgoing.is_repetition;
        let is_repeated = self.repeated_until.get().is_some_and(|until| outgoing.first.record < *until);
        let (mut parts, mut already_there, mut last_error) =
            (vec![outgoing], Counts::default(), String::new());
        while let Some(mut part) = parts.pop() {
            let (error, written) = match self.attempt(&mut part).await {
                Attempt::Done => continue,
                Attempt::Kept => return End::Kept,
                Attempt::Refused { error, written } => (error, written),
            };
            // A receiver may refuse a whole request for one sample it has already. What was sent before a crash
            // and not noted is such a sample; what stands beside it must not be lost.
            match written {
                _ if !is_repeated => self.refused(&part, &error, written.unwrap_or_default()),
                Some(written) => already_there.add(missing(part.counts, written)),
                // A receiver that stores all of a request or nothing did so with the same one before.
                None if is_repetition => already_there.add(part.counts),
                None => match part.halves(self.message) {
                    Some([first, second]) => parts.extend([second, first]),
                    None => already_there.add(part.counts),
                },
            }
            last_error = error;
        }
        if already_there.total() > 0 {
            self.metrics.dropped(DropReason::AlreadySent).add(already_there);
            tracing::info!(
                remote_name = self.name,
                samples = already_there.samples,
                histograms = already_there.histograms,
                exemplars = already_there.exemplars,
                last_error,
                "the receiver refused what may have been sent before the last start"
            );
        }
        End::Done
    }

    /// Sends a request until it is answered for good.
    async fn attempt(&self, outgoing: &mut Outgoing) -> Attempt {
        let mut backoff = self.retry.min_backoff;
        let mut attempt = 0;
        loop {
            if let Some(limit_ms) = self.oldest_ms().filter(|&limit_ms| outgoing.lowest_ms < limit_ms)
                && !self.leave_out_older(outgoing, limit_ms)
            {
                return Attempt::Done;
            }
            self.metrics.sent.add(outgoing.counts);
            let client = self.client.load_full();
            let began = self.clock.monotonic();
            let outcome = client.store(outgoing.body.clone(), attempt, self.clock.now_ms()).await;
            self.metrics.batch_seconds.observe(self.clock.monotonic().saturating_sub(began).as_secs_f64());
            let (error, after) = match outcome {
                Outcome::Later { error, after } => (error, after),
                Outcome::Accepted(written) => {
                    self.accepted(outgoing, written);
                    return Attempt::Done;
                }
                Outcome::Refused { error, written } => return Attempt::Refused { error, written },
            };
            if self.phase() >= Phase::Finishing {
                tracing::warn!(
                    remote_name = self.name,
                    url = self.url,
                    error,
                    "request is not repeated now; it is sent again from the log after the next start"
                );
                return Attempt::Kept;
            }
            self.back_off(outgoing, &error, attempt, self.wait(backoff, after)).await;
            if self.phase() >= Phase::Closing {
                return Attempt::Kept;
            }
            backoff = (backoff * 2).min(self.retry.max_backoff).max(Duration::from_millis(1));
            attempt += 1;
        }
    }

    /// Waits before a request is repeated, not longer than the destination runs.
    async fn back_off(&self, outgoing: &Outgoing, error: &str, attempt: u32, wait: Duration) {
        let no_reshard_until = ms(self.clock.monotonic() + wait * 2);
        self.no_reshard_until_ms.fetch_max(no_reshard_until, Ordering::Relaxed);
        self.metrics.retried.add(outgoing.counts);
        tracing::warn!(
            remote_name = self.name,
            url = self.url,
            error,
            attempt,
            wait_ms = wait.as_millis() as u64,
            "failed to send a request; it is sent again"
        );
        let mut phases = self.phase.subscribe();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // One more attempt, at once, before the end.
            _ = phases.wait_for(|phase| *phase >= Phase::Finishing) => {}
        }
    }

    /// Half of the backoff at least, all of it at most, so that many senders do not come back at once; what the
    /// receiver asks for is waited for in full.
    pub(super) fn wait(&self, backoff: Duration, after: Option<Duration>) -> Duration {
        let share = (self.random)().clamp(0.0, 1.0);
        match after {
            Some(after) => after + backoff.mul_f64(share),
            None => backoff.mul_f64(0.5 + share / 2.0),
        }
    }

    /// Samples before this time are not worth sending.
    fn oldest_ms(&self) -> Option<i64> {
        let limit = self.retry.sample_age_limit;
        (!limit.is_zero()).then(|| self.clock.now_ms().saturating_sub(ms(limit)))
    }

    /// False when nothing is left.
    fn leave_out_older(&self, outgoing: &mut Outgoing, limit_ms: i64) -> bool {
        match without_older(self.message, &outgoing.body, limit_ms) {
            Ok((body, dropped)) => {
                self.metrics.dropped(DropReason::TooOld).add(dropped);
                outgoing.body = body.into();
                outgoing.lowest_ms = limit_ms;
                outgoing.counts = Counts {
                    samples: outgoing.counts.samples - dropped.samples,
                    histograms: outgoing.counts.histograms - dropped.histograms,
                    exemplars: outgoing.counts.exemplars - dropped.exemplars,
                };
            }
            Err(error) => tracing::error!(remote_name = self.name, %error, "old samples stay in a request"),
        }
        outgoing.counts.total() > 0
    }

    fn accepted(&self, outgoing: &Outgoing, written: Option<Written>) {
        let metrics = &self.metrics;
        metrics.sent_bytes[0].add(outgoing.body.len() as u64);
        metrics.highest_sent.raise(outgoing.highest_ms);
        let written = match (written, self.message) {
            (Some(written), _) => written,
            // Receivers of version 1.0 say nothing.
            (None, MessageType::V1) => return,
            (None, MessageType::V2) => Written::default(),
        };
        let missing = missing(outgoing.counts, written);
        if missing.total() > 0 {
            metrics.failed.add(missing);
            tracing::error!(
                remote_name = self.name,
                url = self.url,
                samples = missing.samples,
                histograms = missing.histograms,
                exemplars = missing.exemplars,
                "the receiver answered with success but says that it did not write everything; perhaps it knows \
                 version 1.0 of the protocol only"
            );
        }
    }

    fn refused(&self, outgoing: &Outgoing, error: &str, written: Written) {
        let missing = missing(outgoing.counts, written);
        self.metrics.failed.add(missing);
        self.metrics.sent_bytes[0].add(outgoing.body.len() as u64);
        tracing::error!(
            remote_name = self.name,
            url = self.url,
            error,
            samples = missing.samples,
            histograms = missing.histograms,
            exemplars = missing.exemplars,
            "the receiver refused a request; it is not sent again"
        );
        if self.log_refused {
            let request = super::describe::describe(self.message, &outgoing.body);
            tracing::warn!(remote_name = self.name, url = self.url, request, "refused request");
        }
    }
}

/// Completes when requests being sent are to be given up.
async fn halted(mut phases: watch::Receiver<Phase>) {
    // The sender lives as long as the delivery that waits here.
    let _ = phases.wait_for(|phase| *phase == Phase::Halted).await;
}

fn missing(counts: Counts, written: Written) -> Counts {
    Counts {
        samples: counts.samples.saturating_sub(written.samples),
        histograms: counts.histograms.saturating_sub(written.histograms),
        exemplars: counts.exemplars.saturating_sub(written.exemplars),
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
