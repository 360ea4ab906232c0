//! A sheet of pixels: lines, areas and letters, antialiased, and the PNG that they make.
//!
//! Coordinates are pixels from the upper left corner. The letters are those of DejaVu Sans,
//! which is part of the binary, so that equal calls make equal bytes on every machine. A
//! character that it does not have is a box.

use std::sync::LazyLock;

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke as Pen, StrokeDash, Transform,
};
use ttf_parser::{Face, OutlineBuilder};

/// Characters of one text that are drawn; none has more.
const CHARACTERS: usize = 200;

/// Red, green, blue and opacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink(pub u8, pub u8, pub u8, pub u8);

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub ink: Ink,
    pub width: f32,
    /// So many pixels of line, so many of none.
    pub dash: Option<(f32, f32)>,
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

pub(super) struct Canvas {
    pixmap: Pixmap,
}

static FACE: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(dejavu::sans::regular(), 0).ok());

impl Canvas {
    /// A white sheet; `None` where a side is 0 or there is no memory for it.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let mut pixmap = Pixmap::new(width, height)?;
        pixmap.fill(Color::WHITE);
        Some(Self { pixmap })
    }

    pub fn rectangle(&mut self, left: f32, top: f32, right: f32, bottom: f32, ink: Ink) {
        if let Some(rect) = Rect::from_ltrb(left, top, right, bottom) {
            self.pixmap.fill_rect(rect, &paint(ink), Transform::identity(), None);
        }
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f32, f32)], stroke: Stroke) {
        let mut path = PathBuilder::new();
        follow(&mut path, points.iter());
        let pen = Pen {
            width: stroke.width,
            line_cap: if stroke.dash.is_some() { LineCap::Butt } else { LineCap::Round },
            line_join: LineJoin::Round,
            dash: stroke.dash.and_then(|(on, off)| StrokeDash::new(vec![on, off], 0.0)),
            ..Pen::default()
        };
        if let Some(path) = path.finish() {
            self.pixmap.stroke_path(&path, &paint(stroke.ink), &pen, Transform::identity(), None);
        }
    }

    /// The area between an upper and a lower line.
    pub fn area(&mut self, upper: &[(f32, f32)], lower: &[(f32, f32)], ink: Ink) {
        let mut path = PathBuilder::new();
        follow(&mut path, upper.iter().chain(lower.iter().rev()));
        path.close();
        if let Some(path) = path.finish() {
            self.pixmap.fill_path(&path, &paint(ink), FillRule::Winding, Transform::identity(), None);
        }
    }

    pub fn disc(&mut self, x: f32, y: f32, radius: f32, ink: Ink) {
        let mut path = PathBuilder::new();
        path.push_circle(x, y, radius);
        if let Some(path) = path.finish() {
            self.pixmap.fill_path(&path, &paint(ink), FillRule::Winding, Transform::identity(), None);
        }
    }

    /// A text whose baseline is at `y`.
    pub fn text(&mut self, x: f32, y: f32, size: f32, anchor: Anchor, ink: Ink, text: &str) {
        let Some(face) = FACE.as_ref() else { return };
        let mut pen = Letters { path: PathBuilder::new(), x, y, scale: size / f32::from(face.units_per_em()) };
        pen.x -= match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => text_width(size, text) / 2.0,
            Anchor::End => text_width(size, text),
        };
        for letter in text.chars().take(CHARACTERS) {
            let glyph = face.glyph_index(letter).unwrap_or_default();
            face.outline_glyph(glyph, &mut pen);
            pen.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or_default()) * pen.scale;
        }
        if let Some(path) = pen.path.finish() {
            self.pixmap.fill_path(&path, &paint(ink), FillRule::Winding, Transform::identity(), None);
        }
    }

    /// The sheet as a PNG of at most so many bytes. What is larger is tried again with
    /// fewer shades, which the eye hardly sees and the compression does.
    pub fn png(&self, most: usize) -> Option<Vec<u8>> {
        [0xff, 0xf0, 0xe0].into_iter().find_map(|mask| self.encoded(mask).filter(|png| png.len() <= most))
    }

    /// A PNG of the bits of each channel that the mask leaves; white stays white.
    fn encoded(&self, mask: u8) -> Option<Vec<u8>> {
        let shade = |channel: u8| if channel | mask == 0xff && channel & mask == mask { 0xff } else { channel & mask };
        let rgb: Vec<u8> =
            self.pixmap.pixels().iter().flat_map(|p| [shade(p.red()), shade(p.green()), shade(p.blue())]).collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.pixmap.width(), self.pixmap.height());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&rgb).ok()?;
        writer.finish().ok()?;
        Some(bytes)
    }
}

/// How wide a text is.
pub(super) fn text_width(size: f32, text: &str) -> f32 {
    let Some(face) = FACE.as_ref() else { return 0.0 };
    let advance = |letter| {
        let glyph = face.glyph_index(letter).unwrap_or_default();
        f32::from(face.glyph_hor_advance(glyph).unwrap_or_default())
    };
    text.chars().take(CHARACTERS).map(advance).sum::<f32>() * size / f32::from(face.units_per_em())
}

/// A text that is no wider than so much: its end goes first.
pub(super) fn fitted(size: f32, text: &str, width: f32) -> String {
    if text.chars().nth(CHARACTERS).is_none() && text_width(size, text) <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(CHARACTERS - 1).collect();
    while !kept.is_empty() && text_width(size, &kept) + text_width(size, "…") > width {
        kept.pop();
    }
    kept + "…"
}

fn paint(Ink(red, green, blue, opacity): Ink) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, opacity);
    paint.anti_alias = true;
    paint
}

fn follow<'p>(path: &mut PathBuilder, mut points: impl Iterator<Item = &'p (f32, f32)>) {
    if let Some((x, y)) = points.next() {
        path.move_to(*x, *y);
    }
    points.for_each(|(x, y)| path.line_to(*x, *y));
}

/// Takes outlines in units of the font, y upwards.
struct Letters {
    path: PathBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Letters {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
