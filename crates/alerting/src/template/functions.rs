//! What templates of notifications can call.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::clock::SharedClock;
use base64::Engine as _;
use gotmpl::time::{Time, time_of};
use gotmpl::{Arguments, Function, Functions, Key, Map, Safe, SafeKind, Type, Value, library};

use super::data;
use crate::alert::from_ms;

type Lookup = dyn Fn(&str) -> Result<String, String> + Send + Sync;

/// How labels of the route are looked up.
#[derive(Clone)]
pub(super) struct Labels(Arc<Lookup>);

impl Labels {
    /// There are none.
    pub fn none() -> Self {
        Self::resolved(|_| Ok(String::new()))
    }

    /// They are these.
    pub fn rendered(labels: BTreeMap<String, String>) -> Self {
        Self::resolved(move |name| Ok(labels.get(name).cloned().unwrap_or_default()))
    }

    /// They are worked out when asked for.
    pub fn resolved(lookup: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The functions with the one that looks these labels up.
    pub fn added_to(self, functions: &Functions) -> Functions {
        let look_up = move |arguments: &Arguments| (self.0)(&arguments.text(0)?).map(Value::from);
        functions.with([("routeLabels", Function::of(1, look_up))])
    }
}

/// All functions.
pub(super) fn all(clock: &SharedClock, labels: Labels) -> Functions {
    let functions = Functions::default()
        .with(library::text_functions())
        .with([("humanizeDuration", library::humanize_duration())])
        .with(texts())
        .with(times(clock))
        .with(collections());
    labels.added_to(&functions)
}

fn texts() -> Vec<(&'static str, Function)> {
    let alphabet = &base64::engine::general_purpose::URL_SAFE;
    vec![
        ("title", library::text_function(library::title_and_lower)),
        ("trimSpace", Function::of(1, |arguments| Ok(arguments.text(0)?.trim().into()))),
        (
            "join",
            Function::of(2, |arguments| {
                Ok(library::texts(arguments.get(1))?.join(arguments.bytes(0)?).into())
            }),
        ),
        (
            "stringSlice",
            Function::variadic(0, |arguments| {
                let texts =
                    (0..arguments.all().len()).map(|i| arguments.bytes(i).map(|text| text.to_vec().into()));
                Ok(Value::list(texts.collect::<Result<_, _>>()?, Type::String))
            }),
        ),
        ("safeHtml", Function::of(1, |arguments| Ok(Safe::value(arguments.bytes(0)?, SafeKind::Html)))),
        ("safeUrl", Function::of(1, |arguments| Ok(Safe::value(arguments.bytes(0)?, SafeKind::Url)))),
        ("urlUnescape", Function::of(1, |arguments| unescape(arguments.bytes(0)?).map(Value::from))),
        ("toJson", Function::of(1, |arguments| Ok(go_json(&data::json(arguments.get(0))?).into()))),
        ("base64encode", Function::of(1, |arguments| Ok(alphabet.encode(arguments.bytes(0)?).into()))),
        (
            "base64decode",
            Function::of(1, |arguments| {
                alphabet.decode(arguments.bytes(0)?).map(Value::from).map_err(|error| error.to_string())
            }),
        ),
    ]
}

fn times(clock: &SharedClock) -> Vec<(&'static str, Function)> {
    let now = {
        let clock = clock.clone();
        move || Time::utc(from_ms(clock.now_ms()))
    };
    let since = now.clone();
    vec![
        (
            "date",
            Function::of(2, |arguments| Ok(time_of(arguments.get(1))?.format(&arguments.text(0)?).into())),
        ),
        (
            "tz",
            Function::of(2, |arguments| {
                time_of(arguments.get(1))?.in_zone(&arguments.text(0)?).map(Time::value)
            }),
        ),
        ("now", Function::of(0, move |_| Ok(now().value()))),
        ("since", Function::of(1, move |arguments| Ok(since().since(&time_of(arguments.get(0))?).value()))),
        (
            "toDate",
            Function::of(2, |arguments| {
                Ok(parse_time(&arguments.text(0)?, &arguments.text(1)?)
                    .unwrap_or_else(|_| Time::zero())
                    .value())
            }),
        ),
        (
            "mustToDate",
            Function::of(2, |arguments| {
                parse_time(&arguments.text(0)?, &arguments.text(1)?).map(Time::value)
            }),
        ),
    ]
}

fn collections() -> Vec<(&'static str, Function)> {
    vec![
        ("list", Function::variadic(0, |arguments| Ok(Value::list(arguments.all().to_vec(), Type::Any)))),
        (
            "append",
            Function::variadic(1, |arguments| {
                let Value::List(list) = arguments.get(0).underlying() else {
                    let name = arguments.get(0).type_name();
                    return Err(format!("wrong type for value; expected []interface {{}}; got {name}"));
                };
                let items = list.items.iter().chain(&arguments.all()[1..]).cloned().collect();
                Ok(Value::list(items, Type::Any))
            }),
        ),
        ("dict", Function::variadic(0, dict)),
    ]
}

fn dict(arguments: &Arguments) -> Result<Value, String> {
    if !arguments.all().len().is_multiple_of(2) {
        return Err("dict requires an even number of arguments".to_owned());
    }
    let mut entries = BTreeMap::new();
    for pair in arguments.all().chunks_exact(2) {
        let Some(name) = pair[0].as_bytes() else { return Err("dict keys must be strings".to_owned()) };
        entries.insert(Key::String(name.into()), pair[1].clone());
    }
    Ok(Value::Map(Arc::new(Map { entries, key: Type::String, element: Type::Any })))
}

/// A text from the query of a URL, as it was before it was escaped.
fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let hex = text.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                let shown = String::from_utf8_lossy(&text[at..text.len().min(at + 3)]);
                out.push(byte.ok_or_else(|| format!("invalid URL escape {shown:?}"))?);
                at += 2;
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    Ok(out)
}

