//! What every bucket promises, tried on those that need no server.

mod azure;
mod gcs;
mod s3;

use std::sync::Arc;

use base::SystemClock;
use bytes::Bytes;

use crate::bucket::{check_key, key_part, text_of_key_part};
use crate::fault::FaultyBucket;
use crate::local::power::PowerlessFiles;
use crate::retry::{RetryOptions, RetryingBucket};
use crate::{BlobError, Bucket, LocalBucket, MemoryBucket, PutIf};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn keeps_the_promises(bucket: &dyn Bucket) {
    assert!(matches!(bucket.get("a/b", 10), Err(BlobError::NotFound(_))));
    let first = bucket.put("a/b", bytes("one"), &PutIf::Absent).unwrap();
    assert!(matches!(bucket.put("a/b", bytes("two"), &PutIf::Absent), Err(BlobError::Conflict(_))));
    let second = bucket.put("a/b", bytes("two"), &PutIf::Unchanged(first.clone())).unwrap();
    assert!(matches!(
        bucket.put("a/b", bytes("x"), &PutIf::Unchanged(first.clone())),
        Err(BlobError::Conflict(_))
    ));
    assert_eq!(bucket.get("a/b", 3).unwrap(), (bytes("two"), second.clone()));
    assert!(bucket.get("a/b", 2).is_err(), "larger than allowed");
    assert_eq!(bucket.get_changed("a/b", 3, &second).unwrap(), None);
    assert_eq!(bucket.get_changed("a/b", 3, &first).unwrap(), Some((bytes("two"), second)));
    bucket.settle("a/b").unwrap();

    let mut upload = bucket.upload("a/c/d").unwrap();
    upload.write(bytes("hello ")).unwrap();
    assert_eq!(bucket.list("a/").unwrap().len(), 1, "an upload appears when it is finished");
    upload.write(bytes("world")).unwrap();
    upload.finish().unwrap();
    let object = bucket.open("a/c/d").unwrap();
    assert_eq!(object.len_bytes(), 11);
    assert_eq!(object.read(6..11).unwrap(), bytes("world"));
    assert!(object.read(6..12).is_err());
    drop(bucket.upload("a/never").unwrap());

    bucket.put("b", bytes(""), &PutIf::Always).unwrap();
    let keys =
        |prefix| bucket.list(prefix).unwrap().into_iter().map(|o| (o.key, o.size_bytes)).collect::<Vec<_>>();
    assert_eq!(keys(""), [("a/b".into(), 3), ("a/c/d".into(), 11), ("b".into(), 0)]);
    assert_eq!(keys("a/c/"), [("a/c/d".into(), 11)]);
    assert_eq!(keys("nowhere/"), []);
    assert_eq!(bucket.list_folders("").unwrap(), ["a"]);
    assert_eq!(bucket.list_folders("a/").unwrap(), ["c"]);

    bucket.delete("a/b").unwrap();
    bucket.delete("a/b").unwrap();
    assert_eq!(keys("a/"), [("a/c/d".into(), 11)]);
    for bad in ["", "/a", "a//b", "../a", "a/..", "~lock", "a b"] {
        assert!(bucket.put(bad, bytes("x"), &PutIf::Always).is_err(), "{bad:?}");
    }
}

/// Several who change one object by its version lose none of their changes: what manifests rely on.
pub(super) fn counts_together(bucket: &dyn Bucket) {
    const WRITERS: usize = 4;
    const EACH: u64 = 10;
    bucket.put("count", bytes("0"), &PutIf::Absent).unwrap();
    let add_one = || loop {
        let (data, version) = bucket.get("count", 100).unwrap();
        let count: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
        match bucket.put("count", bytes(&(count + 1).to_string()), &PutIf::Unchanged(version)) {
            Ok(_) => return,
            Err(BlobError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| (0..EACH).for_each(|_| add_one()));
        }
    });
    assert_eq!(bucket.get("count", 100).unwrap().0, bytes(&(WRITERS as u64 * EACH).to_string()));
    // And of several who want to be the first, one is.
    let firsts = std::thread::scope(|scope| {
        let first = || bucket.put("first", bytes("x"), &PutIf::Absent).is_ok();
        let tries: Vec<_> = (0..WRITERS).map(|_| scope.spawn(first)).collect();
        tries.into_iter().map(|one| usize::from(one.join().unwrap())).sum::<usize>()
    });
    assert_eq!(firsts, 1);
    bucket.delete("count").unwrap();
    bucket.delete("first").unwrap();
}

