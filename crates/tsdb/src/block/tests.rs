mod first_version;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chunkenc::SeriesEncoder;
use model::{
    LabelRequest, Labels, MatchOp, Matcher, Projection, QueryContext, SampleColumns, SampleValue,
    SelectRequest, SeriesSource, TimeRange,
};
use ulid::Ulid;

use super::*;
use crate::chunk_source::{ChunkSource, SourceChunk, SourceSeries};
use crate::error::TsdbError;

/// A source of series held in memory.
pub(crate) struct VecSource {
    series: std::vec::IntoIter<SourceSeries>,
    symbols: BTreeSet<String>,
}

impl VecSource {
    pub(crate) fn new(mut series: Vec<SourceSeries>) -> Self {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let strings =
            series.iter().flat_map(|s| s.labels.iter().flat_map(|(n, v)| [n.to_owned(), v.to_owned()]));
        Self { symbols: strings.collect(), series: series.into_iter() }
    }
}

impl ChunkSource for VecSource {
    fn symbols(&mut self, visit: &mut dyn FnMut(&str) -> Result<(), TsdbError>) -> Result<(), TsdbError> {
        self.symbols.iter().try_for_each(|symbol| visit(symbol))
    }

    fn next_series(&mut self) -> Result<Option<SourceSeries>, TsdbError> {
        Ok(self.series.next())
    }
}

pub(crate) fn series(labels: &Labels, samples: &[(i64, f64)]) -> SourceSeries {
    let mut encoder = SeriesEncoder::new();
    for &(t_ms, value) in samples {
        encoder.append(0, t_ms, SampleValue::Float(value)).unwrap();
    }
    let source = |c: chunkenc::EncodedChunk| SourceChunk {
        encoding: c.encoding,
        min_ms: c.min_ms,
        max_ms: c.max_ms,
        bytes: c.bytes,
    };
    SourceSeries {
        labels: labels.clone(),
        chunks: encoder.finish().into_iter().map(source).collect(),
        deleted: vec![],
    }
}

/// A block of these series, in a directory of its own.
pub(crate) fn block_of(dir: &Path, number: u64, range: (i64, i64), all: Vec<SourceSeries>) -> Block {
    let meta = BlockMeta::level_one(Ulid::from_parts(number, 0), range.0, range.1);
    let mut source = VecSource::new(all);
    let written = write_block(dir, meta, &mut source, 1 << 20, &mut |_| {}).unwrap().unwrap();
    Block::open(&dir.join(written.ulid.to_string())).unwrap()
}

pub(crate) type Contents = BTreeMap<Labels, Vec<(i64, f64)>>;

/// Everything that matches, read through the source.
pub(crate) fn contents(source: &dyn SeriesSource, matchers: Vec<Matcher>, range: TimeRange) -> Contents {
    let ctx = QueryContext::unbounded();
    let request = SelectRequest { range, matchers, projection: Projection::All, sorted: true, limit: 0 };
    let set = source.select(&request, &ctx).unwrap();
    let mut found = Contents::new();
    for i in 0..set.len() {
        let mut out = SampleColumns::default();
        set.read(i, range, &mut out, &ctx).unwrap();
        let samples: Vec<_> = out.timestamps_ms.iter().copied().zip(out.values.iter().copied()).collect();
        let mut last = SampleColumns::default();
        set.read_last(i, range, &mut last, &ctx).unwrap();
        assert_eq!(last.timestamps_ms.first(), out.timestamps_ms.last());
        assert!(found.insert(set.labels(i), samples).is_none(), "{} twice", set.labels(i));
    }
    found
}

fn any_name() -> Vec<Matcher> {
    vec![Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()]
}

/// The directory of shared test data, or `None` after telling that the test is skipped.
fn conformance(test: &str) -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let dir = std::env::var_os("BARTIZAN_CONFORMANCE").map_or(default, PathBuf::from);
    if dir.is_dir() {
        return Some(dir.join("blocks"));
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "conformance data is missing: {}",
        dir.display()
    );
    println!("skipped {test}: no conformance data at {}", dir.display());
    None
}

