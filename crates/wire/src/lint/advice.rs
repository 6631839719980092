//! Advice on names, types and help texts: what is legal but not good practice.

use std::collections::HashMap;

use model::MetricType;

use crate::exposition::{Entry, Exposition, NothingKnown, ParseError, ParseOptions, RawLabels, TextParser};

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The metric family.
    pub metric: String,
    /// What is wrong with it.
    pub text: String,
}

#[derive(Default)]
struct Family {
    help: Option<String>,
    metric_type: Option<MetricType>,
    labels: Vec<String>,
    samples: usize,
}

/// What could be better about a body of Prometheus text, sorted by metric.
pub fn lint_text(body: &[u8]) -> Result<Vec<Problem>, ParseError> {
    let families = read_families(body)?;
    let mut problems = Vec::new();
    for (name, family) in families.iter().filter(|(_, family)| family.samples > 0) {
        let texts = advice(name, family);
        problems.extend(texts.into_iter().map(|text| Problem { metric: name.clone(), text }));
    }
    problems.sort();
    Ok(problems)
}

/// How many samples each metric family of a body of Prometheus text has: most first, then by name.
pub fn samples_by_family(body: &[u8]) -> Result<Vec<(String, usize)>, ParseError> {
    let families = read_families(body)?.into_iter().filter(|(_, family)| family.samples > 0);
    let mut counts: Vec<(String, usize)> = families.map(|(name, family)| (name, family.samples)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(counts)
}

fn read_families(body: &[u8]) -> Result<HashMap<String, Family>, ParseError> {
    let mut parser = TextParser::new(body, &ParseOptions::default());
    let mut families: HashMap<String, Family> = HashMap::new();
    let mut labels = RawLabels::default();
    while let Some(entry) = parser.next(&mut NothingKnown)? {
        match entry {
            Entry::Help => {
                families.entry(parser.family_name().into_owned()).or_default().help =
                    Some(parser.help().into_owned());
            }
            Entry::Type => {
                families.entry(parser.family_name().into_owned()).or_default().metric_type =
                    Some(parser.metric_type());
            }
            Entry::Comment | Entry::Unit | Entry::Histogram => {}
            Entry::Series | Entry::KnownSeries => {
                parser.labels_into(&mut labels);
                let name = labels.get(model::METRIC_NAME).unwrap_or_default();
                let family = family_of(name, &families).unwrap_or(name).to_owned();
                let family = families.entry(family).or_default();
                family.samples += 1;
                for (label, _) in labels.iter().filter(|(label, _)| *label != model::METRIC_NAME) {
                    if !family.labels.iter().any(|known| known == label) {
                        family.labels.push(label.to_owned());
                    }
                }
            }
        }
    }
    Ok(families)
}

/// The family that declares samples of this name.
fn family_of<'a>(sample: &'a str, families: &HashMap<String, Family>) -> Option<&'a str> {
    if families.contains_key(sample) {
        return Some(sample);
    }
    ["_bucket", "_sum", "_count"].into_iter().filter_map(|suffix| sample.strip_suffix(suffix)).find(|base| {
        families
            .get(*base)
            .is_some_and(|f| matches!(f.metric_type, Some(MetricType::Histogram | MetricType::Summary)))
    })
}

/// Units that have a base unit to be used instead.
const UNITS: [(&str, &[&str]); 9] = [
    ("amperes", &["ampere"]),
    ("bytes", &["bits", "bit", "byte"]),
    ("celsius", &["kelvin", "kelvins", "fahrenheit", "rankine"]),
    ("grams", &["gram"]),
    ("joules", &["joule", "calorie", "calories"]),
    ("meters", &["meter", "metre", "metres", "inch", "inches", "yard", "yards", "mile", "miles"]),
    ("ratio", &["percent"]),
    ("seconds", &["second", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks"]),
    ("volts", &["volt"]),
];

const PREFIXES: [&str; 14] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mebi",
    "giga", "gibi",
];

const ABBREVIATIONS: [&str; 16] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d", "cm", "mm"];

fn advice(name: &str, family: &Family) -> Vec<String> {
    let mut texts = Vec::new();
    let mut say = |text: String| texts.push(text);
    if family.help.as_ref().is_none_or(String::is_empty) {
        say("no help text".into());
    }
    let is_counter = family.metric_type == Some(MetricType::Counter);
    let has_buckets = family.metric_type == Some(MetricType::Histogram);
    let has_quantiles = family.metric_type == Some(MetricType::Summary);
    if is_counter && !name.ends_with("_total") {
        say("counter metrics should have \"_total\" suffix".into());
    }
    if !is_counter && family.metric_type.is_some_and(|t| t != MetricType::Unknown) && name.ends_with("_total")
    {
        say("non-counter metrics should not have \"_total\" suffix".into());
    }
    if !has_buckets && !has_quantiles && family.metric_type.is_some_and(|t| t != MetricType::Unknown) {
        for suffix in ["_count", "_sum"] {
            if name.ends_with(suffix) {
                say(format!("non-histogram and non-summary metrics should not have {suffix:?} suffix"));
            }
        }
    }
    if !has_buckets && family.metric_type.is_some_and(|t| t != MetricType::Unknown) {
        if name.ends_with("_bucket") {
            say("non-histogram metrics should not have \"_bucket\" suffix".into());
        }
        if family.labels.iter().any(|label| label == "le") {
            say("non-histogram metrics should not have \"le\" label".into());
        }
    }
    let has_stray_quantile = family.labels.iter().any(|label| label == "quantile");
    if !has_quantiles && family.metric_type.is_some_and(|t| t != MetricType::Unknown) && has_stray_quantile {
        say("non-summary metrics should not have \"quantile\" label".into());
    }
    name_advice(name, family, &mut say);
    texts
}

fn name_advice(name: &str, family: &Family, say: &mut impl FnMut(String)) {
    let words: Vec<String> = name.split('_').map(str::to_ascii_lowercase).collect();
    let type_name = family.metric_type.filter(|t| *t != MetricType::Unknown).map(MetricType::as_str);
    if let Some(type_name) = type_name.filter(|t| words.iter().any(|word| word == t)) {
        say(format!("metric name should not include type '{type_name}'"));
    }
    if name.contains(':') {
        say("metric names should not contain ':'".into());
    }
    let is_camel = |text: &str| {
        text.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    };
    if is_camel(name) {
        say("metric names should be written in 'snake_case' not 'camelCase'".into());
    }
    for _ in family.labels.iter().filter(|label| is_camel(label)) {
        say("label names should be written in 'snake_case' not 'camelCase'".into());
    }
    for word in &words {
        if ABBREVIATIONS.contains(&word.as_str()) {
            say("metric names should not contain abbreviated units".into());
        }
    }
    if let Some((unit, base)) = words.iter().find_map(|word| foreign_unit(word)) {
        say(format!("use base unit \"{base}\" instead of \"{unit}\""));
    }
}

/// The unit in a word of a name that is not a base unit, and the base unit.
fn foreign_unit(word: &str) -> Option<(String, &'static str)> {
    let plain = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word);
    let is_prefixed = plain.len() < word.len();
    UNITS.iter().find_map(|(base, others)| {
        let is_base = plain == *base;
        let is_other = others.contains(&plain);
        ((is_base && is_prefixed) || is_other).then(|| (word.to_owned(), *base))
    })
}
