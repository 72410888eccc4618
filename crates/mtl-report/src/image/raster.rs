//! Pixels, and outlines filled in them: a pixel gets as much of a colour as an outline covers of it.

/// A place: to the right, and down.
pub(super) type Point = (f32, f32);

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// Lines of a pixel along which coverage is measured, exactly; of letters they are what is seen of
/// steps in slanted edges.
const LINES: usize = 8;

/// An image, white at first.
pub(super) struct Raster {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// A side of an outline, from its upper end to its lower one.
struct Edge {
    top: Point,
    bottom: Point,
    /// 1 if the outline goes down here, or −1.
    winding: i32,
}

impl Edge {
    /// Where it crosses a line.
    fn at(&self, y: f32) -> f32 {
        let share = (y - self.top.1) / (self.bottom.1 - self.top.1);
        self.top.0 + share * (self.bottom.0 - self.top.0)
    }
}

impl Raster {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![255; 3 * width * height] }
    }

    /// Width and height.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Red, green and blue of each pixel, row by row.
    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Fills what closed outlines wind around: once where several overlap that turn the same way, and
    /// not at all where one turns back within another.
    pub(super) fn fill(&mut self, outlines: &[Vec<Point>], colour: Colour, opacity: f32) {
        let edges: Vec<Edge> = outlines.iter().flat_map(|outline| edges(outline)).collect();
        let (mut top, mut bottom) = (f32::INFINITY, f32::NEG_INFINITY);
        for edge in &edges {
            (top, bottom) = (top.min(edge.top.1), bottom.max(edge.bottom.1));
        }
        // Of no edges there are no rows: a cast takes an infinite number to the last there is.
        let rows = top.max(0.0) as usize..(bottom.max(0.0).ceil() as usize).min(self.height);
        let mut covered = vec![0.0; self.width];
        let mut crossings = Vec::new();
        for row in rows {
            covered.fill(0.0);
            for line in 0..LINES {
                let y = row as f32 + (line as f32 + 0.5) / LINES as f32;
                crossings.clear();
                let crossed = edges.iter().filter(|edge| edge.top.1 <= y && y < edge.bottom.1);
                crossings.extend(crossed.map(|edge| (edge.at(y), edge.winding)));
                crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
                cover(&mut covered, &crossings);
            }
            let pixels = self.pixels[3 * row * self.width..].chunks_exact_mut(3);
            for (pixel, lines) in pixels.zip(&covered).filter(|(_, lines)| **lines > 0.0) {
                let share = opacity * (lines / LINES as f32).min(1.0);
                for (part, of) in pixel.iter_mut().zip(colour) {
                    let before = f32::from(*part);
                    *part = (before + share * (f32::from(of) - before)).round() as u8;
                }
            }
        }
    }
}

/// The sides of an outline but for level ones, which no line crosses.
fn edges(outline: &[Point]) -> impl Iterator<Item = Edge> {
    let next = outline.iter().cycle().skip(1);
    outline.iter().zip(next).filter_map(|(&from, &to)| {
        let (down, up) = (from.1 < to.1, from.1 > to.1);
        match (down, up) {
            (true, _) => Some(Edge { top: from, bottom: to, winding: 1 }),
            (_, true) => Some(Edge { top: to, bottom: from, winding: -1 }),
            _ => None,
        }
    })
}

/// Adds what lies inside along one line to the pixels that it goes through.
fn cover(covered: &mut [f32], crossings: &[(f32, i32)]) {
    let (mut winding, mut start) = (0, 0.0);
    for &(x, turn) in crossings {
        if winding == 0 {
            start = x;
        }
        winding += turn;
        if winding == 0 {
            span(covered, start.max(0.0), x.min(covered.len() as f32));
        }
    }
}

/// Adds a stretch of a line, which begins and ends within pixels.
fn span(covered: &mut [f32], from: f32, to: f32) {
    if from >= to {
        return;
    }
    let (first, last) = (from as usize, to as usize);
    if first == last {
        covered[first] += to - from;
        return;
    }
    covered[first] += (first + 1) as f32 - from;
    covered[first + 1..last].iter_mut().for_each(|pixel| *pixel += 1.0);
    if let Some(pixel) = covered.get_mut(last) {
        *pixel += to - last as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The red of each pixel of an image of 4 × 3 with black outlines.
    fn filled(outlines: &[Vec<Point>], opacity: f32) -> Vec<Vec<u8>> {
        let mut raster = Raster::new(4, 3);
        raster.fill(outlines, [0; 3], opacity);
        let red: Vec<u8> = raster.pixels().chunks_exact(3).map(|pixel| pixel[0]).collect();
        red.chunks_exact(4).map(<[u8]>::to_vec).collect()
    }

    fn square(left: f32, top: f32, right: f32, bottom: f32) -> Vec<Point> {
        vec![(left, top), (right, top), (right, bottom), (left, bottom)]
    }

    #[test]
    fn a_pixel_gets_the_share_that_is_covered() {
        let found = filled(&[square(0.5, 1.0, 2.25, 1.5)], 1.0);
        assert_eq!(found, [[255, 255, 255, 255], [191, 128, 223, 255], [255, 255, 255, 255]]);
        assert_eq!(filled(&[square(0.0, 0.0, 1.0, 1.0)], 0.5)[0][0], 128);
        // A triangle has half of the square.
        assert_eq!(filled(&[vec![(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]], 1.0)[0][0], 128);
    }

    #[test]
    fn what_overlaps_is_filled_once_and_a_hole_not_at_all() {
        let (all, inner) = (square(0.0, 0.0, 4.0, 3.0), square(1.0, 1.0, 2.0, 2.0));
        assert_eq!(filled(&[all.clone(), inner.clone()], 0.5), [[128; 4]; 3]);
        let hole: Vec<Point> = inner.into_iter().rev().collect();
        assert_eq!(filled(&[all, hole], 1.0), [[0; 4], [0, 255, 0, 0], [0; 4]]);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let white = [[255; 4]; 3];
        assert_eq!(
            filled(&[square(-9.0, -9.0, -1.0, 9.0), square(9.0, 0.0, 12.0, 3.0)], 1.0),
            white
        );
        assert_eq!(filled(&[square(0.0, -9.0, 4.0, -1.0), square(0.0, 5.0, 4.0, 9.0)], 1.0), white);
        assert_eq!(filled(&[], 1.0), white);
        assert_eq!(filled(&[square(-9.0, -9.0, 99.0, 99.0)], 1.0), [[0; 4]; 3]);
    }
}
