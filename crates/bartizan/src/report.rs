//! How commands print: aligned columns, sizes people read, and readers that went away.

use std::io::{self, Write};
use std::process::ExitCode;

/// Prints rows with every cell but the last padded to the widest of its column plus `padding`, at least
/// `min_width`.
pub fn columns(
    out: &mut dyn Write,
    rows: &[Vec<String>],
    min_width: usize,
    padding: usize,
) -> io::Result<()> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        (widest + padding).max(min_width)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for row in rows {
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if i + 1 == row.len() {
                writeln!(out, "{cell}")?;
            } else {
                write!(out, "{cell:width$}")?;
            }
        }
    }
    Ok(())
}

/// A number of bytes in binary units, exactly: `1MiB12KiB3B`.
pub fn binary_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut text = String::new();
    for (i, unit) in UNITS.iter().enumerate().rev() {
        let part = (bytes >> (10 * i)) & 0x3ff;
        if part > 0 {
            text.push_str(&format!("{part}{unit}"));
        }
    }
    text
}

/// Ends well when whoever reads our output has seen enough, as `head` does.
pub fn unless_closed(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let is_closed = |error: &anyhow::Error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    match result {
        Err(error) if is_closed(&error) => Ok(ExitCode::SUCCESS),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        columns(&mut out, &[row(["a", "bb", "end"]), row(["äöü", "b", ""])], 4, 2).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a    bb  end\näöü  b   \n");
    }

    #[test]
    fn sizes_are_exact() {
        let cases = [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1 << 20 | 12 << 10 | 3, "1MiB12KiB3B")];
        for (bytes, text) in cases {
            assert_eq!(binary_bytes(bytes), text);
        }
    }
}
