//! The point of α-fairness: G w = w^(−p), w > 0.
//!
//! For PSD G this is the stationary point of the strictly convex ½ wᵀG w − Σ φ(w_t) with φ' = w^(−p)
//! (the logarithm for p = 1, Nash's bargaining), so Newton's method with a line search finds it from
//! anywhere. There is no such point exactly when some w ≥ 0, w ≠ 0 has Σ w_t g_t = 0: at a Pareto
//! stationary point the weights would grow without bound.
//!
//! The unknowns are scaled by the gradients' norms, so that the work is done on the matrix of
//! cosines and the scale of a loss costs no digits.

use crate::linear_algebra::{cholesky, cholesky_solve, dot, max_abs, multiply};

/// Scaled weights beyond this many times the start mean a Pareto stationary point, to working precision.
const UNBOUNDED: f64 = 1e9;
const MAX_STEPS: usize = 300;

/// The solver's scratch, for up to `capacity` tasks.
#[derive(Debug, Clone)]
pub(crate) struct FairPoint {
    cosines: Vec<f64>,
    factor: Vec<f64>,
    scale: Vec<f64>,
    /// Scaled right-hand side k: C x = k x^(−p).
    target: Vec<f64>,
    point: Vec<f64>,
    image: Vec<f64>,
    direction: Vec<f64>,
    trial: Vec<f64>,
    best: Vec<f64>,
}

impl FairPoint {
    pub(crate) fn new(capacity: usize) -> Self {
        let vector = || vec![0.0; capacity];
        Self {
            cosines: vec![0.0; capacity * capacity],
            factor: vec![0.0; capacity * capacity],
            scale: vector(),
            target: vector(),
            point: vector(),
            image: vector(),
            direction: vector(),
            trial: vector(),
            best: vector(),
        }
    }

    /// Writes the solution into `w`; returns `max_t |(G w)_t · w_t^p − 1|`, infinite where the
    /// weights grow without bound.
    pub(crate) fn solve(&mut self, gram: &[f64], power: f64, w: &mut [f64]) -> f64 {
        let n = w.len();
        let largest = self.scale_problem(gram, n, power);
        let limit = UNBOUNDED * max_abs(&self.point[..n]);
        let mut best = f64::INFINITY;
        // Full Newton steps in a row that did not lower the residual: rounding is reached.
        let mut stalled = 0;
        let mut full = false;
        for _ in 0..MAX_STEPS {
            let residual = self.residual(n, power);
            if residual < best {
                best = residual;
                stalled = 0;
                self.best[..n].copy_from_slice(&self.point[..n]);
            } else {
                stalled = if full { stalled + 1 } else { 0 };
            }
            let grown = self.point[..n].iter().any(|x| *x > limit);
            if best < 1e-15 || stalled > 4 || grown || residual.is_infinite() {
                break;
            }
            self.newton_direction(n, power);
            full = self.line_search(n, power);
        }
        let unit = largest.powf(-2.0 / (1.0 + power));
        for i in 0..n {
            w[i] = self.best[i] * unit * largest / gram[i * n + i].sqrt();
        }
        best
    }

    /// Sets up C x = k x^(−p) and the start, which is exact for orthogonal gradients. Returns the
    /// largest norm, by which all others are divided.
    fn scale_problem(&mut self, gram: &[f64], n: usize, power: f64) -> f64 {
        let norm = |i: usize| gram[i * n + i].sqrt();
        let largest = (0..n).fold(0.0, |max: f64, i| max.max(norm(i)));
        for i in 0..n {
            for j in 0..n {
                self.cosines[i * n + j] = gram[i * n + j] / (norm(i) * norm(j));
            }
            self.target[i] = (norm(i) / largest).powf(power - 1.0);
            self.point[i] = self.target[i].powf(1.0 / (1.0 + power));
        }
        largest
    }

    /// The relative residual at `point`; leaves C x in `image`.
    fn residual(&mut self, n: usize, power: f64) -> f64 {
        multiply(&self.cosines[..n * n], &self.point[..n], &mut self.image[..n]);
        (0..n).fold(0.0, |worst: f64, i| {
            let reached = self.image[i] * self.point[i].powf(power) / self.target[i];
            // `max` would drop a NaN, which must not pass for a solution.
            if reached.is_nan() { f64::INFINITY } else { worst.max((reached - 1.0).abs()) }
        })
    }

