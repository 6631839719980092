use std::path::Path;

use super::storage::ObjectPlace;
use super::values::LokiDuration;
use super::*;

fn load(text: &str) -> Result<LokiSettings, String> {
    LokiSettings::from_text(Path::new("loki.yaml"), text).map_err(|error| error.to_string())
}

/// What the container image of a Loki starts with, in its parts.
const LOCAL: &str = "
auth_enabled: false
server:
  http_listen_port: 3100
  grpc_listen_port: 9096
  log_level: debug
common:
  instance_addr: 127.0.0.1
  path_prefix: /tmp/loki
  storage:
    filesystem:
      chunks_directory: /tmp/loki/chunks
      rules_directory: /tmp/loki/rules
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
query_range:
  results_cache:
    cache:
      embedded_cache:
        enabled: true
        max_size_mb: 100
limits_config:
  metric_aggregation_enabled: true
  retention_period: 744h
schema_config:
  configs:
    - from: 2020-10-24
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
pattern_ingester:
  enabled: true
ruler:
  alertmanager_url: http://localhost:9093
frontend:
  encoding: protobuf
";

#[test]
fn a_file_of_a_single_binary_is_honoured_as_far_as_it_applies_and_the_rest_is_told() {
    let settings = load(LOCAL).unwrap();
    assert!(!settings.file.auth_enabled);
    assert_eq!(settings.objects, ObjectPlace::Folder("/tmp/loki/chunks".into()));
    assert_eq!(settings.wal, Path::new("/tmp/loki/wal"));
    let told = settings.without_effect.join("\n");
    for key in [
        "loki.yaml:5: server.grpc_listen_port: ",
        "common.ring: ",
        "query_range: ",
        "limits_config.metric_aggregation_enabled: ",
        "schema_config.configs.schema: ",
        "limits_config: retention has no effect",
    ] {
        assert!(told.contains(key), "{key} is not in {told}");
    }
    assert!(!told.contains("http_listen_port") && !told.contains("chunks_directory"), "{told}");
}

#[test]
fn what_would_mean_something_else_is_refused_with_its_line() {
    for (text, expected) in [
        ("common: {path_prefix: /x}\ntarget: read", "target \"read\" cannot be honoured"),
        (
            "common: {path_prefix: /x}\ningester: {wal: {enabled: false}}",
            "ingester.wal.enabled cannot be honoured",
        ),
        (
            "common: {path_prefix: /x}\nlimits_config: {deletion_mode: filter-only}",
            "filter-only cannot be honoured",
        ),
        (
            "common: {path_prefix: /x}\nlimits_config: {policy_enforced_labels: {a: [app]}}",
            "limits_config.policy_enforced_labels",
        ),
        (
            "common: {path_prefix: /x}\nlimits_config: {blocked_queries: [{types: 'metric,all'}]}",
            "unknown type \"all\"",
        ),
        (
            "common: {path_prefix: /x}\nlimits_config: {blocked_queries: [{regex: true, pattern: '('}]}",
            "blocked_queries: ",
        ),
        ("common: {path_prefix: /x}\nlimits_config: {block_ingestion_until: soon}", "is not a time"),
        ("common: {path_prefix: /x}\nruler: {storage: {type: swift}}", "would not be evaluated"),
        ("common: {path_prefix: /x}\nruler: {storage: {type: s3}}", "nothing says which bucket that is"),
        (
            "common: {path_prefix: /x}\nruler: {alertmanager_url: 'alertmanager:9093'}",
            "is not a URL of an Alertmanager",
        ),
        (
            "common: {path_prefix: /x}\nruler: {remote_write: {enabled: true}}",
            "no clients URL are configured",
        ),
        ("common: {path_prefix: /x}\nruler_storage: {backend: s3}", "ruler_storage cannot be honoured"),
        ("common: {path_prefix: /x}\nstorage_config: {aws: {sse: {type: SSE-S3}}}", "storage_config.aws.sse"),
        ("common: {path_prefix: /x}\nlimits_config: {ingestion_rate: 5}", "field ingestion_rate not found"),
        ("common: {path_prefix: /x}\nlimits_config: {max_line_size: large}", "flagext.ByteSize"),
        (
            "common: {path_prefix: /x}\nlimits_config: {retention_stream: [{selector: '{a=\"b\"}', period: 1h}]}",
            ">= 24h",
        ),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(expected) && error.contains("loki.yaml:2:"), "{text}: {error}");
    }
    assert!(load("auth_enabled: true").unwrap_err().contains("nothing says where objects are"));
    // What says what holds anyway is no reason to refuse.
    load("common: {path_prefix: /x}\ningester: {wal: {enabled: true}}\nlimits_config: {policy_enforced_labels: {}}")
        .unwrap();
}

