//! What templates of queries may call, besides what every template may.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotmpl::Parameter::{Integer, Text, Time as Moment};
use gotmpl::time::{Time, time_of};
use gotmpl::{Arguments, Function, Functions, Key, Map, Type, Value};
use jiff::Timestamp;
use model::duration::parse_go_duration;
use model::regex::Regex;

use super::date::parse_date;
use super::decimal::Decimal;

thread_local! {
    /// The line and the time a template is carried out for.
    static ROW: RefCell<(String, i64)> = const { RefCell::new((String::new(), 0)) };
}

type Outcome = Result<Value, String>;

/// Carries out `run` with a line for `__line__` and `__timestamp__`.
pub(super) fn with_row<T>(line: &str, timestamp_ns: i64, run: impl FnOnce() -> T) -> T {
    ROW.with_borrow_mut(|row| {
        row.0.clear();
        row.0.push_str(line);
        row.1 = timestamp_ns;
    });
    run()
}

/// All functions.
pub(super) fn functions() -> Functions {
    static ALL: LazyLock<Functions> = LazyLock::new(|| {
        let all = [texts(), numbers(), times(), others()].into_iter().flatten();
        Functions::default().with(all)
    });
    ALL.clone()
}

type Named = Vec<(&'static str, Function)>;

fn text_1(call: fn(&str) -> String) -> Function {
    Function::of(1, move |arguments| Ok(call(&arguments.text(0)?).into())).taking(&[Text])
}

fn text_2(call: fn(&str, &str) -> String) -> Function {
    Function::of(2, move |arguments| Ok(call(&arguments.text(0)?, &arguments.text(1)?).into()))
        .taking(&[Text, Text])
}

/// A function of texts alone.
fn of_texts(count: usize, call: fn(&Arguments) -> Outcome) -> Function {
    Function::of(count, call).taking(&[Text, Text, Text])
}

fn trimmed<'a>(text: &'a str, set: &str) -> &'a str {
    text.trim_matches(|c| set.contains(c))
}

fn texts() -> Named {
    vec![
        ("ToLower", text_1(lower)),
        ("ToUpper", text_1(upper)),
        ("lower", text_1(lower)),
        ("upper", text_1(upper)),
        ("title", text_1(title)),
        ("trim", text_1(|text| text.trim().to_owned())),
        ("TrimSpace", text_1(|text| text.trim().to_owned())),
        ("Trim", text_2(|text, set| trimmed(text, set).to_owned())),
        ("TrimLeft", text_2(|text, set| text.trim_start_matches(|c| set.contains(c)).to_owned())),
        ("TrimRight", text_2(|text, set| text.trim_end_matches(|c| set.contains(c)).to_owned())),
        ("TrimPrefix", text_2(|text, prefix| text.strip_prefix(prefix).unwrap_or(text).to_owned())),
        ("TrimSuffix", text_2(|text, suffix| text.strip_suffix(suffix).unwrap_or(text).to_owned())),
        ("trimAll", text_2(|set, text| trimmed(text, set).to_owned())),
        ("trimPrefix", text_2(|prefix, text| text.strip_prefix(prefix).unwrap_or(text).to_owned())),
        ("trimSuffix", text_2(|suffix, text| text.strip_suffix(suffix).unwrap_or(text).to_owned())),
        ("Replace", Function::of(4, replace_some).taking(&[Text, Text, Text, Integer])),
        (
            "replace",
            of_texts(3, |arguments| {
                let (old, new, text) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
                Ok(replace(&text, &old, &new, -1)?.into())
            }),
        ),
        ("contains", test(|part, text| text.contains(part))),
        ("hasPrefix", test(|part, text| text.starts_with(part))),
        ("hasSuffix", test(|part, text| text.ends_with(part))),
        ("trunc", Function::of(2, trunc).taking(&[Integer, Text])),
        ("substr", Function::of(3, substr).taking(&[Integer, Integer, Text])),
        ("repeat", Function::of(2, repeat).taking(&[Integer, Text])),
        ("indent", Function::of(2, |a| Ok(indent(a)?.into())).taking(&[Integer, Text])),
        ("nindent", Function::of(2, |a| Ok(format!("\n{}", indent(a)?).into())).taking(&[Integer, Text])),
        ("alignLeft", Function::of(2, |a| align(a, false)).taking(&[Integer, Text])),
        ("alignRight", Function::of(2, |a| align(a, true)).taking(&[Integer, Text])),
        (
            "regexReplaceAll",
            of_texts(3, |arguments| {
                let regex = Regex::new(&arguments.text(0)?).map_err(|problem| problem.to_string())?;
                Ok(regex.replace_all(&arguments.text(1)?, &arguments.text(2)?).into())
            }),
        ),
        (
            "regexReplaceAllLiteral",
            of_texts(3, |arguments| {
                let regex = Regex::new(&arguments.text(0)?).map_err(|problem| problem.to_string())?;
                let template = arguments.text(2)?.replace('$', "$$");
                Ok(regex.replace_all(&arguments.text(1)?, &template).into())
            }),
        ),
        (
            "count",
            of_texts(2, |arguments| {
                let regex = Regex::new(&arguments.text(0)?).map_err(|problem| problem.to_string())?;
                Ok(Value::from(regex.find_all(&arguments.text(1)?).count()))
            }),
        ),
        ("urlencode", text_1(url_encode)),
        ("urldecode", of_texts(1, |arguments| Ok(url_decode(&arguments.text(0)?)?.into()))),
        ("b64enc", of_texts(1, |arguments| Ok(STANDARD.encode(arguments.bytes(0)?).into()))),
        (
            "b64dec",
            of_texts(1, |arguments| {
                let decoded = STANDARD.decode(arguments.bytes(0)?);
                // The text of the error stands where the text would.
                Ok(decoded.map_or_else(|error| bad_base64(&error).into(), Value::from))
            }),
        ),
    ]
}

