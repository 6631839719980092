//! The messages of a request: names, numbers and types of their fields, for JSON and for error texts.

use crate::protobuf::Schema;

/// A message.
pub(super) struct Message {
    /// Names for errors.
    pub schema: Schema,
    /// The fields.
    pub fields: &'static [Field],
}

/// A field of a message.
pub(super) struct Field {
    /// Its name, with underscores.
    name: &'static str,
    pub number: u32,
    pub kind: Kind,
    pub is_repeated: bool,
}

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A function, for messages contain each other in circles.
    Message(fn() -> &'static Message),
    Text,
    Base64,
    Hex,
    Bool,
    Double,
    Fixed32,
    Fixed64,
    SignedFixed64,
    Uint,
    Int,
    Sint,
    Enumeration(&'static [(&'static str, u64)]),
}

impl Field {
    /// Whether `given` is its name, with underscores or in camel case.
    pub fn is_named(&self, given: &str) -> bool {
        if given == self.name {
            return true;
        }
        let mut given = given.bytes();
        let mut is_start = false;
        for byte in self.name.bytes() {
            if byte == b'_' {
                is_start = true;
                continue;
            }
            let expected = if std::mem::take(&mut is_start) { byte.to_ascii_uppercase() } else { byte };
            if given.next() != Some(expected) {
                return false;
            }
        }
        given.next().is_none()
    }
}

const fn names<const N: usize>(fields: &[Field]) -> [(u32, &'static str); N] {
    let mut names = [(0, ""); N];
    let mut i = 0;
    while i < N {
        names[i] = (fields[i].number, fields[i].name);
        i += 1;
    }
    names
}

macro_rules! message {
    ($id:ident, $name:literal, $fields:expr) => {
        pub(super) static $id: Message = {
            const FIELDS: &[Field] = $fields;
            static NAMES: [(u32, &str); FIELDS.len()] = names(FIELDS);
            Message { schema: Schema { message: $name, fields: &NAMES }, fields: FIELDS }
        };
    };
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, is_repeated: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, is_repeated: true }
}

const TEMPORALITY: Kind = Kind::Enumeration(&[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
]);

message!(
    REQUEST,
    "ExportMetricsServiceRequest",
    &[many("resource_metrics", 1, Kind::Message(|| &RESOURCE_METRICS))]
);

message!(
    RESOURCE_METRICS,
    "ResourceMetrics",
    &[
        one("resource", 1, Kind::Message(|| &RESOURCE)),
        many("scope_metrics", 2, Kind::Message(|| &SCOPE_METRICS)),
        one("schema_url", 3, Kind::Text),
    ]
);

message!(RESOURCE, "Resource", &[many("attributes", 1, Kind::Message(|| &KEY_VALUE))]);

message!(
    SCOPE_METRICS,
    "ScopeMetrics",
    &[
        one("scope", 1, Kind::Message(|| &SCOPE)),
        many("metrics", 2, Kind::Message(|| &METRIC)),
        one("schema_url", 3, Kind::Text),
    ]
);

message!(
    SCOPE,
    "InstrumentationScope",
    &[
        one("name", 1, Kind::Text),
        one("version", 2, Kind::Text),
        many("attributes", 3, Kind::Message(|| &KEY_VALUE)),
        one("dropped_attributes_count", 4, Kind::Uint),
    ]
);

message!(KEY_VALUE, "KeyValue", &[one("key", 1, Kind::Text), one("value", 2, Kind::Message(|| &ANY_VALUE))]);

message!(
    ANY_VALUE,
    "AnyValue",
    &[
        one("string_value", 1, Kind::Text),
        one("bool_value", 2, Kind::Bool),
        one("int_value", 3, Kind::Int),
        one("double_value", 4, Kind::Double),
        one("array_value", 5, Kind::Message(|| &ARRAY_VALUE)),
        one("kvlist_value", 6, Kind::Message(|| &KEY_VALUE_LIST)),
        one("bytes_value", 7, Kind::Base64),
    ]
);

message!(ARRAY_VALUE, "ArrayValue", &[many("values", 1, Kind::Message(|| &ANY_VALUE))]);

message!(KEY_VALUE_LIST, "KeyValueList", &[many("values", 1, Kind::Message(|| &KEY_VALUE))]);

