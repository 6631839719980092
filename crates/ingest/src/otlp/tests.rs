//! Requests against what Prometheus 3.14 made of them: `testdata/otlp` holds requests with the settings they were
//! sent under, and the samples its converter appended.

mod recorder;
mod refused;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use self::recorder::{Recorder, receiver};
use super::settings::DeltaMode;
use super::*;

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn translation(settings: &Value) -> Translation {
    let is_on = |name: &str| settings[name].as_bool();
    Translation {
        strategy: match settings["strategy"].as_str().unwrap_or_default() {
            "" | "UnderscoreEscapingWithSuffixes" => Strategy::UnderscoreEscapingWithSuffixes,
            "UnderscoreEscapingWithoutSuffixes" => Strategy::UnderscoreEscapingWithoutSuffixes,
            "NoUTF8EscapingWithSuffixes" => Strategy::NoUtf8EscapingWithSuffixes,
            "NoTranslation" => Strategy::NoTranslation,
            other => panic!("{other}"),
        },
        promotion: match is_on("promote_all") {
            Some(true) => Promotion::AllBut(strings(&settings["ignore"])),
            _ => Promotion::Only(strings(&settings["promote"])),
        },
        keep_identifying_resource_attributes: is_on("keep_identifying").unwrap_or_default(),
        convert_histograms_to_nhcb: is_on("nhcb").unwrap_or_default(),
        promote_scope_metadata: is_on("scope").unwrap_or_default(),
        label_name_underscore_sanitization: is_on("underscore_sanitization").unwrap_or(true),
        label_name_preserve_multiple_underscores: is_on("preserve_underscores").unwrap_or(true),
    }
}

fn options(settings: &Value) -> Options {
    let is_on = |name: &str| settings[name].as_bool().unwrap_or_default();
    Options {
        delta: match (is_on("convert_delta"), is_on("native_delta")) {
            (true, _) => DeltaMode::Accumulate,
            (_, true) => DeltaMode::Store,
            _ => DeltaMode::Refuse,
        },
        lookback: Duration::from_millis(settings["lookback_ms"].as_u64().unwrap_or(300_000)),
        type_and_unit_labels: is_on("type_and_unit"),
        append_metadata: true,
        ..Options::default()
    }
}

/// Buckets by index, for there are several ways to write the same.
fn buckets(spans: &Value, deltas: &Value) -> Value {
    let (mut index, mut count, mut deltas) = (0, 0, deltas.as_array().into_iter().flatten());
    let mut buckets = Vec::new();
    for span in spans.as_array().into_iter().flatten() {
        index += span["Offset"].as_i64().unwrap();
        for _ in 0..span["Length"].as_i64().unwrap() {
            count += deltas.next().unwrap().as_i64().unwrap();
            if count != 0 {
                buckets.push(json!([index, count]));
            }
            index += 1;
        }
    }
    Value::Array(buckets)
}

/// A recorded sample in the form in which [`Recorder`] tells its own.
fn expected(sample: &Value) -> Value {
    let mut sample = sample.clone();
    let is_stale = sample["v"] == "stale" || sample["h"]["sum"] == "stale";
    sample.as_object_mut().unwrap().remove("family");
    if let Some(h) = sample.get("h").filter(|h| !h.is_null()).cloned() {
        // All a staleness marker says is where the series ends.
        sample["h"] = if is_stale {
            json!("stale")
        } else {
            let bounds: Vec<_> = h["cv"].as_array().into_iter().flatten().map(Value::as_f64).collect();
            json!({"hint": h["hint"], "schema": h["schema"], "zt": format!("{:.9e}", h["zt"].as_f64().unwrap()), "zc": h["zc"], "count": h["count"],
                "sum": h["sum"], "cv": bounds, "positive": buckets(&h["ps"], &h["pb"]),
                "negative": buckets(&h["ns"], &h["nb"])})
        };
    }
    if is_stale {
        // The storage takes neither with a staleness marker.
        sample.as_object_mut().unwrap().remove("ex");
        sample.as_object_mut().unwrap().remove("meta");
    }
    sample
}

#[test]
fn requests_become_the_series_prometheus_makes_of_them() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/otlp");
    let mut cases = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".case.json") else {
            continue;
        };
        let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
        let case = read(&path);
        let want = read(&path.with_file_name(format!("{name}.want.json")));
        run(name, &case, &want);
        cases += 1;
    }
    assert!(cases > 60, "{cases}");
}

fn run(name: &str, case: &Value, want: &Value) {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, options(&case["settings"]), &registry);
    receiver.apply(translation(&case["settings"]));
    let requests = case["requests"].as_array().unwrap();
    for (request, answer) in requests.iter().zip(want["answers"].as_array().unwrap()) {
        let body = wire::otlp::json::to_protobuf(request.to_string().as_bytes()).unwrap();
        let outcome = receiver.export(&TenantId::default(), &body);
        match answer["status"].as_u64().unwrap() {
            200 => drop(outcome.unwrap_or_else(|error| panic!("{name}: {error:?}"))),
            _ => {
                let message = outcome.unwrap_err().message;
                let said = answer["body"].as_str().unwrap().trim_end();
                assert!(message.starts_with(said), "{name}: {message:?} does not begin with {said:?}");
            }
        }
    }
    let samples = want["samples"].as_array().unwrap().iter();
    let mut all: Vec<Value> = samples.filter(|sample| *sample != "rollback").map(expected).collect();
    let mut got = recorder.committed();
    let order = |a: &Value, b: &Value| a.to_string().cmp(&b.to_string());
    all.sort_by(order);
    got.sort_by(order);
    for (got, want) in got.iter().zip(&all) {
        assert_eq!(got, want, "{name}");
    }
    assert_eq!(got.len(), all.len(), "{name}: {got:?} {all:?}");
    for (metric, value) in want["counters"].as_object().unwrap() {
        assert_eq!(recorder::counter(&registry, metric), value.as_f64().unwrap(), "{name}: {metric}");
    }
}
