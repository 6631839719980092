//! What there is: labels, streams, amounts, fields and patterns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::lines::{labels_of, shown};
use super::request::Parameters;
use super::{Common, LogsCommand, Output, emit};

/// Asks and prints.
pub(super) fn run(command: &LogsCommand) -> anyhow::Result<()> {
    match command {
        LogsCommand::Labels { name, selector, common } => {
            let mut parameters = common.range()?.parameters();
            parameters.extend(selector.iter().map(|selector| ("query", selector.clone())));
            let answer = match name {
                Some(name) => common.ask(&["label", name, "values"], &parameters)?,
                None => common.ask(&["labels"], &parameters)?,
            };
            print(common, &answer["data"], |data| texts(common, data))
        }
        LogsCommand::Series { selector, analyze_labels, common } => {
            let mut parameters = common.range()?.parameters();
            parameters.push(("match[]", selector.clone()));
            let answer = common.ask(&["series"], &parameters)?;
            let shape = if *analyze_labels { cardinalities } else { series };
            print(common, &answer["data"], |data| limited(common, shape(data)))
        }
        LogsCommand::Stats { selector, common } => {
            let answer = common.ask(&["index", "stats"], &about(common, selector)?)?;
            print(common, &answer, stats)
        }
        LogsCommand::Volume { selector, by, common } => {
            let mut parameters = about(common, selector)?;
            if common.limit > 0 {
                parameters.push(("limit", common.limit.to_string()));
            }
            if !by.is_empty() {
                parameters.push(("targetLabels", by.join(",")));
            }
            let answer = common.ask(&["index", "volume"], &parameters)?;
            print(common, &answer["data"], volumes)
        }
        LogsCommand::Fields { query, name, common } => {
            let mut parameters = about(common, query)?;
            if common.limit > 0 {
                parameters.push(("limit", common.limit.to_string()));
            }
            let answer = match name {
                Some(name) => common.ask(&["detected_field", name, "values"], &parameters)?,
                None => common.ask(&["detected_fields"], &parameters)?,
            };
            match name {
                Some(_) => print(common, &answer["values"], |data| texts(common, data)),
                None => print(common, &answer["fields"], fields),
            }
        }
        LogsCommand::Patterns { selector, common } => {
            let answer = common.ask(&["patterns"], &about(common, selector)?)?;
            print(common, &answer["data"], |data| limited(common, patterns(data)))
        }
        LogsCommand::Fmt { query, common } => {
            let answer = common.ask(&["format_query"], &vec![("query", query.clone())])?;
            emit(&format!("{}\n", answer["data"].as_str().unwrap_or_default()))
        }
    }
}

fn about(common: &Common, query: &str) -> anyhow::Result<Parameters> {
    let mut parameters = common.range()?.parameters();
    parameters.push(("query", query.to_owned()));
    Ok(parameters)
}

fn print(common: &Common, data: &Value, shape: impl Fn(&Value) -> Vec<String>) -> anyhow::Result<()> {
    let lines = match common.output {
        Output::Json => vec![serde_json::to_string_pretty(data)?],
        Output::Jsonl => match data {
            Value::Array(items) => items.iter().map(Value::to_string).collect(),
            other => vec![other.to_string()],
        },
        Output::Graph => anyhow::bail!("--output graph draws series over time"),
        _ => shape(data),
    };
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    emit(&text)
}

fn limited(common: &Common, mut lines: Vec<String>) -> Vec<String> {
    if common.limit > 0 && lines.len() > common.limit {
        let more = lines.len() - common.limit;
        lines.truncate(common.limit);
        eprintln!("and {more} more: see --limit");
    }
    lines
}

