//! Text to tokens.
//!
//! Names of functions are names of functions only where an argument list follows; everywhere else they are plain
//! identifiers, so that labels may be called `sum` or `rate`. Keywords and functions are known in any case. What the
//! language has no use for but a reader of Go's tokens knows, comments and characters in quotes, is read as there.

use std::borrow::Cow;

use syntax::Span;

use crate::duration::parse_range_ns;
use crate::error::ParseError;
use crate::features::Features;
use crate::units::parse_bytes;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// The end of the text.
    End,
    /// A name.
    Identifier(String),
    /// A string, without quotes.
    String(String),
    /// A number, as written.
    Number(String),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A number of bytes.
    Bytes(u64),
    /// A duration in square brackets, in nanoseconds.
    Range(i64),
    /// `[1h:5m]` or `[1h:]`, in nanoseconds.
    Subquery(i64, Option<i64>),
    /// An operator, a bracket, a keyword or the name of a function, as written.
    Fixed(&'static str),
    /// `--strict` and `--keep-empty`
    Flag(&'static str),
}

/// A token and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Lexed {
    pub token: Token,
    pub span: Span,
    /// Tokens that are put together from several characters by looking ahead carry no line in error texts.
    pub has_line: bool,
}

/// Operators and brackets, the longest first where one begins another.
const OPERATORS: &[&str] = &[
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "|", "=", ">", "<", "{", "}", "(", ")", ",",
    ".", "+", "-", "*", "/", "%", "^", "[", "]",
];

/// Words that are never identifiers.
const KEYWORDS: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "and",
    "or",
    "unless",
    "offset",
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "line_format",
    "label_format",
    "decolorize",
    "drop",
    "keep",
    "unwrap",
    "distinct",
];

/// Words that are functions where `(`, `by` or `without` follows.
pub(crate) const FUNCTIONS: &[&str] = &[
    "count_over_time",
    "rate",
    "rate_counter",
    "bytes_over_time",
    "bytes_rate",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
    "absent_over_time",
    "sum",
    "avg",
    "max",
    "min",
    "count",
    "stddev",
    "stdvar",
    "bottomk",
    "topk",
    "approx_topk",
    "sort",
    "sort_desc",
    "label_replace",
    "vector",
    "bytes",
    "duration",
    "duration_seconds",
    "ip",
];

/// How the reference names a token in its errors.
pub(crate) fn name_of(token: &Token) -> Cow<'static, str> {
    Cow::Borrowed(match token {
        Token::End => "$end",
        Token::Identifier(_) => "IDENTIFIER",
        Token::String(_) => "STRING",
        Token::Number(_) => "NUMBER",
        Token::Duration(_) => "DURATION",
        Token::Bytes(_) => "BYTES",
        Token::Range(_) => "RANGE",
        Token::Subquery(..) => "SUBQUERY RANGE",
        Token::Flag(_) => "PARSER_FLAG",
        Token::Fixed("bytes") => "BYTES_CONV",
        Token::Fixed("duration") => "DURATION_CONV",
        Token::Fixed("duration_seconds") => "DURATION_SECONDS_CONV",
        Token::Fixed("ip") => "ip",
        Token::Fixed(word) if FUNCTIONS.contains(word) => return Cow::Owned(word.to_ascii_uppercase()),
        Token::Fixed(word) => word,
    })
}

