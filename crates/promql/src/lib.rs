//! PromQL: lexer, parser, planner and vectorised engine. No I/O.

pub mod engine;
