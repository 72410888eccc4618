//! min ½ xᵀA x − rᵀx subject to x ≥ 0, for a positive semi-definite A: an exact active set.
//!
//! Source: Lawson and Hanson, *Solving Least Squares Problems* (1974), chapter 23 (NNLS), on the
//! normal equations. Every round lowers the objective and ends at the minimiser of its support, so no
//! support returns and the method is finite. In floating point it ends when nothing descends or with
//! the [`BestPoint`].

use crate::best_point::BestPoint;
use crate::linear_algebra::{cholesky, cholesky_solve, multiply};

/// The solver's scratch, for up to `capacity` variables.
#[derive(Debug, Clone)]
pub(crate) struct NonNegativeQp {
    /// A variable may not enter where less than this share of its own curvature is left.
    independence: f64,
    refused: Vec<bool>,
    support: Vec<usize>,
    factor: Vec<f64>,
    scale: Vec<f64>,
    trial: Vec<f64>,
    correction: Vec<f64>,
    gradient: Vec<f64>,
    best: BestPoint,
}

impl NonNegativeQp {
    /// `independence` must exceed the rounding errors of A (1e-14): a variable that depends on the
    /// support but for those would get a value made of nothing else.
    pub(crate) fn new(capacity: usize, independence: f64) -> Self {
        Self {
            independence,
            refused: vec![false; capacity],
            support: Vec::with_capacity(capacity),
            factor: vec![0.0; capacity * capacity],
            scale: vec![0.0; capacity],
            trial: vec![0.0; capacity],
            correction: vec![0.0; capacity],
            gradient: vec![0.0; capacity],
            best: BestPoint::new(capacity),
        }
    }

    /// Writes the minimiser into `x`. Returns the largest violation of the optimality conditions,
    /// `max(−q_i, |q_i| where x_i > 0)` with q = A x − r, for the caller to judge by its own scale.
    pub(crate) fn minimise(&mut self, a: &[f64], rhs: &[f64], x: &mut [f64]) -> f64 {
        let n = rhs.len();
        x.fill(0.0);
        self.support.clear();
        self.refused[..n].fill(false);
        self.best.clear();
        while let Some((entering, slope)) = self.entering(a, rhs, x) {
            if self.best.ends(slope, x) {
                break;
            }
            self.enter(entering, a, rhs, x);
        }
        self.residual(a, rhs, x)
    }

    /// Lets a variable in and moves on, or refuses it until another one has got in.
    fn enter(&mut self, entering: usize, a: &[f64], rhs: &[f64], x: &mut [f64]) {
        self.support.push(entering);
        if self.is_independent(a, rhs) {
            self.descend(a, rhs, x);
        } else {
            self.support.pop();
        }
        if self.support.contains(&entering) {
            self.refused[..rhs.len()].fill(false);
        } else {
            self.refused[entering] = true;
        }
    }

    /// The variable at 0 with the steepest descent, and how steep in its own scale, if any descends.
    fn entering(&mut self, a: &[f64], rhs: &[f64], x: &[f64]) -> Option<(usize, f64)> {
        let n = rhs.len();
        multiply(a, x, &mut self.gradient[..n]);
        let mut steepest = None;
        let mut slope = 0.0;
        for j in (0..n).filter(|j| !self.support.contains(j) && !self.refused[*j]) {
            let size: f64 = (0..n).map(|k| (a[j * n + k] * x[k]).abs()).sum::<f64>() + rhs[j].abs();
            let noise = 4.0 * n as f64 * f64::EPSILON * size;
            let excess = rhs[j] - self.gradient[j];
            let scaled = excess / a[j * n + j].sqrt();
            if excess > noise && scaled > slope {
                slope = scaled;
                steepest = Some(j);
            }
        }
        steepest.map(|j| (j, slope))
    }

    /// Whether the last variable of the support has curvature of its own.
    fn is_independent(&mut self, a: &[f64], rhs: &[f64]) -> bool {
        let m = self.support.len();
        self.solve_support(a, rhs);
        self.factor[m * m - 1].powi(2) > self.independence * self.scale[m - 1]
    }

    /// Moves to the minimiser over the support, dropping what reaches 0 on the way.
    fn descend(&mut self, a: &[f64], rhs: &[f64], x: &mut [f64]) {
        while !self.support.is_empty() {
            self.solve_support(a, rhs);
            if walk(&self.support, &self.trial, x) {
                return;
            }
            self.support.retain(|&i| x[i] > 0.0);
        }
    }

