//! Every key there is that is not read here, and what becomes of it: most have no effect, because what they are about does
//! not exist here; with some the configuration would mean something else, and is refused.
//!
//! A key is looked up with the path to it. A block that is named here is named with all that is in it.

use crate::error::Fault;
use crate::yaml::{Node, Value};

/// What became of a tree.
pub(super) struct Survey {
    /// What is left: keys that are read here, and those nobody knows.
    pub rest: Node,
    /// What has no effect.
    pub notes: Vec<Note>,
    /// What would mean something else.
    pub faults: Vec<Fault>,
}

/// A key that has no effect.
pub(super) struct Note {
    pub key: String,
    pub line: usize,
    pub reason: &'static str,
}

const ONE_PROCESS: &str = "has no effect: all components are one process";
const OWN_FORMAT: &str =
    "has no effect: objects are in a format of their own, and what a Loki stored is not read";
const NO_CACHE: &str = "has no effect: queries are not split, and answers not kept, between components";
const NO_GRPC: &str = "has no effect: components do not talk over gRPC";
const NOT_TRACED: &str = "has no effect: nothing is traced, profiled or reported";
const TUNING: &str = "has no effect: it tunes a mechanism that does not exist here";
const LOGGED: &str = "has no effect: single requests are not logged";
const AT_ONCE: &str = "has no effect: deletes are effective at once, and cannot lag behind";

