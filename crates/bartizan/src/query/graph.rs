//! A range of time as lines in the terminal, drawn with Braille characters.

use serde_json::Value;

use super::table;

/// Dots of a Braille character by row and column.
const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// Series beyond are counted, not drawn.
const MAX_SERIES: usize = 8;
/// Terminal colours of the series, in turn.
const COLOURS: [u8; MAX_SERIES] = [32, 33, 36, 35, 31, 34, 92, 93];
/// Columns of the scale on the left.
const SCALE_COLUMNS: usize = 12;

type Points = Vec<(f64, f64)>;

/// Where a graph is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Characters of a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
    /// Whether it understands escape sequences for colours.
    pub coloured: bool,
}

impl Screen {
    /// `text` in the colour of a series.
    fn paint(self, text: &str, series: usize) -> String {
        match self.coloured {
            true => format!("\x1b[{}m{text}\x1b[0m", COLOURS[series % MAX_SERIES]),
            false => text.to_owned(),
        }
    }
}

/// Draws the answer of a range query.
pub fn render(data: &Value, screen: Screen) -> String {
    let series: Vec<(String, Points)> = data["result"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|series| (table::name(&series["metric"]), points(&series["values"])))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    if series.is_empty() {
        return "no data\n".to_owned();
    }
    let drawn = &series[..series.len().min(MAX_SERIES)];
    let height = screen.rows.saturating_sub(drawn.len() + 4).max(5);
    let mut canvas = Canvas::new(screen.columns.saturating_sub(SCALE_COLUMNS).max(10), height, drawn);
    for (i, (_, points)) in drawn.iter().enumerate() {
        canvas.line(points, i);
    }
    let mut text = canvas.text(screen);
    for (i, (name, points)) in drawn.iter().enumerate() {
        let last = points.last().map_or(f64::NAN, |point| point.1);
        text.push_str(&format!("{} {name}  {}\n", screen.paint("──", i), short(last)));
    }
    if series.len() > drawn.len() {
        text.push_str(&format!("and {} more series\n", series.len() - drawn.len()));
    }
    text
}

fn points(values: &Value) -> Points {
    let point = |point: &Value| {
        let value: f64 = point[1].as_str()?.parse().ok()?;
        value.is_finite().then_some((point[0].as_f64()?, value))
    };
    values.as_array().into_iter().flatten().filter_map(point).collect()
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e12 => format!("{:.2}T", value / 1e12),
        v if v >= 1e9 => format!("{:.2}G", value / 1e9),
        v if v >= 1e6 => format!("{:.2}M", value / 1e6),
        v if v >= 1e4 => format!("{:.2}k", value / 1e3),
        0.0 => "0".to_owned(),
        v if v < 1e-3 => format!("{value:.2e}"),
        _ => format!("{value:.3}"),
    }
}

fn braille(dots: u8) -> char {
    match dots {
        0 => ' ',
        _ => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
    }
}

struct Canvas {
    columns: usize,
    rows: usize,
    /// Dots and the colour of the series that set one last, by row and column.
    cells: Vec<(u8, usize)>,
    time: (f64, f64),
    value: (f64, f64),
}

impl Canvas {
    fn new(columns: usize, rows: usize, series: &[(String, Points)]) -> Self {
        let all = || series.iter().flat_map(|(_, points)| points);
        let range = |of: fn(&(f64, f64)) -> f64| {
            let fold = |(low, high): (f64, f64), v: f64| (low.min(v), high.max(v));
            all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), fold)
        };
        let (mut value, time) = (range(|p| p.1), range(|p| p.0));
        if value.0 == value.1 {
            // A flat line lies in the middle.
            let margin = (value.0.abs() * 0.1).max(1.0);
            value = (value.0 - margin, value.1 + margin);
        }
        Self { columns, rows, cells: vec![(0, 0); columns * rows], time, value }
    }

    /// Draws straight lines from point to point.
    fn line(&mut self, points: &Points, series: usize) {
        let dots: Vec<(f64, f64)> = points.iter().map(|&p| self.dot(p)).collect();
        if let [only] = dots[..] {
            self.set(only, series);
        }
        for pair in dots.windows(2) {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
            for step in 0..=steps as usize {
                let part = step as f64 / steps;
                self.set((pair[0].0 + dx * part, pair[0].1 + dy * part), series);
            }
        }
    }

    /// Where a point lies, in dots from the upper left corner.
    fn dot(&self, (t, v): (f64, f64)) -> (f64, f64) {
        let part = |x: f64, (low, high): (f64, f64)| if high > low { (x - low) / (high - low) } else { 0.5 };
        let (width, height) = ((self.columns * 2 - 1) as f64, (self.rows * 4 - 1) as f64);
        (part(t, self.time) * width, (1.0 - part(v, self.value)) * height)
    }

    fn set(&mut self, (x, y): (f64, f64), series: usize) {
        let (x, y) = (x.round() as usize, y.round() as usize);
        if let Some(cell) = self.cells.get_mut(y / 4 * self.columns + x / 2) {
            *cell = (cell.0 | DOTS[y % 4][x % 2], series);
        }
    }

    fn text(&self, screen: Screen) -> String {
        let mut text = String::new();
        for (row, cells) in self.cells.chunks(self.columns).enumerate() {
            let part = 1.0 - row as f64 / (self.rows - 1) as f64;
            let scale = self.value.0 + part * (self.value.1 - self.value.0);
            let width = SCALE_COLUMNS - 2;
            text.push_str(&format!("{:>width$} ┤", short(scale)));
            for run in cells.chunk_by(|a, b| (a.0 == 0) == (b.0 == 0) && a.1 == b.1) {
                let dots: String = run.iter().map(|&(dots, _)| braille(dots)).collect();
                match run[0] {
                    (0, _) => text.push_str(&dots),
                    (_, series) => text.push_str(&screen.paint(&dots, series)),
                }
            }
            text.push('\n');
        }
        let (start, end) = (table::time(&self.time.0.into()), table::time(&self.time.1.into()));
        let gap = (self.columns + SCALE_COLUMNS).saturating_sub(SCALE_COLUMNS + start.len() + end.len());
        text.push_str(&format!("{:SCALE_COLUMNS$}{start}{:gap$}{end}\n", "", ""));
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rising_line_goes_from_the_lower_left_to_the_upper_right() {
        let data =
            json!({ "result": [{ "metric": { "__name__": "up" }, "values": [[0, "0"], [10, "10"]] }] });
        let plain = Screen { columns: 32, rows: 12, coloured: false };
        let text = render(&data, plain);
        let rows: Vec<&str> = text.lines().collect();
        let (first_row, last_row) = (rows[0], rows[6]);
        let coloured = render(&data, Screen { coloured: true, ..plain });
        assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[0m", ""), text);
        assert!(first_row.starts_with("    10.000 ┤ ") && !first_row.ends_with(' '), "{text}");
        assert!(last_row.starts_with("         0 ┤") && last_row.chars().nth(12) != Some(' '), "{text}");
        assert!(text.contains("up  10.000"), "{text}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert_eq!(
            render(&json!({ "result": [] }), Screen { columns: 80, rows: 24, coloured: true }),
            "no data\n"
        );
    }
}
