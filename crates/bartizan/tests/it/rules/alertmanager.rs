//! Alerts of the running program at a real Alertmanager.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::faults::server::Home;
use crate::faults::wait_for;
use crate::peer::{exchange, free_address};

/// A real Alertmanager; dropping it kills it.
struct Alertmanager {
    child: Child,
    address: SocketAddr,
}

impl Alertmanager {
    fn start(test: &str, dir: &Path) -> Option<Self> {
        let program = crate::support::program("prometheus-alertmanager", test)?;
        let config = dir.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
        let address = free_address();
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.join("alertmanager").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { child, address };
        wait_for("the real Alertmanager", || {
            exchange(address, "GET", "/-/ready", "", b"").filter(|(status, _)| *status == 200)
        });
        Some(started)
    }

    fn alerts(&self) -> Vec<Value> {
        let (_, body) = exchange(self.address, "GET", "/api/v2/alerts", "", b"").unwrap();
        serde_json::from_slice::<Value>(&body).unwrap().as_array().unwrap().clone()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn alerts_reach_a_real_alertmanager_and_are_resolved_there() {
    let dir = tempfile::tempdir().unwrap();
    let test = "alerts_reach_a_real_alertmanager_and_are_resolved_there";
    let Some(alertmanager) = Alertmanager::start(test, dir.path()) else { return };
    let rules = |condition: &str| {
        format!(
            "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: Fire\n    expr: {condition}\n    labels: {{severity: page}}\n    annotations: {{text: 'is {{{{ $value }}}}'}}\n"
        )
    };
    let file = dir.path().join("r.yml");
    std::fs::write(&file, rules("vector(7) > 1")).unwrap();
    // One that is not there must not hold up the other.
    let config = format!(
        "global: {{external_labels: {{dc: eu, replica: x}}}}\nrule_files: [r.yml]\nalerting:\n  alert_relabel_configs: [{{action: labeldrop, regex: replica}}]\n  alertmanagers:\n  - static_configs: [{{targets: ['{}', '{}']}}]\n",
        free_address(),
        alertmanager.address
    );
    let server = Home::new(dir.path(), &config)
        .flag("--web.enable-lifecycle")
        .flag("--web.external-url=http://here:9090/prom")
        .flag("--web.route-prefix=/")
        .start();
    let alert = wait_for("the alert to arrive", || alertmanager.alerts().first().cloned());
    assert_eq!(alert["labels"], serde_json::json!({"alertname": "Fire", "dc": "eu", "severity": "page"}));
    assert_eq!(alert["annotations"], serde_json::json!({"text": "is 7"}));
    assert_eq!(alert["generatorURL"], "http://here:9090/prom/graph?g0.expr=vector%287%29+%3E+1&g0.tab=1");
    let (_, known) = server.api("alertmanagers", &[]);
    assert_eq!(known["data"]["activeAlertmanagers"].as_array().unwrap().len(), 2);
    wait_for("the dead one to be counted", || {
        (server.own_metric("prometheus_notifications_errors_total") >= 1.0).then_some(())
    });
    assert!(server.own_metric("prometheus_notifications_sent_total") >= 1.0);

    // The same alert, no longer true.
    std::fs::write(&file, rules("vector(7) > 8")).unwrap();
    let (status, _) = exchange(server.address(), "POST", "/-/reload", "", b"").unwrap();
    assert_eq!(status, 200);
    wait_for("the alert to be resolved", || alertmanager.alerts().is_empty().then_some(()));
}
