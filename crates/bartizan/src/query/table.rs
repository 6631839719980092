//! Answers as aligned columns.

use serde_json::Value;

/// The answer's data as text.
pub fn render(data: &Value) -> String {
    match data {
        Value::Array(items) => items.iter().map(|item| format!("{}\n", name(item))).collect(),
        Value::Object(object) if object.contains_key("resultType") => result(data),
        Value::Object(families) => metadata(families),
        other => format!("{other}\n"),
    }
}

fn result(data: &Value) -> String {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("vector") => {
            let rows = result.as_array().into_iter().flatten().map(|series| {
                let point = series.get("value").or(series.get("histogram")).unwrap_or(&Value::Null);
                vec![name(&series["metric"]), value(&point[1])]
            });
            aligned(rows.collect())
        }
        Some("matrix") => {
            let mut rows = Vec::new();
            for series in result.as_array().into_iter().flatten() {
                let mut label = name(&series["metric"]);
                for key in ["values", "histograms"] {
                    for point in series[key].as_array().into_iter().flatten() {
                        // The name stands once, before its first point.
                        rows.push(vec![std::mem::take(&mut label), time(&point[0]), value(&point[1])]);
                    }
                }
            }
            aligned(rows)
        }
        _ => format!("{}\n", value(&result[1])),
    }
}

fn metadata(families: &serde_json::Map<String, Value>) -> String {
    let mut rows = vec![vec!["METRIC".to_owned(), "TYPE".to_owned(), "UNIT".to_owned(), "HELP".to_owned()]];
    for (family, entries) in families {
        for entry in entries.as_array().into_iter().flatten() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            rows.push(vec![family.clone(), text("type"), text("unit"), text("help")]);
        }
    }
    aligned(rows)
}

/// `name{label="value"}`, or plain text.
pub fn name(metric: &Value) -> String {
    let Value::Object(labels) = metric else {
        return metric.as_str().map_or_else(|| metric.to_string(), str::to_owned);
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metric_name = labels.get(model::METRIC_NAME).map(text).unwrap_or_default();
    let rest: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != model::METRIC_NAME)
        .map(|(name, value)| format!("{name}={}", model::labels::Quoted(&text(value))))
        .collect();
    if rest.is_empty() && !metric_name.is_empty() {
        metric_name
    } else {
        format!("{metric_name}{{{}}}", rest.join(", "))
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::String(number) => number.clone(),
        Value::Object(histogram) => {
            let text = |key: &str| histogram.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("histogram count={} sum={}", text("count"), text("sum"))
        }
        other => other.to_string(),
    }
}

/// Seconds since the Unix epoch as RFC 3339.
pub fn time(seconds: &Value) -> String {
    let ms = (seconds.as_f64().unwrap_or_default() * 1e3).round() as i64;
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vector_is_two_columns() {
        let data = json!({ "resultType": "vector", "result": [
            { "metric": { "__name__": "up", "job": "a" }, "value": [1, "1"] },
            { "metric": { "__name__": "up", "job": "longer" }, "value": [1, "0"] },
        ]});
        assert_eq!(render(&data), "up{job=\"a\"}       1\nup{job=\"longer\"}  0\n");
    }

    #[test]
    fn a_matrix_names_each_series_once() {
        let data = json!({ "resultType": "matrix", "result": [
            { "metric": { "__name__": "up" }, "values": [[0, "1"], [1.5, "2"]] },
        ]});
        assert_eq!(render(&data), "up  1970-01-01T00:00:00Z    1\n    1970-01-01T00:00:01.5Z  2\n");
    }
}
