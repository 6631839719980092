//! This host's logs: files and the systemd journal, delivered in the process through the door that pushes come through.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base::clock::SharedClock;
use base::metrics::Registry;
use collect::logs::{
    FileOptions, Glob, HostLogs, HostLogsOptions, JournalOptions, LogMetrics, LogSink, Multiline, SinkProblem,
};
use ingest::LogReceiver;
use model::TenantId;
use model::logs::RefusalKind;
use wire::loki::PushRequest;

use crate::cli::HostLogArgs;

/// What the flags ask for; nothing if logs of the host are not wanted. Positions are kept in `dir`.
pub fn options(args: &HostLogArgs, dir: &Path) -> anyhow::Result<Option<HostLogsOptions>> {
    if args.no_host_logs {
        return Ok(None);
    }
    let globs = |flag: &str, patterns: &[String]| -> anyhow::Result<Vec<Glob>> {
        let read = |pattern: &String| Glob::new(pattern).with_context(|| format!("reading --{flag}"));
        patterns.iter().map(read).collect()
    };
    let (include, exclude) = args.files();
    let mut files = FileOptions {
        include: globs("logs-files", &include)?,
        exclude: globs("logs-exclude", exclude)?,
        from_end: args.begins_at_end(),
        labels: labels("varlogs", true),
        ..FileOptions::default()
    };
    let (wait, max_lines) = args.multiline_limits();
    let wait_ms = model::duration::parse_duration_ms(wait)
        .with_context(|| format!("--logs-multiline-max-wait={wait}"))?;
    files.multiline_timeout = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
    for (glob, pattern) in args.multiline() {
        let start = Multiline::new(pattern, max_lines);
        let start = start.with_context(|| format!("--logs-multiline={pattern}"))?;
        match glob {
            Some(glob) => {
                files.multiline.push((globs("logs-multiline", &[glob.to_owned()])?.remove(0), start))
            }
            None => drop(files.entries.multiline.get_or_insert(start)),
        }
    }
    let journal = args.journal().map(|directories| {
        // An entry of the journal names its host itself.
        let mut options =
            JournalOptions { labels: labels("systemd-journal", false), ..JournalOptions::default() };
        if !directories.is_empty() {
            options.directories = directories.to_vec();
        }
        options
    });
    Ok(Some(HostLogsOptions { positions: dir.join("positions.log"), files: Some(files), journal }))
}

fn labels(job: &str, with_host: bool) -> Vec<(String, String)> {
    let mut labels = vec![("job".to_owned(), job.to_owned())];
    if with_host {
        labels.push(("host".to_owned(), host()));
    }
    labels
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Begins to read and to deliver. Blocks.
pub fn start(
    options: HostLogsOptions,
    receiver: Arc<LogReceiver>,
    clock: SharedClock,
    registry: &Registry,
) -> anyhow::Result<HostLogs> {
    let positions = options.positions.clone();
    let metrics = LogMetrics::new(registry, &host());
    HostLogs::start(options, Arc::new(Door(receiver)), clock, metrics)
        .with_context(|| format!("collecting logs of this host ({})", positions.display()))
}

struct Door(Arc<LogReceiver>);

impl LogSink for Door {
    fn push(&self, request: PushRequest) -> Result<(), SinkProblem> {
        let Err(refusal) = self.0.push(&TenantId::default(), request) else { return Ok(()) };
        Err(match refusal.kind {
            RefusalKind::Invalid | RefusalKind::Empty => SinkProblem::Refused(refusal.text),
            RefusalKind::Limited if refusal.retry_after.is_none() => SinkProblem::Refused(refusal.text),
            // Batches are much smaller than pushes may be, so what is too large is so because others are in the way.
            RefusalKind::TooLarge
            | RefusalKind::Limited
            | RefusalKind::Busy
            | RefusalKind::Failed
            | RefusalKind::Blocked(_) => {
                SinkProblem::Later { text: refusal.text, after: refusal.retry_after }
            }
        })
    }
}
