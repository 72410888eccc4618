//! Matrix products.

#![allow(unsafe_code, reason = "the GEMM crate takes raw pointers; shapes are checked here")]

use super::{axpy, dot, scale, vectorise};
use crate::{Mat, MatMut, Scalar};

/// Which factor of a product is read transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transpose {
    /// `A·B`: the forward pass, y = x·W.
    Neither,
    /// `Aᵀ·B`: the gradient of weights, xᵀ·δ.
    First,
    /// `A·Bᵀ`: the gradient of an input, δ·Wᵀ.
    Second,
}

/// `C = A·B`, or `C += A·B` with `add_to`, with one factor transposed on request.
///
/// Columns and rank-1 products (the last layer of a tower) take loops of their own: a blocked
/// product spends its time packing them.
///
/// # Panics
/// If the shapes do not fit.
pub fn product<S: Scalar>(
    mut c: MatMut<'_, S>,
    add_to: bool,
    a: Mat<'_, S>,
    b: Mat<'_, S>,
    transpose: Transpose,
) {
    let (m, k) = match transpose {
        Transpose::First => (a.cols(), a.rows()),
        _ => (a.rows(), a.cols()),
    };
    let (k_b, n) = match transpose {
        Transpose::Second => (b.cols(), b.rows()),
        _ => (b.rows(), b.cols()),
    };
    assert!(
        k == k_b && c.rows() == m && c.cols() == n,
        "product of shapes {m}×{k} and {k_b}×{n} into {}×{}",
        c.rows(),
        c.cols()
    );
    if m == 0 || n == 0 {
        return;
    }
    match transpose {
        Transpose::Neither if n == 1 && b.stride() == 1 => vectorise(
            #[inline(always)]
            || {
                let b = &b.data()[..k];
                for r in 0..m {
                    let value = dot(a.row(r), b);
                    let c = &mut c.row(r)[0];
                    *c = if add_to { *c + value } else { value };
                }
            },
        ),
        Transpose::Neither if m == 1 => {
            let (c, a) = (c.row(0), a.row(0));
            // As the blocked product does it on the same processor: a row alone gets its bits.
            if super::fuses() {
                vectorise(
                    #[inline(always)]
                    || row_times::<S, true>(c, add_to, a, b),
                );
            } else {
                row_times::<S, false>(c, add_to, a, b);
            }
        }
        Transpose::First if n == 1 && c.stride() == 1 => vectorise(
            #[inline(always)]
            || {
                let c = &mut c.data()[..m];
                if !add_to {
                    c.fill(S::zero());
                }
                for r in 0..k {
                    axpy(c, b.row(r)[0], a.row(r));
                }
            },
        ),
        Transpose::Second if k == 1 && b.stride() == 1 => vectorise(
            #[inline(always)]
            || {
                let b = &b.data()[..n];
                for r in 0..m {
                    let factor = a.row(r)[0];
                    if add_to { axpy(c.row(r), factor, b) } else { scale(c.row(r), factor, b) }
                }
            },
        ),
        _ => blocked(c, add_to, a, b, transpose, (m, k, n)),
    }
}

/// c (+)= a·B for one row. A blocked product copies B before it reads it, for nothing where it is read
/// once; here it streams by, eight rows at a time, while c stays in the first-level cache.
#[inline(always)]
fn row_times<S: Scalar, const FUSED: bool>(c: &mut [S], add_to: bool, a: &[S], b: Mat<'_, S>) {
    if !add_to {
        c.fill(S::zero());
    }
    let n = c.len();
    let multiply_add = |a: S, b: S, sum: S| if FUSED { a.mul_add(b, sum) } else { a * b + sum };
    let (eights, rest) = a.as_chunks::<8>();
    for (i, a) in eights.iter().enumerate() {
        let row = |r: usize| &b.row(8 * i + r)[..n];
        let (b0, b1, b2, b3) = (row(0), row(1), row(2), row(3));
        let (b4, b5, b6, b7) = (row(4), row(5), row(6), row(7));
        for j in 0..n {
            let mut sum = multiply_add(a[0], b0[j], c[j]);
            sum = multiply_add(a[1], b1[j], sum);
            sum = multiply_add(a[2], b2[j], sum);
            sum = multiply_add(a[3], b3[j], sum);
            sum = multiply_add(a[4], b4[j], sum);
            sum = multiply_add(a[5], b5[j], sum);
            sum = multiply_add(a[6], b6[j], sum);
            c[j] = multiply_add(a[7], b7[j], sum);
        }
    }
    for (i, &a) in rest.iter().enumerate() {
        for (c, &b) in c.iter_mut().zip(b.row(8 * eights.len() + i)) {
            *c = multiply_add(a, b, *c);
        }
    }
}

