//! Queries, selectors and series descriptions: no input may panic, and what is printed means what was
//! parsed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use promql::parser::series::parse_series;
use promql::parser::{ParseOptions, parse, parse_selector};
use promql::printer::prettify;

fuzz_target!(|text: &str| {
    // Repetitions make long series of short texts; that is bounded, but slow.
    if !text.contains("x") || text.len() < 64 {
        let _ = parse_series(text);
    }
    let _ = parse_selector(text, &ParseOptions::ALL);
    let Ok(expr) = parse(text, &ParseOptions::ALL) else { return };
    let printed = expr.to_string();
    // Some values have no literal of their own: lengths of time below a millisecond print as zero.
    if let Ok(again) = parse(&printed, &ParseOptions::ALL) {
        assert_eq!(again.to_string(), printed);
        if let Ok(pretty) = parse(&prettify(&expr), &ParseOptions::ALL) {
            assert_eq!(pretty.to_string(), printed);
        }
    }
});