#[test]
fn recorded_blocks_answer_as_recorded() {
    let Some(dir) = conformance("recorded_blocks_answer_as_recorded") else { return };
    let cases = [
        (
            "prometheus/snapshots/20250602T205846Z-7e03e43cf46dda03/01JWS713P2E4MQW7T643GYGD69",
            "prometheus/expected_response.json",
            "vm_log_messages_total",
        ),
        (
            "mimir-tsdb/anonymous/01JFJBS3YP1SHZ3PJQ6HK76EC3",
            "mimir-tsdb/expected_response.json",
            "mimir_continuous_test_sine_wave_v2",
        ),
        (
            "thanos-snapshot/01KKS78P6B68DNJC87ZVPRGC3X",
            "thanos-snapshot/expected_all_aggr_response.json",
            "thanos_test_counter_total",
        ),
        (
            "thanos-snapshot/01KKS78P6B68DNJC87ZVPRGC3X",
            "thanos-snapshot/expected_all_aggr_response.json",
            "thanos_test_gauge",
        ),
    ];
    for (block, expected, metric) in cases {
        let block = Block::open(&dir.join(block)).unwrap();
        block.verify().unwrap();
        let response: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join(expected)).unwrap()).unwrap();
        let mut wanted = Contents::new();
        for result in response["data"]["result"].as_array().unwrap() {
            let labels = Labels::from_pairs(
                result["metric"].as_object().unwrap().iter().map(|(n, v)| (n, v.as_str().unwrap())),
            );
            if labels.metric_name() != metric {
                continue;
            }
            let sample = |pair: &serde_json::Value| {
                let t_ms = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
                (t_ms, pair[1].as_str().unwrap().parse().unwrap())
            };
            wanted.insert(labels, result["values"].as_array().unwrap().iter().map(sample).collect());
        }
        assert!(!wanted.is_empty());
        let mut matchers = vec![Matcher::equal("__name__", metric)];
        if metric == "vm_log_messages_total" {
            matchers.push(Matcher::new(MatchOp::Regex, "location", ".*/opentsdb/server.go:(48|59)").unwrap());
        }
        let found = contents(&block, matchers, TimeRange::ALL);
        assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{metric}");
        for (labels, samples) in &wanted {
            let found = &found[labels];
            assert_eq!(found.len(), samples.len(), "{labels}");
            // The recordings were made by a program that rounds to twelve significant digits.
            for (a, b) in found.iter().zip(samples) {
                assert!(
                    a.0 == b.0 && (a.1 - b.1).abs() <= 1e-11 * a.1.abs().max(1.0),
                    "{labels}: {a:?} {b:?}"
                );
            }
        }
    }
}

#[test]
fn downsampled_blocks_are_refused_by_name() {
    let Some(dir) = conformance("downsampled_blocks_are_refused_by_name") else { return };
    let block = Block::open(&dir.join("thanos-snapshot/01KKS78PKKR6BQ0SQ5BARRTAKC")).unwrap();
    assert!(block.meta().other.contains_key("thanos"));
    let error = block.verify().unwrap_err().to_string();
    assert!(error.contains("downsampled aggregates"), "{error}");
}

#[test]
fn rewriting_a_recorded_block_keeps_its_chunks_byte_for_byte() {
    let Some(dir) = conformance("rewriting_a_recorded_block_keeps_its_chunks_byte_for_byte") else { return };
    let out = tempfile::tempdir().unwrap();
    for path in [
        "prometheus/snapshots/20250602T205846Z-7e03e43cf46dda03/01JWS713P2E4MQW7T643GYGD69",
        "mimir-tsdb/anonymous/01JFJBS3YP1SHZ3PJQ6HK76EC3",
    ] {
        let path = dir.join(path);
        let block = Block::open(&path).unwrap();
        let old = block.meta();
        let meta = BlockMeta::level_one(old.ulid, old.min_ms, old.max_ms);
        let mut source = block.source().unwrap();
        let written = write_block(out.path(), meta, &mut source, 1 << 29, &mut |_| {}).unwrap().unwrap();
        assert_eq!(written.stats.num_samples, old.stats.num_samples);
        assert_eq!(written.stats.num_series, old.stats.num_series);
        let copy = out.path().join(old.ulid.to_string());
        let read = |dir: &Path| std::fs::read(dir.join("chunks/000001")).unwrap();
        assert_eq!(read(&path), read(&copy));
        let copy = Block::open(&copy).unwrap();
        copy.verify().unwrap();
        assert_eq!(contents(&copy, any_name(), TimeRange::ALL), contents(&block, any_name(), TimeRange::ALL));
        let names = |b: &Block| b.label_names(&LabelRequest::default(), &QueryContext::unbounded()).unwrap();
        assert_eq!(names(&copy), names(&block));
    }
}

