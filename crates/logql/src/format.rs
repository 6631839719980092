//! Queries written back: on one line by `Display`, over several lines by [`pretty`] where one is too long.

use std::fmt::{self, Display, Formatter, Write as _};

use model::duration::format_go_duration;
use model::labels::Quoted;

use crate::ast::{
    At, Binary, CompareOp, Expr, Extraction, Grouping, LabelFilter, LabelSelection, LineFilter, LogExpr,
    MetricExpr, Parser, RangeAggregation, Side, Stage, Subquery, Unwrap, VectorAggregation,
};

/// Longer lines are broken.
const MAX_LINE: usize = 100;

/// A query as people write it, broken into lines where it is long.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    match expr {
        Expr::Log(log) => pretty_log(&mut out, log, None, 0),
        Expr::Metric(metric) => pretty_metric(&mut out, metric, 0),
    }
    out
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// Writes the expression on one line if that is short enough.
fn fits(out: &mut String, text: &str, level: usize) -> bool {
    let fits = text.len() <= MAX_LINE;
    if fits {
        indent(out, level);
        out.push_str(text);
    }
    fits
}

fn pretty_log(out: &mut String, log: &LogExpr, unwrap: Option<&Unwrap>, level: usize) {
    if !fits(out, &log.to_string(), level) {
        indent(out, level);
        push_matchers(out, log);
        for stage in &log.stages {
            out.push('\n');
            indent(out, level + 1);
            let _ = write!(out, "{stage}");
        }
        if !log.distinct.is_empty() {
            out.push('\n');
            indent(out, level + 1);
            let _ = write!(out, "| distinct {}", log.distinct.join(","));
        }
    }
    let Some(unwrap) = unwrap else { return };
    // The value and the conditions on it stand on lines of their own, however short the rest is.
    for part in unwrap.parts() {
        out.push('\n');
        indent(out, level + 1);
        out.push_str(&part);
    }
}

fn pretty_metric(out: &mut String, metric: &MetricExpr, level: usize) {
    if fits(out, &metric.to_string(), level) {
        return;
    }
    match metric {
        MetricExpr::Range(range) => pretty_range(out, range, level),
        MetricExpr::Subquery(subquery) => {
            indent(out, level);
            let _ = writeln!(out, "{}(", subquery.op.as_str());
            if let Some(parameter) = subquery.parameter {
                indent(out, level + 1);
                let _ = writeln!(out, "{},", model::number::general(parameter));
            }
            pretty_metric(out, &subquery.inner, level + 1);
            out.push(' ');
            push_subquery_range(out, subquery);
            out.push('\n');
            indent(out, level);
            out.push(')');
        }
        MetricExpr::Vector(vector) => {
            indent(out, level);
            out.push_str(vector.op.as_str());
            if let Some(grouping) = &vector.grouping {
                let _ = write!(out, " {grouping} ");
            }
            out.push_str("(\n");
            if vector.op.takes_count() {
                indent(out, level + 1);
                let _ = writeln!(out, "{},", vector.count);
            }
            if let Some(label) = &vector.label {
                indent(out, level + 1);
                let _ = writeln!(out, "{},", Quoted(label));
            }
            pretty_metric(out, &vector.inner, level + 1);
            out.push('\n');
            indent(out, level);
            out.push(')');
        }
        MetricExpr::Binary(binary) => {
            pretty_metric(out, &binary.left, level + 1);
            out.push('\n');
            indent(out, level);
            out.push_str(&operator(binary));
            out.push('\n');
            pretty_metric(out, &binary.right, level + 1);
        }
        MetricExpr::LabelReplace(replace) => {
            indent(out, level);
            out.push_str("label_replace(\n");
            pretty_metric(out, &replace.inner, level + 1);
            out.push_str(",\n");
            for (at, text) in [&replace.destination, &replace.replacement, &replace.source, &replace.pattern]
                .into_iter()
                .enumerate()
            {
                indent(out, level + 1);
                let _ = writeln!(out, "{}{}", Quoted(text), if at < 3 { "," } else { "" });
            }
            indent(out, level);
            out.push(')');
        }
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => {
            indent(out, level);
            let _ = write!(out, "{metric}");
        }
    }
}

