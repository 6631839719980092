//! A sender that does as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use base::Clock;
use wire::decompress::compress_snappy;
use wire::protobuf::{put_bytes, put_double, put_message, put_uint, to_zigzag};
use wire::remote_write::MessageType;

use crate::faults::DEADLINE;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A compressed message with the headers it should have.
    pub fn of(message: MessageType, body: &[u8]) -> Self {
        let headers = [
            ("content-type", message.content_type()),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", message.version()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { path: "/api/v1/write", headers, body: compress_snappy(body).unwrap() }
    }

    /// The same on another path.
    pub fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    /// The same with a header in place of what it had under the name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with other bytes.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it on a connection of its own; `None` if there is no answer.
    pub fn send(&self, to: SocketAddr) -> Option<Answer> {
        Connection::open(to)?.send(self)
    }
}

/// A connection that is kept.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(to: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(to).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Some(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the answer, if there is one.
    pub fn send(&mut self, request: &Request) -> Option<Answer> {
        let mut head = format!("POST {} HTTP/1.1\r\nhost: localhost\r\n", request.path);
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).ok()?;
        // A server that refuses by the headers need not read the rest.
        let _ = stream.write_all(&request.body);
        self.answer()
    }

    fn answer(&mut self) -> Option<Answer> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let len = headers.get("content-length").map_or(0, |len: &String| len.parse().unwrap());
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).ok()?;
        Some(Answer { status, headers, body: String::from_utf8(body).unwrap() })
    }
}

/// Now, in milliseconds.
pub fn now_ms() -> i64 {
    base::SystemClock::new().now_ms()
}

/// Labels and samples of a series.
pub type SeriesOf<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A version 1.0 message.
pub fn v1(series: &[SeriesOf<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (labels, samples) in series {
        put_message(&mut body, 1, |out| {
            for (name, value) in *labels {
                put_message(out, 1, |out| {
                    put_bytes(out, 1, name.as_bytes());
                    put_bytes(out, 2, value.as_bytes());
                });
            }
            for (t_ms, value) in *samples {
                put_message(out, 2, |out| {
                    put_double(out, 1, *value);
                    put_uint(out, 2, *t_ms as u64);
                });
            }
        });
    }
    body
}

/// A version 1.0 request of one sample of one series.
pub fn one_sample(name: &str, t_ms: i64, value: f64) -> Request {
    Request::of(MessageType::V1, &v1(&[(&[("__name__", name)], &[(t_ms, value)])]))
}

/// Adds a native histogram of three observations that sum to 4.5 to a version 2.0 message, its labels by reference.
pub fn put_histogram(body: &mut Vec<u8>, labels: &[u8], t_ms: i64) {
    put_message(body, 5, |out| {
        put_bytes(out, 1, labels);
        put_message(out, 3, |out| {
            put_uint(out, 1, 3);
            put_double(out, 3, 4.5);
            put_uint(out, 4, to_zigzag(0));
            put_message(out, 11, |out| put_uint(out, 2, 2));
            put_bytes(out, 12, &[to_zigzag(1) as u8, to_zigzag(1) as u8]);
            put_uint(out, 15, t_ms as u64);
        });
    });
}
