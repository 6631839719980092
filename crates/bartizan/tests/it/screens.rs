//! Users and dashboards of the embedded default: the first administrator, files that bring dashboards, and what is there
//! after a crash.

use std::path::Path;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::up::Up;

/// Nobody gets in without a user.
const CLOSED: [&str; 3] = ["--anonymous-role=none", "--programs=login", "--no-host-logs"];

/// The password of the first administrator, if the log of the last start has it.
fn told_password(dir: &Path) -> Option<String> {
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    let (_, rest) = log.split_once("password=")?;
    Some(rest.split_whitespace().next().unwrap().trim_matches('"').to_owned())
}

fn ask(up: &Up, password: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("admin:{password}"));
    let headers = format!("authorization: Basic {credentials}\r\ncontent-type: application/json\r\n");
    let (status, body) = up.ask(method, path, &headers, body).unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn titles(up: &Up, password: &str, query: &str) -> Vec<String> {
    let (status, found) = ask(up, password, "GET", &format!("/api/ui/search?{query}"), "");
    assert_eq!(status, 200, "{found}");
    found.as_array().unwrap().iter().map(|found| found["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn users_and_dashboards_are_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), CLOSED);
    let password = told_password(dir.path()).expect("the first start tells the password");
    for path in ["/api/ui/search", "/api/v1/query?query=up", "/loki/api/v1/labels", "/api/v2/alerts"] {
        assert_eq!(up.ask("GET", path, "", "").unwrap().0, 401, "{path}");
        assert_eq!(ask(&up, &password, "GET", path, "").0, 200, "{path}");
        assert_eq!(ask(&up, "not the one", "GET", path, "").0, 401, "{path}");
    }
    let saved = json!({"dashboard": {"uid": "mine", "title": "Mine"}}).to_string();
    assert_eq!(ask(&up, &password, "POST", "/api/ui/dashboards", &saved).0, 200);
    drop(up);

    let provisioning = dir.path().join("provisioning");
    std::fs::create_dir_all(provisioning.join("dashboards")).unwrap();
    let provider = "providers:\n- options: {path: ./boards}\n";
    std::fs::write(provisioning.join("dashboards/all.yaml"), provider).unwrap();
    std::fs::create_dir_all(provisioning.join("dashboards/boards")).unwrap();
    std::fs::write(provisioning.join("dashboards/boards/a.json"), r#"{"title": "From a file"}"#).unwrap();
    let flag = format!("--provisioning={}", provisioning.display());
    let up = Up::start(dir.path(), CLOSED.into_iter().chain([flag.as_str()]));
    assert_eq!(told_password(dir.path()), None);
    assert_eq!(titles(&up, &password, "query=mine"), ["Mine"]);
    crate::faults::wait_for("the file", || (!titles(&up, &password, "query=file").is_empty()).then_some(()));
    assert!(titles(&up, &password, "tag=bartizan").len() >= 25);
}

#[test]
fn damaged_users_keep_nothing_else_from_being_served() {
    let dir = tempfile::tempdir().unwrap();
    drop(Up::start(dir.path(), CLOSED));
    let file = dir.path().join("data/state.db");
    std::fs::write(&file, vec![0x5a; 20_000]).unwrap();
    // The last start was killed, and from SQLite's own log even this comes back.
    std::fs::remove_file(dir.path().join("data/state.db-wal")).unwrap();
    let up = Up::start(dir.path(), CLOSED);
    let password = told_password(dir.path()).expect("new users begin with a new administrator");
    assert_eq!(ask(&up, &password, "GET", "/api/v1/query?query=1", "").0, 200);
    let names = std::fs::read_dir(dir.path().join("data")).unwrap().flatten();
    let aside: Vec<_> =
        names.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-")).collect();
    assert!(
        aside.iter().any(|entry| std::fs::read(entry.path()).unwrap() == vec![0x5a; 20_000]),
        "{aside:?}"
    );
}
