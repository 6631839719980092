//! Complete chunks of the head in `chunks_head`: Prometheus's format (`docs/formats/head_chunks.md`).
//!
//! Chunks are appended to a buffer and written in large pieces; a chunk can be read at once, from the
//! buffer or from the mapped file. The log still has all samples: nothing here needs to be durable.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chunkenc::Encoding;
use memmap2::Mmap;
use parking_lot::{Mutex, RwLock};

use crate::trouble::Spell;
use crate::wal::WalError;
use crate::wal::codec::{Decoder, put_uvarint};
use crate::wal::repair;
use crate::wal::segment::sync_dir;

const MAGIC: [u8; 4] = 0x0130_bc91_u32.to_be_bytes();
const VERSION: u8 = 1;
const FILE_HEADER_BYTES: u64 = 8;
/// A file never grows beyond this.
const MAX_FILE_BYTES: u64 = 128 << 20;
/// Fixed part before the length of the data: series, two timestamps, encoding.
const CHUNK_HEADER_BYTES: usize = 8 + 8 + 8 + 1;
const CHECKSUM_BYTES: usize = 4;
/// Chunks are written to disk in pieces of this size.
const WRITE_BYTES: usize = 512 << 10;
const OUT_OF_ORDER_FLAG: u8 = 0x80;

/// Where a chunk is: file number in the upper, offset in the lower four bytes. Ascends with writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChunkRef(pub u64);

impl ChunkRef {
    fn new(file: u32, offset: u64) -> Self {
        Self(u64::from(file) << 32 | offset)
    }

    /// The number of the file.
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn offset(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

/// A chunk with what stands before it.
#[derive(Debug, Clone)]
pub struct ChunkRecord<'a> {
    /// Reference of the series in the log.
    pub series: u64,
    /// First timestamp.
    pub min_ms: i64,
    /// Last timestamp.
    pub max_ms: i64,
    /// Encoding of `data`.
    pub encoding: Encoding,
    /// Whether the samples came out of order.
    pub out_of_order: bool,
    /// The chunk.
    pub data: &'a [u8],
}

/// A chunk that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("head chunk file {} at offset {offset}: {reason}", path.display())]
pub struct ChunkDamage {
    /// The file.
    pub path: PathBuf,
    /// Where the chunk begins.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

struct ChunkFile {
    path: PathBuf,
    file: File,
    /// Maps the most a file can hold: what is written later shows up in it.
    map: Mmap,
    /// Bytes on disk; only those may be touched in `map`.
    written_bytes: AtomicU64,
}

struct Writer {
    current: Option<(u32, Arc<ChunkFile>)>,
    last_file: u32,
    /// What follows `written_bytes` of the current file.
    pending: Vec<u8>,
}

/// The chunk files of a head.
pub struct ChunkStore {
    dir: PathBuf,
    files: RwLock<BTreeMap<u32, Arc<ChunkFile>>>,
    writer: Mutex<Writer>,
    /// While writing fails it is tried again with every chunk.
    failing: Spell,
}

impl std::fmt::Debug for ChunkStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl ChunkStore {
    /// Opens the files in `dir`, which is created if missing. `visit` is called with every sound chunk,
    /// oldest first. Behind damage nothing is used: the file is cut there, later files are moved, and
    /// both are kept in `quarantine`; the log has the samples.
    pub fn open(
        dir: &Path,
        quarantine: &Path,
        mut visit: impl FnMut(ChunkRef, &ChunkRecord<'_>),
    ) -> Result<(Self, Vec<ChunkDamage>), WalError> {
        if let Err(error) = std::fs::create_dir_all(dir) {
            tracing::warn!(%error, dir = %dir.display(), "directory cannot be made for now");
        }
        let mut files = BTreeMap::new();
        let mut damages = Vec::new();
        let numbers = list_files(dir)?;
        for (i, &number) in numbers.iter().enumerate() {
            let path = file_path(dir, number);
            let damage = match open_file(&path) {
                // The header was never written: the process ended right after creating the file.
                Ok(None) => continue,
                Ok(Some(file)) => {
                    let read = visit_chunks(number, &file, &mut visit);
                    if let Err(damage) = &read {
                        file.written_bytes.store(damage.offset, Ordering::Relaxed);
                    }
                    files.insert(number, Arc::new(file));
                    let Err(damage) = read else { continue };
                    damage
                }
                Err(reason) => ChunkDamage { path: path.clone(), offset: 0, reason },
            };
            let good_bytes = files.contains_key(&number).then_some(damage.offset);
            damages.push(damage);
            let later = numbers[i + 1..].iter().map(|&later| (file_path(dir, later), None));
            for (path, good_bytes) in std::iter::once((path, good_bytes)).chain(later) {
                if let Err(error) = set_aside(&path, quarantine, good_bytes) {
                    // What is damaged is not used all the same, now and at the next start.
                    tracing::error!(%error, "damaged head chunk file could not be set aside");
                }
            }
            break;
        }
        let last_file = numbers.last().copied().unwrap_or(0);
        let writer = Mutex::new(Writer { current: None, last_file, pending: Vec::new() });
        Ok((
            Self { dir: dir.to_owned(), files: RwLock::new(files), writer, failing: Spell::default() },
            damages,
        ))
    }

    /// Appends a chunk and returns where it is. It can be read from now on, even if writing to disk fails
    /// for the moment: that is tried again with the next chunks.
    pub fn append(&self, chunk: &ChunkRecord<'_>) -> Result<ChunkRef, WalError> {
        let mut writer = self.writer.lock();
        let bound = (CHUNK_HEADER_BYTES + 10 + chunk.data.len() + CHECKSUM_BYTES) as u64;
        let end = writer.end();
        if writer.current.is_none() || end + bound > MAX_FILE_BYTES {
            let started = self.start_file(&mut writer);
            started.inspect_err(|error| self.tell(error))?;
        }
        let at = ChunkRef::new(writer.last_file, writer.end());
        let out = &mut writer.pending;
        let start = out.len();
        out.extend_from_slice(&chunk.series.to_be_bytes());
        out.extend_from_slice(&chunk.min_ms.to_be_bytes());
        out.extend_from_slice(&chunk.max_ms.to_be_bytes());
        out.push(chunk.encoding.as_byte() | if chunk.out_of_order { OUT_OF_ORDER_FLAG } else { 0 });
        put_uvarint(out, chunk.data.len() as u64);
        out.extend_from_slice(chunk.data);
        let checksum = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&checksum.to_be_bytes());
        if writer.pending.len() >= WRITE_BYTES {
            match writer.write_out() {
                Ok(()) => self.failing.ends(),
                Err(error) => self.tell(&error),
            }
        }
        Ok(at)
    }

