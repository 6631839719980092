//! Reading the records of a segment, past whatever is damaged.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::WalError;
use super::compression::{Compression, decompress};
use super::damage::{CUT_OFF, Damage};
use super::frame::{HEADER_BYTES, PAGE_BYTES, Position, read_header, read_type};

/// What [`SegmentReader::next`] found.
#[derive(Debug)]
pub enum ReadEvent<'a> {
    /// A record, decompressed.
    Record(&'a [u8]),
    /// A place that was skipped.
    Damage(Damage),
    /// The end of the segment.
    End,
}

/// Reads one segment. Also reads the segment a running process writes to: its end is then torn.
#[derive(Debug)]
pub struct SegmentReader {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Valid bytes of `buffer`, and where in it reading goes on.
    filled: usize,
    at: usize,
    /// Offset in the file of `buffer[0]`: always a multiple of the page size.
    base: u64,
    /// Nothing at or behind this offset is read for now.
    limit: u64,
    end_of_file: bool,
    fragments: Vec<u8>,
    record: Vec<u8>,
    record_start: u64,
    /// After damage, the rest of the record it hit is dropped without further report.
    skipping: bool,
}

/// What became of one fragment.
enum Step {
    Complete(Compression),
    Continue,
    End,
    /// The bytes make no sense: go on at the next page.
    Bad(String),
    /// A sound fragment in a place where it does not belong: go on behind the record it belongs to.
    Misplaced(&'static str),
}

const BUFFER_PAGES: usize = 32;

impl SegmentReader {
    /// Opens a segment.
    pub fn open(path: &Path) -> Result<Self, WalError> {
        Self::open_at(path, 0)
    }

    /// Opens a segment at the start of a record.
    pub fn open_at(path: &Path, offset: u64) -> Result<Self, WalError> {
        let mut file = File::open(path).map_err(WalError::io("open", path))?;
        let in_page = (offset % PAGE_BYTES as u64) as usize;
        let base = offset - in_page as u64;
        file.seek(SeekFrom::Start(base)).map_err(WalError::io("seek", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            buffer: vec![0; BUFFER_PAGES * PAGE_BYTES],
            filled: 0,
            at: in_page,
            base,
            limit: u64::MAX,
            end_of_file: false,
            fragments: Vec::new(),
            record: Vec::new(),
            record_start: offset,
            skipping: false,
        })
    }

    /// Reads only what lies before `limit`, the end of a record, and then tells the end. A later, higher limit
    /// lets reading go on from there.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.end_of_file = false;
    }

    /// Offset in the file after what was read.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The record returned last, once more.
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// Offset at which the record returned last begins.
    pub fn record_start(&self) -> u64 {
        self.record_start
    }

    /// The next record, damage or the end.
    #[allow(clippy::should_implement_trait, reason = "records borrow from the reader")]
    pub fn next(&mut self) -> Result<ReadEvent<'_>, WalError> {
        self.fragments.clear();
        let mut started = false;
        loop {
            if !started {
                self.record_start = self.offset();
            }
            match self.step(&mut started)? {
                Step::Continue => {}
                Step::Complete(how) => match decompress(how, &self.fragments, &mut self.record) {
                    Ok(()) => return Ok(ReadEvent::Record(&self.record)),
                    // The frame is intact: the next record follows at once.
                    Err(reason) => return Ok(ReadEvent::Damage(self.damage(reason, false))),
                },
                Step::End if started => {
                    let damage = self.damage(format!("last record {CUT_OFF}"), true);
                    return Ok(ReadEvent::Damage(damage));
                }
                Step::End => return Ok(ReadEvent::End),
                Step::Misplaced(reason) => {
                    return Ok(ReadEvent::Damage(self.damage(reason.to_owned(), false)));
                }
                Step::Bad(reason) => {
                    self.skip_page();
                    self.skipping = true;
                    let torn_end = !self.fill()?;
                    return Ok(ReadEvent::Damage(self.damage(reason, torn_end)));
                }
            }
        }
    }

    fn damage(&self, reason: String, torn_end: bool) -> Damage {
        Damage { path: self.path.clone(), offset: self.record_start, torn_end, reason }
    }

    /// Reads one fragment into `fragments`.
    fn step(&mut self, started: &mut bool) -> Result<Step, WalError> {
        if !self.fill()? {
            return Ok(Step::End);
        }
        let page_end = (self.at / PAGE_BYTES + 1) * PAGE_BYTES;
        let here = &self.buffer[self.at..page_end.min(self.filled)];
        let Some((position, compression)) = read_type(here[0]) else {
            return Ok(Step::Bad(format!("invalid fragment type {:#04x}", here[0])));
        };
        if position == Position::PageEnd {
            if here.iter().any(|&byte| byte != 0) {
                return Ok(Step::Bad("unexpected non-zero byte in the padding of a page".to_owned()));
            }
            self.at = page_end.min(self.filled);
            return Ok(Step::Continue);
        }
        let Some((header, rest)) = here.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Step::Bad(format!("fragment header {CUT_OFF}")));
        };
        let Some(header) = read_header(header) else {
            return Ok(Step::Bad("invalid fragment header".to_owned()));
        };
        let Some(data) = rest.get(..header.len) else {
            return Ok(Step::Bad(format!("fragment of {} bytes {CUT_OFF}", header.len)));
        };
        let actual = crc32c::crc32c(data);
        if actual != header.checksum {
            return Ok(Step::Bad(format!("unexpected checksum {actual:x}, expected {:x}", header.checksum)));
        }
        let end = self.at + HEADER_BYTES + header.len;
        let begins = matches!(position, Position::Full | Position::First);
        if self.skipping && !begins {
            self.at = end;
            return Ok(Step::Continue);
        }
        self.skipping = false;
        if begins && *started {
            // The fragment itself is the start of a sound record and is read again as such.
            return Ok(Step::Misplaced("record ends without its last fragment"));
        }
        if !begins && !*started {
            self.at = end;
            self.skipping = true;
            return Ok(Step::Misplaced("record has no first fragment"));
        }
        *started = true;
        self.fragments.extend_from_slice(data);
        self.at = end;
        Ok(match position {
            Position::Full | Position::Last => Step::Complete(compression),
            _ => Step::Continue,
        })
    }

    /// Goes to the next page, where frames can be found again.
    fn skip_page(&mut self) {
        self.at = ((self.at / PAGE_BYTES + 1) * PAGE_BYTES).min(self.filled);
    }

    /// Makes sure that at least one byte, and the whole page if the file has it, is buffered at `at`.
    fn fill(&mut self) -> Result<bool, WalError> {
        if self.at < self.filled {
            return Ok(true);
        }
        if self.end_of_file {
            return Ok(false);
        }
        // After an end inside a page, the rest of that page goes behind what is there of it.
        if self.filled.is_multiple_of(PAGE_BYTES) {
            // `at` is beyond `filled` only right after opening inside a page.
            let skip = if self.filled == 0 { self.at } else { 0 };
            self.base += self.filled as u64;
            (self.filled, self.at) = (0, skip);
        }
        while self.filled < self.buffer.len() {
            let allowed = self.limit.saturating_sub(self.base + self.filled as u64);
            let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
            let end = self.buffer.len().min(self.filled.saturating_add(allowed));
            match self.file.read(&mut self.buffer[self.filled..end]) {
                Ok(0) => {
                    self.end_of_file = true;
                    break;
                }
                Ok(n) => self.filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(WalError::io("read", &self.path)(error)),
            }
        }
        Ok(self.at < self.filled)
    }
}