fn bad_base64(error: &base64::DecodeError) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        base64::DecodeError::InvalidLength(len) => *len,
        base64::DecodeError::InvalidPadding => 0,
    };
    format!("illegal base64 data at input byte {at}")
}

fn test(call: fn(&str, &str) -> bool) -> Function {
    Function::of(2, move |arguments| Ok(call(&arguments.text(0)?, &arguments.text(1)?).into()))
        .taking(&[Text, Text])
}

/// Small letters, one for one: what would become several letters stays as it is.
fn lower(text: &str) -> String {
    let small = |c: char| {
        let mut letters = c.to_lowercase();
        match (c, letters.next(), letters.next()) {
            ('\u{130}', ..) => 'i',
            (_, Some(letter), None) => letter,
            _ => c,
        }
    };
    text.chars().map(small).collect()
}

/// Capital letters, one for one.
fn upper(text: &str) -> String {
    text.chars().map(capital).collect()
}

fn capital(c: char) -> char {
    let mut letters = c.to_uppercase();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter,
        _ => c,
    }
}

/// A capital letter at the beginning of each word.
fn title(text: &str) -> String {
    let mut previous = ' ';
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Behind a character that is not ASCII only a blank ends a word.
        let begins = match previous.is_ascii() {
            true => !(previous.is_ascii_alphanumeric() || previous == '_'),
            false => previous.is_whitespace(),
        };
        out.push(if begins { capital(c) } else { c });
        previous = c;
    }
    out
}

/// The most bytes a function of a template may make.
const MAX_TEXT_BYTES: usize = 1 << 20;

fn bounded(bytes: usize) -> Result<(), String> {
    if bytes > MAX_TEXT_BYTES { Err(format!("text is longer than {MAX_TEXT_BYTES} bytes")) } else { Ok(()) }
}

fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<String, String> {
    let hits = if old.is_empty() { text.len() + 1 } else { text.len() / old.len() };
    bounded(hits.saturating_mul(new.len()) / 2)?;
    Ok(match usize::try_from(count) {
        Ok(count) => text.replacen(old, new, count),
        Err(_) => text.replace(old, new),
    })
}

fn replace_some(arguments: &Arguments) -> Outcome {
    let (text, old, new) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    Ok(replace(&text, &old, &new, integer(arguments.get(3)))?.into())
}

fn trunc(arguments: &Arguments) -> Outcome {
    let (count, text) = (integer(arguments.get(0)), arguments.bytes(1)?);
    let len = text.len() as i64;
    let cut = match count {
        count if count < 0 && len + count > 0 => &text[(len + count) as usize..],
        count if (0..len).contains(&count) => &text[..count as usize],
        _ => text,
    };
    Ok(cut.to_vec().into())
}

