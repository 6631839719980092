//! Silences: made, changed, listed, taken over and ended.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use alerting::alert::{after, from_ms};
use anyhow::{Context, bail};
use base::Clock as _;
use clap::{Args, Subcommand};
use config::alertmanager::Matcher;
use config::alertmanager::values::GoDuration;
use httpclient::Method;
use jiff::Timestamp;
use model::matcher::MatchOp;
use serde_json::{Value as Json, json};

use super::{Common, filters, items, parse, print_json, text};

/// What to do with silences.
#[derive(Subcommand, Debug)]
pub enum SilenceCommand {
    /// List silences.
    #[command(alias = "query")]
    Ls {
        /// Matchers that must stand in the silence.
        matchers: Vec<String>,
        /// Expired ones too.
        #[arg(long)]
        expired: bool,
        /// Only those that end, or with --expired ended, within this time.
        #[arg(long, value_name = "DURATION")]
        within: Option<String>,
        /// Only those made by this author.
        #[arg(long, value_name = "NAME")]
        created_by: Option<String>,
        /// Print the ids only.
        #[arg(long, short)]
        quiet: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Silence alerts that satisfy all matchers; prints the id.
    Add {
        /// Matchers such as `job=api`.
        #[arg(required = true)]
        matchers: Vec<String>,
        #[command(flatten)]
        times: Times,
        /// Why.
        #[arg(long, short)]
        comment: String,
        /// Who.
        #[arg(long, short, env = "USER", default_value = "")]
        author: String,
        #[command(flatten)]
        common: Common,
    },
    /// Change when silences begin and end, and their comment; prints the ids, which may be new.
    Update {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        times: Times,
        /// Why.
        #[arg(long, short)]
        comment: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Make silences as `ls --json` prints them; prints their ids.
    Import {
        /// The file; by default the standard input stream.
        file: Option<PathBuf>,
        /// Make new ones even of those that are there.
        #[arg(long, short)]
        force: bool,
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

/// When a silence begins and ends.
#[derive(Args, Debug)]
pub struct Times {
    /// How long; an hour for a new one.
    #[arg(long, short)]
    duration: Option<String>,
    /// When it begins, as RFC 3339; by default now.
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// When it ends, as RFC 3339.
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    end: Option<Timestamp>,
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    GoDuration::parse(text).map(GoDuration::get).map_err(anyhow::Error::msg)
}

impl Times {
    /// Begin and end, for a silence that had `before` if it is not new.
    fn get(&self, before: Option<(Timestamp, Timestamp)>) -> anyhow::Result<(Timestamp, Timestamp)> {
        let now = from_ms(base::SystemClock::new().now_ms());
        let start = self.start.unwrap_or(before.map_or(now, |(start, _)| start));
        let lasts = self.duration.as_deref().map(duration).transpose()?;
        let end = match (self.end, lasts, before) {
            (Some(end), ..) => end,
            (None, Some(lasts), _) => after(start, lasts),
            (None, None, Some((_, end))) => end,
            (None, None, None) => after(start, Duration::from_secs(3600)),
        };
        Ok((start, end))
    }
}

/// Runs a command.
pub(super) fn silence(command: &SilenceCommand) -> anyhow::Result<()> {
    match command {
        SilenceCommand::Ls { matchers, expired, within, created_by, quiet, common } => {
            let mut query = filters(matchers)?;
            query.push(("expired", expired.to_string()));
            let mut silences = common.ask(Method::GET, &common.at("silences", &query), None)?;
            let within = within.as_deref().map(duration).transpose()?;
            if let Some(silences) = silences.as_array_mut() {
                silences.retain(|silence| {
                    let is_by = created_by.as_ref().is_none_or(|name| text(silence, "/createdBy") == name);
                    is_by && within.is_none_or(|within| ends_within(silence, within))
                });
            }
            if let Some(output) = common.output.filter(|_| !quiet) {
                print!("{}", output.silences(&silences));
                return Ok(());
            }
            match (quiet, common.json) {
                (true, _) => items(&silences).iter().for_each(|silence| println!("{}", text(silence, "/id"))),
                (false, true) => print_json(&silences)?,
                (false, false) => {
                    for silence in items(&silences) {
                        println!("{}  {}", text(silence, "/id"), show_silence(silence));
                    }
                }
            }
        }
        SilenceCommand::Add { matchers, times, comment, author, common } => {
            let (start, end) = times.get(None)?;
            let body = json!({
                "matchers": parse(matchers)?.iter().map(matcher_json).collect::<Vec<_>>(),
                "startsAt": start.to_string(),
                "endsAt": end.to_string(),
                "createdBy": author,
                "comment": comment,
            });
            post(common, &body)?;
        }
        SilenceCommand::Update { ids, times, comment, common } => {
            for id in ids {
                update(id, times, comment.as_deref(), common)
                    .with_context(|| format!("changing silence {id}"))?;
            }
        }
        SilenceCommand::Import { file, force, common } => import(file.as_deref(), *force, common)?,
        SilenceCommand::Expire { ids, common } => {
            for id in ids {
                let url = common.at(&format!("silence/{id}"), &[]);
                common.ask(Method::DELETE, &url, None).with_context(|| format!("ending silence {id}"))?;
            }
        }
    }
    Ok(())
}

fn ends_within(silence: &Json, within: Duration) -> bool {
    let now = from_ms(base::SystemClock::new().now_ms());
    let Ok(end) = text(silence, "/endsAt").parse::<Timestamp>() else { return false };
    match text(silence, "/status/state") == "expired" {
        true => after(end, within) >= now,
        false => end <= after(now, within),
    }
}

/// Makes or changes a silence and prints its id.
fn post(common: &Common, silence: &Json) -> anyhow::Result<()> {
    let made = common.ask(Method::POST, &common.at("silences", &[]), Some(silence))?;
    println!("{}", text(&made, "/silenceID"));
    Ok(())
}

fn update(id: &str, times: &Times, comment: Option<&str>, common: &Common) -> anyhow::Result<()> {
    let mut silence = common.ask(Method::GET, &common.at(&format!("silence/{id}"), &[]), None)?;
    let (start, end) = (text(&silence, "/startsAt").parse()?, text(&silence, "/endsAt").parse()?);
    let (start, end) = times.get(Some((start, end)))?;
    silence["startsAt"] = start.to_string().into();
    silence["endsAt"] = end.to_string().into();
    if let Some(comment) = comment {
        silence["comment"] = comment.into();
    }
    post(common, &silence)
}

fn import(file: Option<&std::path::Path>, force: bool, common: &Common) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    match file {
        Some(file) => bytes = std::fs::read(file).with_context(|| file.display().to_string())?,
        None => drop(std::io::stdin().read_to_end(&mut bytes)?),
    }
    let silences: Json = serde_json::from_slice(&bytes).context("the silences are not JSON")?;
    let Json::Array(silences) = silences else { bail!("the silences are no JSON array") };
    let mut failed = 0;
    for (i, mut silence) in silences.into_iter().enumerate() {
        if force && let Some(fields) = silence.as_object_mut() {
            fields.remove("id");
        }
        if let Err(error) = post(common, &silence) {
            eprintln!("silence {i}: {error:#}");
            failed += 1;
        }
    }
    anyhow::ensure!(failed == 0, "{failed} silences were not taken");
    Ok(())
}

fn matcher_json(matcher: &Matcher) -> Json {
    json!({
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
        "isEqual": matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
    })
}

/// A silence without its id, as one line.
pub(super) fn show_silence(silence: &Json) -> String {
    format!(
        "{:<7}  until {}  {}  {}: {}",
        text(silence, "/status/state"),
        text(silence, "/endsAt"),
        items(&silence["matchers"]).iter().map(show_matcher).collect::<Vec<_>>().join(" "),
        text(silence, "/createdBy"),
        text(silence, "/comment")
    )
}

pub(super) fn show_matcher(json: &Json) -> String {
    let op = match (json["isEqual"] != false, json["isRegex"] == true) {
        (true, false) => "=",
        (false, false) => "!=",
        (true, true) => "=~",
        (false, true) => "!~",
    };
    format!("{}{op}{}", text(json, "/name"), json["value"])
}
