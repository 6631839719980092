//! The seat of Alertmanager, asked by the real amtool, and its state through kills and faults.

mod amtool;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::{Done, bartizan, command, program};

const CONFIG: &str = "\
global: {smtp_smarthost: 'mail:25', smtp_from: am@example.org}
route:
  receiver: team
  group_by: [alertname]
  routes:
  - matchers: ['job=\"db\"']
    receiver: dba
receivers:
- name: team
- name: dba
  email_configs: [{to: dba@example.org}]
";

/// The seat as a process; dropping it kills it.
struct Seat {
    child: Option<Child>,
    address: SocketAddr,
    dir: tempfile::TempDir,
    /// Where its state is.
    data: PathBuf,
}

impl Seat {
    fn start() -> Self {
        Self::start_with(CONFIG)
    }

    fn start_with(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::start_in(dir, data, config)
    }

    /// Starts with state elsewhere.
    fn start_in(dir: tempfile::TempDir, data: PathBuf, config: &str) -> Self {
        std::fs::write(dir.path().join("alertmanager.yml"), config).unwrap();
        let mut seat = Self { child: None, address: free_address(), dir, data };
        seat.run();
        seat
    }

    /// Starts it anew.
    fn run(&mut self) {
        let log = self.dir.path().join("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = command()
            .arg("alertmanager")
            .arg(format!("--config.file={}", self.dir.path().join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", self.data.display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--cluster.listen-address=")
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_for("the Alertmanager", || {
            exchange(self.address, "GET", "/-/ready", "", b"").filter(|(status, _)| *status == 200)
        });
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn url(&self) -> String {
        format!("--alertmanager.url=http://{}", self.address)
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = exchange(self.address, "GET", path, "", b"").unwrap();
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&body).unwrap()
    }

    /// The value of a metric without labels.
    fn metric(&self, name: &str) -> f64 {
        let (_, body) = exchange(self.address, "GET", "/metrics", "", b"").unwrap();
        let text = String::from_utf8(body).unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.expect(name).parse().unwrap()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn amtool_works() {
    let Some(amtool) = program("amtool", "amtool_works") else { return };
    let seat = Seat::start();
    let url = seat.url();
    let run = |arguments: &[&str]| -> Done {
        let done: Done = Command::new(&amtool).arg(&url).args(arguments).output().unwrap().into();
        assert_eq!(done.code, 0, "{arguments:?}: {}{}", done.out, done.err);
        done
    };
    run(&["alert", "add", "Down", "job=db", "severity=critical", "--annotation=summary=gone"]);
    let alerts = run(&["alert", "query", "-o", "json"]).out;
    let alerts: Value = serde_json::from_str(&alerts).unwrap();
    assert_eq!(alerts[0]["labels"]["alertname"], "Down");
    assert_eq!(alerts[0]["receivers"][0]["name"], "dba");
    let id =
        run(&["silence", "add", "alertname=Down", "--comment=quiet", "--author=me", "--duration=1h"]).out;
    let id = id.trim();
    assert!(run(&["silence", "query"]).out.contains("quiet"));
    assert!(run(&["alert", "query"]).out.lines().count() <= 1, "only the heading is left");
    assert!(run(&["alert", "query", "--silenced"]).out.contains("Down"));
    run(&["silence", "update", id, "--duration=2h"]);
    let listed: Value = serde_json::from_str(&run(&["silence", "query", "-o", "json"]).out).unwrap();
    let current = listed[0]["id"].as_str().unwrap().to_owned();
    run(&["silence", "expire", &current]);
    assert!(run(&["silence", "query", "-q"]).out.trim().is_empty());
    assert!(run(&["config", "routes", "show"]).out.contains("job=\"db\""));
    assert_eq!(run(&["config", "routes", "test", "job=db"]).out.trim(), "dba");
    assert!(run(&["config", "show"]).out.contains("dba@example.org"));
    assert!(run(&["cluster", "show"]).out.contains("disabled"));
    assert!(
        run(&["template", "render", "--template.glob=/nonexistent", "--template.text={{ .Status }}"]).code
            == 0
    );
}

#[test]
fn our_own_commands_do_the_same() {
    let seat = Seat::start();
    let url = format!("--url=http://{}", seat.address);
    let alert = r#"[{"labels":{"alertname":"Down","job":"db"}}]"#;
    exchange(seat.address, "POST", "/api/v2/alerts", "Content-Type: application/json\r\n", alert.as_bytes())
        .unwrap();
    let listed = bartizan(["alerts", "ls", &url]);
    assert!(listed.out.contains("Down") && listed.out.contains("job=\"db\""), "{}{}", listed.out, listed.err);
    let added = bartizan(["alerts", "silence", "add", "job=db", "--comment", "c", "--author", "me", &url]);
    assert_eq!(added.code, 0, "{}", added.err);
    assert_eq!(bartizan(["alerts", "ls", &url]).out, "");
    let why = bartizan(["alerts", "explain", "alertname=Down", &url]).out;
    assert!(why.contains(&format!("silenced by {}", added.out.trim())), "{why}");
    assert!(why.contains("to receiver dba"), "{why}");
    assert_eq!(bartizan(["alerts", "silence", "expire", added.out.trim(), &url]).code, 0);
    let file = format!("--config.file={}", seat.dir.path().join("alertmanager.yml").display());
    let tested = bartizan(["alerts", "routes", "test", "job=db", "--verify.receivers=team", &file]);
    assert_eq!((tested.out.as_str(), tested.code), ("dba\n", 1));
    let metrics = exchange(seat.address, "GET", "/metrics", "", b"").unwrap().1;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(
        metrics.contains("alertmanager_alerts_received_total{status=\"firing\",version=\"v2\"} 1"),
        "{metrics}"
    );
}

#[test]
fn our_own_commands_do_what_amtool_does() {
    let seat = Seat::start();
    let url = format!("--url=http://{}", seat.address);
    let run = |arguments: &[&str]| -> String {
        let done = bartizan([&["alerts"], arguments].concat());
        assert_eq!(done.code, 0, "{arguments:?}: {}{}", done.out, done.err);
        done.out.trim().to_owned()
    };
    run(&["add", "Down", "job=db", "--annotation=summary=gone", &url]);
    assert!(run(&["ls", &url]).contains("job=\"db\""));
    let id = run(&["silence", "add", "job=db", "-c", "quiet", "--author=me", &url]);
    assert_eq!(run(&["silence", "update", &id, "--duration=3h", "--comment=longer", &url]), id);
    assert!(run(&["silence", "ls", "--within=2h", &url]).is_empty());
    let listed = run(&["silence", "query", "--json", "--created-by=me", &url]);
    assert!(listed.contains("longer"), "{listed}");
    let file = seat.dir.path().join("silences.json");
    std::fs::write(&file, listed).unwrap();
    let copy = run(&["silence", "import", "--force", &file.display().to_string(), &url]);
    assert_ne!(copy, id);
    assert_eq!(run(&["silence", "ls", "--quiet", &url]).lines().count(), 2);
    run(&["silence", "expire", &id, &copy, &url]);
    assert!(run(&["silence", "ls", &url]).is_empty());
    assert!(run(&["show-config", &url]).contains("dba@example.org"));
    assert!(run(&["cluster", &url]).contains("disabled"));
    assert_eq!(run(&["routes", "test", "job=db", &url]), "dba");
    let config = seat.dir.path().join("alertmanager.yml").display().to_string();
    assert!(run(&["check-config", &config]).contains("2 receivers with 1 integrations"));
    let broken = seat.dir.path().join("broken.yml");
    std::fs::write(&broken, "route: {receiver: nobody}\n").unwrap();
    assert_eq!(bartizan(["alerts", "check-config", &broken.display().to_string()]).code, 1);
    let text = "--template.text={{ .Status }}: {{ range .Alerts }}<{{ .Labels.instance }}>{{ end }}";
    assert_eq!(run(&["render", text]), "firing: <a:9100><b:9100>");
    assert_eq!(run(&["render", text, "--template.type=html"]), "firing: &lt;a:9100>&lt;b:9100>");
}

#[test]
fn sockets_may_be_handed_over() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alertmanager.yml");
    std::fs::write(&file, CONFIG).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // As systemd does: the third descriptor is the first socket, and the process has its own number in its environment.
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0"]).arg(command().get_program());
    let child = shell
        .arg("alertmanager")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.path().join("data").display()))
        .args(["--web.systemd-socket", "--cluster.listen-address=", "--web.listen-address=127.0.0.1:1"])
        .stdin(std::os::fd::OwnedFd::from(socket))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _seat = Seat { child: Some(child), address, data: dir.path().join("data"), dir };
    wait_for("an answer on the socket", || {
        exchange(address, "GET", "/-/ready", "", b"").filter(|(status, _)| *status == 200)
    });
    let done = bartizan(["alertmanager", "--web.systemd-socket", "--cluster.listen-address="]);
    assert_eq!(done.code, 1);
}