#[test]
fn buckets_are_named_in_all_the_ways_there_are() {
    let bucket = |text: &str| match load(text).unwrap().objects {
        ObjectPlace::Bucket(bucket) => bucket,
        ObjectPlace::Folder(path) => panic!("{path:?}"),
    };
    let of = |bucket: &storage::Bucket, key: &str| {
        let found = bucket.settings.iter().find(|(name, _)| name == key);
        found.map_or(String::new(), |(_, value)| value.expose().to_owned())
    };
    let minio = bucket(
        "storage_config: {object_prefix: logs/, aws: {s3: 'http://key:se%2Fcret@minio:9000/bucket', s3forcepathstyle: true}}\nschema_config: {configs: [{from: 2020-01-01, object_store: s3}]}",
    );
    assert_eq!(minio.url, "s3://bucket/logs");
    assert_eq!(
        (
            of(&minio, "endpoint"),
            of(&minio, "access_key_id"),
            of(&minio, "secret_access_key"),
            of(&minio, "allow_http")
        ),
        ("http://minio:9000".to_owned(), "key".to_owned(), "se/cret".to_owned(), "true".to_owned())
    );
    assert!(!minio.from_environment);
    let amazon = bucket("common: {storage: {s3: {bucketnames: b, region: eu-west-1}}}");
    assert_eq!(
        (amazon.url.as_str(), of(&amazon, "region"), of(&amazon, "endpoint")),
        ("s3://b", "eu-west-1".to_owned(), String::new())
    );
    assert!(amazon.from_environment);
    let google = bucket("common: {storage: {gcs: {bucket_name: g}}}");
    assert_eq!(google.url, "gs://g");
    let azure = bucket("common: {storage: {azure: {account_name: a, account_key: k, container_name: c}}}");
    assert_eq!((azure.url.as_str(), of(&azure, "account_name")), ("az://c", "a".to_owned()));
    let shown = load("common: {storage: {azure: {account_name: a, account_key: hidden, container_name: c}}}")
        .unwrap();
    assert!(!shown.to_yaml().contains("hidden"));
    assert!(!format!("{shown:?}").contains("hidden"));
}

#[test]
fn overrides_say_what_is_different() {
    let base =
        load("common: {path_prefix: /x}\nlimits_config: {ingestion_rate_mb: 8, max_line_size: 1KB}").unwrap();
    let text = "overrides:\n  team-a:\n    max_line_size: 2KB\n    max_query_parallelism: 3\n    retention_stream:\n    - {selector: '{a=\"b\"}', priority: 1, period: 48h}\n";
    let overrides = read_overrides(Path::new("o.yaml"), text).unwrap();
    let limits = overrides.overrides["team-a"].over(&base.file.limits_config);
    assert_eq!(limits.ingestion_rate_mb, Some(8.0));
    assert_eq!(limits.max_line_size.unwrap().bytes(), 2048);
    assert_eq!(limits.retention_stream[0].period, LokiDuration::from_secs(48 * 3600));
    let error = read_overrides(Path::new("o.yaml"), "overrides: {a: {max_lines: 1}}").unwrap_err();
    assert!(error.to_string().contains("field max_lines not found"), "{error}");
}

#[test]
fn variables_are_replaced() {
    let value_of = |name: &str| (name == "HOST").then(|| "h".to_owned());
    let expand = |text: &str| expand::expand(text, &value_of);
    assert_eq!(expand("a: ${HOST} ${NONE} ${NONE:-x y} $$ $5").unwrap(), "a: h  x y $ $5");
    assert!(expand("a\nb: ${HOST").is_err_and(|fault| fault.pos.line == 2));
}

#[test]
fn rules_are_below_folders_and_told_to_alertmanagers() {
    let settings = load(LOCAL).unwrap();
    assert_eq!(settings.rules.files, Some("/tmp/loki/rules".into()));
    assert_eq!(
        (settings.rules.own, settings.rules.wal),
        ("/tmp/loki/rules".into(), "/tmp/loki/ruler-wal".into())
    );
    let text = "common: {path_prefix: /x}
ruler:
  storage: {type: local, local: {directory: /etc/rules}}
  rule_path: /scratch
  external_labels: {cluster: a}
  alertmanager_url: http://me:p%40ss@one:9093/am, https://two
  alertmanager_client: {tls_insecure_skip_verify: true}
  notification_timeout: 3s
  remote_write:
    enabled: true
    clients:
      mimir: {url: http://mimir/api/v1/push, headers: {X-A: b}}
  ring: {kvstore: {store: inmemory}}
  wal: {dir: /wal, truncate_frequency: 1h}
";
    let settings = load(text).unwrap();
    assert_eq!(settings.rules.files, Some("/etc/rules".into()));
    assert_eq!((settings.rules.own, settings.rules.wal), ("/scratch".into(), "/wal".into()));
    let config = settings.file.ruler.as_prometheus();
    let managers = &config.file.alerting.alertmanagers;
    let targets = |at: usize| managers[at].discovery.static_configs[0].targets.clone();
    assert_eq!((targets(0), targets(1)), (vec!["one:9093".to_owned()], vec!["two:443".to_owned()]));
    assert_eq!((&*managers[0].path_prefix, &*managers[1].scheme), ("am", "https"));
    let user = managers[0].http.basic_auth.as_ref().unwrap();
    assert_eq!((&*user.username, user.password.expose()), ("me", "p@ss"));
    assert!(managers[1].http.tls_config.insecure_skip_verify && managers[1].timeout.as_ms() == 3000);
    assert_eq!(config.file.remote_write[0].name, "mimir");
    assert_eq!(config.external_labels.get("cluster"), Some("a"));
    let told = settings.without_effect.join("\n");
    assert!(told.contains("ruler.ring: ") && told.contains("ruler.wal.truncate_frequency: "), "{told}");
}

#[test]
fn rules_are_in_the_bucket_that_the_ruler_or_all_of_it_names() {
    let rules = |text: &str| load(text).unwrap().rules;
    let own = rules(
        "common: {path_prefix: /x, storage: {s3: {bucketnames: logs}}}\nruler: {storage: {type: s3, s3: {bucketnames: rules}}}",
    );
    assert_eq!((own.bucket.unwrap().url.as_str(), own.files), ("s3://rules", None));
    let common = rules(
        "common: {path_prefix: /x, storage: {gcs: {bucket_name: all}}}\nstorage_config: {object_prefix: logs}\nruler: {storage: {type: gcs}}",
    );
    assert_eq!(common.bucket.unwrap().url, "gs://all");
    let folder = rules("common: {path_prefix: /x}\nruler: {storage: {type: local, local: {directory: /r}}}");
    assert!(folder.bucket.is_none() && folder.files == Some("/r".into()));
}
