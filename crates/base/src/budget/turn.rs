//! Waiting for bytes of a budget, first come, first served.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{BudgetExceeded, ByteBudget, Reservation};

/// Those who wait for bytes of one budget.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    /// Length of the queue, to be seen without the lock.
    len: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    next_ticket: u64,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    bytes: usize,
    waker: Waker,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who is first if `free_bytes` are enough for it. Call it after bytes were given back.
    pub fn wake(&self, free_bytes: impl FnOnce() -> usize) {
        // Whoever waits has put itself in the queue before it looked at what is free: either it saw the bytes that
        // were given back, or it is seen here.
        fence(Ordering::SeqCst);
        if self.len.load(Ordering::Relaxed) > 0 {
            wake_first(&self.lock(), free_bytes());
        }
    }
}

fn wake_first(queue: &Queue, free_bytes: usize) {
    if let Some(first) = queue.waiters.front().filter(|first| first.bytes <= free_bytes) {
        first.waker.wake_by_ref();
    }
}

impl ByteBudget {
    /// Reserves `bytes` as soon as they are free and all who asked before have theirs. Fails at once when that
    /// is more than the limit. The budget must not have a parent: nobody would tell of bytes given back there.
    ///
    /// [`ByteBudget::reserve`] does not queue, so that those who hold bytes already can go on and finish.
    pub fn reserve_in_turn(&self, bytes: usize) -> InTurn {
        debug_assert!(self.inner.parent.is_none(), "waits on the budget that is shared");
        InTurn { budget: self.clone(), bytes, ticket: None }
    }
}

/// What [`ByteBudget::reserve_in_turn`] returns; dropping it leaves the queue.
#[derive(Debug)]
pub struct InTurn {
    budget: ByteBudget,
    bytes: usize,
    ticket: Option<u64>,
}

impl InTurn {
    fn leave(&mut self, queue: &mut Queue) {
        let waiting = &self.budget.inner.waiting;
        if let Some(ticket) = self.ticket.take() {
            queue.waiters.retain(|waiter| waiter.ticket != ticket);
            waiting.len.store(queue.waiters.len(), Ordering::Relaxed);
            wake_first(queue, self.budget.free_bytes());
        }
    }
}

impl Future for InTurn {
    type Output = Result<Reservation, BudgetExceeded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (budget, bytes) = (self.budget.clone(), self.bytes);
        let waiting = &budget.inner.waiting;
        let mut queue = waiting.lock();
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => {
                let ticket = queue.next_ticket;
                queue.next_ticket += 1;
                queue.waiters.push_back(Waiter { ticket, bytes, waker: cx.waker().clone() });
                waiting.len.store(queue.waiters.len(), Ordering::Relaxed);
                *self.ticket.insert(ticket)
            }
        };
        fence(Ordering::SeqCst);
        let is_first = queue.waiters.front().is_some_and(|first| first.ticket == ticket);
        if is_first || bytes > budget.limit_bytes() {
            let outcome = budget.reserve(bytes);
            if outcome.is_ok() || bytes > budget.limit_bytes() {
                self.leave(&mut queue);
                return Poll::Ready(outcome);
            }
        }
        if let Some(waiter) = queue.waiters.iter_mut().find(|waiter| waiter.ticket == ticket) {
            waiter.waker.clone_from(cx.waker());
        }
        Poll::Pending
    }
}

impl Drop for InTurn {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let budget = self.budget.clone();
            self.leave(&mut budget.inner.waiting.lock());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        fn poll(self: &Arc<Self>, turn: &mut InTurn) -> Poll<Result<Reservation, BudgetExceeded>> {
            Pin::new(turn).poll(&mut Context::from_waker(&Waker::from(self.clone())))
        }

        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn who_waits_is_served_in_order_and_woken_when_there_is_enough() {
        let budget = ByteBudget::new("b", 100);
        let (first, second) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (a, b) = (budget.reserve(50).unwrap(), budget.reserve(30).unwrap());
        let (mut large, mut small) = (budget.reserve_in_turn(60), budget.reserve_in_turn(10));
        assert!(first.poll(&mut large).is_pending());
        assert!(second.poll(&mut small).is_pending(), "there is room, but another one was first");
        // Who holds bytes may take more.
        let c = budget.reserve(5).unwrap();
        drop(b);
        assert_eq!((first.times(), second.times()), (0, 0));
        drop(a);
        assert_eq!((first.times(), second.times()), (1, 0));
        let Poll::Ready(Ok(held)) = first.poll(&mut large) else { panic!("there was room") };
        assert_eq!((held.bytes(), second.times()), (60, 1));
        assert!(matches!(second.poll(&mut small), Poll::Ready(Ok(held)) if held.bytes() == 10));
        drop((c, held));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn who_gives_up_makes_room_for_the_next() {
        let budget = ByteBudget::new("b", 100);
        let (first, second) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let held = budget.reserve(50).unwrap();
        let (mut large, mut small) = (budget.reserve_in_turn(60), budget.reserve_in_turn(10));
        assert!(first.poll(&mut large).is_pending());
        assert!(second.poll(&mut small).is_pending());
        drop(large);
        assert_eq!(second.times(), 1);
        assert!(matches!(second.poll(&mut small), Poll::Ready(Ok(_))));
        assert!(matches!(first.poll(&mut budget.reserve_in_turn(101)), Poll::Ready(Err(_))));
        drop(held);
        assert_eq!(budget.used_bytes(), 0);
    }
}
