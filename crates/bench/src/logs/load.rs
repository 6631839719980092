//! Pushing lines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wire::decompress::compress_snappy;
use wire::protobuf::{put_bytes, put_message, put_uint};

use super::lines::{Kind, Random};
use crate::receive::Connection;
use crate::scenario::BenchError;

/// Bytes of lines of one push.
const PUSH_BYTES: u64 = 1 << 20;
/// Streams whose lines are kept as a sample, and how much of each.
const SAMPLE_STREAMS: u64 = 4;
const SAMPLE_BYTES: usize = 8 << 20;

/// Lines as files hold them, stream by stream.
#[derive(Default)]
pub struct Sample {
    /// A newline behind each line.
    pub lines: Vec<String>,
    /// The same with what container runtimes write before each line.
    pub stamped: Vec<String>,
    /// An identifier that is in one line.
    pub identifier: Option<String>,
}

/// Makes lines of one kind and pushes them.
pub struct Sender {
    pub kind: Kind,
    pub start_s: u64,
    pub raw_bytes: u64,
    pub lines: u64,
    pub refused: u64,
    pub sample: Sample,
    wanted_bytes: u64,
    random: Random,
    labels: Vec<String>,
    at_ns: i64,
    gap_ns: u64,
}

impl Sender {
    /// Lines of that many bytes, spread over the day that begins at `start_s`.
    pub fn new(kind: Kind, start_s: u64, wanted_bytes: u64) -> Self {
        let sample = Sample {
            lines: vec![String::new(); SAMPLE_STREAMS as usize],
            stamped: vec![String::new(); SAMPLE_STREAMS as usize],
            identifier: None,
        };
        // With no end in sight, as many as a busy day has.
        let lines = if wanted_bytes == u64::MAX { 50_000_000 } else { wanted_bytes / kind.line_bytes() + 1 };
        Self {
            kind,
            start_s,
            raw_bytes: 0,
            lines: 0,
            refused: 0,
            sample,
            wanted_bytes,
            random: Random(start_s ^ kind as u64),
            labels: (0..kind.streams()).map(|stream| kind.labels(stream)).collect(),
            at_ns: start_s as i64 * 1_000_000_000,
            gap_ns: 86_000_000_000_000 / lines,
        }
    }

    fn is_done(&self) -> bool {
        self.raw_bytes >= self.wanted_bytes
    }

    /// The next request.
    fn body(&mut self) -> Vec<u8> {
        let mut entries: Vec<Vec<u8>> = vec![Vec::new(); self.labels.len()];
        let (mut bytes, mut line) = (0, String::new());
        let last_ns = (self.start_s as i64 + 86_399) * 1_000_000_000;
        while bytes < PUSH_BYTES && self.raw_bytes + bytes < self.wanted_bytes {
            self.at_ns = (self.at_ns + self.random.below(2 * self.gap_ns) as i64).min(last_ns);
            let stream = self.random.below(self.labels.len() as u64);
            let at_ns = self.at_ns - self.at_ns % self.kind.resolution_ns();
            line.clear();
            self.kind.line(stream, at_ns, &mut self.random, &mut line);
            put_message(&mut entries[stream as usize], 2, |out| {
                put_message(out, 1, |out| {
                    put_uint(out, 1, (at_ns / 1_000_000_000) as u64);
                    put_uint(out, 2, (at_ns % 1_000_000_000) as u64);
                });
                put_bytes(out, 2, line.as_bytes());
            });
            bytes += line.len() as u64 + 1;
            self.lines += 1;
            self.keep(stream, at_ns, &line);
        }
        self.raw_bytes += bytes;
        let mut body = Vec::with_capacity(bytes as usize * 5 / 4);
        for (labels, entries) in self.labels.iter().zip(&entries).filter(|(_, entries)| !entries.is_empty()) {
            put_message(&mut body, 1, |out| {
                put_bytes(out, 1, labels.as_bytes());
                out.extend_from_slice(entries);
            });
        }
        body
    }

