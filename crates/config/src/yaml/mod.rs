//! YAML as a tree with source positions, and back to text.
//!
//! Typed decoding needs to know where a key stands long after it was parsed (a job is checked against
//! the global section once the whole file is read), whether a scalar was quoted, and what it looked
//! like before anybody decided it was a number. So documents become a tree of [`Node`]s first.

mod emit;
mod node;
mod parse;

pub(crate) use emit::parse_int;
pub use emit::{Out, to_string};
pub use node::{Node, Pos, Scalar, Value};
pub use parse::{Limits, parse, parse_bytes};
