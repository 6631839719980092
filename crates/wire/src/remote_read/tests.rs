use std::sync::Arc;

use base::ByteBudget;
use model::{CounterResetHint, FloatHistogram, Histogram, Matcher, Span};
use proptest::prelude::*;

use super::chunks::{Chunk, put_message_of_series};
use super::samples::{Sample, Writer, put_float, put_float_histogram, put_histogram};
use super::*;
use crate::remote_write::decode::AnyHistogram;

fn decode(body: &[u8]) -> Result<ReadRequest<'_>, request::RequestError> {
    let mut memory = ByteBudget::new("query.max-memory", 1 << 20).reserve(0).unwrap();
    ReadRequest::decode(body, &mut memory)
}

#[test]
fn a_request_comes_back_as_it_was_sent() {
    let matchers =
        [Matcher::equal("__name__", "up"), Matcher::new(model::MatchOp::NotRegex, "job", "a|b.*").unwrap()];
    let hints = ReadHints {
        step_ms: 15_000,
        function: "rate",
        start_ms: 5,
        end_ms: 6,
        grouping: vec!["job", "instance"],
        by: true,
        range_ms: 300_000,
    };
    let queries = vec![
        Query {
            start_ms: -5,
            end_ms: 100,
            matchers: matchers.iter().map(RawMatcher::of).collect(),
            hints: Some(hints),
        },
        Query::default(),
    ];
    let request = ReadRequest { queries, accepted: vec![1, 0] };
    let mut body = Vec::new();
    request.encode(&mut body);
    let read = decode(&body).unwrap();
    assert_eq!(read, request);
    assert_eq!(read.queries[0].matchers[1].compile().unwrap(), matchers[1]);
    assert_eq!(
        RawMatcher { kind: 4, name: "a", value: "b" }.compile().unwrap_err().to_string(),
        "invalid matcher type"
    );
}

#[test]
fn the_first_known_answer_wins() {
    assert_eq!(negotiate(&[]), Ok(ResponseType::Samples));
    assert_eq!(negotiate(&[1, 0]), Ok(ResponseType::StreamedXorChunks));
    assert_eq!(negotiate(&[7, 0, 1]), Ok(ResponseType::Samples));
    assert_eq!(
        negotiate(&[20]).unwrap_err().to_string(),
        "server does not support any of the requested response types: [20]; supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]"
    );
}

#[test]
fn a_small_body_of_many_queries_is_refused_by_the_budget() {
    // Two bytes each.
    let body = [0x0a, 0].repeat(100_000);
    let error = decode(&body).unwrap_err().to_string();
    assert!(error.starts_with("query.max-memory: limit of 1048576 bytes exceeded"), "{error}");
}

fn histogram() -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: -2,
        zero_threshold: 0.001,
        zero_count: 2,
        count: 9,
        sum: -18.5,
        positive_spans: vec![Span { offset: -3, length: 2 }, Span { offset: 1, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![3, -1, 0],
        negative_buckets: vec![1],
        custom_values: None,
    }
}

#[test]
fn samples_come_back_as_they_were_written() {
    let h = histogram();
    let custom = FloatHistogram {
        schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
        count: 3.5,
        sum: model::stale_nan(),
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1.5, 2.0],
        custom_values: Some(Arc::from([0.5, 1.0])),
        ..FloatHistogram::default()
    };
    let mut writer = Writer::default();
    writer.series([("__name__", "up"), ("job", "a")].into_iter(), |out| {
        put_float(out, 0, 0.0);
        put_float(out, 15_000, model::stale_nan());
    });
    writer.end_result();
    writer.end_result();
    writer.series([("__name__", "h")].into_iter(), |out| {
        put_histogram(out, 1, &h);
        put_float_histogram(out, -2, &custom);
    });
    writer.end_result();
    let body = writer.finish();
    let mut found = Vec::new();
    let results = samples::for_each_series(&body, |query, place| {
        let mut names = Vec::new();
        labels(&body, place, &mut names)?;
        let mut all = Vec::new();
        samples::for_each_sample(&body, place, |sample| {
            all.push(sample);
            Ok::<_, ProtobufError>(())
        })?;
        found.push((query, names, all));
        Ok::<_, ProtobufError>(())
    });
    assert_eq!(results.unwrap(), 3);
    assert_eq!((found[0].0, found[1].0), (0, 2));
    assert_eq!(found[0].1, [("__name__", "up"), ("job", "a")]);
    assert_eq!(found[0].2[0], Sample::Float(0, 0.0));
    assert!(matches!(found[0].2[1], Sample::Float(15_000, v) if model::is_stale_nan(v)));
    let histograms = found[1].2.iter().filter_map(|sample| match sample {
        Sample::Histogram(read) => Some((read.t_ms, &read.value)),
        Sample::Float(..) => None,
    });
    assert_eq!(
        histograms.collect::<Vec<_>>(),
        [(1, &AnyHistogram::Integer(h)), (-2, &AnyHistogram::Float(custom))]
    );
}

