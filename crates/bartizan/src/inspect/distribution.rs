//! How numbers are distributed, as bars of `#`.

use std::io::{self, Write};

/// Prints the smallest, the mean and the largest of `values` and a bar for each range of them. A `#` stands
/// for a hundredth of `total`.
pub fn print(out: &mut dyn Write, what: &str, mut values: Vec<usize>, total: usize) -> io::Result<()> {
    values.sort_unstable();
    let (Some(&least), Some(&most)) = (values.first(), values.last()) else {
        return writeln!(out, "{what}: N/A\n");
    };
    let (start, end, step) = ranges(least, most);
    let mut counts = vec![0_usize; (end - start) / step + 1];
    for value in &values {
        counts[(value - start) / step] += 1;
    }
    let mean = values.iter().sum::<usize>() / values.len();
    writeln!(out, "{what} (min/avg/max): {least}/{mean}/{most}")?;
    let digits = |number: usize| number.to_string().len();
    let (left, right) = (digits(end), digits(end + step));
    let width = digits(counts.iter().copied().max().unwrap_or(0));
    for (i, &count) in counts.iter().enumerate() {
        let (from, to) = (i * step + start + 1, (i + 1) * step + start);
        let bar = "#".repeat(100 * count / total.max(1));
        writeln!(out, "[{from:left$}, {to:right$}]: {count:width$} {bar}")?;
    }
    writeln!(out)
}

/// The first bound, the last one and the step between: powers of ten that make about ten ranges.
fn ranges(least: usize, most: usize) -> (usize, usize, usize) {
    let mut step = 10;
    while step < (most - least) / 10 && step <= 10_000 {
        step *= 10;
    }
    (least - least % step, most - most % step + step, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_shares_of_the_total() {
        let mut out = Vec::new();
        print(&mut out, "samples", vec![120, 21, 120, 118], 8).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "samples (min/avg/max): 21/94/120");
        assert_eq!(lines[1], "[ 21,  30]: 1 ############");
        assert_eq!(lines[10], "[111, 120]: 1 ############");
        assert_eq!(lines[11], "[121, 130]: 2 #########################");
        let mut out = Vec::new();
        print(&mut out, "samples", Vec::new(), 0).unwrap();
        assert_eq!(out, b"samples: N/A\n\n");
    }
}
