use std::path::PathBuf;

use super::*;
use crate::exposition::{Entry, Exposition, NothingKnown, ParseOptions, Parser, RawLabels};
use crate::negotiate::MediaType;

/// The conformance folder `name`, or a plain word that the test is skipped.
fn conformance(name: &str, test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BARTIZAN_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    eprintln!("skipped {test}: no conformance data at {}", folder.display());
    None
}

#[test]
fn the_open_metrics_suite_passes() {
    let Some(folder) = conformance("exposition/openmetrics", "the_open_metrics_suite_passes") else { return };
    let mut wrong = Vec::new();
    let mut cases = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let path = case.unwrap().path();
        let test = std::fs::read_to_string(path.join("test.json")).unwrap();
        let test: serde_json::Value = serde_json::from_str(&test).unwrap();
        let body = std::fs::read(path.join(test["file"].as_str().unwrap())).unwrap();
        let result = validate_open_metrics(&body);
        cases += 1;
        if result.is_ok() != test["shouldParse"].as_bool().unwrap() {
            wrong.push(format!("{}: {result:?}", path.file_name().unwrap().display()));
        }
    }
    assert!(cases > 150, "only {cases} cases");
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {cases} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_large_bodies_parse() {
    let Some(folder) = conformance("exposition/prometheus", "the_large_bodies_parse") else { return };
    for (file, media_type) in [
        ("alltypes.237mfs.prom.txt", MediaType::Text),
        ("alltypes.237mfs.nometa.prom.txt", MediaType::Text),
        ("alltypes.5mfs.om.txt", MediaType::OpenMetrics),
        ("1histogram.om.txt", MediaType::OpenMetrics),
    ] {
        let body = std::fs::read(folder.join(file)).unwrap();
        let mut parser = Parser::of(&body, media_type, &ParseOptions::default());
        let (mut count, mut labels) = (0, RawLabels::default());
        while let Some(entry) = parser.next(&mut NothingKnown).unwrap() {
            if entry == Entry::Series {
                count += 1;
                parser.labels_into(&mut labels);
                assert_eq!(labels.duplicate(), None);
            }
        }
        let lines = body.split(|&b| b == b'\n').filter(|l| !l.is_empty() && l[0] != b'#').count();
        assert_eq!(count, lines, "{file}");
    }
}

#[test]
fn advice_names_metric_and_problem() {
    let body = b"# TYPE requests counter\nrequests 1\n# HELP latency_milliseconds x\n\
                 # TYPE latency_milliseconds histogram\nlatency_milliseconds_bucket{le=\"+Inf\"} 1\n\
                 latency_milliseconds_sum 1\nlatency_milliseconds_count 1\n# HELP fooBar_total x\n\
                 # TYPE fooBar_total gauge\nfooBar_total 1\n# HELP good_seconds ok\n# TYPE good_seconds gauge\ngood_seconds 1\n";
    let problems: Vec<_> =
        lint_text(body).unwrap().into_iter().map(|p| format!("{} {}", p.metric, p.text)).collect();
    assert_eq!(
        problems,
        [
            "fooBar_total metric names should be written in 'snake_case' not 'camelCase'",
            "fooBar_total non-counter metrics should not have \"_total\" suffix",
            "latency_milliseconds use base unit \"seconds\" instead of \"milliseconds\"",
            "requests counter metrics should have \"_total\" suffix",
            "requests no help text",
        ]
    );
}
