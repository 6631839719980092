//! Every path of the API.

use super::{Answer, Endpoint, Kind, Parameter, Verbs};

const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, required: false, about }
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, required: true, about }
}

const QUERY_TEXT: Parameter = required("query", Kind::Text, "The PromQL expression.");
const LIMIT: Parameter = optional("limit", Kind::Count, "The most entries to answer; 0 for all.");
const START: Parameter =
    optional("start", Kind::Time, "The earliest time of interest; all of time if absent.");
const END: Parameter = optional("end", Kind::Time, "The latest time of interest; all of time if absent.");
const MATCHES: Parameter =
    optional("match[]", Kind::Texts, "Selectors; what any of them matches is answered.");
const TIMEOUT: Parameter =
    optional("timeout", Kind::Duration, "Time the evaluation may take, at most what the server allows.");
const LOOKBACK: Parameter =
    optional("lookback_delta", Kind::Duration, "How old the last sample of a series may be.");
const STATS: Parameter = optional(
    "stats",
    Kind::Choice(&["true", "all"]),
    "Tell what the query cost; `all` tells it for each step.",
);
const POOL: Parameter = optional("scrapePool", Kind::Text, "Only this scrape pool.");
const METRIC: Parameter = optional("metric", Kind::Text, "Only this metric; all if absent.");

const fn get(
    path: &'static str,
    subject: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    data: &'static str,
) -> Endpoint {
    Endpoint { path, verbs: Verbs::Get, subject, summary, parameters, answer: Answer::Data(data) }
}

impl Endpoint {
    const fn verbs(self, verbs: Verbs) -> Self {
        Self { verbs, ..self }
    }

    const fn answers(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }
}

/// `/query`
pub const QUERY: Endpoint = get(
    "/query",
    "query",
    "Evaluate an expression at one time",
    &[
        QUERY_TEXT,
        optional("time", Kind::Time, "When to evaluate; now if absent."),
        TIMEOUT,
        LIMIT,
        LOOKBACK,
        STATS,
    ],
    "QueryData",
)
.verbs(Verbs::GetPost);

/// `/query_range`
pub const QUERY_RANGE: Endpoint = get(
    "/query_range",
    "query",
    "Evaluate an expression at every step of a range",
    &[
        QUERY_TEXT,
        required("start", Kind::Time, "The first step."),
        required("end", Kind::Time, "No step is later."),
        required("step", Kind::Duration, "The time between steps."),
        TIMEOUT,
        LIMIT,
        LOOKBACK,
        STATS,
    ],
    "QueryData",
)
.verbs(Verbs::GetPost);

/// `/query_exemplars`
pub const QUERY_EXEMPLARS: Endpoint = get(
    "/query_exemplars",
    "query",
    "Exemplars of the series an expression reads",
    &[QUERY_TEXT, START, END],
    "ExemplarData",
)
.verbs(Verbs::GetPost)
.answers(Answer::MaybeData("ExemplarData"));

/// `/format_query`
pub const FORMAT_QUERY: Endpoint =
    get("/format_query", "query", "An expression, laid out for reading", &[QUERY_TEXT], "Text")
        .verbs(Verbs::GetPost);

/// `/parse_query`
pub const PARSE_QUERY: Endpoint =
    get("/parse_query", "query", "The syntax tree of an expression", &[QUERY_TEXT], "SyntaxNode")
        .verbs(Verbs::GetPost);

/// `/labels`
pub const LABELS: Endpoint =
    get("/labels", "labels", "Names of labels", &[MATCHES, START, END, LIMIT], "Texts").verbs(Verbs::GetPost);

/// `/label/{name}/values`
pub const LABEL_VALUES: Endpoint = get(
    "/label/{name}/values",
    "labels",
    "Values of a label",
    &[
        required("name", Kind::Segment, "The label; `U__` begins a name that is escaped."),
        MATCHES,
        START,
        END,
        LIMIT,
    ],
    "Texts",
);

/// `/series`
pub const SERIES: Endpoint = get(
    "/series",
    "series",
    "Series by their labels",
    &[
        required("match[]", Kind::Texts, "Selectors; what any of them matches is answered."),
        START,
        END,
        LIMIT,
    ],
    "SeriesData",
)
.verbs(Verbs::GetPost);

