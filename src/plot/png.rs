//! Charts as PNG pictures, drawn without any font of the system: letters are those of the X11
//! fonts that `embedded-graphics` brings along.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size as Extent};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_7X13;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, RgbColor};
use embedded_graphics::text::{Alignment, Text};
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Rect,
    Stroke, Transform,
};

use super::frame::{CHARACTER_WIDTH, Frame, Size, TEXT_HEIGHT, cut};
use super::{COLORS, Chart};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// There are no pictures of such a size.
    #[error("a picture of {0} x {1} pixels cannot be made")]
    Size(u32, u32),
    /// Packing failed.
    #[error("cannot pack the picture: {0}")]
    Encode(String),
}

const TEXT: (u8, u8, u8) = (51, 51, 51);
const GRID: (u8, u8, u8) = (221, 221, 221);

/// A picture that is being drawn.
struct Picture(Pixmap);

impl OriginDimensions for Picture {
    fn size(&self) -> Extent {
        Extent::new(self.0.width(), self.0.height())
    }
}

/// What draws the letters.
impl DrawTarget for Picture {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        let (width, height) = (self.0.width(), self.0.height());
        for Pixel(Point { x, y }, color) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { continue };
            if x >= width || y >= height {
                continue;
            }
            let color = PremultipliedColorU8::from_rgba(color.r(), color.g(), color.b(), 255);
            let pixel = self.0.pixels_mut().get_mut((y * width + x) as usize);
            if let (Some(pixel), Some(color)) = (pixel, color) {
                *pixel = color;
            }
        }
        Ok(())
    }
}

fn paint((red, green, blue): (u8, u8, u8)) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 255);
    paint.anti_alias = true;
    paint
}

impl Picture {
    fn text(&mut self, x: f64, y: f64, alignment: Alignment, text: &str) {
        // What the font lacks is a question mark, as the font has it.
        let text: String = text.chars().map(|c| if c == '…' { '~' } else { c }).collect();
        let (red, green, blue) = TEXT;
        let style = MonoTextStyle::new(&FONT_7X13, Rgb888::new(red, green, blue));
        let at = Point::new(x.round() as i32, y.round() as i32);
        // Drawing into memory cannot fail.
        let _ = Text::with_alignment(&text, at, style, alignment).draw(self);
    }

    fn stroke(&mut self, points: &[(f64, f64)], color: (u8, u8, u8), width: f32) {
        let mut path = PathBuilder::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let (x, y) = (*x as f32, *y as f32);
            if at == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(path) = path.finish() {
            let paint = paint(color);
            self.0.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
        }
    }

    /// A line of the grid or an axis: on whole pixels, so that it is sharp.
    fn straight(&mut self, from: (f64, f64), to: (f64, f64), color: (u8, u8, u8)) {
        let sharp = |(x, y): (f64, f64)| (x.floor() + 0.5, y.floor() + 0.5);
        self.stroke(&[sharp(from), sharp(to)], color, 1.0);
    }

    fn dot(&mut self, (x, y): (f64, f64), color: (u8, u8, u8)) {
        if let Some(path) = PathBuilder::from_circle(x as f32, y as f32, 1.8) {
            let paint = paint(color);
            self.0.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
        }
    }
}

pub(super) fn picture(chart: &Chart, size: Size) -> Result<Vec<u8>, PngError> {
    let Size { width, height } = size;
    let pixmap = Pixmap::new(width, height).ok_or(PngError::Size(width, height))?;
    let mut out = Picture(pixmap);
    out.0.fill(Color::WHITE);
    let frame = Frame::new(chart, size);
    let characters = (f64::from(width) / CHARACTER_WIDTH) as usize;
    out.text(f64::from(width) / 2.0, 20.0, Alignment::Center, &cut(&chart.title, characters));
    axes(&mut out, &frame);
    for number in 0..chart.lines.len() {
        let color = COLORS[number % COLORS.len()];
        for piece in frame.pieces(number) {
            match piece[..] {
                [point] => out.dot(point, color),
                _ => out.stroke(&piece, color, 1.5),
            }
        }
    }
    if frame.values.is_none() {
        let (x, y) = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        out.text(x, y, Alignment::Center, "nothing to draw");
    }
    below(&mut out, chart, &frame);
    out.0.encode_png().map_err(|error| PngError::Encode(error.to_string()))
}

fn axes(out: &mut Picture, frame: &Frame<'_>) {
    let Frame { left, top, right, bottom, .. } = *frame;
    for tick in &frame.value_ticks {
        let y = frame.y(tick.at);
        out.straight((left, y), (right, y), GRID);
        out.text(left - 6.0, y + 4.0, Alignment::Right, &tick.label);
    }
    for tick in &frame.time_ticks {
        let x = frame.x(tick.at);
        out.straight((x, top), (x, bottom), GRID);
        out.text(x, bottom + TEXT_HEIGHT, Alignment::Center, &tick.label);
    }
    out.straight((left, top), (left, bottom), TEXT);
    out.straight((left, bottom), (right, bottom), TEXT);
}

fn below(out: &mut Picture, chart: &Chart, frame: &Frame<'_>) {
    let mut y = frame.bottom + 2.0 * TEXT_HEIGHT;
    out.text((frame.left + frame.right) / 2.0, y, Alignment::Center, &frame.span);
    for (number, name) in &frame.legend {
        y += TEXT_HEIGHT;
        if let Some(number) = number
            && let Some(swatch) = Rect::from_xywh(10.0, y as f32 - 9.0, 14.0, 10.0)
        {
            let paint = paint(COLORS[number % COLORS.len()]);
            out.0.fill_rect(swatch, &paint, Transform::identity(), None);
        }
        out.text(30.0, y, Alignment::Left, name);
    }
    for note in &chart.notes {
        y += TEXT_HEIGHT;
        out.text(10.0, y, Alignment::Left, note);
    }
}
