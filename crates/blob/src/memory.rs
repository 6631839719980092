//! A bucket in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use base::clock::SharedClock;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::bucket::{
    BlobError, Bucket, Object, ObjectInfo, PutIf, Upload, Version, check_key, check_prefix, part_of,
};

/// Objects in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryBucket {
    state: Arc<Mutex<State>>,
    clock: SharedClock,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    puts: u64,
}

#[derive(Clone)]
struct Stored {
    data: Bytes,
    version: Version,
    modified_ms: i64,
}

impl MemoryBucket {
    /// An empty bucket that takes its time stamps from `clock`.
    pub fn new(clock: SharedClock) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn stored(&self, key: &str) -> Result<Stored, BlobError> {
        self.state.lock().objects.get(key).cloned().ok_or_else(|| BlobError::NotFound(key.to_owned()))
    }

    /// Changes an object behind the back of everyone, as a failing disk does.
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(stored) = self.state.lock().objects.get_mut(key) {
            let mut data = stored.data.to_vec();
            change(&mut data);
            stored.data = data.into();
        }
    }
}

impl Bucket for MemoryBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        check_key(key)?;
        let modified_ms = self.clock.now_ms();
        let mut state = self.state.lock();
        let current = state.objects.get(key).map(|stored| &stored.version);
        let holds = match condition {
            PutIf::Always => true,
            PutIf::Absent => current.is_none(),
            PutIf::Unchanged(version) => current == Some(version),
        };
        if !holds {
            return Err(BlobError::Conflict(key.to_owned()));
        }
        state.puts += 1;
        let version = Version(state.puts.to_string());
        // A copy: a slice would keep whatever it was cut from.
        let data = Bytes::copy_from_slice(&data);
        state.objects.insert(key.to_owned(), Stored { data, version: version.clone(), modified_ms });
        Ok(version)
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        check_key(key)?;
        Ok(Box::new(MemoryUpload { bucket: self.clone(), key: key.to_owned(), data: BytesMut::new() }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        let stored = self.stored(key)?;
        if stored.data.len() as u64 > limit_bytes {
            return Err(BlobError::failed(key, format!("larger than {limit_bytes} bytes")));
        }
        Ok((stored.data, stored.version))
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        Ok(Arc::new(MemoryObject { key: key.to_owned(), data: self.stored(key)?.data }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        check_prefix(prefix)?;
        let state = self.state.lock();
        let below = state.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let info = |(key, stored): (&String, &Stored)| ObjectInfo {
            key: key.clone(),
            size_bytes: stored.data.len() as u64,
            modified_ms: stored.modified_ms,
        };
        Ok(below.map(info).collect())
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let objects = self.list(prefix)?;
        let folder = |info: &ObjectInfo| Some(info.key[prefix.len()..].split_once('/')?.0.to_owned());
        let mut folders: Vec<String> = objects.iter().filter_map(folder).collect();
        folders.dedup();
        Ok(folders)
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.state.lock().objects.remove(key);
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// An object whose bytes are in memory.
pub struct MemoryObject {
    key: String,
    data: Bytes,
}

impl MemoryObject {
    /// An object of these bytes; `key` is for messages.
    pub fn new(key: &str, data: Bytes) -> Self {
        Self { key: key.to_owned(), data }
    }
}

impl Object for MemoryObject {
    fn len_bytes(&self) -> u64 {
        self.data.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        part_of(&self.key, &self.data, range)
    }
}

struct MemoryUpload {
    bucket: MemoryBucket,
    key: String,
    data: BytesMut,
}

impl Upload for MemoryUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.data.extend_from_slice(&data);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        self.bucket.put(&self.key, self.data.freeze(), &PutIf::Always).map(drop)
    }
}
