//! Wrong and odd requests to the seat of Alertmanager and to the real one: both judge them alike.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::{command, program};

const CONFIG: &str = "route: {receiver: a}\nreceivers: [{name: a}]\n";
const JSON: &str = "Content-Type: application/json\r\n";
const UUID: &str = "00000000-0000-4000-8000-000000000000";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an Alertmanager, ours or the real one, and waits until it is ready.
fn start(mut program: Command, dir: &Path, name: &str) -> (Running, SocketAddr) {
    let (file, address) = (dir.join(format!("{name}.yml")), free_address());
    std::fs::write(&file, CONFIG).unwrap();
    let child = program
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.join(name).display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    wait_for("the Alertmanager", || {
        exchange(address, "GET", "/-/ready", "", b"").filter(|(status, _)| *status == 200)
    });
    (running, address)
}

/// A silence with some fields replaced; `null` takes them away.
fn silence(changes: Value) -> String {
    let mut silence = json!({
        "matchers": [{"name": "a", "value": "b", "isRegex": false}],
        "startsAt": "2090-01-01T00:00:00Z", "endsAt": "2090-01-02T00:00:00Z", "createdBy": "me", "comment": "c",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(silence.as_object_mut().unwrap().remove(name)),
            value => silence[name.as_str()] = value.clone(),
        }
    }
    silence.to_string()
}

type Asked = (&'static str, String, &'static str, String);

fn looks() -> Vec<Asked> {
    let paths = [
        ("GET", "nothing"),
        ("GET", "silence/abc"),
        ("DELETE", "silence/abc"),
        ("GET", "silence/00000000-0000-4000-8000-000000000000"),
        ("PUT", "silence/00000000-0000-4000-8000-000000000000"),
        ("PUT", "alerts"),
        ("DELETE", "status"),
        ("POST", "status"),
        ("OPTIONS", "status"),
        ("PATCH", "silences"),
        ("GET", "alerts?active=maybe"),
        ("GET", "alerts?active="),
        ("GET", "alerts?active=false&active=true"),
        ("GET", "alerts?silenced=x&inhibited=y"),
        ("GET", "alerts?receiver=("),
        ("GET", "silences?expired=2"),
        ("GET", "alerts?filter="),
        ("GET", "alerts/groups?receiver=("),
        ("GET", "alerts/nothing"),
    ];
    paths.map(|(method, path)| (method, format!("/api/v2/{path}"), "", String::new())).into()
}

fn alerts() -> Vec<Asked> {
    let bodies = [
        "",
        "{",
        "[{]",
        "{}",
        "null",
        "7",
        "[]",
        "[] x",
        "[{}]",
        "[7]",
        "[{},{}]",
        r#"[{"labels":null}]"#,
        r#"[{"labels":7}]"#,
        r#"[{"labels":{}}]"#,
        r#"[{"labels":{"a":7}}]"#,
        r#"[{"labels":{"a":null}}]"#,
        r#"[{"labels":{"a":""}}]"#,
        r#"[{"labels":{"":"b"}}]"#,
        r#"[{"LABELS":{"a":"b"}}]"#,
        r#"[{"labels":{"a":"b"},"unknown":1}]"#,
        r#"[{"labels":{"a":"b"},"annotations":7}]"#,
        r#"[{"labels":{"a":"b"},"annotations":{"x":[]}}]"#,
        r#"[{"labels":{"a":"b"},"annotations":{"":"b"}}]"#,
        r#"[{"labels":{"a":"b"},"annotations":{"x":""}}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":"x"}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":7}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":""}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":null}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":"2020-01-01"}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":"2020-01-01T00:00:00"}]"#,
        r#"[{"labels":{"a":"b"},"endsAt":"2020-13-01T00:00:00Z"}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":"2030-01-02T00:00:00Z","endsAt":"2030-01-01T00:00:00Z"}]"#,
        r#"[{"labels":{"a":"b"},"generatorURL":7}]"#,
        r#"[{"labels":{"a":"b"},"generatorURL":""}]"#,
        r#"[{"labels":{"a":"b"},"generatorURL":"::not a url"}]"#,
        r#"[{"labels":{"a":"b"},"generatorURL":"relative/x"}]"#,
        r#"[{"labels":{"a":"b"},"generatorURL":"http://x/%zz"}]"#,
        r#"[{},{"labels":{"a":"b"},"startsAt":"x"}]"#,
    ];
    let post = |body: &str| ("POST", "/api/v2/alerts".to_owned(), JSON, body.to_owned());
    let kinds = [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/json; charset=utf-8\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
    ];
    let kinds = kinds.map(|kind| ("POST", "/api/v2/alerts".to_owned(), kind, "[]".to_owned()));
    bodies.iter().map(|body| post(body)).chain(kinds).collect()
}