/// Bytes from the first to before the second place; before the first place all from the beginning on, and behind the
/// last all up to the end.
fn substr(arguments: &Arguments) -> Outcome {
    let (start, end, text) = (integer(arguments.get(0)), integer(arguments.get(1)), arguments.bytes(2)?);
    let len = text.len() as i64;
    let (from, to) = match (start, end) {
        (start, end) if start < 0 => (None, Some(end)),
        (start, end) if end < 0 || end > len => (Some(start), None),
        (start, end) => (Some(start), Some(end)),
    };
    let outside = match (from, to) {
        (_, Some(to)) if to < 0 => Some(format!("[:{to}]")),
        (_, Some(to)) if to > len => Some(format!("[:{to}] with length {len}")),
        (Some(from), None) if from > len => Some(format!("[{from}:{len}]")),
        (Some(from), Some(to)) if from > to => Some(format!("[{from}:{to}]")),
        _ => None,
    };
    if let Some(outside) = outside {
        return Err(format!("runtime error: slice bounds out of range {outside}"));
    }
    let (from, to) = (from.unwrap_or(0) as usize, to.unwrap_or(len) as usize);
    Ok(text[from..to].to_vec().into())
}

/// A number of times to repeat something.
fn times_of(value: &Value) -> Result<usize, String> {
    usize::try_from(integer(value)).map_err(|_| "strings: negative Repeat count".to_owned())
}

fn repeat(arguments: &Arguments) -> Outcome {
    let (count, text) = (times_of(arguments.get(0))?, arguments.bytes(1)?);
    bounded(count.saturating_mul(text.len()))?;
    Ok(text.repeat(count).into())
}

fn indent(arguments: &Arguments) -> Result<String, String> {
    let (count, text) = (times_of(arguments.get(0))?, arguments.text(1)?);
    bounded(count.saturating_mul(1 + text.matches('\n').count()))?;
    let blanks = " ".repeat(count);
    Ok(format!("{blanks}{}", text.replace('\n', &format!("\n{blanks}"))))
}

fn align(arguments: &Arguments, right: bool) -> Outcome {
    let (count, text) = (integer(arguments.get(0)), arguments.text(1)?);
    let Ok(count) = usize::try_from(count) else { return Ok(text.into_owned().into()) };
    bounded(count)?;
    let len = text.chars().count();
    let blanks = " ".repeat(count.saturating_sub(len));
    Ok(match right {
        true => format!("{blanks}{}", text.chars().skip(len.saturating_sub(count)).collect::<String>()),
        false => format!("{}{blanks}", text.chars().take(count).collect::<String>()),
    }
    .into())
}

fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn url_decode(text: &str) -> Result<Vec<u8>, String> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    let mut out = Vec::with_capacity(bytes.len());
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits =
                    text.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let shown = || String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 3)]).into_owned();
                out.push(value.ok_or_else(|| format!("invalid URL escape {:?}", shown()))?);
                at += 3;
            }
            b'+' => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(out)
}

/// A value as a whole number; 0 where it is none.
fn integer(value: &Value) -> i64 {
    match value {
        Value::Int(number, _) => *number,
        Value::Uint(number, _) => i64::try_from(*number).unwrap_or(i64::MAX),
        Value::Float(number) => *number as i64,
        Value::Bool(truth) => i64::from(*truth),
        Value::String(text) => {
            let text = String::from_utf8_lossy(text);
            syntax::literal::parse_integer(whole_part(&text)).unwrap_or(0)
        }
        _ => 0,
    }
}

/// A number without its decimals; other texts as they are.
fn whole_part(text: &str) -> &str {
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, decimals)) if is_digits(decimals) && is_digits(whole.trim_start_matches(['+', '-'])) => {
            whole
        }
        _ => text,
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        Value::String(text) => model::number::parse_float(&String::from_utf8_lossy(text)).unwrap_or(0.0),
        other => integer(other) as f64,
    }
}

fn int64(value: i64) -> Outcome {
    Ok(Value::Int(value, Type::Int64))
}

fn folded(min: usize, call: fn(i64, i64) -> i64) -> Function {
    Function::variadic(min, move |arguments| {
        let mut all = arguments.all().iter().map(integer);
        int64(all.next().map_or(0, |first| all.fold(first, call)))
    })
}

