//! Comparing an answer with the recorded one, as the runner beside the data does.

use serde_json::{Map, Value};

const EPSILON: f64 = 1e-9;

/// What differs, if anything.
pub fn check(case: &Value, status: u16, text: &str) -> Option<String> {
    let wanted = case["status"].as_u64().unwrap();
    if u64::from(status) != wanted {
        return Some(format!("want status {wanted}, got {status}: {text}"));
    }
    if case["compare"] == "status" {
        return None;
    }
    if let Some(part) = case["text_contains"].as_str() {
        return (!text.contains(part)).then(|| format!("want a text with {part:?}, got {text:?}"));
    }
    let want = case.get("response").or_else(|| case.get("text")).cloned().unwrap_or_else(|| Value::from(""));
    let got = normal(case, text);
    if let (Value::String(want), Value::String(got)) = (&want, &got) {
        let cut = |text: &str| match case["text_until"].as_str() {
            Some(mark) => text.split(mark).next().unwrap_or_default().trim().to_owned(),
            None => text.trim().to_owned(),
        };
        return (cut(want) != cut(got)).then(|| format!("want {want:?}, got {got:?}"));
    }
    let want = if case["unordered"] == true { sorted(want) } else { want };
    difference(&want, &got, &mut Vec::new(), case["tolerance"].as_f64().unwrap_or(EPSILON), false)
}

/// The part of an answer that is compared.
fn normal(case: &Value, text: &str) -> Value {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Value::from(text) };
    if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
        let stats = data.remove("stats");
        if case["compare"] == "stats-shape" {
            data.insert("stats".to_owned(), shape(&stats.unwrap_or_default()));
        }
    }
    for key in case["ignore"].as_array().into_iter().flatten() {
        if let Some(object) = value.as_object_mut() {
            object.remove(key.as_str().unwrap());
        }
    }
    if case["unordered"] == true { sorted(value) } else { value }
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), shape(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().take(1).map(shape).collect::<Vec<_>>().into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Null => "null".into(),
    }
}

/// Lists of series, names and fields in one order; samples and lines keep theirs.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let keep = |key: &str, value: &Value| {
                matches!(key, "values" | "value" | "samples") && value.get(0).is_some_and(Value::is_array)
            };
            let items = object.into_iter().map(|(key, value)| {
                let value = if keep(&key, &value) { value } else { sorted(value) };
                (key, value)
            });
            Value::Object(items.collect())
        }
        Value::Array(items) if items.iter().all(|item| item.is_object() || item.is_string()) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_cached_key(ToString::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

fn is_close(want: f64, got: f64, tolerance: f64) -> bool {
    if want.is_nan() || got.is_nan() || want.is_infinite() || got.is_infinite() {
        return want.to_bits() == got.to_bits() || want.is_nan() && got.is_nan();
    }
    // Byte counts of an index are rounded.
    let slack = if tolerance > EPSILON { 1024.0 } else { 0.0 };
    (want - got).abs() <= f64::max(slack, tolerance * want.abs().max(got.abs()))
}

fn difference(
    want: &Value,
    got: &Value,
    path: &mut Vec<String>,
    tolerance: f64,
    samples: bool,
) -> Option<String> {
    let told = |path: &[String]| Some(format!("{}: want {want}, got {got}", path.join("/")));
    match (want, got) {
        (Value::Number(a), Value::Number(b)) => {
            let tolerance = if path.last().is_some_and(|step| step == "bytes") { tolerance } else { EPSILON };
            if is_close(a.as_f64()?, b.as_f64()?, tolerance) { None } else { told(path) }
        }
        (Value::Object(a), Value::Object(b)) => {
            let samples = samples
                || a.get("resultType")
                    .and_then(Value::as_str)
                    .is_some_and(|kind| matches!(kind, "vector" | "matrix" | "scalar"));
            if a.keys().any(|key| !b.contains_key(key)) || b.keys().any(|key| !a.contains_key(key)) {
                return told(path);
            }
            a.iter().find_map(|(key, value)| {
                path.push(key.clone());
                let found = difference(value, &b[key], path, tolerance, samples);
                path.pop();
                found
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return told(path);
            }
            a.iter().zip(b).enumerate().find_map(|(at, (a, b))| {
                path.push(at.to_string());
                let found = difference(a, b, path, tolerance, samples);
                path.pop();
                found
            })
        }
        (Value::String(a), Value::String(b)) if a != b && samples => match (a.parse(), b.parse()) {
            (Ok(a), Ok(b)) if is_close(a, b, tolerance) => None,
            _ => told(path),
        },
        _ if want == got => None,
        _ => told(path),
    }
}
