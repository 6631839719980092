//! Starting a program under test and observing it from outside.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::http;
use crate::scenario::BenchError;

/// A program that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The program we replace.
    Prometheus,
    /// A peer known for its economy.
    VictoriaMetrics,
    /// The program we replace for alerts.
    Alertmanager,
    /// This project.
    Bartizan,
}

impl Kind {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
            Self::Alertmanager => "alertmanager",
            Self::Bartizan => "bartizan",
        }
    }

    /// Whether its configuration file is Prometheus's, with rules in it.
    pub fn reads_prometheus_config(self) -> bool {
        matches!(self, Self::Prometheus | Self::Bartizan)
    }

    /// Whether it keeps samples.
    pub fn stores_samples(self) -> bool {
        self != Self::Alertmanager
    }

    /// Whether it is, or can be, an Alertmanager.
    pub fn takes_alerts(self) -> bool {
        matches!(self, Self::Alertmanager | Self::Bartizan)
    }

    /// What to add to a query so that an answer is computed, not remembered.
    pub fn uncached(self) -> &'static str {
        if self == Self::VictoriaMetrics { "&nocache=1" } else { "" }
    }

    fn command(self, bartizan: &Path, config: &Path, data: &Path, port: u16) -> Command {
        let listen = format!("127.0.0.1:{port}");
        let mut command = match self {
            Self::Prometheus => Command::new("prometheus"),
            Self::VictoriaMetrics => Command::new("victoria-metrics"),
            Self::Alertmanager => Command::new("prometheus-alertmanager"),
            Self::Bartizan => Command::new(bartizan),
        };
        match self {
            Self::VictoriaMetrics => command
                .arg(format!("-promscrape.config={}", config.display()))
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr={listen}"))
                .args(["-retentionPeriod=1", "-search.latencyOffset=0s"])
                .args(["-search.maxUniqueTimeseries=10000000", "-search.maxSeries=10000000"]),
            Self::Alertmanager => seat_of_alertmanager(&mut command, config, data, &listen),
            Self::Prometheus | Self::Bartizan => {
                if self == Self::Bartizan {
                    command.arg("prometheus");
                }
                command
                    .arg(format!("--config.file={}", config.display()))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg(format!("--web.listen-address={listen}"))
                    .args(["--query.max-samples=200000000", "--storage.tsdb.retention.time=30d"])
            }
        };
        command
    }
}

/// A program that runs; killed when dropped.
pub struct Running {
    kind: Kind,
    child: Child,
    /// The loopback port it listens on.
    pub port: u16,
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Memory {
    /// All resident pages.
    pub rss_bytes: u64,
    /// Resident pages that no file stands behind.
    pub anonymous_bytes: u64,
    /// The highest `rss_bytes` since the start or the last reset.
    pub peak_rss_bytes: u64,
}

impl Running {
    /// Starts `kind` on `data` with the scrape configuration `config`, its log beside `data`.
    pub fn start(kind: Kind, bartizan: &Path, config: &Path, data: &Path) -> Result<Self, BenchError> {
        Self::start_with(kind, bartizan, config, data, &[])
    }

    /// The same, ready to receive remote writes.
    pub fn start_receiving(
        kind: Kind,
        bartizan: &Path,
        config: &Path,
        data: &Path,
    ) -> Result<Self, BenchError> {
        let flags: &[&str] = match kind {
            Kind::VictoriaMetrics | Kind::Alertmanager => &[],
            Kind::Prometheus | Kind::Bartizan => &["--web.enable-remote-write-receiver"],
        };
        Self::start_with(kind, bartizan, config, data, flags)
    }

    /// The same, with more flags.
    pub fn start_with(
        kind: Kind,
        bartizan: &Path,
        config: &Path,
        data: &Path,
        flags: &[&str],
    ) -> Result<Self, BenchError> {
        let port = free_port()?;
        let mut command = kind.command(bartizan, config, data, port);
        command.args(flags);
        Self::spawn(kind, command, data, port)
    }

