//! The dashboards this program ships, as `dashboards/build.py` makes them.

/// Path (the folder, and the file in it) and content of each.
pub const SHIPPED: &[(&str, &str)] = &[
    ("Bartizan/alerts.json", include_str!("../../../dashboards/json/Bartizan/alerts.json")),
    ("Bartizan/bucket.json", include_str!("../../../dashboards/json/Bartizan/bucket.json")),
    ("Bartizan/cardinality.json", include_str!("../../../dashboards/json/Bartizan/cardinality.json")),
    ("Bartizan/discovery.json", include_str!("../../../dashboards/json/Bartizan/discovery.json")),
    ("Bartizan/http.json", include_str!("../../../dashboards/json/Bartizan/http.json")),
    ("Bartizan/ingest.json", include_str!("../../../dashboards/json/Bartizan/ingest.json")),
    ("Bartizan/logs-ingest.json", include_str!("../../../dashboards/json/Bartizan/logs-ingest.json")),
    ("Bartizan/logs-storage.json", include_str!("../../../dashboards/json/Bartizan/logs-storage.json")),
    ("Bartizan/logs-volume.json", include_str!("../../../dashboards/json/Bartizan/logs-volume.json")),
    ("Bartizan/overview.json", include_str!("../../../dashboards/json/Bartizan/overview.json")),
    ("Bartizan/process.json", include_str!("../../../dashboards/json/Bartizan/process.json")),
    ("Bartizan/query-cost.json", include_str!("../../../dashboards/json/Bartizan/query-cost.json")),
    ("Bartizan/remote-write.json", include_str!("../../../dashboards/json/Bartizan/remote-write.json")),
    ("Bartizan/rules.json", include_str!("../../../dashboards/json/Bartizan/rules.json")),
    ("Bartizan/scrape.json", include_str!("../../../dashboards/json/Bartizan/scrape.json")),
    ("Bartizan/targets.json", include_str!("../../../dashboards/json/Bartizan/targets.json")),
    ("Bartizan/tsdb.json", include_str!("../../../dashboards/json/Bartizan/tsdb.json")),
    ("Bartizan/wal.json", include_str!("../../../dashboards/json/Bartizan/wal.json")),
    ("Hosts/host-disks.json", include_str!("../../../dashboards/json/Hosts/host-disks.json")),
    ("Hosts/host-network.json", include_str!("../../../dashboards/json/Hosts/host-network.json")),
    ("Hosts/host-pressure.json", include_str!("../../../dashboards/json/Hosts/host-pressure.json")),
    ("Hosts/host.json", include_str!("../../../dashboards/json/Hosts/host.json")),
    ("Kubernetes/k8s-cluster.json", include_str!("../../../dashboards/json/Kubernetes/k8s-cluster.json")),
    ("Kubernetes/k8s-namespace.json", include_str!("../../../dashboards/json/Kubernetes/k8s-namespace.json")),
    ("Kubernetes/k8s-network.json", include_str!("../../../dashboards/json/Kubernetes/k8s-network.json")),
    ("Kubernetes/k8s-node.json", include_str!("../../../dashboards/json/Kubernetes/k8s-node.json")),
    ("Kubernetes/k8s-pod.json", include_str!("../../../dashboards/json/Kubernetes/k8s-pod.json")),
    ("Kubernetes/k8s-volumes.json", include_str!("../../../dashboards/json/Kubernetes/k8s-volumes.json")),
    ("Kubernetes/k8s-workload.json", include_str!("../../../dashboards/json/Kubernetes/k8s-workload.json")),
    ("Objectives/slo-latency.json", include_str!("../../../dashboards/json/Objectives/slo-latency.json")),
    ("Objectives/slo-requests.json", include_str!("../../../dashboards/json/Objectives/slo-requests.json")),
    ("Objectives/slo-targets.json", include_str!("../../../dashboards/json/Objectives/slo-targets.json")),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::SHIPPED;

    #[test]
    fn all_dashboards_are_shipped() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards/json");
        let mut there = Vec::new();
        for folder in std::fs::read_dir(root).unwrap() {
            let folder = folder.unwrap();
            for file in std::fs::read_dir(folder.path()).unwrap() {
                let (folder, file) = (folder.file_name(), file.unwrap().file_name());
                there.push(format!("{}/{}", folder.to_str().unwrap(), file.to_str().unwrap()));
            }
        }
        there.sort();
        assert_eq!(there, SHIPPED.iter().map(|&(path, _)| path).collect::<Vec<_>>());
    }

    /// Values for variables, so that queries can be read.
    fn filled(expr: &str) -> String {
        let mut text =
            expr.replace("$__rate_interval", "5m").replace("$__auto", "5m").replace("$objective", "0.99");
        while let Some(at) = text.find('$') {
            let end = text[at + 1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let end = end.map_or(text.len(), |end| at + 1 + end);
            text.replace_range(at..end, "x");
        }
        text
    }

    fn targets(panels: &serde_json::Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for panel in panels.as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                found.push((text(&target["datasource"]["type"]), text(&target["expr"])));
            }
            found.extend(targets(&panel["panels"]));
        }
        found
    }

    #[test]
    fn their_queries_can_be_read() {
        let mut count = 0;
        for (path, text) in SHIPPED {
            let dashboard: serde_json::Value = serde_json::from_str(text).unwrap();
            for (kind, expr) in targets(&dashboard["panels"]) {
                let filled = filled(&expr);
                match kind.as_str() {
                    "prometheus" => drop(
                        promql::parser::parse(&filled, &promql::parser::ParseOptions::default())
                            .unwrap_or_else(|error| panic!("{path}: {filled}: {error}")),
                    ),
                    _ => drop(
                        logql::parse(&filled).unwrap_or_else(|error| panic!("{path}: {filled}: {error}")),
                    ),
                }
                count += 1;
            }
        }
        assert!(count > 200, "{count}");
    }
}
