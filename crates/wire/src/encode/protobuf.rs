//! Delimited protobuf: `io.prometheus.client.MetricFamily` messages.

use model::{FloatHistogram, Span};

use super::{Head, HeadKind, Metric, MetricValue};

/// A message being written.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn uint(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    pub fn sint(&mut self, field: u64, value: i64) -> &mut Self {
        self.uint(field, ((value << 1) ^ (value >> 63)) as u64)
    }

    pub fn double(&mut self, field: u64, value: f64) -> &mut Self {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
        self
    }

    pub fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn message(&mut self, field: u64, write: impl FnOnce(&mut Message)) -> &mut Self {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0)
    }

    fn packed_doubles(&mut self, field: u64, values: &[f64]) {
        if !values.is_empty() {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
            self.bytes(field, &bytes);
        }
    }

    /// Appends the message to `out`, after its length.
    pub fn delimited(&self, out: &mut Vec<u8>) {
        let mut length = Message::default();
        length.varint(self.0.len() as u64);
        out.extend_from_slice(&length.0);
        out.extend_from_slice(&self.0);
    }
}

fn type_number(kind: HeadKind) -> u64 {
    match kind {
        HeadKind::Counter => 0,
        HeadKind::Gauge => 1,
        HeadKind::Summary => 2,
        HeadKind::Untyped => 3,
        HeadKind::Histogram => 4,
        HeadKind::GaugeHistogram => 5,
    }
}

pub(super) fn write(head: &Head<'_>, metrics: &[Metric<'_>], out: &mut Vec<u8>) {
    let mut family = Message::default();
    family.text(1, &head.name);
    if let Some(help) = head.help {
        family.text(2, help);
    }
    family.uint(3, type_number(head.kind));
    for metric in metrics {
        family.message(4, |message| write_metric(message, head.kind, metric));
    }
    family.delimited(out);
}

fn write_metric(message: &mut Message, kind: HeadKind, metric: &Metric<'_>) {
    for (name, value) in &metric.labels {
        message.message(1, |label| {
            label.text(1, name).text(2, value);
        });
    }
    match &metric.value {
        MetricValue::Number(value) => {
            let field = match kind {
                HeadKind::Gauge => 2,
                HeadKind::Counter => 3,
                _ => 5,
            };
            message.message(field, |number| {
                number.double(1, *value);
            });
        }
        MetricValue::Summary { quantiles, sum, count } => {
            message.message(4, |summary| {
                summary.uint(1, *count).double(2, *sum);
                for &(quantile, value) in *quantiles {
                    summary.message(3, |part| {
                        part.double(1, quantile).double(2, value);
                    });
                }
            });
        }
        MetricValue::Classic { buckets, sum, count } => {
            message.message(7, |histogram| write_classic(histogram, buckets, *sum, *count));
        }
        MetricValue::Native(histogram) => {
            message.message(7, |message| write_native(message, histogram));
        }
    }
    if let Some(time_ms) = metric.timestamp_ms {
        message.uint(6, time_ms as u64);
    }
}

fn write_classic(message: &mut Message, buckets: &[(f64, f64)], sum: f64, count: f64) {
    let is_whole = |count: f64| count.fract() == 0.0;
    if is_whole(count) {
        message.uint(1, count as u64);
    } else {
        message.double(4, count);
    }
    message.double(2, sum);
    for &(bound, count) in buckets {
        message.message(3, |bucket| {
            if is_whole(count) {
                bucket.uint(1, count as u64);
            } else {
                bucket.double(4, count);
            }
            bucket.double(2, bound);
        });
    }
}

fn write_native(message: &mut Message, histogram: &FloatHistogram) {
    message.double(4, histogram.count).double(2, histogram.sum).sint(5, i64::from(histogram.schema));
    message.double(6, histogram.zero_threshold).double(8, histogram.zero_count);
    write_spans(message, 9, &histogram.negative_spans);
    message.packed_doubles(11, &histogram.negative_buckets);
    // An empty span tells a native histogram without observations from a classic one.
    let marker = [Span::default()];
    let has_spans = !histogram.positive_spans.is_empty() || !histogram.negative_spans.is_empty();
    let is_marked = has_spans || histogram.zero_threshold > 0.0;
    write_spans(message, 12, if is_marked { &histogram.positive_spans } else { &marker });
    message.packed_doubles(14, &histogram.positive_buckets);
}

fn write_spans(message: &mut Message, field: u64, spans: &[Span]) {
    for span in spans {
        message.message(field, |part| {
            part.sint(1, i64::from(span.offset)).uint(2, u64::from(span.length));
        });
    }
}
