//! Files with damage in them: start succeeds, the damage is counted, named and set aside, the rest is served.

use std::path::{Path, PathBuf};

use base::Clock;
use base::metrics::Registry;
use model::{Appendable, Labels, SampleValue, TenantId};
use serde_json::Value;

use super::server::{Home, Server};

const HOUR_MS: i64 = 3_600_000;
const STEP_MS: i64 = 15_000;
const SERIES: usize = 20;
/// Samples of a series in each of the two blocks, and in the head.
const IN_BLOCK: u64 = 480;
const IN_HEAD: u64 = 720;
const ALL: u64 = 2 * IN_BLOCK + IN_HEAD;
/// Samples of a chunk.
const IN_CHUNK: u64 = 120;

/// A data directory with two blocks and a head, written anew for every kind of damage.
struct World {
    dir: tempfile::TempDir,
    end_ms: i64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start_ms = (base::SystemClock::new().now_ms() / (2 * HOUR_MS) - 4) * (2 * HOUR_MS);
        let end_ms = start_ms + 7 * HOUR_MS;
        let data = dir.path().join("data");
        let db =
            tsdb::Db::open(&data, tsdb::Options::default(), base::SystemClock::shared(), &Registry::new());
        let db = db.unwrap();
        for t_ms in (start_ms..end_ms).step_by(STEP_MS as usize) {
            let mut appender = db.appender(&TenantId::default());
            for i in 0..SERIES {
                let labels = Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]);
                let series = appender.resolve(&labels).unwrap();
                let value = (t_ms / STEP_MS * (i as i64 + 7) % 1009) as f64 / 7.0;
                appender.append(series, 0, t_ms, SampleValue::Float(value)).unwrap();
            }
            appender.commit().unwrap();
        }
        assert_eq!(db.maintain().unwrap().head_blocks, 2);
        db.close().unwrap();
        Self { dir, end_ms }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The directories of the blocks, oldest first.
    fn blocks(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        let mut blocks: Vec<_> = entries.filter(|path| path.join("meta.json").is_file()).collect();
        blocks.sort();
        blocks
    }

    fn start(&self) -> Server {
        Home::new(self.dir.path(), "scrape_configs: []\n").start()
    }

    /// How many samples each series has, and the whole answer.
    fn counts(&self, server: &Server) -> (Vec<u64>, Value) {
        let time = ((self.end_ms + HOUR_MS / 2) / 1000).to_string();
        let query = "sort(count_over_time(m[9h]))";
        let (status, json) = server.api("query", &[("query", query), ("time", &time)]);
        assert_eq!(status, 200, "{json}");
        let result = json["data"]["result"].as_array().unwrap();
        let counts = result.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap());
        (counts.collect(), json)
    }

    fn quarantined(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.data().join("quarantine")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// How many damaged places of the log the status page tells of.
    fn corruptions(server: &Server) -> Value {
        server.api("status/runtimeinfo", &[]).1["data"]["corruptionCount"].clone()
    }

    /// Starts with damage: the metric counts it once, the log names the file, every series has so many
    /// samples. The next start finds nothing to complain about, and the same samples.
    #[track_caller]
    fn check(&self, damaged: &Path, metric: &str, counts: &[u64], quarantined: &[String]) {
        let server = self.start();
        let (found, _) = self.counts(&server);
        assert_eq!(found, counts, "{}", server.log());
        assert_eq!(server.own_metric(metric), 1.0, "{metric}: {}", server.log());
        server.wait_for_log(&[&damaged.display().to_string()]);
        assert_eq!(Self::corruptions(&server), u64::from(metric == WAL_METRIC));
        assert_eq!(self.quarantined(), quarantined, "{}", server.log());
        server.kill();
        let server = self.start();
        assert_eq!(self.counts(&server).0, counts, "{}", server.log());
        assert_eq!(server.own_metric(metric), 0.0, "{metric}: {}", server.log());
    }
}

