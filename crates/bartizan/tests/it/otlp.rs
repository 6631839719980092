//! OpenTelemetry metrics that are sent to the program: by OpenTelemetry's own SDK, and by hand.

mod by_hand;
mod real;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::faults::server::{Home, Server};
use crate::support::Done;

/// Nothing is scraped.
const CONFIG: &str = "global:\n  scrape_interval: 1h\n";

/// A home whose server receives OTLP.
fn receiving(dir: &Path, config: &str) -> Home {
    Home::new(dir, config).flag("--web.enable-otlp-receiver")
}

/// A Python that has OpenTelemetry's SDK and exporters; absence skips the test, but fails it in CI.
fn sdk(test: &str) -> Option<PathBuf> {
    const IMPORTS: &str = "import opentelemetry.exporter.otlp.proto.grpc.metric_exporter\n\
                           import opentelemetry.exporter.otlp.proto.http.metric_exporter";
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python3");
    let has_sdk = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", IMPORTS]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = [tools, "python3".into()].into_iter().find(has_sdk);
    if found.is_none() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "OpenTelemetry's SDK for Python is not installed"
        );
        println!("skipped: {test}: OpenTelemetry's SDK for Python is not installed");
    }
    found
}

/// Lets the SDK send one export; ids of trace and span, if it succeeded.
fn send(python: &Path, server: &Server, protocol: &str, temporality: &str, compression: &str) -> Vec<String> {
    let endpoint = match protocol {
        "grpc" => server.address().to_string(),
        _ => format!("http://{}/api/v1/otlp/v1/metrics", server.address()),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/otlp/send.py");
    let output = Command::new(python)
        .arg(script)
        .args([protocol, &endpoint, temporality, compression])
        // The tests' own settings shall not lead it elsewhere.
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap();
    let done = Done::from(output);
    assert_eq!(done.code, 0, "{}", done.err);
    done.out.split_whitespace().map(str::to_owned).collect()
}

/// Series a query finds, as labels and value, sorted.
#[track_caller]
fn found(server: &Server, query: &str) -> Vec<(Value, String)> {
    let series = server.query(query).into_iter();
    let mut found: Vec<_> = series
        .map(|series| (series["metric"].clone(), series["value"][1].as_str().unwrap_or_default().to_owned()))
        .collect();
    found.sort_by_key(|(labels, value)| (labels.to_string(), value.clone()));
    found
}
