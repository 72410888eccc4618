//! Where the names of points stand, so that they cover neither one another nor the points.

/// A place in pixels, counted from above and from the left.
pub(super) type Place = (i32, i32);

/// A part of a figure, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Frame {
    /// The pixels that both have.
    fn overlap(self, other: Self) -> i32 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0) * height.max(0)
    }

    /// The pixels that lie outside of another.
    fn outside(self, within: Self) -> i32 {
        (self.right - self.left) * (self.bottom - self.top) - self.overlap(within)
    }
}

/// The height of a line of text.
const LINE: i32 = 13;
/// Half the width of a point's mark.
const MARK: i32 = 6;

/// The upper left corner of each named point's text: the first of eight places around it that is
/// free, or else the one that covers least. `points` are all, named ones first.
pub(super) fn places(points: &[Place], widths: &[i32], within: Frame) -> Vec<Place> {
    let mark = |&(x, y): &Place| Frame {
        left: x - MARK,
        top: y - MARK,
        right: x + MARK,
        bottom: y + MARK,
    };
    let mut taken: Vec<Frame> = points.iter().map(mark).collect();
    let mut places = Vec::with_capacity(widths.len());
    for (&point, &width) in points.iter().zip(widths) {
        let cost = |text: &Frame| {
            let covered: i32 = taken.iter().map(|other| text.overlap(*other)).sum();
            covered + 4 * text.outside(within)
        };
        // The first of the least: in the order of preference.
        let best = around(point, width).into_iter().min_by_key(cost);
        if let Some(text) = best {
            places.push((text.left, text.top));
            taken.push(text);
        }
    }
    places
}

/// The places around a point for a text of that width, the best first.
fn around((x, y): Place, width: i32) -> [Frame; 8] {
    let (right, left, middle) = (x + MARK + 2, x - MARK - 2 - width, x - width / 2);
    let (level, above, below) = (y - LINE / 2, y - MARK - 1 - LINE, y + MARK + 1);
    let corners = [
        (right, level),
        (left, level),
        (middle, above),
        (middle, below),
        (right, above),
        (left, above),
        (right, below),
        (left, below),
    ];
    corners.map(|(left, top)| Frame { left, top, right: left + width, bottom: top + LINE })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Frame = Frame { left: 0, top: 0, right: 600, bottom: 400 };

    #[test]
    fn names_of_neighbours_cover_nothing() {
        let points = [(100, 100), (112, 101), (124, 99), (136, 102), (595, 200), (300, 395)];
        let widths = [50; 6];
        let texts: Vec<Frame> = places(&points, &widths, WITHIN)
            .into_iter()
            .map(|(left, top)| Frame { left, top, right: left + 50, bottom: top + LINE })
            .collect();
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(text.outside(WITHIN), 0, "{text:?}");
            for other in &texts[i + 1..] {
                assert_eq!(text.overlap(*other), 0, "{text:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_name_stands_to_the_right_where_it_can() {
        assert_eq!(places(&[(100, 100)], &[40], WITHIN), [(108, 94)]);
        assert_eq!(places(&[(590, 100)], &[40], WITHIN), [(542, 94)]);
    }
}
