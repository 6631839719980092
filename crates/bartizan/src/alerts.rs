//! `bartizan alerts`: looks at alerts, silences them, and says why one is or is not told.

mod config;
mod explain;
mod output;
mod routes;
mod silences;
mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ::config::HttpClientConfig;
use ::config::alertmanager::{Matcher, MatcherMode};
use anyhow::bail;
use clap::{Args, Subcommand};
use httpclient::{Client, HeaderValue, Method, Request, header};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

pub use output::Output;
pub use routes::RoutesCommand;
pub use silences::SilenceCommand;
pub use template::RenderArgs;

/// What to do.
#[derive(Subcommand, Debug)]
pub enum AlertsCommand {
    /// List alerts.
    Ls {
        /// Matchers such as `job=api`; an alert is listed if it satisfies all.
        matchers: Vec<String>,
        /// Also those that are silenced or inhibited.
        #[arg(long)]
        all: bool,
        /// Those that nothing suppresses; the default where neither --silenced nor --inhibited is given.
        #[arg(long, short)]
        active: bool,
        /// Those that are silenced.
        #[arg(long, short)]
        silenced: bool,
        /// Those that are inhibited.
        #[arg(long, short)]
        inhibited: bool,
        /// Only those of receivers whose whole name this regular expression matches.
        #[arg(long, short, value_name = "REGEX")]
        receiver: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Send an alert.
    Add(AddArgs),
    /// Make, list and end silences.
    #[command(subcommand)]
    Silence(SilenceCommand),
    /// Look at the routing tree of a configuration file or a server.
    #[command(subcommand)]
    Routes(RoutesCommand),
    /// Say why alerts with these labels are, or are not, told.
    Explain {
        /// Labels such as `alertname=Down`.
        #[arg(required = true)]
        labels: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Print the configuration a server runs with.
    ShowConfig {
        #[command(flatten)]
        common: Common,
    },
    /// Check configuration files, and the templates they name.
    CheckConfig {
        /// The configuration files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Carry out a template.
    Render(RenderArgs),
    /// Print the cluster a server belongs to.
    Cluster {
        #[command(flatten)]
        common: Common,
    },
}

/// An alert to be sent.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// Labels such as `severity=critical`; a word alone in front is the name of the alert.
    #[arg(required = true)]
    labels: Vec<String>,
    /// An annotation such as `summary=gone`. Can be repeated.
    #[arg(long, value_name = "NAME=TEXT")]
    annotation: Vec<String>,
    /// Since when it fires, as RFC 3339; by default now.
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Until when it fires, as RFC 3339; by default the timeout of the server's configuration.
    #[arg(long, value_name = "TIME")]
    end: Option<Timestamp>,
    /// Where it comes from.
    #[arg(long, default_value = "", value_name = "URL")]
    generator_url: String,
    #[command(flatten)]
    common: Common,
}

/// How to reach the server.
#[derive(Args, Debug)]
pub struct Common {
    /// The Alertmanager.
    #[arg(long, default_value = "http://localhost:9093", env = "ALERTMANAGER_URL", value_name = "URL")]
    url: url::Url,
    /// A YAML file of HTTP client options.
    #[arg(long, value_name = "FILE")]
    http_config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print what amtool prints, where it lists or shows something.
    #[arg(long, short, value_enum, value_name = "FORM", conflicts_with = "json")]
    output: Option<Output>,
}

impl Common {
    fn at(&self, path: &str, query: &[(&str, String)]) -> url::Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/api/v2/{path}", self.url.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    fn ask(&self, method: Method, url: &url::Url, body: Option<&Json>) -> anyhow::Result<Json> {
        let options = self
            .http_config
            .as_deref()
            .map_or_else(|| Ok(HttpClientConfig::default()), HttpClientConfig::load)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = Client::new(&options, base::SystemClock::shared())?;
            let mut request = Request::new(method, url.as_str(), Duration::from_secs(30));
            if let Some(body) = body {
                let json = HeaderValue::from_static("application/json");
                request = request.header(header::CONTENT_TYPE, json).body(body.to_string());
            }
            let mut response = client.send(request).await?;
            let mut answer = Vec::new();
            response.read_body(&mut answer, 256 << 20).await?;
            let parsed: Json = serde_json::from_slice(&answer).unwrap_or(Json::Null);
            if !response.status().is_success() {
                let said = parsed.as_str().or(parsed["message"].as_str()).unwrap_or_default();
                bail!("{}: {said}", response.status_line());
            }
            Ok(parsed)
        })
    }
}

