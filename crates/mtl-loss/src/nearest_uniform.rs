//! Of several minimisers the one nearest to uniform weights.
//!
//! The minimisers of wᵀG w over {w ≥ c, Σ w = s} are w* + d with G d = 0 and Σ d = 0 (the image G w
//! is the same for all of them). Here those directions are found, and the uniform point is projected
//! onto the polytope they span: in one step where the projection keeps w ≥ c, by least-distance
//! programming (Lawson and Hanson, chapter 23.4) where it does not.

use crate::linear_algebra::{Eigen, NotDiagonal, cholesky, dot};
use crate::non_negative_qp::NonNegativeQp;

/// Eigenvalues of the unit-diagonal matrix that count as 0: above its rounding errors (1e-15 times
/// the size), below the 1e-12 that an honest badly conditioned matrix may have.
const NULL: f64 = 2e-13;

/// The largest violation of a bound that is taken for rounding.
const FEASIBLE: f64 = 1e-12;

/// A task that moves by less than this share of the others is not in the directions at all: made of
/// length 1, its rounding would be a constraint as good as any.
const STILL: f64 = 1e-14;

/// The projection's scratch, for up to `capacity` tasks.
#[derive(Debug, Clone)]
pub(crate) struct NearestUniform {
    eigen: Eigen,
    scaled: Vec<f64>,
    /// Orthonormal directions, one a row.
    directions: Vec<f64>,
    moved: Vec<f64>,
    bound: Vec<f64>,
    scale: Vec<f64>,
    /// moved − lower.
    slack: Vec<f64>,
    dual: Vec<f64>,
    qp: NonNegativeQp,
}

