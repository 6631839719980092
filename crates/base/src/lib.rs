//! What every other crate may use and nothing else: time, limits, error kinds, self-metrics.
//!
//! It must not know metrics engines, HTTP or configuration. In reading order:
//! [`clock`] (time is passed in, never taken), [`error`] (what a caller can do about a failure),
//! [`budget`] (bytes, deadlines, cancellation), [`metrics`] (the counters this process publishes about itself).

pub mod budget;
pub mod clock;
pub mod error;
pub mod metrics;

pub use budget::{ByteBudget, CancelFlag, Reservation};
pub use clock::{Clock, SimClock, SystemClock};
pub use error::ErrorKind;
