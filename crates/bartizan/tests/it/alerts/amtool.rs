//! Each command of the real amtool, asking the real Alertmanager and ours: the same output and exit code. And what
//! `bartizan alerts` prints in amtool's forms.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{CONFIG, Seat};
use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::{Done, bartizan, program};

/// Kills what is started when it goes out of use.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The real Alertmanager and where it listens.
fn real(program: &Path, dir: &Path) -> (Running, String) {
    let (file, address) = (dir.join("alertmanager.yml"), free_address());
    std::fs::write(&file, CONFIG).unwrap();
    let child = Command::new(program)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    wait_for("the real Alertmanager", || {
        exchange(address, "GET", "/-/ready", "", b"").filter(|(status, _)| *status == 200)
    });
    (running, format!("http://{address}"))
}

/// A text without what differs from run to run: ids, moments and addresses. Cells of tables grow with those, so runs of
/// spaces are one.
fn plain(text: &str, url: &str) -> String {
    let replaced = text.replace(url, "URL").replace(url.trim_start_matches("http://"), "ADDRESS");
    let word = |word: &str| {
        let is_id = word.len() == 36 && word.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
        let is_moment = word.len() >= 8
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.bytes().all(|b| b.is_ascii_digit() || b":-TZ.".contains(&b));
        match (is_id, is_moment) {
            (true, _) => "ID".to_owned(),
            (_, true) => "MOMENT".to_owned(),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| {
        line.split([' ', '"']).filter(|part| !part.is_empty()).map(word).collect::<Vec<_>>().join(" ")
    };
    // It notes that ours has another version than it has.
    let told = replaced.lines().filter(|line| !line.starts_with("Warning: amtool version"));
    told.map(line).collect::<Vec<_>>().join("\n")
}

/// What both are asked, one after the other; `ID` is the silence made last. Ending one that there is not is left out: newer
/// versions than the real one here have a status for it.
const COMMANDS: &[&[&str]] = &[
    &["alert", "query"],
    &[
        "alert",
        "add",
        "Down",
        "job=db",
        "severity=critical",
        "--annotation=summary=gone",
        "--start=2026-01-02T03:04:05Z",
    ],
    &[
        "alert",
        "add",
        "alertname=Slow",
        "job=api",
        "--generator-url=http://prom/graph",
        "--start=2026-01-02T03:04:06Z",
    ],
    &["alert", "add", "job"],
    &["alert", "query"],
    &["alert", "query", "-o", "extended", "--date.format=2006"],
    &["alert", "query", "alertname=~S.*"],
    &["alert", "query", "--receiver=dba", "-o", "simple"],
    &["alert", "query", "--receiver=("],
    &["alert", "query", "a=~("],
    &["alert", "Slow"],
    &["silence", "add", "alertname=Down", "--author=me", "--duration=1h"],
    &["silence", "add", "--comment=quiet", "--author=me"],
    &["silence", "add", "alertname=Down", "--comment=quiet", "--author=me", "--duration=x"],
    &["silence", "add", "alertname=Down", "job!=api", "--comment=quiet", "--author=me", "--duration=1h"],
    &["silence", "query"],
    &["silence", "query", "-o", "extended"],
    &["silence", "query", "-q"],
    &["silence", "query", "alertname=Down"],
    &["silence", "query", "alertname=Other"],
    &["silence", "query", "--created-by=you"],
    &["silence", "query", "--within=2h"],
    &["alert", "query"],
    &["alert", "query", "--silenced"],
    &["silence", "update", "ID", "--duration=2h", "--comment=longer"],
    &["silence", "query"],
    &["silence", "update", "00000000-0000-4000-8000-000000000000", "--duration=2h"],
    &["silence", "update", "nonsense"],
    &["silence", "expire", "LISTED"],
    &["silence", "expire", "LISTED"],
    &["silence", "expire", "nonsense"],
    &["silence", "expire"],
    &["silence", "query"],
    &["silence", "query", "--expired"],
    &["silence", "import", "SILENCES"],
    &["silence", "query", "-o", "simple"],
    &["config", "routes", "show"],
    &["config", "routes", "test", "job=db"],
    &["config", "routes", "test", "job=db", "--verify.receivers=dba"],
    &["config", "routes", "test", "job=api", "--verify.receivers=dba"],
    &["config", "routes", "test", "job"],
    &["check-config", "CONFIG"],
    &["check-config", "/nonexistent"],
    &["cluster", "show"],
    &["template", "render", "--template.glob=/nonexistent", "--template.text={{ .Status }}"],
    &["nothing"],
];

/// Asks one of the two, with its own ids put in.
fn ask(amtool: &Path, url: &str, files: &[(&str, &Path)], made: &mut String, arguments: &[&str]) -> Done {
    let quiet = || {
        let done: Done = Command::new(amtool)
            .args([&format!("--alertmanager.url={url}"), "silence", "query", "-q"])
            .output()
            .unwrap()
            .into();
        done.out.trim().to_owned()
    };
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| match *argument {
            "ID" => made.clone(),
            "LISTED" => Some(quiet()).filter(|id| !id.is_empty()).unwrap_or_else(|| made.clone()),
            other => files
                .iter()
                .find(|(name, _)| *name == other)
                .map_or(other.to_owned(), |(_, path)| path.display().to_string()),
        })
        .collect();
    let done: Done = Command::new(amtool)
        .arg(format!("--alertmanager.url={url}"))
        .args(&arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into();
    let line = done.out.trim();
    if line.len() == 36 && !line.contains(' ') {
        line.clone_into(made);
    }
    done
}

fn installed(test: &str) -> Option<(PathBuf, PathBuf)> {
    Some((program("amtool", test)?, program("prometheus-alertmanager", test)?))
}

#[test]
fn amtool_hears_from_us_what_it_hears_from_the_real_one() {
    let test = "amtool_hears_from_us_what_it_hears_from_the_real_one";
    let Some((amtool, program)) = installed(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (_real, theirs) = real(&program, dir.path());
    let seat = Seat::start();
    let ours = format!("http://{}", seat.address);
    let (config, silences) = (dir.path().join("alertmanager.yml"), dir.path().join("silences.json"));
    let silence = r#"[{"matchers":[{"name":"a","value":"b.*","isRegex":true,"isEqual":false}],"startsAt":"2026-01-02T03:04:05Z","endsAt":"2090-01-02T03:04:05Z","createdBy":"file","comment":"c"}]"#;
    std::fs::write(&silences, silence).unwrap();
    let files = [("CONFIG", config.as_path()), ("SILENCES", silences.as_path())];
    let (mut made, mut made_there) = (String::new(), String::new());
    let mut different = Vec::new();
    for command in COMMANDS {
        let there = ask(&amtool, &theirs, &files, &mut made_there, command);
        let here = ask(&amtool, &ours, &files, &mut made, command);
        let show = |done: &Done, url: &str| (done.code, plain(&done.out, url), plain(&done.err, url));
        let (there, here) = (show(&there, &theirs), show(&here, &ours));
        if there != here {
            different.push(format!("{command:?}\n  theirs: {there:?}\n  ours:   {here:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn our_commands_print_what_amtool_prints() {
    let Some(amtool) = program("amtool", "our_commands_print_what_amtool_prints") else { return };
    let seat = Seat::start();
    let url = format!("http://{}", seat.address);
    let real = |arguments: &[&str]| -> String {
        let done: Done = Command::new(&amtool)
            .arg(format!("--alertmanager.url={url}"))
            .args(arguments)
            .output()
            .unwrap()
            .into();
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    };
    let own = |arguments: &[&str]| -> String {
        let done = bartizan([&["alerts"], arguments, &[&format!("--url={url}")]].concat());
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    };
    own(&["add", "Down", "job=db", "--annotation=summary=gone ä", "--start=2026-01-02T03:04:05Z"]);
    own(&["add", "Slow", "job=api", "--generator-url=http://prom/graph", "--start=2026-01-01T03:04:05Z"]);
    own(&["silence", "add", "alertname=Down", "job!=api", "--comment=quiet", "--author=me"]);
    own(&["silence", "add", "a=~b.*", "--comment=", "--author=you", "--duration=30m"]);
    for form in ["simple", "extended"] {
        assert_eq!(own(&["ls", "-o", form]), real(&["alert", "query", "-o", form]));
        assert_eq!(
            own(&["ls", "--silenced", "-o", form]),
            real(&["alert", "query", "--silenced", "-o", form])
        );
        assert_eq!(
            own(&["ls", "--all", "--receiver=dba", "-o", form]),
            real(&["alert", "query", "-s", "-i", "--receiver=dba", "-o", form])
        );
        assert_eq!(own(&["silence", "ls", "-o", form]), real(&["silence", "query", "-o", form]));
        assert_eq!(own(&["cluster", "-o", form]), real(&["cluster", "show", "-o", form]));
    }
    assert_eq!(own(&["show-config", "-o", "simple"]), real(&["config", "show", "-o", "simple"]));
    for (ours, theirs) in
        [(["ls"].as_slice(), ["alert", "query"]), (&["silence", "ls"], ["silence", "query"])]
    {
        let json = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
        let own = json(own(&[ours, &["-o", "json"]].concat()));
        let real = json(real(&[theirs.as_slice(), &["-o", "json"]].concat()));
        assert!(shows(&own, &real), "{own}\n{real}");
    }
}

/// Whether a value has all another one has, which an older program printed that knows fewer fields.
fn shows(own: &Value, older: &Value) -> bool {
    match (own, older) {
        (Value::Object(own), Value::Object(older)) => {
            older.iter().all(|(name, older)| own.get(name).is_some_and(|own| shows(own, older)))
        }
        (Value::Array(own), Value::Array(older)) => {
            own.len() == older.len() && own.iter().zip(older).all(|(own, older)| shows(own, older))
        }
        _ => own == older,
    }
}
