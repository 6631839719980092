//! Rules: what evaluating recording and alerting rules costs beyond scraping what they read.
//!
//! Each program scrapes the same targets, first without rules and then, after a reload, with them. The difference of
//! CPU time is that of the rules: reading, computing, writing what they record, and keeping their alerts. Every target
//! has a group of its own, with the kinds of rules clusters are watched with; together they read about every series
//! once an interval.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::program::{Kind, Running};
use crate::report::{self, Figures};
use crate::scenario::{BenchError, READY_LIMIT, fresh_dir, now_s, write_config};
use crate::targets::Targets;
use crate::{Rules, http};

/// Rules of one group: name, expression with `$i` for the selector of the target, and how long it must hold where it
/// makes an alert.
const RULES: [(&str, &str, Option<&str>); 10] = [
    ("load:requests:rate", "sum by (handler, code) (rate(http_requests_total{$i}[2m]))", None),
    (
        "load:latency:p99",
        "histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket{$i}[2m])))",
        None,
    ),
    (
        "HighErrorRate",
        "sum(rate(http_requests_total{$i,code=~\"5..\"}[2m])) / sum(rate(http_requests_total{$i}[2m])) > 0.6",
        Some("5m"),
    ),
    ("load:cpu:rate", "sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{$i}[2m]))", None),
    ("load:memory:bytes", "sum by (namespace) (container_memory_working_set_bytes{$i})", None),
    (
        "MemoryNearLimit",
        "container_memory_working_set_bytes{$i} / container_spec_memory_limit_bytes{$i} > 0.73",
        Some("1m"),
    ),
    ("PodRestarts", "increase(container_restarts_total{$i}[5m]) > 3", Some("5m")),
    ("Down", "up{$i} == 0", Some("5m")),
    ("load:threads:max", "max by (container) (container_threads{$i})", None),
    ("load:received:rate", "sum by (container) (rate(container_network_receive_bytes_total{$i}[2m]))", None),
];

/// Runs each program in turn.
pub fn run(options: &Rules) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for &kind in options.common.programs.iter().filter(|kind| kind.reads_prometheus_config()) {
        eprintln!("bench: {} ...", kind.name());
        let figures = one(kind, options)?;
        eprintln!("{}", serde_json::to_string(&figures)?);
        all.push(figures);
    }
    let setting = format!(
        "{} rules in {} groups, evaluated every {} s, over {} series on {} targets scraped every {} s; {} s of warm-up, \
         {} s measured without rules, and after {} s more with them",
        options.rules,
        options.rules.div_ceil(RULES.len()),
        options.rule_interval_s,
        options.series,
        options.targets,
        options.interval_s,
        options.warmup_s,
        options.duration_s,
        options.settle_s,
    );
    report::publish("rules", &setting, &all, options.common.out.as_deref())
}

fn one(kind: Kind, options: &Rules) -> Result<Figures, BenchError> {
    let dir = fresh_dir(&options.common, kind)?;
    let data = dir.join("data");
    let targets = Targets::serve(options.series, options.targets, 0)?;
    let config = write_config(&dir, options.interval_s, Some(&targets))?;
    let mut program =
        Running::start_with(kind, &options.common.bartizan, &config, &data, &["--web.enable-lifecycle"])?;
    let mut figures = Figures::new(kind);
    figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
    pause(options.warmup_s);
    let without_s = measured(&program, options)?;

    write_rules(&dir, &config, options)?;
    http::post(program.port, "/-/reload", b"")?;
    pause(options.settle_s);
    let before = counts(program.port)?;
    let with_s = measured(&program, options)?;
    let after = counts(program.port)?;
    figures.memory = program.memory()?;

    let (evaluations, missed) = (after.evaluations - before.evaluations, after.missed - before.missed);
    let rules_s = with_s - without_s;
    figures.add("CPU of rules, s per minute", rules_s * 60.0 / options.duration_s as f64);
    figures.add("CPU of scraping and storing, s per minute", without_s * 60.0 / options.duration_s as f64);
    figures.add("CPU per evaluated rule, us", rules_s * 1e6 / evaluations);
    figures.add("evaluations per s", evaluations / options.duration_s as f64);
    figures.add("evaluations missed", missed);
    figures.add("evaluations failed", after.failed - before.failed);
    figures.add("series recorded", recorded(program.port)?);
    figures.add("alerts firing or pending", count(program.port, "count(ALERTS)")?);
    drop(program);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// CPU seconds used during the measurement.
fn measured(program: &Running, options: &Rules) -> Result<f64, BenchError> {
    let before = program.cpu_seconds()?;
    pause(options.duration_s);
    Ok(program.cpu_seconds()? - before)
}

fn write_rules(dir: &Path, config: &Path, options: &Rules) -> Result<(), BenchError> {
    let mut text = String::from("groups:\n");
    for group in 0..options.rules.div_ceil(RULES.len()) {
        let target = group % options.targets;
        let instance =
            format!("instance=\"10.{}.{}.{}:8080\"", target >> 16, (target >> 8) & 255, target & 255);
        let _ = writeln!(text, "- name: group{group}\n  interval: {}s\n  rules:", options.rule_interval_s);
        for (name, expression, hold) in RULES.iter().take(options.rules - group * RULES.len()) {
            let expression = expression.replace("$i", &instance);
            let _ = match hold {
                None => writeln!(
                    text,
                    "  - record: {name}\n    expr: '{expression}'\n    labels: {{{}}}",
                    instance.replacen('=', ": ", 1)
                ),
                Some(hold) => writeln!(
                    text,
                    "  - alert: {name}\n    expr: '{expression}'\n    for: {hold}\n    labels: {{severity: warning}}\n    \
                     annotations: {{summary: \"{name} at {{{{ $labels.instance }}}}: {{{{ $value | humanize }}}}\"}}"
                ),
            };
        }
    }
    std::fs::write(dir.join("rules.yml"), text)?;
    let mut text = std::fs::read_to_string(config)?;
    text.push_str("rule_files: [rules.yml]\n");
    Ok(std::fs::write(config, text)?)
}

/// What a program counts about its rules.
struct Counts {
    evaluations: f64,
    missed: f64,
    failed: f64,
}

fn counts(port: u16) -> Result<Counts, BenchError> {
    let text = http::get(port, "/metrics")?;
    let text = String::from_utf8_lossy(&text);
    let sum = |name: &str| {
        let values = text.lines().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    Ok(Counts {
        evaluations: sum("prometheus_rule_evaluations_total{"),
        missed: sum("prometheus_rule_group_iterations_missed_total{"),
        failed: sum("prometheus_rule_evaluation_failures_total{"),
    })
}

fn recorded(port: u16) -> Result<f64, BenchError> {
    count(port, "count({__name__=~\"load:.*\"})")
}

fn count(port: u16, expression: &str) -> Result<f64, BenchError> {
    let path = format!("/api/v1/query?query={}&time={}", http::encode(expression), now_s());
    let result = http::query(port, &path)?;
    let value = result.first().and_then(|one| one["value"][1].as_str()?.parse().ok());
    Ok(value.unwrap_or(0.0))
}

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}
