use super::*;
use blob::{Bucket, MemoryBucket, PutIf};

/// A field that is bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = if len < 128 { vec![len as u8] } else { vec![len as u8 | 0x80, (len >> 7) as u8] };
    [&[number << 3 | 2], &head[..], content].concat()
}

fn pair(number: u8, name: &str, value: &str) -> Vec<u8> {
    field(number, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

/// A group of an alert that is pending for a second and a half, and a recording rule.
fn group(name: &str) -> Vec<u8> {
    let alert = [
        field(1, br#"count_over_time({app="a"} |= "\"x\"" [5m]) > 0"#),
        field(3, b"Much"),
        field(4, &[8, 1, 16, 0x80, 0xca, 0xb5, 0xee, 1]),
        pair(5, "severity", "page"),
        pair(6, "summary", "line one\nline two"),
    ];
    let record = [field(1, br#"sum(rate({app="a"}[1m]))"#), field(2, b"a:rate1m"), field(4, &[])];
    [
        field(1, name.as_bytes()),
        field(2, b"a namespace"),
        field(3, &[8, 90]),
        field(4, &alert.concat()),
        field(4, &record.concat()),
        field(6, b"team-a"),
        vec![10 << 3, 7],
        // What no version here knows.
        field(15, b"more"),
    ]
    .concat()
}

fn key_of(tenant: &str, namespace: &str, group: &str) -> String {
    format!("rules/{tenant}/{}/{}", URL_SAFE.encode(namespace), URL_SAFE.encode(group))
}

#[test]
fn groups_in_a_bucket_are_files_of_rules() {
    let bucket = Arc::new(MemoryBucket::new(base::SimClock::at(0)));
    let put = |key: &str, data: Vec<u8>| bucket.put(key, data.into(), &PutIf::Always).unwrap();
    put(&key_of("team-a", "a/namespace?", "one"), group("one"));
    put(&key_of("team-a", "a/namespace?", "two"), group("two"));
    put(&key_of("team-b", "other", "bad"), vec![0xff; 9]);
    put("rules/team-b/not-base64!/x", group("x"));
    put("chunks/team-b/x/y", group("y"));
    let rules = Elsewhere::Bucket(BucketRules::new(bucket.clone(), "mem://b".to_owned()));
    let found = rules.read().unwrap();
    assert_eq!(found.keys().map(|tenant| &*tenant.0).collect::<Vec<_>>(), ["team-a"]);
    let text = &found[&TenantId("team-a".into())]["a/namespace?"];
    let options = rules::file::FileOptions {
        language: &rules::expression::LogQlLanguage,
        names: config::NameValidation::Utf8,
        ignore_unknown_fields: false,
    };
    let file = rules::file::RuleFile::parse(text, &options).unwrap();
    assert_eq!(file.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let read: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        read["groups"][0],
        json!({
            "name": "one", "interval": "90000ms", "limit": 7,
            "rules": [
                {"alert": "Much", "expr": "count_over_time({app=\"a\"} |= \"\\\"x\\\"\" [5m]) > 0", "for": "1500ms",
                 "labels": {"severity": "page"}, "annotations": {"summary": "line one\nline two"}},
                {"record": "a:rate1m", "expr": "sum(rate({app=\"a\"}[1m]))"},
            ],
        })
    );

    // What changes is read again, what goes goes.
    put(&key_of("team-a", "a/namespace?", "two"), group("three"));
    put(&key_of("team-b", "other", "bad"), group("good"));
    bucket.delete(&key_of("team-a", "a/namespace?", "one")).unwrap();
    let found = rules.read().unwrap();
    let names = |tenant: &str, namespace: &str| -> Vec<String> {
        let read: Value = serde_json::from_str(&found[&TenantId(tenant.into())][namespace]).unwrap();
        read["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (names("team-a", "a/namespace?"), names("team-b", "other")),
        (vec!["three".to_owned()], vec!["good".to_owned()])
    );
}
