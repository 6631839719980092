//! Scripted PromQL tests.
//!
//! A script loads series, evaluates queries and states what they must answer:
//!
//! ```text
//! load 1m
//!   http_requests_total{job="api"} 0+10x5
//!
//! eval instant at 5m rate(http_requests_total[5m])
//!   {job="api"} 0.16666666666666666
//! ```
//!
//! In reading order: [`script`] (the language), `nhcb` (histograms that `load_with_nhcb` derives),
//! [`engine`] and [`storage`] (what a script runs on), `compare` (results against expectations) and
//! [`run`] (the runner).

mod compare;
pub mod engine;
mod nhcb;
pub mod run;
pub mod script;
pub mod storage;

pub use engine::{Outcome, ScriptEngine};
pub use run::{Failure, Report, run_file, run_text, run_text_at};
pub use storage::{OpenStorage, ScriptStorage};
