//! One Alertmanager: what waits for it, and the task that sends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use httpclient::{Client, HeaderValue, Method, Request, header};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::metrics::{NotifyMetrics, PeerMetrics};
use super::{Notification, NotifyOptions, wire};

/// How the Alertmanagers of a set are reached.
pub(super) struct Sending {
    pub client: Client,
    pub timeout: Duration,
    pub options: NotifyOptions,
    pub metrics: NotifyMetrics,
    pub clock: SharedClock,
}

/// Answers are read so far, that the connection may be used again.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The queue of one Alertmanager; its task ends with [`Queue::end`].
pub(super) struct Queue {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    url: String,
    waiting: Mutex<VecDeque<Arc<Notification>>>,
    work: Notify,
    sending: Arc<Sending>,
    metrics: Arc<PeerMetrics>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// Nothing waited.
    Empty,
    Sent,
    Failed,
}

impl Queue {
    /// The queue of the Alertmanager at `url`. Must be called within a tokio runtime.
    pub fn start(url: &str, sending: &Arc<Sending>) -> Self {
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            waiting: Mutex::default(),
            work: Notify::new(),
            sending: sending.clone(),
            metrics: sending.metrics.peer(url),
        });
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(shared.clone().run(stopping));
        Self { shared, stop, task }
    }

    /// Adds alerts. Where there is no room, the oldest ones go: newer ones tell more.
    pub fn add(&self, alerts: &[Arc<Notification>]) {
        let (shared, capacity) = (&self.shared, self.shared.sending.options.queue_capacity);
        let mut waiting = shared.waiting.lock();
        waiting.extend(alerts.iter().cloned());
        let dropped = waiting.len().saturating_sub(capacity);
        if dropped > 0 {
            waiting.drain(..dropped);
            tracing::warn!(
                alertmanager = shared.url,
                dropped,
                "alert notification queue full, dropping alerts"
            );
            shared.metrics.dropped.add(dropped as u64);
        }
        shared.metrics.queue_length.set(waiting.len() as f64);
        drop(waiting);
        shared.work.notify_one();
    }

    /// Asks the task to end.
    pub fn end(&mut self) {
        self.stop.send_replace(true);
    }

    /// Waits for the task.
    pub async fn ended(self) {
        // A task that ended by a defect was logged where it ended.
        let _ = self.task.await;
    }
}

impl Shared {
    async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            // A stop goes first; a request under way has its timeout.
            let stop = tokio::select! {
                biased;
                stopped = stopping.wait_for(|&stop| stop) => { drop(stopped); true }
                () = self.work.notified() => false,
            };
            if stop {
                break;
            }
            while !*stopping.borrow() && self.send_batch().await != Batch::Empty {}
        }
        if self.sending.options.drain_on_shutdown {
            // One that does not answer would hold up the end by a timeout for each batch.
            while self.send_batch().await == Batch::Sent {}
        }
        let lost = std::mem::take(&mut *self.waiting.lock()).len();
        if lost > 0 {
            let alertmanager = &self.url;
            self.metrics.dropped.add(lost as u64);
            tracing::warn!(alertmanager, lost, "alerts were waiting at the end and are dropped");
        }
        self.sending.metrics.forget(&self.url);
    }

    /// Sends what waits, at most a batch.
    async fn send_batch(&self) -> Batch {
        let batch: Vec<Arc<Notification>> = {
            let mut waiting = self.waiting.lock();
            let count = waiting.len().min(self.sending.options.max_batch_size.max(1));
            let batch = waiting.drain(..count).collect();
            self.metrics.queue_length.set(waiting.len() as f64);
            batch
        };
        if batch.is_empty() {
            return Batch::Empty;
        }
        let (count, began) = (batch.len() as u64, self.sending.clock.monotonic());
        match self.post(&batch).await {
            Ok(()) => {
                let took = self.sending.clock.monotonic().saturating_sub(began).as_secs_f64();
                self.metrics.latency.observe(took);
                self.metrics.latency_histogram.observe(took);
                self.metrics.sent.add(count);
                Batch::Sent
            }
            Err(problem) => {
                // They are told again when their rule is evaluated, as long as that is of use.
                tracing::error!(alertmanager = self.url, count, problem, "error sending alerts");
                self.metrics.errors.add(count);
                self.metrics.dropped.add(count);
                Batch::Failed
            }
        }
    }

    async fn post(&self, batch: &[Arc<Notification>]) -> Result<(), String> {
        let agent = HeaderValue::from_static(concat!("Bartizan/", env!("CARGO_PKG_VERSION")));
        let request = Request::new(Method::POST, &self.url, self.sending.timeout)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, agent)
            .body(wire::payload(batch));
        let mut response = self.sending.client.send(request).await.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let read = response.read_body(&mut answer, MAX_ANSWER_BYTES).await;
        if !response.status().is_success() {
            let told = String::from_utf8_lossy(&answer).trim().chars().take(200).collect::<String>();
            return Err(format!("bad response status {}: {told}", response.status_line()));
        }
        // It was taken; what else was said does not matter.
        drop(read);
        Ok(())
    }
}
