//! min wᵀG w subject to w ≥ c, Σ w = s: the shortest combination of T gradients, exactly.
//!
//! An active set of the kind of Wolfe's *Finding the nearest point in a polytope* (Mathematical
//! Programming 11, 1976), on the Gram matrix: minimise over the affine hull of the support, walk
//! towards that point until a weight reaches its bound, then let the most promising task enter.
//! Every round lowers the length and ends at the minimiser of its support, so it is finite. In
//! floating point it ends when no task would shorten the combination or with the [`BestPoint`]. The
//! affine problem is solved in differences to the shortest gradient of the support, which keeps full
//! relative accuracy when gradients differ in scale by orders of magnitude.
//!
//! Of several minimisers the one nearest to uniform is returned ([`crate::nearest_uniform`]).

use crate::best_point::BestPoint;
use crate::linear_algebra::{NotDiagonal, cholesky, cholesky_solve, dot, max_abs, multiply};
use crate::nearest_uniform::NearestUniform;
use crate::non_negative_qp::walk;

/// Multipliers below this share of the numbers they come from are zero when ties are looked for.
const ON_FACE: f64 = 1e-11;

/// Less than this share of its own squared length is rounding, where a gradient depends on others.
const INDEPENDENT: f64 = 1e-13;

/// A residual above this is no rounding of ties that were broken.
const TIED: f64 = 1e-9;

/// The solver's scratch, for up to `capacity` tasks.
#[derive(Debug, Clone)]
pub(crate) struct SimplexQp {
    support: Vec<usize>,
    factor: Vec<f64>,
    scale: Vec<f64>,
    trial: Vec<f64>,
    correction: Vec<f64>,
    /// w − c.
    excess: Vec<f64>,
    /// G w.
    image: Vec<f64>,
    best: BestPoint,
    /// w before ties were broken, and after.
    untied: Vec<f64>,
    tied: Vec<f64>,
    ties: NearestUniform,
}

