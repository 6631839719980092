//! The rules of OpenMetrics 1.0.0 beyond its syntax: names, grouping, values, exemplars.

use std::collections::HashSet;

use model::{METRIC_NAME, MetricType};

use crate::exposition::{
    Entry, Exposition, NothingKnown, OpenMetricsParser, ParseError, ParseOptions, RawLabels,
};
use crate::number::parse_float;

/// Why a body is not OpenMetrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// Not even its syntax.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// It breaks a rule.
    #[error("line {line}: {message}")]
    Rule {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

type Rule = Result<(), String>;

/// The most characters the labels of an exemplar may have together.
const EXEMPLAR_CHARACTERS: usize = 128;

/// Checks that `body` follows OpenMetrics 1.0.0 to the letter.
pub fn validate_open_metrics(body: &[u8]) -> Result<(), LintError> {
    let mut parser = OpenMetricsParser::new(body, &ParseOptions::default());
    let mut checker = Checker::default();
    loop {
        let entry = parser.next(&mut NothingKnown)?;
        let line_start = parser.line_start();
        let fail = |message| {
            let line = body[..line_start].iter().filter(|&&b| b == b'\n').count() + 1;
            LintError::Rule { line, message }
        };
        let Some(entry) = entry else { return checker.end_family().map_err(fail) };
        let result = match entry {
            Entry::Help | Entry::Type | Entry::Unit => checker.metadata(entry, &parser),
            _ => {
                let raw = &body[line_start..parser.line_end().min(body.len())];
                checker.sample(&mut parser, raw)
            }
        };
        result.map_err(fail)?;
    }
}

/// State of the walk through a body.
#[derive(Default)]
struct Checker {
    /// Every name a family before this one occupies.
    taken: HashSet<String>,
    family: Option<Family>,
    labels: RawLabels,
}

#[derive(Default)]
struct Family {
    name: String,
    metric_type: MetricType,
    has_help: bool,
    has_type: bool,
    has_unit: bool,
    unit: String,
    has_samples: bool,
    closed_groups: HashSet<Vec<(String, String)>>,
    group: Option<Group>,
}

/// The samples of one metric of a family.
#[derive(Default)]
struct Group {
    key: Vec<(String, String)>,
    timestamp_ms: Option<i64>,
    buckets: Option<Buckets>,
    count: Option<f64>,
    sum: Option<f64>,
    has_bucket: bool,
    has_negative_bucket: bool,
}

#[derive(Clone, Copy)]
struct Buckets {
    last_bound: f64,
    last_count: f64,
}

/// The suffixes of the samples of a type.
fn suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Summary => &["", "_sum", "_count", "_created"],
        MetricType::Histogram => &["_bucket", "_sum", "_count", "_created"],
        MetricType::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::StateSet | MetricType::Unknown => &[""],
    }
}

impl Family {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The suffix of a sample name that belongs to the family.
    fn suffix_of(&self, sample: &str) -> Option<&'static str> {
        let suffix = sample.strip_prefix(self.name.as_str())?;
        suffixes(self.metric_type).iter().copied().find(|s| *s == suffix)
    }

    fn end_group(&mut self) -> Rule {
        let Some(group) = self.group.take() else { return Ok(()) };
        group.check_end(self.metric_type)?;
        self.closed_groups.insert(group.key);
        Ok(())
    }
}

impl Checker {
    fn metadata(&mut self, entry: Entry, parser: &OpenMetricsParser<'_>) -> Rule {
        let name = parser.family_name();
        if self.family.as_ref().is_none_or(|f| f.name != *name) {
            self.begin_family(&name)?;
        }
        let Some(family) = self.family.as_mut() else { return Ok(()) };
        if family.has_samples {
            return Err(format!("metadata of {name:?} after its samples"));
        }
        let (seen, what) = match entry {
            Entry::Help => (&mut family.has_help, "HELP"),
            Entry::Type => {
                family.metric_type = parser.metric_type();
                (&mut family.has_type, "TYPE")
            }
            _ => {
                family.unit = parser.unit().to_owned();
                (&mut family.has_unit, "UNIT")
            }
        };
        if std::mem::replace(seen, true) {
            return Err(format!("more than one {what} of {name:?}"));
        }
        let unitless = matches!(family.metric_type, MetricType::Info | MetricType::StateSet);
        if unitless && !family.unit.is_empty() {
            return Err(format!("{name:?} is of a type that has no unit"));
        }
        Ok(())
    }