fn flip(path: &Path, at: impl FnOnce(&[u8]) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at(&bytes);
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

fn every(count: u64) -> Vec<u64> {
    vec![count; SERIES]
}

const WAL_METRIC: &str = "prometheus_tsdb_wal_corruptions_total";
const CHUNKS_METRIC: &str = "prometheus_tsdb_mmap_chunk_corruptions_total";
const BLOCKS_METRIC: &str = "bartizan_tsdb_blocks_quarantined_total";
const READ_METRIC: &str = "bartizan_tsdb_damaged_reads_total";

fn segment(world: &World) -> PathBuf {
    world.data().join("wal/00000000")
}

#[test]
fn a_torn_last_record_costs_that_record() {
    let world = World::new();
    let path = segment(&world);
    let bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    std::fs::write(&path, &bytes[..end - 5]).unwrap();
    world.check(&path, WAL_METRIC, &every(ALL - 1), &[]);
}

#[test]
fn a_flipped_bit_in_the_log_costs_nothing_that_is_in_chunks() {
    let world = World::new();
    let path = segment(&world);
    // Late enough to be in the head, early enough to be in complete chunks.
    flip(&path, |bytes| bytes.len() * 7 / 10);
    world.check(&path, WAL_METRIC, &every(ALL), &["wal-00000000".to_owned()]);
}

#[test]
fn a_flipped_bit_in_the_log_costs_at_most_its_page() {
    let world = World::new();
    std::fs::remove_dir_all(world.data().join("chunks_head")).unwrap();
    let path = segment(&world);
    flip(&path, |bytes| bytes.len() * 7 / 10);
    let server = world.start();
    let (counts, _) = world.counts(&server);
    assert_eq!(server.own_metric(WAL_METRIC), 1.0);
    let pages = std::fs::metadata(&path).unwrap().len() / (32 << 10);
    let most_lost = ALL / pages + 10;
    assert_eq!(counts.len(), SERIES);
    for count in counts {
        assert!((ALL - most_lost..ALL).contains(&count), "{count} of {ALL}, {most_lost} in a page");
    }
}

#[test]
fn damage_in_head_chunks_costs_nothing() {
    let world = World::new();
    let path = world.data().join("chunks_head/000001");
    flip(&path, |bytes| bytes.len() / 2);
    let kept = path.file_name().unwrap().to_string_lossy().into_owned();
    world.check(&path, CHUNKS_METRIC, &every(ALL), &[format!("chunks_head-{kept}")]);
}

/// What a block says about itself is damaged: it cannot be used.
#[track_caller]
fn check_block_set_aside(name: &str, damage: impl FnOnce(&Path)) {
    let world = World::new();
    let block = world.blocks()[0].clone();
    damage(&block.join(name));
    let id = block.file_name().unwrap().to_str().unwrap().to_owned();
    world.check(&block.join(name), BLOCKS_METRIC, &every(ALL - IN_BLOCK), std::slice::from_ref(&id));
    assert!(world.data().join("quarantine").join(id).join("chunks/000001").is_file(), "nothing is deleted");
}

#[test]
fn a_block_whose_index_is_damaged_is_set_aside() {
    // The table of contents is at the end, the symbols at the start.
    check_block_set_aside("index", |path| flip(path, |bytes| bytes.len() - 10));
    check_block_set_aside("index", |path| flip(path, |_| 20));
    check_block_set_aside("index", |path| std::fs::write(path, "").unwrap());
}

#[test]
fn a_block_whose_chunk_files_begin_wrongly_is_set_aside() {
    let world = World::new();
    let block = world.blocks()[0].clone();
    flip(&block.join("chunks/000001"), |_| 1);
    let id = block.file_name().unwrap().to_str().unwrap().to_owned();
    world.check(&block.join("chunks/000001"), BLOCKS_METRIC, &every(ALL - IN_BLOCK), &[id]);
}

#[test]
fn a_block_without_a_sound_description_is_set_aside() {
    check_block_set_aside("meta.json", |path| std::fs::remove_file(path).unwrap());
    check_block_set_aside("meta.json", |path| std::fs::write(path, "{\"ulid\": ").unwrap());
}

#[test]
fn a_block_whose_tombstones_are_damaged_is_set_aside() {
    check_block_set_aside("tombstones", |path| std::fs::write(path, [0x13, 0x0b, 0xa3, 0x0a, 9]).unwrap());
}

/// Damage that only shows when it is read: the query says so, and has the rest.
#[track_caller]
fn check_read(name: &str, counts: &[u64], damage: impl FnOnce(&Path)) {
    let world = World::new();
    let path = world.blocks()[0].join(name);
    damage(&path);
    let server = world.start();
    let (found, json) = world.counts(&server);
    assert_eq!(found, counts, "{json} {}", server.log());
    let warnings = json["warnings"].to_string();
    assert!(warnings.contains(&path.display().to_string()), "{json}");
    server.wait_for_log(&["damaged", &path.display().to_string()]);
    assert!(server.own_metric(READ_METRIC) >= 1.0);
    // Asking again is answered again, and logged only once.
    assert_eq!(world.counts(&server).0, counts);
    assert_eq!(server.log().matches("damaged").count(), 1, "{}", server.log());
}

#[test]
fn a_flipped_bit_in_a_chunk_of_a_block_costs_that_chunk() {
    let mut counts = every(ALL);
    counts[0] -= IN_CHUNK;
    check_read("chunks/000001", &counts, |path| flip(path, |bytes| bytes.len() / 2));
}

#[test]
fn a_missing_chunk_file_of_a_block_costs_its_chunks() {
    check_read("chunks", &every(ALL - IN_BLOCK), |dir| std::fs::remove_file(dir.join("000001")).unwrap());
}

/// What the table of contents of an index says under this number.
fn section(bytes: &[u8], number: usize) -> usize {
    let at = bytes.len() - 52 + number * 8;
    usize::try_from(u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

#[test]
fn damaged_postings_of_an_index_cost_its_block() {
    check_read("index", &every(ALL - IN_BLOCK), |path| {
        let mut bytes = std::fs::read(path).unwrap();
        let (from, to) = (section(&bytes, 4), section(&bytes, 5));
        bytes[from + 4..to].iter_mut().for_each(|byte| *byte ^= 0x10);
        std::fs::write(path, bytes).unwrap();
    });
}

#[test]
fn a_flipped_bit_in_a_series_of_an_index_costs_that_series() {
    let mut counts = every(ALL);
    counts[0] -= IN_BLOCK;
    // Where the first series begins, and a bit further.
    let at = |bytes: &[u8]| section(bytes, 1).next_multiple_of(16) + 5;
    check_read("index", &counts, |path| flip(path, at));
}
