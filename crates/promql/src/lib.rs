//! PromQL: lexer, parser, planner and vectorised engine. No I/O.
//!
//! It must not know storage engines, HTTP or configuration: series come in through
//! [`model::SeriesSource`]. In reading order: [`ast`], [`function_table`], `token` and `lexer`, [`parser`],
//! [`check`] (types), [`durations`] (durations written as expressions), [`printer`], [`functions`] (the
//! kernels), [`annotations`] (what a query tells besides its result) and [`engine`].

pub mod annotations;
pub mod ast;
pub mod check;
pub mod durations;
pub mod engine;
pub mod function_table;
pub mod functions;
mod lexer;
pub mod parser;
pub mod printer;
mod token;