impl SimplexQp {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            support: Vec::with_capacity(capacity),
            factor: vec![0.0; capacity * capacity],
            scale: vec![0.0; capacity],
            trial: vec![0.0; capacity],
            correction: vec![0.0; capacity],
            excess: vec![0.0; capacity],
            image: vec![0.0; capacity],
            best: BestPoint::new(capacity),
            untied: Vec::with_capacity(capacity),
            tied: Vec::with_capacity(capacity),
            ties: NearestUniform::new(capacity),
        }
    }

    /// Writes the minimiser into `w`; `lower` are the bounds c ≥ 0 and `total` is s ≥ Σ c. The
    /// diagonal of `gram` (n × n) must be positive. Returns the [`kkt_residual`], infinite where ties
    /// between minimisers cannot be broken.
    pub(crate) fn minimise(
        &mut self,
        gram: &[f64],
        lower: &[f64],
        total: f64,
        w: &mut [f64],
    ) -> f64 {
        let free = total - lower.iter().sum::<f64>();
        w.copy_from_slice(lower);
        if free > 0.0 {
            self.active_set(gram, lower, free, w);
            self.find_face(gram, free, w);
            self.untied.clear();
            self.untied.extend_from_slice(w);
            let ties = self.ties.apply(gram, &self.support, Some(lower), total, w);
            if ties.is_err() {
                return f64::INFINITY;
            }
            close_sum(lower, total, w);
        }
        let residual = self.residual(gram, lower, w);
        if free <= 0.0 || residual <= TIED {
            return residual;
        }
        // A direction between gradients whose lengths lie 10¹¹ apart has too few digits to go along it.
        self.tied.clear();
        self.tied.extend_from_slice(w);
        w.copy_from_slice(&self.untied);
        close_sum(lower, total, w);
        let untied = self.residual(gram, lower, w);
        if untied > residual {
            w.copy_from_slice(&self.tied);
        }
        untied.min(residual)
    }

    fn residual(&mut self, gram: &[f64], lower: &[f64], w: &[f64]) -> f64 {
        let n = w.len();
        multiply(gram, w, &mut self.image[..n]);
        kkt_residual(gram, lower, &self.image[..n], w)
    }

    /// The minimiser of wᵀG w over Σ w = s alone, nearest to uniform, into `w`.
    ///
    /// # Errors
    /// Where ties between minimisers cannot be broken.
    pub(crate) fn minimise_without_bounds(
        &mut self,
        gram: &[f64],
        total: f64,
        w: &mut [f64],
    ) -> Result<(), NotDiagonal> {
        w.fill(0.0);
        self.support.clear();
        for i in 0..w.len() {
            self.support.push(i);
            self.solve_support(gram, w, total);
            if !self.is_independent() {
                // The others span the same hull, and have numbers that are more than rounding.
                self.support.retain(|&j| j != i);
            }
        }
        self.solve_support(gram, w, total);
        for (&i, &value) in self.support.iter().zip(&self.trial) {
            w[i] = value;
        }
        self.support.clear();
        self.support.extend(0..w.len());
        self.ties.apply(gram, &self.support, None, total, w)
    }

    fn active_set(&mut self, gram: &[f64], lower: &[f64], free: f64, w: &mut [f64]) {
        let n = w.len();
        self.start(gram, lower, free);
        self.best.clear();
        loop {
            self.descend(gram, lower, free);
            for i in 0..n {
                w[i] = lower[i] + self.excess[i];
            }
            multiply(gram, w, &mut self.image[..n]);
            let Some((entering, slope)) = self.entering(gram, free, w) else { break };
            if self.best.ends(slope, &mut self.excess[..n]) {
                break;
            }
            self.support.push(entering);
        }
        for i in 0..n {
            w[i] = lower[i] + self.excess[i];
        }
    }

    /// The best vertex: all that is free on one task.
    fn start(&mut self, gram: &[f64], lower: &[f64], free: f64) {
        let n = lower.len();
        multiply(gram, lower, &mut self.image[..n]);
        let length = |i: usize| free * gram[i * n + i] + 2.0 * self.image[i];
        let vertex = (1..n).fold(0, |best, i| if length(i) < length(best) { i } else { best });
        self.excess[..n].fill(0.0);
        self.excess[vertex] = free;
        self.support.clear();
        self.support.push(vertex);
    }

    /// Moves to the minimiser over the support, dropping what reaches its bound on the way.
    fn descend(&mut self, gram: &[f64], lower: &[f64], free: f64) {
        loop {
            self.solve_support(gram, lower, free);
            let excess = &mut self.excess;
            if walk(&self.support, &self.trial, excess) {
                return;
            }
            self.support.retain(|&i| excess[i] > 0.0);
        }
    }

    /// The minimiser of ‖Σ (c + v) g‖ over the support's affine hull Σ v = `free`, into `trial`.
    fn solve_support(&mut self, gram: &[f64], lower: &[f64], free: f64) {
        let (n, m) = (lower.len(), self.support.len());
        let entry = |i: usize, j: usize| gram[i * n + j];
        // The shortest gradient is the reference, and goes last.
        let shortest = (1..m).fold(0, |best, k| {
            let (i, j) = (self.support[k], self.support[best]);
            if entry(i, i) < entry(j, j) { k } else { best }
        });
        self.support.swap(shortest, m - 1);
        let r = self.support[m - 1];
        let slope = |i: usize| dot(&gram[i * n..(i + 1) * n], lower) + free * entry(i, r);
        for (k, &i) in self.support[..m - 1].iter().enumerate() {
            for (l, &j) in self.support[..m - 1].iter().enumerate() {
                self.factor[k * (m - 1) + l] =
                    (entry(i, j) - entry(i, r)) - (entry(r, j) - entry(r, r));
            }
            self.scale[k] = entry(i, i) + entry(r, r);
            self.trial[k] = slope(r) - slope(i);
        }
        cholesky(&mut self.factor, m - 1, &self.scale);
        cholesky_solve(&self.factor, m - 1, &mut self.trial[..m - 1]);
        self.trial[m - 1] = free - self.trial[..m - 1].iter().sum::<f64>();
        self.refine(gram, lower);
    }

    /// Whether each difference to the reference has a length of its own, after
    /// [`SimplexQp::solve_support`].
    fn is_independent(&self) -> bool {
        let m = self.support.len() - 1;
        (0..m).all(|k| self.factor[k * m + k].powi(2) > INDEPENDENT * self.scale[k])
    }

    /// Wins back the digits that a raised pivot cost: solves again for what still tells the images of
    /// the support apart.
    fn refine(&mut self, gram: &[f64], lower: &[f64]) {
        let (n, m) = (lower.len(), self.support.len());
        for _ in 0..2 {
            for (k, &i) in self.support.iter().enumerate() {
                let row = &gram[i * n..(i + 1) * n];
                let moved = self.support.iter().zip(&self.trial).map(|(&j, v)| row[j] * v);
                self.correction[k] = dot(row, lower) + moved.sum::<f64>();
            }
            let reference = self.correction[m - 1];
            self.correction[..m - 1].iter_mut().for_each(|image| *image = reference - *image);
            cholesky_solve(&self.factor, m - 1, &mut self.correction[..m - 1]);
            for k in 0..m - 1 {
                self.trial[k] += self.correction[k];
                self.trial[m - 1] -= self.correction[k];
            }
        }
    }

    /// The task at its bound whose entry shortens the combination most, and how steeply, if any does.
    fn entering(&self, gram: &[f64], free: f64, w: &[f64]) -> Option<(usize, f64)> {
        let n = w.len();
        let level = dot(&self.excess[..n], &self.image[..n]) / free;
        let mut steepest = None;
        let mut slope = 0.0;
        for j in (0..n).filter(|j| !self.support.contains(j)) {
            let noise = 4.0 * n as f64 * f64::EPSILON * self.size(gram, free, w, j);
            let gain = level - self.image[j];
            let scaled = gain / gram[j * n + j].sqrt();
            if gain > noise && scaled > slope {
                slope = scaled;
                steepest = Some(j);
            }
        }
        steepest.map(|j| (j, slope))
    }

    /// Lists in `support` the tasks that some minimiser may give more than their bound: those whose
    /// multiplier is zero at the minimiser `w`.
    fn find_face(&mut self, gram: &[f64], free: f64, w: &[f64]) {
        let n = w.len();
        multiply(gram, w, &mut self.image[..n]);
        let level = dot(&self.excess[..n], &self.image[..n]) / free;
        self.support.clear();
        for i in 0..n {
            let at_level = self.image[i] - level <= ON_FACE * self.size(gram, free, w, i);
            if self.excess[i] > 0.0 || at_level {
                self.support.push(i);
            }
        }
    }

    /// The size of the numbers that the multiplier of task j is the difference of.
    fn size(&self, gram: &[f64], free: f64, w: &[f64], j: usize) -> f64 {
        let n = w.len();
        let row = |j: usize| (0..n).map(|k| (gram[j * n + k] * w[k]).abs()).sum::<f64>();
        row(j) + (0..n).map(|i| self.excess[i] * row(i)).sum::<f64>() / free
    }
}

