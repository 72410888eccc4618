//! Lines and circles as outlines to be filled, all of which turn the same way: where two of them
//! overlap, the place is inside.

use super::raster::Point;

/// A line of a width from point to point: a rectangle for each stretch, a disc for each bend.
/// `scale` is that of the image.
pub(super) fn stroke(points: &[Point], width: f32, scale: f32) -> Vec<Vec<Point>> {
    let half = width / 2.0;
    let stretches = points.windows(2).filter_map(|ends| stretch(ends[0], ends[1], half));
    let bends = points.get(1..points.len().saturating_sub(1)).unwrap_or_default();
    stretches.chain(bends.iter().map(|&bend| circle(bend, half, scale))).collect()
}

/// What a straight line covers, if it has a length.
fn stretch(from: Point, to: Point, half: f32) -> Option<Vec<Point>> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    // To the left of where it goes.
    let (x, y) = (half * dy / length, -half * dx / length);
    let corners = [
        (from.0 + x, from.1 + y),
        (to.0 + x, to.1 + y),
        (to.0 - x, to.1 - y),
        (from.0 - x, from.1 - y),
    ];
    (length > 0.0).then(|| corners.to_vec())
}

/// A circle, with about as many corners as an image of that scale has pixels along it.
pub(super) fn circle(centre: Point, radius: f32, scale: f32) -> Vec<Point> {
    let corners = (std::f32::consts::TAU * radius * scale).clamp(8.0, 256.0) as usize;
    let corner = |i: usize| {
        let (sin, cos) = (std::f32::consts::TAU * i as f32 / corners as f32).sin_cos();
        (centre.0 + radius * cos, centre.1 + radius * sin)
    };
    (0..corners).map(corner).collect()
}

/// Outlines turned around a point, by degrees with the clock.
pub(super) fn turned(outlines: &[Vec<Point>], degrees: f32, around: Point) -> Vec<Vec<Point>> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let turn = |&(x, y): &Point| {
        let (dx, dy) = (x - around.0, y - around.1);
        (around.0 + cos * dx - sin * dy, around.1 + sin * dx + cos * dy)
    };
    outlines.iter().map(|outline| outline.iter().map(turn).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twice the area, with the sign of the direction.
    fn area(outline: &[Point]) -> f32 {
        let next = outline.iter().cycle().skip(1);
        outline.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum()
    }

    #[test]
    fn all_outlines_turn_the_same_way() {
        let points = [(0.0, 0.0), (5.0, 0.0), (5.0, 7.0), (1.0, 3.0), (1.0, 3.0), (0.0, 9.0)];
        let outlines = stroke(&points, 2.0, 4.0);
        assert_eq!(outlines.len(), 4 + 4, "a stretch of no length has none");
        assert!(outlines.iter().all(|outline| area(outline) > 0.0));
        assert!((area(&outlines[0]) - 2.0 * 10.0).abs() < 1e-4);
        let disc = area(&circle((3.0, 3.0), 2.0, 4.0)) / 2.0;
        assert!((disc / (4.0 * std::f32::consts::PI) - 1.0).abs() < 0.01, "{disc}");
        assert!(stroke(&[], 1.0, 1.0).is_empty() && stroke(&[(1.0, 1.0)], 1.0, 1.0).is_empty());
    }

    #[test]
    fn a_turn_is_with_the_clock() {
        let found = turned(&[vec![(3.0, 2.0)]], 270.0, (2.0, 2.0));
        let (x, y) = found[0][0];
        assert!((x - 2.0).abs() < 1e-5 && (y - 1.0).abs() < 1e-5, "{x} {y}");
    }
}
