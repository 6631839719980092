use config::NameValidation;
use model::{Appendable, SampleValue};
use testkit::memory::MemoryStorage;

use super::*;
use crate::file::FileOptions;

const MINUTE: i64 = 60_000;

fn storage_of(series: &[(&str, &[(i64, f64)])]) -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new());
    let mut appender = storage.appender(&TenantId::default());
    for (text, samples) in series {
        let labels = promql::parser::series::parse_metric(text).unwrap();
        let reference = appender.resolve(&labels).unwrap();
        for &(minute, value) in *samples {
            appender.append(reference, 0, minute * MINUTE, SampleValue::Float(value)).unwrap();
        }
    }
    appender.commit().unwrap();
    storage
}

fn backtest(rules: &str, history: Arc<MemoryStorage>, minutes: i64) -> BacktestReport {
    let language = PromQlLanguage::default();
    let options =
        FileOptions { language: &language, names: NameValidation::Utf8, ignore_unknown_fields: false };
    let files = [("r.yml".to_owned(), RuleFile::parse(rules, &options).unwrap())];
    let scratch = Arc::new(MemoryStorage::new());
    let backtest = Backtest {
        files: &files,
        history,
        scratch: TestStorage { appendable: scratch.clone(), source: scratch, keep: None },
        engine: EngineOptions::default(),
        defaults: GroupDefaults {
            interval_ms: MINUTE,
            query_offset_ms: 0,
            external_labels: Labels::empty(),
            external_url: String::new(),
        },
        from_ms: 0,
        to_ms: minutes * MINUTE,
    };
    run(backtest, |_| true).unwrap()
}

const RULES: &str = "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: down, expr: 'count by (job) (up == 0)'}\n  - {alert: Down, expr: down > 0, for: 3m, annotations: {n: '{{ $value }}'}}\n  - {record: bad, expr: '\"x\"'}\n";

#[test]
fn alerts_fire_when_they_would_have() {
    let up: Vec<(i64, f64)> = (0..30)
        .map(|minute| {
            (minute, if (5..7).contains(&minute) || (12..20).contains(&minute) { 0.0 } else { 1.0 })
        })
        .collect();
    let report = backtest(RULES, storage_of(&[("up{job=\"a\"}", &up)]), 29);
    let [short, long] = &report.episodes[..] else { panic!("{:?}", report.episodes) };
    // Groups are due at an offset of their own within the minute.
    let minute = |ms: i64| ms.div_euclid(MINUTE);
    assert_eq!(
        (minute(short.active_at_ms), short.fired_at_ms, short.ended_at_ms.map(minute)),
        (5, None, Some(7))
    );
    assert_eq!(minute(long.active_at_ms), 12);
    assert_eq!((long.fired_at_ms.map(minute), long.ended_at_ms.map(minute)), (Some(15), Some(20)));
    assert_eq!(long.labels.to_string(), "{alertname=\"Down\", job=\"a\"}");
    assert_eq!(long.annotations[0].1, "1");
    let [failure] = &report.failures[..] else { panic!("{:?}", report.failures) };
    assert_eq!((failure.rule.as_str(), failure.count), ("bad", report.evaluations));
}

#[test]
fn what_the_rules_wrote_before_is_hidden() {
    // Then the rule said that everything was down.
    let before: Vec<(i64, f64)> = (0..10).map(|minute| (minute, 7.0)).collect();
    let up: Vec<(i64, f64)> = (0..10).map(|minute| (minute, 1.0)).collect();
    let history = storage_of(&[("down{job=\"a\"}", &before), ("up{job=\"a\"}", &up)]);
    assert!(backtest(RULES, history.clone(), 9).episodes.is_empty());
    // Rules that are not tested keep what they wrote.
    let other = RULES.replace("record: down", "record: other");
    let report = backtest(&other, history, 9);
    assert_eq!(report.episodes.len(), 1);
    assert_eq!(report.episodes[0].ended_at_ms, None);
}