/// How far w is from optimal, relative to max |G_ij|: at the optimum (G w)_t is one number ν for
/// every w_t above its bound, and at least ν at the bounds. `image` is G w.
pub(crate) fn kkt_residual(gram: &[f64], lower: &[f64], image: &[f64], w: &[f64]) -> f64 {
    let is_free = |i: usize| w[i] > lower[i];
    let free: f64 = (0..w.len()).map(|i| w[i] - lower[i]).sum();
    if free <= 0.0 {
        return 0.0;
    }
    let level = (0..w.len()).map(|i| (w[i] - lower[i]) * image[i]).sum::<f64>() / free;
    let largest = max_abs(gram);
    (0..w.len()).fold(0.0, |worst: f64, i| {
        let gap = level - image[i];
        let violation = if is_free(i) { gap.abs() } else { gap } / largest;
        // `max` would drop a NaN, which must not pass for a solution.
        if violation.is_nan() { f64::INFINITY } else { worst.max(violation) }
    })
}

/// Takes the rounding error of Σ w = s out of the largest weight.
fn close_sum(lower: &[f64], total: f64, w: &mut [f64]) {
    let slack = |i: usize, w: &[f64]| w[i] - lower[i];
    let largest =
        (1..w.len()).fold(0, |best, i| if slack(i, w) > slack(best, w) { i } else { best });
    w[largest] += total - w.iter().sum::<f64>();
}

#[cfg(test)]
mod tests;
