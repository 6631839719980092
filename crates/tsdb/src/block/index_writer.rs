//! Writing a block's `index` file.
//!
//! Symbols come first, then series, both in order and straight to the file. Postings are made at the
//! end by walking over the written series, once for every batch of label names small enough to sort
//! in memory, so that memory grows with the symbols and not with series times labels.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use model::Labels;

use super::chunk_files::map_file;
use super::index_reader::{ChunkMeta, HEADER_BYTES, INDEX_FILE, MAGIC, SERIES_ALIGN, SymbolTable, VERSION};
use crate::error::TsdbError;
use crate::wal::codec::{Decoder, put_bytes, put_u64, put_uvarint, put_varint};
use crate::wal::record::RecordError;

/// Postings are sorted in memory this many at a time, or as many as there are series if that is more.
const BATCH_POSTINGS: u64 = 1 << 20;

/// Writes an index: all symbols, then all series, then [`Self::finish`].
#[derive(Debug)]
pub struct IndexWriter {
    out: Out,
    symbols: HashMap<Box<str>, u32>,
    last_symbol: String,
    symbol_crc: u32,
    series_at: u64,
    ids: Vec<u32>,
    /// How many series have each label name, by the name's symbol.
    names: BTreeMap<u32, u64>,
    last_labels: Option<Labels>,
    body: Vec<u8>,
}

/// A buffered file that knows its position.
#[derive(Debug)]
struct Out {
    path: PathBuf,
    file: BufWriter<File>,
    position: u64,
}

