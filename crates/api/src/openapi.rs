//! The description of the API, made from the table its router is made from: what is not described is not
//! served, and what is described is.
//!
//! In reading order: [`endpoints`] (what there is), [`schemas`] (what is answered), [`document`] (both as
//! an OpenAPI document), [`yaml`] (how it is written).

pub mod document;
pub mod endpoints;
mod schemas;
mod yaml;

use axum::http::Method;

/// The methods of an endpoint. `HEAD` goes wherever `GET` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbs {
    /// `GET`.
    Get,
    /// `GET`, or `POST` with the parameters in a form.
    GetPost,
    /// `POST`.
    Post,
    /// `POST` or `PUT`.
    PostPut,
}

impl Verbs {
    /// The methods.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::Get => &[Method::GET],
            Self::GetPost => &[Method::GET, Method::POST],
            Self::Post => &[Method::POST],
            Self::PostPut => &[Method::POST, Method::PUT],
        }
    }
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Texts: the parameter may be repeated.
    Texts,
    /// Seconds since the Unix epoch, or RFC 3339.
    Time,
    /// Seconds, or `1h30m`.
    Duration,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Flag,
    /// Text that is part of the path.
    Segment,
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether the request is wrong without it.
    pub required: bool,
    /// What it does.
    pub about: &'static str,
}

/// What a request that succeeds is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The envelope around data of the schema of this name.
    Data(&'static str),
    /// As [`Answer::Data`]; 204 if there is nothing to find.
    MaybeData(&'static str),
    /// Nothing: 204.
    Nothing,
    /// Lines of JSON, the last of which says whether there is more.
    Lines,
    /// Server-sent events.
    Events,
    /// A body of this media type for one of this media type.
    Exchange(&'static str, &'static str),
}

/// One path of the API and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The path below `/api/v1`; parts in braces are parameters.
    pub path: &'static str,
    /// The methods.
    pub verbs: Verbs,
    /// The subject it is listed under.
    pub subject: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// What it answers.
    pub answer: Answer,
}
