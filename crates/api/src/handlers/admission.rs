//! Which queries and other requests that read may run, and with how much memory.
//!
//! A query waits for a slot, then in turn for a little memory, and takes more as it needs it. When others left it too
//! little it ends, gives all back, and runs once more with memory that is its own from the start, for which
//! it waits in turn. So of many large queries each is answered in time, and only what the limit itself is
//! too small for is refused. Requests for labels and series do the same without a slot.

use std::sync::Arc;
use std::time::Duration;

use base::{ByteBudget, Reservation};
use model::QueryContext;
use promql::engine::QueryError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, ErrorType};

/// What a running query takes beside what it counts: its thread's stack, buffers of single series, and pages the
/// allocator has in use in part or keeps for its thread.
const RUNNING_BYTES: usize = 2 << 20;
/// Of small limits this part.
const RUNNING_PART: usize = 32;
/// How many times what a query lacked at first it gets the second time: it ended before it knew all it needs.
const GUESS: usize = 2;

/// The right to run.
pub(super) struct Admission {
    shared: ByteBudget,
    slot: Option<OwnedSemaphorePermit>,
    held: Reservation,
    /// Bytes that are the query's own, with what it takes beside; `None` when it shares with others.
    own_bytes: Option<usize>,
}

impl Admission {
    /// Waits for a slot, if any is needed, and for the memory of a query that begins.
    pub async fn wait(
        slots: Option<Arc<Semaphore>>,
        shared: &ByteBudget,
        within: Duration,
    ) -> Result<Self, ApiError> {
        let bytes = running_bytes(shared);
        let waiting = async {
            let slot = match slots {
                None => None,
                Some(slots) => Some(slots.acquire_owned().await.map_err(|_| closed())?),
            };
            let held = shared.reserve_in_turn(bytes).await.map_err(QueryError::from)?;
            Ok(Self { shared: shared.clone(), slot, held, own_bytes: None })
        };
        timeout(within, waiting).await
    }

    /// The budget of the query that runs.
    pub fn budget(&self) -> ByteBudget {
        let limit_bytes = self.shared.limit_bytes();
        match self.own_bytes {
            None => self.shared.child("query.max-memory", limit_bytes),
            // Nobody else has any of the whole.
            Some(own_bytes) if own_bytes == limit_bytes => ByteBudget::new("query.max-memory", limit_bytes),
            Some(own_bytes) => ByteBudget::new("query.max-memory", own_bytes - running_bytes(&self.shared)),
        }
    }

    /// Whether a query that ended for want of memory in `budget` may succeed with more; if so the bytes to try
    /// with. What is larger than the limit alone is not tried again.
    pub fn more_bytes(&self, budget: &ByteBudget) -> Option<usize> {
        let limit_bytes = self.shared.limit_bytes();
        match self.own_bytes {
            Some(own_bytes) => (own_bytes < limit_bytes).then_some(limit_bytes),
            None => {
                let lacked_bytes = budget.lacked_bytes();
                let guess = lacked_bytes.saturating_mul(GUESS).saturating_add(running_bytes(&self.shared));
                (lacked_bytes > 0).then_some(guess.min(limit_bytes))
            }
        }
    }

    /// Gives back what is held and waits for `bytes` of the query's own.
    pub async fn wait_for_own(self, bytes: usize, within: Duration) -> Result<Self, ApiError> {
        let Self { shared, slot, held, .. } = self;
        drop(held);
        let waiting = async {
            let held = shared.reserve_in_turn(bytes).await.map_err(QueryError::from)?;
            Ok(Self { shared: shared.clone(), slot, held, own_bytes: Some(bytes) })
        };
        timeout(within, waiting).await
    }

    /// Lets the next query run, while this one holds what it has in `budget` to answer.
    pub fn into_held(mut self, budget: &ByteBudget) -> Reservation {
        if self.own_bytes.is_some() {
            self.held.shrink_to(budget.used_bytes());
        }
        self.held
    }
}

