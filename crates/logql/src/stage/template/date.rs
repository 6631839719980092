//! Reading times in Go's layouts: `2006-01-02 15:04:05`.

use gotmpl::time::{MONTHS, Time, WEEKDAYS};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Parts of layouts, the longest first where one begins another.
const PARTS: [&str; 27] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "Z07:00", "-0700", "Z0700", "-07", "01",
    "02", "03", "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5", ".000",
];

#[derive(Default)]
struct Found {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

/// A time in a layout. Without an offset it is in `zone`; an empty zone is Universal Time.
pub(super) fn parse_date(layout: &str, zone: &str, text: &str) -> Option<Time> {
    let (mut layout, mut text, mut found) = (layout, text, Found::default());
    while let Some(c) = layout.chars().next() {
        if let Some(part) = PARTS.iter().find(|part| layout.starts_with(**part)) {
            let digits = if *part == ".000" { fraction_len(layout) } else { part.len() };
            layout = &layout[digits..];
            text = read(part, text, &mut found)?;
            continue;
        }
        text = text.strip_prefix(c)?;
        layout = &layout[c.len_utf8()..];
    }
    if !text.is_empty() {
        return None;
    }
    let hour = match (found.afternoon, found.hour) {
        (Some(true), hour) if hour < 12 => hour + 12,
        (Some(false), 12) => 0,
        (_, hour) => hour,
    };
    let (year, month, day) = (found.year.unwrap_or(0), found.month.unwrap_or(1), found.day.unwrap_or(1));
    let at = DateTime::new(year, month, day, hour, found.minute, found.second, found.nanosecond).ok()?;
    let zone = match (found.offset, zone) {
        (Some(seconds), _) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
        (None, "" | "UTC" | "Local") => TimeZone::UTC,
        // A zone nobody knows is Universal Time, too.
        (None, name) => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    Some(Time::zoned(at.to_zoned(zone).ok()?))
}

fn fraction_len(layout: &str) -> usize {
    1 + layout[1..].bytes().take_while(|b| *b == b'0').count()
}

fn number(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (digits >= least).then(|| text[..digits].parse().ok().map(|number| (number, &text[digits..])))?
}

fn name<'a>(names: &[&str], text: &'a str, short: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(at, name)| {
        let name = if short { &name[..3] } else { name };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (at, &text[name.len()..]))
    })
}

/// Reads one part; returns what follows it.
fn read<'a>(part: &str, text: &'a str, found: &mut Found) -> Option<&'a str> {
    let two = |text: &'a str| number(text, 2, 2);
    let any = |text: &'a str| number(text, 1, 2);
    Some(match part {
        "January" | "Jan" => {
            let (at, rest) = name(&MONTHS, text, part == "Jan")?;
            found.month = Some(at as i8 + 1);
            rest
        }
        "Monday" | "Mon" => name(&WEEKDAYS, text, part == "Mon")?.1,
        "MST" => {
            let len = text.bytes().take_while(u8::is_ascii_uppercase).count();
            if text[..len] == *"UTC" || text[..len] == *"GMT" {
                found.offset = Some(0);
            }
            (len >= 3).then(|| &text[len..])?
        }
        "2006" => number(text, 4, 4).map(|(year, rest)| (found.year = Some(year as i16), rest))?.1,
        "06" => {
            let (year, rest) = two(text)?;
            found.year = Some(if year >= 69 { 1900 + year } else { 2000 + year } as i16);
            rest
        }
        "01" => two(text).map(|(month, rest)| (found.month = Some(month as i8), rest))?.1,
        "1" => any(text).map(|(month, rest)| (found.month = Some(month as i8), rest))?.1,
        "02" => two(text).map(|(day, rest)| (found.day = Some(day as i8), rest))?.1,
        "2" | "_2" => any(text.trim_start()).map(|(day, rest)| (found.day = Some(day as i8), rest))?.1,
        "15" | "03" => two(text).map(|(hour, rest)| (found.hour = hour as i8, rest))?.1,
        "3" => any(text).map(|(hour, rest)| (found.hour = hour as i8, rest))?.1,
        "04" => two(text).map(|(minute, rest)| (found.minute = minute as i8, rest))?.1,
        "4" => any(text).map(|(minute, rest)| (found.minute = minute as i8, rest))?.1,
        "05" | "5" => {
            let (second, rest) = if part == "05" { two(text)? } else { any(text)? };
            found.second = second as i8;
            // A fraction may follow seconds, whatever the layout says.
            if rest.starts_with('.') { fraction(rest, found)? } else { rest }
        }
        ".000" if text.starts_with('.') => fraction(text, found)?,
        ".000" => text,
        "PM" | "pm" => {
            let head = text.get(..2)?;
            found.afternoon = Some(head.eq_ignore_ascii_case("pm"));
            (head.eq_ignore_ascii_case("am") || head.eq_ignore_ascii_case("pm")).then(|| &text[2..])?
        }
        _ => offset(part, text, found)?,
    })
}

fn fraction<'a>(text: &'a str, found: &mut Found) -> Option<&'a str> {
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    let shown = &text[1..=digits];
    let nine: String = shown.chars().chain(std::iter::repeat('0')).take(9).collect();
    found.nanosecond = nine.parse().ok()?;
    (digits > 0).then(|| &text[digits + 1..])
}

fn offset<'a>(part: &str, text: &'a str, found: &mut Found) -> Option<&'a str> {
    if part.starts_with('Z')
        && let Some(rest) = text.strip_prefix('Z')
    {
        found.offset = Some(0);
        return Some(rest);
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = number(&text[1..], 2, 2)?;
    let (minutes, rest) = if part == "-07" {
        (0, rest)
    } else {
        number(if part.contains(':') { rest.strip_prefix(':')? } else { rest }, 2, 2)?
    };
    found.offset = Some(sign * (hours * 3600 + minutes * 60));
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_layout_says() {
        let read =
            |layout: &str, text: &str| parse_date(layout, "", text).map(|time| time.timestamp().to_string());
        assert_eq!(read("2006-01-02", "2026-03-01").as_deref(), Some("2026-03-01T00:00:00Z"));
        let layout = "2006-01-02T15:04:05.000Z07:00";
        assert_eq!(read(layout, "2026-03-01T10:11:12.5+02:00").as_deref(), Some("2026-03-01T08:11:12.5Z"));
        assert_eq!(
            read("02/Jan/2006:15:04:05 -0700", "01/Mar/2026:10:11:12 +0000").as_deref(),
            Some("2026-03-01T10:11:12Z")
        );
        assert_eq!(read("x", "y"), None);
        let zoned = parse_date("2006-01-02 15:04", "Europe/Zurich", "2026-03-01 12:00").unwrap();
        assert_eq!(zoned.timestamp().to_string(), "2026-03-01T11:00:00Z");
    }
}
