//! Element-wise loops, compiled once per instruction set and chosen at run time.
//!
//! The binary targets baseline x86-64, where a loop over `f32` uses 4 lanes. [`vectorise`] runs a
//! closure compiled for AVX-512 or AVX2 where the processor has them; the compiler does the rest,
//! as long as reductions keep explicit lanes (float addition may not be reordered for it).

use std::sync::LazyLock;

use crate::{Mat, Scalar};

/// Independent sums of a reduction: one AVX-512 register of `f32`, two of `f64`.
const LANES: usize = 16;

/// Runs `work` compiled for the widest instruction set of this processor.
///
/// `work` must be inlined for this to have an effect, and a closure of more than a few lines is
/// not by itself: write `vectorise(#[inline(always)] || …)`, and mark the functions it calls
/// `#[inline(always)]`. (Without the attribute the loops of a dense layer ran on 4 lanes.)
#[inline(always)]
pub fn vectorise<R>(work: impl FnOnce() -> R) -> R {
    // Detection reads a dozen CPU flags; doing it once keeps small loops small.
    static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);
    ARCH.dispatch(work)
}

/// `y += a·x`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn axpy<S: Scalar>(y: &mut [S], a: S, x: &[S]) {
    assert_eq!(y.len(), x.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// `y += x`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn add<S: Scalar>(y: &mut [S], x: &[S]) {
    assert_eq!(y.len(), x.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// `y = a·x`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn scale<S: Scalar>(y: &mut [S], a: S, x: &[S]) {
    assert_eq!(y.len(), x.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y = a * x;
    }
}

/// `Σ xᵢ·yᵢ`, in a fixed order that does not depend on the instruction set.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn dot<S: Scalar>(x: &[S], y: &[S]) -> S {
    assert_eq!(x.len(), y.len());
    let mut lanes = [S::zero(); LANES];
    let (x_whole, x_rest) = x.as_chunks::<LANES>();
    let (y_whole, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_whole.iter().zip(y_whole) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    let mut total = fold(lanes);
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        total += x * y;
    }
    total
}

/// `Σ xᵢ`, in a fixed order that does not depend on the instruction set.
#[inline(always)]
pub fn sum<S: Scalar>(x: &[S]) -> S {
    let mut lanes = [S::zero(); LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for i in 0..LANES {
            lanes[i] += x[i];
        }
    }
    rest.iter().fold(fold(lanes), |total, &x| total + x)
}

#[inline(always)]
fn fold<S: Scalar>(mut lanes: [S; LANES]) -> S {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// `out_c (+)= Σ_r x_rc`: the gradient of a bias.
#[inline(always)]
pub fn column_sums<S: Scalar>(out: &mut [S], add_to: bool, x: Mat<'_, S>) {
    if !add_to {
        out.fill(S::zero());
    }
    for r in 0..x.rows() {
        add(out, x.row(r));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the crate's feature for AVX2, loops ran on 4 lanes where there is no AVX-512, and a
    /// fused addition was a call: one row of W1's MMoE took 1.5 ms, and takes 0.05.
    #[test]
    fn loops_are_compiled_for_what_the_processor_has() {
        let found = format!("{:?}", pulp::Arch::new());
        let expected = match super::super::instructions() {
            "avx512" => "V4",
            "avx2+fma" => "V3",
            _ => return,
        };
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn reductions_match_the_plain_sum_at_every_length() {
        for n in 0..70 {
            let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
            let y: Vec<f64> = (0..n).map(|i| (i as f64 * 1.3).cos()).collect();
            let plain: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
            assert!((vectorise(|| dot(&x, &y)) - plain).abs() < 1e-12);
            assert!((vectorise(|| sum(&x)) - x.iter().sum::<f64>()).abs() < 1e-12);
        }
    }

    #[test]
    fn column_sums_set_or_add() {
        let x = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let mut out = [10.0f32, 10.0];
        column_sums(&mut out, true, Mat::new(&x, 2, 2, 3));
        assert_eq!(out, [14.0, 16.0]);
        column_sums(&mut out, false, Mat::new(&x, 2, 2, 3));
        assert_eq!(out, [4.0, 6.0]);
    }
}
