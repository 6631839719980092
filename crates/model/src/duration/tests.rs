use proptest::prelude::*;

use super::*;
use crate::conformance::golang_cases;

#[test]
fn prometheus_durations() {
    for (text, ms, normal) in [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("5ms", 5, "5ms"),
        ("1h30m", 5_400_000, "1h30m"),
        ("90m", 5_400_000, "1h30m"),
        ("1m30s5ms", 90_005, "1m30s5ms"),
        ("2w", 14 * 86_400_000, "2w"),
        ("8d", 8 * 86_400_000, "8d"),
        ("1w1d", 8 * 86_400_000, "8d"),
        ("1y", 365 * 86_400_000, "1y"),
        ("1y1d", 366 * 86_400_000, "366d"),
        ("292y", 292 * 365 * 86_400_000, "292y"),
    ] {
        assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        assert_eq!(format_duration_ms(ms), normal);
    }
    assert_eq!(parse_signed_duration_ms("-1m"), Ok(-60_000));
    assert_eq!(format_duration_ms(-90_000), "-1m30s");
}

#[test]
fn prometheus_duration_errors() {
    for text in ["1", "d", "5m1h", "5m1m", "-1h", "１s", "ms", "99999999999999999999s"] {
        let error = parse_duration_ms(text).unwrap_err();
        assert_eq!(error.to_string(), format!("not a valid duration string: \"{text}\""));
    }
    for (text, unit) in [("1x", "x"), ("1.5h", "."), ("1d ", "d "), ("1h2sm", "sm")] {
        let error = parse_duration_ms(text).unwrap_err();
        assert_eq!(error.to_string(), format!("unknown unit \"{unit}\" in duration \"{text}\""));
    }
    assert_eq!(parse_duration_ms("").unwrap_err().to_string(), "empty duration string");
    for text in ["293y", "9999999999999999s", "292y200d"] {
        assert_eq!(parse_duration_ms(text).unwrap_err().to_string(), "duration out of range", "{text}");
    }
}

#[test]
fn go_durations_are_written_as_go_writes_them() {
    let Some(cases) = golang_cases("go_durations_are_written_as_go_writes_them", "format.json") else {
        return;
    };
    for case in cases.iter().filter(|case| case["kind"] == "duration") {
        let ns: i64 = case["ns"].as_str().unwrap().parse().unwrap();
        assert_eq!(format_go_duration(ns), case["string"].as_str().unwrap(), "{}", case["id"]);
    }
}

#[test]
fn go_durations_are_read_as_go_reads_them() {
    let Some(cases) = golang_cases("go_durations_are_read_as_go_reads_them", "format.json") else { return };
    for case in cases.iter().filter(|case| case["kind"] == "parse-duration") {
        let parsed = parse_go_duration(case["input"].as_str().unwrap());
        match case["error"].as_str() {
            Some(error) => assert_eq!(parsed.unwrap_err().to_string(), error),
            None => {
                let ns: i64 = case["ns"].as_str().unwrap().parse().unwrap();
                assert_eq!(parsed, Ok(ns), "{}", case["id"]);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(ms in -MAX_MS..=MAX_MS, ns in any::<i64>()) {
        prop_assert_eq!(parse_signed_duration_ms(&format_duration_ms(ms)), Ok(ms));
        prop_assert_eq!(parse_go_duration(&format_go_duration(ns)), Ok(ns));
    }
}
