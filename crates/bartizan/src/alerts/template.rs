//! Templates, carried out without an alert.

use std::path::PathBuf;
use std::sync::Arc;

use alerting::template::{Data, TemplateSet};
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

/// What is carried out.
#[derive(Args, Debug)]
pub struct RenderArgs {
    /// Files of templates; may have wildcards. Can be repeated.
    #[arg(long = "template.glob", value_name = "GLOB")]
    globs: Vec<PathBuf>,
    /// The text to carry out, for example `{{ template "slack.default.title" . }}`.
    #[arg(long = "template.text", value_name = "TEXT")]
    text: String,
    /// Whether values are escaped for HTML.
    #[arg(long = "template.type", value_enum, default_value = "text")]
    kind: Kind,
    /// A JSON file with the data of a notification, as webhooks get it; by default an example.
    #[arg(long = "template.data", value_name = "FILE")]
    data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Text,
    Html,
}

/// A notification on one alert that fires and one that is resolved.
fn example() -> Json {
    let alert = |status: &str, instance: &str| {
        json!({
            "status": status,
            "labels": {"alertname": "InstanceDown", "job": "api", "severity": "critical", "instance": instance},
            "annotations": {"summary": format!("{instance} does not answer")},
            "startsAt": "2026-01-02T03:04:05Z",
            "endsAt": if status == "resolved" { "2026-01-02T03:14:05Z" } else { "0001-01-01T00:00:00Z" },
            "generatorURL": "http://localhost:9090/graph?g0.expr=up+%3D%3D+0",
            "fingerprint": "8f5e3e4fe0f5c1f4",
        })
    };
    json!({
        "receiver": "team",
        "status": "firing",
        "alerts": [alert("firing", "a:9100"), alert("resolved", "b:9100")],
        "groupLabels": {"alertname": "InstanceDown"},
        "commonLabels": {"alertname": "InstanceDown", "job": "api", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://localhost:9093",
    })
}

/// Carries out a text and prints what comes of it.
pub(super) fn render(args: &RenderArgs) -> anyhow::Result<()> {
    let templates =
        TemplateSet::load(&args.globs, base::SystemClock::shared()).map_err(anyhow::Error::msg)?;
    let data = match &args.data {
        None => example(),
        Some(file) => {
            let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
            serde_json::from_slice(&bytes).with_context(|| file.display().to_string())?
        }
    };
    let data = Arc::new(Data::from_json(&data).map_err(anyhow::Error::msg)?);
    let renderer = templates.renderer(&data);
    let rendered = match args.kind {
        Kind::Text => renderer.text(&args.text),
        Kind::Html => renderer.html(&args.text),
    };
    println!("{}", rendered.map_err(anyhow::Error::msg)?);
    Ok(())
}
