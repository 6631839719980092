use std::sync::Arc;

use blob::memory::MemoryObject;
use model::labels::Labels;
use model::logs::LogColumns;
use proptest::prelude::*;

use super::*;
use crate::segment::index::{MICROS, NANOS, PageKind, Resolutions, TimeUnit};
use crate::segment::reader::SegmentError;

type Row = (i64, Vec<u8>, Vec<(String, String)>);

fn write(streams: &[(Labels, Vec<Row>)], options: SegmentOptions) -> (Vec<u8>, SegmentIndex) {
    let mut writer = SegmentWriter::new(options, Vec::new()).unwrap();
    for (labels, rows) in streams {
        writer.begin_stream(labels);
        for (timestamp, line, metadata) in rows {
            let metadata = metadata.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            writer.push(*timestamp, line, metadata).unwrap();
        }
    }
    let written = writer.finish().unwrap();
    assert_eq!(written.size_bytes, written.sink.len() as u64);
    (written.sink, written.index)
}

fn open(bytes: &[u8]) -> Result<Segment, SegmentError> {
    Segment::open(Arc::new(MemoryObject::new("test", bytes.to_vec().into())))
}

fn read_all(segment: &Segment) -> Result<Vec<(Labels, Vec<Row>)>, SegmentError> {
    let mut streams: Vec<(Labels, Vec<Row>)> = Vec::new();
    for group in &segment.index().groups {
        let page = segment.read(group, LogColumns::ALL)?;
        assert_eq!(page.timestamps_ns.len(), group.rows as usize);
        for run in &group.runs {
            let labels = &segment.index().streams[run.stream as usize];
            if streams.last().is_none_or(|(last, _)| last != labels) {
                streams.push((labels.clone(), Vec::new()));
            }
            for row in run.first_row as usize..(run.first_row + run.rows) as usize {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let metadata = page.metadata.row(row);
                let metadata = metadata.map(|(name, value)| (name.to_string(), text(value))).collect();
                let row = (page.timestamps_ns[row], page.lines.get(row).to_vec(), metadata);
                streams.last_mut().unwrap().1.push(row);
            }
        }
    }
    Ok(streams)
}

fn sample(rows: i64) -> Vec<(Labels, Vec<Row>)> {
    let stream = |name: &str| {
        let row = |i: i64| {
            let mut metadata = vec![("level".to_owned(), ["info", "warn"][(i % 2) as usize].to_owned())];
            if i % 3 == 0 {
                metadata.push(("trace".to_owned(), format!("{i:032x}")));
            }
            (1_700_000_000_000_000_000 + i * 1_234_567_890, format!("{name} line {i}").into_bytes(), metadata)
        };
        (Labels::from_pairs([("app", name), ("env", "test")]), (0..rows).map(row).collect())
    };
    vec![stream("a"), stream("b"), stream("c")]
}

fn small(hot: &[&str]) -> SegmentOptions {
    SegmentOptions {
        group_bytes: 4000,
        groups_per_row_group: 3,
        hot: hot.iter().map(|&name| name.into()).collect(),
        ..Default::default()
    }
}

#[test]
fn timestamps_are_whole_in_every_unit() {
    let times = [i64::MIN + 1, -1, 0, 999, 1_000_000, 1_700_000_000_123_456_789, i64::MAX];
    let rows = times.map(|time| (time, b"x".to_vec(), Vec::new())).to_vec();
    let streams = vec![(Labels::from_pairs([("app", "a")]), rows)];
    for unit in [TimeUnit::Millis, TimeUnit::Micros, TimeUnit::Nanos] {
        let (bytes, index) = write(&streams, SegmentOptions { unit, ..Default::default() });
        let segment = open(&bytes).unwrap();
        assert_eq!((segment.index(), segment.index().unit), (&index, unit));
        assert_eq!(read_all(&segment).unwrap(), streams, "{unit:?}");
        let is_read = |column: usize| index.groups[0].pages[column].kind != PageKind::Nothing;
        assert_eq!([MICROS, NANOS].map(is_read), [unit == TimeUnit::Millis, unit != TimeUnit::Nanos]);
    }
}

#[test]
fn the_unit_is_the_one_most_timestamps_need() {
    let unit = |times: &[(i64, usize)]| {
        let mut resolutions = Resolutions::default();
        for &(time, count) in times {
            (0..count).for_each(|_| resolutions.count(time));
        }
        // An object is counted as its rows were.
        let rows: Vec<Row> = (0..times.iter().map(|(_, count)| count).sum::<usize>() as i64)
            .map(|i| (times[0].0 + i * 1_000_000_000, b"x".to_vec(), Vec::new()))
            .collect();
        let streams = vec![(Labels::from_pairs([("app", "a")]), rows)];
        let mut of_object = Resolutions::default();
        of_object.count_object(&write(&streams, SegmentOptions::default()).1);
        if times.len() == 1 {
            assert_eq!(of_object.unit(), resolutions.unit());
        }
        resolutions.unit()
    };
    assert_eq!(unit(&[(-3_000_000, 9)]), TimeUnit::Millis);
    assert_eq!(unit(&[(-3_000, 9)]), TimeUnit::Micros);
    assert_eq!(unit(&[(7, 9)]), TimeUnit::Nanos);
    assert_eq!(unit(&[(5_000_000, 9), (7, 1)]), TimeUnit::Millis);
    assert_eq!(unit(&[(5_000_000, 1), (7, 9)]), TimeUnit::Nanos);
}

