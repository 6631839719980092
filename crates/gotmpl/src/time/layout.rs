//! Go's layouts: a time is written as the reference time, Monday, 2 January 2006, 15:04:05 -0700, would be.

use std::fmt::Write;

use jiff::Zoned;

/// The names of the months, January first.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The names of the days of a week, Sunday first.
pub const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Parts of a layout, a longer one before those it begins with.
const PARTS: [(&str, Part); 36] = [
    ("January", Part::Month),
    ("Jan", Part::ShortMonth),
    ("Monday", Part::Weekday),
    ("Mon", Part::ShortWeekday),
    ("MST", Part::Zone),
    ("2006", Part::Year),
    ("__2", Part::YearDayPadded),
    ("_2", Part::DayPadded),
    ("002", Part::YearDay),
    ("01", Part::MonthTwo),
    ("02", Part::DayTwo),
    ("03", Part::Hour12Two),
    ("04", Part::MinuteTwo),
    ("05", Part::SecondTwo),
    ("06", Part::YearTwo),
    ("15", Part::Hour),
    ("PM", Part::Upper),
    ("pm", Part::Lower),
    ("-07:00:00", Part::Offset { z: false, colon: true, fields: 3 }),
    ("-07:00", Part::Offset { z: false, colon: true, fields: 2 }),
    ("-070000", Part::Offset { z: false, colon: false, fields: 3 }),
    ("-0700", Part::Offset { z: false, colon: false, fields: 2 }),
    ("-07", Part::Offset { z: false, colon: false, fields: 1 }),
    ("Z07:00:00", Part::Offset { z: true, colon: true, fields: 3 }),
    ("Z07:00", Part::Offset { z: true, colon: true, fields: 2 }),
    ("Z070000", Part::Offset { z: true, colon: false, fields: 3 }),
    ("Z0700", Part::Offset { z: true, colon: false, fields: 2 }),
    ("Z07", Part::Offset { z: true, colon: false, fields: 1 }),
    ("1", Part::MonthPlain),
    ("2", Part::Day),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    (".0", Part::Fraction),
    (",0", Part::Fraction),
    (".9", Part::Fraction),
];

#[derive(Debug, Clone, Copy)]
enum Part {
    Year,
    YearTwo,
    Month,
    ShortMonth,
    MonthTwo,
    MonthPlain,
    Weekday,
    ShortWeekday,
    Day,
    DayPadded,
    DayTwo,
    YearDay,
    YearDayPadded,
    Hour,
    Hour12,
    Hour12Two,
    Minute,
    MinuteTwo,
    Second,
    SecondTwo,
    Fraction,
    Upper,
    Lower,
    Zone,
    Offset { z: bool, colon: bool, fields: u8 },
}

