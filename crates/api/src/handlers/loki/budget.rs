//! Queries that would be about too much are refused before they begin.

use logql::ast::{LogExpr, MetricExpr};
use logql::engine::stream_matchers;
use model::QueryContext;
use model::logs::LogRange;

use super::LogState;
use super::params::Bounds;
use super::respond::Failure;

/// Lines of a range that a function is about.
struct Selected<'q> {
    log: &'q LogExpr,
    range_ns: i64,
    offset_ns: i64,
}

/// Refuses a query of lines that is about more bytes than the tenant may read at once.
pub(super) fn admit_lines(
    state: &LogState,
    ctx: &QueryContext,
    query: &LogExpr,
    range: LogRange,
) -> Result<(), Failure> {
    let limit = state.limits_of(&ctx.tenant).max_bytes_read;
    // Without a filter it ends when it has as many lines as are wanted.
    if limit == 0 || query.stages.is_empty() {
        return Ok(());
    }
    refuse_beyond(limit, bytes_of(state, ctx, query, range)?)
}

/// Refuses a query of series whose ranges are too long, or that is about more bytes than the tenant may read at once.
pub(super) fn admit_metric(
    state: &LogState,
    ctx: &QueryContext,
    query: &MetricExpr,
    bounds: Bounds,
) -> Result<(), Failure> {
    let limits = state.limits_of(&ctx.tenant);
    if limits.max_bytes_read == 0 && limits.max_range_ns == 0 {
        return Ok(());
    }
    let mut selected = Vec::new();
    collect(query, 0, 0, &mut selected);
    if limits.max_range_ns > 0
        && let Some(long) = selected.iter().find(|selected| selected.range_ns > limits.max_range_ns)
    {
        let shown = |ns: i64| model::duration::format_duration_ms(ns / 1_000_000);
        return Err(Failure::bad(format!(
            "[{}] interval of the query is longer than the limit of a range (max_query_range: {})",
            shown(long.range_ns),
            shown(limits.max_range_ns)
        )));
    }
    if limits.max_bytes_read == 0 {
        return Ok(());
    }
    let mut bytes = 0_u64;
    for Selected { log, range_ns, offset_ns } in selected {
        let start_ns = bounds.start_ns.saturating_sub(range_ns).saturating_sub(offset_ns);
        let range = LogRange { start_ns, end_ns: bounds.end_ns.saturating_sub(offset_ns).saturating_add(1) };
        bytes = bytes.saturating_add(bytes_of(state, ctx, log, range)?);
    }
    refuse_beyond(limits.max_bytes_read, bytes)
}

fn bytes_of(state: &LogState, ctx: &QueryContext, query: &LogExpr, range: LogRange) -> Result<u64, Failure> {
    let volumes = state.source.volumes(range, &stream_matchers(&query.matchers), ctx)?;
    Ok(volumes.iter().map(|volume| volume.bytes).sum())
}

fn refuse_beyond(limit: u64, bytes: u64) -> Result<(), Failure> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Failure::bad(format!(
        "the query would read too many bytes (query: {}, limit: {}); consider adding more specific stream selectors or reduce the time range of the query",
        shown(bytes),
        shown(limit)
    )))
}

/// A number of bytes as people read it.
fn shown(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 10.0 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

fn collect<'q>(query: &'q MetricExpr, range_ns: i64, offset_ns: i64, out: &mut Vec<Selected<'q>>) {
    match query {
        MetricExpr::Range(range) => out.push(Selected {
            log: &range.log,
            range_ns: range.range_ns.saturating_add(range_ns),
            offset_ns: range.offset_ns.saturating_add(offset_ns),
        }),
        MetricExpr::Subquery(sub) => {
            let (range_ns, offset_ns) =
                (range_ns.saturating_add(sub.range_ns), offset_ns.saturating_add(sub.offset_ns));
            collect(&sub.inner, range_ns, offset_ns, out);
        }
        MetricExpr::Vector(vector) => collect(&vector.inner, range_ns, offset_ns, out),
        MetricExpr::Binary(binary) => {
            collect(&binary.left, range_ns, offset_ns, out);
            collect(&binary.right, range_ns, offset_ns, out);
        }
        MetricExpr::LabelReplace(replace) => collect(&replace.inner, range_ns, offset_ns, out),
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_people_read_them() {
        assert_eq!(
            ["0 B", "999 B", "1.5 kB", "15 MB"],
            [0, 999, 1500, 15_000_000].map(shown).each_ref().map(String::as_str)
        );
    }
}