#[test]
fn memory_keeps_the_promises() {
    keeps_the_promises(&MemoryBucket::new(SystemClock::shared()));
    counts_together(&MemoryBucket::new(SystemClock::shared()));
}

#[test]
fn what_a_bucket_is_asked_is_counted() {
    let (registry, clock) = (base::metrics::Registry::new(), SystemClock::shared());
    let inner = Arc::new(MemoryBucket::new(clock.clone()));
    let bucket = crate::MeteredBucket::new(inner, &registry, &clock);
    keeps_the_promises(&bucket);
    let families = registry.gather();
    let value = |name: &str, operation: &str| {
        let family = families.iter().find(|family| family.name == name).unwrap();
        let is_of = |point: &&base::metrics::Point| point.labels.iter().any(|(_, value)| value == operation);
        match family.points.iter().find(is_of).unwrap().value {
            base::metrics::Value::Number(value) => value,
            _ => panic!("{name} is no number"),
        }
    };
    let count = |operation| value("loki_objstore_bucket_operations_total", operation);
    let failures = |operation| value("loki_objstore_bucket_operation_failures_total", operation);
    assert_eq!((count("attributes"), count("get_range"), count("delete")), (1.0, 2.0, 2.0));
    // What is larger than it may be is a failure; what is not there, or was changed by others, is an answer.
    assert_eq!((count("get"), failures("get"), failures("get_range")), (5.0, 1.0, 1.0));
    assert_eq!(failures("delete"), 0.0);
}

#[test]
fn a_directory_keeps_the_promises() {
    let dir = tempfile::tempdir().unwrap();
    keeps_the_promises(&LocalBucket::open(dir.path()).unwrap());
    counts_together(&LocalBucket::open(dir.path()).unwrap());
    let left = std::fs::read_dir(dir.path().join("a")).unwrap().count();
    assert_eq!(left, 1, "what was unfinished is gone");
}

#[test]
fn a_simulated_directory_keeps_the_promises() {
    let root = std::path::Path::new("/bucket");
    let files = PowerlessFiles::new(root, 1, SystemClock::shared());
    keeps_the_promises(&LocalBucket::on(root, Arc::new(files)));
}

#[test]
fn folders_go_with_their_last_object_and_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = LocalBucket::open(&dir.path().join("new/root")).unwrap();
    let other = bucket.clone();
    for _ in 0..3 {
        bucket.put("a/b/c", bytes("x"), &PutIf::Absent).unwrap();
        other.delete("a/b/c").unwrap();
        assert_eq!(bucket.list_folders("").unwrap(), Vec::<String>::new());
    }
}

#[test]
fn what_never_ended_is_deleted_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = LocalBucket::open(dir.path()).unwrap();
    bucket.put("a/b", bytes("x"), &PutIf::Absent).unwrap();
    let mut upload = bucket.upload("a/c").unwrap();
    upload.write(bytes("y")).unwrap();
    // As a process leaves it that is killed.
    std::mem::forget(upload);
    assert_eq!(bucket.delete_unfinished(0).unwrap(), 0, "what is young may be on its way");
    assert_eq!(bucket.delete_unfinished(i64::MAX).unwrap(), 1);
    assert_eq!(bucket.list("").unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    bucket.put("a/b", bytes("z"), &PutIf::Absent).unwrap_err();
}

