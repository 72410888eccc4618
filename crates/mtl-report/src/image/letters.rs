//! Letters as outlines. The font is in the program: an image shows the same on every machine.

use ttf_parser::{Face, GlyphId, OutlineBuilder};

use super::raster::Point;

/// DejaVu Sans Condensed without the scripts of which few names are; `data/LETTERS-LICENCE.md`.
const FONT: &[u8] = include_bytes!("../../data/letters.ttf");

/// Straight lines in the place of a curve: a letter is some ten of them around.
const PIECES: usize = 6;

pub(super) struct Letters {
    face: Face<'static>,
    /// Units of the font for a size of 1.
    em: f32,
}

impl Letters {
    pub(super) fn new() -> Self {
        let face = Face::parse(FONT, 0).expect("the font of the program is one");
        Self { em: f32::from(face.units_per_em()), face }
    }

    /// How wide a text is.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|letter| self.advance(self.glyph(letter), size)).sum()
    }

    /// How high the letters without arms are.
    pub(super) fn x_height(&self, size: f32) -> f32 {
        let x = self.face.glyph_bounding_box(self.glyph('x'));
        x.map_or(0.5, |x| f32::from(x.y_max) / self.em) * size
    }

    /// The outlines of a text that begins at a place on its line.
    pub(super) fn outlines(&self, text: &str, size: f32, (x, y): Point) -> Vec<Vec<Point>> {
        let (scale, mut right, mut outlines) = (size / self.em, x, Vec::new());
        for letter in text.chars() {
            let glyph = self.glyph(letter);
            let mut pen = Pen { origin: (right, y), scale, at: (0.0, 0.0), outlines };
            // A blank has none.
            let _ = self.face.outline_glyph(glyph, &mut pen);
            outlines = pen.outlines;
            right += self.advance(glyph, size);
        }
        outlines
    }

    /// A letter's glyph, or the box of letters that there are none of.
    fn glyph(&self, letter: char) -> GlyphId {
        self.face.glyph_index(letter).unwrap_or(GlyphId(0))
    }

    fn advance(&self, glyph: GlyphId, size: f32) -> f32 {
        f32::from(self.face.glyph_hor_advance(glyph).unwrap_or(0)) * size / self.em
    }
}

/// Draws glyphs, whose places count upwards, as outlines.
struct Pen {
    origin: Point,
    scale: f32,
    /// Where it is, in the font's units.
    at: Point,
    outlines: Vec<Vec<Point>>,
}

impl Pen {
    fn go(&mut self, x: f32, y: f32) {
        self.at = (x, y);
        let point = (self.origin.0 + self.scale * x, self.origin.1 - self.scale * y);
        if let Some(outline) = self.outlines.last_mut() {
            outline.push(point);
        }
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.outlines.push(Vec::new());
        self.go(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.go(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let from = self.at;
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            self.go(a * from.0 + b * x1 + c * x, a * from.1 + b * y1 + c * y);
        }
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let from = self.at;
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let s = 1.0 - t;
            let (a, b, c, d) = (s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t);
            let of = |from, one, two, to| a * from + b * one + c * two + d * to;
            self.go(of(from.0, x1, x2, x), of(from.1, y1, y2, y));
        }
    }

    fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_names_and_of_our_own_titles_are_there() {
        let letters = Letters::new();
        let text = "AZaz09 _-.,:;|/()[]{}<>&\"'`~^%$#@!?*+=\\ äßéłŻΔαμЖжю ± × – — … · ′ ″ − ≤ ≥ √ ∏ ∑ ∂ ∞ →\u{202f}";
        for letter in text.chars() {
            assert_ne!(letters.glyph(letter), GlyphId(0), "{letter:?}");
        }
        assert_eq!(letters.glyph('点'), GlyphId(0), "a box, not nothing");
        assert!(!letters.outlines("点", 10.0, (0.0, 0.0)).is_empty());
    }

    #[test]
    fn a_letter_stands_on_its_line() {
        let letters = Letters::new();
        let outlines = letters.outlines("Hx", 10.0, (3.0, 20.0));
        let points: Vec<Point> = outlines.into_iter().flatten().collect();
        let span = |of: fn(&Point) -> f32| {
            let values = points.iter().map(of);
            values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            })
        };
        let ((left, right), (top, bottom)) = (span(|p| p.0), span(|p| p.1));
        assert!((3.0..4.5).contains(&left) && right <= 3.0 + letters.width("Hx", 10.0));
        assert!((12.0..13.5).contains(&top) && (bottom - 20.0).abs() < 0.1, "{top} {bottom}");
        assert!((5.0..6.0).contains(&letters.x_height(10.0)));
    }
}
