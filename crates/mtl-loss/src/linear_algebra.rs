//! Small dense linear algebra for T × T matrices: Cholesky, symmetric eigenvalues, products.
//!
//! Matrices are row-major slices. Sizes are a handful to a few dozen, so the plain algorithms are
//! the right ones, and both are accurate *relative to the diagonal*: a matrix whose rows differ in
//! scale by 10⁶ (two losses of different units) loses nothing.

use crate::Error;

/// Pivots below this share of their row's scale are rounding noise.
const PIVOT_FLOOR: f64 = 64.0 * f64::EPSILON;
/// Sweeps of Jacobi's method; it converges quadratically, and six to ten sweeps are usual.
const MAX_SWEEPS: usize = 60;

/// y = A x for an n × n matrix.
pub(crate) fn multiply(a: &[f64], x: &[f64], y: &mut [f64]) {
    let n = x.len();
    for (row, out) in a.chunks_exact(n).zip(y) {
        *out = dot(row, x);
    }
}

/// ⟨x, y⟩.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

/// max |x_i|.
pub(crate) fn max_abs(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |max, v| v.abs().max(max))
}

/// Replaces the lower triangle of the positive semi-definite `a` (n × n) by its Cholesky factor.
///
/// A pivot below 64 ε · `scale[k]` is raised to that value: a singular matrix is regularised by what
/// its own rounding errors amount to, instead of being an error. `scale[k] > 0` is the size of the
/// numbers that entry (k, k) was computed from.
pub(crate) fn cholesky(a: &mut [f64], n: usize, scale: &[f64]) {
    for k in 0..n {
        for i in k..n {
            let sum = dot(&a[i * n..i * n + k], &a[k * n..k * n + k]);
            a[i * n + k] -= sum;
        }
        let pivot = a[k * n + k].max(PIVOT_FLOOR * scale[k]).sqrt();
        for i in k + 1..n {
            a[i * n + k] /= pivot;
        }
        a[k * n + k] = pivot;
    }
}

/// Solves L Lᵀ x = b in place, L from [`cholesky`].
pub(crate) fn cholesky_solve(l: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        b[i] = (b[i] - dot(&l[i * n..i * n + i], &b[..i])) / l[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| l[k * n + i] * b[k]).sum();
        b[i] = (b[i] - sum) / l[i * n + i];
    }
}

/// A decomposition that did not end: the largest off-diagonal entry that is left, relative to the
/// largest entry of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NotDiagonal(f64);

impl NotDiagonal {
    /// The error of the method that needs the decomposition.
    pub(crate) fn of(self, method: &'static str) -> Error {
        Error::NotConverged { method, residual: self.0, tolerance: f64::EPSILON }
    }
}

/// Eigenvalues and eigenvectors of a symmetric matrix, by cyclic Jacobi rotations.
///
/// Source: Golub and Van Loan, *Matrix Computations*, 4th edition, §8.5.
#[derive(Debug, Clone)]
pub(crate) struct Eigen {
    n: usize,
    work: Vec<f64>,
    vectors: Vec<f64>,
}

