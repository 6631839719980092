//! Two that run everything, as one: each has its own rules, storage and Alertmanager.

use std::path::Path;

use super::seats::Hook;
use crate::faults::wait_for;
use crate::peer::free_address;
use crate::up::Up;

/// A rule that always fires.
fn rules(dir: &Path, alert: &str) -> String {
    let file = dir.join(format!("{alert}.yml"));
    let text = format!(
        "groups: [{{name: {alert}, interval: 1s, rules: [{{alert: {alert}, expr: 'vector(1) > 0', labels: {{told: 'yes'}}}}]}}]"
    );
    std::fs::write(&file, text).unwrap();
    format!("--log-rules={}", file.display())
}

#[test]
fn two_that_run_everything_tell_once() {
    let hook = Hook::start("127.0.0.1:0");
    let dir = tempfile::tempdir().unwrap();
    // What this machine gives rise to is nobody's business here.
    let config = format!(
        "route:\n  receiver: nobody\n  routes:\n  - {{receiver: hook, matchers: ['told=\"yes\"'], group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 2h}}\n\
         receivers: [{{name: nobody}}, {{name: hook, webhook_configs: [{{url: 'http://{}/'}}]}}]\n",
        hook.address
    );
    let file = dir.path().join("alertmanager.yml");
    std::fs::write(&file, config).unwrap();
    let (web, mesh) = ([free_address(), free_address()], [free_address(), free_address()]);
    let both = rules(dir.path(), "Both");
    let start = |index: usize| {
        let own = dir.path().join(index.to_string());
        std::fs::create_dir_all(&own).unwrap();
        let mut flags = vec![
            format!("--alertmanager-config={}", file.display()),
            format!("--alertmanager-url=http://{}", web[1 - index]),
            format!("--cluster.listen-address={}", mesh[index]),
            format!("--cluster.peer={}", mesh[1 - index]),
            both.clone(),
            "--no-host-logs".to_owned(),
        ];
        if index == 0 {
            flags.push(rules(dir.path(), "OnlyThere"));
        }
        Up::start_at(web[index], &own, flags)
    };
    let ups = [start(0), start(1)];
    for up in &ups {
        wait_for("two members", || {
            let cluster = &up.json("/api/v2/status")["cluster"];
            let members = cluster["peers"].as_array().map_or(0, Vec::len);
            (cluster["status"] == "ready" && members == 2).then_some(())
        });
        // Each knows what only one of them found out.
        wait_for("alerts of the other", || {
            let alerts = up.json("/api/v2/alerts?filter=alertname%3DOnlyThere");
            (alerts.as_array()?.len() == 1).then_some(())
        });
    }
    hook.wait_for(2);
    let asked = |up: &Up| up.metric("alertmanager_nflog_queries_total");
    for up in &ups {
        let before = asked(up).unwrap();
        wait_for("decisions", || (asked(up)? >= before + 6.0).then_some(()));
    }
    let mut names: Vec<String> =
        hook.told().iter().map(|told| told["groupLabels"]["alertname"].to_string()).collect();
    names.sort();
    assert_eq!(names, ["\"Both\"", "\"OnlyThere\""], "each once, whoever tells it");
}
