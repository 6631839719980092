//! The recorded behaviour of Go's `text/template`, case by case.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::value::{Key, List, Map};
use crate::{ExecError, Functions, MissingKey, Templates, Type, Value};

/// Cases that are not followed, by id, each with its reason.
const NOT_FOLLOWED: [(&str, &str); 3] =
    [("if-018", "complex numbers"), ("compare-068", "complex numbers"), ("print-113", "complex numbers")];

/// Cases that fail at the same place, in other words: what is compared or called is not named, elements of lists lose
/// that they may be of any type, and the escaper for HTML is not a program of its own.
const OTHER_WORDS: [&str; 10] = [
    "index-044",
    "compare-051",
    "compare-068",
    "pipe-037",
    "syntax-086",
    "exec-010",
    "exec-020",
    "exec-036",
    "html-021",
    "html-032",
];

fn cases(file: &str) -> Option<Json> {
    let dir = std::env::var_os("BARTIZAN_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    match std::fs::read(dir.join("golang").join(file)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(error) => {
            assert!(std::env::var("CI").is_err(), "{file}: {error}");
            println!("skipped: {file} is not there");
            None
        }
    }
}

/// A JSON value as the Go type that `types` names for its path, or its natural one.
fn value(json: &Json, path: &str, types: &BTreeMap<String, String>) -> Value {
    let named = types.get(if path.is_empty() { "." } else { path }).map(String::as_str);
    let number = |json: &Json, of: &str| match of {
        "int" => Value::Int(json.as_f64().unwrap() as i64, Type::Int),
        "int64" => Value::Int(json.as_f64().unwrap() as i64, Type::Int64),
        "uint" => Value::Uint(json.as_f64().unwrap() as u64, Type::Uint),
        _ => Value::Float(json.as_f64().unwrap()),
    };
    let of_type = |name: &str| match name {
        "int" => Type::Int,
        "float64" => Type::Float,
        "string" => Type::String,
        _ => Type::Any,
    };
    match json {
        Json::Null => Value::Nil,
        Json::Bool(is) => (*is).into(),
        Json::Number(_) => number(json, named.unwrap_or("float64")),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => {
            let below = format!("{path}[]");
            let element = named.and_then(|name| name.strip_prefix("[]"));
            let item = |json: &Json| match element {
                Some("int" | "float64") => number(json, element.unwrap()),
                _ => value(json, &below, types),
            };
            let list =
                List { items: items.iter().map(item).collect(), element: of_type(element.unwrap_or("")) };
            Value::List(list.into())
        }
        Json::Object(entries) => {
            let (key, element) = match named.and_then(|name| name.strip_prefix("map[")) {
                Some(rest) => rest.split_once(']').unwrap(),
                None => ("string", ""),
            };
            let entry = |(name, json): (&String, &Json)| {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let key =
                    if key == "int" { Key::Int(name.parse().unwrap()) } else { Key::from(name.as_str()) };
                let value = match element {
                    "int" | "float64" => number(json, element),
                    _ => value(json, &below, types),
                };
                (key, value)
            };
            let entries = entries.iter().map(entry).collect();
            Value::Map(Map { entries, key: of_type(key), element: of_type(element) }.into())
        }
    }
}

