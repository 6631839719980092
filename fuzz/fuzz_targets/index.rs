//! Indexes of blocks: a damaged one is refused or read without panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::block::index_reader::IndexReader;

fuzz_target!(|data: &[u8]| {
    let dir = std::env::temp_dir().join(format!("bartizan-fuzz-index-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the temporary directory can be written");
    std::fs::write(dir.join("index"), data).expect("the temporary directory can be written");
    let Ok(index) = IndexReader::open(&dir) else { return };
    let names: Vec<String> = index.label_names().map(str::to_owned).collect();
    for name in names {
        let _ = index.postings(&name, "a");
    }
    if let Ok(all) = index.all_postings() {
        for id in all.into_vec().into_iter().take(100) {
            let Ok(series) = index.series(id) else { continue };
            let _ = series.labels(|_, _| {});
        }
    }
});
