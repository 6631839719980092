//! Object storage: one interface for a local directory, memory and the services of the clouds.
//!
//! It must not know what is stored. Calls block: callers are threads that do work, never the reactor. In reading
//! order: [`bucket`] (the interface and what may be expected of it), [`local`] (a directory, with compare-and-swap by
//! a lock file), [`memory`], [`remote`] (S3, Azure and
//! Google, whose protocols `object_store` speaks through `connector`, over the HTTP client of all), [`retry`] (what to do about failures that pass), [`metered`] (what is counted) and [`fault`] (a bucket that fails as
//! told, for tests).

pub mod bucket;
mod connector;
pub mod fault;
pub mod local;
pub mod memory;
pub mod metered;
pub mod remote;
pub mod retry;

pub use bucket::{BlobError, Bucket, Object, ObjectInfo, PutIf, SharedBucket, Upload, Version};
pub use local::{LocalBucket, create_folders};
pub use memory::MemoryBucket;
pub use metered::MeteredBucket;
pub use remote::{RemoteBucket, RemoteOptions};
pub use retry::RetryingBucket;

#[cfg(test)]
mod tests;
