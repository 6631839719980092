//! Outcomes as JUnit XML.

use super::FileOutcome;

/// The document for all files; `time` is when the tests ran, as `2006-01-02T15:04:05`.
pub fn junit(outcomes: &[FileOutcome], time: &str) -> String {
    let mut out = String::from("<testsuites>");
    for outcome in outcomes {
        let failures: usize = outcome.cases.iter().map(|case| case.failures.len()).sum();
        let aborted = usize::from(outcome.aborted.is_some());
        out.push_str(&format!(
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{aborted}\" skipped=\"0\" timestamp=\"{}\">",
            escape(&outcome.file),
            outcome.cases.len() + aborted,
            escape(time),
        ));
        if let Some(problem) = &outcome.aborted {
            out.push_str(&format!(
                "<testcase name=\"unknown\"><error>{}</error></testcase>",
                escape(problem)
            ));
        }
        for case in &outcome.cases {
            out.push_str(&format!("<testcase name=\"{}\">", escape(&case.name)));
            for failure in &case.failures {
                out.push_str(&format!("<failure>{}</failure>", escape(failure)));
            }
            out.push_str("</testcase>");
        }
        out.push_str("</testsuite>");
    }
    out.push_str("</testsuites>");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push_str("&#xA;"),
            '\t' => out.push_str("&#x9;"),
            '\r' => out.push_str("&#xD;"),
            // No other control characters are legal in XML 1.0.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
