//! Destinations on a real log, sending to a receiver that answers as it is told.

mod harness;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use config::PromDuration;

use super::*;
use harness::{Answer, Receiver, Setup};

fn quick(url: &str) -> RemoteWriteConfig {
    let mut config = RemoteWriteConfig {
        url: config::Url::parse(url).unwrap(),
        name: "next".to_owned(),
        ..RemoteWriteConfig::default()
    };
    config.queue_config.batch_send_deadline = PromDuration::from_ms(0);
    config.queue_config.min_backoff = PromDuration::from_ms(1);
    config.queue_config.max_backoff = PromDuration::from_ms(2);
    config.metadata_config.send = false;
    config
}

#[test]
fn a_new_destination_begins_now_and_a_known_one_where_it_stopped() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    setup.append(&["a", "b"], 1);
    let write = setup.write();
    setup.apply(&write, &[quick(&receiver.url)]);
    setup.append(&["a", "b"], 2);
    receiver.wait_for(&["a@2", "b@2"]);
    write.stop();
    setup.append(&["a", "c"], 3);
    let write = setup.write();
    setup.apply(&write, &[quick(&receiver.url)]);
    receiver.wait_for(&["a@3", "c@3"]);
    write.stop();
    assert_eq!(receiver.samples(), ["a@2", "a@3", "b@2", "c@3"]);
}

#[test]
fn a_destination_of_another_name_is_another_one_and_the_old_cursor_goes() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    let write = setup.write();
    let first = quick(&receiver.url);
    setup.apply(&write, std::slice::from_ref(&first));
    setup.append(&["a"], 1);
    receiver.wait_for(&["a@1"]);
    let second = RemoteWriteConfig { name: "other".to_owned(), ..first.clone() };
    setup.apply(&write, std::slice::from_ref(&second));
    assert_eq!(setup.cursors().len(), 1);
    setup.append(&["a"], 2);
    receiver.wait_for(&["a@1", "a@2"]);
    // What is removed while the process does not run goes with the next configuration, also if that has none.
    write.stop();
    let write = setup.write();
    setup.apply(&write, &[]);
    assert_eq!(setup.cursors(), Vec::<String>::new());
    setup.append(&["a"], 3);
    setup.apply(&write, &[first]);
    setup.append(&["a"], 4);
    receiver.wait_for(&["a@1", "a@2", "a@4"]);
    write.stop();
    assert_eq!(receiver.samples(), ["a@1", "a@2", "a@4"]);
}

#[test]
fn what_is_refused_is_dropped_and_counted_and_the_rest_goes_on() {
    for (status, retries) in
        [("400 Bad Request", false), ("429 Too Many Requests", false), ("404 Not Found", true)]
    {
        let receiver = Receiver::start(move |received| match received.has("a@1") {
            true => Answer { status, headers: "" },
            false => Answer::STORED,
        });
        let setup = Setup::new();
        let write = setup.write();
        let mut config = quick(&receiver.url);
        config.queue_config.retry_on_http_429 = retries;
        setup.apply(&write, &[config]);
        setup.append(&["a"], 1);
        setup.wait_for(|| setup.metric("samples_failed_total") == 1.0);
        setup.append(&["a"], 2);
        receiver.wait_for(&["a@2"]);
        write.stop();
        assert_eq!(
            (receiver.attempts(), receiver.samples()),
            (vec![0, 0], vec!["a@2".to_owned()]),
            "{status}"
        );
        assert_eq!(setup.metric("samples_retried_total"), 0.0);
    }
}

#[test]
fn what_may_succeed_later_is_sent_again_as_often_as_it_takes() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"] {
        let receiver = Receiver::start(move |received| match received.attempt < 4 {
            true => Answer { status, headers: "Retry-After: 0\r\n" },
            false => Answer::STORED,
        });
        let setup = Setup::new();
        let write = setup.write();
        let mut config = quick(&receiver.url);
        config.queue_config.retry_on_http_429 = true;
        setup.apply(&write, &[config]);
        setup.append(&["a"], 1);
        receiver.wait_for(&["a@1"]);
        write.stop();
        assert_eq!(receiver.attempts(), [0, 1, 2, 3, 4], "{status}");
        assert_eq!((setup.metric("samples_retried_total"), setup.metric("samples_failed_total")), (4.0, 0.0));
    }
}