/// Writes `at` in `layout`.
pub fn format(at: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        match next_part(rest) {
            Some((length, part)) => {
                write_part(&mut out, at, part, &rest[..length]).expect("writing to a string cannot fail");
                rest = &rest[length..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// The part a layout begins with, and its length.
fn next_part(layout: &str) -> Option<(usize, Part)> {
    if let Some(length) = fraction(layout) {
        return Some((length, Part::Fraction));
    }
    let &(text, part) =
        PARTS.iter().find(|(text, part)| layout.starts_with(text) && fits(layout, text, *part))?;
    Some((text.len(), part))
}

/// Whether a layout that begins with the text of a part means the part.
fn fits(layout: &str, text: &str, part: Part) -> bool {
    match part {
        // They have rules of their own.
        Part::Fraction => false,
        // `Jan` and `Mon` may begin a word that means something else.
        Part::ShortMonth | Part::ShortWeekday => {
            !layout[text.len()..].starts_with(|c: char| c.is_ascii_lowercase())
        }
        // An underscore before a year.
        Part::DayPadded => !layout.starts_with("_2006"),
        _ => true,
    }
}

/// The length of `.000` or `,999` and their like: a run of one digit that no other digit follows.
fn fraction(layout: &str) -> Option<usize> {
    let bytes = layout.as_bytes();
    let (&mark, &digit) = (bytes.first()?, bytes.get(1)?);
    if !matches!(mark, b'.' | b',') || !matches!(digit, b'0' | b'9') {
        return None;
    }
    let run = bytes[1..].iter().take_while(|&&byte| byte == digit).count();
    let ends = !bytes.get(1 + run).is_some_and(u8::is_ascii_digit);
    ends.then_some(1 + run)
}

fn write_part(out: &mut String, at: &Zoned, part: Part, text: &str) -> std::fmt::Result {
    let month = usize::from(at.month().unsigned_abs()) - 1;
    let weekday = at.weekday().to_sunday_zero_offset() as usize;
    let hour12 = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        Part::Year => write!(out, "{:04}", at.year()),
        Part::YearTwo => write!(out, "{:02}", at.year().rem_euclid(100)),
        Part::Month => out.write_str(MONTHS[month]),
        Part::ShortMonth => out.write_str(&MONTHS[month][..3]),
        Part::MonthTwo => write!(out, "{:02}", month + 1),
        Part::MonthPlain => write!(out, "{}", month + 1),
        Part::Weekday => out.write_str(WEEKDAYS[weekday]),
        Part::ShortWeekday => out.write_str(&WEEKDAYS[weekday][..3]),
        Part::Day => write!(out, "{}", at.day()),
        Part::DayPadded => write!(out, "{:2}", at.day()),
        Part::DayTwo => write!(out, "{:02}", at.day()),
        Part::YearDay => write!(out, "{:03}", at.day_of_year()),
        Part::YearDayPadded => write!(out, "{:3}", at.day_of_year()),
        Part::Hour => write!(out, "{:02}", at.hour()),
        Part::Hour12 => write!(out, "{hour12}"),
        Part::Hour12Two => write!(out, "{hour12:02}"),
        Part::Minute => write!(out, "{}", at.minute()),
        Part::MinuteTwo => write!(out, "{:02}", at.minute()),
        Part::Second => write!(out, "{}", at.second()),
        Part::SecondTwo => write!(out, "{:02}", at.second()),
        Part::Fraction => write_fraction(out, at, text),
        Part::Upper => out.write_str(if at.hour() < 12 { "AM" } else { "PM" }),
        Part::Lower => out.write_str(if at.hour() < 12 { "am" } else { "pm" }),
        Part::Zone => write_zone(out, at),
        Part::Offset { z, colon, fields } => write_offset(out, at.offset().seconds(), z, colon, fields),
    }
}

fn write_fraction(out: &mut String, at: &Zoned, text: &str) -> std::fmt::Result {
    let digits = format!("{:09}", at.subsec_nanosecond());
    let wanted = (text.len() - 1).min(digits.len());
    let mut digits = &digits[..wanted];
    // Nines leave out zeros at the end, and the mark when nothing remains.
    if text.ends_with('9') {
        digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Ok(());
        }
    }
    write!(out, "{}{digits}", &text[..1])
}

/// The abbreviation of the zone, or its offset where it has none because it is nothing but an offset.
fn write_zone(out: &mut String, at: &Zoned) -> std::fmt::Result {
    let zone = at.time_zone();
    let info = zone.to_offset_info(at.timestamp());
    let name = info.abbreviation();
    if zone.iana_name().is_some() || name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        out.write_str(name)
    } else {
        write_offset(out, at.offset().seconds(), false, false, 2)
    }
}

fn write_offset(out: &mut String, seconds: i32, z: bool, colon: bool, fields: u8) -> std::fmt::Result {
    if z && seconds == 0 {
        return out.write_str("Z");
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    write!(out, "{sign}{:02}", seconds / 3600)?;
    let separator = if colon { ":" } else { "" };
    if fields > 1 {
        write!(out, "{separator}{:02}", seconds / 60 % 60)?;
    }
    if fields > 2 {
        write!(out, "{separator}{:02}", seconds % 60)?;
    }
    Ok(())
}
