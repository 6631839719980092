//! Files that must load, and what they must mean.

use std::path::PathBuf;

use config::{
    Config, Consequence, EscapingScheme, LoadOptions, NameValidation, RelabelAction, ScrapeProtocol,
};

use crate::support::{conformance, load, load_file};

#[test]
fn every_good_file_loads_and_written_back_loads_to_the_same() {
    let Some(dir) = conformance("every_good_file_loads_and_written_back_loads_to_the_same") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let neutral = [
            "otlp_empty.yml",
            "scrape_config_default_validation_mode.yml",
            "agent_mode.without_remote_writes.yml",
        ];
        let modes = name.starts_with("scrape_config_") && name.ends_with("_mode.yml")
            || name.ends_with("infer_escaping.yml");
        if !name.contains(".good.") && !neutral.contains(&name) && !modes {
            continue;
        }
        count += 1;
        let config =
            load_file(&path, name.starts_with("agent_mode")).unwrap_or_else(|error| panic!("{error}"));
        let written = config.to_yaml();
        let again = Config::from_bytes(&path, written.as_bytes(), &LoadOptions::default());
        let again = again.unwrap_or_else(|error| panic!("{name} written back: {error}\n{written}"));
        // What was taken from the environment is written back filled in, and a dollar sign in it means
        // a variable again.
        if name != "external_labels.good.yml" {
            assert_eq!(again.to_yaml(), written, "{name}");
        }
    }
    assert!(count > 45, "only {count} files");
}