#[test]
fn waits_are_spread_and_what_a_receiver_asks_for_is_waited_for_in_full() {
    let setup = Setup::new();
    let metrics = setup.write().metrics.of("a", "a", "u");
    let config = quick("http://localhost");
    let mut write = setup.write();
    let second = Duration::from_secs(1);
    for (random, alone, asked) in [(0.0, 0.5, 7.0), (0.5, 0.75, 7.5), (1.0, 1.0, 8.0)] {
        write.environment.random = Arc::new(move || random);
        let client = WriteClient::new(&config, MessageType::V1, setup.clock.clone()).unwrap();
        let delivery = write.delivery("a", "u", &config, client, metrics.clone());
        assert_eq!(delivery.wait(second, None).as_secs_f64(), alone);
        assert_eq!(delivery.wait(second, Some(second * 7)).as_secs_f64(), asked);
    }
}

#[test]
fn what_version_two_says_is_not_written_is_counted() {
    let written = "X-Prometheus-Remote-Write-Samples-Written: 1\r\n";
    let receiver = Receiver::start(move |_| Answer { status: "204 No Content", headers: written });
    let setup = Setup::new();
    let write = setup.write();
    let mut config = quick(&receiver.url);
    config.protobuf_message = MessageType::V2.as_str().to_owned();
    setup.apply(&write, &[config]);
    setup.append(&["a", "b", "c"], 1);
    setup.wait_for(|| setup.metric("samples_failed_total") == 2.0);
    write.stop();
    let head = receiver.heads().remove(0);
    for line in [
        "content-type: application/x-protobuf;proto=io.prometheus.write.v2.request",
        "content-encoding: snappy",
        "x-prometheus-remote-write-version: 2.0.0",
    ] {
        assert!(head.contains(line), "{head}");
    }
}

#[test]
fn series_are_relabelled_dropped_and_given_external_labels() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    let write = setup.write();
    let mut config = quick(&receiver.url);
    let rule = |action, regex: &str| config::RelabelConfig {
        source_labels: config::LabelNames(vec!["__name__".to_owned()]),
        regex: config::Regex::new(regex).unwrap(),
        action,
        ..config::RelabelConfig::default()
    };
    config.write_relabel_configs = vec![rule(config::RelabelAction::Drop, "b")];
    let labels = Labels::from_pairs([("replica", "1")]);
    write.apply(&[config], &labels, setup.log()).unwrap();
    setup.append(&["a", "b", "c"], 1);
    receiver.wait_for(&["a{replica=\"1\"}@1", "c{replica=\"1\"}@1"]);
    write.stop();
    assert_eq!(setup.metric_with("samples_dropped_total", "dropped_series"), 1.0);
}

#[test]
fn what_is_too_old_is_not_sent() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    let write = setup.write();
    let mut config = quick(&receiver.url);
    config.queue_config.sample_age_limit = PromDuration::from_secs(60);
    setup.apply(&write, &[config]);
    setup.append(&["old"], -120_000);
    setup.append(&["new"], -1_000);
    receiver.wait_for(&["new@-1000"]);
    write.stop();
    assert_eq!(setup.metric_with("samples_dropped_total", "too_old"), 1.0);
}

#[test]
fn a_dead_destination_holds_the_log_up_to_its_limit_and_goes_on_behind_what_is_lost() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = up.clone();
    let receiver = Receiver::start(move |_| match is_up.load(Ordering::SeqCst) {
        true => Answer::STORED,
        false => Answer { status: "503 Service Unavailable", headers: "" },
    });
    let setup = Setup::with_segments(32 << 10);
    let write = setup.write();
    let mut config = quick(&receiver.url);
    config.queue_config.max_samples_per_send = 10;
    config.queue_config.capacity = 10;
    setup.apply(&write, &[config]);
    let log = setup.log();
    // Far more than the queues take, so that the log has the rest.
    let mut t_ms = 0;
    let mut grow = |segments: u32| {
        let until = log.end().segment + segments;
        while log.end().segment < until {
            t_ms += 1;
            setup.append(&["a", "b"], t_ms);
        }
        t_ms
    };
    log.set_hold_bytes(1 << 30);
    let held_ms = grow(6);
    setup.agent.truncate().unwrap();
    assert_eq!(setup.first_segment(), 0, "the log is kept for the destination");
    setup.wait_for(|| {
        // The reader waits, and tells how much there is to send. Time is simulated: it looks when called.
        setup.clock.advance(Duration::from_secs(1));
        setup.metric("wal_backlog_bytes") > f64::from(5 << 15)
    });
    assert_eq!(setup.metric("wal_hold_limit_bytes"), f64::from(1 << 30));
    // The reader stands still; that it is behind shows all the same.
    assert_eq!(setup.metric("samples_in_total"), 2.0 * held_ms as f64);
    assert!(setup.metric("highest_timestamp_in_seconds") > setup.metric("queue_highest_timestamp_seconds"));
    log.set_hold_bytes(64 << 10);
    let last_ms = grow(1);
    setup.agent.truncate().unwrap();
    assert!(setup.first_segment() > 0, "beyond the limit the log goes all the same");
    up.store(true, Ordering::SeqCst);
    receiver.wait_for(&[&format!("a@{last_ms}"), &format!("b@{last_ms}")]);
    write.stop();
    assert!(setup.metric("wal_segments_lost_total") > 0.0);
    let samples = receiver.samples();
    let distinct: BTreeSet<_> = samples.iter().collect();
    assert_eq!(distinct.len(), samples.len(), "each sample that was not lost arrives once");
    assert!(samples.len() < 2 * last_ms as usize);
    assert_eq!(setup.metric_with("samples_dropped_total", "unintentionally_dropped_series"), 0.0);
}