/// Reads a time written in one of Go's layouts, in Universal Time unless it says otherwise.
fn parse_time(layout: &str, text: &str) -> Result<Time, String> {
    let wrong = || format!("parsing time {text:?} as {layout:?}: cannot parse {text:?}");
    // Longer words first, so that `2006` is not read as `2`.
    const PARTS: [(&str, &str); 19] = [
        ("January", "%B"),
        ("Monday", "%A"),
        ("2006", "%Y"),
        ("Z07:00", "%:z"),
        ("-07:00", "%:z"),
        ("-0700", "%z"),
        ("MST", "%Z"),
        (".000000000", "%.f"),
        (".000000", "%.f"),
        (".000", "%.f"),
        ("Jan", "%b"),
        ("Mon", "%a"),
        ("01", "%m"),
        ("02", "%d"),
        ("15", "%H"),
        ("04", "%M"),
        ("05", "%S"),
        ("03", "%I"),
        ("PM", "%p"),
    ];
    let mut format = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        match PARTS.iter().find(|(word, _)| rest.starts_with(word)) {
            Some((word, directive)) => {
                format.push_str(directive);
                rest = &rest[word.len()..];
            }
            None => {
                format.push_str(if c == '%' { "%%" } else { rest.get(..c.len_utf8()).unwrap_or_default() });
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    let text = if layout.contains("Z07:00") { text.replace('Z', "+00:00") } else { text.to_owned() };
    let mut parsed = jiff::fmt::strtime::parse(&format, &text).map_err(|_| wrong())?;
    if parsed.hour().is_none() {
        parsed.set_hour(Some(0)).map_err(|_| wrong())?;
        parsed.set_minute(Some(0)).map_err(|_| wrong())?;
    }
    if parsed.day().is_none() {
        parsed.set_day(Some(1)).map_err(|_| wrong())?;
    }
    if parsed.offset().is_some() {
        return parsed.to_timestamp().map(Time::utc).map_err(|_| wrong());
    }
    let local = parsed.to_datetime().map_err(|_| wrong())?;
    local.to_zoned(jiff::tz::TimeZone::UTC).map(|at| Time::utc(at.timestamp())).map_err(|_| wrong())
}

/// JSON as Go writes it: what could end a script is escaped.
pub(crate) fn go_json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// A rendered text as the number, truth value, list or mapping that it reads as in YAML, or as it is.
pub(super) fn inline_yaml(text: String) -> serde_json::Value {
    let parsed = config::yaml::parse_bytes(text.as_bytes(), config::yaml::Limits::default());
    match parsed {
        Ok(node) => match node_json(&node) {
            Some(serde_json::Value::String(_)) | None => serde_json::Value::String(text),
            Some(serde_json::Value::Null) if text.trim().is_empty() => serde_json::Value::String(text),
            Some(value) => value,
        },
        Err(_) => serde_json::Value::String(text),
    }
}

fn node_json(node: &config::yaml::Node) -> Option<serde_json::Value> {
    use config::alertmanager::values::Any;
    use config::decode::{Cx, Setting as _};
    let cx = Cx::new("template".as_ref());
    if node.is_null() {
        return Some(serde_json::Value::Null);
    }
    Any::decode(node, &cx).ok().map(|any| plain(&any))
}

fn plain(any: &config::alertmanager::values::Any) -> serde_json::Value {
    use config::alertmanager::values::Any;
    match any {
        Any::Null => serde_json::Value::Null,
        Any::Bool(value) => (*value).into(),
        Any::Int(value) => (*value).into(),
        Any::Float(value) => (*value).into(),
        Any::Text(text) => text.as_str().into(),
        Any::List(items) => items.iter().map(plain).collect(),
        Any::Map(entries) => entries.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
    }
}