fn folded_floats(call: fn(f64, f64) -> f64) -> Function {
    Function::variadic(1, move |arguments| {
        let mut all = arguments.all().iter().map(float);
        Ok(Value::Float(all.next().map_or(0.0, |first| all.fold(first, call))))
    })
}

/// Calculates as people do on paper, so that 0.1 and 0.2 are 0.3.
fn in_decimals(min: usize, call: fn(&Decimal, &Decimal) -> Option<Decimal>) -> Function {
    Function::variadic(min, move |arguments| {
        let mut all = arguments.all().iter().map(float);
        let Some(first) = all.next() else { return Ok(Value::Float(0.0)) };
        let mut result = Decimal::new(first);
        for next in all {
            let next = Decimal::new(next);
            result = call(&result, &next).ok_or("decimal division by 0")?;
        }
        Ok(Value::Float(result.value()))
    })
}

fn divided(call: fn(i64, i64) -> i64) -> Function {
    Function::of(2, move |arguments| match integer(arguments.get(1)) {
        0 => Err("runtime error: integer divide by zero".to_owned()),
        divisor => int64(call(integer(arguments.get(0)), divisor)),
    })
}

fn numbers() -> Named {
    vec![
        ("int", Function::of(1, |arguments| Ok(Value::from(integer(arguments.get(0)))))),
        ("float64", Function::of(1, |arguments| Ok(Value::Float(float(arguments.get(0)))))),
        ("add", folded(0, i64::wrapping_add)),
        ("sub", Function::of(2, |a| int64(integer(a.get(0)).wrapping_sub(integer(a.get(1)))))),
        ("mul", folded(1, i64::wrapping_mul)),
        ("div", divided(i64::wrapping_div)),
        ("mod", divided(i64::wrapping_rem)),
        ("max", folded(1, i64::max)),
        ("min", folded(1, i64::min)),
        ("addf", in_decimals(0, Decimal::add)),
        ("subf", in_decimals(1, Decimal::sub)),
        ("mulf", in_decimals(1, Decimal::mul)),
        ("divf", in_decimals(1, Decimal::div)),
        ("maxf", folded_floats(f64::max)),
        ("minf", folded_floats(f64::min)),
        ("ceil", Function::of(1, |arguments| Ok(Value::Float(float(arguments.get(0)).ceil())))),
        ("floor", Function::of(1, |arguments| Ok(Value::Float(float(arguments.get(0)).floor())))),
        ("round", Function::variadic(2, round)),
        (
            "bytes",
            of_texts(1, |arguments| {
                crate::units::parse_bytes_text(&arguments.text(0)?).map(|bytes| Value::Float(bytes as f64))
            }),
        ),
        ("duration", of_texts(1, seconds)),
        ("duration_seconds", of_texts(1, seconds)),
    ]
}

fn seconds(arguments: &Arguments) -> Outcome {
    let ns = parse_go_duration(&arguments.text(0)?).map_err(|problem| problem.to_string())?;
    Ok(Value::Float(ns as f64 / 1e9))
}

/// Rounds to so many digits; a fraction of at least the third argument, else of a half, is rounded up.
fn round(arguments: &Arguments) -> Outcome {
    let digits = integer(arguments.get(1)).clamp(-300, 300) as i32;
    let up_from = arguments.all().get(2).map_or(0.5, float);
    let scaled = float(arguments.get(0)) * 10_f64.powi(digits);
    let rounded = if scaled.fract() >= up_from { scaled.ceil() } else { scaled.floor() };
    Ok(Value::Float(rounded / 10_f64.powi(digits)))
}

fn ns_of(value: &Value) -> Result<i128, String> {
    Ok(time_of(value)?.timestamp().as_nanosecond())
}

fn time(ns: i128) -> Outcome {
    let at = Timestamp::from_nanosecond(ns).map_err(|problem| problem.to_string())?;
    Ok(Time::utc(at).value())
}