/// 300 series with labels that are there or not, few and many values.
fn sample_series() -> Vec<(Labels, Vec<(i64, f64)>)> {
    let one = |i: i64| {
        let mut pairs = vec![("__name__", format!("metric_{}", i % 3)), ("instance", format!("host-{i:03}"))];
        if i % 2 == 0 {
            pairs.push(("job", ["api", "db", "web"][i as usize % 3].to_owned()));
        }
        if i % 5 == 0 {
            pairs.push(("zone", format!("z{}", i % 4)));
        }
        let samples = (0..200 + i).map(|k| (k * 15_000 + i, (k * i) as f64)).collect();
        (Labels::from_pairs(pairs), samples)
    };
    (0..300).map(one).collect()
}

fn sample_block(dir: &Path) -> Block {
    let all = sample_series().iter().map(|(labels, samples)| series(labels, samples)).collect();
    block_of(dir, 1, (0, 7_200_000), all)
}

#[test]
fn matchers_select_as_a_scan_over_all_series_would() {
    let dir = tempfile::tempdir().unwrap();
    let block = sample_block(dir.path());
    block.verify().unwrap();
    let matcher = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
    let singles = [
        matcher(MatchOp::Equal, "__name__", "metric_1"),
        matcher(MatchOp::Equal, "job", "api"),
        matcher(MatchOp::Equal, "job", ""),
        matcher(MatchOp::NotEqual, "job", "api"),
        matcher(MatchOp::NotEqual, "job", ""),
        matcher(MatchOp::NotEqual, "nosuch", "x"),
        matcher(MatchOp::Equal, "nosuch", "x"),
        matcher(MatchOp::Equal, "nosuch", ""),
        matcher(MatchOp::Regex, "job", "api|db"),
        matcher(MatchOp::Regex, "job", "api|"),
        matcher(MatchOp::Regex, "job", ".*"),
        matcher(MatchOp::Regex, "job", ".+"),
        matcher(MatchOp::NotRegex, "job", ".*"),
        matcher(MatchOp::NotRegex, "job", ".+"),
        matcher(MatchOp::NotRegex, "job", "api|db"),
        matcher(MatchOp::NotRegex, "job", "api|"),
        matcher(MatchOp::Regex, "instance", "host-1.*"),
        matcher(MatchOp::Regex, "instance", ".*7"),
        matcher(MatchOp::NotRegex, "instance", "host-(1|2).*"),
        matcher(MatchOp::Regex, "zone", "z[01]?"),
        matcher(MatchOp::Regex, "zone", "(z[01])?"),
        matcher(MatchOp::NotEqual, "instance", "host-042"),
    ];
    let all = sample_series();
    let check = |matchers: Vec<Matcher>| {
        let fits = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get_or_empty(&m.name)));
        let wanted: BTreeSet<_> = all.iter().map(|(l, _)| l).filter(|l| fits(l)).cloned().collect();
        let ids = select::select_series(block.index(), &matchers).unwrap();
        assert!(ids.windows(2).all(|w| w[0] < w[1]));
        let found: BTreeSet<_> = ids.into_iter().map(|id| block.labels(id).unwrap()).collect();
        assert_eq!(found, wanted, "{matchers:?}");
        let ctx = QueryContext::unbounded();
        let request = LabelRequest { matchers: matchers.clone(), ..LabelRequest::default() };
        for name in ["job", "instance", "zone", "nosuch"] {
            let values: BTreeSet<_> = wanted.iter().filter_map(|l| l.get(name)).map(str::to_owned).collect();
            assert_eq!(
                block.label_values(name, &request, &ctx).unwrap(),
                Vec::from_iter(values),
                "{matchers:?}"
            );
        }
        let names: BTreeSet<_> = wanted.iter().flat_map(|l| l.iter().map(|(n, _)| n.to_owned())).collect();
        assert_eq!(block.label_names(&request, &ctx).unwrap(), Vec::from_iter(names), "{matchers:?}");
    };
    check(Vec::new());
    for a in &singles {
        check(vec![a.clone()]);
        for b in &singles {
            check(vec![a.clone(), b.clone()]);
            check(vec![matcher(MatchOp::Equal, "instance", "host-100"), a.clone(), b.clone()]);
        }
    }
}