/// All tokens of a text, the last of them [`Token::End`].
pub(crate) fn lex(text: &str, features: Features) -> Result<Vec<Lexed>, ParseError> {
    let mut lexer = Lexer { text, at: 0, features, out: Vec::new() };
    while lexer.step()? {}
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    features: Features,
    out: Vec<Lexed>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, len: usize, has_line: bool) {
        self.out.push(Lexed { token, span: Span::new(self.at, self.at + len), has_line });
        self.at += len;
    }

    /// Reads a token; false at the end.
    fn step(&mut self) -> Result<bool, ParseError> {
        self.skip_blanks()?;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            self.push(Token::End, 0, true);
            return Ok(false);
        };
        match first {
            '"' | '`' => self.string(first)?,
            '\'' => self.character()?,
            '[' => self.range()?,
            '0'..='9' => return self.number(),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => return self.number(),
            '-' if self.negative_duration() => {}
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => self.operator(first),
        }
        Ok(true)
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        if self.at == 0 && self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with('#') || trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if let Some(comment) = trimmed.strip_prefix("/*") {
                let len = comment.find("*/").ok_or_else(|| self.error("comment not terminated", true))?;
                self.at += len + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn error(&self, problem: &str, has_line: bool) -> ParseError {
        ParseError::at(self.text, Span::new(self.at, self.at + 1), has_line, problem.to_owned())
    }

    fn string(&mut self, quote: char) -> Result<(), ParseError> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest[1..].char_indices().find_map(|(at, c)| {
            let ends = !escaped && (c == quote || c == '\n' && quote == '"');
            escaped = quote == '"' && c == '\\' && !escaped;
            ends.then_some((at + 2, c == quote))
        });
        let Some((end, true)) = end else { return Err(self.error("literal not terminated", true)) };
        let Ok(value) = syntax::literal::unquote(&rest[..end]) else {
            return Err(self.error("invalid char escape", true));
        };
        self.push(Token::String(value), end, true);
        Ok(())
    }

    /// A character in quotes: no query can use one.
    fn character(&mut self) -> Result<(), ParseError> {
        let inner = &self.rest()[1..];
        let mut escaped = false;
        let end = inner.char_indices().find(|&(_, c)| {
            let ends = !escaped && matches!(c, '\'' | '\n');
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some((len, '\'')) = end else { return Err(self.error("literal not terminated", true)) };
        let inner = &inner[..len];
        if inner.chars().count() != 1 && !inner.starts_with('\\') {
            return Err(self.error("invalid char literal", true));
        }
        self.push(Token::Identifier(format!("'{inner}'")), len + 2, true);
        Ok(())
    }

    fn range(&mut self) -> Result<(), ParseError> {
        let rest = self.rest();
        let Some(end) = rest.find(']') else {
            return Err(self.error("missing closing ']' in duration", false));
        };
        let inner = &rest[1..end];
        if let Some((range, step)) = inner.split_once(':').filter(|_| self.features.subqueries) {
            let read =
                |text: &str| parse_range_ns(text.trim()).map_err(|problem| self.error(&problem, false));
            let step_ns = if step.trim().is_empty() { None } else { Some(read(step)?) };
            let token = Token::Subquery(read(range)?, step_ns);
            self.push(token, end + 1, false);
            return Ok(());
        }
        let duration_ns = parse_range_ns(inner).map_err(|problem| self.error(&problem, false))?;
        self.push(Token::Range(duration_ns), end + 1, false);
        Ok(())
    }

    /// A number, a duration or a number of bytes; false at the end.
    fn number(&mut self) -> Result<bool, ParseError> {
        let rest = self.rest();
        let digits = number_len(rest).map_err(|problem| self.error(problem, true))?;
        if let Some((duration_ns, len)) = duration(rest, digits) {
            self.push(Token::Duration(duration_ns), len, false);
            return Ok(true);
        }
        let unit = rest[digits..].bytes().take_while(|b| b"bBkKmMgGtTpPeEiI".contains(b)).count();
        if unit == 0 {
            self.push(Token::Number(rest[..digits].to_owned()), digits, true);
            return Ok(true);
        }
        match parse_bytes(&rest[..digits + unit]) {
            Some(bytes) => self.push(Token::Bytes(bytes), digits + unit, false),
            None => {
                // What begins as a number of bytes and is none ends the text, as far as the reference is concerned.
                self.at += digits + unit;
                self.push(Token::End, 0, true);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A duration with its sign; a sign alone is an operator.
    fn negative_duration(&mut self) -> bool {
        let found = duration(self.rest(), 1);
        if let Some((duration_ns, len)) = found {
            self.push(Token::Duration(duration_ns), len, false);
        }
        found.is_some()
    }

    fn word(&mut self) {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..len];
        if !word.is_ascii() {
            // A name that would have to be quoted.
            return self.push(Token::String(word.to_owned()), len, true);
        }
        let known = |list: &'static [&'static str]| {
            list.iter().copied().find(|known| known.eq_ignore_ascii_case(word))
        };
        let is_on = |keyword: &&str| *keyword != "distinct" || self.features.distinct;
        let token = match (known(KEYWORDS).filter(is_on), known(FUNCTIONS)) {
            (Some(keyword), _) => Token::Fixed(keyword),
            (_, Some(function)) if is_call(&rest[len..]) => Token::Fixed(function),
            _ => Token::Identifier(word.to_owned()),
        };
        self.push(token, len, true);
    }

    fn operator(&mut self, first: char) {
        let rest = self.rest();
        for flag in ["--strict", "--keep-empty"] {
            if rest.starts_with(flag) {
                return self.push(Token::Flag(flag), flag.len(), false);
            }
        }
        match OPERATORS.iter().copied().find(|operator| rest.starts_with(operator)) {
            Some(operator) => self.push(Token::Fixed(operator), operator.len(), operator.len() == 1),
            None => self.push(Token::Identifier(first.to_string()), first.len_utf8(), true),
        }
    }
}

/// A duration that begins a text with so many bytes of a number or a sign, and how long it is.
fn duration(text: &str, begin: usize) -> Option<(i64, usize)> {
    let is_part =
        |c: char| c.is_numeric() || matches!(c, 'n' | 's' | 'u' | 'm' | 'h' | 'µ' | 'd' | 'w' | 'y' | '.');
    let len = begin + text[begin..].find(|c: char| !is_part(c)).unwrap_or(text.len() - begin);
    let duration_ns = (len > begin).then(|| crate::duration::parse_literal_ns(&text[..len]).ok());
    Some((duration_ns.flatten()?, len))
}

/// Bytes of the number a text begins with, or what is wrong with it.
fn number_len(text: &str) -> Result<usize, &'static str> {
    let bytes = text.as_bytes();
    let run = |from: usize, is: fn(&u8) -> bool| {
        from + bytes[from..].iter().take_while(|b| is(b) || **b == b'_').count()
    };
    let base = match (bytes[0], bytes.get(1).map(u8::to_ascii_lowercase)) {
        (b'0', Some(b'x')) => {
            Some(("hexadecimal literal has no digits", u8::is_ascii_hexdigit as fn(&u8) -> bool))
        }
        (b'0', Some(b'b')) => Some(("binary literal has no digits", u8::is_ascii_digit as fn(&u8) -> bool)),
        (b'0', Some(b'o')) => Some(("octal literal has no digits", u8::is_ascii_digit as fn(&u8) -> bool)),
        _ => None,
    };
    if let Some((empty, is_digit)) = base {
        let end = run(2, is_digit);
        return if bytes[2..end].iter().any(is_digit) { Ok(end) } else { Err(empty) };
    }
    let mut at = run(0, u8::is_ascii_digit);
    let whole = &text[..at];
    let is_whole = !matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
    if bytes.get(at) == Some(&b'.') {
        at = run(at + 1, u8::is_ascii_digit);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let begin = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = run(begin, u8::is_ascii_digit);
        if begin == at {
            return Err("exponent has no digits");
        }
    }
    match whole.bytes().find(|b| matches!(b, b'8' | b'9')) {
        Some(digit) if is_whole && whole.len() > 1 && whole.starts_with('0') => Err(match digit {
            b'8' => "invalid digit '8' in octal literal",
            _ => "invalid digit '9' in octal literal",
        }),
        _ if text[..at].contains("__") || text[..at].ends_with('_') => {
            Err("'_' must separate successive digits")
        }
        _ => Ok(at),
    }
}

/// Whether what follows a function's name makes it one.
fn is_call(rest: &str) -> bool {
    let rest = rest.trim_start();
    let grouped = |word: &str| {
        let begins = rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        begins && rest[word.len()..].trim_start().starts_with('(')
    };
    rest.starts_with('(') || grouped("by") || grouped("without")
}

#[cfg(test)]
mod tests {
    /// The query written back, or what is wrong with it.
    fn told(query: &str) -> String {
        crate::parse::parse(query).map_or_else(|error| error.to_string(), |expr| expr.to_string())
    }

    #[test]
    fn keywords_and_functions_are_known_in_any_case() {
        let query = r#"SUM BY (x) (Rate({app="a"} | LOGFMT | x="1" OR y="2" [5m] OFFSET 1m)) AND Vector(1)"#;
        let read = r#"(sum by (x)(rate({app="a"} | logfmt | ( x="1" or y="2" )[5m] offset 1m0s)) and vector(1.000000))"#;
        assert_eq!(told(query), read);
        assert_eq!(told(r#"{app="a"} | Sum="b""#), r#"{app="a"} | Sum="b""#);
        // What is not switched on is no keyword.
        assert_eq!(told(r#"{app="a"} | distinct="b""#), r#"{app="a"} | distinct="b""#);
        let error = "parse error at line 1, col 22: syntax error: unexpected IDENTIFIER";
        assert_eq!(told(r#"{app="a"} | distinct b"#), error);
    }

    #[test]
    fn comments_are_skipped() {
        for query in
            ["{app=\"a\"} # x", "{app=\"a\"} // x\n", "/* x\ny */ {app=\"a\"}", "\u{feff}{app=\"a\"}"]
        {
            assert_eq!(told(query), r#"{app="a"}"#, "{query}");
        }
        assert_eq!(told("1 /* 2"), "parse error at line 1, col 3: comment not terminated");
        assert_eq!(told(r#"{app="//"} |= "/*""#), r#"{app="//"} |= "/*""#);
    }

    #[test]
    fn numbers_are_read_as_numbers_of_programs() {
        let at = |problem: &str| format!("parse error at line 1, col 1: {problem}");
        assert_eq!(told("1e"), at("exponent has no digits"));
        assert_eq!(told("0x"), at("hexadecimal literal has no digits"));
        assert_eq!(told("08"), at("invalid digit '8' in octal literal"));
        assert_eq!(told("1__0"), at("'_' must separate successive digits"));
        assert_eq!((told("08.5"), told("017"), told("1_000")), ("8.5".into(), "17".into(), "1000".into()));
        let error = "parse error : unable to parse literal as a float: strconv.ParseFloat: parsing \"0b1\": invalid syntax";
        assert_eq!(told("0b1"), error);
    }

    #[test]
    fn durations_may_have_a_sign_right_before_them() {
        assert_eq!(told(r#"{app="a"} | x>-5s"#), r#"{app="a"} | x>-5s"#);
        assert_eq!(told(r#"{app="a"} | x>+5"#), r#"{app="a"} | x>5"#);
        let at = |column: usize, problem: &str| format!("parse error at line {problem}, col {column}");
        let error = told(r#"rate({app="a"}[5m] offset - 5m)"#);
        assert_eq!(error, at(27, "1") + ": syntax error: unexpected -, expecting DURATION");
        assert_eq!(told("1-5m"), at(2, "0") + ": syntax error: unexpected DURATION");
        let error = told(r#"{app="a"} | x>-y"#);
        assert_eq!(error, at(16, "1") + ": syntax error: unexpected IDENTIFIER, expecting NUMBER");
    }

    #[test]
    fn short_lists_of_what_is_expected_are_told() {
        for (query, told) in [
            (r#"rate({app="a"}[5m]"#, "$end, expecting )"),
            (r#"sum_over_time({app="a"} | unwrap x [5m] | y="z")"#, "|, expecting )"),
            ("sum by (", "$end, expecting IDENTIFIER or )"),
            ("sum by (5", "NUMBER, expecting IDENTIFIER or )"),
            ("sum by (a,", "$end, expecting IDENTIFIER"),
            (r#"{app="a"} | (""#, "literal not terminated"),
            (r#"{app="a"} | ("#, "$end, expecting IDENTIFIER or ("),
            (r#"{app="a"} | x="y" or"#, "$end, expecting IDENTIFIER or ("),
            (r#"{app="a"} | x="y", 5"#, "NUMBER, expecting IDENTIFIER or ("),
            (r#"{app="a"} | (x="y""#, "$end"),
            ("label_replace(vector(1))", ")"),
            (r#"label_replace(vector(1), "a")"#, "), expecting ,"),
        ] {
            let error = super::tests::told(query);
            assert!(error.ends_with(told), "{query}: {error}");
        }
    }

    #[test]
    fn ranges_are_durations_of_whole_units() {
        assert_eq!(told(r#"rate({app="a"}[0])"#), r#"rate({app="a"}[0s])"#);
        for (range, problem) in [
            ("1.5h", r#"unknown unit "." in duration "1.5h""#),
            (" 5m ", r#"not a valid duration string: " 5m ""#),
            ("", "empty duration string"),
        ] {
            let error = format!("parse error at line 0, col 15: {problem}");
            assert_eq!(told(&format!(r#"rate({{app="a"}}[{range}])"#)), error);
        }
    }

    #[test]
    fn what_the_language_has_no_use_for_is_an_identifier() {
        let error = "syntax error: unexpected IDENTIFIER";
        for (query, column) in [("!1", 1), ("1 ! 2", 3), ("'a'", 1), (r"'\n'", 1), ("1 @ 2", 3)] {
            assert_eq!(told(query), format!("parse error at line 1, col {column}: {error}"), "{query}");
        }
        assert_eq!(told("'ab'"), "parse error at line 1, col 1: invalid char literal");
        assert_eq!(told("'ab"), "parse error at line 1, col 1: literal not terminated");
    }
}