fn silences() -> Vec<Asked> {
    let matcher = |matcher: Value| silence(json!({"matchers": [matcher]}));
    let bodies = vec![
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        silence(json!({})),
        silence(json!({"matchers": null})),
        silence(json!({"matchers": []})),
        silence(json!({"matchers": 7})),
        matcher(json!({})),
        matcher(json!({"name": "a"})),
        matcher(json!({"name": "a", "isRegex": false})),
        matcher(json!({"name": "a", "value": "b"})),
        matcher(json!({"name": "a", "value": "b", "isRegex": "x"})),
        matcher(json!({"name": 7, "value": "b", "isRegex": false})),
        matcher(json!({"name": "a", "value": "b", "isRegex": false, "isEqual": null})),
        silence(json!({"startsAt": null})),
        silence(json!({"startsAt": "x"})),
        silence(json!({"startsAt": ""})),
        silence(json!({"startsAt": "0001-01-01T00:00:00Z"})),
        silence(json!({"endsAt": null})),
        silence(json!({"endsAt": "2089-01-01T00:00:00Z"})),
        silence(json!({"endsAt": "0001-01-01T00:00:00Z"})),
        silence(json!({"startsAt": "2019-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:00Z"})),
        silence(json!({"createdBy": null})),
        silence(json!({"createdBy": ""})),
        silence(json!({"comment": null})),
        silence(json!({"comment": 7})),
        silence(json!({"comment": null, "createdBy": null, "matchers": null})),
        silence(json!({"id": UUID})),
        silence(json!({"id": "abc"})),
        silence(json!({"id": 7})),
    ];
    bodies.into_iter().map(|body| ("POST", "/api/v2/silences".to_owned(), JSON, body)).collect()
}

/// What matters of an answer: the status, and the body but for words that are the parser's own and for ids.
fn judged((status, body): (u16, Vec<u8>)) -> (u16, Value) {
    let mut body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if let Some(message) = body["message"].as_str()
        && let Some((about, _)) = message.split_once(", because ")
    {
        body["message"] = about.into();
    }
    // The methods a path knows come in another order each time the real one starts.
    let methods = body["message"].as_str().and_then(|message| message.split_once("but [")?.1.split_once(']'));
    if let Some((methods, _)) = methods {
        let mut sorted: Vec<_> = methods.split(',').collect();
        sorted.sort_unstable();
        body["message"] = sorted.join(",").into();
    }
    if body["silenceID"].is_string() {
        body["silenceID"] = "some".into();
    }
    if body.as_str().is_some_and(|text| text.contains("error parsing regexp")) {
        body = "a regular expression".into();
    }
    let is_listing = status == 200 && body.is_array();
    (status, if is_listing { Value::Null } else { body })
}

#[test]
fn wrong_requests_are_judged_as_by_the_real_one() {
    let Some(real) = program("prometheus-alertmanager", "wrong_requests_are_judged_as_by_the_real_one")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (_real, theirs) = start(Command::new(real), dir.path(), "theirs");
    let mut own = command();
    own.arg("alertmanager");
    let (_own, ours) = start(own, dir.path(), "ours");
    let mut differ = Vec::new();
    for (method, path, headers, body) in [looks(), alerts(), silences()].concat() {
        let ask = |address| exchange(address, method, &path, headers, body.as_bytes()).map(judged);
        // The real one closes the connection on bodies it does not read, which may overtake its answer.
        let (expected, got) = ((0..5).find_map(|_| ask(theirs)), ask(ours));
        if expected != got {
            differ
                .push(format!("{method} {path} {headers:?} {body}\n  theirs {expected:?}\n  ours   {got:?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn answers_are_as_the_description_of_the_api_says() {
    let test = "answers_are_as_the_description_of_the_api_says";
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/schemathesis");
    if !tool.is_file() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{test}: no schemathesis");
        return println!("skipped: {test}: no schemathesis (make setup)");
    }
    let Some(file) = testkit::conformance::folder("alertmanager-api", test) else { return };
    let file = file.join("openapi.yaml");
    let dir = tempfile::tempdir().unwrap();
    let mut own = command();
    own.arg("alertmanager");
    let (_own, address) = start(own, dir.path(), "ours");
    // Something to list.
    let alert = r#"[{"labels":{"alertname":"Down"},"annotations":{"a":""},"generatorURL":"http://x/"}]"#;
    exchange(address, "POST", "/api/v2/alerts", JSON, alert.as_bytes()).unwrap();
    exchange(address, "POST", "/api/v2/silences", JSON, silence(json!({})).as_bytes()).unwrap();
    // Requests that are right, and any: the shapes of refusals are not all in the description, and are compared with
    // those of the real one above.
    for (mode, checks) in
        [("positive", "not_a_server_error,response_schema_conformance"), ("all", "not_a_server_error")]
    {
        let done = Command::new(&tool)
            .arg("run")
            .arg(&file)
            .arg(format!("--url=http://{address}/api/v2"))
            .arg(format!("--mode={mode}"))
            .arg(format!("--checks={checks}"))
            .args([
                "--max-examples=40",
                "--generation-deterministic",
                "--suppress-health-check=all",
                "--no-color",
            ])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{mode}: {out}{}", String::from_utf8_lossy(&done.stderr));
    }
}
