//! Integers in one of nine bit widths, told apart by a prefix of ones.

use crate::bits::{BitReader, BitWriter};

/// Payload width after a prefix of as many ones as the index says. The last prefix, eight ones, has
/// no terminating zero.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether `value` fits a signed field of `width` bits. Fields reach from `-(2^(width-1) - 1)` to
/// `2^(width-1)`: one more on the positive side, unlike two's complement.
#[inline]
pub(crate) fn fits(value: i64, width: u32) -> bool {
    let top = 1_i64 << (width - 1);
    1 - top <= value && value <= top
}

/// The signed value of a field of `width` bits, which is below 64.
#[inline]
pub(crate) fn sign_extend(bits: u64, width: u32) -> i64 {
    let value = bits as i64;
    if value > 1 << (width - 1) { value - (1 << width) } else { value }
}

impl BitWriter {
    #[inline]
    fn put_class(&mut self, class: usize, value: u64) {
        let width = WIDTHS[class];
        let (prefix, prefix_width) = match class {
            8 => (0xff, 8),
            ones => ((1 << (ones + 1)) - 2, ones as u32 + 1),
        };
        if prefix_width + width <= 56 {
            let payload = value & ((1_u64 << width) - 1);
            self.put((prefix << width) | payload, prefix_width + width);
        } else {
            self.put(prefix, prefix_width);
            self.put(value, width);
        }
    }

    pub(crate) fn put_varbit_int(&mut self, value: i64) {
        if value == 0 {
            return self.put(0, 1);
        }
        let class = (1..8).find(|&class| fits(value, WIDTHS[class])).unwrap_or(8);
        self.put_class(class, value as u64);
    }

    pub(crate) fn put_varbit_uint(&mut self, value: u64) {
        if value == 0 {
            return self.put(0, 1);
        }
        let needed = 64 - value.leading_zeros();
        let class = (1..8).find(|&class| needed <= WIDTHS[class]).unwrap_or(8);
        self.put_class(class, value);
    }
}

impl BitReader<'_> {
    /// The payload and its width.
    #[inline]
    fn read_class(&mut self) -> (u64, u32) {
        let ones = (!self.peek()).leading_zeros().min(8);
        self.pos += (ones + 1).min(8) as usize;
        match WIDTHS[ones as usize] {
            0 => (0, 0),
            width => (self.read(width), width),
        }
    }

    #[inline]
    pub(crate) fn read_varbit_int(&mut self) -> i64 {
        match self.read_class() {
            (_, 0) => 0,
            (bits, 64) => bits as i64,
            (bits, width) => sign_extend(bits, width),
        }
    }

    #[inline]
    pub(crate) fn read_varbit_uint(&mut self) -> u64 {
        self.read_class().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_values_at_the_edges_of_each_class() {
        let edges =
            [(0, 1), (1, 5), (4, 5), (-3, 5), (5, 9), (-4, 9), (32, 9), (33, 13), (256, 13), (257, 17)];
        let wide = [(2048, 17), (2049, 24), (131_072, 24), (131_073, 32), (1 << 24, 32), ((1 << 24) + 1, 64)];
        let huge = [(1 << 55, 64), ((1 << 55) + 1, 72), (i64::MAX, 72), (i64::MIN, 72), (-(1 << 55), 72)];
        for (value, bits) in edges.into_iter().chain(wide).chain(huge) {
            let mut writer = BitWriter::with_header(0);
            writer.put_varbit_int(value);
            assert_eq!(writer.byte_len(), (bits as usize).div_ceil(8), "{value}");
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes, 0);
            assert_eq!(reader.read_varbit_int(), value);
            assert_eq!(reader.pos, bits as usize, "{value}");
        }
    }

    #[test]
    fn unsigned_values_read_back() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut writer = BitWriter::with_header(0);
                writer.put(1, 1);
                writer.put_varbit_uint(value);
                let bytes = writer.into_bytes();
                let mut reader = BitReader::new(&bytes, 0);
                reader.read(1);
                assert_eq!(reader.read_varbit_uint(), value);
            }
        }
    }
}
