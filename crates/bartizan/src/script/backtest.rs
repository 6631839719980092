//! `test rules --against`: when alerts would have fired over stored samples.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use base::metrics::Registry;
use base::{Clock, SystemClock};
use clap::ValueEnum;
use config::{NameValidation, PromDuration};
use federation::FanOut;
use model::duration::format_duration_ms;
use model::{Labels, SeriesSource};
use promql::engine::EngineOptions;
use remote::read::{ReadEnv, ReadMetrics};
use rules::backtest::{Backtest, BacktestReport, Episode, run as evaluate};
use rules::expression::PromQlLanguage;
use rules::file::{FileOptions, RuleFile};
use rules::group::GroupDefaults;
use rules::unit_test::TestStorage;
use testkit::memory::MemoryStorage;
use tsdb::compact::retention::Retention;
use tsdb::db::{Db, Options};

use super::fresh_database;

/// Over what history rules are evaluated.
#[derive(clap::Args, Debug, Clone)]
pub struct HistoryArgs {
    /// Evaluate rule files on the samples of a server (its URL) or of a data directory, and say when each alert
    /// would have fired.
    #[arg(long, value_name = "URL|DIR")]
    pub against: Option<String>,
    /// With --against: the first moment, as seconds since the Unix epoch, RFC 3339, or a duration before the end.
    #[arg(long, default_value = "1d", requires = "against", value_name = "TIME")]
    from: String,
    /// With --against: the last moment, as seconds since the Unix epoch or RFC 3339; now by default.
    #[arg(long, requires = "against", value_name = "TIME")]
    to: Option<String>,
    /// With --against: how often groups are evaluated that do not say it.
    #[arg(long, default_value = "1m", requires = "against", value_name = "DURATION")]
    interval: String,
    /// With --against: how to print the outcome.
    #[arg(long, short, default_value = "table", requires = "against")]
    output: Form,
    /// With --against and a URL: file with HTTP client options, as in a scrape configuration.
    #[arg(long, requires = "against", value_name = "FILE")]
    http_config: Option<PathBuf>,
}

/// Form of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each time an alert was active.
    Table,
    /// JSON.
    Json,
}

/// Evaluates the rules. The exit code is 1 when a rule failed.
pub fn run(
    files: &[PathBuf],
    against: &str,
    args: &HistoryArgs,
    engine: EngineOptions,
    ignore_unknown_fields: bool,
) -> anyhow::Result<ExitCode> {
    let (from_ms, to_ms) = times(args)?;
    let interval =
        PromDuration::parse(&args.interval).map_err(|error| anyhow::anyhow!("--interval: {error}"))?;
    let files = load(files, &engine, ignore_unknown_fields)?;
    let history = History::open(against, args.http_config.as_deref())?;
    let scratch = fresh_database().map_err(anyhow::Error::msg)?;
    let backtest = Backtest {
        files: &files,
        history: history.source.clone(),
        scratch: TestStorage { appendable: scratch.appendable, source: scratch.source, keep: scratch.keep },
        engine,
        defaults: GroupDefaults {
            interval_ms: interval.as_ms().max(1),
            query_offset_ms: 0,
            external_labels: Labels::empty(),
            external_url: String::new(),
        },
        from_ms,
        to_ms,
    };
    let shows = io::stderr().is_terminal();
    let mut percent = -1;
    let report = evaluate(backtest, |t_ms| {
        let now = (t_ms - from_ms) * 100 / (to_ms - from_ms).max(1);
        if shows && now > percent {
            percent = now;
            eprint!("\r{percent} %");
        }
        true
    });
    if shows {
        eprint!("\r     \r");
    }
    let report = report.map_err(anyhow::Error::msg)?;
    match args.output {
        Form::Table => show(&report, to_ms)?,
        Form::Json => println!("{}", json(&report)),
    }
    for failure in &report.failures {
        eprintln!(
            "  FAILED: group {}, rule {}: {} of its evaluations: {}",
            failure.group, failure.rule, failure.count, failure.error
        );
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn times(args: &HistoryArgs) -> anyhow::Result<(i64, i64)> {
    let moment = |name: &str, text: &str| {
        api::params::parse_time(text).map_err(|error| anyhow::anyhow!("--{name}: {error}"))
    };
    let to_ms = args.to.as_deref().map_or_else(|| Ok(SystemClock::new().now_ms()), |to| moment("to", to))?;
    let before = model::duration::parse_duration_ms(&args.from);
    let from_ms = before.map_or_else(|_| moment("from", &args.from), |before_ms| Ok(to_ms - before_ms))?;
    anyhow::ensure!(from_ms <= to_ms, "--from lies behind --to");
    Ok((from_ms, to_ms))
}

fn load(
    files: &[PathBuf],
    engine: &EngineOptions,
    ignore_unknown_fields: bool,
) -> anyhow::Result<Vec<(String, RuleFile)>> {
    let language = PromQlLanguage { options: engine.parse };
    let options = FileOptions { language: &language, names: NameValidation::Utf8, ignore_unknown_fields };
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        match RuleFile::load(path, &options) {
            Ok(file) => Ok((name, file)),
            Err(faults) => {
                let lines: Vec<_> = faults.iter().map(|fault| format!("{name}: {fault}")).collect();
                bail!("{}", lines.join("\n"))
            }
        }
    };
    files.iter().map(read).collect()
}

/// Stored samples, and what must live as long as they are read.
struct History {
    source: Arc<dyn SeriesSource>,
    _directory: Option<tempfile::TempDir>,
    _runtime: Option<tokio::runtime::Runtime>,
}

impl History {
    fn open(against: &str, http_config: Option<&Path>) -> anyhow::Result<Self> {
        match url::Url::parse(against) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::of_server(&url, http_config),
            _ => Self::of_directory(Path::new(against)),
        }
    }

    /// Reads from a server by remote read, which every seat of Prometheus answers.
    fn of_server(url: &url::Url, http_config: Option<&Path>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let base = url.as_str().trim_end_matches('/');
        let mut config = config::RemoteReadConfig {
            url: config::Url::parse(&format!("{base}/api/v1/read")).map_err(anyhow::Error::msg)?,
            read_recent: true,
            ..config::RemoteReadConfig::default()
        };
        if let Some(path) = http_config {
            config.http = config::HttpClientConfig::load(path)?;
        }
        let env = ReadEnv {
            clock: SystemClock::shared(),
            runtime: runtime.handle().clone(),
            metrics: ReadMetrics::new(&Registry::new()),
            local_start: Arc::new(|| None),
        };
        let sources = remote::read::sources(&[config], &Labels::empty(), &env).map_err(anyhow::Error::msg)?;
        let all = FanOut::new(Arc::new(MemoryStorage::new()));
        all.set_secondaries(sources);
        Ok(Self { source: Arc::new(all), _directory: None, _runtime: Some(runtime) })
    }

    /// Opens a copy of a data directory: opening repairs, and a server may be writing to it.
    fn of_directory(dir: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(dir.is_dir(), "--against={}: neither a URL nor a directory", dir.display());
        let copy = tempfile::Builder::new().prefix("bartizan-backtest-").tempdir()?;
        copy_tree(dir, copy.path()).with_context(|| format!("copying {}", dir.display()))?;
        let options =
            Options { retention: Retention { duration_ms: 0, ..Retention::default() }, ..Options::default() };
        let db = Db::open(copy.path(), options, SystemClock::shared(), &Registry::new())
            .with_context(|| format!("opening {}", dir.display()))?;
        Ok(Self { source: Arc::new(db), _directory: Some(copy), _runtime: None })
    }
}

