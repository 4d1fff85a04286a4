//! Charts as text: every character is a grid of 2 x 4 dots (braille, Unicode 2800 to 28FF).

use super::frame::{cut, legend};
use super::scale::time_place;
use super::ticks;
use super::{COLORS, Chart};

/// Whether lines are told apart by colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No colours: a file, a pipe.
    Plain,
    /// Colours by the sequences that terminals know.
    Colors,
}

/// The smallest canvas: characters.
const CANVAS_MIN: (usize, usize) = (8, 3);
/// The bit of each dot of a character: from the left, then from the top.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A character: its dots, and the line that last put one there.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    dots: u8,
    line: usize,
}

struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

impl Canvas {
    fn dot(&mut self, x: i64, y: i64, line: usize) {
        let (width, height) = (2 * self.columns as i64, 4 * self.rows as i64);
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let (x, y) = (x as usize, y as usize);
            let cell = &mut self.cells[y / 4 * self.columns + x / 2];
            *cell = Cell { dots: cell.dots | DOTS[x % 2][y % 4], line };
        }
    }

    /// The dots from one to another (Bresenham, 1965).
    fn line(&mut self, from: (i64, i64), to: (i64, i64), line: usize) {
        let ((mut x, mut y), (x1, y1)) = (from, to);
        let (dx, dy) = ((x1 - x).abs(), -(y1 - y).abs());
        let (step_x, step_y) = ((x1 - x).signum(), (y1 - y).signum());
        let mut error = dx + dy;
        loop {
            self.dot(x, y, line);
            if (x, y) == (x1, y1) {
                return;
            }
            let twice = 2 * error;
            if twice >= dy {
                error += dy;
                x += step_x;
            }
            if twice <= dx {
                error += dx;
                y += step_y;
            }
        }
    }
}

fn colored(text: &str, line: usize, style: Style) -> String {
    if style == Style::Plain {
        return text.to_owned();
    }
    let (red, green, blue) = COLORS[line % COLORS.len()];
    format!("\u{1b}[38;2;{red};{green};{blue}m{text}\u{1b}[0m")
}

pub(super) fn text(chart: &Chart, columns: usize, rows: usize, style: Style) -> String {
    let bounds = chart.bounds().map(|(low, high)| chart.scale.around(low, high));
    let mut out = format!("{}\n", cut(&chart.title, columns));
    let Some((low, high)) = bounds else {
        out.push_str("nothing to draw\n");
        return out + &below(chart, columns, style);
    };
    let legend_rows = legend(chart, columns).len() + chart.notes.len();
    let rows = rows.saturating_sub(4 + legend_rows).max(CANVAS_MIN.1);
    let value_ticks = ticks::of_values(chart.scale, low, high, (rows / 4).max(2));
    let widest = value_ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
    let columns_left = columns.saturating_sub(widest + 2).max(CANVAS_MIN.0);
    let cells = vec![Cell::default(); columns_left * rows];
    let mut canvas = Canvas { columns: columns_left, rows, cells };
    let dot = |(time_ns, value): &(i64, f64)| {
        let x = time_place(*time_ns, chart.span_ns) * (2 * columns_left - 1) as f64;
        let y = (1.0 - chart.scale.place(*value, low, high)) * (4 * rows - 1) as f64;
        (x.round() as i64, y.round() as i64)
    };
    for (number, line) in chart.lines.iter().enumerate() {
        for piece in &line.pieces {
            for piece in piece.split(|(_, value)| !chart.scale.can_show(*value)) {
                for pair in piece.windows(2) {
                    canvas.line(dot(&pair[0]), dot(&pair[1]), number);
                }
                if let [point] = piece {
                    let (x, y) = dot(point);
                    canvas.dot(x, y, number);
                }
            }
        }
    }
    // The labels by the row of characters that their value is in.
    let row_of = |value: f64| dot(&(chart.span_ns.0, value)).1 as usize / 4;
    for row in 0..rows {
        let label = value_ticks.iter().find(|tick| row_of(tick.at) == row);
        let text = label.map_or("", |tick| tick.label.as_str());
        out.push_str(&format!("{text:>widest$} {}", if label.is_some() { '┤' } else { '│' }));
        let cells = &canvas.cells[row * columns_left..(row + 1) * columns_left];
        for run in cells.chunk_by(|a, b| a.line == b.line && (a.dots == 0) == (b.dots == 0)) {
            let braille = |cell: &Cell| match cell.dots {
                0 => ' ',
                dots => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
            };
            let text: String = run.iter().map(braille).collect();
            match run.first() {
                Some(Cell { dots: 1.., line }) => out.push_str(&colored(&text, *line, style)),
                _ => out.push_str(&text),
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out.push_str(&time_axis(chart, widest, columns_left));
    out + &below(chart, columns, style)
}

/// The axis of time: a line with marks, and the labels below those that have room.
fn time_axis(chart: &Chart, widest: usize, columns: usize) -> String {
    let ticks = ticks::of_times(chart.span_ns, &chart.zone, (columns / 14).max(1));
    let mut axis = vec!['─'; columns];
    let mut labels = vec![' '; columns];
    let mut free_from = 0;
    for tick in ticks {
        let at = time_place(tick.at, chart.span_ns) * (columns - 1) as f64;
        let at = at.round() as usize;
        axis[at] = '┬';
        let length = tick.label.chars().count();
        let start = at.saturating_sub(length / 2).min(columns.saturating_sub(length));
        if start >= free_from && length <= columns {
            labels.splice(start..start + length, tick.label.chars());
            free_from = start + length + 1;
        }
    }
    let (axis, labels): (String, String) =
        (axis.into_iter().collect(), labels.into_iter().collect());
    format!("{:widest$} └{axis}\n{:widest$}  {}\n", "", "", labels.trim_end())
}

fn below(chart: &Chart, columns: usize, style: Style) -> String {
    let mut out = format!("{}\n", ticks::described(chart.span_ns, &chart.zone));
    for (number, name) in legend(chart, columns.saturating_sub(3).max(8)) {
        match number {
            Some(number) => {
                out.push_str(&format!("{} {name}\n", colored("──", number, style)));
            }
            None => out.push_str(&format!("   {name}\n")),
        }
    }
    chart.notes.iter().for_each(|note| out.push_str(&format!("{}\n", cut(note, columns))));
    out
}
