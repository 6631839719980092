//! Another server's logs through this one: as a data source of the screens.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use super::{Loki, config, now_ns};
use crate::support::{bartizan, command};
use crate::up::Up;

#[test]
fn lines_of_a_data_source_come_as_they_are_stored() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut loki = Loki::start(other.path(), &config(other.path(), ""));
    let up = Up::start(dir.path(), ["--no-host-logs"]);
    let source = json!({
        "source": {"uid": "l", "name": "Other", "kind": "loki", "url": format!("http://{}", loki.address),
                   "settings": {"httpHeaderName1": "X-Scope-OrgID", "httpHeaderName2": "X-More"}},
        "secrets": {"httpHeaderValue1": "team-a", "httpHeaderValue2": "x"},
    });
    let json_type = "content-type: application/json\r\n";
    let (status, body) = up.ask("POST", "/api/ui/datasources", json_type, &source.to_string()).unwrap();
    assert_eq!(status, 201, "{body}");
    assert_eq!(loki.push("team-a", "web", &[(now_ns(), "wanted 0")]).0, 204);
    let server = format!("--server=http://{}/api/ui/proxy/l", up.address);
    let mut tail = command()
        .args(["logs", "--tail", "--output=raw", r#"{app="web"} |= "wanted""#, "--from=1m", &server])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "wanted 0");
    // More than fits the buffers on the way, and what others push is not for this tenant.
    let long = "x".repeat(100_000);
    for n in 1..5 {
        let line = format!("wanted {n} {long}");
        assert_eq!(loki.push("team-b", "web", &[(now_ns(), "wanted by nobody")]).0, 204);
        assert_eq!(loki.push("team-a", "web", &[(now_ns(), &line)]).0, 204);
        assert_eq!(lines.next().unwrap().unwrap(), line);
    }
    // The other server goes, and the client is told so by the end of its connection.
    loki.child.kill().unwrap();
    let mut errors = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(errors.next().unwrap().unwrap().contains("the tail broke"));
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn what_the_other_server_refuses_is_told_as_it_says_it() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let loki = Loki::start(other.path(), &config(other.path(), ""));
    let up = Up::start(dir.path(), ["--no-host-logs"]);
    let source = json!({"source": {"uid": "l", "name": "Other", "kind": "loki", "url": format!("http://{}", loki.address)}});
    let json_type = "content-type: application/json\r\n";
    assert_eq!(up.ask("POST", "/api/ui/datasources", json_type, &source.to_string()).unwrap().0, 201);
    // No header names a tenant.
    let server = format!("--server=http://{}/api/ui/proxy/l", up.address);
    let refused = bartizan(["logs", "--tail", r#"{app="web"}"#, &server]);
    assert!(refused.code == 1 && refused.err.contains("no org id"), "{}", refused.err);
}
