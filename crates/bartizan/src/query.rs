//! `bartizan query`: asks a running server and prints tables, JSON or a graph.

pub(crate) mod graph;
pub(crate) mod table;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

/// What to ask.
#[derive(Subcommand, Debug)]
pub enum QueryCommand {
    /// Evaluate an expression at one moment.
    Instant {
        /// The expression.
        expression: String,
        /// The moment, as seconds since the Unix epoch or RFC 3339; now by default.
        #[arg(long)]
        time: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Evaluate an expression over a range of time.
    Range {
        /// The expression.
        expression: String,
        /// The beginning, as seconds since the Unix epoch, RFC 3339, or a duration before the end (`1h`).
        #[arg(long, default_value = "1h")]
        start: String,
        /// The end, as seconds since the Unix epoch or RFC 3339; now by default.
        #[arg(long)]
        end: Option<String>,
        /// Time between points; a 250th of the range by default.
        #[arg(long)]
        step: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List series.
    Series {
        /// Selectors such as `up{job="a"}`; a series is listed if it matches any.
        #[arg(required = true)]
        selectors: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List label names, or the values of one label.
    Labels {
        /// The label whose values to list.
        name: Option<String>,
        /// Only of series that match.
        #[arg(long = "match")]
        selectors: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List metrics with their types and help.
    Metrics {
        /// Only this metric.
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// Settings of all questions.
#[derive(Args, Debug)]
pub struct Common {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:9090", env = "BARTIZAN_URL")]
    url: url::Url,
    /// How to print the answer.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// At most this many results; 0 for all.
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// File with HTTP client options (authentication, TLS, proxy), as in a scrape configuration.
    #[arg(long, value_name = "FILE")]
    http_config: Option<std::path::PathBuf>,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns.
    Table,
    /// The server's answer as it is.
    Json,
    /// Lines over time, in the terminal.
    Graph,
}

/// How long a question may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Asks and prints.
pub fn run(command: &QueryCommand) -> anyhow::Result<()> {
    let (common, path, parameters) = request(command)?;
    let answer = ask(common, &path, &parameters)?;
    for note in ["warnings", "infos"] {
        for text in answer[note].as_array().into_iter().flatten().filter_map(Value::as_str) {
            eprintln!("{text}");
        }
    }
    let data = &answer["data"];
    let text = match (common.output, command) {
        (Output::Json, _) => format!("{}\n", serde_json::to_string_pretty(data)?),
        (Output::Graph, QueryCommand::Range { .. }) => graph::render(data, screen()),
        (Output::Graph, _) => bail!("--output graph draws ranges: use it with `query range`"),
        (Output::Table, _) => table::render(data),
    };
    print!("{text}");
    Ok(())
}

type Parameters = Vec<(&'static str, String)>;

fn request(command: &QueryCommand) -> anyhow::Result<(&Common, String, Parameters)> {
    let mut parameters = Parameters::new();
    let (common, path) = match command {
        QueryCommand::Instant { expression, time, common } => {
            parameters.push(("query", expression.clone()));
            parameters.extend(time.iter().map(|time| ("time", time.clone())));
            (common, "query".to_owned())
        }
        QueryCommand::Range { expression, start, end, step, common } => {
            let end_s = end.as_deref().map_or_else(|| Ok(now_s()), seconds)?;
            let start_s = match model::duration::parse_duration_ms(start) {
                Ok(back_ms) => end_s - back_ms as f64 / 1e3,
                Err(_) => seconds(start)?,
            };
            let step =
                step.clone().unwrap_or_else(|| format!("{:.3}", ((end_s - start_s) / 250.0).max(0.001)));
            parameters.push(("query", expression.clone()));
            parameters.push(("start", format!("{start_s:.3}")));
            parameters.push(("end", format!("{end_s:.3}")));
            parameters.push(("step", step));
            (common, "query_range".to_owned())
        }
        QueryCommand::Series { selectors, common } => {
            parameters.extend(selectors.iter().map(|selector| ("match[]", selector.clone())));
            (common, "series".to_owned())
        }
        QueryCommand::Labels { name, selectors, common } => {
            parameters.extend(selectors.iter().map(|selector| ("match[]", selector.clone())));
            (common, name.as_ref().map_or("labels".to_owned(), |name| format!("label/{name}/values")))
        }
        QueryCommand::Metrics { name, common } => {
            parameters.extend(name.iter().map(|name| ("metric", name.clone())));
            (common, "metadata".to_owned())
        }
    };
    if common.limit > 0 {
        parameters.push(("limit", common.limit.to_string()));
    }
    Ok((common, path, parameters))
}

fn now_s() -> f64 {
    use base::Clock;
    base::SystemClock::new().now_ms() as f64 / 1e3
}

fn seconds(text: &str) -> anyhow::Result<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(seconds);
    }
    let time: jiff::Timestamp = text
        .parse()
        .with_context(|| format!("{text:?} is neither seconds since the Unix epoch nor RFC 3339"))?;
    Ok(time.as_millisecond() as f64 / 1e3)
}

fn ask(common: &Common, path: &str, parameters: &Parameters) -> anyhow::Result<Value> {
    let mut url = common.url.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("{} cannot be a server's address", common.url))?
        .pop_if_empty()
        .extend(["api", "v1"])
        .extend(path.split('/'));
    url.query_pairs_mut().extend_pairs(parameters);
    let body = crate::client::get(&url, common.http_config.as_deref(), TIMEOUT)
        .with_context(|| format!("asking {}", common.url))?;
    let answer: Value = serde_json::from_slice(&body)
        .with_context(|| format!("{} did not answer as a Prometheus server does", common.url))?;
    if answer["status"] == "error" {
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        bail!("{}: {}", text("errorType"), text("error"));
    }
    Ok(answer)
}

/// The terminal, or what a file or pipe takes best.
pub(crate) fn screen() -> graph::Screen {
    let stdout = std::io::stdout();
    let coloured = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match rustix::termios::tcgetwinsize(stdout) {
        Ok(size) if size.ws_col > 20 && size.ws_row > 8 => {
            graph::Screen { columns: size.ws_col.into(), rows: size.ws_row.into(), coloured }
        }
        _ => graph::Screen { columns: 100, rows: 30, coloured },
    }
}
