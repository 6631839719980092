//! Names of metrics, labels and units as the four translation strategies have them.
//!
//! The rules are OpenTelemetry's for Prometheus: what is no legacy character becomes an underscore unless UTF-8 is
//! kept, and unit and type become suffixes unless they are there already.

use std::borrow::Cow;

use model::labels::Quoted;

use super::settings::{Strategy, Translation};

/// Units by their UCUM symbol. Others are taken as they are.
const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Units behind the slash: "per second" is singular, and `m` is not the metre there.
const PER_UNITS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// A name that nothing can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// What a name says about the type of its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedAs {
    /// A sum that only goes up.
    Counter,
    /// A gauge.
    Gauge,
    /// Anything else.
    Other,
}

/// Makes names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namer {
    escapes: bool,
    adds_suffixes: bool,
    /// Puts `key` before labels that begin with one underscore.
    marks_underscores: bool,
    /// Leaves runs of underscores in labels.
    keeps_underscores: bool,
}

impl Namer {
    /// As the configuration has it.
    pub fn new(translation: &Translation) -> Self {
        use Strategy::{
            NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes,
            UnderscoreEscapingWithoutSuffixes,
        };
        let (escapes, adds_suffixes) = match translation.strategy {
            UnderscoreEscapingWithSuffixes => (true, true),
            UnderscoreEscapingWithoutSuffixes => (true, false),
            NoUtf8EscapingWithSuffixes => (false, true),
            NoTranslation => (false, false),
        };
        Self {
            escapes,
            adds_suffixes,
            marks_underscores: translation.label_name_underscore_sanitization,
            keeps_underscores: translation.label_name_preserve_multiple_underscores,
        }
    }

    /// Whether names are made legacy ones.
    pub fn escapes(&self) -> bool {
        self.escapes
    }

    /// The name of a metric.
    pub fn metric(&self, name: &str, unit: &str, named_as: NamedAs) -> Result<String, NameError> {
        if !self.escapes {
            let named =
                if self.adds_suffixes { with_suffixes(name, unit, named_as) } else { name.to_owned() };
            return if named.is_empty() { Err(empty(name)) } else { Ok(named) };
        }
        let named =
            if self.adds_suffixes { legacy_with_suffixes(name, unit, named_as) } else { legacy_metric(name) };
        if named.is_empty() {
            return Err(empty(name));
        }
        if named != name && only_underscores(&named) {
            let (name, named) = (Quoted(name), Quoted(&named));
            return Err(NameError(format!(
                "normalization for metric {name} resulted in invalid name {named}"
            )));
        }
        Ok(named)
    }

    /// The name of a label.
    pub fn label<'a>(&self, name: &'a str) -> Result<Cow<'a, str>, NameError> {
        if name.is_empty() {
            return Err(NameError("label name is empty".to_owned()));
        }
        if !self.escapes {
            if only_underscores(name) {
                return Err(NameError(format!("label name {} contains only underscores", Quoted(name))));
            }
            return Ok(Cow::Borrowed(name));
        }
        let mut named = self.legacy_label(name);
        if named.starts_with(|c: char| c.is_ascii_digit()) {
            named = Cow::Owned(format!("key_{named}"));
        } else if self.marks_underscores && named.starts_with('_') && !named.starts_with("__") {
            named = Cow::Owned(format!("key{named}"));
        }
        if only_underscores(&named) {
            let (name, named) = (Quoted(name), Quoted(&named));
            return Err(NameError(format!(
                "normalization for label name {name} resulted in invalid name {named}"
            )));
        }
        Ok(named)
    }

    fn legacy_label<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let is_legal = |c: char| c.is_ascii_alphanumeric();
        if self.keeps_underscores {
            if name.chars().all(|c| is_legal(c) || c == '_') {
                return Cow::Borrowed(name);
            }
            return name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
        }
        // The underscores around reserved names are part of them.
        match name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__")) {
            Some(inner) => Cow::Owned(format!("__{}__", joined(inner, is_legal))),
            None => Cow::Owned(joined(name, is_legal)),
        }
    }
}

fn empty(name: &str) -> NameError {
    NameError(format!("normalization for metric {} resulted in empty name", Quoted(name)))
}

fn only_underscores(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'_')
}

/// The text with each run of other characters turned into one underscore.
fn joined(text: &str, is_legal: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        if is_legal(c) {
            out.push(c);
        } else if !in_run {
            out.push('_');
        }
        in_run = !is_legal(c);
    }
    out
}

