mod formats;
mod starts;
mod support;
mod targets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use discovery::TargetGroup;
use model::Labels;

use self::support::{Bench, FAST, Page, START_MS, jobs};
use super::*;

#[tokio::test]
async fn a_scrape_stores_samples_report_and_metadata() {
    let body = "# HELP m Help of m.\n# TYPE m counter\nm{a=\"1\"} 1\nm{a=\"2\",job=\"own\"} 2\nplain 3 1700000000123\n";
    let options = ScrapeOptions { append_metadata: true, ..ScrapeOptions::default() };
    let bench = Bench::start(
        Page::text(body),
        "  extra_scrape_metrics: true\n  scrape_interval: 50ms\n  scrape_timeout: 50ms\n",
        options,
    )
    .await;
    bench.scrape().await;
    assert_eq!(bench.memory.values(&bench.series("m", &[("a", "1")]))[0], "1");
    assert_eq!(bench.memory.values(&bench.series("m", &[("a", "2"), ("exported_job", "own")]))[0], "2");
    assert_eq!(
        bench.memory.lock().samples[&bench.series("plain", &[])],
        [(1_700_000_000_123, "3".to_owned())]
    );
    for (name, value) in [
        ("up", "1"),
        ("scrape_samples_scraped", "3"),
        ("scrape_samples_post_metric_relabeling", "3"),
        ("scrape_series_added", "3"),
        ("scrape_timeout_seconds", "0.05"),
        ("scrape_sample_limit", "0"),
        ("scrape_body_size_bytes", &body.len().to_string()),
    ] {
        assert_eq!(bench.memory.values(&bench.series(name, &[]))[0], value, "{name}");
    }
    let metadata = bench.memory.lock().metadata[&bench.series("m", &[("a", "1")])].clone();
    assert_eq!((metadata.metric_type.as_str(), metadata.help.as_str()), ("counter", "Help of m."));
    let view = bench.manager.pool("j").unwrap();
    assert_eq!(view.active[0].metadata_of("m").unwrap(), metadata);
    assert_eq!(view.active[0].target.last_scrape().health, Health::Up);
    let seen = bench.server.seen.lock().clone();
    assert_eq!(seen["x-prometheus-scrape-timeout-seconds"], "0.05");
    assert!(
        seen[header::ACCEPT]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,")
    );
    // Known series are not resolved again.
    bench.scrape().await;
    let resolved = bench.memory.lock().resolved;
    bench.scrape().await;
    assert_eq!(bench.memory.lock().resolved, resolved);
    assert_eq!(bench.memory.last(&bench.series("scrape_series_added", &[])).unwrap(), "0");
    bench.manager.stop().await;
}

#[tokio::test]
async fn vanished_series_and_failed_scrapes_are_marked_stale() {
    let bench = Bench::start(Page::text("a 1\nb 2\n"), FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    bench.server.show("a 1\n");
    while bench.memory.last(&bench.series("b", &[])).as_deref() != Some("stale") {
        bench.scrape().await;
    }
    bench.scrape().await;
    let b = bench.memory.values(&bench.series("b", &[]));
    assert_eq!(b.iter().filter(|v| *v == "stale").count(), 1);
    bench.server.page.lock().status = StatusCode::SERVICE_UNAVAILABLE;
    while bench.memory.last(&bench.series("a", &[])).as_deref() != Some("stale") {
        bench.scrape().await;
    }
    assert_eq!(bench.memory.last(&bench.series("up", &[])).unwrap(), "0");
    assert_eq!(bench.error(), "server returned HTTP status 503 Service Unavailable");
    bench.server.page.lock().status = StatusCode::OK;
    while bench.memory.last(&bench.series("a", &[])).as_deref() != Some("1") {
        bench.scrape().await;
    }
    // A body that breaks off counts as none at all.
    bench.server.show("a 7\nb{\n");
    while bench.memory.last(&bench.series("a", &[])).as_deref() != Some("stale") {
        bench.scrape().await;
    }
    assert!(!bench.memory.values(&bench.series("a", &[])).contains(&"7".to_owned()));
    assert!(bench.error().starts_with("expected label name, got"), "{}", bench.error());
    bench.manager.stop().await;
}

#[tokio::test]
async fn limits_fail_the_scrape_by_name_and_count() {
    for (yaml, error, metric, samples) in [
        (
            "  sample_limit: 1\n",
            "sample limit exceeded",
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "2",
        ),
        (
            "  label_limit: 3\n",
            "label_limit exceeded (metric: m, number of labels: 4, limit: 3)",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
            "1",
        ),
        (
            "  body_size_limit: 10B\n",
            "body size limit exceeded",
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "0",
        ),
        ("  target_limit: 0\n", "", "prometheus_target_scrape_pools_total", "2"),
    ] {
        let bench = Bench::start(
            Page::text("m{a=\"1\"} 1\nn 2\n"),
            &format!("{FAST}{yaml}"),
            ScrapeOptions::default(),
        )
        .await;
        bench.scrape().await;
        assert_eq!(bench.error(), error);
        assert!(bench.counter(metric) >= 1.0, "{metric}");
        assert_eq!(bench.memory.values(&bench.series("scrape_samples_scraped", &[]))[0], samples, "{yaml}");
        assert_eq!(bench.memory.values(&bench.series("m", &[("a", "1")])).is_empty(), !error.is_empty());
        bench.manager.stop().await;
    }
}

#[tokio::test]
async fn too_many_targets_fail_them_all() {
    let bench =
        Bench::start(Page::text("a 1\n"), &format!("{FAST}  target_limit: 1\n"), ScrapeOptions::default())
            .await;
    let addresses = [bench.server.address.clone(), "127.0.0.1:1".to_owned()];
    let group = TargetGroup::of_addresses("static".into(), Labels::empty(), &addresses);
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))).await;
    bench.scrape().await;
    bench.scrape().await;
    let expected = "target_limit exceeded (number of targets: 2, limit: 1)";
    let view = bench.manager.pool("j").unwrap();
    assert!(view.active.iter().any(|active| active.target.last_scrape().error == expected));
    bench.manager.stop().await;
}