fn blocked<S: Scalar>(
    mut c: MatMut<'_, S>,
    add_to: bool,
    a: Mat<'_, S>,
    b: Mat<'_, S>,
    transpose: Transpose,
    (m, k, n): (usize, usize, usize),
) {
    let strides = |x: Mat<'_, S>, transposed: bool| {
        let stride = x.stride() as isize;
        if transposed { (stride, 1) } else { (1, stride) }
    };
    let (a_cs, a_rs) = strides(a, transpose == Transpose::First);
    let (b_cs, b_rs) = strides(b, transpose == Transpose::Second);
    let c_rs = c.stride() as isize;
    // SAFETY: the three views' constructors checked that every (row, column) below their shape
    // lies in their slice at the stride passed here; `product` checked that the shapes agree
    // with m, k, n; `c` is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.data().as_mut_ptr(),
            1,
            c_rs,
            add_to,
            a.data().as_ptr(),
            a_cs,
            a_rs,
            b.data().as_ptr(),
            b_cs,
            b_rs,
            S::one(),
            S::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(i: usize) -> f64 {
        (i as f64 * 0.37).sin()
    }

    /// Compares with the triple loop, over strided windows.
    fn check(m: usize, k: usize, n: usize, transpose: Transpose, add_to: bool, pad: usize) {
        let (a_rows, a_cols) = if transpose == Transpose::First { (k, m) } else { (m, k) };
        let (b_rows, b_cols) = if transpose == Transpose::Second { (n, k) } else { (k, n) };
        let a: Vec<f64> = (0..a_rows * (a_cols + pad)).map(value).collect();
        let b: Vec<f64> = (0..b_rows * (b_cols + pad)).map(|i| value(i + 7)).collect();
        let mut c: Vec<f64> = (0..m * (n + pad)).map(|i| value(i + 13)).collect();
        let before = c.clone();
        let (a, b) = (
            Mat::new(&a, a_rows, a_cols, a_cols + pad),
            Mat::new(&b, b_rows, b_cols, b_cols + pad),
        );
        product(MatMut::new(&mut c, m, n, n + pad), add_to, a, b, transpose);
        for r in 0..m {
            for j in 0..n {
                let mut expected = if add_to { before[r * (n + pad) + j] } else { 0.0 };
                for i in 0..k {
                    let x = if transpose == Transpose::First { a.row(i)[r] } else { a.row(r)[i] };
                    let y = if transpose == Transpose::Second { b.row(j)[i] } else { b.row(i)[j] };
                    expected += x * y;
                }
                assert!((c[r * (n + pad) + j] - expected).abs() < 1e-12, "{m} {k} {n} at {r},{j}");
            }
            assert_eq!(
                c[r * (n + pad) + n..(r + 1) * (n + pad)],
                before[r * (n + pad) + n..(r + 1) * (n + pad)]
            );
        }
    }

    #[test]
    fn products_match_the_triple_loop() {
        for transpose in [Transpose::Neither, Transpose::First, Transpose::Second] {
            for add_to in [false, true] {
                for pad in [0, 3] {
                    for (m, k, n) in
                        [(1, 1, 1), (5, 1, 9), (7, 20, 1), (1, 33, 18), (1, 8, 5), (13, 17, 19)]
                    {
                        check(m, k, n, transpose, add_to, pad);
                    }
                }
            }
        }
    }

    /// A candidate that is scored alone gets the score that it gets among others.
    #[test]
    fn a_row_alone_has_the_bits_that_it_has_among_others() {
        let (k, n) = (57, 83);
        let a: Vec<f32> = (0..5 * k).map(|i| value(i) as f32).collect();
        let b: Vec<f32> = (0..k * n).map(|i| value(i + 7) as f32).collect();
        let (a, b) = (Mat::new(&a, 5, k, k), Mat::new(&b, k, n, n));
        let mut all = vec![0.0; 5 * n];
        product(MatMut::new(&mut all, 5, n, n), false, a, b, Transpose::Neither);
        for r in 0..5 {
            let mut one = vec![0.0; n];
            let row = Mat::new(a.row(r), 1, k, k);
            product(MatMut::new(&mut one, 1, n, n), false, row, b, Transpose::Neither);
            assert_eq!(one, all[r * n..(r + 1) * n]);
        }
    }

    #[test]
    fn an_empty_inner_dimension_gives_zero() {
        let mut c = [7.0f64; 4];
        let (a, b) = (Mat::new(&[], 2, 0, 0), Mat::new(&[], 0, 2, 2));
        product(MatMut::new(&mut c, 2, 2, 2), false, a, b, Transpose::Neither);
        assert_eq!(c, [0.0; 4]);
    }
}
