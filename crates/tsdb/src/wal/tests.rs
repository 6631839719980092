use std::path::Path;
use std::sync::Arc;

use base::SystemClock;
use base::metrics::Registry;
use model::{CounterResetHint, FloatHistogram, Histogram, Labels, MetricType, Span};
use proptest::prelude::*;

use super::checkpoint::write_checkpoint;
use super::damage::Damage;
use super::frame::{HEADER_BYTES, PAGE_BYTES};
use super::histogram::{AnyHistogram, HISTOGRAM_KINDS, HistogramSample, for_each_histogram, put_histograms};
use super::reader::{ReadEvent, SegmentReader};
use super::record::*;
use super::repair::rewrite_without_damage;
use super::segment::{existing_segment_path, last_checkpoint, list_segments, segment_path};
use super::{Compression, RecordBatch, Wal, WalMetrics, WalOptions};

fn open(dir: &Path, compression: Compression, segment_bytes: u64) -> Wal {
    let metrics = WalMetrics::new(&Registry::new(), "prometheus_tsdb_wal_", compression);
    let options = WalOptions { compression, segment_bytes };
    Wal::open(dir, options, SystemClock::shared(), metrics).unwrap()
}

fn append(wal: &Wal, records: &[Vec<u8>]) {
    let mut batch = RecordBatch::new(wal.compression());
    for record in records {
        batch.push(|out| out.extend_from_slice(record)).unwrap();
    }
    wal.append(&[&batch]).unwrap();
}

fn read_segment(path: &Path) -> (Vec<Vec<u8>>, Vec<Damage>) {
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    let mut reader = SegmentReader::open(path).unwrap();
    loop {
        match reader.next().unwrap() {
            ReadEvent::Record(record) => records.push(record.to_vec()),
            ReadEvent::Damage(damage) => damages.push(damage),
            ReadEvent::End => return (records, damages),
        }
    }
}

fn read_all(dir: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for index in list_segments(dir).unwrap() {
        let (records, damages) = read_segment(&existing_segment_path(dir, index));
        assert_eq!(damages, []);
        all.extend(records);
    }
    all
}

/// A record of `len` bytes that does not compress.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(next).collect()
}

#[test]
fn records_of_every_size_around_the_page_boundary_survive() {
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
        let dir = tempfile::tempdir().unwrap();
        let wal = open(dir.path(), compression, 256 << 10);
        let page = PAGE_BYTES - HEADER_BYTES;
        let mut expected = Vec::new();
        let sizes = [1, 6, 7, 8, 100, page - 8, page - 7, page - 1, page, page + 1, 3 * page, 200_000];
        for (i, size) in sizes.into_iter().cycle().take(60).enumerate() {
            let record = if i % 2 == 0 { noise(size, i as u64) } else { vec![7; size] };
            append(&wal, std::slice::from_ref(&record));
            expected.push(record);
        }
        assert!(list_segments(dir.path()).unwrap().len() > 1);
        assert_eq!(read_all(dir.path()), expected);
        wal.close().unwrap();
        assert_eq!(read_all(dir.path()), expected);
    }
}

#[test]
fn every_start_opens_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path(), Compression::Snappy, 1 << 20), &[vec![1; 10]]);
    append(&open(dir.path(), Compression::Snappy, 1 << 20), &[vec![2; 10]]);
    assert_eq!(list_segments(dir.path()).unwrap(), [0, 1]);
    assert_eq!(read_all(dir.path()), [vec![1; 10], vec![2; 10]]);
}

#[test]
fn a_segment_cut_anywhere_yields_all_records_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), Compression::None, 1 << 20);
    let records: Vec<_> = (0..40).map(|i| noise(2_500, i + 1)).collect();
    let mut ends = Vec::new();
    for record in &records {
        append(&wal, std::slice::from_ref(record));
        ends.push(wal.position().1);
    }
    let path = segment_path(dir.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    let cut_path = dir.path().join("cut");
    for cut in (0..whole.len()).step_by(613) {
        std::fs::write(&cut_path, &whole[..cut]).unwrap();
        let (read, damages) = read_segment(&cut_path);
        // A record is followed by padding when its page is full: it is whole before the padding.
        let whole_records = ends.iter().filter(|&&end| end <= cut as u64).count();
        assert!(read.len() >= whole_records, "cut at {cut}");
        assert_eq!(read, records[..read.len()], "cut at {cut}");
        assert!(damages.iter().all(|damage| damage.torn_end), "cut at {cut}: {damages:?}");
    }
}

