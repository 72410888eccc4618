//! Least squares among curves that never fall and are nowhere steeper than a bound (Lipschitz isotonic
//! regression: Agarwal, Phillips and Sadri, 2010).
//!
//! Let Gᵢ(z) be the least error of the first i points with fᵢ = z. Then
//!
//! Gᵢ₊₁(z) = wᵢ₊₁·(z − yᵢ₊₁)² + min { Gᵢ(u) : z − cᵢ ≤ u ≤ z }, cᵢ = steepest·(xᵢ₊₁ − xᵢ).
//!
//! All are convex. The derivative of the second term is that of Gᵢ with its right half, from the least
//! point rᵢ on, moved by cᵢ; between rᵢ and rᵢ + cᵢ it is 0. It is kept as the breakpoints to the
//! left and to the right of rᵢ. Going back, fᵢ is rᵢ or the nearest that fᵢ₊₁ allows. The result is
//! exact: nothing is iterated until it fits.

/// A point: where it is, its weight, which is above 0, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) weight: f64,
    pub(crate) y: f64,
}

/// The curve's values at the points, whose x rise strictly.
pub(crate) fn rising(points: &[Point], steepest: f64) -> Vec<f64> {
    let mut least = Vec::with_capacity(points.len());
    let mut derivative = Derivative::default();
    for (i, point) in points.iter().enumerate() {
        if i > 0 {
            derivative.open(steepest * (point.x - points[i - 1].x));
        }
        derivative.add(point);
        least.push(derivative.root);
    }
    let mut values = least;
    for i in (1..points.len()).rev() {
        let room = steepest * (points[i].x - points[i - 1].x);
        values[i - 1] = values[i - 1].min(values[i]).max(values[i] - room);
    }
    values
}

/// Half the derivative of Gᵢ: it rises, is linear between breakpoints and 0 at its root.
///
/// Each point adds its weight to the slope of every piece, so a piece's slope is the weight since it
/// was opened.
#[derive(Debug, Default)]
struct Derivative {
    root: f64,
    /// The weight of all points.
    weight: f64,
    /// The weight when the piece was opened in which the root lies; where it is a breakpoint, of the
    /// pieces to its left and right.
    around: (f64, f64),
    /// Breakpoints to the left of the root, the nearest last: where, and the weight when the piece to
    /// the left of it was opened.
    left: Vec<(f64, f64)>,
    /// Those to the right likewise, without `moved`.
    right: Vec<(f64, f64)>,
    moved: f64,
    /// The length of the piece that was opened last and has no point yet.
    opened: f64,
}

impl Derivative {
    /// Opens a piece of 0, so long, at the root.
    fn open(&mut self, length: f64) {
        self.left.push((self.root, self.around.0));
        self.moved += length;
        self.right.push((self.root + length - self.moved, self.around.1));
        self.around = (self.weight, self.weight);
        self.opened = length;
    }

    /// Adds w·(z − y), and finds the root.
    fn add(&mut self, point: &Point) {
        let (weight, y) = (point.weight, point.y);
        self.weight += weight;
        if self.left.is_empty() && self.right.is_empty() {
            self.root = y;
            return;
        }
        let end = self.root + self.opened;
        if y > end {
            self.walk_right(end, weight * (y - end));
        } else if y < self.root {
            self.walk_left(self.root, weight * (self.root - y));
        } else {
            self.root = y;
        }
    }

    /// From a breakpoint at which the derivative is so far below 0.
    fn walk_right(&mut self, mut at: f64, mut below: f64) {
        let mut piece = self.around.1;
        while let Some((_, next)) = self.right.pop() {
            self.left.push((at, piece));
            piece = next;
            let slope = self.weight - piece;
            let end = self.right.last().map_or(f64::INFINITY, |&(z, _)| z + self.moved);
            let wanted = at + below / slope;
            if wanted <= end {
                at = wanted;
                break;
            }
            below -= slope * (end - at);
            at = end;
        }
        (self.root, self.around) = (at, (piece, piece));
    }

