//! The configuration written back, as `/api/v1/status/config` shows it.

use crate::support::load;

#[test]
fn defaults_are_filled_in_and_laid_out_as_in_the_reference() {
    let config = load(
        "scrape_configs:\n- job_name: prometheus\n  static_configs:\n  - targets: ['localhost:9090']\n  \
         relabel_configs:\n  - {source_labels: [a, b], target_label: c, regex: 'x(.*)'}\n",
    )
    .unwrap();
    let expected = "\
global:
  scrape_interval: 1m
  scrape_timeout: 10s
  evaluation_interval: 1m
  metric_name_validation_scheme: utf8
  scrape_native_histograms: false
  extra_scrape_metrics: false
runtime:
  gogc: 75
scrape_configs:
- job_name: prometheus
  honor_timestamps: true
  track_timestamps_staleness: false
  scrape_interval: 1m
  scrape_timeout: 10s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  scrape_native_histograms: false
  always_scrape_classic_histograms: false
  convert_classic_histograms_to_nhcb: false
  metrics_path: /metrics
  scheme: http
  enable_compression: true
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  extra_scrape_metrics: false
  follow_redirects: true
  enable_http2: true
  relabel_configs:
  - source_labels: [a, b]
    separator: ;
    regex: x(.*)
    target_label: c
    replacement: $1
    action: replace
  static_configs:
  - targets:
    - localhost:9090
otlp:
  translation_strategy: UnderscoreEscapingWithSuffixes
  label_name_underscore_sanitization: true
  label_name_preserve_multiple_underscores: true
";
    assert_eq!(config.to_yaml(), expected);
}

#[test]
fn secrets_are_masked_everywhere() {
    let config = load(
        "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hunter2}\n  \
         http_headers: {X-A: {secrets: [hunter2]}}\n  proxy_url: http://u:hunter2@proxy:3128\n\
         - job_name: b\n  consul_sd_configs:\n  - {server: s, token: hunter2, basic_auth: {password: hunter2}}\n\
         - job_name: c\n  oauth2: {client_id: x, client_secret: hunter2, token_url: http://t/}\n\
         remote_write:\n- url: http://u:hunter2@w/\n  sigv4: {access_key: k, secret_key: hunter2}\n",
    )
    .unwrap();
    let written = config.to_yaml();
    assert!(!written.contains("hunter2"), "{written}");
    assert_eq!(written.matches("<secret>").count(), 6, "{written}");
    assert!(!format!("{:?}", config.file).contains("password: \"hunter2\""));
}