/// Blocks and keys without effect, by reason; a `*` stands for any end of a key.
const IDLE: &[(&str, &[&str])] = &[
    (
        ONE_PROCESS,
        &[
            "frontend",
            "frontend_worker",
            "query_scheduler",
            "ingester_client",
            "index_gateway",
            "memberlist",
            "kafka_config",
            "compactor_client",
            "compactor_grpc_client",
            "ingest_limits",
            "ingest_limits_frontend",
            "ingest_limits_frontend_client",
            "block_builder",
            "block_scheduler",
            "dataobj",
            "query_engine",
            "distributor",
            "common.ring",
            "common.replication_factor",
            "common.instance_*",
            "common.compactor_*",
            "common.persist_tokens",
            "common.bind_host",
            "ingester.lifecycler",
            "ingester.autoforget_unhealthy",
            "ingester.kafka_ingestion",
            "ingester.owned_streams_check_interval",
            "ingester.delegate_stream_limits_enabled",
            "compactor.compactor_ring",
            "compactor.horizontal_scaling_mode",
            "compactor.jobs_config",
            "compactor.worker_config",
            "querier.multi_tenant_queries_enabled",
            "querier.query_ingesters_only",
            "querier.query_store_only",
            "querier.query_ingesters_within",
            "querier.query_partition_ingesters",
            "ruler.ring",
            "ruler.enable_sharding",
            "ruler.sharding_*",
            "ruler.search_pending_for",
            "ruler.ruler_client",
            "ruler.evaluation",
            "ruler.remote_write.config_refresh_period",
            "ruler.disable_rule_group_label",
            "limits_config.ruler_tenant_shard_size",
            "limits_config.ruler_remote_evaluation_*",
            "shutdown_delay",
            "limits_config.ingestion_rate_strategy",
            "limits_config.use_owned_stream_count",
            "limits_config.max_queriers_per_tenant",
            "limits_config.max_query_capacity",
            "limits_config.index_gateway_*",
            "limits_config.ingestion_partitions_tenant_shard_size",
        ],
    ),
    (
        OWN_FORMAT,
        &[
            "chunk_store_config",
            "table_manager",
            "bloom_build",
            "bloom_gateway",
            "storage_config.tsdb_shipper",
            "storage_config.boltdb_shipper",
            "storage_config.boltdb",
            "storage_config.bloom_shipper",
            "storage_config.index_*",
            "storage_config.disable_broad_index_queries",
            "schema_config.configs.store",
            "schema_config.configs.schema",
            "schema_config.configs.index",
            "schema_config.configs.chunks",
            "schema_config.configs.row_shards",
            "ingester.chunk_*",
            "ingester.max_chunk_age",
            "ingester.index_shards",
            "ingester.sync_*",
            "limits_config.bloom_*",
            "limits_config.shard_streams",
            "limits_config.unordered_writes",
            "limits_config.cardinality_limit",
            "limits_config.max_chunks_per_query",
            "limits_config.query_ready_index_num_days",
        ],
    ),
    (
        NO_CACHE,
        &[
            "query_range",
            "limits_config.max_cache_freshness_per_query",
            "limits_config.max_metadata_cache_freshness",
            "limits_config.max_stats_cache_freshness",
            "limits_config.split_*",
            "limits_config.recent_metadata_query_window",
            "limits_config.engine_results_cache_time_bucket_interval",
            "limits_config.max_query_parallelism",
            "limits_config.tsdb_*",
            "limits_config.min_sharding_lookback",
            "limits_config.shard_aggregations",
            "limits_config.max_querier_bytes_read",
        ],
    ),
    (NO_GRPC, &["server.grpc_*", "server.report_grpc_codes_in_instrumentation_label_enabled"]),
    (
        NOT_TRACED,
        &[
            "tracing",
            "profiling",
            "analytics",
            "ui",
            "server.trace_*",
            "server.create_new_traces",
            "operational_config",
        ],
    ),
    (LOGGED, &["server.log_source_ips_*", "server.log_request_*", "server.http_log_closed_*"]),
    (AT_ONCE, &["compactor.delete_*", "compactor.retention_*", "compactor.deletion_mode"]),
    (
        TUNING,
        &[
            "ballast_bytes",
            "metrics_namespace",
            "pattern_ingester",
            "storage_config.hedging",
            "storage_config.congestion_control",
            "storage_config.max_parallel_get_chunk",
            "storage_config.max_chunk_batch_size",
            "storage_config.use_thanos_objstore",
            "ingester.concurrent_flushes",
            "ingester.flush_*",
            "ingester.max_returned_stream_errors",
            "ingester.query_store_max_look_back_period",
            "ingester.max_dropped_streams",
            "ingester.shutdown_marker_path",
            "ingester.wal.checkpoint_duration",
            "ingester.wal.flush_on_shutdown",
            "ingester.wal.replay_memory_ceiling",
            "ingester.wal.disk_full_threshold",
            "compactor.working_directory",
            "compactor.compaction_interval",
            "compactor.apply_retention_interval",
            "compactor.max_compaction_parallelism",
            "compactor.upload_parallelism",
            "compactor.tables_to_compact",
            "compactor.skip_latest_n_tables",
            "compactor.shared_store",
            "compactor.run_once",
            "querier.extra_query_delay",
            "querier.engine",
            "querier.per_request_limits_enabled",
            "server.http_listen_network",
            "server.http_server_write_timeout",
            "server.http_server_idle_timeout",
            "server.http_server_read_header_timeout",
            "server.graceful_shutdown_timeout",
            "server.register_instrumentation",
            "server.tls_*",
            "limits_config.pattern_*",
            "limits_config.metric_aggregation_enabled",
            "limits_config.per_tenant_override_period",
            "limits_config.allow_deletes",
            "limits_config.log_level_from_json_max_depth",
            "limits_config.debug_engine_*",
            "limits_config.max_scan_task_parallelism",
            "limits_config.simulated_push_latency",
            "limits_config.enable_multi_variant_queries",
            "limits_config.enforce_metric_name",
            "limits_config.ruler_enable_wal_replay",
            "limits_config.ruler_remote_write_sigv4_config",
            "limits_config.ruler_max_independent_rule_evaluation_concurrency_per_tenant",
            "ruler.flush_period",
            "ruler.enable_alertmanager_v2",
            "ruler.query_stats_enabled",
            "ruler.wal.*",
            "ruler.wal_cleaner",
            "ruler.rule_evaluation_write_enabled",
            "ruler.alertmanager_client.tls_cipher_suites",
            "ruler.alertmanager_client.tls_min_version",
            "*.backoff_config",
            "*.chunk_delimiter",
            "*.signature_version",
            "*.disable_dualstack",
            "*.http_config.idle_conn_timeout",
            "*.http_config.response_header_timeout",
            "*.gcs.chunk_buffer_size",
            "*.gcs.enable_*",
            "*.azure.environment",
            "*.azure.download_buffer_*",
            "*.azure.upload_buffer_*",
            "*.azure.request_timeout",
            "*.azure.max_retries",
            "*.azure.min_retry_delay",
            "*.azure.max_retry_delay",
            "*.azure.user_assigned_id",
            "*.azure.use_service_principal",
            "*.azure.use_federated_token",
            "*.azure.chunk_delimiter",
        ],
    ),
];

