//! Many sources of metrics seen as one.
//!
//! It must not know protocols: whatever it joins is a [`model::SeriesSource`]. There is one module so far,
//! [`fanout`]: the own storage first, and what others have beside it.

pub mod fanout;

pub use fanout::FanOut;