#[test]
fn a_flipped_bit_costs_only_what_shares_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), Compression::None, 1 << 20);
    let records: Vec<_> = (0..200).map(|i| noise(1_000 + (i as usize * 37) % 3_000, i + 1)).collect();
    append(&wal, &records);
    let path = segment_path(dir.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    let broken_path = dir.path().join("broken");
    for at in (0..whole.len()).step_by(4_999) {
        let mut broken = whole.clone();
        broken[at] ^= 0x10;
        std::fs::write(&broken_path, &broken).unwrap();
        let (read, damages) = read_segment(&broken_path);
        assert!(damages.len() <= 1 || read.len() + 40 >= records.len(), "{at}: {damages:?}");
        assert!(read.len() + 40 >= records.len(), "flip at {at} lost {}", records.len() - read.len());
        let mut expected = records.iter();
        for record in &read {
            assert!(expected.any(|e| e == record), "flip at {at} made up a record or changed the order");
        }
        if read.len() < records.len() {
            assert!(!damages.is_empty(), "flip at {at} lost records silently");
        }
    }
}

#[test]
fn repair_keeps_the_readable_records_and_the_damaged_original() {
    let dir = tempfile::tempdir().unwrap();
    let wal_dir = dir.path().join("wal");
    let wal = open(&wal_dir, Compression::Snappy, 1 << 20);
    let records: Vec<_> = (0..100).map(|i| noise(2_000, i + 1)).collect();
    append(&wal, &records);
    let path = segment_path(&wal_dir, 0);
    let mut broken = std::fs::read(&path).unwrap();
    broken[70_000] ^= 1;
    std::fs::write(&path, &broken).unwrap();
    let (readable, damages) = read_segment(&path);
    assert_eq!(damages.len(), 1);
    let kept = rewrite_without_damage(&path, &dir.path().join("quarantine")).unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), broken);
    assert_eq!(read_segment(&path), (readable, vec![]));
}

#[test]
fn a_failed_write_leaves_nothing_behind_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), Compression::None, 1 << 20);
    append(&wal, &[vec![1; 100]]);
    wal.close().unwrap();
    let mut batch = RecordBatch::new(Compression::None);
    batch.push(|out| out.push(1)).unwrap();
    assert!(wal.append(&[&batch]).is_err());
    drop(wal);
    let wal = open(dir.path(), Compression::None, 1 << 20);
    append(&wal, &[vec![2; 100]]);
    assert_eq!(read_all(dir.path()), [vec![1; 100], vec![2; 100]]);
}

fn sample_histograms() -> Vec<HistogramSample> {
    let integer = Histogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: 2,
        count: 17,
        sum: 18.4,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![5, -3, 4],
        negative_buckets: vec![2],
        custom_values: None,
    };
    let custom = Histogram {
        schema: -53,
        count: 3,
        sum: 7.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1, 1],
        custom_values: Some(Arc::from([0.5, 1.5])),
        ..Histogram::default()
    };
    let float = FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: 0,
        count: 2.5,
        sum: f64::NAN,
        positive_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: vec![2.5],
        ..FloatHistogram::default()
    };
    let values = [
        AnyHistogram::Integer(Arc::new(integer)),
        AnyHistogram::Integer(Arc::new(custom)),
        AnyHistogram::Float(Arc::new(float)),
    ];
    let sample = |(i, value): (u64, AnyHistogram)| HistogramSample {
        series: 9 - i,
        start_ms: 5,
        t_ms: 1_000 - i as i64,
        value,
    };
    (0..).zip(values).map(sample).collect()
}

