//! Objects in a bucket of a real server that speaks S3.

use base64::Engine as _;
use testkit::s3::S3Server;

use super::{Loki, config, now_ns};
use crate::faults::wait_for;
use crate::peer::exchange;

#[test]
fn objects_are_in_the_bucket_the_configuration_names() {
    let Some(s3) = S3Server::start("objects_are_in_the_bucket_the_configuration_names") else { return };
    s3.make_bucket("logs");
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "auth_enabled: true
common:
  path_prefix: {}
  storage:
    s3:
      s3: http://any:any@{}/logs
      region: us-east-1
      s3forcepathstyle: true
storage_config: {{object_prefix: team/logs}}
schema_config: {{configs: [{{from: 2024-01-01, store: tsdb, object_store: s3, schema: v13}}]}}
",
        dir.path().display(),
        s3.address()
    );
    let loki = Loki::start(dir.path(), &config);
    assert_eq!(loki.push("a", "web", &[(now_ns(), "kept far away")]).0, 204);
    assert_eq!(loki.ask("a", "POST", "/flush", "").0, 204);
    drop(loki);
    // Another one, which has nothing but the bucket.
    std::fs::remove_dir_all(dir.path().join("wal")).unwrap();
    let loki = Loki::start(dir.path(), &config);
    assert_eq!(loki.lines("a", r#"{app="web"}"#), ["kept far away"]);
}

/// A group of one recording rule, as rulers of Loki keep it in a bucket.
fn group(name: &str, record: &str) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    };
    let rule = [field(1, br#"sum(count_over_time({app="web"}[1h]))"#), field(2, record.as_bytes())].concat();
    [field(1, name.as_bytes()), field(3, &[8, 1]), field(4, &rule)].concat()
}

#[test]
fn rules_are_read_from_a_bucket() {
    let Some(s3) = S3Server::start("rules_are_read_from_a_bucket") else { return };
    s3.make_bucket("logs");
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, record: &str| {
        let base64 = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
        let path = format!("/logs/rules/a/{}/{}", base64("team/shop"), base64(name));
        assert_eq!(exchange(s3.address(), "PUT", &path, "", &group(name, record)).unwrap().0, 200);
    };
    put("errors", "web:errors");
    let more = format!(
        "ruler:
  poll_interval: 1s
  storage:
    type: s3
    s3: {{s3: 'http://any:any@{}/logs', region: us-east-1, s3forcepathstyle: true}}
",
        s3.address()
    );
    let loki = Loki::start(dir.path(), &config(dir.path(), &more));
    let shown = |expected: &[(&str, &str)]| {
        wait_for("the rules to be those of the bucket", || {
            let (_, body) = loki.ask("a", "GET", "/prometheus/api/v1/rules", "");
            let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
            let groups = answer["data"]["groups"].as_array()?;
            let found: Vec<_> = groups
                .iter()
                .filter(|group| group["file"] == "team/shop")
                .filter_map(|group| Some((group["name"].as_str()?, group["rules"][0]["name"].as_str()?)))
                .collect();
            (found == expected).then_some(())
        });
    };
    shown(&[("errors", "web:errors")]);
    put("errors", "web:errors:new");
    put("more", "web:more");
    shown(&[("errors", "web:errors:new"), ("more", "web:more")]);
}