message!(
    METRIC,
    "Metric",
    &[
        one("name", 1, Kind::Text),
        one("description", 2, Kind::Text),
        one("unit", 3, Kind::Text),
        one("gauge", 5, Kind::Message(|| &GAUGE)),
        one("sum", 7, Kind::Message(|| &SUM)),
        one("histogram", 9, Kind::Message(|| &HISTOGRAM)),
        one("exponential_histogram", 10, Kind::Message(|| &EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, Kind::Message(|| &SUMMARY)),
    ]
);

message!(GAUGE, "Gauge", &[many("data_points", 1, Kind::Message(|| &NUMBER_POINT))]);

message!(
    SUM,
    "Sum",
    &[
        many("data_points", 1, Kind::Message(|| &NUMBER_POINT)),
        one("aggregation_temporality", 2, TEMPORALITY),
        one("is_monotonic", 3, Kind::Bool),
    ]
);

message!(
    HISTOGRAM,
    "Histogram",
    &[
        many("data_points", 1, Kind::Message(|| &HISTOGRAM_POINT)),
        one("aggregation_temporality", 2, TEMPORALITY),
    ]
);

message!(
    EXPONENTIAL_HISTOGRAM,
    "ExponentialHistogram",
    &[
        many("data_points", 1, Kind::Message(|| &EXPONENTIAL_POINT)),
        one("aggregation_temporality", 2, TEMPORALITY),
    ]
);

message!(SUMMARY, "Summary", &[many("data_points", 1, Kind::Message(|| &SUMMARY_POINT))]);

message!(
    NUMBER_POINT,
    "NumberDataPoint",
    &[
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("as_double", 4, Kind::Double),
        many("exemplars", 5, Kind::Message(|| &EXEMPLAR)),
        one("as_int", 6, Kind::SignedFixed64),
        many("attributes", 7, Kind::Message(|| &KEY_VALUE)),
        one("flags", 8, Kind::Uint),
    ]
);

message!(
    HISTOGRAM_POINT,
    "HistogramDataPoint",
    &[
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        many("bucket_counts", 6, Kind::Fixed64),
        many("explicit_bounds", 7, Kind::Double),
        many("exemplars", 8, Kind::Message(|| &EXEMPLAR)),
        many("attributes", 9, Kind::Message(|| &KEY_VALUE)),
        one("flags", 10, Kind::Uint),
        one("min", 11, Kind::Double),
        one("max", 12, Kind::Double),
    ]
);

message!(
    EXPONENTIAL_POINT,
    "ExponentialHistogramDataPoint",
    &[
        many("attributes", 1, Kind::Message(|| &KEY_VALUE)),
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        one("scale", 6, Kind::Sint),
        one("zero_count", 7, Kind::Fixed64),
        one("positive", 8, Kind::Message(|| &BUCKETS)),
        one("negative", 9, Kind::Message(|| &BUCKETS)),
        one("flags", 10, Kind::Uint),
        many("exemplars", 11, Kind::Message(|| &EXEMPLAR)),
        one("min", 12, Kind::Double),
        one("max", 13, Kind::Double),
        one("zero_threshold", 14, Kind::Double),
    ]
);

message!(
    BUCKETS,
    "ExponentialHistogramDataPoint.Buckets",
    &[one("offset", 1, Kind::Sint), many("bucket_counts", 2, Kind::Uint)]
);

message!(
    SUMMARY_POINT,
    "SummaryDataPoint",
    &[
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        many("quantile_values", 6, Kind::Message(|| &VALUE_AT_QUANTILE)),
        many("attributes", 7, Kind::Message(|| &KEY_VALUE)),
        one("flags", 8, Kind::Uint),
    ]
);

message!(
    VALUE_AT_QUANTILE,
    "SummaryDataPoint.ValueAtQuantile",
    &[one("quantile", 1, Kind::Double), one("value", 2, Kind::Double)]
);

message!(
    EXEMPLAR,
    "Exemplar",
    &[
        one("time_unix_nano", 2, Kind::Fixed64),
        one("as_double", 3, Kind::Double),
        one("span_id", 4, Kind::Hex),
        one("trace_id", 5, Kind::Hex),
        one("as_int", 6, Kind::SignedFixed64),
        many("filtered_attributes", 7, Kind::Message(|| &KEY_VALUE)),
    ]
);

const SEVERITY: Kind = Kind::Enumeration(&[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
]);

message!(
    LOGS_REQUEST,
    "ExportLogsServiceRequest",
    &[many("resource_logs", 1, Kind::Message(|| &RESOURCE_LOGS))]
);

message!(
    RESOURCE_LOGS,
    "ResourceLogs",
    &[
        one("resource", 1, Kind::Message(|| &RESOURCE)),
        many("scope_logs", 2, Kind::Message(|| &SCOPE_LOGS)),
        one("schema_url", 3, Kind::Text),
    ]
);

message!(
    SCOPE_LOGS,
    "ScopeLogs",
    &[
        one("scope", 1, Kind::Message(|| &SCOPE)),
        many("log_records", 2, Kind::Message(|| &LOG_RECORD)),
        one("schema_url", 3, Kind::Text),
    ]
);

message!(
    LOG_RECORD,
    "LogRecord",
    &[
        one("time_unix_nano", 1, Kind::Fixed64),
        one("severity_number", 2, SEVERITY),
        one("severity_text", 3, Kind::Text),
        one("body", 5, Kind::Message(|| &ANY_VALUE)),
        many("attributes", 6, Kind::Message(|| &KEY_VALUE)),
        one("dropped_attributes_count", 7, Kind::Uint),
        one("flags", 8, Kind::Fixed32),
        one("trace_id", 9, Kind::Hex),
        one("span_id", 10, Kind::Hex),
        one("observed_time_unix_nano", 11, Kind::Fixed64),
        one("event_name", 12, Kind::Text),
    ]
);
