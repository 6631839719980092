//! Alerts as they are received.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Alertmanager;
use crate::alert::{Alert, after};
use crate::annotations::Annotations;

/// Alerts taken at once: others who want the lock do not wait for a whole large request.
const AT_ONCE: usize = 1024;

/// An alert as it is received: what is not said is filled in.
#[derive(Debug, Clone, Default)]
pub struct PostedAlert {
    /// What it is known by.
    pub labels: model::Labels,
    /// What is said about it.
    pub annotations: Annotations,
    /// Since when it fires.
    pub starts_at: Option<Timestamp>,
    /// When it was, or will be, resolved.
    pub ends_at: Option<Timestamp>,
    /// Where it comes from.
    pub generator_url: Arc<str>,
}

/// Why some alerts were not taken; the others were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// They make no sense; for each, why.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// There are too many.
    #[error("{refused} alerts were not taken: there are as many as may be (--alerts.max-alerts={limit})")]
    Full {
        /// How many were not taken.
        refused: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl PostedAlert {
    fn complete(self, now: Timestamp, resolve_timeout: Duration) -> Alert {
        Alert {
            starts_at: self.starts_at.or(self.ends_at).unwrap_or(now),
            timeout: self.ends_at.is_none(),
            ends_at: Some(self.ends_at.unwrap_or_else(|| after(now, resolve_timeout))),
            updated_at: now,
            labels: self.labels,
            annotations: self.annotations,
            generator_url: self.generator_url,
            hashes: Default::default(),
        }
    }
}

impl Alertmanager {
    /// Takes alerts as they were received; those that make no sense are left out, and the error tells why. It may
    /// compute for a while.
    pub fn post(&self, alerts: Vec<PostedAlert>) -> Result<(), PostError> {
        let now = self.now();
        let (mut good, mut errors) = (Vec::with_capacity(alerts.len()), Vec::new());
        let resolve_timeout = self.core.lock().resolve_timeout();
        for posted in alerts {
            let alert = posted.complete(now, resolve_timeout);
            self.metrics.received(alert.is_resolved(now));
            match alert.validate(self.options.mode) {
                Ok(()) => {
                    // Worked out here, where nobody waits.
                    alert.log_hash();
                    good.push(alert);
                }
                Err(error) => {
                    self.metrics.invalid();
                    errors.push(error);
                }
            }
        }
        let mut refused = 0;
        let mut good = good.into_iter().peekable();
        while good.peek().is_some() {
            let some: Vec<Alert> = good.by_ref().take(AT_ONCE).collect();
            let begun = self.clock.monotonic();
            refused += self.core.lock().post(some, now);
            let took = self.clock.monotonic().saturating_sub(begun);
            self.metrics.processing.observe(took.as_secs_f64());
        }
        self.wake.notify_one();
        if !errors.is_empty() {
            return Err(PostError::Invalid(errors));
        }
        match refused {
            0 => Ok(()),
            refused => {
                let limit = self.options.max_alerts;
                tracing::error!(refused, "too many alerts (--alerts.max-alerts={limit}): some are not taken");
                Err(PostError::Full { refused, limit })
            }
        }
    }
}