#[test]
fn histograms_survive_in_every_kind_of_record() {
    let samples = sample_histograms();
    let text = |samples: &[HistogramSample]| {
        let mut texts: Vec<_> = samples.iter().map(|s| format!("{s:?}")).collect();
        texts.sort();
        texts
    };
    for with_start in [false, true] {
        let mut read = Vec::new();
        for kind in HISTOGRAM_KINDS {
            let has_start = matches!(kind, Kind::HistogramsWithStart | Kind::FloatHistogramsWithStart);
            let mut record = Vec::new();
            if has_start == with_start && put_histograms(&mut record, kind, &samples) {
                assert_eq!(Kind::of(&record), Some(kind));
                for_each_histogram(&record, |sample| read.push(sample)).unwrap();
                for cut in 1..record.len() {
                    let mut ignored = 0;
                    // Cut records may end between samples, but must never panic.
                    let _ = for_each_histogram(&record[..cut], |_| ignored += 1);
                }
            }
        }
        let start_ms = if with_start { 5 } else { 0 };
        let expected: Vec<_> = samples.iter().cloned().map(|s| HistogramSample { start_ms, ..s }).collect();
        assert_eq!(text(&read), text(&expected));
    }
}

#[test]
fn metadata_exemplars_tombstones_and_markers_survive() {
    let metadata = vec![MetadataEntry {
        series: 300,
        metric_type: MetricType::StateSet,
        unit: "seconds".to_owned(),
        help: "help".to_owned(),
    }];
    let mut record = Vec::new();
    put_metadata(&mut record, &metadata);
    let mut read = Vec::new();
    for_each_metadata(&record, |entry| read.push(entry)).unwrap();
    assert_eq!(read, metadata);

    let exemplars: Vec<_> = (0..3)
        .map(|i| ExemplarEntry {
            series: 10 - i,
            t_ms: 100 + i as i64,
            value: 0.5,
            labels: Labels::from_pairs([("trace_id", i.to_string())]),
        })
        .collect();
    let mut record = Vec::new();
    put_exemplars(&mut record, &exemplars);
    let mut read = Vec::new();
    for_each_exemplar(&record, |entry| read.push(entry)).unwrap();
    assert_eq!(read, exemplars);

    let stones = vec![Tombstone { series: 1, start_ms: i64::MIN, end_ms: i64::MAX }];
    let mut record = Vec::new();
    put_tombstones(&mut record, &stones);
    let mut read = Vec::new();
    for_each_tombstone(&record, |stone| read.push(stone)).unwrap();
    assert_eq!(read, stones);

    let markers = vec![MmapMarker { series: 1, chunk: 7 << 32 | 8 }];
    let mut record = Vec::new();
    put_mmap_markers(&mut record, &markers);
    let mut read = Vec::new();
    for_each_mmap_marker(&record, |marker| read.push(marker)).unwrap();
    assert_eq!(read, markers);
}

#[test]
fn a_checkpoint_keeps_what_is_needed_and_supersedes_the_last_one() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), Compression::Snappy, 1 << 20);
    let labels = |i: u64| Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]);
    for round in 0..4_i64 {
        let mut batch = RecordBatch::new(Compression::Snappy);
        batch
            .push(|out| {
                begin(out, Kind::Series);
                for series in 0..4 {
                    put_series(out, series + 10 * round as u64, &labels(series));
                }
            })
            .unwrap();
        let floats: Vec<_> =
            (0..4).map(|series| FloatSample { series, start_ms: 0, t_ms: round * 100, value: 1.5 }).collect();
        batch.push(|out| put_floats(out, &floats, false)).unwrap();
        wal.append(&[&batch]).unwrap();
        wal.next_segment().unwrap();
    }
    let keep = |series: u64| series.is_multiple_of(2);
    let stats = write_checkpoint(&wal, 1, 100, &keep).unwrap();
    assert_eq!((stats.series.read, stats.series.kept), (8, 4));
    assert_eq!((stats.samples.read, stats.samples.kept), (8, 4));
    wal.truncate_before(2).unwrap();
    let stats = write_checkpoint(&wal, 2, 200, &keep).unwrap();
    assert_eq!((stats.series.read, stats.series.kept), (8, 6));
    assert_eq!((stats.samples.read, stats.samples.kept), (8, 4));
    let (covered, path) = last_checkpoint(dir.path()).unwrap().unwrap();
    assert_eq!(covered, 2);
    let mut series = Vec::new();
    for record in read_all(&path) {
        if Kind::of(&record) == Some(Kind::Series) {
            for_each_series(&record, |id, pairs| {
                assert_eq!(Labels::from_sorted(pairs.iter().copied()), labels(id % 10));
                series.push(id);
            })
            .unwrap();
        }
    }
    assert_eq!(series, [0, 2, 10, 12, 20, 22]);
}

