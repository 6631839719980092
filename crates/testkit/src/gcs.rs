//! A server that answers as the XML API of Google Cloud Storage is documented to: no emulator that can be installed heeds
//! conditions of that API, on which everything rests here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;

/// A server with one empty bucket, `logs`. Its thread ends with the process.
pub struct GcsServer {
    port: u16,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (u64, Vec<u8>)>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Generations and names of uploads.
    last: u64,
}

struct Request {
    method: String,
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn of(status: &'static str) -> Self {
        Self { status, headers: String::new(), body: Vec::new() }
    }

    fn of_object(status: &'static str, generation: u64, body: Vec<u8>) -> Self {
        let modified = "Last-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\n";
        let headers = format!("ETag: \"{generation:x}\"\r\nx-goog-generation: {generation}\r\n{modified}");
        Self { status, headers, body }
    }

    fn xml(text: String) -> Self {
        Self { status: "200 OK", headers: "Content-Type: application/xml\r\n".to_owned(), body: text.into() }
    }
}

impl Default for GcsServer {
    fn default() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::<Mutex<State>>::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port }
    }
}

impl GcsServer {
    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let digits =
            after.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                out.push(escaped);
                rest = &after[2..];
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn read(reader: &mut impl BufRead) -> Option<(String, Request)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (bucket, key) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((bucket.to_owned(), Request { method, key: decoded(key), query, headers, body }))
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let Ok(copy) = stream.try_clone() else { return };
    let (mut reader, mut stream) = (BufReader::new(copy), stream);
    while let Some((bucket, request)) = read(&mut reader) {
        let answer =
            if bucket == "logs" { state.lock().answer(&request) } else { Answer::of("404 Not Found") };
        let Answer { status, headers, body } = answer;
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        let body = if request.method == "HEAD" { &[][..] } else { &body };
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
            return;
        }
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let upload = request.query.get("uploadId");
        match (request.method.as_str(), upload) {
            ("GET", _) if request.key.is_empty() => self.list(request),
            ("GET" | "HEAD", _) => self.get(request),
            ("POST", None) if request.query.contains_key("uploads") => {
                self.last += 1;
                self.uploads.insert(self.last.to_string(), BTreeMap::new());
                Answer::xml(format!(
                    "<InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>",
                    self.last
                ))
            }
            ("PUT", Some(upload)) => match self.uploads.get_mut(upload) {
                Some(parts) => {
                    let number = request.query.get("partNumber").and_then(|number| number.parse().ok());
                    parts.insert(number.unwrap_or(0), request.body.clone());
                    Answer { headers: "ETag: \"part\"\r\n".to_owned(), ..Answer::of("200 OK") }
                }
                None => Answer::of("404 Not Found"),
            },
            ("POST", Some(upload)) => match self.uploads.remove(upload) {
                Some(parts) => {
                    let generation = self.store(&request.key, parts.into_values().flatten().collect());
                    let body = "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>";
                    Answer::of_object("200 OK", generation, body.into())
                }
                None => Answer::of("404 Not Found"),
            },
            ("DELETE", Some(upload)) => {
                self.uploads.remove(upload);
                Answer::of("204 No Content")
            }
            ("PUT", None) => self.put(request),
            ("DELETE", None) => match self.objects.remove(&request.key) {
                Some(_) => Answer::of("204 No Content"),
                None => Answer::of("404 Not Found"),
            },
            _ => Answer::of("400 Bad Request"),
        }
    }

    fn store(&mut self, key: &str, data: Vec<u8>) -> u64 {
        self.last += 1;
        self.objects.insert(key.to_owned(), (self.last, data));
        self.last
    }

    fn put(&mut self, request: &Request) -> Answer {
        let known = self.objects.get(&request.key).map_or(0, |(generation, _)| *generation);
        let wanted = request.headers.get("x-goog-if-generation-match");
        if wanted.is_some_and(|wanted| *wanted != known.to_string()) {
            return Answer::of("412 Precondition Failed");
        }
        let generation = self.store(&request.key, request.body.clone());
        Answer::of_object("200 OK", generation, Vec::new())
    }

    fn get(&self, request: &Request) -> Answer {
        let Some((generation, data)) = self.objects.get(&request.key) else {
            return Answer::of("404 Not Found");
        };
        if request.headers.get("if-none-match").is_some_and(|tag| *tag == format!("\"{generation:x}\"")) {
            return Answer::of("304 Not Modified");
        }
        let range =
            request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((first, last)) = range else {
            return Answer::of_object("200 OK", *generation, data.clone());
        };
        let first: usize = first.parse().unwrap_or(0);
        let end = last.parse::<usize>().map_or(data.len(), |last| last + 1).min(data.len());
        if first >= end {
            return Answer::of("416 Range Not Satisfiable");
        }
        let mut answer = Answer::of_object("206 Partial Content", *generation, data[first..end].to_vec());
        let _ = write!(answer.headers, "Content-Range: bytes {first}-{}/{}\r\n", end - 1, data.len());
        answer
    }

    fn list(&self, request: &Request) -> Answer {
        let of = |name: &str| request.query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (of("prefix"), of("delimiter"));
        let (mut body, mut folders) = ("<ListBucketResult>".to_owned(), BTreeSet::new());
        for (key, (generation, data)) in self.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            match key[prefix.len()..].split_once(delimiter).filter(|_| !delimiter.is_empty()) {
                Some((folder, _)) => drop(folders.insert(format!("{prefix}{folder}{delimiter}"))),
                None => {
                    let _ = write!(
                        body,
                        "<Contents><Key>{key}</Key><LastModified>2026-11-21T00:00:00Z</LastModified><ETag>\"{generation:x}\"</ETag><Size>{}</Size></Contents>",
                        data.len()
                    );
                }
            }
        }
        for folder in folders {
            let _ = write!(body, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
        }
        body.push_str("</ListBucketResult>");
        Answer::xml(body)
    }
}
