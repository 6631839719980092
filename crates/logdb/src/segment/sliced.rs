//! Filters of many page groups side by side: a few short reads tell for all of them.
//!
//! A filter is a Bloom filter: what a page group holds sets bits at positions given by hashes. The filters of page groups
//! that follow each other and hold about as much have the same number of positions and are a **band**. It is stored by
//! position: for each, one bit for each page group. Whether something is in any of a thousand groups is read in as many
//! small parts as it has hashes, and often fewer. Parts are blocks of [`BLOCK_BYTES`], each with its own checksum, so that what
//! is read is known to be what was written without reading all of it.

use super::grams::Scheme;
use crate::codec::{Damaged, Input, put_uvarint};

/// Length of a block, with the checksum at its end. The last of a band may be shorter.
pub const BLOCK_BYTES: usize = 256;
const CHECKSUM_BYTES: usize = 4;
const BLOCK_BITS: usize = (BLOCK_BYTES - CHECKSUM_BYTES) * 8;
/// Page groups of one band.
const MAX_GROUPS: u32 = 1008;

/// Filters of page groups that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// The first page group.
    pub first_group: u32,
    /// Number of page groups.
    pub groups: u32,
    /// Number of positions.
    pub positions: u32,
    /// How lines were taken apart; of no meaning for values of metadata.
    pub scheme: Scheme,
    /// Where its blocks begin in the object.
    pub at: u64,
}

/// The position of a hash among so many.
fn position(hash: u32, positions: u32) -> u32 {
    ((u64::from(hash) * u64::from(positions)) >> 32) as u32
}

impl Band {
    /// Positions of one block.
    fn positions_per_block(&self) -> u32 {
        BLOCK_BITS as u32 / self.groups
    }

    fn blocks(&self) -> u32 {
        self.positions.div_ceil(self.positions_per_block())
    }

    /// Length of a block.
    fn block_bytes(&self, block: u32) -> usize {
        let here = (self.positions - block * self.positions_per_block()).min(self.positions_per_block());
        (here as usize * self.groups as usize).div_ceil(8) + CHECKSUM_BYTES
    }

    /// Length of the whole.
    pub fn bytes(&self) -> u64 {
        // All blocks but the last have the same length.
        u64::from(self.blocks() - 1) * self.block_bytes(0) as u64 + self.block_bytes(self.blocks() - 1) as u64
    }

    /// The page groups that have all of these hashes, as bits. `read` is given a place in the object, and returns what is there.
    pub fn groups_with<E: From<Damaged>>(
        &self,
        hashes: &[u32],
        mut read: impl FnMut(u64, usize) -> Result<bytes::Bytes, E>,
    ) -> Result<Vec<u64>, E> {
        let width = self.groups as usize;
        let mut found = vec![u64::MAX; width.div_ceil(64)];
        for &hash in hashes {
            let position = position(hash, self.positions);
            let (block, row) = (position / self.positions_per_block(), position % self.positions_per_block());
            let begin = self.at + u64::from(block) * self.block_bytes(0) as u64;
            let content = read(begin, self.block_bytes(block))?;
            let bits = checked(&content)?;
            let first_bit = row as usize * width;
            for (i, word) in found.iter_mut().enumerate() {
                *word &= bits_at(bits, first_bit + i * 64, (width - i * 64).min(64));
            }
            if found.iter().all(|&word| word == 0) {
                break;
            }
        }
        Ok(found)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_uvarint(out, u64::from(self.groups));
        put_uvarint(out, u64::from(self.positions));
        out.push(self.scheme.number());
        put_uvarint(out, self.at);
    }
}

/// All of a band, read and checked.
pub struct BandBits {
    band: Band,
    content: bytes::Bytes,
}

impl BandBits {
    /// Checks what was read.
    pub fn new(band: Band, content: bytes::Bytes) -> Result<Self, Damaged> {
        let mut rest = &content[..];
        for block in 0..band.blocks() {
            let (one, behind) =
                rest.split_at_checked(band.block_bytes(block)).ok_or(Damaged("a filter is cut short"))?;
            checked(one)?;
            rest = behind;
        }
        Ok(Self { band, content })
    }

    /// The band.
    pub fn band(&self) -> &Band {
        &self.band
    }

