//! Where entries go, and going on until they are there.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use wire::loki::PushRequest;

/// The first pause before a batch is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Stores entries.
pub trait LogSink: Send + Sync {
    /// Stores a batch; when this returns without an error, it is durable. The same entry stored twice is one. Blocks.
    fn push(&self, request: PushRequest) -> Result<(), SinkProblem>;
}

/// Why a batch was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkProblem {
    /// Nothing of it is stored; it should be tried again.
    Later {
        /// Why.
        text: String,
        /// How soon, where the store says so.
        after: Option<Duration>,
    },
    /// Some of it is refused for good, and the rest is stored.
    Refused(String),
}

/// Tells threads to look again, or to end.
#[derive(Debug, Clone, Default)]
pub struct Signal(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    is_woken: bool,
    is_stopped: bool,
}

impl Signal {
    /// There may be something to read.
    pub fn wake(&self) {
        self.0.0.lock().is_woken = true;
        self.0.1.notify_all();
    }

    /// End.
    pub fn stop(&self) {
        self.0.0.lock().is_stopped = true;
        self.0.1.notify_all();
    }

    /// Whether to end.
    pub fn is_stopped(&self) -> bool {
        self.0.0.lock().is_stopped
    }

    /// Waits until woken, stopped, or so long.
    pub fn wait(&self, longest: Duration) {
        let mut state = self.0.0.lock();
        if !state.is_woken && !state.is_stopped {
            self.0.1.wait_for(&mut state, longest);
        }
        state.is_woken = false;
    }

    /// Waits so long, unless it is time to end.
    pub fn pause(&self, pause: Duration) {
        let mut state = self.0.0.lock();
        if !state.is_stopped {
            self.0.1.wait_while_for(&mut state, |state| !state.is_stopped, pause);
        }
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// All of it is stored.
    Whole,
    /// Some of it is refused for good.
    Partly(String),
    /// It is time to end, and nobody knows whether it is stored.
    Unknown,
}

/// Hands over a batch, again and again until it is stored or `signal` says to end. Meanwhile nothing is read.
pub fn deliver(sink: &dyn LogSink, request: &PushRequest, signal: &Signal) -> Delivered {
    let mut pause = FIRST_PAUSE;
    loop {
        match sink.push(request.clone()) {
            Ok(()) => return Delivered::Whole,
            Err(SinkProblem::Refused(text)) => return Delivered::Partly(text),
            Err(SinkProblem::Later { text, after }) => {
                tracing::warn!(error = text, retry_after = ?after.unwrap_or(pause), "logs of this host are not stored yet");
                signal.pause(after.unwrap_or(pause).min(LONGEST_PAUSE));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        if signal.is_stopped() {
            return Delivered::Unknown;
        }
    }
}
