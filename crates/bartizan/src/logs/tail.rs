//! Lines as they come, until the user or the server ends it. A connection that breaks is made again.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use base::Clock;
use config::HttpClientConfig;
use serde_json::Value;

use super::lines::{Labels, Line, Printer, of_streams};
use super::request::refusal;
use super::{Output, QueryArgs};

/// Attempts to connect again, each after a longer pause.
const MAX_ATTEMPTS: u32 = 5;

/// Follows and prints.
pub(super) fn run(args: &QueryArgs) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        tokio::select! {
            outcome = follow(args) => outcome,
            interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for an interrupt"),
        }
    })
}

async fn follow(args: &QueryArgs) -> anyhow::Result<()> {
    let output = match args.common.output {
        Output::Graph | Output::Json => {
            bail!("--tail prints lines: use --output default, raw, jsonl or table")
        }
        output => output,
    };
    let nothing = Labels::new();
    let coloured = args.common.color.is_on();
    let printer = Printer { output, coloured, with_labels: !args.no_labels, common: &nothing };
    // Lines of the last moment, to leave out when they come again on another connection.
    let mut last: Vec<Line> = Vec::new();
    let mut attempt = 0;
    loop {
        let before = last.clone();
        let ended = once(args, &printer, &mut last).await;
        match ended {
            Ok(()) => return Ok(()),
            Err(Ended::Refused(text)) => bail!("{text}"),
            Err(Ended::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(Ended::Output(error)) => return Err(error).context("writing lines"),
            Err(Ended::Broken(error)) => {
                attempt = if last == before { attempt + 1 } else { 1 };
                if attempt > MAX_ATTEMPTS {
                    return Err(error);
                }
                eprintln!("the tail broke: {error:#}; connecting again");
                tokio::time::sleep(Duration::from_secs(1 << (attempt - 1))).await;
            }
        }
    }
}

/// Why a tail ended.
enum Ended {
    /// The server does not want to.
    Refused(String),
    /// The connection cannot be made, or is gone.
    Broken(anyhow::Error),
    /// Lines cannot be written.
    Output(std::io::Error),
}

async fn once(args: &QueryArgs, printer: &Printer<'_>, last: &mut Vec<Line>) -> Result<(), Ended> {
    let common = &args.common;
    let refused = |error: anyhow::Error| Ended::Refused(format!("{error:#}"));
    let start_ns = match last.first() {
        Some(line) => line.timestamp_ns,
        None if common.from.is_some() => common.range().map_err(refused)?.start_ns,
        // What comes from now on, unless more is asked for.
        None => base::SystemClock::new().now_ms().saturating_mul(1_000_000),
    };
    let parameters = vec![
        ("query", args.expression.clone().unwrap_or_default()),
        ("start", start_ns.to_string()),
        ("limit", common.limit.max(1).to_string()),
        ("delay_for", args.delay_for.to_string()),
    ];
    let url = common.address(&["tail"], &parameters).map_err(refused)?;
    let options =
        common.http_config.as_deref().map_or_else(|| Ok(HttpClientConfig::default()), HttpClientConfig::load);
    let mut options = options.map_err(|error| refused(error.into()))?;
    // A connection changes its protocol only in HTTP/1.1.
    options.enable_http2 = false;
    let client = httpclient::Client::new(&options, base::SystemClock::shared())
        .map_err(|error| refused(error.into()))?;
    let headers = common.headers().map_err(refused)?;
    let connected = super::websocket::connect(&client, &url, &headers).await;
    let mut connection = connected
        .with_context(|| format!("asking {}", common.server))
        .map_err(Ended::Broken)?
        .map_err(|(status, body)| Ended::Refused(refusal(&common.server, status, &body)))?;
    while let Some(message) = connection.next().await.map_err(Ended::Broken)? {
        let message: Value = serde_json::from_slice(&message)
            .context("the server sent what is no JSON")
            .map_err(Ended::Broken)?;
        show(&message, printer, last).map_err(Ended::Output)?;
    }
    Err(Ended::Broken(anyhow::anyhow!("the server ended the connection")))
}

fn show(message: &Value, printer: &Printer<'_>, last: &mut Vec<Line>) -> std::io::Result<()> {
    let dropped = message["dropped_entries"].as_array().map_or(0, Vec::len);
    if dropped > 0 {
        eprintln!("{dropped} lines came faster than they could be shown, and were left out");
    }
    let mut lines = of_streams(&message["streams"]);
    lines.sort_by_key(|line| line.timestamp_ns);
    let mut out = std::io::stdout().lock();
    for line in lines {
        if last.contains(&line) {
            continue;
        }
        printer.print(&mut out, &line)?;
        if last.first().is_some_and(|known| known.timestamp_ns != line.timestamp_ns) {
            last.clear();
        }
        last.push(line);
    }
    out.flush()
}