#[test]
fn what_is_written_is_read() {
    for hot in [&[][..], &["level"], &["level", "trace"], &["nothing"]] {
        let streams = sample(700);
        let (bytes, index) = write(&streams, small(hot));
        let segment = open(&bytes).unwrap();
        assert_eq!(segment.index(), &index);
        assert_eq!(read_all(&segment).unwrap(), streams);
        assert_eq!(index.rows(), 2100);
        assert!(index.groups.len() > 10);
        assert_eq!(index.names[0], ("level".into(), 2100));
        for group in &index.groups {
            assert_eq!(group.rows, group.runs.iter().map(|run| run.rows).sum::<u32>());
        }
    }
}

#[test]
fn an_object_without_rows_is_one_too() {
    let (bytes, _) = write(&[], SegmentOptions::default());
    assert_eq!(open(&bytes).unwrap().index().rows(), 0);
}

#[test]
fn equal_lines_of_one_time_are_stored_once() {
    let row = |t, line: &str| (t, line.as_bytes().to_vec(), vec![]);
    let rows = vec![row(1, "x"), row(1, "y"), row(1, "x"), row(2, "x"), row(2, "x")];
    let labels = Labels::from_pairs([("a", "b")]);
    let (bytes, _) = write(&[(labels, rows)], SegmentOptions::default());
    let read = read_all(&open(&bytes).unwrap()).unwrap();
    assert_eq!(read[0].1, [row(1, "x"), row(1, "y"), row(2, "x")]);
}

#[test]
fn filters_are_those_of_the_lines_of_their_group() {
    let (bytes, _) = write(&sample(700), small(&["level"]));
    let segment = open(&bytes).unwrap();
    let needle = grams::Needle::new(b"b line 333").unwrap();
    let hash = grams::value_hash("trace", format!("{:032x}", 333).as_bytes());
    let all: Vec<usize> = (0..segment.index().groups.len()).collect();
    let passed = segment.may_hold(&Probe::Lines(vec![needle]), &all).unwrap();
    let values = segment.may_hold(&Probe::Value(hash), &all).unwrap();
    for (number, group) in segment.index().groups.iter().enumerate() {
        let page = segment.read(group, LogColumns::ALL).unwrap();
        let is_in = (0..page.lines.len()).any(|row| page.lines.get(row) == b"b line 333");
        assert!(passed[number] || !is_in);
    }
    let count = |verdicts: &[bool]| verdicts.iter().filter(|&&may| may).count();
    assert!((1..=6).contains(&count(&passed)), "{passed:?}");
    assert!((3..=6).contains(&count(&values)), "{values:?}");
    assert_eq!(segment.may_hold(&Probe::Value(hash), &all[3..5]).unwrap(), values[3..5]);
}

#[test]
fn damage_anywhere_is_an_error_and_no_other_entry() {
    let streams = sample(40);
    let (bytes, _) = write(&streams, small(&["level"]));
    let mut harmless = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        match open(&damaged).and_then(|segment| read_all(&segment)) {
            // Page headers and the footer are for other readers.
            Ok(read) => harmless += usize::from(read == streams),
            Err(error) => {
                assert!(error.is_damage() || matches!(error, SegmentError::Blob(_)));
                harmless += 1;
            }
        }
    }
    assert_eq!(harmless, bytes.len());
    for len in 0..bytes.len() {
        assert!(open(&bytes[..len]).is_err());
    }
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let metadata = prop::collection::btree_map("[a-d]{1,2}", "[a-z]{0,6}", 0..4);
    let row = (any::<i32>(), prop::collection::vec(any::<u8>(), 0..40), metadata);
    prop::collection::vec(row, 0..60).prop_map(|rows| {
        let mut rows: Vec<Row> =
            rows.into_iter().map(|(t, line, m)| (i64::from(t), line, m.into_iter().collect())).collect();
        rows.sort();
        rows.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
        rows
    })
}

proptest! {
    #[test]
    fn any_rows_are_read_as_written(a in any_rows(), b in any_rows(), group_rows in 1_usize..40) {
        let streams: Vec<_> = [("a", a), ("b", b)]
            .into_iter()
            .map(|(name, rows)| (Labels::from_pairs([("app", name)]), rows))
            .collect();
        let options = SegmentOptions { group_rows, ..small(&["a", "bb"]) };
        let (bytes, _) = write(&streams, options);
        let read = read_all(&open(&bytes).unwrap()).unwrap();
        let stored: Vec<_> = streams.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
        prop_assert_eq!(read, stored);
    }
}