impl Out {
    fn create(path: PathBuf) -> Result<Self, TsdbError> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&path).map_err(TsdbError::io("create", &path))?;
        Ok(Self { path, file: BufWriter::with_capacity(1 << 20, file), position: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TsdbError> {
        self.file.write_all(bytes).map_err(TsdbError::io("write", &self.path))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, align: u64) -> Result<(), TsdbError> {
        let missing = (align - self.position % align) % align;
        self.write(&[0; SERIES_ALIGN][..missing as usize])
    }

    fn flush(&mut self) -> Result<(), TsdbError> {
        self.file.flush().map_err(TsdbError::io("write", &self.path))
    }

    /// Overwrites earlier bytes.
    fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<(), TsdbError> {
        self.flush()?;
        self.file.get_ref().write_all_at(bytes, at).map_err(TsdbError::io("write", &self.path))
    }

    fn sync(&mut self) -> Result<(), TsdbError> {
        self.flush()?;
        self.file.get_ref().sync_all().map_err(TsdbError::io("sync", &self.path))
    }
}

fn u32_len(len: u64, what: &str) -> Result<u32, TsdbError> {
    u32::try_from(len).map_err(|_| TsdbError::Invalid(format!("{what} exceeds 4 GiB: {len} bytes")))
}

impl IndexWriter {
    /// Starts the index of the block in `dir`.
    pub fn create(dir: &Path) -> Result<Self, TsdbError> {
        let mut out = Out::create(dir.join(INDEX_FILE))?;
        let mut header = MAGIC.to_be_bytes().to_vec();
        header.push(VERSION);
        // Length and number of symbols are filled in when all are written.
        header.extend_from_slice(&[0; 8]);
        out.write(&header)?;
        Ok(Self {
            out,
            symbols: HashMap::new(),
            last_symbol: String::new(),
            symbol_crc: 0,
            series_at: 0,
            ids: Vec::new(),
            names: BTreeMap::new(),
            last_labels: None,
            body: Vec::new(),
        })
    }

    /// Adds a label name or value; they must ascend.
    pub fn add_symbol(&mut self, symbol: &str) -> Result<(), TsdbError> {
        if self.series_at != 0 || (!self.symbols.is_empty() && symbol <= self.last_symbol.as_str()) {
            return Err(TsdbError::Invalid(format!("symbol {symbol:?} out of order")));
        }
        self.body.clear();
        put_bytes(&mut self.body, symbol.as_bytes());
        self.symbol_crc = crc32c::crc32c_append(self.symbol_crc, &self.body);
        self.out.write(&self.body)?;
        let id = u32_len(self.symbols.len() as u64, "symbol table")?;
        self.symbols.insert(symbol.into(), id);
        self.last_symbol.clear();
        self.last_symbol.push_str(symbol);
        Ok(())
    }

    fn finish_symbols(&mut self) -> Result<(), TsdbError> {
        if self.series_at != 0 {
            return Ok(());
        }
        let at = HEADER_BYTES as u64;
        let entries = self.out.position - at - 8;
        let len = u32_len(entries + 4, "symbol table")?.to_be_bytes();
        let count = (self.symbols.len() as u32).to_be_bytes();
        let crc = crc32c::crc32c_combine(crc32c::crc32c(&count), self.symbol_crc, entries as usize);
        self.out.write(&crc.to_be_bytes())?;
        self.out.patch(at, &[len, count].concat())?;
        self.series_at = self.out.position;
        Ok(())
    }

    fn symbol_id(&self, symbol: &str) -> Result<u32, TsdbError> {
        let found = self.symbols.get(symbol).copied();
        found.ok_or_else(|| TsdbError::Invalid(format!("symbol entry for {symbol:?} does not exist")))
    }

    /// Adds a series; labels, and chunks in it, must ascend.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), TsdbError> {
        self.finish_symbols()?;
        if self.last_labels.as_ref().is_some_and(|last| labels <= last) {
            return Err(TsdbError::Invalid(format!("series {labels} out of order")));
        }
        if chunks.windows(2).any(|w| w[1].min_ms <= w[0].max_ms || w[1].reference < w[0].reference) {
            return Err(TsdbError::Invalid(format!("chunks of series {labels} overlap or are out of order")));
        }
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        put_uvarint(&mut body, labels.len() as u64);
        for (name, value) in labels {
            let name = self.symbol_id(name)?;
            *self.names.entry(name).or_default() += 1;
            put_uvarint(&mut body, u64::from(name));
            put_uvarint(&mut body, u64::from(self.symbol_id(value)?));
        }
        put_chunks(&mut body, chunks);
        self.out.pad(SERIES_ALIGN as u64)?;
        let id = u32::try_from(self.out.position / SERIES_ALIGN as u64)
            .map_err(|_| TsdbError::Invalid("series section exceeds 64 GiB".to_owned()))?;
        self.ids.push(id);
        let mut len = Vec::with_capacity(5);
        put_uvarint(&mut len, body.len() as u64);
        let crc = crc32c::crc32c(&body);
        body.extend_from_slice(&crc.to_be_bytes());
        self.out.write(&len)?;
        self.out.write(&body)?;
        self.body = body;
        self.last_labels = Some(labels.clone());
        Ok(())
    }

    /// Writes postings and the table of contents, and makes the file durable.
    pub fn finish(mut self) -> Result<(), TsdbError> {
        self.finish_symbols()?;
        let series_end = self.out.position;
        self.out.flush()?;
        let map = map_file(&self.out.path)?;
        // The strings are looked up in the file from here on.
        self.symbols = HashMap::new();
        let bad = |problem: String| TsdbError::corrupt(&self.out.path, problem);
        let symbols = SymbolTable::open(&map, HEADER_BYTES, false).map_err(bad)?;

        let mut table_path = self.out.path.clone().into_os_string();
        table_path.push("_table.tmp");
        let mut table = PostingsTable { out: Out::create(table_path.into())?, entries: 0 };
        self.out.pad(4)?;
        let postings_at = self.out.position;
        let all = std::mem::take(&mut self.ids);
        table.add(&mut self.out, "", "", all.iter().copied(), all.len())?;
        let limit = BATCH_POSTINGS.max(all.len() as u64);
        let mut names = std::mem::take(&mut self.names).into_iter().peekable();
        while names.peek().is_some() {
            let mut batch = Vec::new();
            let mut total = 0;
            while let Some((name, uses)) =
                names.next_if(|&(_, uses)| batch.is_empty() || total + uses <= limit)
            {
                batch.push(name);
                total += uses;
            }
            let entries = collect_batch(&map, &all, &batch, total as usize);
            let entries = entries.map_err(|e| TsdbError::corrupt(&self.out.path, e))?;
            for group in entries.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
                let (name, value, _) = group[0];
                let text = |id| symbols.get(&map, id).map_err(TsdbError::Invalid);
                table.add(
                    &mut self.out,
                    text(name)?,
                    text(value)?,
                    group.iter().map(|e| e.2),
                    group.len(),
                )?;
            }
        }
        let table_at = self.out.position;
        table.append_to(&mut self.out)?;
        self.write_toc(series_end, postings_at, table_at)
    }

    fn write_toc(&mut self, series_end: u64, postings_at: u64, table_at: u64) -> Result<(), TsdbError> {
        let mut toc = Vec::new();
        // Label indices are no longer used by anyone; their place marks the end of the series.
        for at in [HEADER_BYTES as u64, self.series_at, series_end, table_at, postings_at, table_at] {
            put_u64(&mut toc, at);
        }
        let crc = crc32c::crc32c(&toc);
        toc.extend_from_slice(&crc.to_be_bytes());
        self.out.write(&toc)?;
        self.out.sync()
    }
}

