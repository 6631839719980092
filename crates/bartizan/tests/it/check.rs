//! `bartizan check`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Done, bartizan, command};

#[test]
fn bad_configurations_fail_and_good_ones_do_not() {
    let test = "bad_configurations_fail_and_good_ones_do_not";
    let Some(dir) = testkit::conformance::folder("prometheus-config", test) else { return };
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_bad = name.ends_with(".bad.yml");
        if !is_bad && !name.ends_with(".good.yml") {
            continue;
        }
        let mode = name.starts_with("agent_mode").then_some("--agent");
        let arguments = ["check", "config", "--syntax-only"].into_iter().chain(mode);
        let done = bartizan(arguments.chain([path.to_str().unwrap()]));
        let shown = format!("Checking {}\n", path.display());
        assert!(done.out.starts_with(&shown), "{name}: {done:?}");
        if is_bad {
            bad += 1;
            assert_eq!(done.code, 1, "{name}: {done:?}");
            assert!(done.err.starts_with("  FAILED: "), "{name}: {done:?}");
            continue;
        }
        good += 1;
        // What is valid but belongs to later work is refused by name.
        let refused = done.err.lines().filter(|line| line.starts_with("  FAILED: ")).collect::<Vec<_>>();
        assert!(refused.iter().all(|line| line.contains("is not supported yet")), "{name}: {done:?}");
        assert_eq!(done.code, i32::from(!refused.is_empty()), "{name}: {done:?}");
        let success = format!(" SUCCESS: {} is valid prometheus config file syntax\n", path.display());
        assert_eq!(done.out.contains(&success), refused.is_empty(), "{name}: {done:?}");
    }
    assert!(good > 40 && bad > 100, "only {good} good and {bad} bad files");
}

fn check_config(dir: &Path, text: &str, flags: &[&str]) -> Done {
    let file = dir.join("prometheus.yml");
    std::fs::write(&file, text).unwrap();
    bartizan(["check", "config"].iter().chain(flags).copied().chain([file.to_str().unwrap()]))
}

#[test]
fn files_that_a_configuration_names_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.rules"), "groups: []\n").unwrap();
    std::fs::write(dir.path().join("good.yml"), "- targets: ['a:1']\n").unwrap();
    let config = |files: &str, more: &str| {
        format!(
            "rule_files: ['*.rules']\nscrape_configs:\n- job_name: j\n  {more}\n  file_sd_configs:\n  - files: [{files}]\n"
        )
    };
    let good = check_config(dir.path(), &config("'good*.yml', absent.yml", ""), &[]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(
        good.out.contains("  SUCCESS: 1 rule files found\n  SUCCESS: 1 target files found\n"),
        "{good:?}"
    );
    assert!(good.out.contains("WARNING: file ") && good.out.contains("absent.yml"), "{good:?}");
    assert!(good.out.contains("a.rules\n  SUCCESS: 0 rules found\n"), "{good:?}");
    std::fs::write(dir.path().join("a.rules"), "groups:\n- nme: g\n").unwrap();
    let bad = check_config(dir.path(), &config("'good*.yml'", ""), &[]);
    assert!(bad.code == 1 && bad.err.contains("field nme not found"), "{bad:?}");
    std::fs::write(dir.path().join("a.rules"), "groups: []\n").unwrap();

    std::fs::write(dir.path().join("bad.yml"), "- targets: ['a:1']\n  lables: {}\n").unwrap();
    let bad = check_config(dir.path(), &config("bad.yml", ""), &[]);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.err.contains("bad.yml: line 2: unknown field \"lables\""), "{bad:?}");
    assert_eq!(check_config(dir.path(), &config("bad.yml", ""), &["--syntax-only"]).code, 0);

    std::fs::write(dir.path().join("path.yml"), "- targets: ['a:1/metrics']\n").unwrap();
    let target = check_config(dir.path(), &config("path.yml", ""), &[]);
    assert!(target.code == 1 && target.err.contains("is not a valid hostname"), "{target:?}");

    let key =
        check_config(dir.path(), &config("good.yml", "tls_config: {cert_file: c.pem, key_file: k.pem}"), &[]);
    assert!(key.code == 1 && key.err.contains("error checking client cert file"), "{key:?}");
    let token = check_config(dir.path(), &config("good.yml", "authorization: {credentials_file: t}"), &[]);
    assert!(token.code == 1 && token.err.contains("no such file or directory"), "{token:?}");
}

#[test]
fn web_configurations_are_checked_with_their_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = write("plain.yml", "http_server_config:\n  headers: {X-Frame-Options: deny}\n");
    let done = bartizan(["check", "web-config", &plain]);
    assert_eq!((done.code, done.err), (0, format!("{plain} SUCCESS\n")));
    let tls = write("tls.yml", "tls_server_config: {cert_file: absent.pem, key_file: absent.key}\n");
    let done = bartizan(["check", "web-config", &plain, &tls]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains(&format!("{tls} FAILED: ")) && done.err.contains("absent.pem"), "{done:?}");
    let inline = "tls_server_config:\n  cert: not a certificate\n  key: not a key\n";
    let inline = write("inline.yml", inline);
    let done = bartizan(["check", "web-config", &inline]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("inline PEM: no certificate found"), "{done:?}");
}

const EXPOSITION: &str = "# HELP a_total Counts.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 1\n\
                          # HELP task_seconds Durations.\n# TYPE task_seconds histogram\ntask_seconds_bucket{le=\"+Inf\"} 2\n\
                          task_seconds_sum 1\ntask_seconds_count 2\n";

fn check_metrics(body: &str, flags: &[&str]) -> Done {
    let mut child = command()
        .args(["check", "metrics"])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(body.as_bytes());
    child.wait_with_output().unwrap().into()
}

#[test]
fn expositions_are_checked() {
    let good = check_metrics(EXPOSITION, &[]);
    assert_eq!((good.code, good.out.as_str(), good.err.as_str()), (0, "", ""));
    let advice = check_metrics("# TYPE a counter\na 1\n", &[]);
    let expected = "a counter metrics should have \"_total\" suffix\na no help text\n";
    assert_eq!(advice.code, 3, "{advice:?}");
    let mut lines: Vec<&str> = advice.err.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    let broken = check_metrics("a{ 1\n", &[]);
    assert!(broken.code == 1 && broken.err.contains("error while linting"), "{broken:?}");
    assert_eq!(check_metrics("# TYPE a gauge\na 1\n# EOF\n", &[]).code, 0);
    let broken = check_metrics("# TYPE a counter\na 1\n# EOF\n", &[]);
    assert_eq!(broken.code, 1, "{broken:?}");
}

#[test]
fn cardinalities_are_told() {
    let done = check_metrics(EXPOSITION, &["--extended", "--lint=none"]);
    let expected = "Metric          Cardinality    Percentage    \n\
                    task_seconds    3              60.00%        \n\
                    a_total         2              40.00%        \n\
                    Total           5              100%          \n";
    assert_eq!((done.code, done.out.as_str()), (0, expected));
    assert_eq!(check_metrics(EXPOSITION, &["--lint=none"]).code, 1);
}
