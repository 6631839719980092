//! Any bytes at all: the parsers answer with entries or errors, never with a panic or an endless loop. The
//! same drivers serve the fuzz targets.

use super::{Entry, Exposition, HistogramSample, KnownSeries, NothingKnown, ParseOptions, Parser, RawLabels};
use crate::negotiate::MediaType;

/// Reads `body` to its end or first error, calling every accessor, and checks what must hold of any input.
pub fn drive(body: &[u8], media_type: MediaType, options: &ParseOptions) {
    let mut parser = Parser::of(body, media_type, options);
    let mut labels = RawLabels::default();
    let mut texts = Vec::new();
    let mut entries = 0usize;
    while let Ok(Some(entry)) = parser.next(&mut NothingKnown) {
        entries += 1;
        // Each entry takes at least a byte, but a histogram may be emitted several times over.
        assert!(entries <= body.len() * 4 + 16, "more entries than the body can hold");
        match entry {
            Entry::Help | Entry::Type | Entry::Unit | Entry::Comment => {
                let _ = (parser.family_name(), parser.help(), parser.unit().len(), parser.comment().len());
            }
            Entry::Series | Entry::KnownSeries | Entry::Histogram => {
                parser.labels_into(&mut labels);
                let _ = (labels.to_labels(), labels.duplicate(), parser.timestamp_ms(), parser.value());
                let _ = parser.start_timestamp_ms();
                while parser.next_exemplar().is_some() {}
                if let Some(HistogramSample::Integer(histogram)) = parser.histogram() {
                    let _ = histogram.validate();
                }
                texts.push(parser.series().to_vec());
            }
        }
    }
    replay(body, media_type, options, texts);
}

/// Knows exactly the series of the pass before.
struct Replay(std::vec::IntoIter<Vec<u8>>);

impl KnownSeries for Replay {
    fn known_len(&mut self, rest: &[u8]) -> usize {
        self.0.next().filter(|text| !text.is_empty() && rest.starts_with(text)).map_or(0, |text| text.len())
    }
}

/// A second pass that recognises every series must see the same series with the same labels.
fn replay(body: &[u8], media_type: MediaType, options: &ParseOptions, texts: Vec<Vec<u8>>) {
    let mut fresh = Parser::of(body, media_type, options);
    let mut known = Parser::of(body, media_type, options);
    let mut expected = Replay(texts.into_iter());
    let (mut left, mut right) = (RawLabels::default(), RawLabels::default());
    loop {
        match (fresh.next(&mut NothingKnown), known.next(&mut expected)) {
            (Ok(Some(a)), Ok(Some(b))) => {
                let is_series = |entry| matches!(entry, Entry::Series | Entry::KnownSeries);
                assert!(a == b || (is_series(a) && is_series(b)), "{a:?} {b:?}");
                if is_series(a) {
                    assert_eq!(fresh.series(), known.series());
                    assert_eq!(fresh.value().to_bits(), known.value().to_bits());
                    fresh.labels_into(&mut left);
                    known.labels_into(&mut right);
                    assert_eq!(left, right);
                }
            }
            (a, b) => {
                assert_eq!(a.is_err(), b.is_err());
                return;
            }
        }
    }
}

/// [`drive`] with every option that changes the way through a parser.
pub fn drive_all_options(body: &[u8], media_type: MediaType) {
    for bits in 0..8 {
        let options = ParseOptions {
            type_and_unit_labels: bits & 1 != 0,
            skip_created_series: bits & 1 != 0,
            convert_classic_to_nhcb: bits & 2 != 0,
            keep_classic: bits & 4 != 0,
            ..ParseOptions::default()
        };
        drive(body, media_type, &options);
    }
    if media_type == MediaType::OpenMetrics {
        let _ = crate::lint::validate_open_metrics(body);
    }
    if media_type == MediaType::Text {
        let _ = crate::lint::lint_text(body);
    }
}

#[cfg(test)]
mod tests {
    use base::metrics::{Family, Kind, Point, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::encode::Encoder;
    use crate::escape::Escaping;
    use crate::negotiate::{Format, Negotiated};

    /// A valid body to be damaged.
    fn seed(media_type: MediaType) -> Vec<u8> {
        let mut histogram = Family::new("h", "Help \\ \n.", Kind::Histogram);
        let value = Value::Histogram { buckets: vec![(0.5, 1), (2.0, 3)], sum: 2.5, count: 4 };
        histogram.points.push(Point { labels: vec![("a".into(), "x\"\n\\".into())], value });
        let families = [
            Family::new("c_total", "Counts.", Kind::Counter).with(&[("code", "200")], 12.5),
            Family::new("ü.gauge", "G.", Kind::Gauge).with(&[("l.b", "v")], f64::NAN),
            histogram,
        ];
        let format = match media_type {
            MediaType::Text => Format::Text1_0_0,
            MediaType::OpenMetrics => Format::OpenMetrics1_0_0,
            MediaType::Protobuf => Format::Protobuf,
        };
        let encoder = Encoder::new(Negotiated { format, escaping: Escaping::AllowUtf8 });
        let mut out = Vec::new();
        encoder.families(&families, &mut out);
        if media_type == MediaType::OpenMetrics {
            out.extend_from_slice(
                b"# TYPE s counter\ns_total{a=\"b\"} 1 2.5 # {id=\"x\"} 3 4\ns_created{a=\"b\"} 1\n",
            );
        }
        encoder.finish(&mut out);
        out
    }

    fn media_types() -> impl Strategy<Value = MediaType> {
        prop_oneof![Just(MediaType::Text), Just(MediaType::OpenMetrics), Just(MediaType::Protobuf)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn damaged_bodies_never_break_a_parser(
            media_type in media_types(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..8),
        ) {
            let mut body = seed(media_type);
            for (at, byte, kind) in damage {
                if body.is_empty() {
                    break;
                }
                let at = at.index(body.len());
                match kind {
                    0 => body[at] = byte,
                    1 => body.insert(at, b"{}\",=# \n\\\0"[usize::from(byte) % 10]),
                    2 => { body.remove(at); }
                    _ => body.truncate(at.max(1)),
                }
            }
            drive_all_options(&body, media_type);
        }

        #[test]
        fn arbitrary_bytes_never_break_a_parser(
            media_type in media_types(),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            drive_all_options(&body, media_type);
        }
    }

    #[test]
    fn endless_tokens_give_short_errors() {
        for body in [
            format!("a{{b=\"{}", "x".repeat(1 << 20)),
            format!("a {}", "1".repeat(1 << 20)),
            "{".repeat(1 << 20),
        ] {
            let mut parser = Parser::of(body.as_bytes(), MediaType::Text, &ParseOptions::default());
            let error = parser.next(&mut NothingKnown).unwrap_err().to_string();
            assert!(error.len() < 10_000, "{}", error.len());
        }
    }
}
