//! Metrics of this process and its build.

use base::clock::SharedClock;
use base::metrics::{Family, Kind, Registry};

use super::system::PROMETHEUS_VERSION;

/// Publishes `process_*` and build information.
pub fn publish(registry: &Registry, clock: &SharedClock) {
    let start_s = clock.now_ms() as f64 / 1e3;
    registry.collect_with(move |families| {
        let labels = [
            ("branch", ""),
            ("goarch", std::env::consts::ARCH),
            ("goos", std::env::consts::OS),
            ("goversion", ""),
            ("revision", option_env!("BARTIZAN_REVISION").unwrap_or_default()),
            ("tags", "bartizan"),
            ("version", PROMETHEUS_VERSION),
        ];
        let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
                    prometheus was built, and the goos and goarch for the build.";
        families.push(Family::new("prometheus_build_info", help, Kind::Gauge).with(&labels, 1.0));
        let help = "A metric with a constant '1' value labeled by the version of Bartizan.";
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        families.push(Family::new("bartizan_build_info", help, Kind::Gauge).with(&version, 1.0));
        let help = "Start time of the process since unix epoch in seconds.";
        families.push(Family::new("process_start_time_seconds", help, Kind::Gauge).with(&[], start_s));
        usage(families);
    });
}

/// What the kernel says the process uses; what it does not say is left out.
fn usage(families: &mut Vec<Family>) {
    let mut add = |name: &str, help: &str, kind, value: Option<f64>| {
        if let Some(value) = value {
            families.push(Family::new(name, help, kind).with(&[], value));
        }
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command name, in parentheses, may hold spaces: count fields after it.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |i: usize| fields.get(i).and_then(|text| text.parse::<f64>().ok());
    let ticks_per_s = rustix::param::clock_ticks_per_second() as f64;
    let cpu = field(11).zip(field(12)).map(|(user, system)| (user + system) / ticks_per_s);
    let page = rustix::param::page_size() as f64;
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    add("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", Kind::Counter, cpu);
    add("process_virtual_memory_bytes", "Virtual memory size in bytes.", Kind::Gauge, field(20));
    let resident = field(21).map(|pages| pages * page);
    add("process_resident_memory_bytes", "Resident memory size in bytes.", Kind::Gauge, resident);
    add("process_open_fds", "Number of open file descriptors.", Kind::Gauge, open);
    let limit = limit.map(|limit| limit as f64);
    add("process_max_fds", "Maximum number of open file descriptors.", Kind::Gauge, limit);
    add("process_threads", "Number of OS threads in the process.", Kind::Gauge, field(17));
}
