//! Programs of others that send logs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Loki, config};
use crate::support::Done;

/// A Python that can import what a sender is; absence skips the test, but fails it in CI.
fn python(imports: &str, test: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python3");
    let has = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", &format!("import {imports}")]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = [tools, "python3".into()].into_iter().find(has);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{imports} is not installed for Python");
        println!("skipped: {test}: {imports} is not installed for Python");
    }
    found
}

fn run(python: &Path, script: &str, loki: &Loki) {
    let output = Command::new(python)
        .args(["-c", script, &format!("http://{}", loki.address)])
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap();
    let done = Done::from(output);
    assert_eq!(done.code, 0, "{}", done.err);
}

fn one_tenant(dir: &Path) -> Loki {
    Loki::start(dir, &config(dir, "").replace("auth_enabled: true", "auth_enabled: false"))
}

const OPENTELEMETRY: &str = r#"
import logging, sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
for compression in (Compression.NoCompression, Compression.Gzip):
    resource = Resource.create({"service.name": "shop", "host.name": "machine", "k8s.pod.name": "shop-1"})
    provider = LoggerProvider(resource=resource)
    exporter = OTLPLogExporter(endpoint=sys.argv[1] + "/otlp/v1/logs", compression=compression)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = logging.getLogger("cart-" + compression.name)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.warning("order %s refused", 7, extra={"order": "7"})
    provider.shutdown()
"#;

#[test]
fn the_sdk_of_opentelemetry_sends_logs() {
    let imports = "opentelemetry.exporter.otlp.proto.http._log_exporter";
    let Some(python) = python(imports, "the_sdk_of_opentelemetry_sends_logs") else { return };
    let dir = tempfile::tempdir().unwrap();
    let loki = one_tenant(dir.path());
    run(&python, OPENTELEMETRY, &loki);
    let stream = r#"{service_name="shop", k8s_pod_name="shop-1"}"#;
    assert_eq!(loki.lines("", stream), ["order 7 refused", "order 7 refused"]);
    let found = |filter: &str| loki.lines("", &format!("{stream} | {filter}")).len();
    assert_eq!(
        found(r#"order="7" | host_name="machine" | detected_level="warn" | scope_name="cart-Gzip""#),
        1
    );
    assert_eq!(found(r#"severity_number=13 | code_function_name!="""#), 2);
}

const LOGGING_LOKI: &str = r#"
import logging, sys, logging_loki
handler = logging_loki.LokiHandler(url=sys.argv[1] + "/loki/api/v1/push", tags={"application": "py"}, version="1")
handler.handleError = lambda record: sys.exit(1)
logger = logging.getLogger("py")
logger.addHandler(handler)
logger.error("it broke", extra={"tags": {"service": "billing"}})
"#;

#[test]
fn a_handler_of_pythons_logging_pushes_json() {
    let Some(python) = python("logging_loki", "a_handler_of_pythons_logging_pushes_json") else { return };
    let dir = tempfile::tempdir().unwrap();
    let loki = one_tenant(dir.path());
    run(&python, LOGGING_LOKI, &loki);
    assert_eq!(
        loki.lines("", r#"{application="py", severity="error", service_name="billing"}"#),
        ["it broke"]
    );
}
