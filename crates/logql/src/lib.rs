//! LogQL: reading queries, and answering them from any [`model::logs::LogSource`].
//!
//! It must not know storage engines, HTTP or configuration files. In reading order: [`ast`], `lex`, [`mod@parse`] and
//! [`mod@format`] (text to tree and back), [`features`] (what there is beyond the reference), [`labels`], `stage` (what each line goes through), [`engine`] (queries of lines,
//! queries of series, and what screens want to know about logs), [`error`], [`text`].

pub mod ast;
mod duration;
pub mod engine;
pub mod error;
pub mod features;
pub mod format;
pub mod labels;
mod lex;
mod parse;
mod stage;
pub mod text;
mod units;

pub use engine::{Direction, Engine, Entry, Limits, LogResult, Streams};
pub use error::{ParseError, QueryError};
pub use features::Features;
pub use parse::{LogQueryError, parse, parse_log, parse_matchers, parse_with};
