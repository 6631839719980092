//! Scripted query tests, and what tests of several crates need.
//!
//! It knows query languages and the traits storage engines implement, but no storage engine: scripts
//! run on whatever the caller opens. In reading order: [`promql`] (the script language of PromQL
//! tests and its runner), [`memory`] (a simple storage in memory), [`conformance`] (where reference
//! data lies), [`s3`] and [`azure`] (real servers of objects), [`gcs`] (one as it is documented),
//! [`seeds`] (inputs of fuzzing).

pub mod azure;
pub mod conformance;
pub mod gcs;
pub mod logs;
pub mod memory;
pub mod promql;
pub mod s3;
pub mod seeds;