const IN_FOLDERS: &str = "rules are read from local, s3, gcs and azure; or put them through the API";

/// Keys with which the configuration would mean something else, and what to do.
const REFUSED: &[(&str, &str)] = &[
    ("storage_config.named_stores", "objects are in one bucket: name it in aws, gcs, azure or filesystem"),
    ("storage_config.object_store", "write the bucket as aws, gcs, azure or filesystem"),
    ("common.storage.object_store", "write the bucket as s3, gcs, azure or filesystem"),
    ("storage_config.swift", "only S3, Google, Azure and folders are known"),
    ("storage_config.alibabacloud", "only S3, Google, Azure and folders are known; it can be reached as S3"),
    ("storage_config.bos", "only S3, Google, Azure and folders are known; it can be reached as S3"),
    ("storage_config.cos", "only S3, Google, Azure and folders are known; it can be reached as S3"),
    ("storage_config.cassandra", "only S3, Google, Azure and folders are known"),
    ("common.storage.swift", "only S3, Google, Azure and folders are known"),
    ("common.storage.alibabacloud", "only S3, Google, Azure and folders are known; it can be reached as S3"),
    ("common.storage.bos", "only S3, Google, Azure and folders are known; it can be reached as S3"),
    ("common.storage.cos", "only S3, Google, Azure and folders are known; it can be reached as S3"),
    ("common.storage.hedging", "remove it: requests are not sent twice"),
    ("*.sse", "set encryption as a default of the bucket"),
    ("*.sse_encryption", "set encryption as a default of the bucket"),
    ("*.storage_class", "set the class by a rule of the bucket"),
    ("*.connection_string", "write account_name and account_key"),
    ("server.proxy_protocol_enabled", "the PROXY protocol is not spoken: remove it, here and at the proxy"),
    ("server.cluster_validation", "requests are not validated by a label: remove it"),
    ("server.http_tls_config.cert", "name a file in cert_file"),
    ("server.http_tls_config.key", "name a file in key_file"),
    ("server.http_tls_config.client_ca", "name a file in client_ca_file"),
    (
        "ingester.wal.enabled",
        "remove it: the log of entries cannot be switched off, what is acknowledged is on disk",
    ),
    ("limits_config.blocked_queries.tags", "queries cannot be told apart by tags: remove it"),
    ("limits_config.policy_*", "there are no policies of streams: remove it"),
    ("limits_config.block_ingestion_policy_*", "there are no policies of streams: use block_ingestion_until"),
    (
        "limits_config.ruler_alertmanager_config",
        "all tenants' alerts go to the Alertmanagers of ruler: remove it",
    ),
    (
        "limits_config.ruler_remote_write_*",
        "what all tenants' rules record goes to the servers of ruler.remote_write: remove it",
    ),
    ("ruler.storage.swift", IN_FOLDERS),
    ("ruler.storage.cos", IN_FOLDERS),
    ("ruler.storage.bos", IN_FOLDERS),
    ("ruler.storage.alibabacloud", IN_FOLDERS),
    ("ruler_storage", "write ruler.storage with type: local, or put rules through the API"),
    ("limits_config.discover_generic_fields", "fields are not detected when entries come: remove it"),
    ("limits_config.s3_sse_*", "set encryption as a default of the bucket"),
    (
        "limits_config.otlp_config.scope_attributes",
        "attributes of scopes become structured metadata: remove it",
    ),
    (
        "limits_config.otlp_config.log_attributes",
        "attributes of records become structured metadata: remove it",
    ),
    (
        "limits_config.otlp_config.severity_text_as_label",
        "the severity becomes structured metadata: remove it",
    ),
    (
        "limits_config.otlp_config.resource_attributes.attributes_config.regex",
        "name each attribute in attributes",
    ),
];

