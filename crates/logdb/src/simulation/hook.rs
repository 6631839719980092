//! A bucket that lets others go on in the middle of what is being done, as threads and processes do.

use std::ops::Range;
use std::sync::Arc;

use blob::{BlobError, Bucket, Object, ObjectInfo, PutIf, SharedBucket, Upload, Version};
use bytes::Bytes;

/// What happens around a call.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// `inner`, with the hook called before and after each call.
pub(crate) struct HookedBucket {
    pub inner: SharedBucket,
    pub hook: Hook,
}

impl HookedBucket {
    fn around<T>(&self, call: impl FnOnce(&dyn Bucket) -> T) -> T {
        (self.hook)();
        let answer = call(&*self.inner);
        (self.hook)();
        answer
    }
}

impl Bucket for HookedBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        self.around(|inner| inner.put(key, data, condition))
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        let inner = self.around(|inner| inner.upload(key))?;
        Ok(Box::new(HookedUpload { inner, hook: self.hook.clone() }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        self.around(|inner| inner.get(key, limit_bytes))
    }

    fn get_changed(
        &self,
        key: &str,
        limit_bytes: u64,
        known: &Version,
    ) -> Result<Option<(Bytes, Version)>, BlobError> {
        self.around(|inner| inner.get_changed(key, limit_bytes, known))
    }

    fn settle(&self, key: &str) -> Result<(), BlobError> {
        self.around(|inner| inner.settle(key))
    }

    fn delete_unfinished(&self, before_ms: i64) -> Result<usize, BlobError> {
        self.around(|inner| inner.delete_unfinished(before_ms))
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        let inner = self.around(|inner| inner.open(key))?;
        Ok(Arc::new(HookedObject { inner, hook: self.hook.clone() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        self.around(|inner| inner.list(prefix))
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.around(|inner| inner.list_folders(prefix))
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.around(|inner| inner.delete(key))
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

struct HookedUpload {
    inner: Box<dyn Upload>,
    hook: Hook,
}

impl Upload for HookedUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        (self.hook)();
        self.inner.write(data)
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        (self.hook)();
        let answer = self.inner.finish();
        (self.hook)();
        answer
    }
}

struct HookedObject {
    inner: Arc<dyn Object>,
    hook: Hook,
}

impl Object for HookedObject {
    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        (self.hook)();
        self.inner.read(range)
    }
}