impl Eigen {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { n: 0, work: vec![0.0; capacity * capacity], vectors: vec![0.0; capacity * capacity] }
    }

    /// Decomposes the n × n matrix `a`.
    ///
    /// # Errors
    /// Where off-diagonal entries are left after 60 sweeps.
    pub(crate) fn decompose(&mut self, a: &[f64], n: usize) -> Result<(), NotDiagonal> {
        self.decompose_within(MAX_SWEEPS, a, n)
    }

    fn decompose_within(&mut self, sweeps: usize, a: &[f64], n: usize) -> Result<(), NotDiagonal> {
        self.n = n;
        self.work[..n * n].copy_from_slice(&a[..n * n]);
        self.vectors[..n * n].fill(0.0);
        for i in 0..n {
            self.vectors[i * n + i] = 1.0;
        }
        if (0..sweeps).any(|_| !self.sweep()) {
            return Ok(());
        }
        let work = &self.work[..n * n];
        let left = work.iter().enumerate().filter(|(k, _)| k % (n + 1) != 0);
        let left = left.fold(0.0, |max: f64, (_, value)| max.max(value.abs()));
        Err(NotDiagonal(left / max_abs(work)))
    }

    /// The k-th eigenvalue, in no particular order.
    pub(crate) fn value(&self, k: usize) -> f64 {
        self.work[k * self.n + k]
    }

    /// Component i of the k-th eigenvector, of length 1.
    pub(crate) fn vector(&self, k: usize, i: usize) -> f64 {
        self.vectors[i * self.n + k]
    }

    /// Rotates every pair once. Returns whether any rotation was needed.
    fn sweep(&mut self) -> bool {
        let n = self.n;
        let mut rotated = false;
        let noise = f64::EPSILON * f64::EPSILON * max_abs(&self.work[..n * n]);
        for p in 0..n {
            for q in p + 1..n {
                let off = self.work[p * n + q];
                // Relative to its own two diagonal entries: this is what keeps the small
                // eigenvalues of a graded matrix accurate.
                let diagonal = (self.work[p * n + p] * self.work[q * n + q]).abs().sqrt();
                if off.abs() > f64::EPSILON * diagonal && off.abs() > noise {
                    self.rotate(p, q, off);
                    rotated = true;
                }
            }
        }
        rotated
    }

    /// The rotation that makes entry (p, q), now `off`, zero.
    fn rotate(&mut self, p: usize, q: usize, off: f64) {
        let n = self.n;
        let theta = (self.work[q * n + q] - self.work[p * n + p]) / (2.0 * off);
        let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
        let cosine = 1.0 / tangent.hypot(1.0);
        let sine = tangent * cosine;
        self.work[p * n + p] -= tangent * off;
        self.work[q * n + q] += tangent * off;
        self.work[p * n + q] = 0.0;
        self.work[q * n + p] = 0.0;
        for k in 0..n {
            if k != p && k != q {
                let (x, y) = (self.work[k * n + p], self.work[k * n + q]);
                let (x, y) = (cosine * x - sine * y, sine * x + cosine * y);
                (self.work[k * n + p], self.work[p * n + k]) = (x, x);
                (self.work[k * n + q], self.work[q * n + k]) = (y, y);
            }
            let (x, y) = (self.vectors[k * n + p], self.vectors[k * n + q]);
            self.vectors[k * n + p] = cosine * x - sine * y;
            self.vectors[k * n + q] = sine * x + cosine * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn cholesky_solves_a_graded_system() {
        // Rows of scale 1 and 1e-6 with correlation ½; the solution is (1, 1e6) by construction.
        let mut a = vec![1.0, 0.5e-6, 0.5e-6, 1e-12];
        let mut b = vec![1.5, 1.5e-6];
        cholesky(&mut a, 2, &[1.0, 1e-12]);
        cholesky_solve(&a, 2, &mut b);
        assert_abs_diff_eq!(b[0], 1.0, epsilon = 1e-14);
        assert_abs_diff_eq!(b[1], 1e6, epsilon = 1e-8);
    }

    #[test]
    fn jacobi_reproduces_the_matrix_and_orthonormal_vectors() {
        let n = 4;
        let a =
            [4.0, 1.0, -2.0, 2.0, 1.0, 2.0, 0.0, 1.0, -2.0, 0.0, 3.0, -2.0, 2.0, 1.0, -2.0, -1.0];
        let mut eigen = Eigen::new(n);
        assert_eq!(eigen.decompose(&a, n), Ok(()));
        for i in 0..n {
            for j in 0..n {
                let entry: f64 =
                    (0..n).map(|k| eigen.value(k) * eigen.vector(k, i) * eigen.vector(k, j)).sum();
                assert_abs_diff_eq!(entry, a[i * n + j], epsilon = 1e-13);
                let unit: f64 = (0..n).map(|k| eigen.vector(i, k) * eigen.vector(j, k)).sum();
                assert_abs_diff_eq!(unit, f64::from(i == j), epsilon = 1e-14);
            }
        }
    }

    #[test]
    fn jacobi_says_what_is_left_where_it_does_not_end() {
        let a = [2.0, 1.0, 0.5, 1.0, 3.0, 0.25, 0.5, 0.25, 4.0];
        let mut eigen = Eigen::new(3);
        let NotDiagonal(left) = eigen.decompose_within(1, &a, 3).unwrap_err();
        assert!(left > 1e-6 && left < 0.1, "{left:e}");
        let error = NotDiagonal(left).of("imtl_g").to_string();
        assert!(error.starts_with("imtl_g: optimality residual is "), "{error}");
        assert_eq!(eigen.decompose(&a, 3), Ok(()));
    }

    #[test]
    fn jacobi_keeps_the_small_eigenvalue_of_a_graded_matrix() {
        // det = 1e-12·(1 − ¼), trace ≈ 1: the small eigenvalue is 0.75e-12 to first order.
        let a = [1.0, 0.5e-6, 0.5e-6, 1e-12];
        let mut eigen = Eigen::new(2);
        assert_eq!(eigen.decompose(&a, 2), Ok(()));
        let small = eigen.value(0).min(eigen.value(1));
        assert!((small / 0.75e-12 - 1.0).abs() < 1e-10, "{small:e}");
    }
}