#[test]
fn chunks_come_back_as_they_were_written_however_the_stream_is_cut() {
    let chunks = [
        Chunk { min_ms: -1, max_ms: 5, encoding: 1, data: b"first" },
        Chunk { min_ms: 6, max_ms: 9, encoding: 2, data: b"second" },
    ];
    let mut stream = Vec::new();
    for query in 0..3 {
        let mut message = Vec::new();
        put_message_of_series(&mut message, query, [("a", "b")].into_iter(), &chunks);
        put_frame(&mut stream, &message);
    }
    for step in [1, 7, stream.len()] {
        let mut reader = FrameReader::new(1000);
        let mut queries = Vec::new();
        for piece in stream.chunks(step) {
            reader.push(piece);
            while let Some(message) = reader.next().unwrap() {
                let query = chunks::for_each_series(message, |place| {
                    let (mut names, mut read) = (Vec::new(), Vec::new());
                    labels(message, place, &mut names)?;
                    chunks::for_each_chunk(message, place, |chunk| {
                        read.push(chunk);
                        Ok::<_, ProtobufError>(())
                    })?;
                    assert_eq!((&names[..], &read[..]), (&[("a", "b")][..], &chunks[..]));
                    Ok::<_, ProtobufError>(())
                });
                queries.push(query.unwrap());
            }
        }
        reader.finish().unwrap();
        assert_eq!(queries, [0, 1, 2], "pieces of {step}");
    }
}

#[test]
fn damaged_streams_are_refused_without_making_room_for_what_they_announce() {
    let mut stream = Vec::new();
    put_frame(&mut stream, b"some message");
    let mut reader = FrameReader::new(11);
    reader.push(&stream);
    let error = reader.next().unwrap_err();
    assert_eq!(error.to_string(), "chunkedReader: message size exceeded the limit 11 bytes; got: 12 bytes");
    let mut reader = FrameReader::new(12);
    reader.push(&stream[..stream.len() - 1]);
    assert_eq!(reader.next(), Ok(None));
    assert_eq!(reader.finish(), Err(FrameError::CutOff));
    let last = stream.len() - 1;
    stream[last] ^= 1;
    let mut reader = FrameReader::new(12);
    reader.push(&stream);
    assert_eq!(reader.next(), Err(FrameError::Checksum));
    let mut reader = FrameReader::new(u64::MAX);
    reader.push(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0]);
    assert_eq!(reader.next(), Ok(None));
    assert!(reader.buffered_bytes() < 100);
    reader.push(&[0; 100]);
    assert_eq!(reader.next(), Ok(None));
    let mut reader = FrameReader::new(u64::MAX);
    reader.push(&[0xff; 20]);
    assert_eq!(reader.next(), Err(FrameError::Length));
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&body);
        let _ = samples::for_each_series(&body, |_, place| {
            labels(&body, place, &mut Vec::new())?;
            samples::for_each_sample(&body, place, |_| Ok::<_, ProtobufError>(()))
        });
        let _ = chunks::for_each_series(&body, |place| {
            chunks::for_each_chunk(&body, place, |_| Ok::<_, ProtobufError>(()))
        });
    }
}
