//! Charts as SVG documents: text with places, which any browser shows and any program reads back.

use std::fmt::{Display, Write};

use super::frame::{Frame, Size, TEXT_HEIGHT, cut};
use super::{COLORS, Chart};

/// A text in which nothing is taken for markup, and that XML allows.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A document that is written piece by piece; writing to memory cannot fail.
struct Document(String);

impl Document {
    fn put(&mut self, piece: impl Display) {
        let _ = writeln!(self.0, "{piece}");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }
}

fn color(number: usize) -> String {
    let (red, green, blue) = COLORS[number % COLORS.len()];
    format!("#{red:02x}{green:02x}{blue:02x}")
}

pub(super) fn document(chart: &Chart, size: Size) -> String {
    let frame = Frame::new(chart, size);
    let Size { width, height } = size;
    let mut out = Document(String::new());
    out.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">"
    ));
    out.put(format_args!("<title>{}</title>", escaped(&chart.title)));
    out.put(
        "<style>text{font:12px ui-monospace,monospace;fill:#333}.grid{stroke:#ddd}\
         .axis{stroke:#333}.data{fill:none;stroke-width:1.5;stroke-linejoin:round}</style>",
    );
    out.put(format_args!(r##"<rect width="{width}" height="{height}" fill="#fff"/>"##));
    let characters = (f64::from(width) / super::frame::CHARACTER_WIDTH) as usize;
    out.text(f64::from(width) / 2.0, 20.0, "middle", &cut(&chart.title, characters));
    axes(&mut out, &frame);
    for number in 0..chart.lines.len() {
        data(&mut out, &frame, number);
    }
    if frame.values.is_none() {
        let (x, y) = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        out.text(x, y, "middle", "nothing to draw");
    }
    below(&mut out, chart, &frame);
    out.put("</svg>");
    out.0
}

fn axes(out: &mut Document, frame: &Frame<'_>) {
    let Frame { left, top, right, bottom, .. } = *frame;
    for tick in &frame.value_ticks {
        let y = frame.y(tick.at);
        out.line("grid", (left, y), (right, y));
        out.text(left - 6.0, y + 4.0, "end", &tick.label);
    }
    for tick in &frame.time_ticks {
        let x = frame.x(tick.at);
        out.line("grid", (x, top), (x, bottom));
        out.text(x, bottom + TEXT_HEIGHT, "middle", &tick.label);
    }
    out.line("axis", (left, top), (left, bottom));
    out.line("axis", (left, bottom), (right, bottom));
}

fn data(out: &mut Document, frame: &Frame<'_>, number: usize) {
    let color = color(number);
    for piece in frame.pieces(number) {
        if let [(x, y)] = piece[..] {
            out.put(format_args!(
                r#"<circle class="data" cx="{x:.2}" cy="{y:.2}" r="1.5" style="fill:{color}"/>"#
            ));
            continue;
        }
        let mut path = String::new();
        for (at, (x, y)) in piece.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{x:.2} {y:.2}");
        }
        out.put(format_args!(r#"<path class="data" stroke="{color}" d="{path}"/>"#));
    }
}

fn below(out: &mut Document, chart: &Chart, frame: &Frame<'_>) {
    let mut y = frame.bottom + 2.0 * TEXT_HEIGHT;
    out.text((frame.left + frame.right) / 2.0, y, "middle", &frame.span);
    for (number, name) in &frame.legend {
        y += TEXT_HEIGHT;
        if let Some(number) = number {
            let (top, color) = (y - 9.0, color(*number));
            out.put(format_args!(
                r#"<rect x="10" y="{top:.1}" width="14" height="10" fill="{color}"/>"#
            ));
        }
        out.text(30.0, y, "start", name);
    }
    for note in &chart.notes {
        y += TEXT_HEIGHT;
        out.text(10.0, y, "start", note);
    }
}