const SEARCH: [Parameter; 12] = [
    optional("search[]", Kind::Texts, "What to look for; a name that fits any of it is found."),
    MATCHES,
    optional("start", Kind::Time, "The earliest time of interest; an hour ago if absent."),
    optional("end", Kind::Time, "The latest time of interest; now if absent."),
    optional("limit", Kind::Count, "The most results."),
    optional("batch_size", Kind::Count, "Results in a line of the answer."),
    optional("fuzz_threshold", Kind::Count, "How alike a name must be, in percent."),
    optional("fuzz_alg", Kind::Choice(&["subsequence", "jarowinkler"]), "How likeness is measured."),
    optional("case_sensitive", Kind::Flag, "Whether case matters."),
    optional("sort_by", Kind::Choice(&["alpha", "score"]), "What results are sorted by."),
    optional("sort_dir", Kind::Choice(&["asc", "dsc"]), "The direction of sorting by name."),
    optional("include_score", Kind::Flag, "Whether results tell how alike they are."),
];

const fn search(path: &'static str, summary: &'static str, parameters: &'static [Parameter]) -> Endpoint {
    let endpoint = get(path, "labels", summary, parameters, "").verbs(Verbs::GetPost);
    endpoint.answers(Answer::Lines)
}

/// `/search/metric_names`
pub const SEARCH_METRIC_NAMES: Endpoint = search(
    "/search/metric_names",
    "Search names of metrics",
    &with_more(optional("include_metadata", Kind::Flag, "Whether results tell type, help and unit.")),
);

/// `/search/label_names`
pub const SEARCH_LABEL_NAMES: Endpoint = search("/search/label_names", "Search names of labels", &SEARCH);

/// `/search/label_values`
pub const SEARCH_LABEL_VALUES: Endpoint = search(
    "/search/label_values",
    "Search values of a label",
    &with_more(required("label", Kind::Text, "The label.")),
);

const fn with_more(more: Parameter) -> [Parameter; 13] {
    let mut all = [more; 13];
    let mut at = 0;
    while at < SEARCH.len() {
        all[at] = SEARCH[at];
        at += 1;
    }
    all
}

/// `/metadata`
pub const METADATA: Endpoint = get(
    "/metadata",
    "metadata",
    "What targets say about their metrics",
    &[METRIC, LIMIT, optional("limit_per_metric", Kind::Count, "The most entries for a metric.")],
    "MetadataByMetric",
);

/// `/scrape_pools`
pub const SCRAPE_POOLS: Endpoint =
    get("/scrape_pools", "targets", "Names of the scrape pools", &[], "ScrapePools");

/// `/scrape_pools/config`
pub const SCRAPE_POOL_CONFIG: Endpoint = get(
    "/scrape_pools/config",
    "targets",
    "The configuration of a scrape pool",
    &[required("scrapePool", Kind::Text, "The scrape pool.")],
    "Yaml",
);

/// `/targets`
pub const TARGETS: Endpoint = get(
    "/targets",
    "targets",
    "What is scraped, and what relabelling dropped",
    &[POOL, optional("state", Kind::Choice(&["active", "dropped", "any"]), "Only targets in this state.")],
    "Targets",
);

/// `/targets/metadata`
pub const TARGET_METADATA: Endpoint = get(
    "/targets/metadata",
    "targets",
    "What each target says about its metrics",
    &[optional("match_target", Kind::Text, "A selector of targets by their labels."), METRIC, LIMIT],
    "TargetMetadata",
);

/// `/targets/relabel_steps`
pub const RELABEL_STEPS: Endpoint = get(
    "/targets/relabel_steps",
    "targets",
    "What each relabelling rule of a scrape pool does with a target",
    &[
        required("scrapePool", Kind::Text, "The scrape pool."),
        required("labels", Kind::Text, "The target's labels before relabelling, as a JSON object."),
    ],
    "RelabelSteps",
);

/// `/rules`
pub const RULES: Endpoint = get(
    "/rules",
    "rules",
    "Recording and alerting rules, by group",
    &[
        optional("type", Kind::Choice(&["alert", "record"]), "Only rules of this kind."),
        optional("rule_name[]", Kind::Texts, "Only rules of these names."),
        optional("rule_group[]", Kind::Texts, "Only groups of these names."),
        optional("file[]", Kind::Texts, "Only groups of these files."),
        MATCHES,
        optional("exclude_alerts", Kind::Flag, "Leave out the alerts of alerting rules."),
        optional("group_limit", Kind::Count, "The most groups to answer."),
        optional("group_next_token", Kind::Text, "Where the last answer with a limit stopped."),
    ],
    "Rules",
);

/// `/alerts`
pub const ALERTS: Endpoint = get("/alerts", "alerts", "Alerts that are pending or firing", &[], "Alerts");

/// `/alertmanagers`
pub const ALERTMANAGERS: Endpoint =
    get("/alertmanagers", "alerts", "Alertmanagers that are notified", &[], "Alertmanagers");

