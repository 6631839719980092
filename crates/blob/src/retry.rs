//! Trying again what failed for a reason that may pass.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::bucket::{BlobError, Bucket, Object, ObjectInfo, PutIf, SharedBucket, Upload, Version};

/// How often and how soon to try again.
#[derive(Debug, Clone, Copy)]
pub struct RetryOptions {
    /// Tries in all.
    pub tries: u32,
    /// Wait before the second try; it doubles each time.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self { tries: 4, first_wait: Duration::from_millis(100), longest_wait: Duration::from_secs(2) }
    }
}

/// A bucket that tries again. Conditional puts are not tried again: the first try may have happened, and only the
/// caller can tell its own change from that of someone else.
pub struct RetryingBucket {
    inner: SharedBucket,
    options: RetryOptions,
    wait: Wait,
}

/// Waits, until told to give up.
#[derive(Default)]
struct Wait {
    is_closed: Mutex<bool>,
    closed: Condvar,
}

impl RetryingBucket {
    /// `inner`, tried again.
    pub fn new(inner: SharedBucket, options: RetryOptions) -> Self {
        Self { inner, options, wait: Wait::default() }
    }

    /// Ends waiting: from now on nothing is tried again.
    pub fn close(&self) {
        *self.wait.is_closed.lock() = true;
        self.wait.closed.notify_all();
    }

    fn again<T>(&self, mut attempt: impl FnMut() -> Result<T, BlobError>) -> Result<T, BlobError> {
        let mut wait = self.options.first_wait;
        for _ in 1..self.options.tries {
            match attempt() {
                Err(error) if error.is_transient() => tracing::debug!(%error, "trying again"),
                outcome => return outcome,
            }
            let mut is_closed = self.wait.is_closed.lock();
            if !*is_closed {
                self.wait.closed.wait_for(&mut is_closed, wait);
            }
            if *is_closed {
                break;
            }
            wait = (wait * 2).min(self.options.longest_wait);
        }
        attempt()
    }
}

impl Bucket for RetryingBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        if *condition == PutIf::Always {
            self.again(|| self.inner.put(key, data.clone(), condition))
        } else {
            self.inner.put(key, data, condition)
        }
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        self.again(|| self.inner.upload(key))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        self.again(|| self.inner.get(key, limit_bytes))
    }

    fn get_changed(
        &self,
        key: &str,
        limit_bytes: u64,
        known: &Version,
    ) -> Result<Option<(Bytes, Version)>, BlobError> {
        self.again(|| self.inner.get_changed(key, limit_bytes, known))
    }

    fn settle(&self, key: &str) -> Result<(), BlobError> {
        self.again(|| self.inner.settle(key))
    }

    fn delete_unfinished(&self, before_ms: i64) -> Result<usize, BlobError> {
        self.again(|| self.inner.delete_unfinished(before_ms))
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        let object = self.again(|| self.inner.open(key))?;
        Ok(object)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        self.again(|| self.inner.list(prefix))
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.again(|| self.inner.list_folders(prefix))
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.again(|| self.inner.delete(key))
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
