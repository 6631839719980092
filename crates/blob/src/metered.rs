//! A bucket whose operations are counted and timed, under the names dashboards of log stores know.

use std::ops::Range;
use std::sync::Arc;

use base::clock::SharedClock;
use base::metrics::{Counter, Histogram, Registry};
use bytes::Bytes;

use crate::bucket::{BlobError, Bucket, Object, ObjectInfo, PutIf, SharedBucket, Upload, Version};

/// Bounds of durations, in seconds.
const BOUNDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 60.0];

/// What is counted of one operation.
#[derive(Clone)]
struct Operation {
    count: Counter,
    failures: Counter,
    seconds: Histogram,
    clock: SharedClock,
}

impl Operation {
    fn new(name: &str, registry: &Registry, clock: &SharedClock) -> Self {
        let labels = [("operation", name)];
        let help = "Total number of all attempted operations against a bucket.";
        let count = registry.counter("loki_objstore_bucket_operations_total", help, &labels);
        let help = "Total number of operations against a bucket that failed, but were not expected to fail in certain way from caller perspective.";
        let failures = registry.counter("loki_objstore_bucket_operation_failures_total", help, &labels);
        let help = "Duration of successful operations against the bucket per operation.";
        let name = "loki_objstore_bucket_operation_duration_seconds";
        let seconds = registry.histogram(name, help, &labels, &BOUNDS);
        Self { count, failures, seconds, clock: clock.clone() }
    }

    fn run<T>(&self, work: impl FnOnce() -> Result<T, BlobError>) -> Result<T, BlobError> {
        self.count.inc();
        let began = self.clock.monotonic();
        let outcome = work();
        match &outcome {
            Ok(_) => self.seconds.observe(self.clock.monotonic().saturating_sub(began).as_secs_f64()),
            // What is not there, or was changed by others, is an answer.
            Err(BlobError::NotFound(_) | BlobError::Conflict(_)) => {}
            Err(_) => self.failures.inc(),
        }
        outcome
    }
}

/// A bucket whose operations are counted and timed.
pub struct MeteredBucket {
    inner: SharedBucket,
    get: Operation,
    get_range: Operation,
    attributes: Operation,
    upload: Operation,
    delete: Operation,
    iter: Operation,
}

impl MeteredBucket {
    /// Publishes in `registry` what `inner` is asked.
    pub fn new(inner: SharedBucket, registry: &Registry, clock: &SharedClock) -> Self {
        let operation = |name| Operation::new(name, registry, clock);
        Self {
            get: operation("get"),
            get_range: operation("get_range"),
            attributes: operation("attributes"),
            upload: operation("upload"),
            delete: operation("delete"),
            iter: operation("iter"),
            inner,
        }
    }
}

impl Bucket for MeteredBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        self.upload.run(|| self.inner.put(key, data, condition))
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        let inner = self.inner.upload(key)?;
        Ok(Box::new(MeteredUpload { inner, operation: self.upload.clone() }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        self.get.run(|| self.inner.get(key, limit_bytes))
    }

    fn get_changed(
        &self,
        key: &str,
        limit_bytes: u64,
        known: &Version,
    ) -> Result<Option<(Bytes, Version)>, BlobError> {
        self.get.run(|| self.inner.get_changed(key, limit_bytes, known))
    }

    fn settle(&self, key: &str) -> Result<(), BlobError> {
        self.inner.settle(key)
    }

    fn delete_unfinished(&self, before_ms: i64) -> Result<usize, BlobError> {
        self.inner.delete_unfinished(before_ms)
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        let inner = self.attributes.run(|| self.inner.open(key))?;
        Ok(Arc::new(MeteredObject { inner, operation: self.get_range.clone() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        self.iter.run(|| self.inner.list(prefix))
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.iter.run(|| self.inner.list_folders(prefix))
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.delete.run(|| self.inner.delete(key))
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

struct MeteredObject {
    inner: Arc<dyn Object>,
    operation: Operation,
}

impl Object for MeteredObject {
    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.operation.run(|| self.inner.read(range))
    }
}

/// Counted where it ends.
struct MeteredUpload {
    inner: Box<dyn Upload>,
    operation: Operation,
}

impl Upload for MeteredUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.inner.write(data)
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        let Self { inner, operation } = *self;
        operation.run(|| inner.finish())
    }
}
