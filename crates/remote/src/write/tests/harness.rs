//! A log to send, and a receiver to send it to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base::metrics::{Family, Registry, Value};
use base::{ByteBudget, SimClock};
use model::{Appendable, Labels, MetricType, SampleValue, TenantId};
use parking_lot::{Condvar, Mutex};
use tsdb::agent::{Agent, AgentOptions};
use tsdb::wal::LogTail;
use tsdb::wal::segment::list_segments;
use wire::remote_write::MessageType;
use wire::remote_write::decode::decode;

use crate::write::{
    CURSOR_DIR, Environment, FamilyMetadata, FamilySource, Options, RemoteWrite, RemoteWriteConfig,
};

/// The time of a sample at 0.
pub const START_MS: i64 = 1_700_000_000_000;

/// No test takes this long, unless it fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub status: &'static str,
    pub headers: &'static str,
}

impl Answer {
    /// All of it was stored.
    pub const STORED: Self = Self { status: "204 No Content", headers: "" };
}

/// A request.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its head in lower case.
    head: String,
    pub attempt: u32,
    samples: Vec<String>,
    families: Vec<String>,
}

impl Received {
    pub fn has(&self, sample: &str) -> bool {
        self.samples.iter().any(|found| found == sample)
    }

    /// `name@t`, with labels behind the name if there are others.
    pub fn samples(&self) -> &[String] {
        &self.samples
    }

    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
            if head[start..].trim().is_empty() {
                break;
            }
        }
        head.make_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let Some(value) = header("content-length:") {
            length = value.parse().ok()?;
        }
        let attempt = header("retry-attempt:").map_or(0, |value| value.parse().unwrap());
        let message = if head.contains("write.v2") { MessageType::V2 } else { MessageType::V1 };
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (samples, families) = contents(message, &body);
        Some(Self { head, attempt, samples, families })
    }
}

fn contents(message: MessageType, body: &[u8]) -> (Vec<String>, Vec<String>) {
    let raw = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let mut memory = ByteBudget::unlimited().reserve(0).unwrap();
    let request = decode(message, &raw, &mut memory).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut samples = Vec::new();
    for i in 0..request.len() {
        let series = request.series(i);
        let mut pairs = Vec::new();
        series.for_each_label(|(name, value)| pairs.push((text(name), text(value)))).unwrap();
        let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let others = Labels::from_pairs(labels.iter().filter(|(name, _)| *name != "__name__"));
        let others = if others.is_empty() { String::new() } else { others.to_string() };
        let shown = |t_ms: i64| format!("{}{others}@{}", labels.metric_name(), t_ms - START_MS);
        samples.extend(series.samples().iter().map(|sample| shown(sample.t_ms)));
    }
    let families = request.families().map(|family| text(family.unwrap().0)).collect();
    (samples, families)
}

/// A receiver that remembers all requests, and of those it stored the samples.
pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<(Received, bool)>>,
    changed: Condvar,
}

impl Receiver {
    /// Answers all requests by `answer`.
    pub fn start(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let (shared, answer) = (Arc::new(Shared::default()), Arc::new(answer));
        let receiver = Self { url, shared: shared.clone() };
        // The threads end with the process; senders hang up before.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, answer) = (shared.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &shared, &*answer));
            }
        });
        receiver
    }

    #[track_caller]
    fn wait(&self, what: &str, done: impl Fn(&[(Received, bool)]) -> bool) {
        let mut requests = self.shared.requests.lock();
        while !done(&requests) {
            let waited = self.shared.changed.wait_for(&mut requests, DEADLINE);
            assert!(!waited.timed_out(), "waiting for {what}: {requests:?}");
        }
    }

    /// Waits until these samples are stored, perhaps beside others.
    #[track_caller]
    pub fn wait_for(&self, wanted: &[&str]) {
        self.wait(&format!("{wanted:?}"), |requests| {
            let mut found = stored(requests);
            wanted.iter().all(|sample| match found.iter().position(|found| found == sample) {
                Some(at) => {
                    found.swap_remove(at);
                    true
                }
                None => false,
            })
        });
    }

    /// Waits until what is stored is as wanted.
    #[track_caller]
    pub fn wait_until(&self, done: impl Fn(&[String]) -> bool) {
        self.wait("samples", |requests| done(&stored(requests)));
    }

    /// Waits until metadata of these families came.
    #[track_caller]
    pub fn wait_until_families(&self, wanted: &[&str]) {
        self.wait(&format!("{wanted:?}"), |requests| {
            let has = |name: &&str| requests.iter().any(|(one, _)| one.families.iter().any(|f| f == name));
            wanted.iter().all(has)
        });
    }

    /// Waits for so many requests.
    #[track_caller]
    pub fn wait_for_attempts(&self, count: usize) {
        self.wait("requests", |requests| requests.len() >= count);
    }

    /// All samples that were stored, in the order they came in.
    pub fn in_order(&self) -> Vec<String> {
        stored(&self.shared.requests.lock())
    }

    /// All samples that were stored, sorted.
    pub fn samples(&self) -> Vec<String> {
        let mut samples = self.in_order();
        samples.sort();
        samples
    }

    /// The number each request says it is of its kind.
    pub fn attempts(&self) -> Vec<u32> {
        self.shared.requests.lock().iter().map(|(received, _)| received.attempt).collect()
    }

    /// The heads of all requests, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.shared.requests.lock().iter().map(|(received, _)| received.head.clone()).collect()
    }
}

