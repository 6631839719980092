//! Targets and what becomes of the labels and timestamps of their samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use discovery::TargetGroup;
use model::Labels;

use super::support::{Bench, FAST, Page};
use crate::scrape::ScrapeOptions;

async fn scraped(body: &str, yaml: &str) -> Bench {
    let bench = Bench::start(Page::text(body), &format!("{FAST}{yaml}"), ScrapeOptions::default()).await;
    bench.scrape().await;
    bench
}

#[tokio::test]
async fn honoured_labels_win_and_others_are_exported() {
    let body = "m{job=\"own\",instance=\"i\",exported_job=\"e\",empty=\"\"} 1\n";
    let bench = scraped(body, "  honor_labels: true\n").await;
    let honoured = r#"{__name__="m", exported_job="e", instance="i", job="own"}"#;
    assert_eq!(bench.memory.values(honoured)[0], "1");
    bench.manager.stop().await;
    let bench = scraped(body, "").await;
    let exported = [("exported_exported_job", "own"), ("exported_instance", "i"), ("exported_job", "e")];
    assert_eq!(bench.memory.values(&bench.series("m", &exported))[0], "1", "{:?}", bench.memory.names());
    bench.manager.stop().await;
}

#[tokio::test]
async fn timestamps_are_kept_ignored_or_tracked_as_the_job_says() {
    let body = "m 1 1690000000000\n";
    let bench = scraped(body, "  honor_timestamps: false\n").await;
    let up_ms = bench.memory.lock().samples[&bench.series("up", &[])][0].0;
    assert_eq!(bench.memory.lock().samples[&bench.series("m", &[])][0].0, up_ms);
    bench.manager.stop().await;

    // A series with its own timestamps does not end with the scrape that lacks it, unless that is asked for.
    for (yaml, expected) in [("", "1"), ("  track_timestamps_staleness: true\n", "stale")] {
        let bench = scraped(body, yaml).await;
        let name = bench.series("m", &[]);
        assert_eq!(bench.memory.lock().samples[&name][0].0, 1_690_000_000_000);
        bench.scrape_page(Page::text("n 1\n")).await;
        assert_eq!(bench.memory.last(&name).unwrap(), expected, "{yaml}");
        bench.manager.stop().await;
    }
}

#[tokio::test]
async fn every_label_limit_fails_the_scrape() {
    for (yaml, error) in [
        (
            "  label_name_length_limit: 8\n",
            "label_name_length_limit exceeded (metric: m, label name: long_name, length: 9, limit: 8)",
        ),
        (
            "  label_value_length_limit: 30\n",
            "label_value_length_limit exceeded (metric: m, label name: long_name, \
             value: \"0123456789012345678901234567890\", length: 31, limit: 30)",
        ),
    ] {
        let bench = scraped("m{long_name=\"0123456789012345678901234567890\"} 1\n", yaml).await;
        assert_eq!(bench.error(), error);
        assert_eq!(bench.reported("up"), "0");
        bench.manager.stop().await;
    }
}

#[tokio::test]
async fn the_sample_limit_counts_what_relabelling_leaves() {
    let drop = "  sample_limit: 1\n  metric_relabel_configs:\n  - {source_labels: [__name__], regex: gone.*, action: drop}\n";
    let bench = scraped("gone1 1\ngone2 1\nm 1\n", drop).await;
    assert_eq!(bench.reported("up"), "1", "{}", bench.error());
    bench.scrape_page(Page::text("gone1 1\nm 1\nn 1\no 1\n")).await;
    assert_eq!(bench.error(), "sample limit exceeded");
    let report =
        ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"];
    assert_eq!(report.map(|name| bench.reported(name)), ["0", "4", "3", "0"]);
    assert_eq!(bench.memory.last(&bench.series("m", &[])).unwrap(), "stale");
    bench.manager.stop().await;
}

#[tokio::test]
async fn parameters_and_paths_reach_the_target() {
    let yaml = "  metrics_path: /a b?c\n  params: {module: [x, y], '__x': ['1&2']}\n";
    let bench = scraped("m 1\n", yaml).await;
    let url = format!("http://{}/a%20b%3Fc?__x=1%262&module=x&module=y", bench.server.address);
    assert_eq!(bench.manager.pools()["j"].active[0].target.url(), url);
    assert_eq!(*bench.server.asked.lock(), "/a%20b%3Fc?__x=1%262&module=x&module=y");
    bench.manager.stop().await;
}

#[tokio::test]
async fn targets_behind_unix_sockets_are_told_apart_by_socket() {
    let folder = tempfile::tempdir().unwrap();
    let mut targets = Vec::new();
    for name in ["one", "two"] {
        let path = folder.path().join(name);
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let app = axum::Router::new().fallback(move || async move { format!("{name} 1\n") });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let path = path.to_str().unwrap();
        targets.push(Labels::from_pairs([
            ("__address__", "localhost"),
            ("__unix_socket__", path),
            ("s", name),
        ]));
    }
    let missing = folder.path().join("none");
    let pairs = [("__address__", "localhost"), ("__unix_socket__", missing.to_str().unwrap()), ("s", "none")];
    targets.push(Labels::from_pairs(pairs));
    let bench = scraped("m 1\n", "").await;
    let group = TargetGroup { targets, labels: Labels::empty(), source: "s".into() };
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))).await;
    let name = |s: &str, metric: &str| {
        format!("{{__name__=\"{metric}\", instance=\"localhost\", job=\"j\", s=\"{s}\"}}")
    };
    for s in ["one", "two", "none"] {
        while bench.memory.values(&name(s, "up")).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    assert_eq!(bench.memory.values(&name("one", "one"))[0], "1");
    assert_eq!(bench.memory.values(&name("two", "two"))[0], "1");
    assert!(bench.memory.values(&name("two", "one")).is_empty());
    assert_eq!(bench.memory.values(&name("none", "up"))[0], "0");
    let view = bench.manager.pool("j").unwrap();
    let failed = view.active.iter().find(|active| active.target.labels().get("s") == Some("none")).unwrap();
    assert_eq!(
        failed.target.last_scrape().error,
        format!(
            "Get \"http://localhost/metrics\": dial unix {}: connect: no such file or directory",
            missing.display()
        )
    );
    bench.manager.stop().await;
}
