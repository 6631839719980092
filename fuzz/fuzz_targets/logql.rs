//! LogQL: no text may panic, and what is printed means what was parsed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = logql::parse_matchers(text);
    let Ok(query) = logql::parse(text) else { return };
    let printed = logql::format::pretty(&query);
    if let Ok(again) = logql::parse(&printed) {
        assert_eq!(logql::format::pretty(&again), printed);
    }
});
