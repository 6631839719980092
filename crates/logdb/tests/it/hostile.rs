//! What fuzzing begins with is read, and what is near to it is refused or read, and does no harm.

use std::sync::Arc;

use blob::memory::MemoryObject;
use bytes::Bytes;
use logdb::manifest::{Document, Manifest};
use logdb::segment::{Segment, SegmentIndex};
use logdb::wal::{record, segment};
use model::logs::LogColumns;

/// The rows that can be read; `None` for what is no object.
fn rows_of(data: Vec<u8>) -> Option<usize> {
    let segment = Segment::open(Arc::new(MemoryObject::new("seed", data.into()))).ok()?;
    // Only the newest version is written.
    if segment.index().version == SegmentIndex::default().version {
        let again = SegmentIndex::decode(&segment.index().encode()).expect("what is written is read");
        assert_eq!(*segment.index(), again);
    }
    let _ = segment.check_filters();
    let columns = LogColumns::ALL;
    let pages = segment.index().groups.iter().filter_map(|group| segment.read(group, columns).ok());
    let rows = |page: model::logs::Page| {
        assert_eq!(page.timestamps_ns.len(), page.lines.len());
        (0..page.lines.len()).for_each(|row| page.metadata.row(row).for_each(drop));
        page.lines.len()
    };
    Some(pages.map(rows).sum())
}

#[test]
fn objects() {
    for (name, seed) in testkit::seeds::of("log_segment") {
        assert!(rows_of(seed.clone()) > Some(0), "{name}");
        testkit::seeds::near(&seed, 300).for_each(|near| {
            rows_of(near);
        });
    }
}

#[test]
fn manifests() {
    for (name, seed) in testkit::seeds::of("log_manifest") {
        let manifest = Manifest::decode(&seed).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest, "{name}");
        // A checksum is over all of it but the end of the last line.
        let is_other = |near: &Vec<u8>| Manifest::decode(near).is_ok_and(|near| near != manifest);
        assert_eq!(testkit::seeds::near(&seed, 1000).filter(is_other).count(), 0, "{name}");
    }
}

#[test]
fn logs_of_entries() {
    let read = |data: Vec<u8>| {
        let replayed = segment::replay(data);
        let decoded = replayed.records.iter().filter(|bytes| record::decode(bytes).is_ok());
        (decoded.count(), replayed.records.len())
    };
    for (name, seed) in testkit::seeds::of("log_wal") {
        let (decoded, records) = read(seed.clone());
        assert!(decoded > 0 && decoded == records, "{name}");
        for near in testkit::seeds::near(&seed, 1000) {
            // What is damaged is left out: records have checksums.
            let (decoded, all) = read(near);
            assert!(decoded == all && all <= records, "{name}");
        }
        for bytes in segment::replay(seed).records {
            for near in testkit::seeds::near(&bytes, 500) {
                let near = Bytes::from(near);
                if let Ok((tenant, batches)) = record::decode(&near) {
                    let mut again = Vec::new();
                    record::encode(&mut again, &tenant, &batches);
                    assert_eq!(record::decode(&again.into()).unwrap(), (tenant, batches), "{name}");
                }
            }
        }
    }
}
