//! Collecting: the scrape engine that turns targets into samples, and the sources of this host's logs.
//!
//! It must not know storage engines or the API: samples go to a [`model::Appendable`], entries to a
//! [`logs::LogSink`], and what happens is seen through plain views. In reading order: [`scrape`], [`logs`].

pub mod logs;
pub mod scrape;
