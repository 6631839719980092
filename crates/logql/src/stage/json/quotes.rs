//! Where strings end: the quotes of a text, found for a block of it at a time.

/// Bytes that are looked at at once: a bit for each fits a register.
const BLOCK: usize = 64;

/// The quotes of a text that are not escaped, asked for from front to back.
#[derive(Debug)]
pub(super) struct Quotes<'a> {
    bytes: &'a [u8],
    /// Where the block begins that was looked at last, and the quotes in it: the lowest bit is its first byte.
    block: usize,
    quotes: u64,
    /// Whether the byte behind the block is escaped by the last one in it.
    is_next_escaped: bool,
    has_escapes: bool,
}

// All of it is put where it is called: parsing takes nearly twice as long where it is not.
impl<'a> Quotes<'a> {
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut quotes = Self { bytes, block: 0, quotes: 0, is_next_escaped: false, has_escapes: false };
        quotes.look();
        quotes
    }

    /// The first quote from a place on. Places do not go back before what was found.
    #[inline(always)]
    pub fn next(&mut self, from: usize) -> Option<usize> {
        loop {
            if from < self.block + BLOCK {
                let before = from.saturating_sub(self.block);
                let left = self.quotes >> before << before;
                if left != 0 {
                    return Some(self.block + left.trailing_zeros() as usize);
                }
            }
            self.block += BLOCK;
            if self.block >= self.bytes.len() {
                return None;
            }
            self.look();
        }
    }

    /// Whether there may be escapes before the last quote that was found.
    #[inline(always)]
    pub fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Looks at the block that begins where `block` says.
    #[inline(always)]
    fn look(&mut self) {
        let rest = &self.bytes[self.block..];
        let (quotes, escapes) = match (rest.first_chunk(), self.bytes.last_chunk()) {
            (Some(block), _) => marks(block),
            // The last bytes of the text, of which those before the block are left out.
            (None, Some(last)) => {
                let ((quotes, escapes), before) = (marks(last), BLOCK - rest.len());
                (quotes >> before, escapes >> before)
            }
            (None, None) => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                marks(&block)
            }
        };
        self.quotes = quotes;
        if escapes != 0 || self.is_next_escaped {
            self.take_out_escaped(escapes);
        }
    }

    #[cold]
    fn take_out_escaped(&mut self, escapes: u64) {
        self.has_escapes = true;
        // What follows a backslash is no quote, and escapes nothing itself.
        let mut is_escaped = std::mem::take(&mut self.is_next_escaped);
        for at in 0..BLOCK {
            if is_escaped {
                self.quotes &= !(1 << at);
                is_escaped = false;
            } else {
                is_escaped = escapes >> at & 1 == 1;
            }
        }
        self.is_next_escaped = is_escaped;
    }
}

/// The quotes and the backslashes of a block, a bit for each byte.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn marks(block: &[u8; BLOCK]) -> (u64, u64) {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    let mask = |[low, high]: [u64; 2], byte: u8| {
        // SAFETY: every processor of this architecture has SSE2.
        let same = unsafe {
            let part = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
            _mm_movemask_epi8(_mm_cmpeq_epi8(part, _mm_set1_epi8(byte.cast_signed())))
        };
        u64::from(same.cast_unsigned())
    };
    let (parts, _) = block.as_chunks::<16>();
    let (mut quotes, mut escapes) = (0, 0);
    for (i, part) in parts.iter().enumerate() {
        let (words, _) = part.as_chunks::<8>();
        let part = [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])];
        quotes |= mask(part, b'"') << (i * 16);
        escapes |= mask(part, b'\\') << (i * 16);
    }
    (quotes, escapes)
}

/// The quotes and the backslashes of a block, a bit for each byte.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn marks(block: &[u8; BLOCK]) -> (u64, u64) {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const LOW: u64 = ONES * 0x7f;
    let mask = |word: u64, byte: u8| {
        let other = word ^ (ONES * u64::from(byte));
        // The highest bit of each byte that is the one looked for, gathered in the highest byte.
        let same = !(((other & LOW) + LOW) | other | LOW);
        (same >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    let (words, _) = block.as_chunks::<8>();
    let (mut quotes, mut escapes) = (0, 0);
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        quotes |= mask(word, b'"') << (i * 8);
        escapes |= mask(word, b'\\') << (i * 8);
    }
    (quotes, escapes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, byte for byte.
    fn next_slowly(bytes: &[u8], from: usize) -> Option<usize> {
        let mut is_escaped = false;
        for (at, byte) in bytes.iter().enumerate() {
            if is_escaped {
                is_escaped = false;
            } else if *byte == b'\\' {
                is_escaped = true;
            } else if *byte == b'"' && at >= from {
                return Some(at);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn quotes_are_found_wherever_they_are(
            pieces in prop::collection::vec(prop_oneof![r#"["\\]{1,3}"#, "[a-zé#]{0,70}"], 0..12),
            steps in prop::collection::vec(0..90_usize, 1..20),
        ) {
            let text = pieces.concat();
            let (mut quotes, mut from) = (Quotes::new(text.as_bytes()), 0);
            for step in steps {
                let found = quotes.next(from);
                prop_assert_eq!(found, next_slowly(text.as_bytes(), from), "{} from {}", text, from);
                let Some(at) = found else { break };
                let has_escapes = text.as_bytes()[..at].contains(&b'\\');
                prop_assert!(quotes.has_escapes() || !has_escapes);
                from = at + 1 + step;
            }
        }
    }
}
