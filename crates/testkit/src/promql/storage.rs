//! What a script loads into and queries.

use std::any::Any;
use std::sync::Arc;

use model::{Appendable, SeriesSource};

use crate::memory::MemoryStorage;

/// Opens storages for scripts: one at the start and one at each `clear`.
pub trait ScriptStorage {
    /// An empty storage.
    fn fresh(&self) -> Result<OpenStorage, String>;
}

impl<F: Fn() -> Result<OpenStorage, String>> ScriptStorage for F {
    fn fresh(&self) -> Result<OpenStorage, String> {
        self()
    }
}

/// A storage as scripts use it.
pub struct OpenStorage {
    /// Where samples go.
    pub appendable: Arc<dyn Appendable>,
    /// Where queries read.
    pub source: Arc<dyn SeriesSource>,
    /// Dropped last: a temporary directory, or whatever else must outlive both.
    pub keep: Option<Box<dyn Any + Send>>,
}

/// Opens storages in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct InMemory;

impl ScriptStorage for InMemory {
    fn fresh(&self) -> Result<OpenStorage, String> {
        let storage = Arc::new(MemoryStorage::new());
        Ok(OpenStorage { appendable: storage.clone(), source: storage, keep: None })
    }
}
