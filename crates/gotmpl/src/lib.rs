//! Go's `text/template` and `html/template`: the language alert annotations, notifications and `line_format` are written in.
//!
//! It knows no alerts, logs or HTTP: what a template sees are [`Value`]s, and what it may call beyond the
//! built-in functions is given to it. Templates are bytes in and bytes out, because Go's strings are bytes.
//!
//! In reading order: [`value`] (what templates work on), `lex` and `parse` (text to `node`s), `exec`
//! (nodes to output, within `bounds`), `html` (values escaped for their place in HTML), `functions` (what can be called), `verbs` (`printf`), `escape` (HTML,
//! JavaScript, URLs); then what alert templates of all programs share: [`time`], [`humanize`] and [`library`].

mod bounds;
mod escape;
mod exec;
mod functions;
mod html;
pub mod humanize;
mod lex;
pub mod library;
mod node;
mod parse;
pub mod time;
pub mod value;
mod verbs;

#[cfg(test)]
mod tests;

pub use escape::html_escape;
pub use exec::{ExecError, MissingKey};
pub use functions::{Arguments, Function, Functions, Parameter};
pub use html::{Safe, SafeKind};
pub use parse::{ParseError, Templates};
pub use value::{Key, List, Map, Object, Type, Value};
pub use verbs::{print, sprintf};
