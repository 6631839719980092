//! How many pieces of work run at a time: the others wait, not too many of them and not too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for work.
pub(super) struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// Why it is nobody's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are too many others.
    TooManyWait,
    /// It took too long.
    Timeout,
}

/// One of those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub fn new(places: usize, max_waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Self { places, waiting: AtomicUsize::new(0), max_waiting }
    }

    /// A place, which is given back when it is dropped.
    pub async fn turn(&self, patience: Duration) -> Result<OwnedSemaphorePermit, Refused> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.max_waiting {
            return Err(Refused::TooManyWait);
        }
        let place = tokio::time::timeout(patience, Arc::clone(&self.places).acquire_owned()).await;
        // The semaphore is never closed.
        place.ok().and_then(Result::ok).ok_or(Refused::Timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn some_work_some_wait_and_the_rest_is_refused() {
        let admission = Admission::new(1, 1);
        let first = admission.turn(Duration::from_secs(60)).await.unwrap();
        let second = admission.turn(Duration::from_secs(60));
        tokio::pin!(second);
        assert!(futures_now(second.as_mut()).await.is_none());
        assert_eq!(admission.turn(Duration::from_secs(60)).await.unwrap_err(), Refused::TooManyWait);
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
        let held = admission.turn(Duration::ZERO).await.unwrap();
        assert_eq!(admission.turn(Duration::ZERO).await.unwrap_err(), Refused::Timeout);
        drop(held);
    }

    /// What a future has now, if anything.
    async fn futures_now<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(cx) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
