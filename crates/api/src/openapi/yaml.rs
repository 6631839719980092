//! A document as YAML. Texts are written as JSON writes them, which YAML reads alike; names stay plain
//! where they can.

use serde_json::Value;

/// `value` as a YAML document.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0, false);
    out
}

/// Writes a value behind what introduces it: scalars on the same line, collections on lines of their own.
/// The first line of a collection in a list stands behind the dash.
fn write_value(out: &mut String, value: &Value, depth: usize, behind_dash: bool) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (i, (name, field)) in fields.iter().enumerate() {
                if i > 0 || !behind_dash {
                    out.push_str(&indent);
                }
                out.push_str(&plain_or_quoted(name));
                out.push(':');
                write_field(out, field, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&indent);
                out.push('-');
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        out.push(' ');
                        write_value(out, item, depth + 1, true);
                    }
                    _ => write_field(out, item, depth),
                }
            }
        }
        scalar => out.push_str(&format!("{scalar}\n")),
    }
}

fn write_field(out: &mut String, field: &Value, depth: usize) {
    let is_block = match field {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    out.push(if is_block { '\n' } else { ' ' });
    write_value(out, field, depth + 1, false);
}

fn plain_or_quoted(name: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '$' | '{' | '}' | '.' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '$' | '_'));
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if starts_well && name.chars().all(is_plain) && !words.contains(&&*name.to_lowercase()) {
        return name.to_owned();
    }
    Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn collections_are_blocks_and_scalars_are_json() {
        let value = json!({
            "200": { "a": 1, "b": [] },
            "/x/v1.{y}": [{ "p": "a: b", "q": null }, "s", ["t"], {}],
            "on": true,
        });
        let expected = "\"200\":\n  a: 1\n  b: []\n/x/v1.{y}:\n  - p: \"a: b\"\n    q: null\n  - \"s\"\n  -\n    - \"t\"\n  - {}\n\"on\": true\n";
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        // The order of names is up to the JSON library.
        assert_eq!(sorted(&to_yaml(&value)), sorted(expected));
        assert!(to_yaml(&value).contains("/x/v1.{y}:\n  - p: \"a: b\"\n    q: null\n  - \"s\"\n"));
    }
}