    fn newton_direction(&mut self, n: usize, power: f64) {
        self.factor[..n * n].copy_from_slice(&self.cosines[..n * n]);
        for i in 0..n {
            let pull = self.target[i] * self.point[i].powf(-power);
            self.factor[i * n + i] += power * pull / self.point[i];
            self.scale[i] = self.factor[i * n + i];
            self.direction[i] = pull - self.image[i];
        }
        cholesky(&mut self.factor[..n * n], n, &self.scale);
        cholesky_solve(&self.factor, n, &mut self.direction[..n]);
    }

    /// Steps along the direction: in full where it changes no weight by more than a third (Newton
    /// converges quadratically there), otherwise by Armijo's rule, staying positive. Returns whether the step was full.
    fn line_search(&mut self, n: usize, power: f64) -> bool {
        let change = |i: usize| self.direction[i] / self.point[i];
        let shrink = (0..n).fold(0.0, |max: f64, i| max.max(-change(i)));
        let largest = (0..n).fold(0.0, |max: f64, i| max.max(change(i).abs()));
        let mut length = if shrink > 0.9 { 0.9 / shrink } else { 1.0 };
        if largest > 0.33 {
            let slope: f64 = (0..n)
                .map(|i| {
                    let pull = self.target[i] * self.point[i].powf(-power);
                    (self.image[i] - pull) * self.direction[i]
                })
                .sum();
            let start = self.potential(n, power, 0.0);
            while length > 1e-12 && self.potential(n, power, length) > start + 1e-4 * length * slope
            {
                length *= 0.5;
            }
        }
        for i in 0..n {
            self.point[i] += length * self.direction[i];
        }
        largest <= 0.33
    }

    /// ½ xᵀC x − Σ k φ(x) at `length` along the direction.
    fn potential(&mut self, n: usize, power: f64, length: f64) -> f64 {
        for i in 0..n {
            self.trial[i] = self.point[i] + length * self.direction[i];
        }
        let trial = &self.trial[..n];
        let quadratic: f64 = self.cosines[..n * n]
            .chunks_exact(n)
            .zip(trial)
            .map(|(row, x)| x * dot(row, trial))
            .sum();
        let fairness = |x: f64| {
            if power == 1.0 { x.ln() } else { x.powf(1.0 - power) / (1.0 - power) }
        };
        let gain: f64 = trial.iter().zip(&self.target).map(|(x, k)| k * fairness(*x)).sum();
        0.5 * quadratic - gain
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pareto_stationary_gradients_have_no_point() {
        let mut w = [0.0; 2];
        let residual = FairPoint::new(2).solve(&[1.0, -1.0, -1.0, 1.0], 1.0, &mut w);
        assert!(residual > 1e-8, "{residual:e}");
    }

    proptest! {
        #[test]
        fn equation_holds_at_any_scale_and_power(
            n in 1_usize..17,
            rows in proptest::collection::vec(-1.0..1.0_f64, 16 * 24),
            scales in proptest::collection::vec(-2.5..2.5_f64, 16),
            alpha in 0.5..3.0_f64,
        ) {
            // More dimensions than tasks and a common direction: some w improves every task.
            let row = |i: usize| {
                let scale = 10.0_f64.powf(scales[i]);
                (0..24).map(move |d| if d == 0 { 2.0 * scale } else { 0.0 })
                    .zip(&rows[i * 24..(i + 1) * 24])
                    .map(move |(common, x)| common + scale * x)
                    .collect::<Vec<f64>>()
            };
            let points: Vec<Vec<f64>> = (0..n).map(row).collect();
            let gram: Vec<f64> =
                (0..n * n).map(|k| dot(&points[k / n], &points[k % n])).collect();
            let mut w = vec![0.0; n];
            let power = 1.0 / alpha;
            let residual = FairPoint::new(n).solve(&gram, power, &mut w);
            prop_assert!(residual < 1e-9, "{residual:e}");
            for i in 0..n {
                let reached = dot(&gram[i * n..(i + 1) * n], &w) * w[i].powf(power);
                prop_assert!((reached - 1.0).abs() < 1e-8, "{reached}");
            }
        }
    }
}
