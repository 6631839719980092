//! Finding the ends of tokens.

use memchr::{memchr, memchr2, memchr3};

const NAME_START: u8 = 1;
const NAME: u8 = 2;
const COLON: u8 = 4;

/// Which part of a name each byte can be.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphabetic() || b == b'_' {
            class[byte] = NAME_START | NAME;
        } else if b.is_ascii_digit() {
            class[byte] = NAME;
        } else if b == b':' {
            class[byte] = COLON;
        }
        byte += 1;
    }
    class
};

#[inline(always)]
pub(super) fn starts_label_name(byte: u8) -> bool {
    CLASS[usize::from(byte)] & NAME_START != 0
}

#[inline(always)]
pub(super) fn starts_metric_name(byte: u8) -> bool {
    CLASS[usize::from(byte)] & (NAME_START | COLON) != 0
}

/// The end of the label name that starts at `pos`.
#[inline(always)]
pub(super) fn label_name_end(bytes: &[u8], mut pos: usize) -> usize {
    while pos < bytes.len() && CLASS[usize::from(bytes[pos])] & NAME != 0 {
        pos += 1;
    }
    pos
}

/// The end of the metric name that starts at `pos`.
#[inline(always)]
pub(super) fn metric_name_end(bytes: &[u8], mut pos: usize) -> usize {
    while pos < bytes.len() && CLASS[usize::from(bytes[pos])] & (NAME | COLON) != 0 {
        pos += 1;
    }
    pos
}

/// The first byte at or after `pos` that is neither space nor tab.
#[inline(always)]
pub(super) fn skip_blanks(bytes: &[u8], mut pos: usize) -> usize {
    while pos < bytes.len() && matches!(bytes[pos], b' ' | b'\t') {
        pos += 1;
    }
    pos
}

/// The next newline at or after `pos`, or the end.
#[inline]
pub(super) fn line_end(bytes: &[u8], pos: usize) -> usize {
    memchr(b'\n', &bytes[pos..]).map_or(bytes.len(), |at| pos + at)
}

/// What a quoted string may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quotable {
    pub newline: bool,
    pub nul: bool,
}

/// The end of the quoted string that opens at `open`, its closing quote included. Fails with the place
/// at which it can no longer be one.
#[inline]
pub(super) fn quoted_end(bytes: &[u8], open: usize, may: Quotable) -> Result<usize, usize> {
    let mut pos = open + 1;
    loop {
        let rest = &bytes[pos..];
        let found = if may.newline { memchr2(b'"', b'\\', rest) } else { memchr3(b'"', b'\\', b'\n', rest) };
        let at = pos + found.unwrap_or(rest.len());
        if !may.nul
            && let Some(nul) = memchr(0, &bytes[pos..at])
        {
            return Err(pos + nul);
        }
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                None | Some(b'\n') => return Err(at + 1),
                Some(0) if !may.nul => return Err(at + 1),
                Some(_) => pos = at + 2,
            },
            _ => return Err(at),
        }
    }
}