    /// Whether a page group has a hash; the group is one of the band.
    pub fn has(&self, group: usize, hash: u32) -> bool {
        let position = position(hash, self.band.positions);
        let (block, row) =
            (position / self.band.positions_per_block(), position % self.band.positions_per_block());
        let begin = block as usize * self.band.block_bytes(0);
        let bit = row as usize * self.band.groups as usize + group - self.band.first_group as usize;
        self.content[begin + bit / 8] >> (bit % 8) & 1 == 1
    }
}

/// The content of a block whose checksum is right.
fn checked(block: &[u8]) -> Result<&[u8], Damaged> {
    let (bits, stored) =
        block.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Damaged("a filter is cut short"))?;
    match crc32c::crc32c(bits) == u32::from_le_bytes(*stored) {
        true => Ok(bits),
        false => Err(Damaged("the checksum of a filter is wrong")),
    }
}

/// Up to 64 bits from a position on.
fn bits_at(bytes: &[u8], first_bit: usize, count: usize) -> u64 {
    let begin = first_bit / 8;
    let mut window = [0; 16];
    let here = bytes.get(begin..).unwrap_or_default();
    let len = here.len().min(9);
    window[..len].copy_from_slice(&here[..len]);
    let bits = (u128::from_le_bytes(window) >> (first_bit % 8)) as u64;
    if count == 64 { bits } else { bits & ((1 << count) - 1) }
}

/// Appends bands to an index; they begin with page group 0 and leave none out between them.
pub fn encode_bands(out: &mut Vec<u8>, bands: &[Band]) {
    put_uvarint(out, bands.len() as u64);
    bands.iter().for_each(|band| band.encode(out));
}

/// Reads what [`encode_bands`] wrote, for an object with that many page groups.
pub fn decode_bands(input: &mut Input<'_>, groups: usize) -> Result<Vec<Band>, Damaged> {
    const WRONG: Damaged = Damaged("filters do not agree with the page groups");
    let (mut bands, mut first_group) = (Vec::new(), 0);
    for _ in 0..input.count(4)? {
        let number = |input: &mut Input<'_>, max| {
            input.uvarint().map(|number| u32::try_from(number).ok().filter(|&n| n > 0 && n <= max))
        };
        let count = number(input, MAX_GROUPS)?.ok_or(WRONG)?;
        let positions = number(input, u32::MAX / 2)?.ok_or(WRONG)?;
        let scheme = Scheme::of_number(input.u8()?).ok_or(WRONG)?;
        bands.push(Band { first_group, groups: count, positions, scheme, at: input.uvarint()? });
        first_group += count;
        if first_group as usize > groups {
            return Err(WRONG);
        }
    }
    if first_group as usize == groups { Ok(bands) } else { Err(WRONG) }
}

/// Gathers filters of page groups as bands.
#[derive(Default)]
pub struct BandWriter {
    blocks: Vec<u8>,
    bands: Vec<Band>,
    /// The band that is being gathered: for each of its groups the bits that are set.
    open: Option<Band>,
    columns: Vec<Vec<u64>>,
}

