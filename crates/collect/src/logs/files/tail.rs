//! Reading one file: from its offset on, as far as entries are complete.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::FileOptions;
use crate::logs::archive::Archive;
use crate::logs::entries::{Cut, Ending, LOOKAHEAD_BYTES, cut};
use crate::logs::mark::{Mark, window};
use crate::logs::positions::{FileId, FilePosition, Pending};
use crate::logs::rotation::Compression;

/// Bytes that are read of a file at a time, at least.
const CHUNK_BYTES: usize = 512 << 10;
/// More than any batch holds of one file.
const MAX_PENDING_BYTES: u64 = 256 << 20;
/// How long programs may take to notice that their log was rotated.
const GRACE: Duration = Duration::from_secs(10);

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Tail {
    id: FileId,
    /// The path of the log.
    pub log: String,
    /// Where the file is, as far as is known.
    pub path: PathBuf,
    /// Whether it is the one that is written now.
    pub is_live: bool,
    /// Bytes whose entries are stored.
    pub offset: u64,
    pub mark: Mark,
    /// Bytes that were on their way when the process ended, and have to become the same entries.
    pub pending: Option<Pending>,
    /// Bytes of the file when it was last looked at.
    pub size: u64,
    /// When something was last read of it.
    pub read_at: Duration,
    /// Whether the positions on disk are behind.
    pub is_unsaved: bool,
    pub saved_ms: i64,
    content: Content,
    changed_at: Duration,
    modified_ns: i128,
    /// The size and the ending with which nothing was complete.
    fruitless: Option<(u64, Ending)>,
    is_done: bool,
}

#[derive(Debug)]
enum Content {
    Plain(Option<File>),
    Archive(Option<Archive>, Compression),
}

/// Entries that were read.
#[derive(Debug)]
pub(super) struct Read {
    /// What was read, up to the end of the last entry, with bytes before the offset.
    pub bytes: Bytes,
    /// How many bytes lie before the offset.
    pub ahead: usize,
    /// Entries, counted from the offset.
    pub cut: Cut,
    mark: Mark,
}

/// What a file has to offer.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Entries(Read),
    /// It does not hold any more what was read.
    Truncated,
}

impl Tail {
    /// A file that is read from where its position says.
    pub fn new(
        id: FileId,
        path: PathBuf,
        position: FilePosition,
        compression: Compression,
        is_live: bool,
        now: Duration,
    ) -> Self {
        let content = match compression {
            Compression::None => Content::Plain(None),
            compression => Content::Archive(None, compression),
        };
        let is_sound = |pending: &Pending| {
            pending.to > position.offset && pending.to - position.offset <= MAX_PENDING_BYTES
        };
        Self {
            id,
            pending: position.pending.filter(is_sound),
            log: position.log,
            path,
            is_live,
            offset: position.offset,
            mark: position.mark,
            size: 0,
            read_at: Duration::ZERO,
            is_unsaved: false,
            saved_ms: position.seen_ms,
            content,
            changed_at: now,
            modified_ns: 0,
            fruitless: None,
            is_done: position.is_done,
        }
    }

    /// Uses an open file in place of opening its path.
    pub fn with_file(mut self, file: File) -> Self {
        if let Content::Plain(place) = &mut self.content {
            *place = Some(file);
        }
        self
    }

    /// What is to be noted of it.
    pub fn position(&self, seen_ms: i64, pending: Option<Pending>) -> FilePosition {
        let Self { log, offset, mark, is_done, .. } = self;
        FilePosition {
            log: log.clone(),
            offset: *offset,
            mark: *mark,
            // What was pending and is not read yet stays so.
            pending: pending.or(self.pending),
            is_done: *is_done,
            seen_ms,
        }
    }

    pub fn is_archive(&self) -> bool {
        matches!(self.content, Content::Archive(..))
    }

    pub fn is_open(&self) -> bool {
        matches!(self.content, Content::Plain(Some(_)))
    }

    pub fn close(&mut self) {
        if let Content::Plain(file) = &mut self.content {
            *file = None;
        }
    }

    /// Another file has its path.
    pub fn leave(&mut self, now: Duration) {
        self.is_live = false;
        self.changed_at = now;
    }

    /// Whether it is read to its end and nobody writes to it any more.
    pub fn is_over(&self, now: Duration) -> bool {
        match &self.content {
            Content::Archive(..) => self.is_done,
            Content::Plain(_) => !self.is_live && self.is_quiet(now, GRACE) && self.offset >= self.size,
        }
    }

    fn is_quiet(&self, now: Duration, pause: Duration) -> bool {
        now.saturating_sub(self.changed_at) >= pause
    }

    /// Begins anew with other content.
    pub fn restart(&mut self) {
        (self.offset, self.mark, self.pending, self.fruitless) = (0, Mark::nothing(), None, None);
        self.is_unsaved = true;
    }

