//! Writing Snappy's block format by construction.
//!
//! A compressor finds repetitions by hashing and comparing all it is given. Who writes the same labels again and
//! again knows them: the composer is told "these bytes" or "the bytes that stand there already" and writes
//! the elements of the format (literals and copies) at once. Copies of neighbouring bytes become one.

use crate::protobuf::put_varint;

/// A body in the making. Places are counted in uncompressed bytes.
#[derive(Debug)]
pub struct Composer<'a> {
    out: &'a mut Vec<u8>,
    pos: u32,
    /// Where in `out` the tag of the literal stands that is being written.
    literal_at: Option<usize>,
    /// A copy that may still grow: its source and length. It comes after all that is in `out`.
    copy: (u32, u32),
}

/// The longest literal whose length is in its tag.
const SHORT_LITERAL: usize = 60;
/// The longest copy of one element.
const COPY_BYTES: u32 = 64;

impl<'a> Composer<'a> {
    /// Starts a body of `total` uncompressed bytes in `out`.
    pub fn begin(out: &'a mut Vec<u8>, total: usize) -> Self {
        put_varint(out, total as u64);
        Self { out, pos: 0, literal_at: None, copy: (0, 0) }
    }

    /// Where the next byte will stand.
    #[inline]
    pub fn pos(&self) -> u32 {
        self.pos
    }

    /// Adds bytes.
    #[inline]
    pub fn literal(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            // The format has no empty literals.
            return;
        }
        if self.copy.1 > 0 {
            self.end_copy();
        }
        if self.literal_at.is_none() {
            self.literal_at = Some(self.out.len());
            self.out.push(0);
        }
        self.out.extend_from_slice(bytes);
        self.pos += bytes.len() as u32;
    }

    /// Adds the `len` bytes that stand at `from`.
    #[inline]
    pub fn copy(&mut self, from: u32, len: u32) {
        if !self.extends(from) {
            if self.copy.1 > 0 {
                self.end_copy();
            } else if let Some(at) = self.literal_at.take() {
                self.end_literal(at);
            }
            self.copy = (from, 0);
        }
        self.copy.1 += len;
        self.pos += len;
    }

    /// Whether a copy of what stands at `from` would only make the last copy longer.
    #[inline]
    pub fn extends(&self, from: u32) -> bool {
        let (source, len) = self.copy;
        len > 0 && source + len == from
    }

    /// Ends the body; the number of its uncompressed bytes.
    pub fn finish(mut self) -> usize {
        if self.copy.1 > 0 {
            self.end_copy();
        }
        if let Some(at) = self.literal_at.take() {
            self.end_literal(at);
        }
        self.pos as usize
    }

    #[inline]
    fn end_literal(&mut self, at: usize) {
        let len = self.out.len() - at - 1;
        if len <= SHORT_LITERAL {
            self.out[at] = ((len - 1) << 2) as u8;
        } else {
            self.end_long_literal(at, len);
        }
    }

    /// Makes room for the length behind the tag.
    #[cold]
    fn end_long_literal(&mut self, at: usize, len: usize) {
        let length = ((len - 1) as u32).to_le_bytes();
        let width = length.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
        self.out.resize(self.out.len() + width, 0);
        self.out.copy_within(at + 1..at + 1 + len, at + 1 + width);
        self.out[at] = ((SHORT_LITERAL - 1 + width) << 2) as u8;
        self.out[at + 1..at + 1 + width].copy_from_slice(&length[..width]);
    }

    #[inline]
    fn end_copy(&mut self) {
        let (source, mut len) = std::mem::take(&mut self.copy);
        // The distance stays the same while source and target advance together.
        let distance = self.pos - len - source;
        while len > 0 {
            let part = len.min(COPY_BYTES);
            len -= part;
            if (4..12).contains(&part) && distance < 1 << 11 {
                self.out.push((1 | (part - 4) << 2 | distance >> 8 << 5) as u8);
                self.out.push(distance as u8);
            } else if distance < 1 << 16 {
                let [low, high] = (distance as u16).to_le_bytes();
                self.out.extend_from_slice(&[(2 | (part - 1) << 2) as u8, low, high]);
            } else {
                let [a, b, c, d] = distance.to_le_bytes();
                self.out.extend_from_slice(&[(3 | (part - 1) << 2) as u8, a, b, c, d]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What to do next: bytes, or a copy from a share of what is there.
    #[derive(Debug, Clone)]
    enum Step {
        Literal(Vec<u8>),
        Copy(f64, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let lengths =
            prop_oneof![8 => 1_usize..20, 1 => 55_usize..70, 1 => 250_usize..300, 1 => 65_500_usize..65_600];
        prop_oneof![
            lengths.prop_flat_map(|len| proptest::collection::vec(any::<u8>(), len)).prop_map(Step::Literal),
            (0.0..1.0, prop_oneof![1_u32..20, 60_u32..70, 100_u32..1000])
                .prop_map(|(from, len)| Step::Copy(from, len)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_composed_decompresses_to_what_was_meant(steps in proptest::collection::vec(step(), 1..40)) {
            let mut plain: Vec<u8> = Vec::new();
            let mut resolved = Vec::new();
            for step in steps {
                let step = match step {
                    Step::Copy(_, _) if plain.is_empty() => Step::Literal(vec![7]),
                    step => step,
                };
                let from = plain.len();
                match &step {
                    Step::Literal(bytes) => plain.extend_from_slice(bytes),
                    Step::Copy(share, len) => {
                        let source = (share * plain.len() as f64) as usize;
                        for i in 0..*len as usize {
                            plain.push(plain[source + i]);
                        }
                        resolved.push((from, Step::Copy(source as f64, *len)));
                        continue;
                    }
                }
                resolved.push((from, step));
            }
            let mut out = Vec::new();
            let mut composer = Composer::begin(&mut out, plain.len());
            for (from, step) in &resolved {
                prop_assert_eq!(composer.pos() as usize, *from);
                match step {
                    Step::Literal(bytes) => composer.literal(bytes),
                    Step::Copy(source, len) => composer.copy(*source as u32, *len),
                }
            }
            prop_assert_eq!(composer.finish(), plain.len());
            prop_assert_eq!(snap::raw::Decoder::new().decompress_vec(&out).unwrap(), plain);
        }
    }

    #[test]
    fn copies_of_neighbouring_bytes_become_one() {
        let mut out = Vec::new();
        let mut composer = Composer::begin(&mut out, 30);
        composer.literal(b"0123456789");
        composer.copy(0, 5);
        composer.copy(5, 5);
        composer.copy(0, 10);
        composer.finish();
        // Length, a literal of ten bytes, and two copies of ten.
        assert_eq!(out.len(), 1 + 1 + 10 + 2 + 2);
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&out).unwrap(), b"0123456789".repeat(3));
    }
}
