//! Blocks with an index of the first version, as servers before 2018 wrote them.

use std::process::Command;

use super::*;
use crate::block::index_reader::{ChunkMeta, INDEX_FILE, IndexReader, MAGIC};
use crate::wal::codec::{put_bytes, put_uvarint, put_varint};

/// Length, content and checksum.
fn put_section(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
}

fn counted(count: usize, rest: &[u8]) -> Vec<u8> {
    [&(count as u32).to_be_bytes()[..], rest].concat()
}

/// Replaces the index of the block in `dir` by one of the first version that says the same.
fn make_first_version(dir: &Path) {
    let block = Block::open(dir).unwrap();
    let index = IndexReader::open(dir).unwrap();
    let mut out = MAGIC.to_be_bytes().to_vec();
    out.push(1);
    let mut offsets = BTreeMap::new();
    let mut strings = Vec::new();
    for number in 0..index.symbol_count() {
        let symbol = index.nth_symbol(number).unwrap();
        offsets.insert(symbol, (out.len() + 8 + strings.len()) as u64);
        put_bytes(&mut strings, symbol.as_bytes());
    }
    put_section(&mut out, &counted(offsets.len(), &strings));
    let series_at = out.len();
    let mut lists: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
    for id in index.all_postings().unwrap().into_vec() {
        let (labels, chunks) = (block.labels(id).unwrap(), block.chunk_metas(id).unwrap());
        let at = out.len() as u32;
        lists.entry((String::new(), String::new())).or_default().push(at);
        let mut body = Vec::new();
        put_uvarint(&mut body, labels.len() as u64);
        for (name, value) in &labels {
            put_uvarint(&mut body, offsets[name]);
            put_uvarint(&mut body, offsets[value]);
            lists.entry((name.to_owned(), value.to_owned())).or_default().push(at);
        }
        put_uvarint(&mut body, chunks.len() as u64);
        let mut before: Option<ChunkMeta> = None;
        for chunk in chunks {
            match before {
                None => put_varint(&mut body, chunk.min_ms),
                Some(before) => put_uvarint(&mut body, (chunk.min_ms - before.max_ms) as u64),
            }
            put_uvarint(&mut body, (chunk.max_ms - chunk.min_ms) as u64);
            match before {
                None => put_uvarint(&mut body, chunk.reference),
                Some(before) => put_varint(&mut body, chunk.reference as i64 - before.reference as i64),
            }
            before = Some(chunk);
        }
        put_uvarint(&mut out, body.len() as u64);
        out.extend_from_slice(&body);
        out.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    }
    let postings_at = out.len();
    let mut table = Vec::new();
    // The first version's writers left the table in no order.
    for ((name, value), list) in lists.iter().rev() {
        put_uvarint(&mut table, 2);
        put_bytes(&mut table, name.as_bytes());
        put_bytes(&mut table, value.as_bytes());
        put_uvarint(&mut table, out.len() as u64);
        let ids: Vec<u8> = list.iter().flat_map(|id| id.to_be_bytes()).collect();
        put_section(&mut out, &counted(list.len(), &ids));
    }
    let table_at = out.len();
    put_section(&mut out, &counted(lists.len(), &table));
    let toc = [5, series_at, 0, 0, postings_at, table_at];
    let toc: Vec<u8> = toc.iter().flat_map(|&at| (at as u64).to_be_bytes()).collect();
    out.extend_from_slice(&toc);
    out.extend_from_slice(&crc32c::crc32c(&toc).to_be_bytes());
    std::fs::write(dir.join(INDEX_FILE), out).unwrap();
}

fn block_with_first_version(dir: &Path) -> Block {
    let all = sample_series().iter().map(|(labels, samples)| series(labels, samples)).collect();
    let block = block_of(dir, 7, (0, 7_200_000), all);
    let path = block.dir().to_path_buf();
    drop(block);
    make_first_version(&path);
    Block::open(&path).unwrap()
}

#[test]
fn an_index_of_the_first_version_is_read_and_compacted_to_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let block = block_with_first_version(dir.path());
    block.verify().unwrap();
    let mut wanted: Contents = sample_series().into_iter().collect();
    wanted.values_mut().for_each(|samples| samples.retain(|(t_ms, _)| *t_ms < 7_200_000));
    assert_eq!(contents(&block, any_name(), TimeRange::ALL), wanted);
    let ctx = QueryContext::unbounded();
    let matchers = || {
        let regex = Matcher::new(MatchOp::Regex, "instance", "host-0[0-4].").unwrap();
        vec![Matcher::equal("__name__", "metric_1"), regex, Matcher::equal("zone", "")]
    };
    let expected: Contents = wanted
        .iter()
        .filter(|(labels, _)| matchers().iter().all(|m| m.matches(labels.get(&m.name).unwrap_or(""))))
        .map(|(labels, samples)| (labels.clone(), samples.clone()))
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(contents(&block, matchers(), TimeRange::ALL), expected);
    let names = block.label_names(&LabelRequest::default(), &ctx).unwrap();
    assert_eq!(names, ["__name__", "instance", "job", "zone"]);
    let jobs = block.label_values("job", &LabelRequest::default(), &ctx).unwrap();
    assert_eq!(jobs, ["api", "db", "web"]);
    let some = LabelRequest { matchers: matchers(), ..LabelRequest::default() };
    assert_eq!(block.label_values("__name__", &some, &ctx).unwrap(), ["metric_1"]);

    let out = tempfile::tempdir().unwrap();
    let old = block.meta();
    let meta = BlockMeta::level_one(old.ulid, old.min_ms, old.max_ms);
    write_block(out.path(), meta, &mut block.source().unwrap(), 1 << 20, &mut |_| {}).unwrap().unwrap();
    let copy = Block::open(&out.path().join(old.ulid.to_string())).unwrap();
    copy.verify().unwrap();
    assert_eq!(std::fs::read(copy.dir().join(INDEX_FILE)).unwrap()[4], 2);
    assert_eq!(contents(&copy, any_name(), TimeRange::ALL), wanted);
}

#[test]
fn promtool_reads_the_same_index_of_the_first_version() {
    let test = "promtool_reads_the_same_index_of_the_first_version";
    let Some(promtool) = crate::head::tests::program("promtool", test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let block = block_with_first_version(dir.path());
    std::fs::create_dir(dir.path().join("wal")).unwrap();
    let dumped = Command::new(promtool).args(["tsdb", "dump"]).arg(dir.path()).output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let lines = dumped.stdout.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines as u64, block.meta().stats.num_samples);
}

#[test]
fn a_version_of_the_future_is_refused_by_number() {
    let dir = tempfile::tempdir().unwrap();
    let block = block_with_first_version(dir.path());
    let path = block.dir().to_path_buf();
    drop(block);
    let mut bytes = std::fs::read(path.join(INDEX_FILE)).unwrap();
    bytes[4] = 4;
    std::fs::write(path.join(INDEX_FILE), bytes).unwrap();
    let error = Block::open(&path).unwrap_err().to_string();
    assert!(error.contains("index format version 4 is not supported"), "{error}");
}
