//! The few HTTP requests a run makes, in HTTP/1.0 so that a body simply ends with the connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::scenario::BenchError;

/// How long a request may take before the run is given up.
const TIMEOUT: Duration = Duration::from_secs(300);

/// `GET`s `path` from a server on loopback; the body of a 2xx answer.
pub fn get(port: u16, path: &str) -> Result<Vec<u8>, BenchError> {
    request(port, &format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"), &[])
}

/// `POST`s `body` to `path`.
pub fn post(port: u16, path: &str, body: &[u8]) -> Result<Vec<u8>, BenchError> {
    let head =
        format!("POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n\r\n", body.len());
    request(port, &head, body)
}

/// `POST`s a document in JSON to `path`.
pub fn post_json(port: u16, path: &str, body: &[u8]) -> Result<Vec<u8>, BenchError> {
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    request(port, &head, body)
}

/// Asks the query API and returns the `result` array.
pub fn query(port: u16, path_and_query: &str) -> Result<Vec<Value>, BenchError> {
    let body = get(port, path_and_query)?;
    let mut answer: Value = serde_json::from_slice(&body)?;
    match answer["data"]["result"].take() {
        Value::Array(result) => Ok(result),
        _ => Err(BenchError::Answer(format!("{path_and_query}: {answer}"))),
    }
}

/// Percent-encodes a query parameter.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn request(port: u16, head: &str, body: &[u8]) -> Result<Vec<u8>, BenchError> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Err(BenchError::Answer("connection closed before the end of the headers".into()));
    };
    let headers = String::from_utf8_lossy(&answer[..end]).into_owned();
    let content = answer.split_off(end + 4);
    if headers.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
        return Ok(content);
    }
    let status = headers.lines().next().unwrap_or_default();
    let text: String = String::from_utf8_lossy(&content).chars().take(300).collect();
    Err(BenchError::Answer(format!("{status}: {text}")))
}