fn run(case: &Json) -> Result<Vec<u8>, (&'static str, Vec<u8>, String)> {
    let types: BTreeMap<String, String> =
        case.get("types").map_or_else(BTreeMap::new, |types| serde_json::from_value(types.clone()).unwrap());
    let data = value(case.get("data").unwrap_or(&Json::Null), "", &types);
    let missing_key = match case["option"].as_str() {
        Some("missingkey=zero") => MissingKey::Zero,
        Some("missingkey=error") => MissingKey::Error,
        _ => MissingKey::Invalid,
    };
    let mut templates = Templates::new(Functions::default());
    let text = case["template"].as_str().unwrap();
    templates.parse("t", text).map_err(|error| ("parse", Vec::new(), error.to_string()))?;
    let mut out = Vec::new();
    let rendered = match case["engine"] == "html" {
        true => templates.render_html("t", data, missing_key, &mut out),
        false => templates.render("t", data, missing_key, &mut out),
    };
    match rendered {
        Ok(()) => Ok(out),
        Err(error) => Err(("exec", out, error.to_string())),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn expected(case: &Json) -> Result<Vec<u8>, (String, Vec<u8>)> {
    match case.get("error") {
        Some(error) => {
            let partial = case["partial"].as_str().unwrap_or_default().as_bytes().to_vec();
            Err((error["kind"].as_str().unwrap().to_owned(), partial))
        }
        None => Ok(match case.get("output_hex") {
            Some(hex) => unhex(hex.as_str().unwrap()),
            None => case["output"].as_str().unwrap().as_bytes().to_vec(),
        }),
    }
}

#[test]
fn templates_behave_as_recorded() {
    let Some(file) = cases("template.json") else { return };
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in file["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if NOT_FOLLOWED.iter().any(|(other, _)| *other == id) {
            continue;
        }
        ran += 1;
        let (got, want) = (run(case), expected(case));
        let same = match (&got, &want) {
            (Ok(got), Ok(want)) => got == want,
            (Err((kind, partial, _)), Err((want, want_partial))) => {
                kind == want && (*kind == "parse" || partial == want_partial)
            }
            _ => false,
        };
        if !same {
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let got = got.map(|out| show(&out)).map_err(|(kind, partial, text)| (kind, show(&partial), text));
            let want = want.map(|out| show(&out)).map_err(|(kind, partial)| (kind, show(&partial)));
            failures.push(format!("{id}: {}\n  got  {got:?}\n  want {want:?}", case["template"]));
        }
    }
    assert!(failures.is_empty(), "{} of {ran} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn messages_are_those_recorded() {
    let Some(file) = cases("template.json") else { return };
    let mut failures = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let Some(want) = case["error"]["message"].as_str() else { continue };
        if OTHER_WORDS.iter().any(|id| case["id"] == *id) {
            continue;
        }
        if let Err((_, _, got)) = run(case)
            && got != want
        {
            failures.push(format!("{}: {}\n  got  {got}\n  want {want}", case["id"], case["template"]));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn errors_name_the_template_and_the_place() {
    let mut templates = Templates::new(Functions::default());
    let error = templates.parse("note", "a\n{{nofn}}").unwrap_err();
    assert_eq!(error.to_string(), "template: note:2: function \"nofn\" not defined");
    templates.parse("note", "{{define \"x\"}}{{index . 5}}{{end}}a\n {{template \"x\" .}}").unwrap();
    let data = Value::list(vec![], Type::Any);
    let error: ExecError = templates.render("note", data, MissingKey::Invalid, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: note:1:16: executing \"x\" at <index . 5>: error calling index: index out of range: 5"
    );
}

#[test]
fn corners_are_turned_as_go_does() {
    let data = Value::map([("list".to_owned(), Value::list(vec![Value::from("a")], Type::Any))]);
    let cases = [
        (
            "{{printf \"%x %.1x %X %b\" 100000.0 1.5 -10.0 0.0001}}",
            Ok("0x1.86ap+16 0x1.8p+00 -0X1.4P+03 7378697629483821p-66"),
        ),
        (
            "{{printf \"%08b %#g %#.3x %#U\" 0.0 1.0 2.0 1.0}}",
            Ok("00p-1074 1.00000 0x1.000p+01 %!U(float64=1.00000)"),
        ),
        ("{{html 1 .no}}|{{urlquery .no 2}}", Ok("1&lt;no value&gt;|%3Cno+value%3E2")),
        ("{{eq .list .no}}", Ok("false")),
        ("{{eq .list nil .list}}", Err("non-comparable")),
        ("{{range $i, $v = .no}}{{end}}", Err("undefined variable")),
        ("{{lt -0x65E5 0}}", Err("incompatible types")),
        ("{{$v := 1}}{{range $v = .no}}{{end}}{{$v}}", Ok("<no value>")),
    ];
    for (template, expected) in cases {
        let mut templates = Templates::new(Functions::default());
        templates.parse("t", template).unwrap();
        let mut out = Vec::new();
        let rendered = templates.render("t", data.clone(), MissingKey::Invalid, &mut out);
        match (rendered, expected) {
            (Ok(()), Ok(text)) => assert_eq!(String::from_utf8(out).unwrap(), text, "{template}"),
            (Err(error), Err(text)) => assert!(error.message.contains(text), "{template}: {error}"),
            (rendered, _) => panic!("{template}: {rendered:?}"),
        }
    }
    let mut out = Vec::new();
    let mut templates = Templates::new(Functions::default());
    templates.parse("t", "{{.x}}").unwrap();
    templates.render("t", Value::Nil, MissingKey::Invalid, &mut out).unwrap();
    assert_eq!(out, b"<no value>");
}

#[test]
fn templates_that_call_themselves_end() {
    let mut templates = Templates::new(Functions::default());
    templates.parse("loop", "x{{template \"loop\"}}").unwrap();
    let mut out = Vec::new();
    let error = templates.render("loop", Value::Nil, MissingKey::Invalid, &mut out).unwrap_err();
    assert!(error.message.contains("maximum template depth"), "{error}");
    assert_eq!(out.len(), 501);
}

/// The error of a template that uses more than it may, carried out on a small stack.
fn bound_reached(text: String) -> String {
    let run = move || {
        let mut templates = Templates::new(Functions::default());
        templates.parse("greedy", &text).unwrap();
        let rendered = templates.render("greedy", Value::Nil, MissingKey::Invalid, &mut Vec::new());
        rendered.unwrap_err().message
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap()
}

#[test]
fn no_template_uses_up_the_stack_memory_or_time() {
    let nested = |levels: usize, inner: &str| {
        format!("{}{inner}{}", "{{if true}}".repeat(levels), "{{end}}".repeat(levels))
    };
    let calls_itself =
        format!("{{{{define \"x\"}}}}{}{{{{end}}}}{{{{template \"x\"}}}}", nested(150, "{{template \"x\"}}"));
    let doubling_calls: String = (0..60)
        .map(|i| {
            format!(
                "{{{{define \"t{i}\"}}}}{{{{template \"t{0}\"}}}}{{{{template \"t{0}\"}}}}{{{{end}}}}",
                i + 1
            )
        })
        .collect();
    let doubling_calls = format!("{doubling_calls}{{{{define \"t60\"}}}}{{{{end}}}}{{{{template \"t0\"}}}}");
    let cases = [
        (calls_itself, "nesting"),
        (doubling_calls, "steps"),
        ("{{range 9223372036854775807}}{{end}}".to_owned(), "steps"),
        (format!("{{{{range 999999}}}}{}{{{{end}}}}", "a".repeat(100)), "bytes of output"),
        ("{{$s := \"a\"}}{{range 60}}{{$s = print $s $s}}{{end}}".to_owned(), "bytes of values"),
    ];
    for (template, bound) in cases {
        let message = bound_reached(template);
        assert!(message.contains(bound), "{message} does not name {bound}");
    }
}

#[test]
fn values_are_escaped_for_the_place_they_are_written_to() {
    let safe = |text: &str, kind| crate::Safe::value(text.as_bytes(), kind);
    let data = Value::map([
        ("t".to_owned(), "<b a=\"1\">".into()),
        ("u".to_owned(), "http://h/a b?x=<&y=1".into()),
        ("bad".to_owned(), "javascript:alert(1)".into()),
        ("html".to_owned(), safe("<i>x</i>", crate::SafeKind::Html)),
        ("url".to_owned(), safe("sip:me", crate::SafeKind::Url)),
        ("n".to_owned(), Value::Int(7, Type::Int)),
    ]);
    let cases = [
        ("<a title=\"{{.t}}\">", "<a title=\"&lt;b a=&#34;1&#34;&gt;\">"),
        ("<a title={{.t}}>", "<a title=&lt;b&#32;a&#61;&#34;1&#34;&gt;>"),
        ("<a href=\"{{.u}}\">", "<a href=\"http://h/a%20b?x=%3c&amp;y=1\">"),
        ("<a href='/s?q={{.u}}'>", "<a href='/s?q=http%3a%2f%2fh%2fa%20b%3fx%3d%3c%26y%3d1'>"),
        ("<a href=\"{{.bad}}\">", "<a href=\"#ZgotmplZ\">"),
        ("<a href=\"{{.url}}\">", "<a href=\"sip:me\">"),
        ("<p>{{.html}}</p><p title=\"{{.html}}\">", "<p><i>x</i></p><p title=\"x\">"),
        ("<p style=\"color: {{.t}}\">", "<p style=\"color: ZgotmplZ\">"),
        ("<p style=\"width: {{.n}}px\">{{.n}}", "<p style=\"width: 7px\">7"),
        (
            "<script>var x = {{.t}}, n = {{.n}};</script>{{.t}}",
            "<script>var x = \"\\u003cb a=\\\"1\\\"\\u003e\", n =  7 ;</script>&lt;b a=&#34;1&#34;&gt;",
        ),
        ("<title>{{.html}}</title>{{.html}}", "<title>&lt;i&gt;x&lt;/i&gt;</title><i>x</i>"),
        ("<!doctype html><!-- {{.t}} --><p {{.t}}>", "<!doctype html><p ZgotmplZ>"),
    ];
    for (text, expected) in cases {
        let mut templates = Templates::new(Functions::default());
        templates.parse("t", text).unwrap();
        let mut out = Vec::new();
        templates.render_html("t", data.clone(), MissingKey::Invalid, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
    }
}

#[test]
fn times_and_durations_are_written_as_recorded() {
    let Some(file) = cases("format.json") else { return };
    let (mut failures, mut ran) = (Vec::new(), 0);
    for case in file["cases"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let (got, want) = match text("kind") {
            "time" => {
                let pieces = jiff::fmt::temporal::Pieces::parse(text("time")).unwrap();
                let offset = pieces.to_numeric_offset().unwrap();
                let moment: jiff::Timestamp = text("time").parse().unwrap();
                let at = match offset.seconds() {
                    0 => crate::time::Time::utc(moment),
                    _ => crate::time::Time::zoned(moment.to_zoned(offset.to_time_zone())),
                };
                let at = if text("zone").is_empty() { at } else { at.in_zone(text("zone")).unwrap() };
                (at.format(text("layout")), text("output"))
            }
            "duration" => {
                let nanoseconds: i64 = text("ns").parse().unwrap();
                (crate::humanize::humanize_duration(nanoseconds as f64 / 1e9), text("humanize"))
            }
            _ => continue,
        };
        ran += 1;
        if got != want {
            failures.push(format!("{}: got {got:?}, want {want:?}", text("id")));
        }
    }
    assert!(ran > 80 && failures.is_empty(), "{} of {ran} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn values_in_scripts_stay_in_their_strings() {
    let data = Value::string_map([("t", "\";f()//'`${x}</script>")]);
    let string = "\\u0022;f()\\/\\/\\u0027\\u0060${x}\\u003c\\/script\\u003e";
    let template = string.replace("${x}", "\\u0024\\u007bx\\u007d");
    let cases = [
        ("<script>var x = \"{{.t}}\";</script>", format!("<script>var x = \"{string}\";</script>")),
        ("<script>a = 'it\\'s {{.t}}'</script>", format!("<script>a = 'it\\'s {string}'</script>")),
        ("<script>a = `{{.t}}`</script>", format!("<script>a = `{template}`</script>")),
        ("<script>// {{.t}}\n/* {{.t}} */ 1</script>", "<script>// \n/*  */ 1</script>".to_owned()),
        ("<script>a = b / 2 / \"{{.t}}\"</script>", format!("<script>a = b / 2 / \"{string}\"</script>")),
        ("<p onclick=\"f('{{.t}}')\">", format!("<p onclick=\"f('{}')\">", string.replace('&', "&amp;"))),
        ("<p onclick=\"f(&quot;{{.t}}\">", "<p onclick=\"f(&quot;ZgotmplZ\">".to_owned()),
        ("<iframe srcdoc=\"{{.t}}\">", "<iframe srcdoc=\"ZgotmplZ\">".to_owned()),
    ];
    for (text, expected) in cases {
        let mut templates = Templates::new(Functions::default());
        templates.parse("t", text).unwrap();
        let mut out = Vec::new();
        templates.render_html("t", data.clone(), MissingKey::Invalid, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
    }
    let text = "<script>a = /x{{.t}}/.test(1)</script>";
    let mut templates = Templates::new(Functions::default());
    templates.parse("t", text).unwrap();
    let mut out = Vec::new();
    templates.render_html("t", data, MissingKey::Invalid, &mut out).unwrap();
    let pattern = String::from_utf8(out).unwrap();
    assert!(pattern.contains("\\/\\/") && !pattern.contains("</script>/"), "{pattern}");
}

#[test]
fn branches_that_end_in_different_places_are_refused() {
    for (text, message) in [
        ("{{if .a}}<p title=\"{{end}}{{.a}}", "branches end in different contexts"),
        ("{{range .a}}<script>{{end}}", "on range loop re-entry"),
        ("{{with .a}}'{{else}}<!--{{end}}", "branches end in different contexts"),
    ] {
        let mut templates = Templates::new(Functions::default());
        templates.parse("t", text).unwrap();
        let error = templates.render_html("t", Value::Nil, MissingKey::Invalid, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains(message), "{text}: {error}");
    }
    let fine = "<p {{if .a}}title=\"x\"{{end}}>{{range .a}}<b>{{.}}</b>{{else}}none{{end}}";
    let mut templates = Templates::new(Functions::default());
    templates.parse("t", fine).unwrap();
    let nothing = Value::string_map([("other", "")]);
    templates.render_html("t", nothing, MissingKey::Invalid, &mut Vec::new()).unwrap();
}
