//! Names of messages and fields, for errors.

use crate::protobuf::Schema;

pub static REQUEST_V1: Schema =
    Schema { message: "prometheus.WriteRequest", fields: &[(1, "timeseries"), (3, "metadata")] };

pub static SERIES_V1: Schema = Schema {
    message: "prometheus.TimeSeries",
    fields: &[(1, "labels"), (2, "samples"), (3, "exemplars"), (4, "histograms")],
};

pub static LABEL: Schema = Schema { message: "prometheus.Label", fields: &[(1, "name"), (2, "value")] };

pub static SAMPLE_V1: Schema =
    Schema { message: "prometheus.Sample", fields: &[(1, "value"), (2, "timestamp")] };

pub static EXEMPLAR_V1: Schema =
    Schema { message: "prometheus.Exemplar", fields: &[(1, "labels"), (2, "value"), (3, "timestamp")] };

pub static FAMILY: Schema = Schema {
    message: "prometheus.MetricMetadata",
    fields: &[(1, "type"), (2, "metric_family_name"), (4, "help"), (5, "unit")],
};

pub static HISTOGRAM_V1: Schema = Schema { message: "prometheus.Histogram", fields: HISTOGRAM_FIELDS };

pub static HISTOGRAM_V2: Schema =
    Schema { message: "io.prometheus.write.v2.Histogram", fields: HISTOGRAM_FIELDS };

const HISTOGRAM_FIELDS: &[(u32, &str)] = &[
    (1, "count_int"),
    (2, "count_float"),
    (3, "sum"),
    (4, "schema"),
    (5, "zero_threshold"),
    (6, "zero_count_int"),
    (7, "zero_count_float"),
    (8, "negative_spans"),
    (9, "negative_deltas"),
    (10, "negative_counts"),
    (11, "positive_spans"),
    (12, "positive_deltas"),
    (13, "positive_counts"),
    (14, "reset_hint"),
    (15, "timestamp"),
    (16, "custom_values"),
    (17, "start_timestamp"),
];

pub static SPAN: Schema = Schema { message: "BucketSpan", fields: &[(1, "offset"), (2, "length")] };

pub static REQUEST_V2: Schema =
    Schema { message: "io.prometheus.write.v2.Request", fields: &[(4, "symbols"), (5, "timeseries")] };

pub static SERIES_V2: Schema = Schema {
    message: "io.prometheus.write.v2.TimeSeries",
    fields: &[(1, "labels_refs"), (2, "samples"), (3, "histograms"), (4, "exemplars"), (5, "metadata")],
};

pub static SAMPLE_V2: Schema = Schema {
    message: "io.prometheus.write.v2.Sample",
    fields: &[(1, "value"), (2, "timestamp"), (3, "start_timestamp")],
};

pub static EXEMPLAR_V2: Schema = Schema {
    message: "io.prometheus.write.v2.Exemplar",
    fields: &[(1, "labels_refs"), (2, "value"), (3, "timestamp")],
};

pub static METADATA: Schema = Schema {
    message: "io.prometheus.write.v2.Metadata",
    fields: &[(1, "type"), (3, "help_ref"), (4, "unit_ref")],
};