#[tokio::test]
async fn metric_relabelling_drops_and_renames_once() {
    let rules = "  metric_relabel_configs:\n  - {source_labels: [__name__], regex: gone, action: drop}\n\
                 \x20 - {source_labels: [a], regex: (.+), target_label: b}\n";
    let bench = Bench::start(
        Page::text("gone 1\nm{a=\"x\"} 2\n"),
        &format!("{FAST}{rules}"),
        ScrapeOptions::default(),
    )
    .await;
    bench.scrape().await;
    bench.scrape().await;
    assert_eq!(bench.memory.values(&bench.series("m", &[("a", "x"), ("b", "x")]))[0], "2");
    assert!(bench.memory.names().iter().all(|name| !name.contains("gone")));
    assert_eq!(bench.memory.values(&bench.series("scrape_samples_post_metric_relabeling", &[]))[0], "1");
    bench.manager.stop().await;
}

#[tokio::test]
async fn compressed_bodies_exemplars_and_start_timestamps() {
    let body = "# TYPE c counter\nc_total 5 # {id=\"b\"} 2 1700000000.5\nc_created 1600000000\n# EOF\n";
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
    let page = Page {
        content_type: "application/openmetrics-text; version=1.0.0",
        encoding: "gzip",
        body: encoder.finish().unwrap(),
        ..Page::text("")
    };
    let options = ScrapeOptions {
        start_timestamps: true,
        start_timestamp_zero_ingestion: true,
        ..ScrapeOptions::default()
    };
    let bench = Bench::start(page, FAST, options).await;
    bench.scrape().await;
    bench.scrape().await;
    let name = bench.series("c_total", &[]);
    let values = bench.memory.values(&name);
    assert_eq!(values[..3], ["0", "5 since 1600000000000", "5 since 1600000000000"]);
    assert_eq!(bench.memory.lock().exemplars[0], format!("{name} {{id=\"b\"}} 2 1700000000500"));
    assert!(bench.memory.names().iter().all(|name| !name.contains("c_created")));
    bench.manager.stop().await;
}

