use super::*;

fn read(text: &str, mode: MatcherMode) -> Result<String, String> {
    Matchers::parse(text, mode).map(|matchers| matchers.to_string())
}

#[test]
fn the_classic_notation_takes_what_it_always_took() {
    let cases = [
        ("foo=bar", "{foo=\"bar\"}"),
        ("{foo = \"bar\", dings != \"bums\", }", "{foo=\"bar\",dings!=\"bums\"}"),
        ("foo=bar,dings!=bums", "{foo=\"bar\",dings!=\"bums\"}"),
        (r#"{quote="She said: \"Hi, ladies!\""}"#, r#"{quote="She said: \"Hi, ladies!\""}"#),
        ("statuscode=~\"5..\"", "{statuscode=~\"5..\"}"),
        (r"foo=a\.b", r#"{foo="a\\.b"}"#),
        ("foo=bar baz", "{foo=\"bar baz\"}"),
        ("foo=", "{foo=\"\"}"),
        ("", "{}"),
    ];
    for (text, printed) in cases {
        assert_eq!(read(text, MatcherMode::Classic).as_deref(), Ok(printed), "{text}");
        assert_eq!(read(text, MatcherMode::Fallback).as_deref(), Ok(printed), "{text}");
    }
    let wrong = [
        ("foo", "bad matcher format: foo"),
        ("1foo=bar", "bad matcher format: 1foo=bar"),
        ("foo=\"bar", "matcher value contains unescaped double quote: \"bar"),
        ("foo=b\"ar", "matcher value contains unescaped double quote: b\"ar"),
    ];
    for (text, message) in wrong {
        assert_eq!(read(text, MatcherMode::Classic).unwrap_err(), message);
    }
}

#[test]
fn the_newer_notation_allows_any_text_in_quotes() {
    let cases = [
        ("{}", "{}"),
        ("{foo=bar,}", "{foo=\"bar\"}"),
        ("foo=bar, bar!~\"b.z\"", "{foo=\"bar\",bar!~\"b.z\"}"),
        ("\"foo bar\"=\"a\\tb\"", "{\"foo bar\"=\"a\\tb\"}"),
        ("föö=bär🙂", "{föö=\"bär🙂\"}"),
        ("foo=\"\\xf0\\x9f\\x99\\x82\"", "{foo=\"🙂\"}"),
    ];
    for (text, printed) in cases {
        assert_eq!(read(text, MatcherMode::Utf8Strict).as_deref(), Ok(printed), "{text}");
    }
    let wrong = [
        ("{", "0:1: end of input: expected close brace"),
        ("}", "0:1: }: expected opening brace"),
        ("foo=bar}", "0:8: }: expected opening brace"),
        ("{foo=bar", "0:8: end of input: expected close brace"),
        ("{foo=bar}}", "9:10: }: expected end of input"),
        ("foo", "end of input: expected an operator such as '=', '!=', '=~' or '!~'"),
        ("foo=", "end of input: expected label value"),
        ("=bar", "0:1: unexpected =: expected label name"),
        ("foo=bar baz", "8:11: unexpected baz: expected a comma or close brace"),
        ("foo=\"bar", "4:8: \"bar: missing end \": expected label value"),
        ("{foo=bar,,}", "9:10: unexpected ,: expected a matcher or close brace after comma"),
        ("foo!bar", "3:4: !: expected one of '=~': expected an operator such as '=', '!=', '=~' or '!~'"),
    ];
    for (text, message) in wrong {
        assert_eq!(read(text, MatcherMode::Utf8Strict).unwrap_err(), message, "{text}");
    }
}

#[test]
fn where_the_notations_differ_the_classic_reading_holds() {
    // Two backslashes: one for the classic reader, which keeps an unknown escape, none for the newer.
    assert_eq!(read(r#"foo="\x41""#, MatcherMode::Utf8Strict).as_deref(), Ok(r#"{foo="A"}"#));
    assert_eq!(read(r#"foo="\x41""#, MatcherMode::Fallback).as_deref(), Ok(r#"{foo="\\x41"}"#));
    assert_eq!(read("🙂=x", MatcherMode::Fallback).as_deref(), Ok("{🙂=\"x\"}"));
    assert_eq!(read("🙂=", MatcherMode::Fallback).unwrap_err(), "bad matcher format: 🙂=");
    let brace = Matcher::parse("{foo=bar}", MatcherMode::Fallback).unwrap_err();
    assert_eq!(brace, "unexpected open or close brace: {foo=bar}");
}

#[test]
fn patterns_are_anchored_and_a_dot_stops_at_line_breaks() {
    let matcher = Matcher::parse("foo=~\"a.*\"", MatcherMode::Fallback).unwrap();
    assert!(matcher.matches("abc") && !matcher.matches("xabc") && !matcher.matches("a\nb"));
    let absent = Matcher::parse("foo!~\"a.*\"", MatcherMode::Fallback).unwrap();
    assert!(absent.matches(""));
    assert!(Matcher::parse("foo=~\"(\"", MatcherMode::Fallback).is_err());
}
