use base::SimClock;
use model::{AppendError, Appendable, SampleValue, SeriesRef, TenantId};

use super::*;
use crate::wal::record::{Kind, for_each_float, for_each_series};
use crate::wal::segment::{list_checkpoints, list_segments, segment_path};
use crate::wal::{ReadEvent, SegmentReader};

const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_700_000_000_000;

struct Setup {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    options: AgentOptions,
}

impl Setup {
    fn new() -> Self {
        let options = AgentOptions::default();
        Self { dir: tempfile::tempdir().unwrap(), clock: SimClock::at(START_MS), options }
    }

    fn open(&self) -> Agent {
        Agent::open(self.dir.path(), self.options.clone(), self.clock.clone(), &Registry::new()).unwrap()
    }

    fn wal(&self) -> PathBuf {
        self.dir.path().join("wal")
    }

    /// All series and float samples of the log, checkpoint and segments, in order: `name@t`.
    fn logged(&self) -> (Vec<String>, Vec<String>) {
        let mut sources: Vec<PathBuf> = Vec::new();
        if let Some((_, path)) = crate::wal::segment::last_checkpoint(&self.wal()).unwrap() {
            sources.extend(list_segments(&path).unwrap().into_iter().map(|i| segment_path(&path, i)));
        }
        sources.extend(list_segments(&self.wal()).unwrap().into_iter().map(|i| segment_path(&self.wal(), i)));
        let (mut names, mut series, mut samples) = (HashMap::new(), Vec::new(), Vec::new());
        for path in sources {
            let mut reader = SegmentReader::open(&path).unwrap();
            loop {
                let record = match reader.next().unwrap() {
                    ReadEvent::End => break,
                    ReadEvent::Damage(damage) => panic!("{damage}"),
                    ReadEvent::Record(record) => record,
                };
                match Kind::of(record) {
                    Some(Kind::Series) => for_each_series(record, |reference, pairs| {
                        names.insert(reference, pairs[0].1.to_owned());
                        series.push(format!("{}={reference}", pairs[0].1));
                    })
                    .unwrap(),
                    Some(Kind::Samples) => for_each_float(record, |sample| {
                        let name = names.get(&sample.series).expect("a sample stands behind its series");
                        samples.push(format!("{name}@{}", sample.t_ms));
                    })
                    .unwrap(),
                    other => panic!("unexpected record {other:?}"),
                }
            }
        }
        (series, samples)
    }
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)])
}

fn append(agent: &Agent, name: &str, t_ms: i64) -> Result<(), AppendError> {
    let mut appender = agent.appender(&TenantId::default());
    let series = appender.resolve(&labels(name))?;
    appender.append(series, 0, t_ms, SampleValue::Float(1.0))?;
    appender.commit()
}

#[test]
fn samples_are_in_the_log_in_order_and_after_their_series() {
    let setup = Setup::new();
    let agent = setup.open();
    append(&agent, "a", 10).unwrap();
    append(&agent, "b", 10).unwrap();
    assert_eq!(append(&agent, "a", 10), Err(AppendError::OutOfOrder));
    agent.set_out_of_order_window_ms(5);
    append(&agent, "a", 6).unwrap();
    assert_eq!(append(&agent, "a", 5), Err(AppendError::OutOfOrder));
    let mut stale = agent.appender(&TenantId::default());
    let series = stale.resolve(&labels("a")).unwrap();
    let marker = SampleValue::Float(model::stale_nan());
    assert_eq!(stale.append_in_order(series, 9, marker), Err(AppendError::OutOfOrder));
    drop(stale);
    let (series, samples) = setup.logged();
    assert_eq!(
        (series, samples),
        (
            vec!["a=1".to_owned(), "b=2".to_owned()],
            vec!["a@10".to_owned(), "b@10".to_owned(), "a@6".to_owned()],
        )
    );
    assert!(
        agent
            .select(
                &SelectRequest {
                    range: TimeRange::ALL,
                    matchers: Vec::new(),
                    projection: model::Projection::All,
                    sorted: false,
                    limit: 0,
                },
                &QueryContext::unbounded()
            )
            .err()
            .unwrap()
            .to_string()
            .contains("WAL-only")
    );
}

#[test]
fn a_transaction_that_is_dropped_leaves_only_its_series() {
    let setup = Setup::new();
    let agent = setup.open();
    let mut dropped = agent.appender(&TenantId::default());
    let series = dropped.resolve(&labels("a")).unwrap();
    dropped.append(series, 0, 10, SampleValue::Float(1.0)).unwrap();
    drop(dropped);
    append(&agent, "b", 10).unwrap();
    append(&agent, "a", 5).unwrap();
    assert_eq!(setup.logged().1, ["b@10", "a@5"]);
}

#[test]
fn a_restart_goes_on_where_the_log_ends() {
    let setup = Setup::new();
    let agent = setup.open();
    append(&agent, "a", 10).unwrap();
    append(&agent, "b", 20).unwrap();
    // Not closed, as after a kill.
    std::mem::forget(agent.clone());
    let lock = setup.dir.path().join("lock");
    let second = Agent::open(setup.dir.path(), setup.options.clone(), setup.clock.clone(), &Registry::new());
    assert!(matches!(second, Err(TsdbError::Locked(path)) if path == lock));
    let no_lock = AgentOptions { no_lockfile: true, ..setup.options.clone() };
    let again = Agent::open(setup.dir.path(), no_lock, setup.clock.clone(), &Registry::new()).unwrap();
    assert_eq!(again.series_count(), 2);
    assert_eq!(append(&again, "b", 20), Err(AppendError::OutOfOrder));
    append(&again, "b", 21).unwrap();
    append(&again, "c", 1).unwrap();
    assert_eq!(setup.logged().0, ["a=1", "b=2", "c=3"]);
}