impl BandWriter {
    /// Adds the filter of the next page group, which would like to have that many positions.
    pub fn add(&mut self, scheme: Scheme, wanted: usize, hashes: impl Iterator<Item = u32>) {
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX / 2).clamp(8, u32::MAX / 2);
        let fits = |band: &Band| {
            let near = u64::from(band.positions) * 13 / 10 >= u64::from(wanted)
                && (u64::from(band.positions) * 7 / 10 <= u64::from(wanted) || band.positions <= 4096);
            near && band.scheme == scheme && band.groups < MAX_GROUPS
        };
        if !self.open.as_ref().is_some_and(fits) {
            self.close();
        }
        let first_group = self.bands.last().map_or(0, |band| band.first_group + band.groups);
        let band = self.open.get_or_insert(Band { first_group, groups: 0, positions: wanted, scheme, at: 0 });
        band.groups += 1;
        let mut column = vec![0_u64; (band.positions as usize).div_ceil(64)];
        for hash in hashes {
            let position = position(hash, band.positions) as usize;
            column[position / 64] |= 1 << (position % 64);
        }
        self.columns.push(column);
    }

    /// Stores the band that is being gathered by position.
    fn close(&mut self) {
        let Some(band) = self.open.take() else { return };
        let columns = std::mem::take(&mut self.columns);
        let width = band.groups as usize;
        for block in 0..band.blocks() {
            let first = block * band.positions_per_block();
            let last = (first + band.positions_per_block()).min(band.positions);
            let begin = self.blocks.len();
            self.blocks.resize(begin + band.block_bytes(block) - CHECKSUM_BYTES, 0);
            let bits = &mut self.blocks[begin..];
            for (group, column) in columns.iter().enumerate() {
                for (row, position) in (first..last).enumerate() {
                    let is_set = column[position as usize / 64] >> (position % 64) & 1;
                    let bit = row * width + group;
                    bits[bit / 8] |= (is_set as u8) << (bit % 8);
                }
            }
            let checksum = crc32c::crc32c(bits);
            self.blocks.extend_from_slice(&checksum.to_le_bytes());
        }
        // Where blocks begin among all of them; `finish` adds where these do.
        let at = self.bands.last().map_or(0, |band| band.at + band.bytes());
        self.bands.push(Band { at, ..band });
    }

    /// The blocks of all bands, and the bands as if the blocks began at `at` in the object.
    pub fn finish(mut self, at: u64) -> (Vec<u8>, Vec<Band>) {
        self.close();
        self.bands.iter_mut().for_each(|band| band.at += at);
        (self.blocks, self.bands)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(n: u64) -> u32 {
        (n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    /// Filters of groups that hold the numbers from `i * 1000` on, `counts[i]` of them.
    fn written(counts: &[usize]) -> (Vec<u8>, Vec<Band>) {
        let mut writer = BandWriter::default();
        for (i, &count) in counts.iter().enumerate() {
            let hashes = (0..count as u64).map(|n| hash(i as u64 * 1000 + n));
            writer.add(Scheme::Fine, count * 10, hashes);
        }
        let (blocks, bands) = writer.finish(0);
        assert_eq!(blocks.len() as u64, bands.iter().map(Band::bytes).sum::<u64>());
        let mut encoded = Vec::new();
        encode_bands(&mut encoded, &bands);
        assert_eq!(decode_bands(&mut Input::new(&encoded), counts.len()), Ok(bands.clone()));
        assert!(decode_bands(&mut Input::new(&encoded), counts.len() + 1).is_err());
        (blocks, bands)
    }

    fn groups_with(blocks: &[u8], bands: &[Band], hashes: &[u32]) -> Result<Vec<u32>, Damaged> {
        let mut found = Vec::new();
        for band in bands {
            let read = |at: u64, len: usize| {
                Ok::<_, Damaged>(bytes::Bytes::copy_from_slice(&blocks[at as usize..at as usize + len]))
            };
            let bits = band.groups_with(hashes, read)?;
            let is_set = |group: &u32| bits[*group as usize / 64] >> (group % 64) & 1 == 1;
            found.extend((0..band.groups).filter(is_set).map(|group| band.first_group + group));
        }
        Ok(found)
    }

    #[test]
    fn what_is_in_a_group_is_found_there_and_hardly_elsewhere() {
        let counts: Vec<usize> = (0..150).map(|i| if i % 70 < 40 { 100 } else { 300 + i % 5 }).collect();
        let (blocks, bands) = written(&counts);
        assert_eq!(bands.len(), 2);
        let mut wrong = 0;
        for (i, &count) in counts.iter().enumerate() {
            for n in 0..count as u64 {
                let found = groups_with(&blocks, &bands, &[hash(i as u64 * 1000 + n)]).unwrap();
                assert!(found.contains(&(i as u32)));
                wrong += found.len() - 1;
            }
        }
        let share = wrong as f64 / (counts.iter().sum::<usize>() * 149) as f64;
        assert!((0.02..0.15).contains(&share), "{share}");
        let all: Vec<u32> = (0..100).map(|n| hash(7000 + n)).collect();
        assert_eq!(groups_with(&blocks, &bands, &all).unwrap(), [7]);
        assert_eq!(groups_with(&blocks, &bands, &[]).unwrap().len(), counts.len());
    }

    #[test]
    fn damage_is_noticed_where_it_is_read() {
        let (mut blocks, bands) = written(&[100; 20]);
        blocks.iter_mut().for_each(|byte| *byte ^= 1);
        assert!(groups_with(&blocks, &bands, &[hash(0)]).is_err());
    }

    proptest! {
        #[test]
        fn any_number_of_groups_of_any_size_round_trips(counts in prop::collection::vec(0_usize..40, 0..70)) {
            let (blocks, bands) = written(&counts);
            for (i, &count) in counts.iter().enumerate() {
                for n in 0..count as u64 {
                    let found = groups_with(&blocks, &bands, &[hash(i as u64 * 1000 + n)]).unwrap();
                    prop_assert!(found.contains(&(i as u32)));
                }
            }
        }
    }
}
