//! Messages for the operator: what holds now, and what changes, for those who listen.

use std::sync::Arc;

use base::clock::SharedClock;
use base::metrics::{Counter, Gauge, Registry};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

/// Changes that wait for a slow listener; it misses older ones.
const CHANGES_WAITING: usize = 16;

/// A message for the operator.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Notification {
    /// What happened.
    pub text: String,
    /// When, as RFC 3339.
    pub date: String,
    /// Whether it still holds.
    pub active: bool,
}

/// The messages that hold, and those who listen for more.
pub struct NotificationBoard {
    clock: SharedClock,
    inner: Mutex<Inner>,
    listeners: Arc<Semaphore>,
    listening: Gauge,
    sent: Counter,
    dropped: Counter,
}

struct Inner {
    held: Vec<Notification>,
    /// `None` once the process ends.
    changes: Option<broadcast::Sender<Notification>>,
}

impl NotificationBoard {
    /// A board without messages that at most `max_listeners` listen to at once.
    pub fn new(clock: SharedClock, max_listeners: usize, registry: &Registry) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_WAITING);
        Self {
            clock,
            inner: Mutex::new(Inner { held: Vec::new(), changes: Some(changes) }),
            listeners: Arc::new(Semaphore::new(max_listeners.min(Semaphore::MAX_PERMITS))),
            listening: registry.gauge(
                "prometheus_api_notification_active_subscribers",
                "The current number of active notification subscribers.",
                &[],
            ),
            sent: registry.counter(
                "prometheus_api_notification_updates_sent_total",
                "Total number of notification updates sent.",
                &[],
            ),
            dropped: registry.counter(
                "prometheus_api_notification_updates_dropped_total",
                "Total number of notification updates dropped.",
                &[],
            ),
        }
    }

    /// What `text` says holds from now on. Said again, it is newer.
    pub fn post(&self, text: &str) {
        let date = crate::handlers::status::rfc3339(self.clock.now_ms());
        let note = Notification { text: text.to_owned(), date, active: true };
        let mut inner = self.inner.lock();
        match inner.held.iter_mut().find(|held| held.text == text) {
            Some(held) => held.date.clone_from(&note.date),
            None => inner.held.push(note.clone()),
        }
        self.tell(&inner, note);
    }

    /// What `text` says holds no longer.
    pub fn withdraw(&self, text: &str) {
        let mut inner = self.inner.lock();
        let Some(at) = inner.held.iter().position(|held| held.text == text) else { return };
        let gone = Notification { active: false, ..inner.held.remove(at) };
        self.tell(&inner, gone);
    }

    fn tell(&self, inner: &Inner, change: Notification) {
        if let Some(changes) = &inner.changes {
            // That nobody listens is no failure.
            self.sent.add(changes.send(change).unwrap_or(0) as u64);
        }
    }

    /// What holds now, oldest first.
    pub fn held(&self) -> Vec<Notification> {
        self.inner.lock().held.clone()
    }

    /// Begins to listen; `None` if too many do already, or the process ends.
    pub fn listen(self: &Arc<Self>) -> Option<Listener> {
        let permit = self.listeners.clone().try_acquire_owned().ok()?;
        let inner = self.inner.lock();
        let changes = inner.changes.as_ref()?.subscribe();
        self.listening.add(1.0);
        let backlog = inner.held.clone().into_iter();
        Some(Listener { board: self.clone(), backlog, changes, _permit: permit })
    }

    /// Ends all listening, now and later: connections that wait would keep the process from ending.
    pub fn close(&self) {
        self.inner.lock().changes = None;
    }
}

/// Hears what holds, then every change.
pub struct Listener {
    board: Arc<NotificationBoard>,
    backlog: std::vec::IntoIter<Notification>,
    changes: broadcast::Receiver<Notification>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The next message; `None` once there will be no more.
    pub async fn next(&mut self) -> Option<Notification> {
        if let Some(held) = self.backlog.next() {
            return Some(held);
        }
        loop {
            match self.changes.recv().await {
                Ok(change) => return Some(change),
                Err(broadcast::error::RecvError::Lagged(missed)) => self.board.dropped.add(missed),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.board.listening.add(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use base::SimClock;

    use super::*;

    #[tokio::test]
    async fn listeners_hear_what_holds_and_what_changes() {
        let board = Arc::new(NotificationBoard::new(SimClock::at(0), 1, &Registry::new()));
        board.post("a");
        board.post("b");
        board.withdraw("a");
        board.withdraw("never said");
        let texts = |notes: Vec<Notification>| notes.into_iter().map(|note| note.text).collect::<Vec<_>>();
        assert_eq!(texts(board.held()), ["b"]);

        let mut listener = board.listen().unwrap();
        assert!(board.listen().is_none(), "one at a time");
        board.post("c");
        board.withdraw("b");
        let mut heard = Vec::new();
        for _ in 0..3 {
            let note = listener.next().await.unwrap();
            heard.push((note.text, note.active));
        }
        assert_eq!(heard, [("b".to_owned(), true), ("c".to_owned(), true), ("b".to_owned(), false)]);

        for _ in 0..2 * CHANGES_WAITING {
            board.post("c");
        }
        board.close();
        let mut left = 0;
        while listener.next().await.is_some() {
            left += 1;
        }
        assert_eq!((left, board.dropped.get()), (CHANGES_WAITING, CHANGES_WAITING as u64));
        drop(listener);
        assert_eq!(board.listening.get(), 0.0);
        assert!(board.listen().is_none(), "it is closed");
    }
}
