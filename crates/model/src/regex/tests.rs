use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use serde_json::Value;

use super::*;
use crate::conformance::golang_cases;

/// Cases that are not followed, with the reason.
const NOT_FOLLOWED: &[(&str, &str)] = &[];

fn text<'c>(case: &'c Value, key: &str) -> &'c str {
    case[key].as_str().unwrap_or_default()
}

/// The groups of all matches, in the form the cases have.
fn all_matches(regex: &Regex, input: &str) -> Value {
    let group = |captures: &Captures<'_, '_>, at| match captures.span(at) {
        Some((start, end)) => {
            serde_json::json!({"start": start, "end": end, "text": &input[start..end]})
        }
        None => Value::Null,
    };
    let groups = |captures: Captures<'_, '_>| (0..captures.len()).map(|at| group(&captures, at)).collect();
    regex.find_all(input).map(groups).collect::<Vec<Value>>().into()
}

fn difference(case: &Value) -> Option<String> {
    let pattern = case["compiled"].as_str().unwrap_or(text(case, "pattern"));
    let regex = match (Regex::new(pattern), case["error"].is_object()) {
        (Err(error), true) => {
            let expected = text(&case["error"], "message");
            return (error.message != expected).then(|| format!("says {error}, not {expected}"));
        }
        (Err(error), false) => return Some(error.to_string()),
        (Ok(_), true) => return Some("compiles".into()),
        (Ok(regex), false) => regex,
    };
    let input = text(case, "input");
    if case["names"].is_array() {
        let names: Vec<_> = regex.names().iter().map(|name| name.clone().unwrap_or_default()).collect();
        if case["names"] != Value::from(names.clone()) {
            return Some(format!("names {names:?}"));
        }
    }
    let all = all_matches(&regex, input);
    if all != case["all"] {
        return Some(format!("finds {all}, not {}", case["all"]));
    }
    if regex.is_match(input) != case["match"] {
        return Some("match differs".into());
    }
    let templates = case["replace"].as_array().into_iter().flatten();
    for (template, expected) in templates.zip(case["replaced"].as_array().into_iter().flatten()) {
        let replaced = regex.replace_all(input, template.as_str().unwrap_or_default());
        if *expected != replaced {
            return Some(format!("{template} gives {replaced:?}, not {expected}"));
        }
    }
    None
}

