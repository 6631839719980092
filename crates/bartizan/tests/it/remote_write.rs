//! What is pushed to the program by remote write, from a real sender and from one that does as it is told.
//!
//! In reading order: [`sender`] (what requests are made of), [`versions`], [`real`], [`crash`], [`hostile`],
//! [`limits`].

mod crash;
mod hostile;
mod limits;
mod real;
pub mod sender;
mod versions;

use std::path::Path;

use crate::faults::server::Home;

/// Nothing is scraped.
const CONFIG: &str = "global:\n  scrape_interval: 1h\n";

/// A home whose server receives remote writes.
fn receiving(dir: &Path, config: &str) -> Home {
    Home::new(dir, config).flag("--web.enable-remote-write-receiver")
}
