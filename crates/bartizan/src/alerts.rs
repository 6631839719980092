//! `bartizan alerts`: looks at alerts, silences them, and says why one is or is not told.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use alerting::route::{Route, RouteTree};
use anyhow::{Context, bail};
use base::Clock as _;
use clap::{Args, Subcommand};
use config::HttpClientConfig;
use config::alertmanager::values::GoDuration;
use config::alertmanager::{AlertmanagerSettings, Matcher, MatcherMode};
use httpclient::{Client, HeaderValue, Method, Request, header};
use model::Labels;
use model::matcher::MatchOp;
use serde_json::{Value as Json, json};

/// What to do.
#[derive(Subcommand, Debug)]
pub enum AlertsCommand {
    /// List alerts.
    Ls {
        /// Matchers such as `job=api`; an alert is listed if it satisfies all.
        matchers: Vec<String>,
        /// Only alerts that are silenced or inhibited too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: Common,
    },
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
}

/// What to do with silences.
#[derive(Subcommand, Debug)]
pub enum SilenceCommand {
    /// List silences.
    Ls {
        /// Matchers that must stand in the silence.
        matchers: Vec<String>,
        /// Expired ones too.
        #[arg(long)]
        expired: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Silence alerts that satisfy all matchers; prints the id.
    Add {
        /// Matchers such as `job=api`.
        #[arg(required = true)]
        matchers: Vec<String>,
        /// How long.
        #[arg(long, short, default_value = "1h")]
        duration: String,
        /// Why.
        #[arg(long, short)]
        comment: String,
        /// Who.
        #[arg(long, short, env = "USER", default_value = "")]
        author: String,
        #[command(flatten)]
        common: Common,
    },
    /// End silences.
    Expire {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// What to do with the routing tree.
#[derive(Subcommand, Debug)]
pub enum RoutesCommand {
    /// Print the tree.
    Show {
        /// The configuration file.
        #[arg(long = "config.file", value_name = "FILE")]
        config_file: PathBuf,
    },
    /// Print the receivers an alert with these labels goes to.
    Test {
        /// Labels such as `alertname=Down`.
        labels: Vec<String>,
        /// The configuration file.
        #[arg(long = "config.file", value_name = "FILE")]
        config_file: PathBuf,
        /// The receivers expected, separated by commas; others are a failure.
        #[arg(long = "verify.receivers", value_name = "NAMES")]
        expected: Option<String>,
    },
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
                bail!("{}: {}", response.status_line(), parsed.as_str().unwrap_or_default());
            }
            Ok(parsed)
        })
    }
}