#[tokio::test]
async fn a_series_the_storage_forgot_is_resolved_again() {
    let bench = Bench::start(Page::text("a 1\n"), FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    bench.scrape().await;
    {
        let mut stored = bench.memory.lock();
        stored.refs.iter_mut().for_each(|labels| *labels = None);
    }
    let before = bench.memory.values(&bench.series("a", &[])).len();
    bench.scrape().await;
    bench.scrape().await;
    let values = bench.memory.values(&bench.series("a", &[]));
    assert!(values.len() > before && values.iter().all(|v| v == "1"), "{values:?}");
    bench.manager.stop().await;
}

#[tokio::test]
async fn unknown_formats_duplicates_and_future_samples() {
    let future = START_MS + 3_600_000;
    let page = Page { content_type: "text/html", ..Page::text("a 1\n") };
    let bench = Bench::start(page, FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    assert_eq!(
        bench.error(),
        "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target"
    );
    {
        let mut page = bench.server.page.lock();
        page.content_type = "text/plain";
        page.body = format!("a 1\na 2\nb 3 {future}\n").into();
    }
    while bench.memory.last(&bench.series("a", &[])).is_none() {
        bench.scrape().await;
    }
    assert_eq!(bench.memory.values(&bench.series("a", &[]))[0], "1");
    assert!(bench.memory.values(&bench.series("b", &[])).is_empty());
    assert!(bench.counter("prometheus_target_scrapes_sample_duplicate_timestamp_total") >= 1.0);
    assert!(bench.counter("prometheus_target_scrapes_sample_out_of_bounds_total") >= 1.0);
    bench.manager.stop().await;
}

#[tokio::test]
async fn a_removed_target_ends_its_series_and_a_reload_does_not() {
    let bench = Bench::start(Page::text("a 1\n"), FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    // Only what does not concern series changed: the task goes on with what it knows.
    bench.manager.apply(&jobs(&format!("{FAST}  sample_limit: 9\n")).jobs, &Labels::empty()).await.unwrap();
    bench.scrape().await;
    bench.scrape().await;
    assert_eq!(bench.memory.last(&bench.series("scrape_series_added", &[])).unwrap(), "0");
    assert!(!bench.memory.values(&bench.series("a", &[])).contains(&"stale".to_owned()));
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![])]))).await;
    assert!(bench.manager.pool("j").unwrap().active.is_empty());
    while bench.memory.last(&bench.series("up", &[])).as_deref() != Some("stale") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.memory.last(&bench.series("a", &[])).unwrap(), "stale");
    bench.manager.stop().await;
}

#[tokio::test]
async fn timeouts_and_refused_connections_say_so_and_are_logged_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("failures.json");
    let page = Page { delay: Duration::from_secs(60), ..Page::text("a 1\n") };
    let yaml = format!("{FAST}  scrape_failure_log_file: {}\n", log.display());
    let bench = Bench::start(page, &yaml, ScrapeOptions::default()).await;
    bench.scrape().await;
    let expected = format!("Get \"http://{}/metrics\": context deadline exceeded", bench.server.address);
    assert_eq!(bench.error(), expected);
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(&log).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((line["msg"].as_str(), line["job_name"].as_str()), (Some(expected.as_str()), Some("j")));
    // A reload that changes nothing opens the file anew, so that it can be rotated.
    std::fs::rename(&log, folder.path().join("rotated.json")).unwrap();
    bench.manager.apply(&jobs(&yaml).jobs, &Labels::empty()).await.unwrap();
    bench.scrape().await;
    bench.scrape().await;
    assert!(std::fs::read_to_string(&log).unwrap().contains("context deadline exceeded"));
    bench.manager.stop().await;
}

#[tokio::test]
async fn dropped_targets_are_shown_up_to_the_limit() {
    let yaml = "  keep_dropped_targets: 1\n  relabel_configs:\n  - {source_labels: [__address__], regex: '.*:2', action: drop}\n";
    let bench = Bench::start(Page::text("a 1\n"), yaml, ScrapeOptions::default()).await;
    let addresses = ["a:1", "b:2", "c:2", "a:1"];
    let group = TargetGroup::of_addresses("static".into(), Labels::empty(), &addresses);
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))).await;
    let view = bench.manager.pool("j").unwrap();
    assert_eq!((view.active.len(), view.dropped.len(), view.dropped_count), (1, 1, 2));
    assert_eq!(view.dropped[0].get("__address__"), Some("b:2"));
    assert_eq!(view.active[0].target.url(), "http://a:1/metrics");
    bench.manager.stop().await;
}

#[tokio::test]
async fn what_a_scrape_cost_and_why_targets_are_missing_is_told() {
    let yaml = "  metric_relabel_configs:\n  - {source_labels: [__name__], regex: b, action: drop}\n";
    let page = "a 1\nb 2\nc 3\n";
    let bench = Bench::start(Page::text(page), yaml, ScrapeOptions::default()).await;
    bench.scrape().await;
    let first = bench.manager.pool("j").unwrap().active[0].target.last_scrape().cost;
    let body_bytes = page.len() as u64;
    assert_eq!(first, ScrapeCost { samples: 3, samples_kept: 2, series_added: 2, body_bytes });
    bench.scrape().await;
    let second = bench.manager.pool("j").unwrap().active[0].target.last_scrape().cost;
    assert_eq!(second, ScrapeCost { series_added: 0, ..first });

    let group = TargetGroup::of_addresses("static".into(), Labels::empty(), &["a:1", "b/path"]);
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))).await;
    let unusable = bench.manager.pool("j").unwrap().unusable;
    assert_eq!(unusable, ["instance 1 in group static: \"b/path\" is not a valid hostname"]);
    bench.manager.stop().await;
}