#[test]
fn what_was_stored_or_settled_outlives_a_loss_of_power() {
    let root = std::path::Path::new("/bucket");
    for seed in 0..400_u64 {
        let files = PowerlessFiles::new(root, seed, base::SimClock::at(0));
        let mut bucket = LocalBucket::on(root, Arc::new(files.clone()));
        files.fail_sometimes((seed % 3 * 100) as u32);
        // For each key the values it may have.
        let mut allowed: std::collections::BTreeMap<String, Vec<Option<String>>> = Default::default();
        let mut number = seed;
        for step in 0..60 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = format!("f{}/g{}/k{}", number >> 33 & 1, number >> 35 & 1, number >> 37 & 1);
            let values = allowed.entry(key.clone()).or_insert_with(|| vec![None]);
            let value = format!("value {step}");
            let stored = match number >> 40 & 3 {
                0 => {
                    let mut upload = bucket.upload(&key).ok();
                    let written = upload.as_mut().is_some_and(|upload| upload.write(bytes(&value)).is_ok());
                    written && upload.is_some_and(|upload| upload.finish().is_ok())
                }
                _ => bucket.put(&key, bytes(&value), &PutIf::Always).is_ok(),
            };
            if stored {
                *values = vec![Some(value)];
            } else {
                values.push(Some(value));
            }
            if number >> 45 & 3 == 0 && bucket.settle(&key).is_ok() {
                let seen =
                    bucket.get(&key, 100).ok().map(|(data, _)| String::from_utf8(data.to_vec()).unwrap());
                assert!(values.contains(&seen), "seed {seed}: {key} is {seen:?} and not of {values:?}");
                *values = vec![seen];
            }
            if number >> 54 & 7 == 0 {
                // Another process goes on.
                bucket = LocalBucket::on(root, Arc::new(files.clone()));
            }
            if number >> 50 & 15 == 0 {
                files.lose_power();
                bucket = LocalBucket::on(root, Arc::new(files.clone()));
                for (key, values) in &mut allowed {
                    let seen =
                        bucket.get(key, 100).ok().map(|(data, _)| String::from_utf8(data.to_vec()).unwrap());
                    assert!(values.contains(&seen), "seed {seed}: {key} is {seen:?} and not of {values:?}");
                    *values = vec![seen];
                }
            }
        }
    }
}

#[test]
fn of_many_who_swap_at_once_one_wins_each_time() {
    let dir = tempfile::tempdir().unwrap();
    // Two buckets on one directory: as two processes have.
    let buckets = [LocalBucket::open(dir.path()).unwrap(), LocalBucket::open(dir.path()).unwrap()];
    buckets[0].put("n", bytes("0"), &PutIf::Absent).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let bucket = &buckets[thread % 2];
            scope.spawn(move || {
                for _ in 0..25 {
                    loop {
                        let (data, version) = bucket.get("n", 100).unwrap();
                        let n: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
                        match bucket.put("n", bytes(&(n + 1).to_string()), &PutIf::Unchanged(version)) {
                            Ok(_) => break,
                            Err(BlobError::Conflict(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(buckets[0].get("n", 100).unwrap().0, bytes("100"));
}

#[test]
fn what_fails_now_and_then_is_tried_again() {
    let inner = Arc::new(MemoryBucket::new(SystemClock::shared()));
    let faulty = FaultyBucket::new(inner, 7);
    faulty.rates().fail.store(300, std::sync::atomic::Ordering::Relaxed);
    faulty.rates().lie.store(100, std::sync::atomic::Ordering::Relaxed);
    let options =
        RetryOptions { tries: 20, first_wait: Default::default(), longest_wait: Default::default() };
    let bucket = RetryingBucket::new(Arc::new(faulty.clone()), options);
    for i in 0..200 {
        bucket.put(&format!("k/{i}"), bytes("x"), &PutIf::Always).unwrap();
    }
    assert_eq!(bucket.list("k/").unwrap().len(), 200);
    assert!(faulty.injected() > 50);
}

#[test]
fn any_text_can_be_a_part_of_a_key() {
    for text in ["team-a", "", "..", "a/b", "ä%41", "~x", "a b"] {
        let part = key_part(text);
        assert_eq!(text_of_key_part(&part).as_deref(), Some(text));
        assert_eq!(check_key(&part).is_ok(), !text.is_empty(), "{text:?} {part:?}");
    }
    assert_eq!(text_of_key_part("%4"), None);
}

/// An upload of more than one part, with cuts that are not those of what is written.
fn takes_what_is_larger_than_a_part(bucket: &dyn Bucket) {
    let large = Bytes::from((0..20_000_000_u32).map(|i| (i / 7) as u8).collect::<Vec<u8>>());
    let mut upload = bucket.upload("large").unwrap();
    large.chunks(3_000_001).for_each(|part| upload.write(large.slice_ref(part)).unwrap());
    upload.finish().unwrap();
    let stored = bucket.open("large").unwrap();
    assert_eq!(stored.read(9_999_990..10_000_010).unwrap(), large[9_999_990..10_000_010]);
}
