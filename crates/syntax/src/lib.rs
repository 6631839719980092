//! What query languages share: places in text, errors that point at them, literals, and the core of
//! an operator-precedence parser.
//!
//! It must not know any one language, labels or engines. In reading order: [`span`],
//! [`diagnostic`] (an error shown under the text it is about), [`literal`] (strings as Go writes
//! them), [`pratt`] (operators of different binding power, and bounded depth).

pub mod diagnostic;
pub mod literal;
pub mod pratt;
pub mod span;

pub use span::{LineColumn, Span};