fn times() -> Named {
    let epoch = |divisor: i128| {
        Function::of(1, move |a| Ok((ns_of(a.get(0))?.div_euclid(divisor)).to_string().into()))
            .taking(&[Moment])
    };
    vec![
        ("__timestamp__", Function::of(0, |_| time(i128::from(ROW.with_borrow(|row| row.1))))),
        // The moment of the line: queries are to give the same answer whenever they are asked.
        ("now", Function::of(0, |_| time(i128::from(ROW.with_borrow(|row| row.1))))),
        ("unixEpoch", epoch(1_000_000_000)),
        ("unixEpochMillis", epoch(1_000_000)),
        ("unixEpochNanos", epoch(1)),
        (
            "date",
            Function::of(2, |arguments| {
                let layout = arguments.text(0)?;
                let at = match arguments.get(1) {
                    Value::Int(seconds, _) => {
                        Time::utc(Timestamp::from_second(*seconds).map_err(|problem| problem.to_string())?)
                    }
                    other => time_of(other)?,
                };
                // Whatever zone a time was read in, it is shown in that of the server, which is UTC.
                Ok(Time::utc(at.timestamp()).format(&layout).into())
            })
            .taking(&[Text]),
        ),
        ("toDate", of_texts(2, |arguments| Ok(to_date(&arguments.text(0)?, "", &arguments.text(1)?)))),
        (
            "toDateInZone",
            of_texts(3, |arguments| {
                Ok(to_date(&arguments.text(0)?, &arguments.text(1)?, &arguments.text(2)?))
            }),
        ),
        ("unixToTime", of_texts(1, unix_to_time)),
    ]
}

fn to_date(layout: &str, zone: &str, text: &str) -> Value {
    parse_date(layout, zone, text).unwrap_or_else(Time::zero).value()
}

/// Days, seconds, milliseconds, microseconds or nanoseconds, as the number of digits tells.
fn unix_to_time(arguments: &Arguments) -> Outcome {
    let text = arguments.text(0)?;
    let number: i128 = text.parse().map_err(|_| {
        format!("unable to parse time '{text}': strconv.ParseInt: parsing {text:?}: invalid syntax")
    })?;
    let unit = match text.len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(format!("unable to parse time '{text}': %!w(<nil>)")),
    };
    time(number * unit)
}

fn others() -> Named {
    vec![
        ("__line__", Function::of(0, |_| Ok(ROW.with_borrow(|row| Value::from(row.0.as_str()))))),
        (
            "default",
            Function::variadic(1, |arguments| {
                let given = arguments.all().get(1).filter(|value| value.is_true());
                Ok(given.unwrap_or(arguments.get(0)).clone())
            }),
        ),
        (
            "fromJson",
            of_texts(1, |arguments| {
                let text = arguments.text(0)?;
                Ok(from_json(&text, 0).unwrap_or(Value::Nil))
            }),
        ),
    ]
}

/// A JSON value as templates see it.
fn from_json(text: &str, depth: usize) -> Option<Value> {
    use crate::stage::json;
    if depth > 64 {
        return None;
    }
    let (value, _) = json::value_at(text, 0).ok()?;
    Some(match value {
        json::Value::String(raw) => json::unescaped(raw).into_owned().into(),
        json::Value::Null => Value::Nil,
        json::Value::Plain("true") => true.into(),
        json::Value::Plain("false") => false.into(),
        json::Value::Plain(number) => Value::Float(number.parse().ok()?),
        json::Value::Object(inner) => {
            let (mut entries, mut whole) = (BTreeMap::new(), true);
            whole &= json::fields_of(inner, |key, value| {
                let text = raw_of(value);
                match from_json(&text, depth + 1) {
                    Some(value) => drop(entries.insert(Key::from(key), value)),
                    None => whole = false,
                }
            });
            whole.then(|| Value::Map(Map { entries, key: Type::String, element: Type::Any }.into()))?
        }
        json::Value::Array(inner) => {
            let (bytes, mut items) = (inner.as_bytes(), Vec::new());
            let mut at = json::token(bytes, 1)?;
            while bytes[at] != b']' {
                let (value, end) = json::value_at(inner, at).ok()?;
                items.push(from_json(&raw_of(value), depth + 1)?);
                at = json::token(bytes, end)?;
                if bytes[at] == b',' {
                    at += 1;
                }
            }
            Value::list(items, Type::Any)
        }
    })
}

fn raw_of(value: crate::stage::json::Value<'_>) -> String {
    use crate::stage::json::Value as Json;
    match value {
        Json::String(raw) => format!("\"{raw}\""),
        Json::Array(text) | Json::Object(text) | Json::Plain(text) => text.to_owned(),
        Json::Null => "null".to_owned(),
    }
}