    /// Starts `kind`, or Bartizan in its place, as an Alertmanager with the configuration `config`.
    pub fn start_alertmanager(
        kind: Kind,
        bartizan: &Path,
        config: &Path,
        data: &Path,
    ) -> Result<Self, BenchError> {
        let port = free_port()?;
        let mut command = match kind {
            Kind::Bartizan => {
                let mut command = Command::new(bartizan);
                seat_of_alertmanager(command.arg("alertmanager"), config, data, &format!("127.0.0.1:{port}"));
                command
            }
            other => other.command(bartizan, config, data, port),
        };
        // Alone, and on no other port.
        command.arg("--cluster.listen-address=");
        Self::spawn(kind, command, data, port)
    }

    fn spawn(kind: Kind, mut command: Command, data: &Path, port: u16) -> Result<Self, BenchError> {
        let log_path = PathBuf::from(format!("{}.log", data.display()));
        let log = File::options().create(true).append(true).open(log_path)?;
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.map_err(|error| BenchError::Start(kind.name(), error))?;
        Ok(Self { kind, child, port })
    }

    /// Starts Bartizan with its storage of logs below `data`, and nothing else to do.
    pub fn start_with_logs(bartizan: &Path, data: &Path) -> Result<Self, BenchError> {
        let port = free_port()?;
        let log_path = PathBuf::from(format!("{}.log", data.display()));
        let log = File::options().create(true).append(true).open(log_path)?;
        let mut command = Command::new(bartizan);
        command
            .args(["up", "--no-host-logs", "--scrape-interval-s=3600", "--logs-quiet-time=45s", "--data-dir"])
            .arg(data)
            .arg(format!("--listen-address=127.0.0.1:{port}"));
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.map_err(|error| BenchError::Start("bartizan", error))?;
        Ok(Self { kind: Kind::Bartizan, child, port })
    }

    /// Begins the peak of memory anew, where the kernel lets us.
    pub fn forget_peak_memory(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// Waits until the program says it is ready; the time that took since the call.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<Duration, BenchError> {
        let path = if self.kind == Kind::VictoriaMetrics { "/health" } else { "/-/ready" };
        self.wait_for(limit, |port| http::get(port, path).is_ok())
    }

    /// Waits until `condition` holds; the time that took since the call.
    pub fn wait_for(
        &mut self,
        limit: Duration,
        condition: impl Fn(u16) -> bool,
    ) -> Result<Duration, BenchError> {
        let start = Instant::now();
        while !condition(self.port) {
            if let Some(status) = self.child.try_wait()? {
                return Err(BenchError::Answer(format!("{} ended early: {status}", self.kind.name())));
            }
            if start.elapsed() > limit {
                return Err(BenchError::Answer(format!("{} is not ready after {limit:?}", self.kind.name())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(start.elapsed())
    }

    /// CPU seconds used so far, user and system.
    pub fn cpu_seconds(&self) -> Result<f64, BenchError> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The command name, in parentheses, may hold spaces: count fields after it.
        let after = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: u64 = after.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / 100.0)
    }

    /// Memory now.
    pub fn memory(&self) -> Result<Memory, BenchError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
        };
        Ok(Memory {
            rss_bytes: field("VmRSS:").unwrap_or(0),
            anonymous_bytes: field("RssAnon:").unwrap_or(0),
            peak_rss_bytes: field("VmHWM:").unwrap_or(0),
        })
    }

    /// Kills the program as a crash would, without warning.
    pub fn kill(mut self) -> Result<(), BenchError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes a directory takes on disk.
pub fn disk_bytes(dir: &Path) -> Result<u64, BenchError> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // Files may vanish while a program compacts: what is gone takes no space.
        let Ok(metadata) = entry.metadata() else { continue };
        total += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(total)
}

fn seat_of_alertmanager<'c>(
    command: &'c mut Command,
    config: &Path,
    data: &Path,
    listen: &str,
) -> &'c mut Command {
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", data.display()))
        .arg(format!("--web.listen-address={listen}"))
}

fn free_port() -> Result<u16, BenchError> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}