    fn tell(&self, error: &WalError) {
        if self.failing.begins() {
            tracing::warn!(%error, "head chunks stay in memory: they cannot be written for now");
        }
    }

    fn start_file(&self, writer: &mut Writer) -> Result<(), WalError> {
        writer.write_out()?;
        let number = writer.last_file + 1;
        let path = file_path(&self.dir, number);
        let create = || -> std::io::Result<ChunkFile> {
            std::fs::create_dir_all(&self.dir)?;
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
            let mut header = [0; FILE_HEADER_BYTES as usize];
            header[..4].copy_from_slice(&MAGIC);
            header[4] = VERSION;
            file.write_all_at(&header, 0)?;
            let map = map_file(&file)?;
            Ok(ChunkFile { path: path.clone(), file, map, written_bytes: AtomicU64::new(FILE_HEADER_BYTES) })
        };
        let file = Arc::new(create().map_err(WalError::io("create", &path))?);
        self.files.write().insert(number, file.clone());
        writer.current = Some((number, file));
        writer.last_file = number;
        Ok(())
    }

    /// Calls `read` with the chunk at `at`.
    pub fn with_chunk<R>(
        &self,
        at: ChunkRef,
        read: impl FnOnce(&ChunkRecord<'_>) -> R,
    ) -> Result<R, ChunkDamage> {
        let file = self.files.read().get(&at.file()).cloned();
        let Some(file) = file else {
            let path = file_path(&self.dir, at.file());
            return Err(ChunkDamage { path, offset: at.offset(), reason: "file is missing".to_owned() });
        };
        let damage = |reason| ChunkDamage { path: file.path.clone(), offset: at.offset(), reason };
        let mut written = file.written_bytes.load(Ordering::Acquire);
        if at.offset() >= written {
            let writer = self.writer.lock();
            written = file.written_bytes.load(Ordering::Acquire);
            if at.offset() >= written {
                let start = (at.offset() - written) as usize;
                let pending = writer.pending.get(start..).unwrap_or_default();
                let (chunk, _) = parse(pending).map_err(damage)?;
                return Ok(read(&chunk));
            }
        }
        let bytes = file.map.get(at.offset() as usize..written as usize).unwrap_or_default();
        let (chunk, _) = parse(bytes).map_err(damage)?;
        Ok(read(&chunk))
    }

    /// Writes what is still in memory. Called when idle and at the end.
    pub fn flush(&self) -> Result<(), WalError> {
        self.writer.lock().write_out()
    }

    /// Makes the next chunk start a new file.
    pub fn rotate(&self) -> Result<(), WalError> {
        let mut writer = self.writer.lock();
        writer.write_out()?;
        writer.current = None;
        Ok(())
    }

    /// The number of the first file; none is older.
    pub fn first_file(&self) -> u32 {
        let first = self.files.read().first_key_value().map(|(&number, _)| number);
        first.unwrap_or_else(|| self.writer.lock().last_file + 1)
    }

    /// Where the next chunk will not be before: everything appended so far is below.
    pub fn end(&self) -> ChunkRef {
        let writer = self.writer.lock();
        match &writer.current {
            Some((number, _)) => ChunkRef::new(*number, writer.end()),
            None => ChunkRef::new(writer.last_file + 1, 0),
        }
    }

    /// Deletes the files before `file`. The next chunk starts a new file, so that every file can go in its
    /// time.
    pub fn truncate_before(&self, file: u32) -> Result<(), WalError> {
        self.rotate()?;
        let old: Vec<u32> = self.files.read().range(..file).map(|(&number, _)| number).collect();
        for number in old {
            let path = file_path(&self.dir, number);
            self.files.write().remove(&number);
            std::fs::remove_file(&path).map_err(WalError::io("delete", &path))?;
        }
        sync_dir(&self.dir)
    }

    /// Bytes of all files, written or not.
    pub fn size_bytes(&self) -> u64 {
        let files = self.files.read();
        files.values().map(|file| file.written_bytes.load(Ordering::Relaxed)).sum::<u64>()
    }
}

impl Writer {
    /// Offset behind everything appended.
    fn end(&self) -> u64 {
        let written = self.current.as_ref().map_or(0, |(_, f)| f.written_bytes.load(Ordering::Relaxed));
        written + self.pending.len() as u64
    }

