//! PromQL: lexer, parser, planner and vectorised engine. No I/O.

pub mod annotations;
pub mod ast;
pub mod engine;
pub mod function_table;
pub mod functions;