fn stored(requests: &[(Received, bool)]) -> Vec<String> {
    requests.iter().filter(|(_, stored)| *stored).flat_map(|(received, _)| received.samples.clone()).collect()
}

fn serve(stream: TcpStream, shared: &Shared, answer: &dyn Fn(&Received) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(received) = Received::read(&mut reader) {
        let Answer { status, headers } = answer(&received);
        let is_stored = status.starts_with('2');
        shared.requests.lock().push((received, is_stored));
        shared.changed.notify_all();
        let length = if status.starts_with("204") { "" } else { "content-length: 0\r\n" };
        if writer.write_all(format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n").as_bytes()).is_err() {
            return;
        }
    }
}

/// A log, and what sends it.
pub struct Setup {
    pub dir: tempfile::TempDir,
    pub clock: Arc<SimClock>,
    pub registry: Registry,
    pub agent: Agent,
    runtime: tokio::runtime::Runtime,
}

struct Families;

impl FamilySource for Families {
    fn families(&self) -> Vec<FamilyMetadata> {
        let family = |name: &str, metric_type| FamilyMetadata {
            family: name.to_owned(),
            metric_type,
            help: "Text.".to_owned(),
            unit: String::new(),
        };
        let counter = family("requests_total", MetricType::Counter);
        vec![counter.clone(), counter, family("temperature", MetricType::Gauge)]
    }
}

impl Setup {
    pub fn new() -> Self {
        Self::with_segments(AgentOptions::default().wal_segment_bytes)
    }

    /// A log with segments of this size.
    pub fn with_segments(wal_segment_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimClock::at(START_MS);
        let options =
            AgentOptions { wal_segment_bytes, out_of_order_window_ms: 3_600_000, ..AgentOptions::default() };
        let agent = Agent::open(dir.path(), options, clock.clone(), &Registry::new()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { dir, clock, registry: Registry::new(), agent, runtime }
    }

    /// Destinations, none so far.
    pub fn write(&self) -> RemoteWrite {
        self.write_within(DEADLINE)
    }

    /// The same, which gives up requests that are under way at its end, as a kill does.
    pub fn write_that_ends_at_once(&self) -> RemoteWrite {
        self.write_within(Duration::ZERO)
    }

    fn write_within(&self, flush_deadline: Duration) -> RemoteWrite {
        let data_dir = self.dir.path().to_owned();
        let options = Options { data_dir, flush_deadline, type_and_unit_labels: false };
        let environment = Environment {
            clock: self.clock.clone(),
            random: Arc::new(|| 0.5),
            runtime: self.runtime.handle().clone(),
            families: Arc::new(Families),
        };
        RemoteWrite::new(options, environment, &self.registry)
    }

    pub fn log(&self) -> &LogTail {
        self.agent.log()
    }

    #[track_caller]
    pub fn apply(&self, write: &RemoteWrite, configs: &[RemoteWriteConfig]) {
        write.apply(configs, &Labels::default(), self.log()).unwrap();
    }

    /// Appends a sample of each of these metrics, `t_ms` behind the start.
    pub fn append(&self, names: &[&str], t_ms: i64) {
        let mut appender = self.agent.appender(&TenantId::default());
        for name in names {
            let series = appender.resolve(&Labels::from_pairs([("__name__", *name)])).unwrap();
            appender.append(series, 0, START_MS + t_ms, SampleValue::Float(t_ms as f64)).unwrap();
        }
        appender.commit().unwrap();
    }

    /// The names of all cursor files.
    pub fn cursors(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.dir.path().join(CURSOR_DIR)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".json")).collect()
    }

    /// The first segment the log has.
    pub fn first_segment(&self) -> u32 {
        list_segments(&self.dir.path().join("wal")).unwrap()[0]
    }

    /// The sum of the values of a metric of destinations.
    pub fn metric(&self, name: &str) -> f64 {
        metric(&self.registry.gather(), &format!("prometheus_remote_storage_{name}"), None)
    }

    /// The same, of those values with this reason.
    pub fn metric_with(&self, name: &str, reason: &str) -> f64 {
        metric(&self.registry.gather(), &format!("prometheus_remote_storage_{name}"), Some(reason))
    }

    /// Waits for what nobody tells of.
    #[track_caller]
    pub fn wait_for(&self, done: impl Fn() -> bool) {
        let (never, pause) = (Condvar::new(), Mutex::new(()));
        for _ in 0..60_000 {
            if done() {
                return;
            }
            never.wait_for(&mut pause.lock(), Duration::from_millis(1));
        }
        panic!("waited in vain");
    }
}

/// The sum of the values of a metric, of those with this reason if one is given.
pub fn metric(families: &[Family], name: &str, reason: Option<&str>) -> f64 {
    let points = families.iter().filter(|family| family.name == name).flat_map(|family| &family.points);
    let wanted = points.filter(|point| {
        let has = |wanted: &str| point.labels.iter().any(|(name, value)| name == "reason" && value == wanted);
        reason.is_none_or(has)
    });
    wanted.map(|point| if let Value::Number(value) = point.value { value } else { 0.0 }).sum()
}