/// `/status/config`
pub const STATUS_CONFIG: Endpoint =
    get("/status/config", "status", "The configuration in force, secrets hidden", &[], "Yaml");

/// `/status/flags`
pub const STATUS_FLAGS: Endpoint = get("/status/flags", "status", "All flags and their values", &[], "Flags");

/// `/status/buildinfo`
pub const STATUS_BUILD_INFO: Endpoint =
    get("/status/buildinfo", "status", "What the program was built from", &[], "BuildInfo");

/// `/status/runtimeinfo`
pub const STATUS_RUNTIME_INFO: Endpoint =
    get("/status/runtimeinfo", "status", "The process as it runs", &[], "RuntimeInfo");

/// `/status/tsdb`
pub const STATUS_TSDB: Endpoint = get(
    "/status/tsdb",
    "status",
    "What there is most of in the head",
    &[optional("limit", Kind::Count, "Entries of each list; 10 if absent.")],
    "TsdbStatus",
);

/// `/status/tsdb/blocks`
pub const STATUS_TSDB_BLOCKS: Endpoint =
    get("/status/tsdb/blocks", "status", "The blocks on disk", &[], "Blocks");

/// `/status/walreplay`
pub const STATUS_WAL_REPLAY: Endpoint =
    get("/status/walreplay", "status", "How far the log has been replayed", &[], "WalReplay");

/// `/status/self_metrics`
pub const STATUS_SELF_METRICS: Endpoint = get(
    "/status/self_metrics",
    "status",
    "Metrics of the process itself",
    &[optional("metric_name_pattern", Kind::Text, "An anchored pattern of the names of interest.")],
    "SelfMetrics",
);

/// `/features`
pub const FEATURES: Endpoint =
    get("/features", "features", "What is switched on, by subject", &[], "Features");

/// `/notifications`
pub const NOTIFICATIONS: Endpoint =
    get("/notifications", "notifications", "Messages for the operator", &[], "Notifications");

/// `/notifications/live`
pub const NOTIFICATIONS_LIVE: Endpoint =
    get("/notifications/live", "notifications", "Messages for the operator, as they come", &[], "")
        .answers(Answer::Events);

/// `/admin/tsdb/delete_series`
pub const DELETE_SERIES: Endpoint = get(
    "/admin/tsdb/delete_series",
    "admin",
    "Delete samples of series",
    &[required("match[]", Kind::Texts, "Selectors of the series."), START, END],
    "",
)
.verbs(Verbs::PostPut)
.answers(Answer::Nothing);

/// `/admin/tsdb/clean_tombstones`
pub const CLEAN_TOMBSTONES: Endpoint =
    get("/admin/tsdb/clean_tombstones", "admin", "Free the space of deleted samples", &[], "")
        .verbs(Verbs::PostPut)
        .answers(Answer::Nothing);

/// `/admin/tsdb/snapshot`
pub const SNAPSHOT: Endpoint = get(
    "/admin/tsdb/snapshot",
    "admin",
    "Make a snapshot of all data",
    &[optional("skip_head", Kind::Flag, "Leave out what is not in a block yet.")],
    "Snapshot",
)
.verbs(Verbs::PostPut);

const fn exchange(
    path: &'static str,
    subject: &'static str,
    summary: &'static str,
    types: (&'static str, &'static str),
) -> Endpoint {
    let endpoint = get(path, subject, summary, &[], "").verbs(Verbs::Post);
    endpoint.answers(Answer::Exchange(types.0, types.1))
}

const PROTOBUF: &str = "application/x-protobuf";

/// `/read`
pub const READ: Endpoint = exchange("/read", "remote", "Remote read", (PROTOBUF, PROTOBUF));

/// `/write`
pub const WRITE: Endpoint = exchange("/write", "remote", "Remote write", (PROTOBUF, ""));

/// `/push`
pub const PUSH: Endpoint =
    exchange("/push", "remote", "Remote write, as some senders call it", (PROTOBUF, ""));

/// `/otlp/v1/metrics`
pub const OTLP_METRICS: Endpoint =
    exchange("/otlp/v1/metrics", "otlp", "OpenTelemetry metrics", (PROTOBUF, PROTOBUF));

/// `/openapi.yaml`
pub const OPENAPI: Endpoint = get(
    "/openapi.yaml",
    "status",
    "This description",
    &[optional("openapi_version", Kind::Choice(&["3.1", "3.2"]), "The version of OpenAPI; 3.1 if absent.")],
    "",
)
.answers(Answer::Exchange("", "application/yaml"));