/// Tells the keys of a configuration apart.
pub(super) fn survey(root: &Node) -> Survey {
    let mut survey = Survey { rest: Node::null(), notes: Vec::new(), faults: Vec::new() };
    survey.rest = filtered(root, "", &mut survey.notes, &mut survey.faults);
    survey
}

/// The same of a file with overrides, where limits stand below the names of tenants.
pub(super) fn survey_overrides(root: &Node) -> Survey {
    let (mut notes, mut faults, mut rest) = (Vec::new(), Vec::new(), root.clone());
    if let Value::Mapping(entries) = &mut rest.value {
        // What else may stand here are switches for a Loki's own mechanisms.
        entries.retain(|(key, _)| !matches!(key.text(), Some("configs" | "multi_kv_config")));
        for (_, tenants) in entries.iter_mut().filter(|(key, _)| key.text() == Some("overrides")) {
            if let Value::Mapping(tenants) = &mut tenants.value {
                for (_, limits) in tenants {
                    *limits = filtered(limits, "limits_config", &mut notes, &mut faults);
                }
            }
        }
    }
    Survey { rest, notes, faults }
}

/// The tree without what is known not to be read; `path` leads to it.
fn filtered(node: &Node, path: &str, notes: &mut Vec<Note>, faults: &mut Vec<Fault>) -> Node {
    let mut out = node.clone();
    match &mut out.value {
        Value::Mapping(entries) => {
            let mut kept = Vec::with_capacity(entries.len());
            for (key, value) in entries.drain(..) {
                let name = key.text().unwrap_or_default();
                let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                if let Some(remedy) = refusal(&full, &value) {
                    let message = format!(
                        "{full} cannot be honoured, and without it the configuration means something else"
                    );
                    faults.push(Fault::new(key.pos, message).remedy(remedy));
                } else if let Some(reason) = idle(&full) {
                    notes.push(Note { key: full, line: key.pos.line, reason });
                } else {
                    let value = filtered(&value, &full, notes, faults);
                    kept.push((key, value));
                }
            }
            *entries = kept;
        }
        Value::Sequence(items) => {
            for item in items {
                *item = filtered(item, path, notes, faults);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
    out
}

fn is_named(pattern: &str, path: &str) -> bool {
    if let Some(end) = pattern.strip_prefix("*.") {
        let is_store = path.starts_with("common.storage.") || path.starts_with("storage_config.");
        return is_store && path.split_once('.').is_some_and(|(_, rest)| matches_end(end, rest));
    }
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => pattern == path,
    }
}

/// Whether a path ends with a pattern.
fn matches_end(pattern: &str, path: &str) -> bool {
    let wanted = pattern.split('.').count();
    let parts: Vec<&str> = path.split('.').collect();
    let Some(from) = parts.len().checked_sub(wanted) else { return false };
    let end = parts[from..].join(".");
    match pattern.strip_suffix('*') {
        Some(beginning) => end.starts_with(beginning),
        None => end == pattern,
    }
}

/// What to do about a key that would mean something else; one that is empty or says what holds here means nothing.
fn refusal(path: &str, value: &Node) -> Option<&'static str> {
    let (_, remedy) = REFUSED.iter().find(|(pattern, _)| is_named(pattern, path))?;
    let is_same = match &value.value {
        Value::Null => true,
        Value::Scalar(scalar) => match path {
            "ingester.wal.enabled" => scalar.text == "true",
            _ if path.ends_with(".storage_class") => scalar.text == "STANDARD",
            _ => matches!(scalar.text.as_str(), "" | "0" | "0s" | "false"),
        },
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
    };
    if is_same { None } else { Some(remedy) }
}

fn idle(path: &str) -> Option<&'static str> {
    // What is read here comes first: beginnings of keys must not hide it.
    const READ: [&str; 3] =
        ["compactor.retention_enabled", "limits_config.retention_period", "ruler.wal.dir"];
    if READ.contains(&path) {
        return None;
    }
    let named = |(_, patterns): &&(&str, &[&str])| patterns.iter().any(|pattern| is_named(pattern, path));
    if let Some((reason, _)) = IDLE.iter().find(named) {
        return Some(reason);
    }
    // Of what is refused, what says nothing is left out.
    REFUSED.iter().any(|(pattern, _)| is_named(pattern, path)).then_some("says what holds anyway")
}
