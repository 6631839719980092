//! What queries really allocate against what they reserve: queries of many series of a real head, one at a time
//! or many at once, under an allocator that counts.
//!
//! `cargo run -p testkit --example query_memory [threads] [filter]`

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::metrics::Registry;
use base::{ByteBudget, Clock, SystemClock};
use model::{Appendable, Labels, QueryContext, SampleValue, SeriesSource, TenantId};
use promql::engine::{Engine, EngineOptions, QueryOptions};

struct Counting;
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static SHOWN: AtomicUsize = AtomicUsize::new(usize::MAX);

fn add(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
    if bytes >= SHOWN.load(Ordering::Relaxed) {
        let before = SHOWN.swap(usize::MAX, Ordering::Relaxed);
        eprintln!("  {bytes} bytes, {live} live\n{}", std::backtrace::Backtrace::force_capture());
        SHOWN.store(before, Ordering::Relaxed);
    }
}

// SAFETY: everything is passed on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { std::alloc::System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { std::alloc::System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may exist while it is moved.
        add(size);
        let moved = unsafe { std::alloc::System.realloc(at, layout, size) };
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        moved
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const QUERIES: [&str; 26] = [
    "m",
    "sort(m)",
    "m + on (i) n",
    "m * on (x) group_left (owner) info",
    "m > bool on (i) group_right n",
    "m and on (i) n",
    "m or n",
    "m unless on (i) n",
    "count_values(\"v\", m)",
    "label_replace(m, \"y\", \"$1\", \"path\", \"(.*)\")",
    "topk(5000, m)",
    "topk by (i) (1, m)",
    "quantile by (i) (0.5, m)",
    "sum by (i) (m)",
    "sum without (i) (m)",
    "avg by (i) (m)",
    "stddev by (i) (m)",
    "group by (i) (m)",
    "-{__name__=~\"m|n\"}",
    "histogram_quantile(0.9, label_replace(m, \"le\", \"$1\", \"i\", \"(.*)\"))",
    "max_over_time((m + on (i) n)[30s:5s])",
    "rate(m[1m])",
    "limitk(10000, m)",
    "absent(m + on(i) n)",
    "sum(m)",
    "m[1m]",
];

fn rss() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |key: &str| -> usize {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    line("VmHWM:") * 1024
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let threads: usize = args.next().map_or(Ok(1), |arg| arg.parse())?;
    let filter = args.next().unwrap_or_default();
    let shown: usize = args.next().map_or(Ok(usize::MAX), |arg| arg.parse())?;
    let dir = tempfile::tempdir()?;
    let db = tsdb::Db::open(dir.path(), tsdb::Options::default(), SystemClock::shared(), &Registry::new())?;
    let t_ms = SystemClock::new().now_ms();
    for back in 0..5 {
        let mut appender = db.appender(&TenantId::default());
        let mut add = |pairs: &[(&str, &str)], value: f64| {
            let series = appender.resolve(&Labels::from_pairs(pairs.iter().copied())).unwrap();
            appender.append(series, 0, t_ms - (4 - back) * 10_000, SampleValue::Float(value)).unwrap();
        };
        for i in 0..50_000 {
            let (number, x, path) =
                (i.to_string(), (i % 1000).to_string(), format!("/api/v1/thing/{}", i % 50));
            for name in ["m", "n"] {
                add(&[("__name__", name), ("i", &number), ("path", &path), ("x", &x)], (i % 997) as f64);
            }
        }
        for x in 0..1000 {
            add(&[("__name__", "info"), ("owner", &format!("team-{}", x % 7)), ("x", &x.to_string())], 1.0);
        }
        appender.commit()?;
    }
    let source: &dyn SeriesSource = &db;
    let engine = Engine::new(EngineOptions::default());
    for query in QUERIES.iter().filter(|query| query.contains(&filter)) {
        std::thread::sleep(Duration::from_millis(300));
        std::fs::write("/proc/self/clear_refs", "5")?;
        let rss_before = rss();
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let cap = if threads == 1 { usize::MAX } else { 64 << 20 };
        let budget = ByteBudget::new("query.max-memory", cap);
        SHOWN.store(shown, Ordering::Relaxed);
        let ok = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..(if threads == 1 { 1 } else { 5 }) {
                        let ctx = QueryContext::new(
                            SystemClock::shared(),
                            Duration::from_secs(100),
                            budget.clone(),
                        );
                        let result = engine.instant(source, query, t_ms, QueryOptions::default(), &ctx);
                        ok.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
        SHOWN.store(usize::MAX, Ordering::Relaxed);
        let mib = |bytes: usize| bytes as f64 / 1048576.0;
        let live = PEAK.load(Ordering::Relaxed) - before;
        println!(
            "{query:60} live {:6.1} reserved {:6.1} gap {:6.1} | rss +{:6.1} | ok {}",
            mib(live),
            mib(budget.peak_bytes()),
            mib(live) - mib(budget.peak_bytes()),
            mib(rss().saturating_sub(rss_before)),
            ok.into_inner(),
        );
    }
    Ok(())
}
