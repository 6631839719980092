//! Numbers for people: what the `humanize` functions of alert templates print.

use crate::Value;
use crate::value::Type;
use crate::verbs::sprintf;

/// The seconds, or the plain number, a value stands for.
pub fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value, _) => Ok(*value as f64),
        Value::Uint(value, _) => Ok(*value as f64),
        Value::String(text) => {
            let text = String::from_utf8_lossy(text);
            // Go takes hexadecimal floats only with an exponent.
            if text.contains(['x', 'X']) && !text.contains(['p', 'P']) {
                let quoted = model::labels::Quoted(&text).to_string();
                return Err(format!("strconv.ParseFloat: parsing {quoted}: invalid syntax"));
            }
            model::number::parse_float(&text).map_err(|error| error.to_string())
        }
        Value::Object(object) => match object.underlying() {
            // A duration: a whole number of nanoseconds.
            Value::Int(nanoseconds, Type::Int64) => Ok(nanoseconds as f64 / 1e9),
            _ => Err(format!("can't convert {} to float", object.type_name())),
        },
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn short(value: f64) -> String {
    String::from_utf8_lossy(&sprintf(b"%.4g", &[Value::Float(value)])).into_owned()
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// A number below one as thousandths, millionths and so on.
fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// A number with a prefix of the International System: `1.235k`.
pub fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return short(value);
    }
    if value.abs() >= 1.0 {
        let (value, prefix) = scaled_down(value, 1000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"]);
        return format!("{}{prefix}", short(value));
    }
    let (value, prefix) = scaled_up(value);
    format!("{}{prefix}", short(value))
}

/// A number with a prefix for powers of 1024: `1.5Ki` is written `1.5ki`.
pub fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = scaled_down(value, 1024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", short(value))
}

fn scaled_down(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

/// A ratio in percent.
pub fn humanize_percentage(value: f64) -> String {
    format!("{}%", short(value * 100.0))
}

/// Seconds as days, hours, minutes and seconds.
pub fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return short(seconds);
    }
    if seconds == 0.0 {
        return format!("{}s", short(seconds));
    }
    if seconds.abs() < 1.0 {
        let (value, prefix) = scaled_up(seconds);
        return format!("{}{prefix}s", short(value));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    // Saturates for durations longer than any the field knows.
    let whole = seconds as i64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", short(seconds)),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}