    fn begin_family(&mut self, name: &str) -> Rule {
        self.end_family()?;
        self.family = Some(Family::new(name));
        Ok(())
    }

    fn end_family(&mut self) -> Rule {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        family.end_group()?;
        let mut names: Vec<String> =
            suffixes(family.metric_type).iter().map(|suffix| format!("{}{suffix}", family.name)).collect();
        names.push(family.name);
        names.sort_unstable();
        names.dedup();
        for name in names {
            if self.taken.contains(&name) {
                return Err(format!("the name {name:?} is used by two families"));
            }
            self.taken.insert(name);
        }
        Ok(())
    }

    fn sample(&mut self, parser: &mut OpenMetricsParser<'_>, raw: &[u8]) -> Rule {
        let series = parser.series();
        // Labels hand out bounds in one spelling, so that the target's own must be looked for in the text.
        let spells = |bound: &[u8]| memchr::memmem::find(series, bound).is_some();
        if [&b"le=\"+INF\""[..], b"le=\"Inf\"", b"le=\"inf\"", b"le=\"+inf\""].into_iter().any(spells) {
            return Err("the infinite bound is not spelt +Inf".into());
        }
        if series.ends_with(b",}") {
            return Err("comma before the closing brace".into());
        }
        let mut labels = std::mem::take(&mut self.labels);
        parser.labels_into(&mut labels);
        let result = self.labelled_sample(parser, &labels, raw);
        self.labels = labels;
        result
    }

    fn labelled_sample(
        &mut self,
        parser: &mut OpenMetricsParser<'_>,
        labels: &RawLabels,
        raw: &[u8],
    ) -> Rule {
        if let Some(name) = labels.duplicate() {
            return Err(format!("label {name:?} occurs twice"));
        }
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        let suffix = match self.family.as_ref().and_then(|f| f.suffix_of(name)) {
            Some(suffix) => suffix,
            None => {
                self.begin_family(name)?;
                ""
            }
        };
        let Some(family) = self.family.as_mut() else { return Ok(()) };
        family.has_samples = true;
        check_required_labels(family, suffix, labels)?;
        check_exemplar(family.metric_type, suffix, parser)?;
        let value = parser.value();
        check_value(family.metric_type, suffix, value)?;

        let key = group_key(family, suffix, labels);
        if family.group.as_ref().is_none_or(|group| group.key != key) {
            family.end_group()?;
            if family.closed_groups.contains(&key) {
                return Err(format!("samples of one metric of {:?} are not together", family.name));
            }
            family.group = Some(Group { key, timestamp_ms: parser.timestamp_ms(), ..Group::default() });
        }
        let Some(group) = family.group.as_mut() else { return Ok(()) };
        group.check_time(parser.timestamp_ms(), raw)?;
        group.add(suffix, labels, value)
    }
}

