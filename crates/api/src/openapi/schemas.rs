//! What is answered, as JSON schemas.

use serde_json::{Map, Value, json};

/// A reference to the schema `name`.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The envelope around data of the schema `data`.
pub fn envelope(data: &str) -> Value {
    object(
        &["status", "data"],
        &[
            ("status", json!({ "type": "string", "const": "success" })),
            ("data", reference(data)),
            ("warnings", list(text())),
            ("infos", list(text())),
        ],
    )
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn by_name(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

fn choice(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

fn object(required: &[&str], properties: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// An object all of whose properties are always there.
fn whole_object(properties: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    object(&names, properties)
}

/// All schemas by name.
pub fn all() -> Map<String, Value> {
    let parts = [values(), queries(), targets(), rules(), server()];
    parts.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

type Named = Vec<(&'static str, Value)>;

fn values() -> Named {
    let pair = |second: Value| json!({ "type": "array", "prefixItems": [number(), second], "minItems": 2, "maxItems": 2 });
    let kinds = [
        "bad_data",
        "execution",
        "canceled",
        "timeout",
        "internal",
        "unavailable",
        "not_found",
        "not_acceptable",
    ];
    let bucket = json!({
        "type": "array",
        "description": "Which bounds belong to the bucket, the bounds, and its count.",
        "prefixItems": [json!({ "type": "integer", "minimum": 0, "maximum": 3 }), text(), text(), text()],
        "minItems": 4,
        "maxItems": 4,
    });
    vec![
        ("Text", text()),
        ("Texts", list(text())),
        ("Labels", by_name(text())),
        ("Yaml", whole_object(&[("yaml", text())])),
        (
            "Error",
            whole_object(&[
                ("status", json!({ "type": "string", "const": "error" })),
                ("errorType", choice(&kinds)),
                ("error", text()),
            ]),
        ),
        ("FloatPoint", pair(text())),
        ("HistogramPoint", pair(reference("Histogram"))),
        (
            "Histogram",
            object(&["count", "sum"], &[("count", text()), ("sum", text()), ("buckets", list(bucket))]),
        ),
    ]
}

fn queries() -> Named {
    let series = reference("Labels");
    let sample = object(
        &["metric"],
        &[
            ("metric", series.clone()),
            ("value", reference("FloatPoint")),
            ("histogram", reference("HistogramPoint")),
        ],
    );
    let matrix_series = object(
        &["metric"],
        &[
            ("metric", series.clone()),
            ("values", list(reference("FloatPoint"))),
            ("histograms", list(reference("HistogramPoint"))),
        ],
    );
    let result = |kind: &str, result: Value| {
        object(
            &["resultType", "result"],
            &[
                ("resultType", json!({ "type": "string", "const": kind })),
                ("result", result),
                ("stats", reference("QueryStats")),
            ],
        )
    };
    let exemplar = whole_object(&[("labels", series.clone()), ("value", text()), ("timestamp", number())]);
    let timings = [
        "evalTotalTime",
        "resultSortTime",
        "queryPreparationTime",
        "innerEvalTime",
        "execQueueTime",
        "execTotalTime",
    ];
    let per_step = list(list(number()));
    vec![
        (
            "QueryData",
            json!({ "oneOf": [
                result("vector", list(sample)),
                result("matrix", list(matrix_series)),
                result("scalar", reference("FloatPoint")),
                result("string", reference("FloatPoint")),
            ] }),
        ),
        (
            "QueryStats",
            whole_object(&[
                ("timings", whole_object(&timings.map(|name| (name, number())))),
                (
                    "samples",
                    object(
                        &["totalQueryableSamples", "samplesRead", "peakSamples"],
                        &[
                            ("totalQueryableSamples", whole()),
                            ("totalQueryableSamplesPerStep", per_step),
                            ("samplesRead", whole()),
                            ("peakSamples", whole()),
                        ],
                    ),
                ),
            ]),
        ),
        (
            "ExemplarData",
            list(whole_object(&[("seriesLabels", series.clone()), ("exemplars", list(exemplar))])),
        ),
        ("SeriesData", list(series)),
        (
            "SyntaxNode",
            json!({
                "type": "object",
                "description": "A node; which further fields there are depends on the type.",
                "required": ["type"],
                "properties": { "type": text() },
            }),
        ),
    ]
}

fn targets() -> Named {
    let labels = reference("Labels");
    let active = whole_object(&[
        ("discoveredLabels", labels.clone()),
        ("labels", labels.clone()),
        ("scrapePool", text()),
        ("scrapeUrl", text()),
        ("globalUrl", text()),
        ("lastError", text()),
        ("lastScrape", time()),
        ("lastScrapeDuration", number()),
        ("health", choice(&["up", "down", "unknown"])),
        ("scrapeInterval", text()),
        ("scrapeTimeout", text()),
    ]);
    let dropped = whole_object(&[("discoveredLabels", labels.clone()), ("scrapePool", text())]);
    let metadata = [("type", text()), ("help", text()), ("unit", text())];
    let of_target = object(
        &["target", "type", "help", "unit"],
        &[&[("target", labels.clone()), ("metric", text())], &metadata[..]].concat(),
    );
    vec![
        ("ScrapePools", whole_object(&[("scrapePools", list(text()))])),
        (
            "Targets",
            whole_object(&[
                ("activeTargets", list(active)),
                ("droppedTargets", list(dropped)),
                (
                    "droppedTargetCounts",
                    json!({ "type": ["object", "null"], "additionalProperties": whole() }),
                ),
            ]),
        ),
        ("TargetMetadata", list(of_target)),
        ("MetadataByMetric", by_name(list(whole_object(&metadata)))),
        (
            "RelabelSteps",
            whole_object(&[(
                "steps",
                list(whole_object(&[
                    ("rule", json!({ "type": "object" })),
                    ("output", labels),
                    ("keep", flag()),
                ])),
            )]),
        ),
    ]
}

fn rules() -> Named {
    let labels = reference("Labels");
    let alert = object(
        &["labels", "annotations", "state", "value"],
        &[
            ("labels", labels.clone()),
            ("annotations", labels.clone()),
            ("state", text()),
            ("activeAt", time()),
            ("keepFiringSince", time()),
            ("value", text()),
        ],
    );
    let rule = object(
        &["type", "name", "query", "health"],
        &[
            ("type", choice(&["alerting", "recording"])),
            ("name", text()),
            ("query", text()),
            ("labels", labels.clone()),
            ("annotations", labels),
            ("state", text()),
            ("duration", number()),
            ("keepFiringFor", number()),
            ("health", text()),
            ("lastError", text()),
            ("evaluationTime", number()),
            ("lastEvaluation", time()),
            ("alerts", json!({ "type": ["array", "null"], "items": reference("Alert") })),
        ],
    );
    let group = object(
        &["name", "file", "rules", "interval"],
        &[
            ("name", text()),
            ("file", text()),
            ("rules", list(rule)),
            ("interval", number()),
            ("limit", whole()),
            ("evaluationTime", number()),
            ("lastEvaluation", time()),
        ],
    );
    let manager = list(whole_object(&[("url", text())]));
    vec![
        ("Alert", alert),
        ("Alerts", whole_object(&[("alerts", list(reference("Alert")))])),
        ("Rules", object(&["groups"], &[("groups", list(group)), ("groupNextToken", text())])),
        (
            "Alertmanagers",
            whole_object(&[("activeAlertmanagers", manager.clone()), ("droppedAlertmanagers", manager)]),
        ),
    ]
}

fn server() -> Named {
    let texts = |names: &[&'static str]| names.iter().map(|&name| (name, text())).collect::<Vec<_>>();
    let build = ["version", "revision", "branch", "buildUser", "buildDate", "goVersion"];
    let runtime = [
        ("startTime", time()),
        ("CWD", text()),
        ("hostname", text()),
        ("serverTime", time()),
        ("reloadConfigSuccess", flag()),
        ("lastConfigTime", time()),
        ("corruptionCount", whole()),
        ("goroutineCount", whole()),
        ("GOMAXPROCS", whole()),
        ("GOMEMLIMIT", whole()),
        ("GOGC", text()),
        ("GODEBUG", text()),
        ("storageRetention", text()),
    ];
    let counts = list(whole_object(&[("name", text()), ("value", whole())]));
    let head = ["numSeries", "numLabelPairs", "chunkCount", "minTime", "maxTime"].map(|n| (n, whole()));
    let lists = [
        "seriesCountByMetricName",
        "labelValueCountByLabelName",
        "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair",
    ]
    .map(|name| (name, counts.clone()));
    let tsdb = [vec![("headStats", whole_object(&head))], lists.to_vec()].concat();
    let notification = whole_object(&[("text", text()), ("date", time()), ("active", flag())]);
    let family = object(
        &["name", "type", "metric"],
        &[
            ("name", text()),
            ("help", text()),
            ("type", text()),
            ("metric", list(json!({ "type": "object" }))),
        ],
    );
    let block = object(
        &["ulid", "minTime", "maxTime"],
        &[("ulid", text()), ("minTime", whole()), ("maxTime", whole())],
    );
    vec![
        ("Flags", by_name(text())),
        ("BuildInfo", whole_object(&texts(&build))),
        ("RuntimeInfo", whole_object(&runtime)),
        ("TsdbStatus", whole_object(&tsdb)),
        ("Blocks", whole_object(&[("blocks", list(block))])),
        ("WalReplay", whole_object(&["min", "max", "current"].map(|name| (name, whole())))),
        ("SelfMetrics", list(family)),
        ("Features", by_name(by_name(flag()))),
        ("Notification", notification),
        ("Notifications", list(reference("Notification"))),
        ("Snapshot", whole_object(&[("name", text())])),
    ]
}
