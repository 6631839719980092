//! PromQL: lexer, parser, planner and vectorised engine. No I/O.

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