    fn keep(&mut self, stream: u64, at_ns: i64, line: &str) {
        use std::fmt::Write as _;
        if stream >= SAMPLE_STREAMS || self.sample.lines[stream as usize].len() > SAMPLE_BYTES {
            return;
        }
        if self.kind == Kind::Json && self.sample.identifier.is_none() {
            let id = line.split("\"trace_id\":\"").nth(1).and_then(|rest| rest.get(..32));
            self.sample.identifier = id.map(str::to_owned);
        }
        let out = &mut self.sample.lines[stream as usize];
        out.push_str(line);
        out.push('\n');
        if self.kind == Kind::Kubernetes {
            let (second, ns) = (at_ns.div_euclid(1_000_000_000), at_ns.rem_euclid(1_000_000_000));
            let of_day = second.rem_euclid(86_400);
            let clock = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            let stamped = &mut self.sample.stamped[stream as usize];
            let date = super::table::date_of(self.start_s);
            let _ = writeln!(
                stamped,
                "{date}T{:02}:{:02}:{:02}.{ns:09}Z stdout F {line}",
                clock.0, clock.1, clock.2
            );
        }
    }

    fn push(&mut self, connection: &mut Connection) -> Result<(), BenchError> {
        let body = compress_snappy(&self.body())
            .map_err(|error| BenchError::Answer(format!("compressing a request: {error}")))?;
        loop {
            match connection.post("/loki/api/v1/push", &body)? {
                200..300 => return Ok(()),
                // Come again later, they say.
                429 | 500..=599 => {
                    self.refused += 1;
                    std::thread::sleep(Duration::from_millis(200));
                }
                status => return Err(BenchError::Answer(format!("a push was answered with {status}"))),
            }
        }
    }
}

/// Pushes everything over two connections, the kinds of each in turn.
pub fn push_all(port: u16, senders: Vec<Sender>) -> Result<Vec<Sender>, BenchError> {
    let (mut odd, mut even) = (Vec::new(), Vec::new());
    for (i, sender) in senders.into_iter().enumerate() {
        if i % 2 == 0 { even.push(sender) } else { odd.push(sender) }
    }
    let push = |mut senders: Vec<Sender>| -> Result<Vec<Sender>, BenchError> {
        let mut connection = Connection::open(port)?;
        while senders.iter().any(|sender| !sender.is_done()) {
            for sender in senders.iter_mut().filter(|sender| !sender.is_done()) {
                sender.push(&mut connection)?;
            }
        }
        Ok(senders)
    };
    std::thread::scope(|scope| {
        let running = [even, odd].map(|senders| scope.spawn(move || push(senders)));
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().map_err(|_| BenchError::Answer("a sender panicked".to_owned()))??);
        }
        all.sort_by_key(|sender: &Sender| std::cmp::Reverse(sender.start_s));
        Ok(all)
    })
}

/// Pushes at a steady rate until told to stop; bytes of lines that were pushed.
pub fn push_paced(
    port: u16,
    mut senders: Vec<Sender>,
    megabytes_per_s: f64,
    stop: &AtomicBool,
) -> Result<u64, BenchError> {
    let mut connection = Connection::open(port)?;
    let started = Instant::now();
    loop {
        for at in 0..senders.len() {
            let sent: u64 = senders.iter().map(|sender| sender.raw_bytes).sum();
            if stop.load(Ordering::Acquire) {
                return Ok(sent);
            }
            let due = Duration::from_secs_f64(sent as f64 / 1e6 / megabytes_per_s);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
            senders[at].push(&mut connection)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_holds_the_lines_it_says() {
        let mut sender = Sender::new(Kind::Kubernetes, 1_768_435_200, 300_000);
        let body = sender.body();
        let mut memory = base::ByteBudget::unlimited().reserve(0).expect("there is no limit");
        let request = wire::loki::protobuf::decode(&body.into(), &mut memory).expect("it is one");
        let entries = request.streams.iter().flat_map(|stream| &stream.entries);
        let (count, bytes) =
            entries.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.line.len() as u64 + 1));
        assert_eq!((count, bytes), (sender.lines, sender.raw_bytes));
        assert!(sender.is_done());
        assert!(sender.sample.stamped[0].starts_with("2026-01-15T"), "{}", sender.sample.stamped[0]);
    }
}
