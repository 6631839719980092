//! Rules as others see them: what is told to whom and when, over simulated time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

mod alert_generator;