fn items(data: &Value) -> impl Iterator<Item = &Value> {
    data.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn texts(common: &Common, data: &Value) -> Vec<String> {
    limited(common, items(data).map(text).collect())
}

fn series(data: &Value) -> Vec<String> {
    let mut lines: Vec<String> = items(data).map(|stream| shown(&labels_of(stream))).collect();
    lines.sort();
    lines
}

/// For each label how many values it has, and in how many streams it is.
fn cardinalities(data: &Value) -> Vec<String> {
    let mut labels: BTreeMap<String, (BTreeSet<String>, usize)> = BTreeMap::new();
    let mut streams = 0;
    for stream in items(data) {
        streams += 1;
        for (name, value) in labels_of(stream) {
            let (values, found) = labels.entry(name).or_default();
            values.insert(value);
            *found += 1;
        }
    }
    let mut sorted: Vec<_> = labels.into_iter().collect();
    sorted.sort_by_key(|(_, (values, _))| std::cmp::Reverse(values.len()));
    let mut rows = vec![["LABEL", "VALUES", "STREAMS"].map(str::to_owned).to_vec()];
    rows.extend(
        sorted
            .into_iter()
            .map(|(name, (values, found))| vec![name, values.len().to_string(), found.to_string()]),
    );
    let mut lines = vec![format!("{streams} streams, {} labels", rows.len() - 1)];
    lines.extend(columns(&rows));
    lines
}

fn stats(data: &Value) -> Vec<String> {
    let number = |name: &str| data[name].as_u64().unwrap_or_default();
    let rows: Vec<Vec<String>> = ["streams", "chunks", "entries", "bytes"]
        .map(|name| {
            let shown = if name == "bytes" { bytes(number(name)) } else { number(name).to_string() };
            vec![name.to_owned(), shown]
        })
        .to_vec();
    columns(&rows)
}

fn volumes(data: &Value) -> Vec<String> {
    let row = |series: &Value| {
        let amount = series["value"][1].as_str().and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
        vec![bytes(amount), shown(&labels_of(&series["metric"]))]
    };
    columns(&items(&data["result"]).map(row).collect::<Vec<_>>())
}

fn fields(data: &Value) -> Vec<String> {
    let mut rows = vec![["FIELD", "TYPE", "VALUES", "PARSERS"].map(str::to_owned).to_vec()];
    rows.extend(items(data).map(|field| {
        let parsers: Vec<String> = items(&field["parsers"]).map(text).collect();
        vec![text(&field["label"]), text(&field["type"]), text(&field["cardinality"]), parsers.join(", ")]
    }));
    columns(&rows)
}

fn patterns(data: &Value) -> Vec<String> {
    let count =
        |pattern: &Value| items(&pattern["samples"]).filter_map(|sample| sample[1].as_u64()).sum::<u64>();
    let mut found: Vec<(u64, String)> =
        items(data).map(|pattern| (count(pattern), text(&pattern["pattern"]))).collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    columns(&found.into_iter().map(|(count, pattern)| vec![count.to_string(), pattern]).collect::<Vec<_>>())
}

/// Rows with aligned columns; the last one has no end.
fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Bytes with a unit people read.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_become_columns() {
        let answer = json!({ "streams": 2, "chunks": 3, "entries": 40, "bytes": 2048 });
        assert_eq!(stats(&answer), ["streams  2", "chunks   3", "entries  40", "bytes    2.0 KiB"]);
        let found = json!([
            { "pattern": "a <_>", "samples": [[1, 2], [2, 3]] },
            { "pattern": "b", "samples": [[1, 20]] },
        ]);
        assert_eq!(patterns(&found), ["20  b", "5   a <_>"]);
        let streams = json!([{ "job": "a", "host": "x" }, { "job": "a", "host": "y" }]);
        assert_eq!(
            cardinalities(&streams),
            ["2 streams, 2 labels", "LABEL  VALUES  STREAMS", "host   2       2", "job    1       2"]
        );
        assert_eq!(series(&streams), ["{host=\"x\", job=\"a\"}", "{host=\"y\", job=\"a\"}"]);
        let found =
            json!([{ "label": "took", "type": "duration", "cardinality": 4, "parsers": ["json", "logfmt"] }]);
        assert_eq!(fields(&found)[1], "took   duration  4       json, logfmt");
        let found = json!({ "result": [{ "metric": { "job": "a" }, "value": [1, "1048576"] }] });
        assert_eq!(volumes(&found), ["1.0 MiB  {job=\"a\"}"]);
    }
}
