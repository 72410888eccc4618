//! The best point that an active set has met.
//!
//! In floating point a fall of the objective may be too small to see long before the gradient is, so
//! it is the gradient that decides: the best point by it is kept, and a method that brings nothing
//! better for 2n rounds ends there.

/// The point from which the steepest way down was least steep, among those met so far.
#[derive(Debug, Clone)]
pub(crate) struct BestPoint {
    point: Vec<f64>,
    slope: f64,
    /// Rounds that brought nothing better.
    n_stalled: usize,
}

impl BestPoint {
    /// Of up to `capacity` variables.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { point: vec![0.0; capacity], slope: f64::INFINITY, n_stalled: 0 }
    }

    /// Forgets the points of an earlier problem.
    pub(crate) fn clear(&mut self) {
        (self.slope, self.n_stalled) = (f64::INFINITY, 0);
    }

    /// Takes the next point, with the slope of the steepest way down from it. Returns whether it is
    /// time to end; `x` is then the best point.
    pub(crate) fn ends(&mut self, slope: f64, x: &mut [f64]) -> bool {
        let n = x.len();
        if slope < self.slope {
            (self.slope, self.n_stalled) = (slope, 0);
            self.point[..n].copy_from_slice(x);
            return false;
        }
        self.n_stalled += 1;
        let ends = self.n_stalled > 2 * n;
        if ends {
            x.copy_from_slice(&self.point[..n]);
        }
        ends
    }
}
