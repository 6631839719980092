//! Evaluation of queries.

pub mod value;
