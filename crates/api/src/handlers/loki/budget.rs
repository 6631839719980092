//! Queries that would be about too much are refused before they begin.

use logql::ast::{At, LogExpr, MetricExpr};
use logql::engine::stream_matchers;
use model::QueryContext;
use model::logs::LogRange;

use super::LogState;
use super::params::Bounds;
use super::respond::Failure;

/// Lines of a range that a function is about.
struct Selected<'q> {
    log: &'q LogExpr,
    /// How long ranges are, those of subqueries around included.
    range_ns: i64,
    /// What it reads.
    range: LogRange,
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
    collect(query, Place { at: bounds, edges: bounds, range_ns: 0 }, &mut selected);
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
    let (oldest_ns, mut bytes) = (state.oldest_ns(&limits), 0_u64);
    for Selected { log, mut range, .. } in selected {
        range.start_ns = range.start_ns.max(oldest_ns);
        if range.start_ns < range.end_ns {
            bytes = bytes.saturating_add(bytes_of(state, ctx, log, range)?);
        }
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

/// When an expression is evaluated.
#[derive(Clone, Copy)]
struct Place {
    at: Bounds,
    /// When the whole query is.
    edges: Bounds,
    /// How long the ranges of subqueries around it are.
    range_ns: i64,
}

impl Place {
    /// The same for what may be evaluated at a fixed time.
    fn fixed(self, at: Option<At>) -> Self {
        let ns = match at {
            None => return self,
            Some(At::Time(ns)) => ns,
            Some(At::Start) => self.edges.start_ns,
            Some(At::End) => self.edges.end_ns,
        };
        Self { at: Bounds { start_ns: ns, end_ns: ns }, ..self }
    }

    /// What ranges before these times, moved back by an offset, reach over.
    fn before(self, range_ns: i64, offset_ns: i64) -> Bounds {
        let start_ns = self.at.start_ns.saturating_sub(offset_ns).saturating_sub(range_ns);
        Bounds { start_ns, end_ns: self.at.end_ns.saturating_sub(offset_ns) }
    }
}

fn collect<'q>(query: &'q MetricExpr, place: Place, out: &mut Vec<Selected<'q>>) {
    match query {
        MetricExpr::Range(range) => {
            let read = place.fixed(range.at).before(range.range_ns, range.offset_ns);
            out.push(Selected {
                log: &range.log,
                range_ns: range.range_ns.saturating_add(place.range_ns),
                range: LogRange { start_ns: read.start_ns, end_ns: read.end_ns.saturating_add(1) },
            });
        }
        MetricExpr::Subquery(sub) => {
            let place = place.fixed(sub.at);
            let at = place.before(sub.range_ns, sub.offset_ns);
            let range_ns = place.range_ns.saturating_add(sub.range_ns);
            collect(&sub.inner, Place { at, range_ns, ..place }, out);
        }
        MetricExpr::Vector(vector) => collect(&vector.inner, place, out),
        MetricExpr::Binary(binary) => {
            collect(&binary.left, place, out);
            collect(&binary.right, place, out);
        }
        MetricExpr::LabelReplace(replace) => collect(&replace.inner, place, out),
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_reads_is_where_its_ranges_lie() {
        const MINUTE_NS: i64 = 60_000_000_000;
        let ranges = |text: &str| {
            let query = logql::parse_with(text, logql::Features::ALL).unwrap();
            let logql::ast::Expr::Metric(query) = query else { panic!("{text}") };
            let edges = Bounds { start_ns: 100 * MINUTE_NS, end_ns: 200 * MINUTE_NS };
            let mut selected = Vec::new();
            collect(&query, Place { at: edges, edges, range_ns: 0 }, &mut selected);
            let minutes = |selected: &Selected<'_>| {
                let LogRange { start_ns, end_ns } = selected.range;
                (start_ns / MINUTE_NS, (end_ns - 1) / MINUTE_NS, selected.range_ns / MINUTE_NS)
            };
            selected.iter().map(minutes).collect::<Vec<_>>()
        };
        assert_eq!(ranges("rate({a=\"b\"}[5m])"), [(95, 200, 5)]);
        assert_eq!(ranges("rate({a=\"b\"}[5m] offset 10m)"), [(85, 190, 5)]);
        assert_eq!(ranges("rate({a=\"b\"}[5m] @ 3600)"), [(55, 60, 5)]);
        assert_eq!(ranges("rate({a=\"b\"}[5m] @ start() offset 1m)"), [(94, 99, 5)]);
        assert_eq!(ranges("max_over_time(rate({a=\"b\"}[5m])[30m:1m] @ end())"), [(165, 200, 35)]);
        assert_eq!(ranges("max_over_time(rate({a=\"b\"}[5m] @ end())[30m:1m] offset 50m)"), [(195, 200, 35)]);
    }

    #[test]
    fn bytes_are_shown_as_people_read_them() {
        assert_eq!(
            ["0 B", "999 B", "1.5 kB", "15 MB"],
            [0, 999, 1500, 15_000_000].map(shown).each_ref().map(String::as_str)
        );
    }
}