/// The labels that tell metrics of a family apart.
fn group_key(family: &Family, suffix: &str, labels: &RawLabels) -> Vec<(String, String)> {
    let inner = match (family.metric_type, suffix) {
        (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => "le",
        (MetricType::Summary, "") => "quantile",
        (MetricType::StateSet, _) => family.name.as_str(),
        _ => METRIC_NAME,
    };
    let outer = labels.iter().filter(|(name, _)| *name != METRIC_NAME && *name != inner);
    let mut key: Vec<_> = outer.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    key.sort_unstable();
    key
}

fn check_required_labels(family: &Family, suffix: &str, labels: &RawLabels) -> Rule {
    let name = &family.name;
    match (family.metric_type, suffix) {
        (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => {
            let bound = labels.get("le").ok_or_else(|| format!("a bucket of {name:?} has no le"))?;
            match parse_float(bound.as_bytes()) {
                Ok(value) if value.is_nan() => Err(format!("le of {name:?} is NaN")),
                Ok(f64::INFINITY) if bound != "+Inf" => {
                    Err(format!("le {bound:?} of {name:?} is not spelt +Inf"))
                }
                Ok(_) => Ok(()),
                Err(_) => Err(format!("le {bound:?} of {name:?} is not a number")),
            }
        }
        (MetricType::Summary, "") => {
            let quantile = labels.get("quantile").ok_or_else(|| format!("{name:?} has no quantile"))?;
            match parse_float(quantile.as_bytes()) {
                Ok(value) if (0.0..=1.0).contains(&value) => Ok(()),
                _ => Err(format!("quantile {quantile:?} of {name:?} is not between 0 and 1")),
            }
        }
        (MetricType::StateSet, _) if labels.get(name).is_none() => {
            Err(format!("a state of {name:?} has no label {name:?}"))
        }
        _ => Ok(()),
    }
}

fn check_exemplar(metric_type: MetricType, suffix: &str, parser: &mut OpenMetricsParser<'_>) -> Rule {
    let Some(exemplar) = parser.next_exemplar() else { return Ok(()) };
    let allowed = matches!(
        (metric_type, suffix),
        (MetricType::Counter, "_total") | (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket")
    );
    if !allowed {
        return Err("only counters and buckets may have exemplars".into());
    }
    let characters: usize = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
    if characters > EXEMPLAR_CHARACTERS {
        return Err(format!(
            "the labels of an exemplar have {characters} characters, more than {EXEMPLAR_CHARACTERS}"
        ));
    }
    Ok(())
}

fn check_value(metric_type: MetricType, suffix: &str, value: f64) -> Rule {
    let counts = matches!(
        (metric_type, suffix),
        (MetricType::Counter, "_total")
            | (MetricType::Histogram, "_bucket" | "_count" | "_sum")
            | (MetricType::GaugeHistogram, "_bucket" | "_gcount")
            | (MetricType::Summary, "_count" | "_sum")
    );
    if counts && (value.is_nan() || value < 0.0) {
        return Err(format!("a counter-like value is {value}"));
    }
    match (metric_type, suffix) {
        (MetricType::GaugeHistogram, "_gsum") if value.is_nan() => Err("a sum is NaN".into()),
        (MetricType::Summary, "") if value < 0.0 => Err("a quantile's value is negative".into()),
        (MetricType::StateSet, _) if value != 0.0 && value != 1.0 => Err("a state is neither 0 nor 1".into()),
        (MetricType::Info, _) if value != 1.0 => Err("the value of an info is not 1".into()),
        _ => Ok(()),
    }
}

impl Group {
    fn check_time(&mut self, timestamp_ms: Option<i64>, raw: &[u8]) -> Rule {
        match (self.timestamp_ms, timestamp_ms) {
            (None, None) => {}
            (Some(before), Some(now)) if now >= before => {}
            (Some(_), Some(_)) => {
                return Err(format!(
                    "timestamps go backwards at {}",
                    crate::quote::quoted(raw.trim_ascii_end())
                ));
            }
            _ => return Err("samples of one metric with and without timestamp".into()),
        }
        self.timestamp_ms = timestamp_ms;
        Ok(())
    }

    fn add(&mut self, suffix: &str, labels: &RawLabels, value: f64) -> Rule {
        match suffix {
            "_bucket" => {
                let Some(bound) = labels.get("le").and_then(|le| parse_float(le.as_bytes()).ok()) else {
                    return Ok(());
                };
                if let Some(before) = self.buckets {
                    if before.last_bound >= bound {
                        return Err("buckets are not in ascending order".into());
                    }
                    if before.last_count > value {
                        return Err("bucket counts are not cumulative".into());
                    }
                }
                self.has_bucket = true;
                self.has_negative_bucket |= bound < 0.0;
                self.buckets = Some(Buckets { last_bound: bound, last_count: value });
            }
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" | "_gsum" => self.sum = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn check_end(&self, metric_type: MetricType) -> Rule {
        let is_gauge = metric_type == MetricType::GaugeHistogram;
        if !is_gauge && metric_type != MetricType::Histogram {
            return Ok(());
        }
        let Some(last) = self.buckets.filter(|b| b.last_bound == f64::INFINITY) else {
            return Err("a histogram has no +Inf bucket".into());
        };
        if self.count.is_some_and(|count| count != last.last_count) {
            return Err("count and +Inf bucket differ".into());
        }
        if self.count.is_some() != self.sum.is_some() && !(self.has_negative_bucket && self.sum.is_none()) {
            return Err("a histogram has only one of count and sum".into());
        }
        if !is_gauge && self.has_negative_bucket && self.sum.is_some() {
            return Err("a histogram with negative buckets has a sum".into());
        }
        if is_gauge && !self.has_negative_bucket && self.sum.is_some_and(|sum| sum < 0.0) {
            return Err("the sum is negative without negative buckets".into());
        }
        Ok(())
    }
}
