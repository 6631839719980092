//! A file system in memory that loses power and fails to sync, for tests and simulation.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::SharedClock;
use parking_lot::Mutex;

use super::files::{Entry, Files, Kind, NewFile, StoredFile};

/// A file system in memory. Clones share it.
#[derive(Clone)]
pub struct PowerlessFiles {
    state: Arc<Mutex<State>>,
    clock: SharedClock,
}

struct State {
    /// What is seen.
    live: BTreeMap<PathBuf, Node>,
    /// What would be there after a loss of power.
    durable: BTreeMap<PathBuf, Node>,
    /// For each folder what happened in it since it was synced, in order.
    changes: BTreeMap<PathBuf, Vec<Change>>,
    random: u64,
    /// In thousandths.
    failures: u32,
}

#[derive(Clone)]
enum Node {
    Folder,
    File(Arc<Mutex<Content>>),
}

#[derive(Default)]
struct Content {
    data: Vec<u8>,
    synced: usize,
    modified_ms: i64,
}

enum Change {
    Set(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Set(path, node) => drop(names.insert(path, node)),
            Self::Remove(path) => drop(names.remove(&path)),
            Self::Rename(from, to, node) => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

impl State {
    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn fails(&mut self) -> io::Result<()> {
        if self.failures > 0 && self.below(1000) < u64::from(self.failures) {
            return Err(io::Error::other("injected failure of the disk"));
        }
        Ok(())
    }

    fn change(&mut self, path: &Path, change: Change) {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        self.changes.entry(folder).or_default().push(change);
    }

    fn has_folder(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(folder) if !matches!(self.live.get(folder), Some(Node::Folder)) => {
                Err(io::ErrorKind::NotFound.into())
            }
            _ => Ok(()),
        }
    }

    fn is_empty(&self, folder: &Path) -> bool {
        !self.live.keys().any(|path| path.parent() == Some(folder))
    }
}

impl PowerlessFiles {
    /// A file system with one folder, `root`, which is durable. What happens at a loss of power follows from the seed.
    pub fn new(root: &Path, seed: u64, clock: SharedClock) -> Self {
        let names = BTreeMap::from([(root.to_owned(), Node::Folder)]);
        let (live, changes) = (names.clone(), BTreeMap::new());
        let state = State { live, durable: names, changes, random: seed, failures: 0 };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// From now on syncs fail so often, in thousandths. What a folder could not sync is durable by chance, and no later sync
    /// makes it so.
    pub fn fail_sometimes(&self, failures: u32) {
        self.state.lock().failures = failures;
    }

    /// Power is lost. Of the changes of each folder that were not synced any beginning is durable; of the bytes of a file
    /// that were not synced, too.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        for changes in std::mem::take(&mut state.changes).into_values() {
            let kept = state.below(changes.len() as u64 + 1) as usize;
            changes.into_iter().take(kept).for_each(|change| change.apply(&mut state.durable));
        }
        let mut left: BTreeMap<PathBuf, Node> = BTreeMap::new();
        // In the order of paths a folder is before what is in it.
        for (path, node) in std::mem::take(&mut state.durable) {
            let has_folder = path.parent().is_none_or(|folder| left.contains_key(folder));
            if left.is_empty() || has_folder {
                if let Node::File(content) = &node {
                    let mut content = content.lock();
                    let unsynced = content.data.len() - content.synced;
                    let kept = content.synced + state.below(unsynced as u64 + 1) as usize;
                    content.data.truncate(kept);
                    content.synced = kept;
                }
                left.insert(path, node);
            }
        }
        state.live = left.clone();
        state.durable = left;
    }
}

impl Files for PowerlessFiles {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.has_folder(path)?;
        if state.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.live.insert(path.to_owned(), Node::Folder);
        state.change(path, Change::Set(path.to_owned(), Node::Folder));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.live.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let outcome = state.fails();
        for change in state.changes.remove(path).unwrap_or_default() {
            if outcome.is_ok() || state.below(2) == 0 {
                change.apply(&mut state.durable);
            }
        }
        outcome
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.is_empty(path) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.live.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.change(path, Change::Remove(path.to_owned()));
        Ok(())
    }

    fn read_folder(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state.lock();
        if !state.live.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.live.iter().filter(|(of, _)| of.parent() == Some(path));
        let entry = |(path, node): (&PathBuf, &Node)| Entry {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            kind: Some(match node {
                Node::Folder => Kind::Folder,
                Node::File(content) => {
                    let content = content.lock();
                    Kind::File { size_bytes: content.data.len() as u64, modified_ms: content.modified_ms }
                }
            }),
        };
        Ok(inside.map(entry).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let mut state = self.state.lock();
        state.has_folder(path)?;
        if state.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let modified_ms = self.clock.now_ms();
        let content = Arc::new(Mutex::new(Content { modified_ms, ..Content::default() }));
        let node = Node::File(content.clone());
        state.live.insert(path.to_owned(), node.clone());
        state.change(path, Change::Set(path.to_owned(), node));
        Ok(Box::new(NewContent { files: self.clone(), content }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        match self.state.lock().live.get(path) {
            Some(Node::File(content)) => Ok(Arc::new(Stored(content.clone()))),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.has_folder(to)?;
        let node = state.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.live.insert(to.to_owned(), node.clone());
        state.change(to, Change::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.live.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.change(path, Change::Remove(path.to_owned()));
        Ok(())
    }

    fn exclusively(&self, act: &mut dyn FnMut()) -> io::Result<()> {
        act();
        Ok(())
    }
}

struct NewContent {
    files: PowerlessFiles,
    content: Arc<Mutex<Content>>,
}

impl NewFile for NewContent {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let mut content = self.content.lock();
        content.data.extend_from_slice(data);
        content.modified_ms = self.files.clock.now_ms();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.state.lock().fails()?;
        let mut content = self.content.lock();
        content.synced = content.data.len();
        Ok(())
    }
}

struct Stored(Arc<Mutex<Content>>);

impl StoredFile for Stored {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().data.len() as u64)
    }

    fn read_at(&self, data: &mut [u8], at: u64) -> io::Result<()> {
        let content = self.0.lock();
        let part = content.data.get(at as usize..at as usize + data.len());
        data.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
