//! What one query may use, and whether it may go on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::budget::{BudgetExceeded, Reservation};
use base::clock::SharedClock;
use base::{ByteBudget, CancelFlag};

use crate::source::TenantId;

/// How many warnings a query collects.
const MAX_WARNINGS: usize = 100;

/// Deadline, cancellation, sample limit, byte budget and tenant of one query; passed by reference to
/// every storage read. Safe to use from many threads.
#[derive(Clone)]
pub struct QueryContext {
    /// Whose data is read.
    pub tenant: TenantId,
    /// Raised when the client goes away.
    pub cancel: CancelFlag,
    /// Memory the query may hold.
    pub budget: ByteBudget,
    /// What it has read so far; clones count in the same place.
    pub progress: Arc<QueryProgress>,
    clock: SharedClock,
    deadline: Option<Duration>,
    timeout: Duration,
    warnings: Arc<Mutex<BTreeSet<String>>>,
}

/// What a query has read so far, for those who watch it from outside. It counts on when a query is tried again.
#[derive(Debug, Default)]
pub struct QueryProgress {
    samples: AtomicU64,
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl QueryProgress {
    /// Samples were read.
    pub fn add_samples(&self, samples: u64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    /// Lines of logs were looked at, which have so many bytes with their metadata.
    pub fn add_lines(&self, lines: u64, bytes: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Samples that were read.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Lines of logs that were looked at.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// The bytes of these lines, with those of their metadata.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Why a query may not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryStop {
    /// The deadline passed.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The client went away.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// A byte budget is used up.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
}

impl QueryContext {
    /// A context of the default tenant that ends `timeout` from now.
    pub fn new(clock: SharedClock, timeout: Duration, budget: ByteBudget) -> Self {
        let deadline = Some(clock.monotonic() + timeout);
        Self { budget, deadline, timeout, clock, ..Self::unbounded() }
    }

    /// A context without deadline or limits: for tests, and for work bounded elsewhere.
    pub fn unbounded() -> Self {
        Self {
            tenant: TenantId::default(),
            cancel: CancelFlag::new(),
            budget: ByteBudget::unlimited(),
            progress: Arc::default(),
            clock: base::SystemClock::shared(),
            deadline: None,
            timeout: Duration::MAX,
            warnings: Arc::default(),
        }
    }

    /// Tells whoever asked that something is missing from the answer, and why.
    pub fn warn(&self, warning: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < MAX_WARNINGS {
            warnings.insert(warning);
        }
    }

    /// What is to be told with the answer; the next call has only what came after this one.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings).into_iter().collect()
    }

    /// The time the query was given in all.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The clock the deadline is read against.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Fails when the query was canceled or is past its deadline. `stage` names the work for the
    /// message, for example "expression evaluation". Call it once per series, not per sample.
    pub fn check(&self, stage: &'static str) -> Result<(), QueryStop> {
        if self.cancel.is_canceled() {
            return Err(QueryStop::Canceled(stage));
        }
        match self.deadline {
            Some(deadline) if self.clock.monotonic() > deadline => Err(QueryStop::Timeout(stage)),
            _ => Ok(()),
        }
    }

    /// Reserves memory until the guard is dropped.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, QueryStop> {
        Ok(self.budget.reserve(bytes)?)
    }
}

impl std::fmt::Debug for QueryContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryContext").field("tenant", &self.tenant).field("timeout", &self.timeout).finish()
    }
}

/// Counts the samples a query holds at once, as `--query.max-samples` limits them.
#[derive(Debug)]
pub struct SampleLimit {
    left: AtomicI64,
}

impl SampleLimit {
    /// A limit of `max_samples` held at once.
    pub fn new(max_samples: u64) -> Self {
        Self { left: AtomicI64::new(i64::try_from(max_samples).unwrap_or(i64::MAX)) }
    }

    /// Takes `samples`; false when that is more than is left.
    pub fn take(&self, samples: usize) -> bool {
        let samples = i64::try_from(samples).unwrap_or(i64::MAX);
        self.left.fetch_sub(samples, Ordering::Relaxed) >= samples
    }

    /// Gives `samples` back.
    pub fn give_back(&self, samples: usize) {
        self.left.fetch_add(i64::try_from(samples).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}