#[test]
fn samples_read_back_within_any_range() {
    let dir = tempfile::tempdir().unwrap();
    let block = sample_block(dir.path());
    for range in [
        TimeRange::ALL,
        TimeRange::new(100_000, 2_000_000),
        TimeRange::new(15_000, 15_000),
        TimeRange::new(8_000_000, 9_000_000),
    ] {
        let mut wanted = Contents::new();
        for (labels, samples) in sample_series() {
            // Samples from the end of the block's range on were not written.
            let inside: Vec<_> =
                samples.into_iter().filter(|s| s.0 < 7_200_000 && range.contains(s.0)).collect();
            wanted.insert(labels, inside);
        }
        let mut found = contents(&block, any_name(), range);
        found.retain(|_, samples| !samples.is_empty());
        wanted.retain(|_, samples| !samples.is_empty());
        assert_eq!(found, wanted);
    }
}

#[test]
fn projections_and_limits_are_honoured() {
    let dir = tempfile::tempdir().unwrap();
    let block = sample_block(dir.path());
    let ctx = QueryContext::unbounded();
    let select = |projection, limit| {
        let matchers = vec![Matcher::equal("job", "api")];
        let request = SelectRequest { range: TimeRange::ALL, matchers, projection, sorted: true, limit };
        block.select(&request, &ctx).unwrap()
    };
    let set = select(Projection::Only(vec!["job".into(), "nosuch".into()]), 3);
    assert_eq!(set.len(), 3);
    assert_eq!(set.labels(2), Labels::from_pairs([("job", "api")]));
    let set = select(Projection::Without(vec!["instance".into(), "zone".into()]), 0);
    assert_eq!(set.labels(0), Labels::from_pairs([("__name__", "metric_0"), ("job", "api")]));
}

#[test]
fn deleted_samples_are_gone_and_stay_gone_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let block = sample_block(dir.path());
    let doomed = vec![Matcher::equal("job", "api")];
    block.delete(TimeRange::new(300_000, 600_000), &doomed).unwrap();
    block.delete(TimeRange::new(i64::MIN, 100_000), &doomed).unwrap();
    let check = |block: &Block| {
        for (labels, samples) in contents(block, doomed.clone(), TimeRange::ALL) {
            assert!(
                samples.iter().all(|&(t, _)| t > 100_000 && !(300_000..=600_000).contains(&t)),
                "{labels}"
            );
            assert!(samples.iter().any(|&(t, _)| t > 600_000));
        }
        let others = contents(block, vec![Matcher::equal("job", "db")], TimeRange::new(300_000, 600_000));
        assert!(others.values().all(|samples| samples.len() > 10));
        assert!(block.meta().stats.num_tombstones > 0);
    };
    check(&block);
    check(&Block::open(block.dir()).unwrap());
    // A rewrite drops them for good.
    let out = tempfile::tempdir().unwrap();
    let meta = BlockMeta::level_one(Ulid::from_parts(9, 9), 0, 7_200_000);
    let mut source = block.source().unwrap();
    write_block(out.path(), meta.clone(), &mut source, 1 << 20, &mut |_| {}).unwrap().unwrap();
    let clean = Block::open(&out.path().join(meta.ulid.to_string())).unwrap();
    assert!(clean.tombstones().is_empty());
    let all = |block: &Block| contents(block, any_name(), TimeRange::ALL);
    assert_eq!(all(&clean), all(&block));
}

