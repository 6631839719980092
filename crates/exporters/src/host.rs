//! The host's collectors, run together.

use std::path::{Path, PathBuf};

use base::clock::SharedClock;
use base::metrics::{Family, Kind, Registry};
use model::regex::{Regex, RegexError};

mod cpu;
mod disk;
mod filesystem;
mod kernel;
mod memory;
mod network;
mod pressure;
mod read;

#[cfg(test)]
mod tests;

pub use read::CollectError;

/// Where the host is found and what of it is left out. Defaults are node_exporter's.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Mount point of procfs.
    pub procfs: PathBuf,
    /// Mount point of sysfs.
    pub sysfs: PathBuf,
    /// What is shown as `/`: inside a container, where the host's root is mounted.
    pub rootfs: PathBuf,
    /// udev's device database.
    pub udev_data: PathBuf,
    /// Block devices left out (regular expression).
    pub disk_exclude: String,
    /// Mount points left out (regular expression).
    pub mount_points_exclude: String,
    /// File system types left out (regular expression).
    pub fs_types_exclude: String,
    /// Network interfaces left out (regular expression); empty for none.
    pub net_devices_exclude: String,
    /// Fields of `/proc/vmstat` that are published (regular expression).
    pub vmstat_fields: String,
}

impl Default for HostOptions {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev_data: "/run/udev/data".into(),
            disk_exclude: text(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"),
            mount_points_exclude: text(
                "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            ),
            fs_types_exclude: text(
                "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|\
                 mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|\
                 tracefs)$",
            ),
            net_devices_exclude: String::new(),
            vmstat_fields: text("^(oom_kill|pgpg|pswp|pg.*fault).*"),
        }
    }
}

/// Collects the host's metrics. Collectors share nothing: one that fails is reported as such and the
/// others go on.
pub struct HostMetrics {
    host: Host,
    clock: SharedClock,
    stuck: filesystem::StuckMounts,
}

/// The options, ready for use.
struct Host {
    options: HostOptions,
    disk_exclude: Regex,
    mount_points_exclude: Regex,
    fs_types_exclude: Regex,
    net_devices_exclude: Option<Regex>,
    vmstat_fields: Regex,
}

type Collected = Result<Vec<Family>, CollectError>;

impl HostMetrics {
    /// A collector with these options; fails when one of the regular expressions does not compile.
    pub fn new(options: HostOptions, clock: SharedClock) -> Result<Self, RegexError> {
        let net_devices_exclude = match options.net_devices_exclude.as_str() {
            "" => None,
            pattern => Some(Regex::new(pattern)?),
        };
        let host = Host {
            disk_exclude: Regex::new(&options.disk_exclude)?,
            mount_points_exclude: Regex::new(&options.mount_points_exclude)?,
            fs_types_exclude: Regex::new(&options.fs_types_exclude)?,
            net_devices_exclude,
            vmstat_fields: Regex::new(&options.vmstat_fields)?,
            options,
        };
        Ok(Self { host, clock, stuck: filesystem::StuckMounts::default() })
    }

    /// Publishes the host's metrics in `registry`, collected anew each time it is gathered.
    pub fn publish(self, registry: &Registry) {
        registry.collect_with(move |families| families.extend(self.gather()));
    }

    /// Collects everything. `node_scrape_collector_success` and `_duration_seconds` tell for each
    /// collector whether it worked and how long it took.
    pub fn gather(&self) -> Vec<Family> {
        let host = &self.host;
        let collectors: [(&str, &dyn Fn() -> Collected); 15] = [
            ("cpu", &|| cpu::collect(host)),
            ("cpufreq", &|| cpu::frequencies(host)),
            ("diskstats", &|| disk::collect(host)),
            ("filefd", &|| kernel::file_descriptors(host)),
            ("filesystem", &|| filesystem::collect(host, &self.stuck)),
            ("loadavg", &|| kernel::load(host)),
            ("meminfo", &|| memory::collect(host)),
            ("netclass", &|| network::interfaces(host)),
            ("netdev", &|| network::traffic(host)),
            ("pressure", &|| pressure::collect(host)),
            ("sockstat", &|| network::sockets(host)),
            ("stat", &|| kernel::stat(host)),
            ("time", &|| kernel::time(host, &self.clock)),
            ("uname", &|| kernel::uname()),
            ("vmstat", &|| memory::vmstat(host)),
        ];
        let mut duration =
            gauge("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.");
        let mut success =
            gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.");
        let mut families = Vec::new();
        for (name, collect) in collectors {
            let started = self.clock.monotonic();
            let collected = collect();
            let took = self.clock.monotonic().saturating_sub(started);
            duration.push(&[("collector", name)], took.as_secs_f64());
            success.push(&[("collector", name)], if collected.is_ok() { 1.0 } else { 0.0 });
            families.extend(collected.unwrap_or_default());
        }
        families.extend([duration, success]);
        families
    }
}

impl Host {
    fn proc(&self, path: &str) -> PathBuf {
        self.options.procfs.join(path)
    }

    fn sys(&self, path: &str) -> PathBuf {
        self.options.sysfs.join(path)
    }

    fn root(&self, path: &str) -> PathBuf {
        join_below(&self.options.rootfs, path)
    }
}

/// `path` below `root`, even if it is absolute.
fn join_below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn gauge(name: impl Into<String>, help: impl Into<String>) -> Family {
    Family::new(name, help, Kind::Gauge)
}

fn counter(name: impl Into<String>, help: impl Into<String>) -> Family {
    Family::new(name, help, Kind::Counter)
}