/// Runs a command.
pub fn run(command: &AlertsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::Ls { matchers, all, common } => list(matchers, *all, common)?,
        AlertsCommand::Silence(command) => silence(command)?,
        AlertsCommand::Routes(command) => return routes(command),
        AlertsCommand::Explain { labels, common } => explain(labels, common)?,
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

fn list(matchers: &[String], all: bool, common: &Common) -> anyhow::Result<()> {
    let mut query = filters(matchers)?;
    if !all {
        query.extend([("silenced", "false".to_owned()), ("inhibited", "false".to_owned())]);
    }
    let alerts = common.ask(Method::GET, &common.at("alerts", &query), None)?;
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

fn silence(command: &SilenceCommand) -> anyhow::Result<()> {
    match command {
        SilenceCommand::Ls { matchers, expired, common } => {
            let mut query = filters(matchers)?;
            query.push(("expired", expired.to_string()));
            let silences = common.ask(Method::GET, &common.at("silences", &query), None)?;
            if common.json {
                return print_json(&silences);
            }
            for silence in items(&silences) {
                println!(
                    "{}  {:<7}  until {}  {}  {}: {}",
                    text(silence, "/id"),
                    text(silence, "/status/state"),
                    text(silence, "/endsAt"),
                    items(&silence["matchers"]).iter().map(show_matcher).collect::<Vec<_>>().join(" "),
                    text(silence, "/createdBy"),
                    text(silence, "/comment")
                );
            }
        }
        SilenceCommand::Add { matchers, duration, comment, author, common } => {
            let lasts = GoDuration::parse(duration).map_err(anyhow::Error::msg)?.get();
            let now = alerting::alert::from_ms(base::SystemClock::new().now_ms());
            let matcher = |matcher: &Matcher| {
                json!({
                    "name": matcher.name,
                    "value": matcher.value,
                    "isRegex": matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
                    "isEqual": matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
                })
            };
            let body = json!({
                "matchers": parse(matchers)?.iter().map(matcher).collect::<Vec<_>>(),
                "startsAt": now.to_string(),
                "endsAt": alerting::alert::after(now, lasts).to_string(),
                "createdBy": author,
                "comment": comment,
            });
            let made = common.ask(Method::POST, &common.at("silences", &[]), Some(&body))?;
            println!("{}", text(&made, "/silenceID"));
        }
        SilenceCommand::Expire { ids, common } => {
            for id in ids {
                let url = common.at(&format!("silence/{id}"), &[]);
                common.ask(Method::DELETE, &url, None).with_context(|| format!("ending silence {id}"))?;
            }
        }
    }
    Ok(())
}

fn show_matcher(json: &Json) -> String {
    let op = match (json["isEqual"] != false, json["isRegex"] == true) {
        (true, false) => "=",
        (false, false) => "!=",
        (true, true) => "=~",
        (false, true) => "!~",
    };
    format!("{}{op}{}", text(json, "/name"), json["value"])
}

fn load(file: &Path) -> anyhow::Result<RouteTree> {
    Ok(RouteTree::new(&AlertmanagerSettings::load(file, MatcherMode::Fallback)?.route))
}

fn routes(command: &RoutesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RoutesCommand::Show { config_file } => {
            let tree = load(config_file)?;
            show_route(&tree, tree.root(), 0);
        }
        RoutesCommand::Test { labels, config_file, expected } => {
            let tree = load(config_file)?;
            let pairs = parse(labels)?.into_iter().map(|matcher| (matcher.name, matcher.value));
            let found = tree.matching(&Labels::from_pairs(pairs));
            let receivers = found.iter().map(|route| route.receiver.as_str()).collect::<Vec<_>>().join(",");
            println!("{receivers}");
            if let Some(expected) = expected
                && *expected != receivers
            {
                eprintln!("WARNING: Expected receivers did not match resolved receivers.");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_route(tree: &RouteTree, route: &Route, depth: usize) {
    let continues = if route.continues { "  continue: true" } else { "" };
    let what = if depth == 0 { "default-route".to_owned() } else { route.matchers.to_string() };
    println!("{:indent$}{what}{continues}  receiver: {}", "", route.receiver, indent = depth * 2);
    let children = route.children.iter().filter_map(|&index| tree.get(index));
    children.for_each(|child| show_route(tree, child, depth + 1));
}

fn explain(labels: &[String], common: &Common) -> anyhow::Result<()> {
    let matchers = parse(labels)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let why = common.ask(Method::GET, &common.at("explain", &[("labels", matchers)]), None)?;
    if common.json {
        return print_json(&why);
    }
    if items(&why).is_empty() {
        println!("no alert has such labels");
    }
    items(&why).iter().for_each(explain_one);
    Ok(())
}

fn explain_one(alert: &Json) {
    let state = match (alert["isKnown"] == true, alert["isFiring"] == true) {
        (false, _) => "nobody has sent it; this is what would become of it",
        (true, true) => "fires",
        (true, false) => "is resolved",
    };
    println!("{} {}: {state}", text(alert, "/labels/alertname"), show_labels(&alert["labels"]));
    for id in items(&alert["silencedBy"]) {
        println!("  silenced by {}", id.as_str().unwrap_or_default());
    }
    if alert["inhibitedBy"].is_object() {
        let (rule, source) = (text(alert, "/inhibitedBy/rule"), text(alert, "/inhibitedBy/fingerprint"));
        println!("  inhibited by alert {source}, by rule {rule}");
    }
    for route in items(&alert["routes"]) {
        println!("  route {} to receiver {}", text(route, "/route"), text(route, "/receiver"));
        for other in items(&route["notTaken"]) {
            println!("    not {}: {} does not hold", text(other, "/route"), text(other, "/matcher"));
        }
        for name in items(&route["mutedBy"]) {
            println!("    muted by time interval {}", name.as_str().unwrap_or_default());
        }
        match route["nextLook"].as_str() {
            Some(at) => println!("    group {}, looked at next at {at}", text(route, "/groupKey")),
            None => println!("    group {}, which does not exist", text(route, "/groupKey")),
        }
        for told in items(&route["told"]) {
            let integration = text(told, "/integration");
            match told["toldAt"].as_str() {
                None => println!("    {integration} was not told yet"),
                Some(at) => {
                    let knows = if told["knowsFiring"] == true {
                        "knows that it fires"
                    } else {
                        "does not know that it fires"
                    };
                    let again = told["repeatsAfter"]
                        .as_str()
                        .map_or(String::new(), |at| format!("; repeated after {at}"));
                    println!("    {integration} was told at {at} and {knows}{again}");
                }
            }
        }
        for attempt in items(&route["attempts"]) {
            let outcome = attempt["error"].as_str().unwrap_or("accepted");
            println!(
                "    {} {} attempt {} ({}): {outcome}",
                text(attempt, "/at"),
                text(attempt, "/integration"),
                attempt["attempt"],
                text(attempt, "/reason")
            );
        }
    }
}
