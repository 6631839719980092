//! Seeds of fuzzing, which tests run through the same code: whole, cut off, and with single bytes changed.

use std::path::Path;

/// The inputs a fuzz target begins with, by name.
///
/// # Panics
/// There is no folder of this name, or nothing in it.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map_while(Result::ok)
        .map(|entry| {
            let data = std::fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), data)
        })
        .collect();
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    seeds.sort();
    seeds
}

/// Inputs near to one: about `count` of each kind, cut off and with one byte changed, at places all over it.
pub fn near(data: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let step = (data.len() / count.max(1)).max(1);
    let cut = (0..data.len()).step_by(step).map(|at| data[..at].to_vec());
    let changed = (0..data.len()).step_by(step).enumerate().map(|(nth, at)| {
        let mut near = data.to_vec();
        near[at] ^= [0xff, 0x01, 0x80, 0x20][nth % 4];
        near
    });
    cut.chain(changed)
}
