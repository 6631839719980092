//! The segment files of a block's `chunks/` directory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use chunkenc::Encoding;
use memmap2::Mmap;

use crate::error::TsdbError;
use crate::wal::codec::{Decoder, put_uvarint};

/// The name of the directory.
pub const CHUNKS_DIR: &str = "chunks";
/// Segments are cut before they grow beyond this.
pub const MAX_SEGMENT_BYTES: u64 = 512 << 20;

const MAGIC: u32 = 0x85bd_40dd;
const VERSION: u8 = 1;
const HEADER_BYTES: u64 = 8;
/// The encoding number Thanos gives to chunks of downsampled aggregates.
const AGGREGATE_ENCODING: u8 = 0xff;

/// Maps a whole file into memory.
pub(crate) fn map_file(path: &Path) -> Result<Mmap, TsdbError> {
    let file = File::open(path).map_err(TsdbError::io("open", path))?;
    // SAFETY: files of blocks are never changed in place: they are written under another name and
    // renamed, and removed as a whole, which keeps a mapping alive.
    unsafe { Mmap::map(&file) }.map_err(TsdbError::io("map", path))
}

/// All segments of a block, mapped.
#[derive(Debug)]
pub struct ChunkFiles {
    dir: PathBuf,
    segments: Vec<(PathBuf, Mmap)>,
}

impl ChunkFiles {
    /// Maps the segments in `dir` and checks their headers.
    pub fn open(dir: &Path) -> Result<Self, TsdbError> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(TsdbError::io("list", dir))? {
            let entry = entry.map_err(TsdbError::io("list", dir))?;
            if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()) {
                paths.push((number, entry.path()));
            }
        }
        paths.sort();
        let mut segments = Vec::with_capacity(paths.len());
        for (_, path) in paths {
            let map = map_file(&path)?;
            let header =
                map.get(..HEADER_BYTES as usize).ok_or_else(|| TsdbError::corrupt(&path, "no header"))?;
            if header[..4] != MAGIC.to_be_bytes() {
                return Err(TsdbError::corrupt(&path, "invalid magic number"));
            }
            if header[4] != VERSION {
                return Err(TsdbError::corrupt(&path, format!("invalid chunk format version {}", header[4])));
            }
            segments.push((path, map));
        }
        Ok(Self { dir: dir.to_path_buf(), segments })
    }

    /// The chunk with this reference (segment index, then offset), its checksum verified.
    pub fn chunk(&self, reference: u64) -> Result<(Encoding, &[u8]), TsdbError> {
        let (segment, offset) = ((reference >> 32) as usize, (reference & 0xffff_ffff) as usize);
        let Some((path, map)) = self.segments.get(segment) else {
            return Err(TsdbError::corrupt(&self.dir, format!("segment {} is missing", segment + 1)));
        };
        let found = parse_chunk(map.get(offset..).unwrap_or_default());
        found.map_err(|problem| TsdbError::corrupt(path, format!("chunk at offset {offset}: {problem}")))
    }

    /// Size of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|(_, map)| map.len() as u64).sum()
    }
}

fn parse_chunk(bytes: &[u8]) -> Result<(Encoding, &[u8]), String> {
    let mut decoder = Decoder::new(bytes);
    let short = |_| "ends beyond the file".to_owned();
    let len = decoder.uvarint().map_err(short)?;
    let len = usize::try_from(len).ok().and_then(|n| n.checked_add(1)).ok_or("ends beyond the file")?;
    let body = decoder.take(len).map_err(short)?;
    let crc = decoder.take(4).map_err(short)?;
    if crc32c::crc32c(body).to_be_bytes() != crc {
        return Err("checksum mismatch".to_owned());
    }
    if body[0] == AGGREGATE_ENCODING {
        return Err("holds downsampled aggregates, which are read from a bucket only".to_owned());
    }
    let encoding = Encoding::from_byte(body[0]).map_err(|error| error.to_string())?;
    Ok((encoding, &body[1..]))
}

/// Writes chunks into segment files.
#[derive(Debug)]
pub struct ChunkWriter {
    dir: PathBuf,
    max_segment_bytes: u64,
    open: Option<(PathBuf, BufWriter<File>)>,
    segments: u64,
    position: u64,
    scratch: Vec<u8>,
}

impl ChunkWriter {
    /// Creates `dir` and writes there. Segments are cut at `max_segment_bytes`.
    pub fn create(dir: &Path, max_segment_bytes: u64) -> Result<Self, TsdbError> {
        std::fs::create_dir_all(dir).map_err(TsdbError::io("create", dir))?;
        let dir = dir.to_path_buf();
        // References have 32 bits for the offset.
        let max_segment_bytes = max_segment_bytes.min(u64::from(u32::MAX));
        Ok(Self { dir, max_segment_bytes, open: None, segments: 0, position: 0, scratch: Vec::new() })
    }

    /// Writes a chunk and returns its reference.
    pub fn write(&mut self, encoding: Encoding, bytes: &[u8]) -> Result<u64, TsdbError> {
        self.scratch.clear();
        put_uvarint(&mut self.scratch, bytes.len() as u64);
        let body_at = self.scratch.len();
        self.scratch.push(encoding.as_byte());
        self.scratch.extend_from_slice(bytes);
        let crc = crc32c::crc32c(&self.scratch[body_at..]);
        self.scratch.extend_from_slice(&crc.to_be_bytes());
        let size = self.scratch.len() as u64;
        if self.open.is_none()
            || (self.position > HEADER_BYTES && self.position + size > self.max_segment_bytes)
        {
            self.cut()?;
        }
        let Some((path, file)) = &mut self.open else {
            return Err(TsdbError::Invalid("no open chunk segment".to_owned()));
        };
        file.write_all(&self.scratch).map_err(TsdbError::io("write", path))?;
        let reference = ((self.segments - 1) << 32) | self.position;
        self.position += size;
        Ok(reference)
    }

    fn cut(&mut self) -> Result<(), TsdbError> {
        self.close()?;
        self.segments += 1;
        let path = self.dir.join(format!("{:06}", self.segments));
        let file = File::create(&path).map_err(TsdbError::io("create", &path))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut header = [0; HEADER_BYTES as usize];
        header[..4].copy_from_slice(&MAGIC.to_be_bytes());
        header[4] = VERSION;
        file.write_all(&header).map_err(TsdbError::io("write", &path))?;
        self.position = HEADER_BYTES;
        self.open = Some((path, file));
        Ok(())
    }

    fn close(&mut self) -> Result<(), TsdbError> {
        if let Some((path, mut file)) = self.open.take() {
            file.flush().map_err(TsdbError::io("write", &path))?;
            file.get_ref().sync_all().map_err(TsdbError::io("sync", &path))?;
        }
        Ok(())
    }

    /// Makes everything durable.
    pub fn finish(mut self) -> Result<(), TsdbError> {
        self.close()?;
        super::meta::sync_dir(&self.dir)
    }
}