fn pretty_range(out: &mut String, range: &RangeAggregation, level: usize) {
    indent(out, level);
    let _ = writeln!(out, "{}(", range.op.as_str());
    if let Some(parameter) = range.parameter {
        indent(out, level + 1);
        let _ = writeln!(out, "{},", model::number::general(parameter));
    }
    pretty_log(out, &range.log, range.unwrap.as_ref(), level + 1);
    let _ = write!(out, " [{}]", crate::duration::format_range(range.range_ns));
    push_modifiers(out, range.offset_ns, range.at);
    out.push('\n');
    indent(out, level);
    out.push(')');
    if let Some(grouping) = &range.grouping {
        let _ = write!(out, " {grouping}");
    }
}

fn push_modifiers(out: &mut String, offset_ns: i64, at: Option<At>) {
    if offset_ns != 0 {
        let _ = write!(out, " offset {}", format_go_duration(offset_ns));
    }
    let _ = match at {
        Some(At::Time(ns)) => write!(out, " @ {:.3}", ns as f64 / 1e9),
        Some(At::Start) => write!(out, " @ start()"),
        Some(At::End) => write!(out, " @ end()"),
        None => Ok(()),
    };
}

fn push_subquery_range(out: &mut String, subquery: &Subquery) {
    let range = crate::duration::format_range(subquery.range_ns);
    let step = subquery.step_ns.map(crate::duration::format_range).unwrap_or_default();
    let _ = write!(out, "[{range}:{step}]");
    push_modifiers(out, subquery.offset_ns, subquery.at);
}

fn push_matchers(out: &mut String, log: &LogExpr) {
    out.push('{');
    for (at, matcher) in log.matchers.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let _ = write!(out, "{separator}{matcher}");
    }
    out.push('}');
}

/// An operator with what modifies it.
fn operator(binary: &Binary) -> String {
    let mut out = binary.op.as_str().to_owned();
    if binary.returns_bool {
        out.push_str(" bool");
    }
    let matching = &binary.matching;
    if matching.is_explicit {
        let word = if matching.on { "on" } else { "ignoring" };
        let _ = write!(out, " {word} ({})", matching.names.join(","));
    }
    if let Some(side) = matching.many {
        out.push_str(if side == Side::Left { " group_left" } else { " group_right" });
        if !matching.include.is_empty() {
            let _ = write!(out, " ({})", matching.include.join(","));
        }
    }
    out
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut selector = String::new();
        push_matchers(&mut selector, self);
        f.write_str(&selector)?;
        self.stages.iter().try_for_each(|stage| write!(f, " {stage}"))?;
        if self.distinct.is_empty() { Ok(()) } else { write!(f, " | distinct {}", self.distinct.join(",")) }
    }
}

impl Display for MetricExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Subquery(subquery) => subquery.fmt(f),
            Self::Vector(vector) => vector.fmt(f),
            Self::Binary(binary) => write!(f, "({} {} {})", binary.left, operator(binary), binary.right),
            Self::Literal(value) => write!(f, "{}", model::number::general(*value)),
            Self::Constant(value) => write!(f, "vector({value:.6})"),
            Self::LabelReplace(replace) => write!(
                f,
                "label_replace({},{},{},{},{})",
                replace.inner,
                Quoted(&replace.destination),
                Quoted(&replace.replacement),
                Quoted(&replace.source),
                Quoted(&replace.pattern)
            ),
        }
    }
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{},", model::number::general(parameter))?;
        }
        write!(f, "{}", self.log)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        let mut tail = format!("[{}]", crate::duration::format_range(self.range_ns));
        push_modifiers(&mut tail, self.offset_ns, self.at);
        write!(f, "{tail})")?;
        self.grouping.as_ref().map_or(Ok(()), |grouping| write!(f, " {grouping}"))
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{},", model::number::general(parameter))?;
        }
        let mut range = String::new();
        push_subquery_range(&mut range, self);
        write!(f, "{}{range})", self.inner)
    }
}