    fn write_out(&mut self) -> Result<(), WalError> {
        let Some((_, file)) = &self.current else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        let at = file.written_bytes.load(Ordering::Relaxed);
        if let Err(error) = file.file.write_all_at(&self.pending, at) {
            // Half a chunk would be taken for damage at the next start.
            let _ = file.file.set_len(at);
            return Err(WalError::io("write", &file.path)(error));
        }
        file.written_bytes.store(at + self.pending.len() as u64, Ordering::Release);
        self.pending.clear();
        self.pending.shrink_to(2 * WRITE_BYTES);
        Ok(())
    }
}

fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the files are this process's own (the data directory is locked); they are only appended to,
    // and offsets at or beyond `written_bytes` are never read through the mapping.
    unsafe { memmap2::MmapOptions::new().len(MAX_FILE_BYTES as usize).map(file) }
}

fn file_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

fn list_files(dir: &Path) -> Result<Vec<u32>, WalError> {
    crate::wal::segment::list_segments(dir)
}

fn open_file(path: &Path) -> Result<Option<ChunkFile>, String> {
    let open = || -> std::io::Result<_> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let map = map_file(&file)?;
        Ok((file, len, map))
    };
    let (file, len, map) = open().map_err(|error| error.to_string())?;
    if len < FILE_HEADER_BYTES || !check_header(&map[..FILE_HEADER_BYTES as usize])? {
        return Ok(None);
    }
    if len > MAX_FILE_BYTES {
        return Err(format!("file of {len} bytes is larger than any may be"));
    }
    Ok(Some(ChunkFile { path: path.to_owned(), file, map, written_bytes: AtomicU64::new(len) }))
}

/// Reads all chunks of a file once. Not through the mapping: pages touched there count as this process's
/// memory, and a start touches all of them.
fn visit_chunks(
    number: u32,
    file: &ChunkFile,
    visit: &mut impl FnMut(ChunkRef, &ChunkRecord<'_>),
) -> Result<(), ChunkDamage> {
    let len = file.written_bytes.load(Ordering::Relaxed);
    let each = |at, chunk: &ChunkRecord<'_>| visit(ChunkRef::new(number, at), chunk);
    let end = walk_chunks(&file.path, &file.file, len, each)?;
    file.written_bytes.store(end, Ordering::Relaxed);
    Ok(())
}

/// Calls `visit` with the offset of every chunk of a file of `len` bytes and the chunk, up to the first
/// damage. Returns where the chunks end.
fn walk_chunks(
    path: &Path,
    file: &File,
    len: u64,
    mut visit: impl FnMut(u64, &ChunkRecord<'_>),
) -> Result<u64, ChunkDamage> {
    let mut at = FILE_HEADER_BYTES;
    let mut window = Window::default();
    while at < len {
        let damage = |reason| ChunkDamage { path: path.to_owned(), offset: at, reason };
        let mut wanted = CHUNK_GUESS_BYTES;
        let chunk_len = loop {
            let bytes = window.get(file, at, len, wanted).map_err(|error| damage(error.to_string()))?;
            let rest = bytes.len() as u64 == len - at;
            if rest && bytes.iter().all(|&byte| byte == 0) {
                // Space behind the last chunk may have been reserved and never used.
                return Ok(at);
            }
            match parse(bytes) {
                Ok((_, chunk_len)) => break chunk_len,
                Err(_) if !rest => wanted *= 2,
                Err(reason) => return Err(damage(reason)),
            }
        };
        let bytes = window.get(file, at, len, chunk_len).map_err(|error| damage(error.to_string()))?;
        let (covered, checksum) = bytes[..chunk_len].split_at(chunk_len - CHECKSUM_BYTES);
        let actual = crc32c::crc32c(covered);
        if actual.to_be_bytes() != checksum {
            return Err(damage(format!("checksum mismatch: expected {checksum:02x?}, actual {actual:08x}")));
        }
        let (chunk, _) = parse(bytes).map_err(damage)?;
        visit(at, &chunk);
        at += chunk_len as u64;
    }
    Ok(at)
}

/// Most chunks are smaller than this.
const CHUNK_GUESS_BYTES: usize = 4 << 10;
const WINDOW_BYTES: u64 = 1 << 20;

/// A stretch of a file in memory.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// At least `wanted` bytes from `at` on, or all up to `end`.
    fn get(&mut self, file: &File, at: u64, end: u64, wanted: usize) -> std::io::Result<&[u8]> {
        let wanted = (wanted as u64).min(end - at);
        let have = self.start + self.bytes.len() as u64;
        if at < self.start || at + wanted > have {
            self.bytes.resize((end - at).min(wanted.max(WINDOW_BYTES)) as usize, 0);
            file.read_exact_at(&mut self.bytes, at)?;
            self.start = at;
        }
        Ok(&self.bytes[(at - self.start) as usize..])
    }
}

/// The chunk files in `dir`, oldest first; none when the directory does not exist.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, WalError> {
    Ok(list_files(dir)?.into_iter().map(|number| file_path(dir, number)).collect())
}

/// Reads a chunk file without changing it, as an inspection does: calls `visit` with the offset of every
/// chunk and the chunk, up to the first damage.
pub fn read_file(path: &Path, visit: impl FnMut(u64, &ChunkRecord<'_>)) -> Result<(), ChunkDamage> {
    let damage = |reason: String| ChunkDamage { path: path.to_owned(), offset: 0, reason };
    // Files are limited in size, and one that a server still writes to must not be mapped beyond its end.
    let open = || -> std::io::Result<_> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut header = vec![0; len.min(FILE_HEADER_BYTES) as usize];
        file.read_exact_at(&mut header, 0)?;
        Ok((file, len, header))
    };
    let (file, len, header) = open().map_err(|error| damage(error.to_string()))?;
    if !check_header(&header).map_err(damage)? {
        return Ok(());
    }
    walk_chunks(path, &file, len, visit).map(|_| ())
}

/// Whether a file was begun: false when its header was never written.
fn check_header(bytes: &[u8]) -> Result<bool, String> {
    if bytes.len() < FILE_HEADER_BYTES as usize || bytes[..4] == [0; 4] {
        return Ok(false);
    }
    if bytes[..4] != MAGIC {
        return Err(format!("invalid magic number {:02x?}", &bytes[..4]));
    }
    if bytes[4] != VERSION {
        return Err(format!("invalid chunk format version {}", bytes[4]));
    }
    Ok(true)
}

/// The chunk at the start of `bytes`, and its length with everything around it.
fn parse(bytes: &[u8]) -> Result<(ChunkRecord<'_>, usize), String> {
    let mut decoder = Decoder::new(bytes);
    let mut read = || {
        let (series, min_ms, max_ms) = (decoder.u64()?, decoder.i64()?, decoder.i64()?);
        let encoding = decoder.u8()?;
        let data = decoder.bytes()?;
        decoder.take(CHECKSUM_BYTES)?;
        Ok::<_, crate::wal::record::RecordError>((series, min_ms, max_ms, encoding, data))
    };
    let (series, min_ms, max_ms, encoding, data) = read().map_err(|_| "chunk is cut off".to_owned())?;
    let out_of_order = encoding & OUT_OF_ORDER_FLAG != 0;
    let encoding = Encoding::from_byte(encoding & !OUT_OF_ORDER_FLAG).map_err(|error| error.to_string())?;
    let len = bytes.len() - decoder.remaining();
    Ok((ChunkRecord { series, min_ms, max_ms, encoding, out_of_order, data }, len))
}

/// Keeps a copy of a damaged file. With `good_bytes` the file stays, cut to that length; else it goes.
fn set_aside(path: &Path, quarantine: &Path, good_bytes: Option<u64>) -> Result<(), WalError> {
    let name = repair::name_with_parent(path);
    match good_bytes {
        Some(len) => {
            repair::copy_aside(path, quarantine, &name)?;
            repair::cut_end(path, len)
        }
        None => repair::move_aside(path, quarantine, &name).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(series: u64, data: &[u8]) -> ChunkRecord<'_> {
        ChunkRecord {
            series,
            min_ms: -5,
            max_ms: 9,
            encoding: Encoding::Xor,
            out_of_order: series % 2 == 1,
            data,
        }
    }

    type Seen = Vec<(ChunkRef, u64, Vec<u8>)>;

    fn reopen(dir: &Path) -> (ChunkStore, Seen, Vec<ChunkDamage>) {
        let mut seen = Vec::new();
        let (store, damages) =
            ChunkStore::open(&dir.join("chunks_head"), &dir.join("quarantine"), |at, chunk| {
                assert_eq!((chunk.min_ms, chunk.max_ms), (-5, 9));
                assert_eq!(chunk.out_of_order, chunk.series % 2 == 1);
                seen.push((at, chunk.series, chunk.data.to_vec()));
            })
            .unwrap();
        (store, seen, damages)
    }

    #[test]
    fn chunks_are_read_before_and_after_they_reach_the_disk_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (store, seen, _) = reopen(dir.path());
        assert!(seen.is_empty());
        let mut expected = Vec::new();
        for i in 0..2_000_u64 {
            let data = vec![i as u8; 300 + i as usize % 700];
            let at = store.append(&chunk(i, &data)).unwrap();
            expected.push((at, i, data));
        }
        let check = |store: &ChunkStore| {
            for (at, series, data) in &expected {
                let read = store.with_chunk(*at, |c| (c.series, c.data.to_vec())).unwrap();
                assert_eq!(read, (*series, data.clone()));
            }
        };
        check(&store);
        store.flush().unwrap();
        check(&store);
        drop(store);
        let (store, seen, damages) = reopen(dir.path());
        assert!(damages.is_empty());
        assert_eq!(seen, expected);
        check(&store);
        let next = store.append(&chunk(7, b"next")).unwrap();
        assert!(next > expected.last().unwrap().0);
        assert_eq!(next.file(), 2);
        store.truncate_before(2).unwrap();
        assert!(store.with_chunk(expected[0].0, |_| ()).is_err());
        assert_eq!(store.with_chunk(next, |c| c.data.to_vec()).unwrap(), b"next");
        assert_eq!(store.append(&chunk(8, b"more")).unwrap().file(), 3);
    }

    #[test]
    fn a_damaged_file_is_cut_at_the_damage_and_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _, _) = reopen(dir.path());
        let refs: Vec<_> = (0..10).map(|i| store.append(&chunk(i, &[1; 100])).unwrap()).collect();
        store.flush().unwrap();
        drop(store);
        let path = dir.path().join("chunks_head/000001");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = refs[6].offset() as usize + 50;
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        std::fs::copy(&path, dir.path().join("chunks_head/000002")).unwrap();
        let (store, seen, damages) = reopen(dir.path());
        assert_eq!(seen.len(), 6);
        assert_eq!(damages.len(), 1);
        assert_eq!(damages[0].offset, refs[6].offset());
        assert_eq!(std::fs::read(dir.path().join("quarantine/chunks_head-000001")).unwrap(), bytes);
        assert!(dir.path().join("quarantine/chunks_head-000002").exists());
        assert!(store.with_chunk(refs[5], |_| ()).is_ok());
        drop(store);
        let (_, seen, damages) = reopen(dir.path());
        assert_eq!((seen.len(), damages.len()), (6, 0));
    }
}