#[test]
fn a_torn_end_is_cut_and_a_damaged_record_skipped() {
    let setup = Setup::new();
    let agent = setup.open();
    append(&agent, "a", 10).unwrap();
    append(&agent, "b", 10).unwrap();
    agent.close().unwrap();
    drop(agent);
    let path = segment_path(&setup.wal(), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let text = bytes.windows(8).position(|w| w == b"__name__").unwrap();
    bytes[text] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let registry = Registry::new();
    let agent = Agent::open(setup.dir.path(), setup.options.clone(), setup.clock.clone(), &registry).unwrap();
    let families = registry.gather();
    let corruptions = families.iter().find(|f| f.name == "prometheus_agent_corruptions_total").unwrap();
    assert_eq!(corruptions.points[0].value, base::metrics::Value::Number(1.0));
    append(&agent, "a", 20).unwrap();
    assert!(setup.dir.path().join("quarantine").exists());
}

#[test]
fn idle_series_end_and_the_log_forgets_them_when_nothing_names_them() {
    let setup = Setup::new();
    let agent = setup.open();
    append(&agent, "idle", START_MS).unwrap();
    for round in 1..=8 {
        setup.clock.advance(std::time::Duration::from_millis(3 * HOUR_MS as u64));
        append(&agent, "busy", START_MS + round * 3 * HOUR_MS).unwrap();
        agent.maintain().unwrap();
    }
    assert_eq!(agent.series_count(), 1);
    let (series, samples) = setup.logged();
    assert!(!series.iter().any(|s| s.starts_with("idle")), "{series:?}");
    assert!(samples.contains(&format!("busy@{}", START_MS + 8 * 3 * HOUR_MS)), "{samples:?}");
    assert_eq!(list_checkpoints(&setup.wal()).unwrap().len(), 1);
    // It may come back, as a new series.
    append(&agent, "idle", START_MS + 25 * HOUR_MS).unwrap();
    assert_eq!(setup.logged().0.iter().filter(|s| s.starts_with("idle")).count(), 1);
    agent.close().unwrap();
    drop(agent);
    assert_eq!(setup.open().series_count(), 2);
}

#[test]
fn the_log_is_kept_for_those_who_have_not_read_it() {
    let setup = Setup::new();
    let agent = setup.open();
    let hold = agent.log().hold("somebody", 0);
    let advance = || setup.clock.advance(std::time::Duration::from_millis(3 * HOUR_MS as u64));
    for round in 0..6 {
        append(&agent, "a", START_MS + round * 3 * HOUR_MS).unwrap();
        advance();
        agent.maintain().unwrap();
    }
    assert_eq!(list_segments(&setup.wal()).unwrap().first(), Some(&0));
    assert_eq!(setup.logged().1.len(), 6);
    drop(hold);
    advance();
    append(&agent, "a", START_MS + 30 * HOUR_MS).unwrap();
    agent.maintain().unwrap();
    advance();
    agent.maintain().unwrap();
    assert_ne!(list_segments(&setup.wal()).unwrap().first(), Some(&0));
}

#[test]
fn a_series_in_use_is_not_forgotten_under_a_transaction() {
    let setup = Setup::new();
    let agent = setup.open();
    append(&agent, "a", START_MS).unwrap();
    let mut open = agent.appender(&TenantId::default());
    let series = open.resolve(&labels("a")).unwrap();
    setup.clock.advance(std::time::Duration::from_millis(HOUR_MS as u64));
    open.append(series, 0, START_MS + HOUR_MS, SampleValue::Float(2.0)).unwrap();
    let truncating = std::thread::spawn({
        let agent = agent.clone();
        move || agent.truncate().unwrap()
    });
    // Ended for everybody else while the transaction is still open.
    while agent.series_count() > 0 {
        std::thread::yield_now();
    }
    let mut late = agent.appender(&TenantId::default());
    let refused = late.append(series, 0, START_MS + HOUR_MS + 1, SampleValue::Float(3.0));
    assert_eq!(refused, Err(AppendError::UnknownSeries));
    drop(late);
    open.commit().unwrap();
    truncating.join().unwrap();
    assert_eq!(setup.logged().1, [format!("a@{START_MS}"), format!("a@{}", START_MS + HOUR_MS)]);
}

#[test]
fn exemplars_and_limits_follow_the_rules() {
    let mut setup = Setup::new();
    setup.options.series_limit = 1;
    let agent = setup.open();
    let mut appender = agent.appender(&TenantId::default());
    let series = appender.resolve(&labels("a")).unwrap();
    let refused = appender.resolve(&labels("b")).unwrap_err();
    assert_eq!(refused.to_string(), "series limit of 1 reached, not adding a series of metric \"b\"");
    let exemplar = |value: &str| Exemplar {
        labels: Labels::from_pairs([("trace_id", value)]),
        value: 1.0,
        timestamp_ms: 5,
        has_timestamp: true,
    };
    appender.append_exemplar(series, &exemplar("x")).unwrap();
    appender.append_exemplar(series, &exemplar("x")).unwrap();
    let error = appender.append_exemplar(series, &exemplar(&"y".repeat(121))).unwrap_err().to_string();
    assert_eq!(error, "label length for exemplar exceeds maximum of 128 UTF-8 characters");
    let unknown = appender.append_exemplar(SeriesRef(77), &exemplar("x")).unwrap_err().to_string();
    assert_eq!(unknown, "unknown series ref when trying to add exemplar: 77");
    appender.commit().unwrap();
    assert_eq!(agent.inner.metrics.exemplars_appended.get(), 1);
}