impl Unwrap {
    /// The stage and the conditions behind it.
    fn parts(&self) -> Vec<String> {
        let value = match self.conversion.as_str() {
            "" => format!("| unwrap {}", self.label),
            conversion => format!("| unwrap {conversion}({})", self.label),
        };
        std::iter::once(value).chain(self.filters.iter().map(|filter| format!("| {filter}"))).collect()
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join(" "))
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if let Some(grouping) = &self.grouping {
            write!(f, " {grouping}")?;
        }
        f.write_char('(')?;
        if self.op.takes_count() {
            write!(f, "{},", self.count)?;
        }
        if let Some(label) = &self.label {
            write!(f, "{},", Quoted(label))?;
        }
        write!(f, "{})", self.inner)
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", if self.without { "without" } else { "by" }, self.names.join(","))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineFilter(filter) => filter.fmt(f),
            Self::Parser(parser) => write!(f, "| {parser}"),
            Self::LabelFilter(filter) => write!(f, "| {filter}"),
            Self::LineFormat(template) => write!(f, "| line_format {}", Quoted(template)),
            Self::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                for (at, format) in formats.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { "," })?;
                    match format.is_rename {
                        true => write!(f, "{}={}", format.label, format.value)?,
                        false => write!(f, "{}={}", format.label, Quoted(&format.value))?,
                    }
                }
                Ok(())
            }
            Self::Drop(selections) => write_selections(f, "drop", selections),
            Self::Keep(selections) => write_selections(f, "keep", selections),
            Self::Decolorize => f.write_str("| decolorize"),
        }
    }
}

fn write_selections(f: &mut Formatter<'_>, word: &str, selections: &[LabelSelection]) -> fmt::Result {
    write!(f, "| {word} ")?;
    for (at, selection) in selections.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { "," })?;
        match &selection.matcher {
            Some(matcher) => write!(f, "{matcher}")?,
            None => f.write_str(&selection.name)?,
        }
    }
    Ok(())
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        for (at, operand) in self.alternatives.iter().enumerate() {
            f.write_str(if at == 0 { " " } else { " or " })?;
            match operand.is_ip {
                true => write!(f, "ip({})", Quoted(&operand.text))?,
                false => write!(f, "{}", Quoted(&operand.text))?,
            }
        }
        Ok(())
    }
}

fn write_extractions(f: &mut Formatter<'_>, extractions: &[Extraction]) -> fmt::Result {
    for (at, extraction) in extractions.iter().enumerate() {
        let separator = if at == 0 { " " } else { "," };
        write!(f, "{separator}{}={}", extraction.label, Quoted(&extraction.expression))?;
    }
    Ok(())
}

impl Display for Parser {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(extractions) => {
                f.write_str("json")?;
                write_extractions(f, extractions)
            }
            Self::Logfmt { strict, keep_empty, extractions } => {
                f.write_str("logfmt")?;
                f.write_str(if *strict { " --strict" } else { "" })?;
                f.write_str(if *keep_empty { " --keep-empty" } else { "" })?;
                write_extractions(f, extractions)
            }
            Self::Regexp(pattern) => write!(f, "regexp {}", Quoted(pattern)),
            Self::Pattern(pattern) => write!(f, "pattern {}", Quoted(pattern)),
            Self::Unpack => f.write_str("unpack"),
        }
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(matcher) => matcher.fmt(f),
            Self::Number(c) => write!(f, "{}{}{}", c.name, c.op.as_str(), model::number::general(c.value)),
            Self::Duration(c) => write!(f, "{}{}{}", c.name, c.op.as_str(), format_go_duration(c.value)),
            Self::Bytes(c) => write!(f, "{}{}{}", c.name, c.op.as_str(), crate::units::format_bytes(c.value)),
            Self::Ip { name, pattern, negated } => {
                let op = if *negated { CompareOp::NotEqual.as_str() } else { "=" };
                write!(f, "{name}{op}ip({})", Quoted(pattern))
            }
            Self::And(left, right) => write!(f, "( {left} , {right} )"),
            Self::Or(left, right) => write!(f, "( {left} or {right} )"),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_taken_stands_on_its_own_line() {
        let query = r#"quantile_over_time(0.99, {container="ingress-nginx", service="hosted-grafana"} | json | unwrap latency | __error__="" [1m]) by (cluster)"#;
        let lines = [
            "quantile_over_time(",
            "  0.99,",
            "  {container=\"ingress-nginx\", service=\"hosted-grafana\"} | json",
            "    | unwrap latency",
            "    | __error__=\"\" [1m]",
            ") by (cluster)",
        ];
        assert_eq!(super::pretty(&crate::parse(query).unwrap()), lines.join("\n"));
    }
}
