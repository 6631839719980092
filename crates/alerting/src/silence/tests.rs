use super::*;
use crate::alert::from_ms;

fn silence(id: &str, matchers: &str, start: i64, end: i64) -> Silence {
    let set = config::alertmanager::Matchers::parse(matchers, MatcherMode::Fallback).unwrap().0;
    Silence {
        id: id.to_owned(),
        matcher_sets: vec![set],
        starts_at: from_ms(start),
        ends_at: from_ms(end),
        updated_at: from_ms(0),
        created_by: "me".to_owned(),
        comment: "maintenance".to_owned(),
        annotations: BTreeMap::from([("ticket".to_owned(), "42".to_owned())]),
    }
}

fn set(silences: &mut Silences, silence: Silence, new_id: &str, now: i64) -> Result<String, SilenceError> {
    let records = silences.plan_set(silence, || new_id.to_owned(), from_ms(now))?;
    let id = records.last().unwrap().silence.id.clone();
    assert!(records.into_iter().all(|record| silences.merge(record, from_ms(now))));
    Ok(id)
}

#[test]
fn a_silence_silences_from_start_to_end() {
    let mut silences = Silences::new(SilenceOptions::default());
    set(&mut silences, silence("", "job=api", 10, 20), "one", 5).unwrap();
    let (api, web) = (Labels::from_pairs([("job", "api")]), Labels::from_pairs([("job", "web")]));
    assert!(silences.silencing(&api, from_ms(9)).is_empty());
    assert_eq!(silences.silencing(&api, from_ms(10)), ["one"]);
    assert_eq!(silences.silencing(&api, from_ms(20)), ["one"]);
    assert!(silences.silencing(&web, from_ms(15)).is_empty());
    assert!(silences.silencing(&api, from_ms(21)).is_empty());
}

#[test]
fn a_change_of_the_past_makes_a_new_silence() {
    let mut silences = Silences::new(SilenceOptions::default());
    set(&mut silences, silence("", "job=api", 0, 100_000), "one", 0).unwrap();
    let longer = silence("one", "job=api", 0, 200_000);
    assert_eq!(set(&mut silences, longer, "two", 10_000).as_deref(), Ok("one"), "only its end changes");
    let other = silence("one", "job=web", 0, 200_000);
    assert_eq!(set(&mut silences, other, "three", 20_000).as_deref(), Ok("three"));
    assert_eq!(silences.get("one").unwrap().ends_at, from_ms(20_000));
    assert_eq!(silences.get("three").unwrap().starts_at, from_ms(20_000), "nothing is silenced in the past");
    let unknown = silence("four", "job=web", 0, 200_000);
    assert_eq!(set(&mut silences, unknown, "five", 20_000), Err(SilenceError::NotFound));
}

#[test]
fn expiring_twice_is_expiring_once() {
    let mut silences = Silences::new(SilenceOptions::default());
    set(&mut silences, silence("", "job=api", 10, 100), "one", 0).unwrap();
    let record = silences.plan_expire("one", from_ms(5)).unwrap().unwrap();
    assert_eq!((record.silence.starts_at, record.silence.ends_at), (from_ms(5), from_ms(5)));
    assert!(silences.merge(record, from_ms(5)));
    assert_eq!(silences.plan_expire("one", from_ms(6)), Ok(None));
    assert_eq!(silences.plan_expire("none", from_ms(6)), Err(SilenceError::NotFound));
}

#[test]
fn nonsense_and_too_much_are_refused() {
    let options = SilenceOptions { max_silences: 1, max_silence_bytes: 300, ..SilenceOptions::default() };
    let mut silences = Silences::new(options);
    let refused = |silences: &mut Silences, silence| set(silences, silence, "x", 0).unwrap_err().to_string();
    let cases = [
        (Silence { matcher_sets: vec![], ..silence("", "a=b", 1, 2) }, "at least one matcher set required"),
        (Silence { matcher_sets: vec![vec![]], ..silence("", "a=b", 1, 2) }, "matcher set 0 is empty"),
        (
            silence("", "a=\"\",b=~\".*\"", 1, 2),
            "matcher set 0: at least one matcher must not match the empty string",
        ),
        (silence("", "a=b", 2, 1), "end time must not be before start time"),
    ];
    for (silence, message) in cases {
        assert_eq!(refused(&mut silences, silence), format!("invalid silence: {message}"));
    }
    let large = Silence { comment: "x".repeat(300), ..silence("", "a=b", 1, 2) };
    assert!(refused(&mut silences, large).ends_with("bytes (limit: 300 bytes)"));
    set(&mut silences, silence("", "a=b", 1, 2), "one", 0).unwrap();
    let message = refused(&mut silences, silence("", "a=c", 1, 2));
    assert_eq!(message, "exceeded maximum number of silences: 1 (limit: 1)");
}

#[test]
fn records_survive_and_merge_in_any_order() {
    let mut silences = Silences::new(SilenceOptions::default());
    set(&mut silences, silence("", "job=api,env!=\"x\",a=~\"b.*\",c!~d", 0, 100), "one", 0).unwrap();
    let first = silences.records().next().unwrap().clone();
    assert_eq!(decode(&encode(&first)).unwrap(), first);
    let second = SilenceRecord {
        silence: Arc::new(Silence {
            updated_at: from_ms(7),
            ends_at: from_ms(50),
            ..(*first.silence).clone()
        }),
        ..first.clone()
    };
    let mut other = Silences::new(SilenceOptions::default());
    assert!(other.merge(second.clone(), from_ms(1)));
    assert!(!other.merge(first, from_ms(1)), "what is older is no news");
    assert!(!other.merge(second, from_ms(1)), "nor is what is known");
    assert_eq!(other.get("one").unwrap().ends_at, from_ms(50));
    let retention_ms = 120 * 3600 * 1000;
    assert_eq!(other.forget_expired(from_ms(100 + retention_ms)), 1);
}

#[test]
fn changes_in_one_tick_of_the_clock_are_all_made() {
    let mut silences = Silences::new(SilenceOptions::default());
    set(&mut silences, silence("", "job=api", 0, 100), "one", 0).unwrap();
    set(&mut silences, silence("one", "job=api", 0, 200), "two", 0).unwrap();
    let record = silences.plan_expire("one", from_ms(0)).unwrap().unwrap();
    assert!(silences.merge(record, from_ms(0)));
    assert_eq!(silences.get("one").unwrap().ends_at, from_ms(0));
}
