//! Senders that mean harm.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use wire::protobuf::{put_bytes, put_message, put_uint};
use wire::remote_write::MessageType;

use super::sender::{Connection, Request, now_ms, one_sample, v1};
use super::{CONFIG, receiving};
use crate::faults::wait_for;

const MEBIBYTE: u64 = 1 << 20;

/// Bodies that say they are more than they are, or stand for more memory than they take.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let packed = |body: &[u8]| wire::decompress::compress_snappy(body).unwrap();
    let good = packed(&v1(&[(&[("__name__", "m")], &[(now_ms(), 1.0)])]));
    let mut symbols = Vec::new();
    (0..4 << 20).for_each(|_| put_bytes(&mut symbols, 4, b""));
    let mut samples = Vec::new();
    put_bytes(&mut samples, 1, &[0x12, 0].repeat(12 << 20));
    let mut long_label = Vec::new();
    put_message(&mut long_label, 1, |out| {
        put_message(out, 1, |out| {
            put_bytes(out, 1, b"__name__");
            put_bytes(out, 2, &vec![b'x'; 20 << 20]);
        });
        put_message(out, 2, |out| put_uint(out, 2, now_ms() as u64));
    });
    vec![
        ("a length of four gigabytes and nothing behind it", vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("thirty mebibytes said, nothing there", vec![0x80, 0x80, 0x80, 0x0f]),
        ("a bomb beyond the limit", packed(&vec![0; 64 << 20])),
        ("zeros", packed(&vec![0; 30 << 20])),
        ("samples of two bytes", packed(&samples)),
        ("empty series", packed(&[0x0a, 0].repeat(14 << 20))),
        ("symbols of two bytes", packed(&symbols)),
        ("a label of twenty mebibytes", packed(&long_label)),
        ("cut", good[..good.len() / 2].to_vec()),
        ("not compressed", v1(&[(&[("__name__", "m")], &[(now_ms(), 1.0)])])),
        ("garbage", (0..10_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
        ("nothing", Vec::new()),
    ]
}

#[test]
fn hostile_bodies_are_refused_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).flag("--ingest.max-memory=64MB").start();
    assert_eq!(one_sample("good", now_ms(), 1.0).send(server.address()).unwrap().status, 204);
    let steady = server.memory_bytes();
    for (what, body) in bodies() {
        for message in MessageType::ALL {
            let request = Request::of(message, &[]).body(body.clone());
            let answer = request.send(server.address()).unwrap();
            // As the first version, empty series are nothing to store; nothing at all, neither.
            let harmless = [204, 400, 413, 503];
            assert!(harmless.contains(&answer.status), "{what} as {message}: {answer:?}");
            assert!(answer.body.len() < 10_000, "{what} as {message}: {} bytes", answer.body.len());
            if answer.status != 204 {
                assert!(!answer.body.trim().is_empty(), "{what}: an error says why");
            }
        }
    }
    let grown = server.peak_memory_bytes().saturating_sub(steady);
    // The budget, and what the allocator holds of bodies that were there before and lie in other places.
    assert!(grown < 3 * 64 * MEBIBYTE, "{} MiB", grown / MEBIBYTE);
    assert_eq!(one_sample("good", now_ms(), 2.0).send(server.address()).unwrap().status, 204);
    assert_eq!(server.query("{__name__=~\".+\",__name__!=\"good\"}").len(), 0);
}

#[test]
fn errors_say_where_a_message_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    let mut body = v1(&[(&[("__name__", "m")], &[(now_ms(), 1.0)])]);
    let at = body.len();
    put_bytes(&mut body, 1, &[0x12, 0x7f]);
    let answer = Request::of(MessageType::V1, &body).send(server.address()).unwrap();
    assert_eq!(answer.status, 400);
    let told =
        format!("protobuf: prometheus.TimeSeries.samples at byte {}: unexpected end of message\n", at + 2);
    assert_eq!(answer.body, told);
    assert_eq!(server.number("m"), None, "nothing of it is stored");
}

#[test]
fn large_bodies_are_refused_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).flag("--ingest.max-request-size=1MB").start();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "POST /api/v1/write HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let bomb = wire::decompress::compress_snappy(&vec![0; (1 << 20) + 1]).unwrap();
    let answer = Request::of(MessageType::V1, &[]).body(bomb).send(server.address()).unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, "decoded size exceeds the 1048576 bytes limit (ingest.max-request-size)\n");
}

#[test]
fn more_at_once_than_memory_allows_is_asked_to_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).flag("--ingest.max-memory=4MB").start();
    let label = "x".repeat(800_000);
    let large = || {
        let body = v1(&[(&[("__name__", "m"), ("l", &label)], &[(now_ms(), 1.0)])]);
        Request::of(MessageType::V1, &body)
    };
    // Senders that begin a body and do not go on hold what they have sent.
    let mut holding = Vec::new();
    let refused = wait_for("the memory to be used up", || {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "POST /api/v1/write HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").unwrap();
        // A server that refuses it need not read it.
        let _ = stream.write_all(&vec![0; 900_000]);
        holding.push(stream);
        let answer = large().send(server.address()).unwrap();
        (answer.status != 204).then_some(answer)
    });
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(
        refused.body.starts_with("ingest.max-memory: limit of 4194304 bytes exceeded"),
        "{}",
        refused.body
    );
    drop(holding);
    wait_for("the memory to be given back", || (large().send(server.address())?.status == 204).then_some(()));
}

#[test]
fn many_senders_feed_shared_and_own_series() {
    const SENDERS: usize = 16;
    const REQUESTS: i64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    let (start_ms, refused) = (now_ms() - 1_000_000, AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (to, refused) = (server.address(), &refused);
            scope.spawn(move || {
                let mut connection = Connection::open(to).unwrap();
                for i in 0..REQUESTS {
                    let own = format!("own{sender}");
                    let sample = [(start_ms + i * 1000, i as f64)];
                    let body = v1(&[(&[("__name__", "shared")], &sample), (&[("__name__", &own)], &sample)]);
                    let answer = connection.send(&Request::of(MessageType::V1, &body)).unwrap();
                    // The shared series is fed by all: whoever is behind is told so, and its own sample is kept.
                    match answer.status {
                        204 => {}
                        400 => {
                            let told = "for series {__name__=\"shared\"}";
                            assert!(answer.body.lines().all(|line| line.ends_with(told)), "{}", answer.body);
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        other => panic!("{other}: {}", answer.body),
                    }
                }
            });
        }
    });
    let own = server.query("{__name__=~\"own.*\"}[1h]");
    assert_eq!(own.len(), SENDERS);
    for series in own {
        assert_eq!(series["values"].as_array().unwrap().len(), REQUESTS as usize, "{}", series["metric"]);
    }
    assert_eq!(server.number("count_over_time(shared[1h])"), Some(REQUESTS as f64));
}
