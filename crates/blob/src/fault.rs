//! A bucket that fails as its seed says, for tests and simulation.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::bucket::{BlobError, Bucket, Object, ObjectInfo, PutIf, SharedBucket, Upload, Version};

/// How often a call fails, in thousandths.
#[derive(Debug, Default)]
pub struct FaultRates {
    /// Calls that fail and have no effect.
    pub fail: AtomicU32,
    /// Puts, finished uploads and deletes that have their effect and answer an error.
    pub lie: AtomicU32,
    /// Puts, finished uploads and deletes that have no effect and answer that all is well.
    pub lie_ok: AtomicU32,
    /// Puts that answer an error and have their effect some calls later, if their condition holds then.
    pub late: AtomicU32,
}

/// A bucket in front of another that loses requests and answers.
#[derive(Clone)]
pub struct FaultyBucket {
    inner: SharedBucket,
    faults: Arc<Faults>,
}

struct Faults {
    rates: FaultRates,
    random: AtomicU64,
    injected: AtomicU64,
    /// What keys must contain to be concerned.
    only: Mutex<Option<String>>,
    /// Puts that are on their way, and how many calls they still take.
    late: Mutex<Vec<LatePut>>,
}

struct LatePut {
    calls: u64,
    key: String,
    data: Bytes,
    condition: PutIf,
}

/// The longest way of a late put, in calls.
const LONGEST_WAY: u64 = 40;

impl Faults {
    fn number(&self) -> u64 {
        // SplitMix64: a step and a scramble, in one atomic operation.
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn hits(&self, rate: &AtomicU32) -> bool {
        let rate = rate.load(Ordering::Relaxed);
        let hit = rate > 0 && self.number() % 1000 < u64::from(rate);
        self.injected.fetch_add(u64::from(hit), Ordering::Relaxed);
        hit
    }

    fn before(&self, key: &str) -> Result<(), BlobError> {
        let is_concerned = self.only.lock().as_ref().is_none_or(|only| key.contains(&**only));
        if is_concerned && self.hits(&self.rates.fail) {
            Err(BlobError::unavailable(key, "injected failure"))
        } else {
            Ok(())
        }
    }

    fn after(&self, key: &str) -> Result<(), BlobError> {
        if self.hits(&self.rates.lie) {
            Err(BlobError::unavailable(key, "injected loss of the answer"))
        } else {
            Ok(())
        }
    }
}

impl FaultyBucket {
    /// `inner`, failing with the rates of [`Self::rates`], which are zero at first.
    pub fn new(inner: SharedBucket, seed: u64) -> Self {
        let faults = Faults {
            rates: FaultRates::default(),
            random: AtomicU64::new(seed),
            injected: AtomicU64::new(0),
            only: Mutex::default(),
            late: Mutex::default(),
        };
        Self { inner, faults: Arc::new(faults) }
    }

    /// The same faults before another bucket.
    pub fn before(&self, inner: SharedBucket) -> Self {
        Self { inner, faults: self.faults.clone() }
    }

    /// From now on calls fail only for keys that contain this.
    pub fn fail_only(&self, part: &str) {
        *self.faults.only.lock() = Some(part.to_owned());
    }

    /// Rates to set.
    pub fn rates(&self) -> &FaultRates {
        &self.faults.rates
    }

    /// One more call passes for the puts that are on their way; those that arrive have their effect.
    fn pass(&self) {
        let arrived: Vec<LatePut> = {
            let mut late = self.faults.late.lock();
            late.iter_mut().for_each(|put| put.calls = put.calls.saturating_sub(1));
            late.extract_if(.., |put| put.calls == 0).collect()
        };
        for LatePut { key, data, condition, .. } in arrived {
            // Nobody waits for the answer.
            let _ = self.inner.put(&key, data, &condition);
        }
    }

    /// How many faults were injected.
    pub fn injected(&self) -> u64 {
        self.faults.injected.load(Ordering::Relaxed)
    }
}

impl Bucket for FaultyBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        self.pass();
        self.faults.before(key)?;
        if self.faults.hits(&self.faults.rates.late) {
            let calls = 1 + self.faults.number() % LONGEST_WAY;
            let late = LatePut { calls, key: key.to_owned(), data, condition: condition.clone() };
            self.faults.late.lock().push(late);
            return Err(BlobError::unavailable(key, "injected delay"));
        }
        if self.faults.hits(&self.faults.rates.lie_ok) {
            return Ok(Version("injected success".to_owned()));
        }
        let version = self.inner.put(key, data, condition)?;
        self.faults.after(key)?;
        Ok(version)
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        self.faults.before(key)?;
        let inner = self.inner.upload(key)?;
        Ok(Box::new(FaultyUpload { key: key.to_owned(), inner, faults: self.faults.clone() }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        self.pass();
        self.faults.before(key)?;
        self.inner.get(key, limit_bytes)
    }

    fn settle(&self, key: &str) -> Result<(), BlobError> {
        self.faults.before(key)?;
        self.inner.settle(key)
    }

    fn delete_unfinished(&self, before_ms: i64) -> Result<usize, BlobError> {
        self.inner.delete_unfinished(before_ms)
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        self.faults.before(key)?;
        let inner = self.inner.open(key)?;
        Ok(Arc::new(FaultyObject { key: key.to_owned(), inner, faults: self.faults.clone() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        self.faults.before(prefix)?;
        self.inner.list(prefix)
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.faults.before(prefix)?;
        self.inner.list_folders(prefix)
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.faults.before(key)?;
        if self.faults.hits(&self.faults.rates.lie_ok) {
            return Ok(());
        }
        self.inner.delete(key)?;
        self.faults.after(key)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

struct FaultyObject {
    key: String,
    inner: Arc<dyn Object>,
    faults: Arc<Faults>,
}

impl Object for FaultyObject {
    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.faults.before(&self.key)?;
        self.inner.read(range)
    }
}

struct FaultyUpload {
    key: String,
    inner: Box<dyn Upload>,
    faults: Arc<Faults>,
}

impl Upload for FaultyUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.faults.before(&self.key)?;
        self.inner.write(data)
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        self.faults.before(&self.key)?;
        if self.faults.hits(&self.faults.rates.lie_ok) {
            return Ok(());
        }
        self.inner.finish()?;
        self.faults.after(&self.key)
    }
}
