//! **Aligned-MTL**: make the system of gradients orthogonal and of one length.
//!
//! ```text
//! G = V Λ Vᵀ      B = √λ_R V Λ^(−½) Vᵀ      w = B·1
//! ```
//!
//! The aligned gradients (rows of B times the gradients) have the Gram matrix B G B = λ_R I on the range
//! of G: condition number 1. λ_R is the smallest eigenvalue that is not zero (relative to T·ε·λ_max), so no
//! direction grows. With orthogonal gradients of one length, w = 1: the plain sum.
//!
//! Source: Senushkin et al., *Independent Component Alignment for Multi-Task Learning*, CVPR 2023,
//! algorithm 1. Cost: the Gram matrix and one eigendecomposition. Choose it when both conflict and
//! dominance are feared, with tasks that are not nearly the same (then λ_R, and the step, are tiny).

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::linear_algebra::Eigen;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// The singular value that all are set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlignedScale {
    /// The smallest that is not 0, as in the paper.
    #[default]
    Min,
    /// The median (the lower one of an even number).
    Median,
    /// The root of the mean square.
    Rms,
}

/// Settings of Aligned-MTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignedMtlConfig {
    /// The singular value that all are set to.
    pub scale: AlignedScale,
}

impl AlignedMtlConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> AlignedMtl {
        let n = setup.tasks.len();
        AlignedMtl {
            scale: self.scale,
            eigen: Eigen::new(n),
            kept: Vec::with_capacity(n),
            ones: vec![1.0; n],
        }
    }
}

#[derive(Debug)]
pub(crate) struct AlignedMtl {
    scale: AlignedScale,
    eigen: Eigen,
    /// The eigenvectors of the range, by ascending eigenvalue.
    kept: Vec<usize>,
    ones: Vec<f64>,
}

impl AlignedMtl {
    /// Decomposes G and returns λ_R.
    fn align(&mut self, gram: &[f64], n: usize) -> Result<f64, Error> {
        let eigen = &mut self.eigen;
        eigen.decompose(gram, n).map_err(|left| left.of("aligned_mtl"))?;
        let largest = (0..n).map(|k| eigen.value(k)).fold(0.0, f64::max);
        let zero = largest * n as f64 * f64::EPSILON;
        self.kept.clear();
        self.kept.extend((0..n).filter(|&k| eigen.value(k) > zero));
        self.kept.sort_unstable_by(|&a, &b| eigen.value(a).total_cmp(&eigen.value(b)));
        let rank = self.kept.len();
        Ok(match self.scale {
            AlignedScale::Min => eigen.value(self.kept[0]),
            AlignedScale::Median => eigen.value(self.kept[(rank - 1) / 2]),
            AlignedScale::Rms => {
                self.kept.iter().map(|&k| eigen.value(k)).sum::<f64>() / rank as f64
            }
        })
    }

    /// B x, after [`AlignedMtl::align`] has found λ_R, `level`.
    fn apply(&self, level: f64, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for &k in &self.kept {
            let inner: f64 = x.iter().enumerate().map(|(i, x)| x * self.eigen.vector(k, i)).sum();
            let along = (level / self.eigen.value(k)).sqrt() * inner;
            out.iter_mut().enumerate().for_each(|(i, o)| *o += along * self.eigen.vector(k, i));
        }
    }
}

impl Weighting for AlignedMtl {
    fn name(&self) -> &'static str {
        "aligned_mtl"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n();
        let level = self.align(active.gram, n)?;
        self.apply(level, &self.ones[..n], weights);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::linear_algebra::dot;

    fn aligner(n: usize) -> AlignedMtl {
        let tasks: Vec<String> = (0..n).map(|i| i.to_string()).collect();
        AlignedMtlConfig::default().build(&Setup::new(&tasks))
    }

    /// Checks that B G B = λ_R P, P the projector onto the range of G, and returns λ_R and the rank.
    fn check(gradients: &[Vec<f64>], tolerance: f64) -> (f64, usize) {
        let n = gradients.len();
        let rows = gradients.iter();
        let gram: Vec<f64> = rows.flat_map(|a| gradients.iter().map(|b| dot(a, b))).collect();
        let mut method = aligner(n);
        let level = method.align(&gram, n).expect("a finite matrix");
        let column = |j: usize| {
            let unit: Vec<f64> = (0..n).map(|i| f64::from(i == j)).collect();
            let mut out = vec![0.0; n];
            method.apply(level, &unit, &mut out);
            out
        };
        let b: Vec<Vec<f64>> = (0..n).map(column).collect();
        for i in 0..n {
            for j in 0..n {
                let entry: f64 =
                    (0..n).map(|k| b[i][k] * dot(&gram[k * n..(k + 1) * n], &b[j])).sum();
                let vector = |k: usize, i: usize| method.eigen.vector(k, i);
                let projector: f64 = method.kept.iter().map(|&k| vector(k, i) * vector(k, j)).sum();
                assert_abs_diff_eq!(entry / level, projector, epsilon = tolerance);
            }
        }
        (level, method.kept.len())
    }

    /// n of 16 rows of so many columns.
    fn rows(values: &[f64], n: usize, dim: usize) -> Vec<Vec<f64>> {
        (0..n).map(|i| values[i * 20..i * 20 + dim].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn aligned_gradients_have_condition_number_1(
            n in 1_usize..17,
            values in proptest::collection::vec(-1.0..1.0_f64, 16 * 20),
        ) {
            prop_assert_eq!(check(&rows(&values, n, 20), 1e-9).1, n);
        }

        /// More tasks than dimensions, in whole numbers: the null space is one to the last digit.
        #[test]
        fn a_singular_matrix_is_aligned_on_its_range(
            n in 1_usize..17,
            dim in 1_usize..5,
            values in proptest::collection::vec(-3..4_i8, 16 * 20),
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut gradients = rows(&values, n, dim);
            // No gradient is zero: those are left out before.
            gradients.iter_mut().filter(|g| dot(g, g) == 0.0).for_each(|g| g[0] = 1.0);
            let (level, rank) = check(&gradients, 1e-9);
            prop_assert!(rank <= dim.min(n), "{rank} of {dim}");
            // Whole numbers have no small eigenvalue but 0: det ≥ 1 and entries below 16 · 9 · 4.
            prop_assert!(level > 1e-9, "{level:e}");
        }

        /// Losses in units six orders of magnitude apart.
        #[test]
        fn a_badly_scaled_matrix_is_aligned(
            n in 1_usize..9,
            values in proptest::collection::vec(-1.0..1.0_f64, 16 * 20),
            scales in proptest::collection::vec(-6.0..0.0_f64, 16),
        ) {
            let mut gradients = rows(&values, n, 20);
            for (gradient, scale) in gradients.iter_mut().zip(scales) {
                gradient.iter_mut().for_each(|g| *g *= 10.0_f64.powf(scale));
            }
            prop_assert_eq!(check(&gradients, 1e-6).1, n);
        }
    }
}