fn put_chunks(body: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(body, chunks.len() as u64);
    let mut previous: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match previous {
            None => put_varint(body, chunk.min_ms),
            Some(previous) => put_uvarint(body, chunk.min_ms.wrapping_sub(previous.max_ms) as u64),
        }
        put_uvarint(body, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
        match previous {
            None => put_uvarint(body, chunk.reference),
            Some(previous) => put_varint(body, chunk.reference.wrapping_sub(previous.reference) as i64),
        }
        previous = Some(chunk);
    }
}

/// `(name, value, series)` of all series that have one of the names, sorted.
fn collect_batch(
    file: &[u8],
    ids: &[u32],
    names: &[u32],
    expected: usize,
) -> Result<Vec<(u32, u32, u32)>, RecordError> {
    let mut entries = Vec::with_capacity(expected);
    for &id in ids {
        let mut decoder = Decoder::new(file.get(id as usize * SERIES_ALIGN..).unwrap_or_default());
        decoder.uvarint()?;
        for _ in 0..decoder.uvarint()? {
            let (name, value) = (decoder.uvarint()? as u32, decoder.uvarint()? as u32);
            if names.binary_search(&name).is_ok() {
                entries.push((name, value, id));
            }
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

/// The postings table, kept in a file of its own until the postings are written.
#[derive(Debug)]
struct PostingsTable {
    out: Out,
    entries: u32,
}

impl PostingsTable {
    /// Writes a list of series to `out` and its entry to the table.
    fn add(
        &mut self,
        out: &mut Out,
        name: &str,
        value: &str,
        ids: impl Iterator<Item = u32>,
        count: usize,
    ) -> Result<(), TsdbError> {
        out.pad(4)?;
        let mut entry = Vec::with_capacity(name.len() + value.len() + 12);
        put_uvarint(&mut entry, 2);
        put_bytes(&mut entry, name.as_bytes());
        put_bytes(&mut entry, value.as_bytes());
        put_uvarint(&mut entry, out.position);
        self.out.write(&entry)?;
        self.entries += 1;

        let mut list = Vec::with_capacity(12 + count * 4);
        list.extend_from_slice(&u32_len(count as u64 * 4 + 4, "postings list")?.to_be_bytes());
        list.extend_from_slice(&(count as u32).to_be_bytes());
        ids.for_each(|id| list.extend_from_slice(&id.to_be_bytes()));
        let crc = crc32c::crc32c(&list[4..]);
        list.extend_from_slice(&crc.to_be_bytes());
        out.write(&list)
    }

    /// Copies the table to the end of `out` and removes its file.
    fn append_to(mut self, out: &mut Out) -> Result<(), TsdbError> {
        let len = u32_len(self.out.position + 4, "postings table")?;
        self.out.flush()?;
        let path = self.out.path.clone();
        let file = self.out.file.get_mut();
        file.rewind().map_err(TsdbError::io("read", &path))?;
        let count = self.entries.to_be_bytes();
        out.write(&len.to_be_bytes())?;
        out.write(&count)?;
        let mut crc = crc32c::crc32c(&count);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer).map_err(TsdbError::io("read", &path))?;
            if read == 0 {
                break;
            }
            crc = crc32c::crc32c_append(crc, &buffer[..read]);
            out.write(&buffer[..read])?;
        }
        out.write(&crc.to_be_bytes())?;
        std::fs::remove_file(&path).map_err(TsdbError::io("remove", &path))
    }
}