#[test]
fn a_record_that_makes_no_sense_does_not_keep_a_checkpoint_from_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), Compression::None, 1 << 20);
    let mut batch = RecordBatch::new(Compression::None);
    // A series record that is cut off, in a sound frame, between two that are whole.
    for series in [1, 2, 3] {
        let push = |out: &mut Vec<u8>| {
            begin(out, Kind::Series);
            put_series(out, series, &Labels::from_pairs([("__name__", "m")]));
            out.truncate(if series == 2 { out.len() - 1 } else { out.len() });
        };
        batch.push(push).unwrap();
    }
    wal.append(&[&batch]).unwrap();
    wal.next_segment().unwrap();
    let stats = write_checkpoint(&wal, 0, 0, &|_| true).unwrap();
    assert_eq!((stats.series.kept, stats.damages.places()), (2, 1), "{stats:?}");
    let damage = &stats.damages.segments()[0].first;
    assert!(damage.path.ends_with("00000000") && damage.offset > 0, "{stats:?}");
}

proptest! {
    #[test]
    fn float_records_of_both_kinds_survive(
        samples in prop::collection::vec((any::<u64>(), any::<i64>(), any::<i64>(), any::<u64>()), 1..50),
        with_start in any::<bool>(),
    ) {
        let samples: Vec<_> = samples
            .into_iter()
            .map(|(series, start, t_ms, bits)| FloatSample {
                series,
                start_ms: if with_start { start >> (t_ms & 63) } else { 0 },
                t_ms,
                value: f64::from_bits(bits),
            })
            .collect();
        let mut record = Vec::new();
        put_floats(&mut record, &samples, with_start);
        let mut read = Vec::new();
        for_each_float(&record, |sample| read.push(sample)).unwrap();
        prop_assert_eq!(read.len(), samples.len());
        for (a, b) in read.iter().zip(&samples) {
            prop_assert_eq!((a.series, a.start_ms, a.t_ms), (b.series, b.start_ms, b.t_ms));
            prop_assert_eq!(a.value.to_bits(), b.value.to_bits());
        }
    }

    #[test]
    fn decoders_never_panic_on_noise(kind in 1_u8..14, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut record = vec![kind];
        record.extend(noise);
        let _ = for_each_series(&record, |_, _| {});
        let _ = for_each_float(&record, |_| {});
        let _ = for_each_histogram(&record, |_| {});
        let _ = for_each_exemplar(&record, |_| {});
        let _ = for_each_metadata(&record, |_| {});
        let _ = for_each_tombstone(&record, |_| {});
        let _ = for_each_mmap_marker(&record, |_| {});
    }
}

#[test]
fn a_reader_follows_the_end_of_a_log_that_is_written() {
    for compression in [Compression::None, Compression::Snappy] {
        let dir = tempfile::tempdir().unwrap();
        let wal = open(dir.path(), compression, 256 << 10);
        let page = PAGE_BYTES - HEADER_BYTES;
        let sizes = [1, 100, 20_000, page - 8, page - 3, page, 7, page + 1, 90_000, 40];
        let mut segment = 0;
        let mut reader: Option<SegmentReader> = None;
        let (mut read, mut written) = (Vec::new(), Vec::new());
        for (i, size) in sizes.into_iter().cycle().take(120).enumerate() {
            let record = noise(size, i as u64);
            append(&wal, std::slice::from_ref(&record));
            written.push(record);
            if i % 3 == 1 {
                continue;
            }
            let end = wal.tail().end();
            assert_eq!((end.segment, end.offset), wal.position());
            let mut next = reader.is_none();
            loop {
                if std::mem::take(&mut next) {
                    reader = Some(SegmentReader::open(&segment_path(dir.path(), segment)).unwrap());
                }
                let Some(reader) = &mut reader else { unreachable!() };
                reader.set_limit(if segment == end.segment { end.offset } else { u64::MAX });
                loop {
                    match reader.next().unwrap() {
                        ReadEvent::Record(record) => read.push(record.to_vec()),
                        ReadEvent::Damage(damage) => panic!("{damage}"),
                        ReadEvent::End => break,
                    }
                }
                if segment == end.segment {
                    break;
                }
                segment += 1;
                next = true;
            }
            assert_eq!(read.len(), written.len(), "after record {i}");
        }
        assert!(segment > 2);
        assert_eq!(read, written);
    }
}