#[test]
fn overlapping_chunks_are_joined_and_an_empty_result_leaves_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::from_pairs([("__name__", "m")]);
    let mut joined = series(&labels, &[(0, 0.0), (20, 2.0), (40, 4.0)]);
    joined.chunks.extend(series(&labels, &[(10, 1.0), (20, 9.0), (60, 6.0)]).chunks);
    joined.chunks.extend(series(&labels, &[(70, 7.0)]).chunks);
    let block = block_of(dir.path(), 1, (0, 65), vec![joined]);
    let found = contents(&block, any_name(), TimeRange::ALL);
    assert_eq!(found[&labels], [(0, 0.0), (10, 1.0), (20, 2.0), (40, 4.0), (60, 6.0)]);

    let meta = BlockMeta::level_one(Ulid::from_parts(2, 2), 1000, 2000);
    let mut source = VecSource::new(vec![series(&labels, &[(0, 0.0)])]);
    assert_eq!(write_block(dir.path(), meta, &mut source, 1 << 20, &mut |_| {}).unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn chunks_span_segments() {
    let dir = tempfile::tempdir().unwrap();
    let all = sample_series().iter().map(|(labels, samples)| series(labels, samples)).collect();
    let meta = BlockMeta::level_one(Ulid::from_parts(3, 3), 0, 7_200_000);
    let written =
        write_block(dir.path(), meta, &mut VecSource::new(all), 20_000, &mut |_| {}).unwrap().unwrap();
    let path = dir.path().join(written.ulid.to_string());
    assert!(std::fs::read_dir(path.join("chunks")).unwrap().count() > 3);
    Block::open(&path).unwrap().verify().unwrap();
}

#[test]
fn unknown_fields_of_meta_survive_and_bad_ones_are_refused() {
    let text = r#"{"ulid":"01JWS713P2E4MQW7T643GYGD69","minTime":1,"maxTime":2,"version":1,
        "stats":{"numSamples":3},"compaction":{"level":1},"thanos":{"labels":{"a":"b"}},"out_of_order":false}"#;
    let meta = BlockMeta::parse(text.as_bytes()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    meta.write(dir.path()).unwrap();
    assert_eq!(BlockMeta::read(dir.path()).unwrap(), meta);
    let written = std::fs::read_to_string(dir.path().join("meta.json")).unwrap();
    assert!(written.contains("\"thanos\": {\n\t\t\"labels\""), "{written}");
    for bad in ["", "{}", "[]", r#"{"ulid":"x"}"#, &text.replace("\"version\":1", "\"version\":2")] {
        assert!(BlockMeta::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    for i in 0..text.len() {
        let _ = BlockMeta::parse(&text.as_bytes()[..i]);
    }
}

/// Reads all there is to read; damage may surface anywhere, as an error.
fn read_everything(dir: &Path) -> Result<(), TsdbError> {
    let block = Block::open(dir)?;
    let _ = block.verify();
    let ctx = QueryContext::unbounded();
    for matchers in [any_name(), vec![Matcher::new(MatchOp::Regex, "job", "a.*").unwrap()]] {
        let request = SelectRequest {
            range: TimeRange::ALL,
            matchers,
            projection: Projection::All,
            sorted: true,
            limit: 0,
        };
        let Ok(set) = block.select(&request, &ctx) else { continue };
        for i in 0..set.len() {
            let _ = set.labels(i);
            let _ = set.read(i, TimeRange::ALL, &mut SampleColumns::default(), &ctx);
        }
    }
    let _ = block.label_values("job", &LabelRequest::default(), &ctx);
    Ok(())
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let some = sample_series()[..6].iter().map(|(l, s)| series(l, &s[..20])).collect();
    let block = block_of(dir.path(), 1, (0, 7_200_000), some);
    let (index, chunks) = (block.dir().join("index"), block.dir().join("chunks/000001"));
    for path in [&index, &chunks] {
        let good = std::fs::read(path).unwrap();
        // Deterministic: every byte once, with a mask that depends on its place.
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1 << (i % 8);
            std::fs::write(path, &bad).unwrap();
            let _ = read_everything(block.dir());
        }
        for cut in (0..good.len()).step_by(7) {
            std::fs::write(path, &good[..cut]).unwrap();
            let _ = read_everything(block.dir());
        }
        std::fs::write(path, &good).unwrap();
    }
    read_everything(block.dir()).unwrap();
}

#[test]
fn promtool_reads_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let block = sample_block(dir.path());
    std::fs::create_dir(dir.path().join("wal")).unwrap();
    let promtool = |args: &[&str]| std::process::Command::new("promtool").args(args).arg(dir.path()).output();
    let Ok(list) = promtool(&["tsdb", "list"]) else {
        println!("skipped promtool_reads_what_we_write: promtool is not installed");
        return;
    };
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains(&block.meta().ulid.to_string()), "{list}");
    let analyze = promtool(&["tsdb", "analyze"]).unwrap();
    let text = String::from_utf8(analyze.stdout).unwrap();
    assert!(text.contains("Series: 300") && text.contains("Label names: 4"), "{text}");
    let dump = promtool(&["tsdb", "dump"]).unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let lines = String::from_utf8(dump.stdout).unwrap().lines().count() as u64;
    assert_eq!(lines, block.meta().stats.num_samples);
}
