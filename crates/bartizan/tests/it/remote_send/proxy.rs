//! A bad network: a proxy that drops, delays, repeats and refuses requests, by the numbers of a seed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::faults::DEADLINE;

/// What is done with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mischief {
    Nothing,
    DropBefore,
    DropAfter,
    Delay,
    Twice,
    LateAgain,
    TooMany,
    Broken,
    Unavailable,
}

const ALL: [Mischief; 8] = [
    Mischief::DropBefore,
    Mischief::DropAfter,
    Mischief::Delay,
    Mischief::Twice,
    Mischief::LateAgain,
    Mischief::TooMany,
    Mischief::Broken,
    Mischief::Unavailable,
];

struct State {
    upstream: Mutex<Option<SocketAddr>>,
    random: AtomicU64,
    /// Requests in a hundred that are tampered with.
    percent: u64,
    done: Mutex<BTreeMap<Mischief, usize>>,
    ending: AtomicBool,
}

/// A running proxy.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    /// Starts a proxy to nowhere.
    pub fn start(seed: u64, percent: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream: Mutex::default(),
            random: AtomicU64::new(seed),
            percent,
            done: Mutex::default(),
            ending: AtomicBool::new(false),
        });
        let accepting = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.ending.load(Ordering::Relaxed) {
                    return;
                }
                let state = accepting.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// The URL to send to.
    pub fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// From now on requests go there, or nowhere.
    pub fn forward_to(&self, upstream: Option<SocketAddr>) {
        *self.state.upstream.lock().unwrap() = upstream;
    }

    /// How often what was done.
    pub fn done(&self) -> BTreeMap<Mischief, usize> {
        self.state.done.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ending.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    /// The next number of the seed, by the mixing steps of SplitMix64.
    fn next(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn choose(&self) -> Mischief {
        let number = self.next();
        let mischief = if number % 100 < self.percent {
            ALL[(number >> 32) as usize % ALL.len()]
        } else {
            Mischief::Nothing
        };
        *self.done.lock().unwrap().entry(mischief).or_default() += 1;
        mischief
    }
}

/// Answers the requests of one connection until it is dropped.
fn serve(stream: TcpStream, state: &Arc<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader) {
        let answer = match state.choose() {
            Mischief::DropBefore => return,
            Mischief::TooMany => Some(refusal("429 Too Many Requests", "retry-after: 1\r\n")),
            Mischief::Broken => Some(refusal("500 Internal Server Error", "")),
            Mischief::Unavailable => {
                Some(refusal("503 Service Unavailable", "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n"))
            }
            Mischief::Nothing => forward(state, &request),
            Mischief::Delay => {
                pause(20 + state.next() % 200);
                forward(state, &request)
            }
            Mischief::DropAfter => {
                forward(state, &request);
                return;
            }
            Mischief::Twice => {
                forward(state, &request);
                forward(state, &request)
            }
            Mischief::LateAgain => {
                let (later, state) = (request.clone(), state.clone());
                let wait_ms = 50 + state.next() % 300;
                let answer = forward(&state, &request);
                std::thread::spawn(move || {
                    pause(wait_ms);
                    forward(&state, &later);
                });
                answer
            }
        };
        // Without an answer from behind, the connection ends as it does when a server dies.
        let Some(answer) = answer else { return };
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what a slow network does; nothing is waited for by it")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn refusal(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n").into_bytes()
}

/// Head and body of the next message of a connection.
fn read_message(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[start..].trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A whole request as bytes.
fn read_request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let (head, body) = read_message(reader)?;
    Some([head.as_bytes(), &body].concat())
}

/// Sends a request to where it was meant for; the answer as bytes, if there is one.
fn forward(state: &State, request: &[u8]) -> Option<Vec<u8>> {
    let upstream = (*state.upstream.lock().unwrap())?;
    let mut stream = TcpStream::connect(upstream).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request).ok()?;
    let (head, body) = read_message(&mut BufReader::new(stream))?;
    Some([head.as_bytes(), &body].concat())
}
