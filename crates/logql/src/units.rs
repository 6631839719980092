//! Numbers of bytes as people write them: `5KB`, `1.2MiB`, `300`.

/// Names of units, lower case, with their bytes.
const UNITS: [(&str, u64); 27] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("k", 1000),
    ("mb", 1_000_000),
    ("m", 1_000_000),
    ("gb", 1_000_000_000),
    ("g", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("t", 1_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
    ("p", 1_000_000_000_000_000),
    ("eb", 1_000_000_000_000_000_000),
    ("e", 1_000_000_000_000_000_000),
    ("kib", 1 << 10),
    ("ki", 1 << 10),
    ("mib", 1 << 20),
    ("mi", 1 << 20),
    ("gib", 1 << 30),
    ("gi", 1 << 30),
    ("tib", 1 << 40),
    ("ti", 1 << 40),
    ("pib", 1 << 50),
    ("pi", 1 << 50),
    ("eib", 1 << 60),
    ("ei", 1 << 60),
    ("bytes", 1),
];

/// A number of bytes, or what is wrong with the text.
pub(crate) fn parse_bytes_text(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let number = text[..digits].replace(',', "");
    let value = model::number::parse_float(&number).map_err(|problem| problem.to_string())?;
    let unit = text[digits..].trim().to_lowercase();
    let Some(&(_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unhandled size name: {unit}"));
    };
    let bytes = value * factor as f64;
    if bytes >= u64::MAX as f64 {
        return Err(format!("too large: {text}"));
    }
    Ok(bytes as u64)
}

/// A literal: a number with a unit.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    text.ends_with(|c: char| c.is_ascii_alphabetic()).then(|| parse_bytes_text(text).ok()).flatten()
}

/// A number of bytes in decimal units, as it is written back: `5.0kB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    const NAMES: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes}B");
    }
    let exponent = (bytes as f64).log(1000.0).floor() as usize;
    let name = NAMES[exponent.min(NAMES.len() - 1)];
    let value = (bytes as f64 / 1000_f64.powi(exponent as i32) * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 && exponent > 0 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_decimal_or_binary_in_any_case() {
        assert_eq!(parse_bytes_text("5KB"), Ok(5000));
        assert_eq!(parse_bytes_text("1.5MiB"), Ok(3 << 19));
        assert_eq!(parse_bytes_text("777"), Ok(777));
        assert!(parse_bytes_text("huge").unwrap_err().contains("parsing \"\""));
        assert_eq!(parse_bytes_text("5XB"), Err("unhandled size name: xb".to_owned()));
        assert_eq!(format_bytes(5000), "5.0kB");
        assert_eq!(format_bytes(64 << 10), "66kB");
    }
}