    /// Moves the offset behind what is stored.
    pub fn advance(&mut self, read: &Read) {
        self.offset += read.cut.consumed as u64;
        self.mark = read.mark;
        self.pending = None;
        self.fruitless = None;
        self.is_unsaved = true;
        if let Content::Archive(Some(archive), _) = &mut self.content {
            archive.advance(read.cut.consumed);
        }
    }

    /// Reads what is complete.
    pub fn read(&mut self, options: &FileOptions, now: Duration) -> io::Result<Found> {
        match self.content {
            Content::Plain(_) => self.read_plain(options, now),
            Content::Archive(..) => self.read_archive(options),
        }
    }

    fn read_plain(&mut self, options: &FileOptions, now: Duration) -> io::Result<Found> {
        let entries = options.entries_of(&self.log);
        let Content::Plain(place) = &mut self.content else { return Ok(Found::Nothing) };
        let file = match place {
            Some(file) => file,
            None => {
                let metadata = std::fs::metadata(&self.path)?;
                let is_new = (metadata.len(), modified_ns(&metadata)) != (self.size, self.modified_ns);
                if !is_new && self.pending.is_none() && entries.multiline.is_none() {
                    return Ok(Found::Nothing);
                }
                place.insert(File::open(&self.path)?)
            }
        };
        let metadata = file.metadata()?;
        if FileId::of(&metadata) != self.id {
            // Another file took the path just now.
            *place = None;
            return Ok(Found::Nothing);
        }
        let modified_ns = modified_ns(&metadata);
        if (metadata.len(), modified_ns) != (self.size, self.modified_ns) {
            (self.size, self.modified_ns, self.changed_at) = (metadata.len(), modified_ns, now);
            self.fruitless = None;
        }
        if self.size < self.offset {
            return Ok(Found::Truncated);
        }
        let quiet = now.saturating_sub(self.changed_at);
        let ending = if !self.is_live && quiet >= GRACE {
            Ending::Closed
        } else if entries.multiline.is_some() && quiet >= options.multiline_timeout {
            Ending::Settled
        } else {
            Ending::Open
        };
        if self.fruitless == Some((self.size, ending)) {
            return Ok(Found::Nothing);
        }
        let chunk = chunk_bytes(options);
        let (limit, ending) = match self.pending {
            Some(pending) if pending.to > self.size => return Ok(Found::Truncated),
            Some(pending) => (pending.to - self.offset, Ending::Closed),
            None if self.size - self.offset > chunk as u64 => (chunk as u64, Ending::Open),
            None => (self.size - self.offset, ending),
        };
        let ahead = window(self.offset);
        let mut bytes = vec![0; ahead + usize::try_from(limit).unwrap_or(usize::MAX)];
        let filled = read_at(file, &mut bytes, self.offset - ahead as u64)?;
        bytes.truncate(filled);
        if filled < ahead || !self.mark.ends_with(&bytes[..ahead]) {
            return Ok(Found::Truncated);
        }
        let mut cut = cut(&bytes[ahead..], &entries, ending);
        if self.pending.is_none() {
            cut.keep(super::BATCH_ENTRIES);
        }
        if cut.entries.is_empty() {
            self.fruitless = Some((self.size, ending));
            return Ok(Found::Nothing);
        }
        bytes.truncate(ahead + cut.consumed);
        let mark = self.mark.behind(&bytes, ahead);
        Ok(Found::Entries(Read { bytes: bytes.into(), ahead, cut, mark }))
    }

    fn read_archive(&mut self, options: &FileOptions) -> io::Result<Found> {
        let Content::Archive(archive, compression) = &mut self.content else { return Ok(Found::Nothing) };
        if self.is_done {
            return Ok(Found::Nothing);
        }
        let archive = match archive {
            Some(archive) => archive,
            None => {
                let file = File::open(&self.path)?;
                if FileId::of(&file.metadata()?) != self.id {
                    return Ok(Found::Nothing);
                }
                archive.insert(Archive::open(file, *compression, self.offset)?)
            }
        };
        let (limit, is_pending) = match self.pending {
            Some(pending) => (usize::try_from(pending.to - self.offset).unwrap_or(usize::MAX), true),
            None => (chunk_bytes(options), false),
        };
        let (bytes, is_end) = archive.peek(limit)?;
        let ending = if is_end || is_pending { Ending::Closed } else { Ending::Open };
        let mut cut = cut(bytes, &options.entries_of(&self.log), ending);
        if !is_pending {
            cut.keep(super::BATCH_ENTRIES);
        }
        if cut.entries.is_empty() {
            self.is_done = is_end;
            return Ok(Found::Nothing);
        }
        let bytes = Bytes::copy_from_slice(&bytes[..cut.consumed]);
        let mark = archive.mark(cut.consumed);
        Ok(Found::Entries(Read { bytes, ahead: 0, cut, mark }))
    }
}

/// Enough for two entries and what tells where the second one ends.
fn chunk_bytes(options: &FileOptions) -> usize {
    CHUNK_BYTES.max(2 * (options.entries.max_bytes + LOOKAHEAD_BYTES))
}

fn modified_ns(metadata: &std::fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

/// Fills as much of the buffer as the file has.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
