//! Bounds on what one piece of work may use: bytes, and its right to go on.

mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use turn::InTurn;
use turn::Waiting;

/// A pool of bytes that pieces of work reserve from. Clones share the pool.
///
/// A budget may have a parent (a query's own limit inside the process-wide cap); a reservation is
/// taken from both or from neither.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    inner: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    name: &'static str,
    limit_bytes: usize,
    used_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
    lacked_bytes: AtomicUsize,
    waiting: Waiting,
    parent: Option<ByteBudget>,
}

/// A reservation would exceed the budget `name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: limit of {limit_bytes} bytes exceeded ({used_bytes} in use, {wanted_bytes} more wanted)")]
pub struct BudgetExceeded {
    /// The configuration name of the limit.
    pub name: &'static str,
    /// The limit.
    pub limit_bytes: usize,
    /// Bytes reserved at the time.
    pub used_bytes: usize,
    /// Bytes that were asked for on top.
    pub wanted_bytes: usize,
}

impl ByteBudget {
    /// A budget of `limit_bytes`, named as its setting is so that errors tell what to change.
    pub fn new(name: &'static str, limit_bytes: usize) -> Self {
        Self::inside(name, limit_bytes, None)
    }

    /// A budget without a limit, for tests and for work bounded elsewhere.
    pub fn unlimited() -> Self {
        Self::new("unlimited", usize::MAX)
    }

    /// A budget inside this one.
    pub fn child(&self, name: &'static str, limit_bytes: usize) -> Self {
        Self::inside(name, limit_bytes, Some(self.clone()))
    }

    fn inside(name: &'static str, limit_bytes: usize, parent: Option<Self>) -> Self {
        let (used_bytes, peak_bytes, lacked_bytes, waiting) = Default::default();
        let pool = Pool { name, limit_bytes, used_bytes, peak_bytes, lacked_bytes, waiting, parent };
        Self { inner: Arc::new(pool) }
    }

    /// The most bytes that were ever reserved at once.
    pub fn peak_bytes(&self) -> usize {
        self.inner.peak_bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that were wanted in all, within the limit, while others left too few of them in the parent;
    /// 0 when that never was so.
    pub fn lacked_bytes(&self) -> usize {
        self.inner.lacked_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that can be reserved now.
    pub fn free_bytes(&self) -> usize {
        self.limit_bytes().saturating_sub(self.used_bytes())
    }

    /// Bytes reserved now.
    pub fn used_bytes(&self) -> usize {
        self.inner.used_bytes.load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn limit_bytes(&self) -> usize {
        self.inner.limit_bytes
    }

    /// Reserves `bytes` until the returned guard is dropped.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, BudgetExceeded> {
        self.take(bytes)?;
        Ok(Reservation { budget: self.clone(), bytes })
    }

    fn take(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        let pool = &*self.inner;
        let fits = |used: usize| used.checked_add(bytes).filter(|&total| total <= pool.limit_bytes);
        if let Err(used_bytes) = pool.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            let (name, limit_bytes) = (pool.name, pool.limit_bytes);
            return Err(BudgetExceeded { name, limit_bytes, used_bytes, wanted_bytes: bytes });
        }
        if let Some(parent) = &pool.parent
            && let Err(exceeded) = parent.take(bytes)
        {
            let wanted_in_all = pool.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
            pool.lacked_bytes.fetch_max(wanted_in_all, Ordering::Relaxed);
            return Err(exceeded);
        }
        pool.peak_bytes.fetch_max(pool.used_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.inner.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        match &self.inner.parent {
            Some(parent) => parent.give_back(bytes),
            None => self.inner.waiting.wake(|| self.free_bytes()),
        }
    }
}

/// Reserved bytes; dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Reservation {
    /// Reserves `more` bytes on top.
    pub fn grow(&mut self, more: usize) -> Result<(), BudgetExceeded> {
        self.budget.take(more)?;
        self.bytes += more;
        Ok(())
    }

    /// Takes over what `other` holds of the same budget.
    pub fn absorb(&mut self, mut other: Reservation) {
        debug_assert!(Arc::ptr_eq(&self.budget.inner, &other.budget.inner), "two budgets");
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(surplus) = self.bytes.checked_sub(bytes) {
            self.budget.give_back(surplus);
            self.bytes = bytes;
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Tells running work to stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the flag was raised.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_takes_from_both_pools_or_from_neither() {
        let process = ByteBudget::new("process", 100);
        let query = process.child("query", 80);
        let other = process.child("query", 80);
        let held = query.reserve(60).unwrap();
        let refused = other.reserve(50).unwrap_err();
        assert_eq!(refused.name, "process");
        assert_eq!((query.lacked_bytes(), other.lacked_bytes()), (0, 50));
        assert_eq!(other.used_bytes(), 0);
        drop(held);
        assert_eq!(process.used_bytes(), 0);
        let mut first = query.reserve(10).unwrap();
        first.absorb(query.reserve(5).unwrap());
        assert_eq!((first.bytes(), process.used_bytes()), (15, 15));
        drop(first);
        assert_eq!(process.used_bytes(), 0);
        assert_eq!(query.reserve(81).unwrap_err().name, "query");
        assert_eq!(query.lacked_bytes(), 0);
    }
}