fn is_legal_in_metric(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn legacy_metric(name: &str) -> String {
    let parts = name.split(|c: char| !is_legal_in_metric(c) && c != '_').filter(|part| !part.is_empty());
    no_digit_first(parts.collect::<Vec<_>>().join("_"))
}

fn no_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn legacy_with_suffixes(name: &str, unit: &str, named_as: NamedAs) -> String {
    let mut words: Vec<&str> =
        name.split(|c: char| !is_legal_in_metric(c)).filter(|word| !word.is_empty()).collect();
    let (main, per) = suffixes(unit);
    let (main, per) = (legacy_unit(&main), legacy_unit(&per));
    let mut main = if words.contains(&main.as_str()) { "" } else { &main };
    let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    let per = if words.contains(&per) { "" } else { per };
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(main);
    }
    words.extend([main, per].into_iter().filter(|suffix| !suffix.is_empty()));
    // A word that is also the suffix stands at the end only.
    let mut move_to_end = |suffix: &'static str| {
        words.retain(|word| *word != suffix);
        words.push(suffix);
    };
    if named_as == NamedAs::Counter {
        move_to_end("total");
    }
    if is_ratio(unit, named_as) {
        move_to_end("ratio");
    }
    no_digit_first(words.join("_"))
}

/// Only gauges of unit one are ratios: many count things in units of one.
fn is_ratio(unit: &str, named_as: NamedAs) -> bool {
    unit == "1" && named_as == NamedAs::Gauge
}

fn with_suffixes(name: &str, unit: &str, named_as: NamedAs) -> String {
    let (main, per) = suffixes(unit);
    // From the outermost in: what is there already moves behind what comes before it.
    let outer = [
        if is_ratio(unit, named_as) { "ratio" } else { "" },
        if named_as == NamedAs::Counter { "total" } else { "" },
        &per,
    ];
    let mut rest = name;
    for suffix in outer.into_iter().filter(|suffix| !suffix.is_empty()) {
        rest = without_suffix(rest, suffix);
    }
    let mut named = rest.to_owned();
    if !main.is_empty() && !named.ends_with(main.as_ref()) {
        named = format!("{named}_{main}");
    }
    for suffix in outer.into_iter().rev().filter(|suffix| !suffix.is_empty()) {
        named = format!("{named}_{suffix}");
    }
    named
}

/// The name without the suffix and the one character before it, if something is left then.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> &'a str {
    let Some(before) = name.strip_suffix(suffix) else { return name };
    let mut chars = before.chars();
    match chars.next_back() {
        Some(_) if !chars.as_str().is_empty() => chars.as_str(),
        _ => name,
    }
}

/// The suffixes of a unit and of what it is divided by. Annotations in braces are no units.
fn suffixes(unit: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let known = |symbol: &str, names: &'static [(&str, &str)]| {
        names.iter().find(|(s, _)| *s == symbol).map(|(_, name)| *name)
    };
    let is_unit = |symbol: &&str| !symbol.is_empty() && !symbol.contains(['{', '}']);
    let main = Some(main.trim()).filter(is_unit).map_or("", |main| known(main, &UNITS).unwrap_or(main));
    let per = Some(per.trim()).filter(is_unit).map(|per| known(per, &PER_UNITS).unwrap_or(per));
    (Cow::Borrowed(main), per.map_or(Cow::Borrowed(""), |per| Cow::Owned(format!("per_{per}"))))
}

/// A suffix as a part of a legacy name: no run of underscores, and none first.
fn legacy_unit(unit: &str) -> String {
    let joined = joined(unit, is_legal_in_metric);
    joined.strip_prefix('_').map(str::to_owned).unwrap_or(joined)
}

/// The name of a unit in metadata, and with `keeps_utf8` in the label for it.
pub fn unit(unit: &str, keeps_utf8: bool) -> String {
    let (main, per) = suffixes(unit);
    let named = |suffix: Cow<'_, str>| if keeps_utf8 { suffix.into_owned() } else { legacy_unit(&suffix) };
    let (main, per) = (named(main), named(per));
    let whole = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main,
        _ => per,
    };
    let whole = whole.strip_prefix('_').unwrap_or(&whole);
    whole.strip_suffix('_').unwrap_or(whole).to_owned()
}
