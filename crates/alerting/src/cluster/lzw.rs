//! Unpacking of Lempel-Ziv-Welch data as members of a cluster send it: bytes, codes from their lowest bit on, a
//! code that clears the table and one that ends the data, as in GIF images.
//!
//! Nothing is packed here: messages are small, and every member takes them as they are.

const CLEAR: u16 = 256;
const END: u16 = 257;
const MAX_BITS: u32 = 12;

/// Why data cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LzwError {
    /// It is no such data, or its end is missing.
    #[error("packed data is damaged")]
    Damaged,
    /// It would become larger than is allowed.
    #[error("packed data is larger than {0} bytes")]
    Large(usize),
}

/// The table of one stretch between two clearings.
struct Table {
    /// For each code the code of all bytes but the last, and the last byte.
    entries: Vec<(u16, u8)>,
    bits: u32,
}

impl Table {
    fn new() -> Self {
        let mut entries = Vec::with_capacity(1 << MAX_BITS);
        entries.extend((0..=END).map(|code| (END, code as u8)));
        Self { entries, bits: 9 }
    }

    fn clear(&mut self) {
        self.entries.truncate(usize::from(END) + 1);
        self.bits = 9;
    }

    /// Appends the bytes of a code in their order. Says the first.
    fn expand(&self, code: u16, out: &mut Vec<u8>) -> Option<u8> {
        let start = out.len();
        let mut at = code;
        loop {
            let (before, last) = *self.entries.get(usize::from(at))?;
            out.push(last);
            if before == END {
                break;
            }
            at = before;
        }
        out[start..].reverse();
        out.get(start).copied()
    }

    fn add(&mut self, before: u16, last: u8) {
        if self.entries.len() < 1 << MAX_BITS {
            self.entries.push((before, last));
        }
        // The writer is one entry ahead: codes widen as soon as the next entry would not fit.
        if self.entries.len() + 1 > 1 << self.bits && self.bits < MAX_BITS {
            self.bits += 1;
        }
    }
}

/// Unpacks data that becomes no larger than `limit` bytes.
pub fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, LzwError> {
    let (mut table, mut out) = (Table::new(), Vec::new());
    let (mut buffer, mut filled) = (0_u32, 0);
    let mut previous: Option<u16> = None;
    let mut bytes = packed.iter();
    loop {
        while filled < table.bits {
            let byte = bytes.next().ok_or(LzwError::Damaged)?;
            buffer |= u32::from(*byte) << filled;
            filled += 8;
        }
        let code = (buffer & ((1 << table.bits) - 1)) as u16;
        buffer >>= table.bits;
        filled -= table.bits;
        match (code, previous) {
            (CLEAR, _) => {
                table.clear();
                previous = None;
                continue;
            }
            (END, _) => return Ok(out),
            (_, None) if code > 255 => return Err(LzwError::Damaged),
            (_, None) => out.push(code as u8),
            (_, Some(before)) if usize::from(code) < table.entries.len() => {
                let first = table.expand(code, &mut out).ok_or(LzwError::Damaged)?;
                table.add(before, first);
            }
            (_, Some(before)) if usize::from(code) == table.entries.len() => {
                // The code that is just being made: what came before, and its first byte again.
                let first = table.expand(before, &mut out).ok_or(LzwError::Damaged)?;
                out.push(first);
                table.add(before, first);
            }
            _ => return Err(LzwError::Damaged),
        }
        if out.len() > limit {
            return Err(LzwError::Large(limit));
        }
        previous = Some(code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs as Go's `compress/lzw` does, to test against.
    fn pack(data: &[u8]) -> Vec<u8> {
        let (mut out, mut buffer, mut filled) = (Vec::new(), 0_u32, 0);
        let mut put = |code: u32, bits: u32, last: bool| {
            buffer |= code << filled;
            filled += bits;
            while filled >= 8 || last && filled > 0 {
                out.push(buffer as u8);
                buffer >>= 8;
                filled = filled.saturating_sub(8);
            }
        };
        let mut codes = std::collections::HashMap::new();
        let (mut bits, mut next) = (9, u32::from(END) + 1);
        put(u32::from(CLEAR), bits, false);
        let mut current: Option<u32> = None;
        for byte in data.iter().map(|byte| u32::from(*byte)) {
            let Some(code) = current else {
                current = Some(byte);
                continue;
            };
            if let Some(known) = codes.get(&(code, byte)) {
                current = Some(*known);
                continue;
            }
            put(code, bits, false);
            current = Some(byte);
            if next == (1 << MAX_BITS) - 1 {
                put(u32::from(CLEAR), bits, false);
                codes.clear();
                (bits, next) = (9, u32::from(END) + 1);
            } else {
                codes.insert((code, byte), next);
                next += 1;
                // A code is widened once the one just made does not fit.
                if next > 1 << bits {
                    bits += 1;
                }
            }
        }
        if let Some(code) = current {
            put(code, bits, false);
            next += 1;
            if next > 1 << bits && bits < MAX_BITS {
                bits += 1;
            }
        }
        put(u32::from(END), bits, true);
        out
    }

    #[test]
    fn what_was_packed_comes_back() {
        let text: Vec<u8> = (0..60_000_u32).map(|i| (i * i / 77 % 11) as u8 + b'a').collect();
        let noise: Vec<u8> = (0..30_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for data in [&b""[..], b"a", b"aaaaaaaaaa", &text, &noise] {
            assert_eq!(unpack(&pack(data), 1 << 20).unwrap(), data, "{} bytes", data.len());
        }
    }

    #[test]
    fn damage_and_bombs_are_refused() {
        let packed = pack(&[0; 100_000]);
        assert_eq!(unpack(&packed, 1000), Err(LzwError::Large(1000)));
        assert_eq!(unpack(&packed[..packed.len() / 2], 1 << 20), Err(LzwError::Damaged));
        assert_eq!(unpack(&[0xff; 9], 1000), Err(LzwError::Damaged));
    }
}
