//! A new configuration disturbs only the destinations it changes, and loses nothing.

use super::{count, counters, now, samples, sending};
use crate::faults::server::{Home, Server};
use crate::faults::wait_for;
use crate::peer::{Api, exchange};

const SERIES: usize = 50;

fn reload(server: &Server) {
    let (status, body) = exchange(server.at(), "POST", "/-/reload", "", &[]).unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
}

#[test]
fn a_changed_destination_goes_on_where_it_was_and_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let target = counters(SERIES);
    let receiver_dir = dir.path().join("second");
    std::fs::create_dir_all(&receiver_dir).unwrap();
    let receiver = Home::new(&receiver_dir, "global:\n  scrape_interval: 1h\n")
        .flag("--web.enable-remote-write-receiver")
        .start();
    let url = format!("http://{}/api/v1/write", receiver.address());
    let other = |label: &str| {
        format!(
            "- url: {url}\n  name: other\n  queue_config: {{batch_send_deadline: 50ms}}\n  \
             write_relabel_configs: [{{target_label: via, replacement: {label}}}]\n"
        )
    };
    let base = sending(target.address(), "50ms", &url, "");
    let home = Home::new(dir.path(), &format!("{base}{}", other("one"))).flag("--web.enable-lifecycle");
    let server = home.start();
    let of = |via: &str| count(&samples(&receiver, &format!("requests_total{{via=\"{via}\"}}[1h]"), &now()));
    wait_for("both to send", || (of("one") > 0 && of("") > 0).then_some(()));
    for round in 0..5 {
        let label = format!("round{round}");
        std::fs::write(&home.config, format!("{base}{}", other(&label))).unwrap();
        reload(&server);
        wait_for("the changed destination to send", || (of(&label) > SERIES).then_some(()));
    }
    let time = now();
    let one = "requests_total{path=\"/7\",via=\"\"}[1h]";
    let ours = || samples(&server, "requests_total{path=\"/7\"}[1h]", &time);
    wait_for("the unchanged destination to have everything", || {
        (samples(&receiver, one, &time) == ours()).then_some(())
    });
    // Each sample went to exactly one of the labels of the other.
    wait_for("the changed destination to have everything", || {
        let found = samples(&receiver, "requests_total{path=\"/7\",via!=\"\"}[1h]", &time);
        (count(&found) == count(&ours())).then_some(())
    });
    let starts = server.log().lines().filter(|line| line.contains("sending the write-ahead log")).count();
    assert_eq!(starts, 2 + 5, "{}", server.log());
    // A destination that is gone leaves no cursor.
    std::fs::write(&home.config, &base).unwrap();
    reload(&server);
    let files = std::fs::read_dir(home.data.join("remote_write")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("next-")), "{names:?}");
}

#[test]
fn a_server_that_could_not_send_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        "remote_write:\n- url: http://localhost:1/\n  sigv4: {region: eu-west-1, profile: no-such-profile}\n";
    let (status, log) = Home::new(dir.path(), config).try_start().err().expect("there are no credentials");
    assert!(!status.success());
    assert!(log.contains("http://localhost:1/: could not get SigV4 credentials"), "{log}");
}