#[test]
fn patterns_behave_as_in_go() {
    let Some(cases) = golang_cases("patterns_behave_as_in_go", "regex.json") else { return };
    let followed = |case: &&Value| NOT_FOLLOWED.iter().all(|(id, _)| case["id"] != *id);
    let differences: Vec<_> = cases
        .iter()
        .filter(followed)
        .filter_map(|case| {
            difference(case).map(|d| format!("{} {:.80}: {d}", case["id"], case["pattern"].to_string()))
        })
        .collect();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn anchored_patterns_match_as_in_go() {
    let Some(cases) = golang_cases("anchored_patterns_match_as_in_go", "regex.json") else { return };
    for case in cases.iter().filter(|case| case["anchor"] == "full-s") {
        let (id, input) = (&case["id"], text(case, "input"));
        match AnchoredRegex::new(text(case, "pattern")) {
            Ok(regex) => {
                // The unterminated quotation swallows the placement; taken by itself it is valid.
                let expected = case["match"] == true || text(case, "pattern") == r"\Qa|b";
                assert_eq!(regex.is_match(input), expected, "{id}");
                assert_eq!(regex.captures(input).is_some(), expected, "{id}");
            }
            Err(error) => assert!(case["error"].is_object(), "{id}: {error}"),
        }
    }
}

#[test]
fn finite_patterns_give_their_set() {
    let set = |pattern: &str| AnchoredRegex::new(pattern).unwrap().set_matches().map(<[String]>::to_vec);
    for (pattern, expected) in [
        ("foo", &["foo"][..]),
        ("foo|bar", &["bar", "foo"]),
        ("(foo|bar)baz", &["barbaz", "foobaz"]),
        ("^(?:prod|test)-[ab]$", &["prod-a", "prod-b", "test-a", "test-b"]),
        ("a?b", &["ab", "b"]),
        ("x{2}", &["xx"]),
        ("(?i)ab", &["AB", "Ab", "aB", "ab"]),
        ("", &[""]),
        ("foo|", &["", "foo"]),
        ("a)(b", &["ab"]),
        (r"10\.0\.0\.1", &["10.0.0.1"]),
        ("fo+o|[^a]", &[]),
    ] {
        let found = set(pattern).unwrap_or_default();
        assert_eq!(found, expected, "{pattern}");
    }
    let many: Vec<_> = (1000..3000).map(|n| format!("pod-{n}")).collect();
    assert_eq!(set(&many.join("|")).unwrap(), many, "listed members are not limited");
    assert_eq!(set("[0-9][0-9][0-9]"), None, "a product of classes is");
}

#[test]
fn common_patterns_need_no_automaton() {
    for pattern in [
        ".*",
        ".+",
        "",
        "foo.*",
        ".*foo",
        ".*foo.*",
        "foo.+bar",
        "foo|bar.*",
        ".*-.*-.*",
        "(?i)prometheus|alertmanager",
        "(?i:foo.*)",
        "(foo|bar).*",
        ".*(foo|bar).*",
        "^foo.*$",
        "(.*)",
        "foo(.*)bar",
        "(?i)straße.*",
    ] {
        let regex = AnchoredRegex::new(pattern).unwrap();
        assert!(!matches!(regex.0.strategy, Strategy::Automaton), "{pattern}: {:?}", regex.0.strategy);
        assert!(regex.0.program.get().is_none(), "{pattern} was compiled");
    }
    for pattern in ["a*", r"\w+", "foo[^b]", "(?-s:.*)", ".*^a"] {
        let regex = AnchoredRegex::new(pattern).unwrap();
        assert!(matches!(regex.0.strategy, Strategy::Automaton), "{pattern}: {:?}", regex.0.strategy);
    }
    assert!(AnchoredRegex::new(".*").unwrap().matches_everything());
}

#[test]
fn prefixes_are_literal() {
    for (pattern, prefix) in [
        ("foo.*", "foo"),
        ("foo[0-9]+", "foo"),
        ("foobar|foobaz.*", "fooba"),
        ("(foo)d+", "foo"),
        ("foo*", "fo"),
        ("(?i)foo.*", ""),
        (".*foo", ""),
        ("é+", ""),
    ] {
        assert_eq!(AnchoredRegex::new(pattern).unwrap().prefix(), prefix, "{pattern}");
    }
}

#[test]
fn captures_expand_as_relabelling_needs() {
    let expand = |pattern: &str, value: &str, template: &str| {
        let regex = AnchoredRegex::new(pattern).unwrap();
        regex.captures(value).map(|captures| {
            let mut out = String::new();
            captures.expand(template, &mut out);
            out
        })
    };
    assert_eq!(expand("(.*):(\\d+)", "host:9100", "$1-${2}x$$").unwrap(), "host-9100x$");
    assert_eq!(expand("(.*)", "v", "$1").unwrap(), "v");
    assert_eq!(expand("a.*", "abc", "[$0]").unwrap(), "[abc]");
    assert_eq!(expand("(?P<name>a|b)c", "bc", "$name$unknown$1_").unwrap(), "b");
    assert_eq!(expand("(a)|(b)", "b", "<$1$2>").unwrap(), "<b>");
    assert_eq!(expand("a", "b", "$0"), None);
}

#[test]
fn errors_name_the_pattern_as_written() {
    let message = |pattern| AnchoredRegex::new(pattern).unwrap_err().message;
    assert_eq!(message("foo["), "error parsing regexp: missing closing ]: `[`");
    assert_eq!(message("(foo"), "error parsing regexp: missing closing ): `(foo`");
    assert_eq!(message("*"), "error parsing regexp: missing argument to repetition operator: `*`");
    assert_eq!(message(&r"(?:\pL{30}){33}".repeat(2000)).split(':').nth(1), Some(" expression too large"));
}

/// Patterns of the kinds the strategies are made for, with some they must leave alone.
fn any_pattern() -> impl Generate<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "b", "ab", "K", "s", "é", "-", "1", ".*", ".+", ".", "[ab]", "[^a]", "(?i:a)", "(?i:ks)",
        "(?i:é)", "^", "$", "(?-s:.*)", "a?", "b{2}", "\\.", "",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => inner.clone().prop_map(|part| format!("({part})")),
            1 => inner.clone().prop_map(|part| format!("(?i:{part})")),
            1 => inner.prop_map(|part| format!("(?:{part})?")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn strategies_agree_with_the_automaton(
        pattern in any_pattern(),
        values in prop::collection::vec("[abABkKsS\u{212a}\u{17f}éÉ1.\n-]{0,6}", 12),
    ) {
        let Ok(regex) = AnchoredRegex::new(&pattern) else { return Ok(()) };
        let plain = compile(&regex.0.parsed.hir, &pattern).unwrap();
        for value in &values {
            prop_assert_eq!(regex.is_match(value), plain.is_match(value), "{} on {:?}", pattern, value);
            if plain.is_match(value) {
                prop_assert!(value.starts_with(regex.prefix()), "{} has prefix {}", pattern, regex.prefix());
            }
        }
        for member in regex.set_matches().unwrap_or_default() {
            prop_assert!(plain.is_match(member), "{} lists {:?}", pattern, member);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(pattern in "[a-z(){}\\[\\]^$.*+?|\\\\QEpPLNx0-9,:<>=!-é\n]{0,24}") {
        let _ = Regex::new(&pattern);
        let _ = AnchoredRegex::new(&pattern);
    }
}