#[test]
fn the_big_example_means_what_it_says() {
    let Some(dir) = conformance("the_big_example_means_what_it_says") else { return };
    let config = load_file(&dir.join("conf.good.yml"), false).unwrap();
    let global = &config.file.global;
    assert_eq!((global.scrape_interval.as_ms(), global.scrape_timeout.as_ms()), (15_000, 10_000));
    assert_eq!(global.query_log_file, dir.join("query.log"));
    assert_eq!(config.external_labels.to_string(), r#"{foo="bar", monitor="codelab"}"#);
    assert_eq!(config.file.runtime.gogc, 42);
    assert_eq!(config.file.storage.tsdb.out_of_order_time_window.as_ms(), 30 * 60_000);
    assert_eq!(config.file.storage.tsdb.retention.size.bytes(), 1 << 30);

    let job = &config.jobs[0];
    assert_eq!(job.body_size_limit.bytes(), 15 << 20);
    assert_eq!(job.scrape_failure_log_file, dir.join("fail_prom.log"));
    assert_eq!(job.discovery.file_sd_configs[0].files[2], dir.join("single/file.yml"));
    assert_eq!(job.discovery.file_sd_configs[1].refresh_interval.as_ms(), 300_000);
    assert_eq!(job.relabel_configs[3].regex.pattern(), "");
    assert_eq!(job.http.authorization.as_ref().unwrap().r#type, "Bearer");

    let job = &config.jobs[1];
    assert_eq!((job.scrape_interval.as_ms(), job.scrape_timeout.as_ms()), (50_000, 5000));
    assert_eq!(job.scrape_protocols, [ScrapeProtocol::PrometheusText0_0_4]);
    assert_eq!(job.http.basic_auth.as_ref().unwrap().password.expose(), "multiline\nmysecret\ntest");
    assert_eq!(job.discovery.dns_sd_configs[0].refresh_interval.as_ms(), 15_000);
    assert_eq!(job.relabel_configs[1].action, RelabelAction::HashMod);

    let hetzner = config.jobs.iter().find(|job| job.job_name == "hetzner").unwrap();
    assert_eq!(hetzner.scrape_protocols[0], ScrapeProtocol::PrometheusProto);
    assert!(!config.file.remote_write[0].http.enable_http2 && config.file.remote_read[1].http.enable_http2);
    assert_eq!(config.file.remote_write[0].queue_config.capacity, 10_000);
}

#[test]
fn what_cannot_run_yet_is_named_with_file_line_and_remedy() {
    let config = load(
        "scrape_configs:\n- job_name: a\n  consul_sd_configs:\n  - server: x\ntracing: {endpoint: 'x:1'}\n",
    )
    .unwrap();
    let unsupported = config.unsupported();
    let lines: Vec<_> = unsupported.iter().map(|u| (u.section.as_str(), u.line, u.consequence)).collect();
    assert_eq!(lines, [("consul_sd_configs", 4, Consequence::Refuse), ("tracing", 5, Consequence::Ignore)]);
    assert!(
        unsupported[0]
            .to_string()
            .starts_with("p.yml:4: consul_sd_configs is not supported yet; list the targets")
    );
}

#[test]
fn jobs_of_other_files_come_after_those_of_the_main_file() {
    let Some(dir) = conformance("jobs_of_other_files_come_after_those_of_the_main_file") else { return };
    let names = |file: &str| -> Vec<String> {
        let config = load_file(&dir.join(file), false).unwrap();
        config.jobs.iter().map(|job| job.job_name.clone()).collect()
    };
    assert_eq!(names("scrape_config_files.good.yml"), ["prometheus"]);
    assert_eq!(names("scrape_config_files_combined.good.yml"), ["node", "prometheus", "alertmanager"]);
    assert_eq!(names("scrape_config_files_glob.good.yml").len(), 2);
}

#[test]
fn an_empty_file_and_an_empty_global_are_the_defaults() {
    for text in ["", "# nothing\n", "global:\n", "global: {}\nruntime:\notlp:\n"] {
        let config = load(text).unwrap();
        assert_eq!(config.file, Config::default().file, "{text:?}");
        assert_eq!(config.file.global.scrape_interval.as_ms(), 60_000);
        assert_eq!(config.file.storage.max_exemplars(), 100_000);
    }
}

#[test]
fn external_labels_take_variables_of_the_environment() {
    let Some(dir) = conformance("external_labels_take_variables_of_the_environment") else { return };
    let config = load_file(&dir.join("external_labels.good.yml"), false).unwrap();
    let expected = r#"{bar="foo", baz="fooTestValuebar", foo="TestValue", qux="foo${TEST}", xyz="foo$bar"}"#;
    assert_eq!(config.external_labels.to_string(), expected);
    let config = load("global:\n  external_labels: {a: 'x${SURELY_NOT_SET_ANYWHERE}'}\n").unwrap();
    assert_eq!(config.external_labels.get("a"), Some("x"));
    assert_eq!(
        config.warnings,
        ["empty environment variable \"SURELY_NOT_SET_ANYWHERE\" in external_labels"]
    );
}

#[test]
fn a_timeout_follows_a_short_interval() {
    let config = load("global: {scrape_interval: 5s}\nscrape_configs:\n- job_name: a\n- {job_name: b, scrape_interval: 2s}\n").unwrap();
    let timeouts: Vec<i64> = config.jobs.iter().map(|job| job.scrape_timeout.as_ms()).collect();
    assert_eq!(timeouts, [5000, 2000]);
}

#[test]
fn escaping_follows_the_validation_a_job_chooses() {
    let cases = [
        ("", "", NameValidation::Utf8, EscapingScheme::AllowUtf8),
        ("metric_name_validation_scheme: legacy", "", NameValidation::Legacy, EscapingScheme::Underscores),
        ("metric_name_validation_scheme: ''", "", NameValidation::Utf8, EscapingScheme::AllowUtf8),
        ("metric_name_escaping_scheme: dots", "", NameValidation::Utf8, EscapingScheme::Dots),
        ("", "metric_name_validation_scheme: legacy", NameValidation::Legacy, EscapingScheme::Underscores),
        (
            "metric_name_validation_scheme: legacy",
            "metric_name_validation_scheme: utf8",
            NameValidation::Utf8,
            EscapingScheme::AllowUtf8,
        ),
    ];
    for (global, job, validation, escaping) in cases {
        let config =
            load(&format!("global:\n  {global}\nscrape_configs:\n- job_name: a\n  {job}\n")).unwrap();
        assert_eq!(
            (config.jobs[0].name_validation(), config.jobs[0].escaping()),
            (validation, escaping),
            "{global} {job}"
        );
    }
}

#[test]
fn feature_flags_change_defaults_but_not_what_is_written() {
    let defaults = config::Defaults { scrape_native_histograms: true, ..config::Defaults::default() };
    let options = LoadOptions { defaults, ..LoadOptions::default() };
    let text = "scrape_configs:\n- job_name: a\n- {job_name: b, scrape_native_histograms: false}\n";
    let config = Config::from_bytes("p.yml".as_ref(), text.as_bytes(), &options).unwrap();
    assert!(config.jobs[0].native_histograms() && !config.jobs[1].native_histograms());
    assert_eq!(config.jobs[0].scrape_protocols[0], ScrapeProtocol::PrometheusProto);
    assert_eq!(config.jobs[1].scrape_protocols[0], ScrapeProtocol::OpenMetricsText1_0_0);
}

#[test]
fn relative_paths_start_from_the_file_and_absolute_ones_stay() {
    let text = "rule_files: [first.rules, /abs/x.rules, ../up.rules]\nscrape_configs:\n- job_name: a\n  tls_config: {ca_file: ca.pem}\n";
    let config =
        Config::from_bytes("/etc/prom/p.yml".as_ref(), text.as_bytes(), &LoadOptions::default()).unwrap();
    let expected = ["/etc/prom/first.rules", "/abs/x.rules", "/etc/up.rules"].map(PathBuf::from);
    assert_eq!(config.file.rule_files, expected);
    assert_eq!(config.jobs[0].http.tls_config.ca_file, PathBuf::from("/etc/prom/ca.pem"));
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "scrape_configs:\n- &base\n  job_name: a\n  scrape_interval: 7s\n- <<: *base\n  job_name: b\n";
    let config = load(text).unwrap();
    assert_eq!(config.jobs[1].job_name, "b");
    assert_eq!(config.jobs[1].scrape_interval.as_ms(), 7000);
}