    /// From a breakpoint at which the derivative is so far above 0.
    fn walk_left(&mut self, mut at: f64, mut above: f64) {
        let mut piece = self.around.0;
        while let Some((_, next)) = self.left.pop() {
            self.right.push((at - self.moved, piece));
            piece = next;
            let slope = self.weight - piece;
            let end = self.left.last().map_or(f64::NEG_INFINITY, |&(z, _)| z);
            let wanted = at - above / slope;
            if wanted >= end {
                at = wanted;
                break;
            }
            above -= slope * (at - end);
            at = end;
        }
        (self.root, self.around) = (at, (piece, piece));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(values: &[(f64, f64, f64)]) -> Vec<Point> {
        values.iter().map(|&(x, weight, y)| Point { x, weight, y }).collect()
    }

    #[test]
    fn a_step_becomes_a_ramp() {
        let step = points(&[(0.0, 1.0, 0.0), (0.1, 1.0, 0.0), (0.2, 1.0, 1.0), (0.3, 1.0, 1.0)]);
        let found = rising(&step, 2.0);
        // As far above at the left as below at the right.
        for (value, expected) in found.iter().zip([0.2, 0.4, 0.6, 0.8]) {
            assert!((value - expected).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(rising(&step, 1e9), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(rising(&points(&[(0.0, 1.0, 1.0), (0.5, 3.0, 0.0)]), 5.0), [0.25, 0.25]);
        assert_eq!(rising(&step[..1], 1.0), [0.0]);
    }

    proptest! {
        /// The best of a convex set: no curve of it lies nearer in the direction of the residuals,
        /// Σ w·(y − f)·(g − f) ≤ 0 for every allowed g. The g that reach furthest have each gap
        /// either flat or steep.
        #[test]
        fn no_allowed_curve_is_better(
            values in prop::collection::vec((0.01..1.0f64, 1..4u8, 0..3u8), 1..10),
            steepest in 0.1..5.0f64,
        ) {
            let mut x = 0.0;
            let points: Vec<Point> = values
                .iter()
                .map(|&(gap, weight, y)| {
                    x += gap;
                    Point { x, weight: weight.into(), y: f64::from(y) / 2.0 }
                })
                .collect();
            let found = rising(&points, steepest);
            let residual = |i: usize| points[i].weight * (points[i].y - found[i]);
            // Any constant may be added: residuals cancel.
            let total: f64 = (0..points.len()).map(residual).sum();
            prop_assert!(total.abs() < 1e-9, "{total}");
            for i in 1..points.len() {
                let (rise, room) =
                    (found[i] - found[i - 1], steepest * (points[i].x - points[i - 1].x));
                prop_assert!((-1e-12..=room + 1e-9).contains(&rise), "{rise} {room}");
                // All after gap i raised or lowered together, if the gap allows it.
                let after: f64 = (i..points.len()).map(residual).sum();
                prop_assert!(rise > room - 1e-9 || after < 1e-9, "raised: {after}");
                prop_assert!(rise < 1e-9 || after > -1e-9, "lowered: {after}");
            }
        }

        #[test]
        fn many_points_stay_within_their_values(
            labels in prop::collection::vec(any::<bool>(), 100..400),
        ) {
            let n = labels.len() as f64;
            let point = |(i, &y): (usize, &bool)| Point {
                x: i as f64 / n,
                weight: 1.0,
                y: f64::from(u8::from(y)),
            };
            let points: Vec<Point> = labels.iter().enumerate().map(point).collect();
            let found = rising(&points, 3.0);
            prop_assert!(found.iter().all(|f| (-1e-12..=1.0 + 1e-12).contains(f)));
            let residual: f64 = points.iter().zip(&found).map(|(p, f)| p.y - f).sum();
            prop_assert!(residual.abs() < 1e-8, "{residual}");
        }
    }
}
