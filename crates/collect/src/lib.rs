//! Collecting: the scrape engine that turns targets into samples.
//!
//! It must not know storage engines or the API: samples go to a [`model::Appendable`], and what happens is
//! seen through plain views. Everything is in [`scrape`].

pub mod scrape;
