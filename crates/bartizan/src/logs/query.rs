//! Lines and series of a range of time.

use std::io::{BufWriter, IsTerminal, Write};

use anyhow::bail;
use serde_json::Value;

use super::lines::{Line, Printer, common, of_streams, shown};
use super::request::Range;
use super::{Direction, Output, QueryArgs, emit};
use crate::query::{graph, screen, table};

/// Lines that are asked for at a time.
const PAGE_LINES: usize = 1000;

/// Asks and prints.
pub(super) fn run(args: &QueryArgs) -> anyhow::Result<()> {
    let expression = args.expression.as_deref().unwrap_or_default();
    let range = args.common.range()?;
    let first = page(args, expression, range, page_limit(args.common.limit, 0))?;
    let data = &first["data"];
    if args.common.output == Output::Json {
        return emit(&format!("{}\n", serde_json::to_string_pretty(data)?));
    }
    if data["resultType"] == "streams" {
        return lines(args, expression, range, data);
    }
    let output = match args.common.output {
        Output::Default if data["resultType"] == "matrix" && std::io::stdout().is_terminal() => Output::Graph,
        Output::Default | Output::Raw => Output::Table,
        output => output,
    };
    match output {
        Output::Graph if data["resultType"] != "matrix" => {
            bail!("--output graph draws series over time: leave out --instant")
        }
        Output::Graph => emit(&graph::render(data, screen())),
        Output::Jsonl => samples(data),
        _ => emit(&table::render(data)),
    }
}

fn page_limit(limit: usize, had: usize) -> usize {
    match limit {
        0 => PAGE_LINES,
        limit => (limit - had).min(PAGE_LINES),
    }
}

/// Asks for a part of the lines, or for all points of series.
fn page(args: &QueryArgs, expression: &str, range: Range, limit: usize) -> anyhow::Result<Value> {
    let mut parameters = vec![("query", expression.to_owned()), ("limit", limit.to_string())];
    if args.instant {
        parameters.push(("time", range.end_ns.to_string()));
        return args.common.ask(&["query"], &parameters);
    }
    parameters.extend(range.parameters());
    let is_forward = args.direction == Some(Direction::Forward);
    parameters.push(("direction", if is_forward { "forward" } else { "backward" }.to_owned()));
    let step_s = ((range.end_ns - range.start_ns) as f64 / 1e9 / 250.0).max(0.001);
    parameters.push(("step", args.step.clone().unwrap_or_else(|| format!("{step_s:.3}"))));
    args.common.ask(&["query_range"], &parameters)
}

fn lines(args: &QueryArgs, expression: &str, range: Range, first: &Value) -> anyhow::Result<()> {
    let limit = args.common.limit;
    let is_forward = args.direction == Some(Direction::Forward);
    let sort = |lines: &mut Vec<Line>| {
        lines.sort_by_key(|line| if is_forward { line.timestamp_ns } else { -line.timestamp_ns });
    };
    let mut all = of_streams(&first["result"]);
    let mut came = all.len();
    sort(&mut all);
    let mut rest = range;
    while came == page_limit(limit, all.len() - came) && (limit == 0 || all.len() < limit) {
        let Some(last_ns) = all.last().map(|line| line.timestamp_ns) else { break };
        // Others of the same moment may follow: they are asked for again, and those that are known left out.
        rest = match is_forward {
            true => Range { start_ns: last_ns, ..rest },
            false => Range { end_ns: last_ns + 1, ..rest },
        };
        let known: Vec<Line> =
            all.iter().rev().take_while(|line| line.timestamp_ns == last_ns).cloned().collect();
        let wanted = page_limit(limit, all.len()) + known.len();
        let answer = page(args, expression, rest, wanted)?;
        let mut more = of_streams(&answer["data"]["result"]);
        let is_full = more.len() >= wanted;
        more.retain(|line| !known.contains(line));
        if more.is_empty() {
            break;
        }
        sort(&mut more);
        came = if is_full { page_limit(limit, all.len()) } else { 0 };
        all.append(&mut more);
        if !is_full {
            break;
        }
    }
    if args.direction.is_none() {
        all.reverse();
    }
    print(args, &all)
}

fn print(args: &QueryArgs, lines: &[Line]) -> anyhow::Result<()> {
    let output = match args.common.output {
        Output::Graph => bail!("--output graph draws series: the query selects lines"),
        output => output,
    };
    let common = common(lines);
    let with_labels = !args.no_labels;
    if output == Output::Default && with_labels && lines.len() > 1 && !common.is_empty() {
        eprintln!("common labels: {}", shown(&common));
    }
    let nothing = super::lines::Labels::new();
    // A single line shows what it has.
    let hidden = if lines.len() > 1 { &common } else { &nothing };
    let printer = Printer { output, coloured: args.common.color.is_on(), with_labels, common: hidden };
    let mut out = BufWriter::new(std::io::stdout().lock());
    match output {
        Output::Table => printer.table(&mut out, lines)?,
        _ => lines.iter().try_for_each(|line| printer.print(&mut out, line))?,
    }
    out.flush()?;
    Ok(())
}

/// A JSON object for each sample.
fn samples(data: &Value) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for series in data["result"].as_array().into_iter().flatten() {
        let single = series.get("value").into_iter();
        for point in single.chain(series["values"].as_array().into_iter().flatten()) {
            let object =
                serde_json::json!({ "timestamp": point[0], "metric": series["metric"], "value": point[1] });
            writeln!(out, "{object}")?;
        }
    }
    out.flush()?;
    Ok(())
}