#[test]
fn more_shards_come_with_slow_requests_and_series_stay_in_order() {
    const SERIES: usize = 40;
    const ROUNDS: i64 = 60;
    let setup = Setup::new();
    let (clock, registry) = (setup.clock.clone(), setup.registry.clone());
    let most = Arc::new(Mutex::new(0.0_f64));
    let seen = most.clone();
    let receiver = Receiver::start(move |_| {
        // Each request takes long, by the clock that counts.
        clock.advance(Duration::from_secs(5));
        let shards = harness::metric(&registry.gather(), "prometheus_remote_storage_shards", None);
        let mut most = seen.lock();
        *most = most.max(shards);
        Answer::STORED
    });
    let write = setup.write();
    let mut config = quick(&receiver.url);
    config.queue_config.max_samples_per_send = 10;
    config.queue_config.capacity = 20;
    config.queue_config.max_shards = 8;
    setup.apply(&write, &[config]);
    let names: Vec<String> = (0..SERIES).map(|i| format!("series_{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for t_ms in 1..=ROUNDS {
        setup.append(&names, t_ms);
    }
    receiver.wait_until(|samples| samples.len() == SERIES * ROUNDS as usize);
    write.stop();
    assert!(*most.lock() > 1.0, "{}", most.lock());
    let mut by_series: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for sample in receiver.in_order() {
        let (name, t_ms) = sample.split_once('@').unwrap();
        by_series.entry(name.to_owned()).or_default().push(t_ms.parse().unwrap());
    }
    for (name, times) in by_series {
        assert_eq!(times, (1..=ROUNDS).collect::<Vec<_>>(), "{name}");
    }
}

/// A store that takes a request as a whole or, if it has any of its samples, not at all, and may keep the answer to itself.
#[derive(Default)]
struct Store {
    newest: BTreeMap<String, i64>,
    samples: Vec<String>,
    refused: usize,
    /// Requests that are still to be answered.
    answers: usize,
    silent: usize,
}

impl Store {
    fn take(&mut self, samples: &[String]) -> Answer {
        let parsed = samples.iter().map(|sample| {
            let (name, t_ms) = sample.split_once('@').unwrap();
            (name, t_ms.parse::<i64>().unwrap())
        });
        if parsed.clone().any(|(name, t_ms)| self.newest.get(name).is_some_and(|&newest| t_ms <= newest)) {
            self.refused += 1;
            return Answer { status: "400 Bad Request", headers: "" };
        }
        for (name, t_ms) in parsed {
            self.newest.insert(name.to_owned(), t_ms);
        }
        self.samples.extend_from_slice(samples);
        Answer::STORED
    }
}

#[test]
fn a_kill_repeats_no_more_than_the_requests_under_way_and_those_as_they_were() {
    const SHARDS: usize = 3;
    const KILLS: usize = 6;
    let shared = Arc::new((Mutex::new(Store::default()), parking_lot::Condvar::new()));
    let answering = shared.clone();
    let receiver = Receiver::start(move |received| {
        let (store, changed) = &*answering;
        let mut store = store.lock();
        let answer = store.take(received.samples());
        if store.answers == 0 {
            store.silent += 1;
            changed.notify_all();
            changed.wait_while(&mut store, |store| store.answers == 0);
        }
        store.answers -= 1;
        answer
    });
    let setup = Setup::new();
    let mut config = quick(&receiver.url);
    config.queue_config.max_samples_per_send = 10;
    config.queue_config.capacity = 20;
    config.queue_config.min_shards = SHARDS as i64;
    config.queue_config.max_shards = SHARDS as i64;
    let names: Vec<String> = (0..25).map(|i| format!("series_{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut t_ms, mut synced) = (0, None);
    let (store, changed) = &*shared;
    for kill in 0..=KILLS {
        store.lock().answers = if kill == KILLS { usize::MAX } else { 5 + kill };
        let write = setup.write_that_ends_at_once();
        setup.apply(&write, std::slice::from_ref(&config));
        // Only what was synced is sure to be there: the cursor as it was in the beginning.
        let file = setup.dir.path().join(CURSOR_DIR).join(&setup.cursors()[0]);
        let cursor = synced.get_or_insert_with(|| std::fs::read(&file).unwrap());
        for _ in 0..8 {
            t_ms += 1;
            setup.append(&names, t_ms);
        }
        let wanted = names.len() * t_ms as usize;
        if kill == KILLS {
            setup.wait_for(|| store.lock().samples.len() == wanted);
        } else {
            changed.wait_while(&mut store.lock(), |store| store.silent == 0);
        }
        write.stop();
        std::fs::write(&file, cursor).unwrap();
        let mut store = store.lock();
        (store.answers, store.silent) = (usize::MAX, 0);
        changed.notify_all();
    }
    let store = store.lock();
    let distinct: BTreeSet<_> = store.samples.iter().collect();
    assert_eq!(distinct.len(), names.len() * t_ms as usize);
    assert_eq!(distinct.len(), store.samples.len());
    assert!((1..=SHARDS * KILLS).contains(&store.refused), "{} refused", store.refused);
}

#[test]
fn a_damaged_cursor_sends_what_the_log_has() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    setup.append(&["a"], 1);
    let write = setup.write();
    setup.apply(&write, &[quick(&receiver.url)]);
    write.stop();
    let cursor = setup.dir.path().join(CURSOR_DIR).join(&setup.cursors()[0]);
    std::fs::write(cursor, "no cursor").unwrap();
    let write = setup.write();
    setup.apply(&write, &[quick(&receiver.url)]);
    receiver.wait_for(&["a@1"]);
    write.stop();
}

#[test]
fn an_end_with_a_dead_destination_waits_for_nothing_and_loses_nothing() {
    let receiver = Receiver::start(|_| Answer { status: "503 Service Unavailable", headers: "" });
    let setup = Setup::new();
    let write = setup.write();
    setup.apply(&write, &[quick(&receiver.url)]);
    setup.append(&["a"], 1);
    receiver.wait_for_attempts(3);
    write.stop();
    let alive = Receiver::start(|_| Answer::STORED);
    let write = setup.write();
    // Under its name it is the same destination wherever it is.
    setup.apply(&write, &[quick(&alive.url)]);
    alive.wait_for(&["a@1"]);
    write.stop();
}

#[test]
fn metadata_of_version_one_is_sent_from_time_to_time() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    let write = setup.write();
    let mut config = quick(&receiver.url);
    config.metadata_config.send = true;
    config.metadata_config.send_interval = PromDuration::from_ms(100);
    config.metadata_config.max_samples_per_send = 1;
    setup.apply(&write, &[config]);
    receiver.wait_until_families(&["requests_total", "temperature"]);
    setup.wait_for(|| setup.metric("metadata_total") >= 2.0);
    write.stop();
}

#[test]
fn two_destinations_without_names_have_cursors_of_their_own() {
    let receiver = Receiver::start(|_| Answer::STORED);
    let setup = Setup::new();
    let write = setup.write();
    let unnamed = RemoteWriteConfig { name: String::new(), ..quick(&receiver.url) };
    let mut with_header = unnamed.clone();
    with_header.headers.insert("x-scope-orgid".to_owned(), "team".to_owned());
    setup.apply(&write, &[unnamed.clone(), with_header, unnamed]);
    assert_eq!(setup.cursors().len(), 3);
    setup.append(&["a"], 1);
    receiver.wait_for(&["a@1", "a@1", "a@1"]);
    write.stop();
    assert_eq!(receiver.heads().iter().filter(|head| head.contains("x-scope-orgid: team")).count(), 1);
}
