//! Objects in a bucket of a real server that speaks S3.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;

use super::{Loki, config, now_ns};
use crate::faults::wait_for;
use crate::peer::exchange;

/// The server; dropping it kills it.
struct S3 {
    child: Child,
    port: u16,
    _turn: MutexGuard<'static, ()>,
}

/// Several of these servers at once get in each other's way.
static TURN: Mutex<()> = Mutex::new(());

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn weed(test: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/weed");
    if !tools.is_file() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "SeaweedFS is not installed");
        println!("skipped: {test}: SeaweedFS is not installed");
        return None;
    }
    Some(tools)
}

/// A port whose neighbour ten thousand above is a port, too: there the server talks to itself.
fn port() -> u16 {
    loop {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}

impl S3 {
    fn start(weed: &Path, dir: &Path) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (master, volume, filer, s3) = (port(), port(), port(), port());
        let mut child = Command::new(weed)
            .args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64"])
            .args(["-volume.max=20", "-master.electionTimeout=1s"])
            .arg(format!("-dir={}", dir.display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while log.read_line(&mut line).unwrap_or(0) > 0 && !line.contains("Start Seaweed S3 API Server") {
            line.clear();
        }
        // What it goes on to say must be read, or it would wait for that.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let server = Self { child, port: s3, _turn: turn };
        wait_for("the bucket to be made", || {
            let address = ([127, 0, 0, 1], server.port).into();
            let (status, _) = exchange(address, "PUT", "/logs", "", &[])?;
            (status == 200).then_some(())
        });
        server
    }
}

#[test]
fn objects_are_in_the_bucket_the_configuration_names() {
    let Some(weed) = weed("objects_are_in_the_bucket_the_configuration_names") else { return };
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let s3 = S3::start(&weed, data.path());
    let config = format!(
        "auth_enabled: true
common:
  path_prefix: {}
  storage:
    s3:
      s3: http://any:any@127.0.0.1:{}/logs
      region: us-east-1
      s3forcepathstyle: true
storage_config: {{object_prefix: team/logs}}
schema_config: {{configs: [{{from: 2024-01-01, store: tsdb, object_store: s3, schema: v13}}]}}
",
        dir.path().display(),
        s3.port
    );
    let loki = Loki::start(dir.path(), &config);
    assert_eq!(loki.push("a", "web", &[(now_ns(), "kept far away")]).0, 204);
    assert_eq!(loki.ask("a", "POST", "/flush", "").0, 204);
    drop(loki);
    // Another one, which has nothing but the bucket.
    std::fs::remove_dir_all(dir.path().join("wal")).unwrap();
    let loki = Loki::start(dir.path(), &config);
    assert_eq!(loki.lines("a", r#"{app="web"}"#), ["kept far away"]);
}

/// A group of one recording rule, as rulers of Loki keep it in a bucket.
fn group(name: &str, record: &str) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    };
    let rule = [field(1, br#"sum(count_over_time({app="web"}[1h]))"#), field(2, record.as_bytes())].concat();
    [field(1, name.as_bytes()), field(3, &[8, 1]), field(4, &rule)].concat()
}

#[test]
fn rules_are_read_from_a_bucket() {
    let Some(weed) = weed("rules_are_read_from_a_bucket") else { return };
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let s3 = S3::start(&weed, data.path());
    let put = |name: &str, record: &str| {
        let base64 = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
        let path = format!("/logs/rules/a/{}/{}", base64("team/shop"), base64(name));
        let address = ([127, 0, 0, 1], s3.port).into();
        assert_eq!(exchange(address, "PUT", &path, "", &group(name, record)).unwrap().0, 200);
    };
    put("errors", "web:errors");
    let more = format!(
        "ruler:
  poll_interval: 1s
  storage:
    type: s3
    s3: {{s3: 'http://any:any@127.0.0.1:{}/logs', region: us-east-1, s3forcepathstyle: true}}
",
        s3.port
    );
    let loki = Loki::start(dir.path(), &config(dir.path(), &more));
    let shown = |expected: &[(&str, &str)]| {
        wait_for("the rules to be those of the bucket", || {
            let (_, body) = loki.ask("a", "GET", "/prometheus/api/v1/rules", "");
            let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
            let groups = answer["data"]["groups"].as_array()?;
            let found: Vec<_> = groups
                .iter()
                .filter(|group| group["file"] == "team/shop")
                .filter_map(|group| Some((group["name"].as_str()?, group["rules"][0]["name"].as_str()?)))
                .collect();
            (found == expected).then_some(())
        });
    };
    shown(&[("errors", "web:errors")]);
    put("errors", "web:errors:new");
    put("more", "web:more");
    shown(&[("errors", "web:errors:new"), ("more", "web:more")]);
}
