//! Where objects of logs are kept: in a folder, or in a bucket of a cloud.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use base::clock::SharedClock;
use base::metrics::Registry;
use blob::retry::RetryOptions;
use blob::{LocalBucket, MeteredBucket, RemoteBucket, RemoteOptions, RetryingBucket, SharedBucket};

/// Where objects are.
#[derive(Debug, Clone)]
pub enum BucketPlace {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of S3, Azure or Google.
    Remote(Box<RemoteOptions>),
}

impl BucketPlace {
    /// The bucket. Must be called within a tokio runtime, which drives connections.
    pub fn open(&self, clock: SharedClock, registry: &Registry) -> anyhow::Result<SharedBucket> {
        let bucket = self.open_plain(clock.clone())?;
        Ok(Arc::new(MeteredBucket::new(bucket, registry, &clock)))
    }

    fn open_plain(&self, clock: SharedClock) -> anyhow::Result<SharedBucket> {
        match self {
            Self::Folder(path) => {
                let bucket =
                    LocalBucket::open(path).with_context(|| format!("opening {}", path.display()))?;
                Ok(Arc::new(bucket))
            }
            Self::Remote(options) => {
                let runtime = tokio::runtime::Handle::current();
                let bucket = RemoteBucket::open(options, clock, runtime);
                let bucket = bucket.with_context(|| format!("the bucket {}", options.url))?;
                Ok(Arc::new(RetryingBucket::new(Arc::new(bucket), RetryOptions::default())))
            }
        }
    }

    /// Whether others can reach it.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Remote(options) => f.write_str(&options.url),
        }
    }
}