impl NearestUniform {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            eigen: Eigen::new(capacity),
            scaled: vec![0.0; capacity * capacity],
            directions: vec![0.0; capacity * capacity],
            moved: vec![0.0; capacity],
            bound: vec![0.0; capacity],
            scale: vec![0.0; capacity],
            slack: vec![0.0; capacity],
            dual: vec![0.0; capacity],
            qp: NonNegativeQp::new(capacity, 1e-10),
        }
    }

    /// Moves the minimiser `w` of total `total` to the one nearest to `total / n` each. Only the
    /// tasks of `face` move: those whose multiplier is zero, since along G d = 0, Σ d = 0 the others
    /// cannot leave their bound. With `lower`, no weight crosses its bound.
    ///
    /// # Errors
    /// Where the directions cannot be found; `w` is then as it was.
    pub(crate) fn apply(
        &mut self,
        gram: &[f64],
        face: &[usize],
        lower: Option<&[f64]>,
        total: f64,
        w: &mut [f64],
    ) -> Result<(), NotDiagonal> {
        let m = face.len();
        let rank = self.null_directions(gram, w.len(), face)?;
        if rank == 0 {
            return Ok(());
        }
        let uniform = total / w.len() as f64;
        for (moved, &i) in self.moved.iter_mut().zip(face) {
            *moved = w[i];
        }
        for d in self.directions[..rank * m].chunks_exact(m) {
            let along: f64 = d.iter().zip(face).map(|(d, &i)| d * (uniform - w[i])).sum();
            self.moved[..m].iter_mut().zip(d).for_each(|(moved, d)| *moved += along * d);
        }
        if let Some(lower) = lower {
            for (k, &i) in face.iter().enumerate() {
                self.bound[k] = lower[i] - self.moved[k];
            }
            if self.bound[..m].iter().any(|b| *b > 0.0) && !self.stay_above(m, rank) {
                return Ok(());
            }
        }
        for (moved, &i) in self.moved.iter().zip(face) {
            w[i] = lower.map_or(*moved, |lower| moved.max(lower[i]));
        }
        Ok(())
    }

    /// Orthonormal d on the face with G d = 0 and Σ d = 0, as rows of `directions`; returns how many.
    fn null_directions(
        &mut self,
        gram: &[f64],
        n: usize,
        face: &[usize],
    ) -> Result<usize, NotDiagonal> {
        let m = face.len();
        // With D = √diag G the null space of G is D⁻¹ times that of the unit-diagonal matrix,
        // in which "numerically zero" does not depend on the scale of any one task. The condition
        // Σ d = 0 joins as the rank-one term a aᵀ.
        let norm = |k: usize| gram[face[k] * (n + 1)].sqrt();
        let length = (0..m).map(|k| norm(k).powi(-2)).sum::<f64>().sqrt();
        for k in 0..m {
            for l in 0..m {
                let cosine = gram[face[k] * n + face[l]] / (norm(k) * norm(l));
                self.scaled[k * m + l] = cosine + 1.0 / (norm(k) * length * norm(l) * length);
            }
        }
        self.eigen.decompose(&self.scaled, m)?;
        let mut rank = 0;
        for e in (0..m).filter(|&e| m > 1 && self.eigen.value(e) <= NULL) {
            for k in 0..m {
                self.directions[rank * m + k] = self.eigen.vector(e, k) / norm(k);
            }
            rank += 1;
        }
        self.orthonormalise(m, rank);
        Ok(rank)
    }

    /// Makes the rows of `directions` orthonormal without losing what is small in them.
    ///
    /// D⁻¹ makes the rows of tasks with small gradients large, and nearly parallel; orthogonalising
    /// them directly would drown the components of tasks with large gradients in rounding errors,
    /// which G then magnifies. Elimination with complete pivoting keeps every component's own
    /// relative accuracy and leaves rows of condition near 1, for which Cholesky is harmless.
    fn orthonormalise(&mut self, m: usize, rank: usize) {
        eliminate(&mut self.directions[..rank * m], m, rank);
        for r in 0..rank {
            for s in 0..rank {
                let row = |r: usize| &self.directions[r * m..(r + 1) * m];
                self.scaled[r * rank + s] = dot(row(r), row(s));
            }
            self.dual[r] = self.scaled[r * rank + r];
        }
        cholesky(&mut self.scaled[..rank * rank], rank, &self.dual);
        for r in 0..rank {
            let (done, rest) = self.directions.split_at_mut(r * m);
            for (s, other) in done.chunks_exact(m).enumerate() {
                let along = self.scaled[r * rank + s];
                rest[..m].iter_mut().zip(other).for_each(|(d, o)| *d -= along * o);
            }
            let length = self.scaled[r * rank + r];
            rest[..m].iter_mut().for_each(|d| *d /= length);
        }
    }

    /// Least-distance programming: the smallest move x of `moved` along the directions N with
    /// N x ≥ `bound`. False where none is found to working precision; then the minimisers are almost
    /// a point, and the one at hand is kept.
    fn stay_above(&mut self, m: usize, rank: usize) -> bool {
        // Each constraint in its own scale: tasks with large gradients hardly move along N, and
        // unscaled their multipliers would be 10⁷ times the others'.
        let row = |k: usize, l: usize| -> f64 {
            let rows = self.directions[..rank * m].chunks_exact(m);
            rows.map(|d| d[k] * d[l]).sum()
        };
        for k in 0..m {
            let length = row(k, k).sqrt();
            self.scale[k] = if length > STILL { length.recip() } else { 0.0 };
            self.slack[k] = -self.bound[k];
            self.bound[k] *= self.scale[k];
        }
        for k in 0..m {
            for l in 0..m {
                let projector = row(k, l) * self.scale[k] * self.scale[l];
                self.scaled[k * m + l] = projector + self.bound[k] * self.bound[l];
            }
        }
        let (dual, bound) = (&mut self.dual[..m], &self.bound[..m]);
        self.qp.minimise(&self.scaled[..m * m], bound, dual);
        let distance = 1.0 - dot(bound, dual);
        if distance <= 1e-12 {
            return false;
        }
        dual.iter_mut().zip(&self.scale).for_each(|(dual, scale)| *dual *= scale / distance);
        for d in self.directions[..rank * m].chunks_exact(m) {
            let along = dot(d, dual);
            self.moved[..m].iter_mut().zip(d).for_each(|(moved, d)| *moved += along * d);
            self.slack[..m].iter_mut().zip(d).for_each(|(slack, d)| *slack += along * d);
        }
        self.slack[..m].iter().all(|slack| *slack >= -FEASIBLE)
    }
}

/// Gauss and Jordan with complete pivoting: afterwards each row has a 1 where all others have a 0, and
/// nothing much larger than 1.
fn eliminate(rows: &mut [f64], m: usize, rank: usize) {
    for done in 0..rank {
        let pivot = (done * m..rank * m)
            .fold(done * m, |best, e| if rows[e].abs() > rows[best].abs() { e } else { best });
        let (row, column) = (pivot / m, pivot % m);
        let value = rows[pivot];
        for k in 0..m {
            rows.swap(done * m + k, row * m + k);
            rows[done * m + k] /= value;
        }
        for other in (0..rank).filter(|&other| other != done) {
            let factor = rows[other * m + column];
            for k in 0..m {
                rows[other * m + k] -= factor * rows[done * m + k];
            }
            rows[other * m + column] = 0.0;
        }
    }
}
