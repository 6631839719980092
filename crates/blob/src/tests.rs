//! What every bucket promises, tried on those that need no server.

mod s3;

use std::sync::Arc;

use base::SystemClock;
use bytes::Bytes;

use crate::bucket::{check_key, key_part, text_of_key_part};
use crate::fault::FaultyBucket;
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
    assert!(matches!(bucket.put("a/b", bytes("x"), &PutIf::Unchanged(first)), Err(BlobError::Conflict(_))));
    assert_eq!(bucket.get("a/b", 3).unwrap(), (bytes("two"), second));
    assert!(bucket.get("a/b", 2).is_err(), "larger than allowed");

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

#[test]
fn memory_keeps_the_promises() {
    keeps_the_promises(&MemoryBucket::new(SystemClock::shared()));
}

#[test]
fn a_directory_keeps_the_promises() {
    let dir = tempfile::tempdir().unwrap();
    keeps_the_promises(&LocalBucket::open(dir.path()).unwrap());
    let left = std::fs::read_dir(dir.path().join("a")).unwrap().count();
    assert_eq!(left, 1, "what was unfinished is gone");
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