/// What a running server has to itself.
const NOT_COPIED: [&str; 3] = ["lock", "queries.active", "snapshots"];

/// Copies a directory. Blocks never change, so that their files are linked where that is possible.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if NOT_COPIED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &target)?;
        } else if !is_of_block(from) || std::fs::hard_link(&source, &target).is_err() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Whether a directory is a block, or the chunks of one.
fn is_of_block(dir: &Path) -> bool {
    let is_ulid = |dir: &Path| {
        dir.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| ulid::Ulid::from_string(name).is_ok())
    };
    is_ulid(dir) || dir.parent().is_some_and(is_ulid)
}

fn show(report: &BacktestReport, to_ms: i64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut rows =
        vec![["ALERT", "ACTIVE", "FIRED", "ENDED", "FIRED FOR", "LABELS"].map(str::to_owned).to_vec()];
    rows.extend(report.episodes.iter().map(|episode| {
        let fired_for = episode.fired_at_ms.map(|fired_ms| episode.ended_at_ms.unwrap_or(to_ms) - fired_ms);
        vec![
            episode.labels.get_or_empty("alertname").to_owned(),
            shown(Some(episode.active_at_ms)),
            shown(episode.fired_at_ms),
            shown(episode.ended_at_ms),
            fired_for.map_or_else(|| "-".to_owned(), |ms| format_duration_ms(ms / 1000 * 1000)),
            episode.labels.drop(&["alertname"]).to_string(),
        ]
    }));
    crate::report::columns(&mut out, &rows, 0, 2)?;
    let fired = report.episodes.iter().filter(|episode| episode.fired_at_ms.is_some()).count();
    let (active, evaluations) = (report.episodes.len(), report.evaluations);
    writeln!(
        out,
        "\n{fired} alerts would have fired, {} only pended; {evaluations} evaluations",
        active - fired
    )?;
    out.flush()
}

fn shown(ms: Option<i64>) -> String {
    let at = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| ms.to_string(), |at| at.strftime("%FT%TZ").to_string())
    };
    ms.map_or_else(|| "-".to_owned(), at)
}

fn json(report: &BacktestReport) -> serde_json::Value {
    let episode = |episode: &Episode| {
        let labels: serde_json::Map<String, serde_json::Value> =
            episode.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let annotations: serde_json::Map<String, serde_json::Value> =
            episode.annotations.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        serde_json::json!({
            "file": episode.file,
            "group": episode.group,
            "labels": labels,
            "annotations": annotations,
            "activeAt": shown(Some(episode.active_at_ms)),
            "firedAt": episode.fired_at_ms.map(|ms| shown(Some(ms))),
            "endedAt": episode.ended_at_ms.map(|ms| shown(Some(ms))),
            "value": model::number::general(episode.value).to_string(),
        })
    };
    let failure = |failure: &rules::backtest::RuleFailure| {
        serde_json::json!({
            "group": failure.group, "rule": failure.rule, "count": failure.count, "error": failure.error,
        })
    };
    serde_json::json!({
        "evaluations": report.evaluations,
        "alerts": report.episodes.iter().map(episode).collect::<Vec<_>>(),
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}