    /// The unconstrained minimiser over the support, into `trial`.
    fn solve_support(&mut self, a: &[f64], rhs: &[f64]) {
        let (n, m) = (rhs.len(), self.support.len());
        for (k, &i) in self.support.iter().enumerate() {
            for (l, &j) in self.support.iter().enumerate() {
                self.factor[k * m + l] = a[i * n + j];
            }
            self.scale[k] = a[i * n + i];
            self.trial[k] = rhs[i];
        }
        cholesky(&mut self.factor[..m * m], m, &self.scale);
        cholesky_solve(&self.factor, m, &mut self.trial[..m]);
        // Where a pivot was raised the solution is of a slightly different matrix; each refinement
        // wins back the digits that the data hold.
        for _ in 0..2 {
            for (k, &i) in self.support.iter().enumerate() {
                let reached = self.support.iter().zip(&self.trial).map(|(&j, x)| a[i * n + j] * x);
                self.correction[k] = rhs[i] - reached.sum::<f64>();
            }
            cholesky_solve(&self.factor, m, &mut self.correction[..m]);
            self.trial.iter_mut().zip(&self.correction[..m]).for_each(|(x, dx)| *x += dx);
        }
    }

    fn residual(&mut self, a: &[f64], rhs: &[f64], x: &[f64]) -> f64 {
        let n = rhs.len();
        multiply(a, x, &mut self.gradient[..n]);
        (0..n).fold(0.0, |worst: f64, i| {
            let slope = self.gradient[i] - rhs[i];
            let violation = if x[i] > 0.0 { slope.abs() } else { -slope };
            // `max` would drop a NaN, which must not pass for a solution.
            if violation.is_nan() { f64::INFINITY } else { worst.max(violation) }
        })
    }
}

/// Moves `x` on the support towards `trial` (one value a support entry) until the first value reaches
/// 0, and sets that to 0. Returns whether `trial` was reached.
pub(crate) fn walk(support: &[usize], trial: &[f64], x: &mut [f64]) -> bool {
    let moves = || support.iter().copied().zip(trial.iter().copied());
    let reach = |from: f64, to: f64| from / (from - to).max(f64::MIN_POSITIVE);
    let blocking = moves().filter(|(_, to)| *to <= 0.0);
    let length = blocking.map(|(i, to)| reach(x[i], to)).fold(f64::INFINITY, f64::min);
    if length == f64::INFINITY {
        moves().for_each(|(i, to)| x[i] = to);
        return true;
    }
    for (i, to) in moves() {
        // The slack drops together what rounding alone tells apart.
        let blocks = to <= 0.0 && reach(x[i], to) <= length * (1.0 + 1e-14);
        x[i] = if blocks { 0.0 } else { (x[i] + length * (to - x[i])).max(0.0) };
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::linear_algebra::dot;

    #[test]
    fn hand_computed_corner() {
        // min ½(x² + y²) + 0.9xy − x + y: y stays at 0 and x = 1.
        let mut x = [0.0; 2];
        let residual =
            NonNegativeQp::new(2, 1e-13).minimise(&[1.0, 0.9, 0.9, 1.0], &[1.0, -1.0], &mut x);
        assert_eq!(x, [1.0, 0.0]);
        assert!(residual < 1e-15);
    }

    proptest! {
        #[test]
        fn optimality_conditions_hold(
            rows in proptest::collection::vec(-1.0..1.0_f64, 8 * 5),
            target in proptest::collection::vec(-1.0..1.0_f64, 5),
            rank in 1_usize..6,
        ) {
            // NNLS proper: r lies in the range of A, as in every use here.
            let n = 8;
            let point = |i: usize| &rows[i * 5..i * 5 + rank];
            let a: Vec<f64> =
                (0..n * n).map(|k| dot(point(k / n), point(k % n))).collect();
            let rhs: Vec<f64> = (0..n).map(|i| dot(point(i), &target[..rank])).collect();
            let mut x = vec![0.0; n];
            let residual = NonNegativeQp::new(n, 1e-13).minimise(&a, &rhs, &mut x);
            prop_assert!(x.iter().all(|&v| v >= 0.0));
            let size = (0..n).fold(1.0, |size: f64, i| {
                size.max((0..n).map(|j| (a[i * n + j] * x[j]).abs()).sum())
            });
            prop_assert!(residual < 1e-10 * size, "{residual:e}");
        }
    }
}
