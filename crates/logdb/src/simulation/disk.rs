//! A disk that tears writes and loses what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Random;
use crate::wal::{Disk, DiskFile};

/// A disk. Clones share it.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

struct State {
    files: BTreeMap<String, File>,
    random: Random,
    /// In thousandths.
    failures: u32,
    /// Whether the next write panics.
    panics: bool,
}

#[derive(Default, Clone)]
struct File {
    data: Vec<u8>,
    synced: usize,
}

fn broken() -> io::Error {
    io::Error::other("injected failure of the disk")
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            random: Random::new(seed),
            failures: 0,
            panics: false,
        })))
    }

    /// From now on writes and syncs fail so often, in thousandths.
    pub fn fail_sometimes(&self, failures: u32) {
        self.0.lock().failures = failures;
    }

    /// The next write panics.
    pub fn panic_once(&self) {
        self.0.lock().panics = true;
    }

    /// Power is lost: of what was not synced, any beginning is there, perhaps spoilt.
    pub fn crash(&self, random: &mut Random) {
        for file in self.0.lock().files.values_mut() {
            let unsynced = file.data.len() - file.synced;
            let kept = random.below(unsynced as u64 + 1) as usize;
            file.data.truncate(file.synced + kept);
            if kept > 0 && random.below(2) == 0 {
                let at = file.synced + random.below(kept as u64) as usize;
                file.data[at] ^= 0x55;
            }
            file.synced = file.data.len();
        }
    }

    /// Changes a file behind the back of everyone.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(file) = self.0.lock().files.get_mut(name) {
            change(&mut file.data);
            file.synced = file.data.len();
        }
    }
}

impl State {
    fn fails(&mut self) -> bool {
        self.failures > 0 && self.random.below(1000) < u64::from(self.failures)
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.0.lock();
        state.files.get(name).map(|file| file.data.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.fails() {
            return Err(broken());
        }
        state.files.insert(name.to_owned(), File::default());
        Ok(Box::new(SimFile { disk: self.clone(), name: name.to_owned() }))
    }

    fn replace(&self, name: &str, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.fails() {
            return Err(broken());
        }
        let file = File { data: data.to_vec(), synced: data.len() };
        state.files.insert(name.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.fails() {
            return Err(broken());
        }
        state.files.remove(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    name: String,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut File, bool, &mut Random) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        let fails = state.fails();
        let State { files, random, .. } = &mut *state;
        act(files.get_mut(&self.name).ok_or_else(broken)?, fails, random)
    }
}

impl DiskFile for SimFile {
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        let panics = std::mem::take(&mut self.disk.0.lock().panics);
        assert!(!panics, "injected panic");
        self.with(|file, fails, random| {
            let written = if fails { random.below(data.len() as u64 + 1) as usize } else { data.len() };
            file.data.extend_from_slice(&data[..written]);
            if fails { Err(broken()) } else { Ok(()) }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|file, fails, random| {
            if fails {
                // Some of it may have reached the disk all the same.
                let unsynced = (file.data.len() - file.synced) as u64;
                file.synced += random.below(unsynced + 1) as usize;
                return Err(broken());
            }
            file.synced = file.data.len();
            Ok(())
        })
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.with(|file, fails, _| {
            if fails {
                return Err(broken());
            }
            file.data.truncate(len as usize);
            file.synced = file.data.len();
            Ok(())
        })
    }
}
