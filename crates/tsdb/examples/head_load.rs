//! Appends synthetic scrapes straight into a head and prints what it costs: CPU per sample, memory per
//! series, and the time a restart takes.
//!
//! `head_load [SERIES] [SCRAPES] [DIRECTORY]`; 1 000 series a target, ten labels a series, about 220 bytes.
//! The restart happens in a process of its own: `head_load restart SERIES DIRECTORY`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::metrics::Registry;
use base::{Clock, SystemClock};
use model::{
    Appender, Labels, Matcher, Projection, QueryContext, SampleColumns, SampleValue, SelectRequest,
    SeriesRef, SeriesSet, TimeRange,
};
use tsdb::head::{Head, HeadOptions};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SERIES_PER_TARGET: usize = 1_000;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_700_000_000_000;

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "restart").is_some() {
        let series = args.next().and_then(|s| s.parse().ok()).expect("SERIES is a number");
        return restart(series, &PathBuf::from(args.next().expect("DIRECTORY is given")));
    }
    let series: usize = args.next().map_or(1_000_000, |s| s.parse().expect("SERIES is a number"));
    let scrapes: i64 = args.next().map_or(40, |s| s.parse().expect("SCRAPES is a number"));
    let dir = args.next().map_or_else(|| std::env::temp_dir().join("head_load"), PathBuf::from);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let clock = SystemClock::shared();
    let open = || Head::open(&dir, HeadOptions::default(), i64::MIN, clock.clone(), &Registry::new());
    let head = open().expect("an empty head opens");
    let targets = series / SERIES_PER_TARGET;

    let before = (cpu_seconds(), clock.monotonic());
    let refs = create(&head, targets);
    report("create", before, &clock, series);
    let mut values = Values::new(series);
    let mut before = (cpu_seconds(), clock.monotonic());
    let mut measured = 0;
    for scrape in 0..scrapes {
        if scrape == 2 {
            before = (cpu_seconds(), clock.monotonic());
            measured = 0;
        }
        for (target, refs) in refs.iter().enumerate() {
            let t_ms = START_MS + scrape * INTERVAL_MS + (target as i64 * 7) % INTERVAL_MS;
            let mut appender = Box::new(head.head_appender());
            for (i, &r) in refs.iter().enumerate() {
                let value = values.next(target * SERIES_PER_TARGET + i, scrape);
                appender.append(r, 0, t_ms, SampleValue::Float(value)).expect("the sample is in order");
            }
            appender.commit().expect("the commit is logged");
            measured += refs.len();
        }
    }
    report("append", before, &clock, measured);
    println!("memory: {:.0} bytes per series", rss_bytes() as f64 / series as f64);
    query(&head, &clock);
    println!("on disk: {} MB", head.size_bytes() >> 20);
    drop(head);
    let program = std::env::current_exe().expect("this program has a path");
    let mut restart = std::process::Command::new(program);
    restart.arg("restart").arg(series.to_string()).arg(&dir);
    assert!(restart.status().expect("this program runs again").success());
}

fn restart(series: usize, dir: &Path) {
    let clock = SystemClock::shared();
    let before = (cpu_seconds(), clock.monotonic());
    let head = Head::open(dir, HeadOptions::default(), i64::MIN, clock.clone(), &Registry::new());
    let head = head.expect("the head opens again");
    report("restart", before, &clock, series);
    println!("{:?}", head.replay_report());
    println!("memory after restart: {:.0} bytes per series", rss_bytes() as f64 / series as f64);
    println!("peak memory: {:.0} bytes per series", peak_bytes() as f64 / series as f64);
}

fn create(head: &Head, targets: usize) -> Vec<Vec<SeriesRef>> {
    let create_target = |target: usize| {
        let mut appender = Box::new(head.head_appender());
        let refs =
            (0..SERIES_PER_TARGET).map(|i| appender.resolve(&labels(target, i)).expect("valid labels"));
        let refs = refs.collect();
        appender.commit().expect("the commit is logged");
        refs
    };
    (0..targets).map(create_target).collect()
}

fn labels(target: usize, i: usize) -> Labels {
    let (metric, sub) = (i / 10, i % 10);
    Labels::from_pairs([
        ("__name__", format!("http_server_component_{metric:03}_requests_total")),
        ("cluster", "production-europe-west-1".to_owned()),
        ("container", format!("service-{}", target % 50)),
        ("handler", format!("/api/v1/resource/{sub}")),
        ("instance", format!("10.{}.{}.{}:9090", target / 65_536, target / 256 % 256, target % 256)),
        ("job", format!("team-{}/service-{}", target % 10, target % 50)),
        ("method", ["GET", "POST", "PUT", "DELETE"][i % 4].to_owned()),
        ("namespace", format!("namespace-{}", target % 20)),
        ("pod", format!("service-{}-7d9f8b6c5d-{target:05x}", target % 50)),
        ("status", ["200", "201", "404", "500"][i / 4 % 4].to_owned()),
    ])
}

/// A third constant, a third counters, a third gauges.
struct Values {
    current: Vec<f64>,
    random: u64,
}

impl Values {
    fn new(series: usize) -> Self {
        Self { current: (0..series).map(|i| (i % 1_000) as f64).collect(), random: 0x9e37_79b9_7f4a_7c15 }
    }

    fn next(&mut self, i: usize, scrape: i64) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let value = &mut self.current[i];
        match i % 3 {
            0 => {}
            1 => *value += (self.random % 100) as f64,
            _ => *value = ((self.random % 10_000) as f64 + scrape as f64) / 100.0,
        }
        *value
    }
}

fn query(head: &Head, clock: &Arc<dyn Clock>) {
    let ctx = QueryContext::unbounded();
    let request = SelectRequest {
        range: TimeRange::ALL,
        matchers: vec![Matcher::equal("method", "GET")],
        projection: Projection::All,
        sorted: false,
        limit: 0,
    };
    let start = clock.monotonic();
    let set = head.select_head(&request, &ctx).expect("the head can be read");
    let selected = clock.monotonic();
    let (mut out, mut samples) = (SampleColumns::default(), 0);
    for i in 0..set.len() {
        out.clear();
        set.read(i, TimeRange::ALL, &mut out, &ctx).expect("the head can be read");
        samples += out.len();
    }
    let read = clock.monotonic();
    let mut sizes = 0;
    for i in 0..set.len() {
        sizes += set.labels(i).as_bytes().len();
    }
    let labelled = clock.monotonic();
    println!(
        "query: {} series selected in {:.0} ns each, {samples} samples read in {:.1} ns each, labels in {:.0} ns each ({} bytes)",
        set.len(),
        (selected - start).as_nanos() as f64 / set.len() as f64,
        (read - selected).as_nanos() as f64 / samples as f64,
        (labelled - read).as_nanos() as f64 / set.len() as f64,
        sizes / set.len().max(1),
    );
}

fn report(what: &str, (cpu, wall): (f64, std::time::Duration), clock: &Arc<dyn Clock>, items: usize) {
    let (cpu, wall) = (cpu_seconds() - cpu, (clock.monotonic() - wall).as_secs_f64());
    println!(
        "{what}: {:.0} ns CPU and {:.0} ns wall each ({cpu:.2} s CPU, {wall:.2} s wall)",
        cpu * 1e9 / items as f64,
        wall * 1e9 / items as f64
    );
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn status_kb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

fn rss_bytes() -> u64 {
    status_kb("VmRSS:") * 1024
}

fn peak_bytes() -> u64 {
    status_kb("VmHWM:") * 1024
}