/// Runs a command.
pub fn run(command: &AlertsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::Ls { matchers, all, active, silenced, inhibited, receiver, common } => {
            let wanted = Wanted {
                active: *all || *active || !(*silenced || *inhibited),
                silenced: *all || *silenced,
                inhibited: *all || *inhibited,
                receiver,
            };
            list(matchers, &wanted, common)?;
        }
        AlertsCommand::Add(args) => add(args)?,
        AlertsCommand::Silence(command) => silences::silence(command)?,
        AlertsCommand::Routes(command) => return routes::routes(command),
        AlertsCommand::Explain { labels, common } => explain::explain(labels, common)?,
        AlertsCommand::ShowConfig { common } => config::show(common)?,
        AlertsCommand::CheckConfig { files } => return config::check(files),
        AlertsCommand::Render(args) => template::render(args)?,
        AlertsCommand::Cluster { common } => config::cluster(common)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(texts: &[String]) -> anyhow::Result<Vec<Matcher>> {
    let one = |text: &String| Matcher::parse(text, MatcherMode::Fallback).map_err(anyhow::Error::msg);
    texts.iter().map(one).collect()
}

fn filters(texts: &[String]) -> anyhow::Result<Vec<(&'static str, String)>> {
    Ok(parse(texts)?.iter().map(|matcher| ("filter", matcher.to_string())).collect())
}

fn text<'j>(json: &'j Json, path: &str) -> &'j str {
    json.pointer(path).and_then(Json::as_str).unwrap_or_default()
}

fn items(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

/// Labels as `a="1" b="2"`, without the name of the alert.
fn show_labels(json: &Json) -> String {
    let entries = json.as_object().into_iter().flatten().filter(|(name, _)| *name != "alertname");
    entries.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn print_json(json: &Json) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(json)?);
    Ok(())
}

/// Which alerts are listed.
struct Wanted<'a> {
    active: bool,
    silenced: bool,
    inhibited: bool,
    receiver: &'a Option<String>,
}

fn list(matchers: &[String], wanted: &Wanted<'_>, common: &Common) -> anyhow::Result<()> {
    let mut query = filters(matchers)?;
    query.push(("active", wanted.active.to_string()));
    query.push(("silenced", wanted.silenced.to_string()));
    query.push(("inhibited", wanted.inhibited.to_string()));
    query.extend(wanted.receiver.iter().map(|pattern| ("receiver", pattern.clone())));
    let alerts = common.ask(Method::GET, &common.at("alerts", &query), None)?;
    if let Some(output) = common.output {
        print!("{}", output.alerts(&alerts));
        return Ok(());
    }
    if common.json {
        return print_json(&alerts);
    }
    for alert in items(&alerts) {
        println!(
            "{}  {:<10}  {}  {}",
            text(alert, "/startsAt"),
            text(alert, "/status/state"),
            text(alert, "/labels/alertname"),
            show_labels(&alert["labels"])
        );
    }
    Ok(())
}

/// Pairs such as `a=b`.
fn pairs(texts: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.trim_matches('"').to_owned())),
        None => bail!("{text:?} is not of the form name=value"),
    };
    texts.iter().map(pair).collect()
}

fn add(args: &AddArgs) -> anyhow::Result<()> {
    let mut given = args.labels.clone();
    if let Some(first) = given.first_mut().filter(|first| !first.contains('=')) {
        *first = format!("alertname={first}");
    }
    let mut alert = json!({"labels": pairs(&given)?, "annotations": pairs(&args.annotation)?});
    for (field, at) in [("startsAt", args.start), ("endsAt", args.end)] {
        if let Some(at) = at {
            alert[field] = at.to_string().into();
        }
    }
    if !args.generator_url.is_empty() {
        alert["generatorURL"] = args.generator_url.as_str().into();
    }
    let common = &args.common;
    common.ask(Method::POST, &common.at("alerts", &[]), Some(&json!([alert])))?;
    Ok(())
}