fn running_bytes(shared: &ByteBudget) -> usize {
    RUNNING_BYTES.min(shared.limit_bytes() / RUNNING_PART)
}

fn closed() -> ApiError {
    ApiError::new(ErrorType::Canceled, "query was canceled in query queue")
}

async fn timeout<T>(
    within: Duration,
    waiting: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let late = |_| ApiError::new(ErrorType::Timeout, "query timed out in query queue");
    tokio::time::timeout(within, waiting).await.map_err(late)?
}

/// What is left of the query's time since it was asked at `asked`.
pub(super) fn time_left(ctx: &QueryContext, asked: Duration) -> Duration {
    ctx.timeout().saturating_sub(ctx.clock().monotonic().saturating_sub(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_BYTES: usize = 64 << 20;
    const LONG: Duration = Duration::from_secs(600);

    async fn admit(shared: &ByteBudget) -> Admission {
        Admission::wait(Some(Arc::new(Semaphore::new(1))), shared, LONG).await.unwrap()
    }

    #[tokio::test]
    async fn a_query_others_left_too_little_gets_memory_of_its_own() {
        let shared = ByteBudget::new("query.max-memory", LIMIT_BYTES);
        let others = shared.reserve(48 << 20).unwrap();
        let admission = admit(&shared).await;
        let budget = admission.budget();
        assert_eq!(admission.more_bytes(&budget), None, "nothing was refused");
        let held = budget.reserve(10 << 20).unwrap();
        assert!(budget.reserve(10 << 20).is_err());
        assert_eq!(admission.more_bytes(&budget), Some(42 << 20));
        drop(held);
        let (admission, ()) = tokio::join!(admission.wait_for_own(42 << 20, LONG), async { drop(others) });
        let admission = admission.unwrap();
        assert_eq!(shared.used_bytes(), 42 << 20);
        let budget = admission.budget();
        assert!(budget.reserve(41 << 20).is_err());
        assert_eq!(admission.more_bytes(&budget), Some(LIMIT_BYTES));
        let admission = admission.wait_for_own(LIMIT_BYTES, LONG).await.unwrap();
        let budget = admission.budget();
        let held = budget.reserve(50 << 20).unwrap();
        assert!(budget.reserve(50 << 20).is_err());
        assert_eq!(admission.more_bytes(&budget), None, "it had all there is");
        let kept = admission.into_held(&budget);
        assert_eq!(shared.used_bytes(), 50 << 20);
        drop((held, kept));
        assert_eq!(shared.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_query_that_is_too_large_alone_is_not_tried_again() {
        let shared = ByteBudget::new("query.max-memory", LIMIT_BYTES);
        let admission = admit(&shared).await;
        let budget = admission.budget();
        let held = budget.reserve(LIMIT_BYTES / 2).unwrap();
        assert!(budget.reserve(LIMIT_BYTES / 2 + 1).is_err());
        assert_eq!(admission.more_bytes(&budget), None);
        // What fits in the whole is.
        assert!(budget.reserve(LIMIT_BYTES / 2).is_err());
        assert_eq!(admission.more_bytes(&budget), Some(LIMIT_BYTES));
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_time_of_the_query() {
        let shared = ByteBudget::new("query.max-memory", LIMIT_BYTES);
        let all = shared.reserve(LIMIT_BYTES).unwrap();
        let slots = Arc::new(Semaphore::new(1));
        let refused = Admission::wait(Some(slots.clone()), &shared, LONG).await.err().unwrap();
        assert_eq!(refused.error_type, ErrorType::Timeout);
        drop(all);
        let admission = Admission::wait(Some(slots.clone()), &shared, LONG).await.unwrap();
        assert_eq!((shared.used_bytes(), slots.available_permits()), (RUNNING_BYTES, 0));
        drop(admission);
        assert_eq!((shared.used_bytes(), slots.available_permits()), (0, 1));
    }
}
