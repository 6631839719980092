//! Random sequences of words: none may panic, and what parses is printed so that it parses again.

use crate::parser::series::parse_series;
use crate::parser::{ParseOptions, parse, parse_selector};
use crate::printer::prettify;

const WORDS: [&str; 64] = [
    "a",
    "b:c",
    "sum",
    "topk",
    "count_values",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "@",
    "start()",
    "end()",
    "step()",
    "range()",
    "min_of(1,2)",
    "anchored",
    "smoothed",
    "fill(1)",
    "fill_left(-2)",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "[5m]",
    "[1h:5m]",
    "[5m:]",
    "{",
    "}",
    "{a=\"b\"}",
    "{\"x y\"}",
    "=",
    "=~",
    "!=",
    ",",
    ":",
    "1",
    "-1.5e3",
    "0x1F",
    "5m",
    "1h30m",
    "\"s\"",
    "'\\xff'",
    "`r`",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    ">",
    "</",
    "and",
    "unless",
    "rate(",
    "abs(",
    "info(",
    "\u{e9}",
];

/// A sequence that is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

#[test]
fn random_words_never_panic_and_survive_printing() {
    let mut random = Random(7);
    let mut parsed = 0;
    for _ in 0..60_000 {
        let count = 1 + random.below(9);
        let words: Vec<&str> = (0..count).map(|_| WORDS[random.below(WORDS.len())]).collect();
        let text = words.join(if random.below(2) == 0 { " " } else { "" });
        let _ = parse_selector(&text, &ParseOptions::ALL);
        let _ = parse_series(&text);
        let Ok(expr) = parse(&text, &ParseOptions::ALL) else { continue };
        parsed += 1;
        let printed = expr.to_string();
        for again in [printed.clone(), prettify(&expr)] {
            let again = parse(&again, &ParseOptions::ALL)
                .unwrap_or_else(|error| panic!("{text}: {printed}: {error}"));
            assert_eq!(again.to_string(), printed, "{text}");
        }
    }
    assert!(parsed > 500, "only {parsed} texts parse");
}
