//! What was got against what was expected, and how both are shown.

use model::Labels;
use model::labels::{Quoted, is_legacy_label_name};
use model::number::{FloatFormat, format_float};

/// Names and texts, sorted; unlike labels, texts may be empty.
pub(super) type Pairs = Vec<(String, String)>;

/// An alert as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShownAlert {
    pub labels: Pairs,
    pub annotations: Pairs,
}

/// An element of a result as tests compare it.
#[derive(Debug, Clone)]
pub(super) struct ShownSample {
    pub labels: Labels,
    pub value: f64,
    /// In the notation of test scripts; empty for a float.
    pub histogram: String,
}

/// The pairs of labels.
pub(super) fn pairs(labels: &Labels) -> Pairs {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn show_pairs(pairs: &Pairs) -> String {
    let shown = pairs.iter().map(|(name, text)| {
        let name = if is_legacy_label_name(name) { name.clone() } else { Quoted(name).to_string() };
        format!("{name}={}", Quoted(text))
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}

/// Lines after the first one, indented.
pub(super) fn indent(text: &str, by: &str) -> String {
    text.replace('\n', &format!("\n{by}"))
}

/// Alerts as failures show them.
pub(super) fn show_alerts(alerts: &[ShownAlert]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let one = |(i, alert): (usize, &ShownAlert)| {
        let (labels, annotations) = (show_pairs(&alert.labels), show_pairs(&alert.annotations));
        format!("{i}:{}", indent(&format!("\nLabels:{labels}\nAnnotations:{annotations}"), "  "))
    };
    format!("[\n{}\n]", alerts.iter().enumerate().map(one).collect::<Vec<_>>().join(",\n"))
}

/// The lines of both sides, marked and coloured where they differ.
pub(super) fn show_difference(expected: &[ShownAlert], got: &[ShownAlert]) -> String {
    let lines = |alerts: &[ShownAlert]| {
        let mut lines = Vec::new();
        for alert in alerts {
            for (kind, pairs) in [("Labels", &alert.labels), ("Annotations", &alert.annotations)] {
                lines.push(format!("{kind}:"));
                lines
                    .extend(pairs.iter().map(|(name, text)| format!("  {}: {}", Quoted(name), Quoted(text))));
            }
        }
        lines
    };
    difference(&lines(expected), &lines(got)).join("\n")
}

/// The shortest list of lines that are kept, removed (red) and added (green).
fn difference(from: &[String], to: &[String]) -> Vec<String> {
    // The longest common run below each pair of places; tests compare few lines.
    let mut longest = vec![vec![0_usize; to.len() + 1]; from.len() + 1];
    for i in (0..from.len()).rev() {
        for j in (0..to.len()).rev() {
            longest[i][j] = if from[i] == to[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < from.len() || j < to.len() {
        if i < from.len() && j < to.len() && from[i] == to[j] {
            out.push(format!("  {}", from[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == to.len() || i < from.len() && longest[i + 1][j] >= longest[i][j + 1] {
            out.push(format!("\u{1b}[0;31m- {}\u{1b}[0m", from[i]));
            i += 1;
        } else {
            out.push(format!("\u{1b}[0;32m+ {}\u{1b}[0m", to[j]));
            j += 1;
        }
    }
    out
}

/// Whether both sides hold the same, in order.
pub(super) fn same_samples(expected: &[ShownSample], got: &[ShownSample], fuzzy: bool) -> bool {
    expected.len() == got.len()
        && expected.iter().zip(got).all(|(expected, got)| {
            expected.labels == got.labels
                && expected.histogram == got.histogram
                && same_float(expected.value, got.value, fuzzy)
        })
}

fn same_float(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || fuzzy && (a.next_up() == b || a.next_down() == b)
}

/// Samples as failures show them.
pub(super) fn show_samples(samples: &[ShownSample]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let one = |sample: &ShownSample| match sample.histogram.as_str() {
        "" => format!("{} {}", sample.labels, scientific(sample.value)),
        histogram => format!("{} {histogram}", sample.labels),
    };
    samples.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The shortest form with an exponent of at least two digits: `1.5E+00`.
fn scientific(value: f64) -> String {
    format_float(value, FloatFormat::Exponent).replace('e', "E")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_exponents_of_two_digits() {
        let shown = [0.0, 1.0, -1234.5, 1e-7, 1e300, f64::INFINITY].map(scientific);
        assert_eq!(shown, ["0E+00", "1E+00", "-1.2345E+03", "1E-07", "1E+300", "+Inf"]);
    }

    #[test]
    fn differences_keep_what_is_common() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found = difference(&lines("a b c"), &lines("a x c"));
        assert_eq!(found.len(), 4);
        assert!(found[1].contains("- b") && found[2].contains("+ x") && found[3] == "  c");
    }

    #[test]
    fn neighbours_are_equal_only_where_that_is_wanted() {
        let (a, b) = (0.1 + 0.2, 0.3);
        assert!(!same_float(a, b, false) && same_float(a, b, true) && !same_float(1.0, 1.1, true));
    }
}
