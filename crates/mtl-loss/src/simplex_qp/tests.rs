//! Closed forms, enumeration as an oracle, and optimality on the matrices that break solvers.

use approx::assert_abs_diff_eq;
use proptest::prelude::*;

use super::*;

fn gram_of(rows: &[f64], n: usize) -> Vec<f64> {
    let dim = rows.len() / n;
    let row = |i: usize| &rows[i * dim..(i + 1) * dim];
    (0..n * n).map(|k| dot(row(k / n), row(k % n))).collect()
}

/// Solves, checks feasibility to 1e-12 and the relative KKT residual to 1e-8, returns w.
fn check(gram: &[f64], lower: &[f64]) -> Vec<f64> {
    let mut w = vec![0.0; lower.len()];
    let residual = SimplexQp::new(lower.len()).minimise(gram, lower, 1.0, &mut w);
    assert!(residual <= 1e-8, "residual {residual:e} of {w:?} for {gram:?} {lower:?}");
    assert!((w.iter().sum::<f64>() - 1.0).abs() <= 1e-12, "{w:?}");
    assert!(w.iter().zip(lower).all(|(w, c)| *w >= c - 1e-12), "{w:?} {lower:?}");
    w
}

/// The best of all supports by brute force, for non-singular matrices.
fn enumerate(gram: &[f64], lower: &[f64]) -> f64 {
    let n = lower.len();
    let mut best = f64::INFINITY;
    for mask in 1_u32..1 << n {
        let mut qp = SimplexQp::new(n);
        qp.support = (0..n).filter(|i| mask & (1 << i) != 0).collect();
        qp.solve_support(gram, lower, 1.0 - lower.iter().sum::<f64>());
        let mut w = lower.to_vec();
        for (&i, &v) in qp.support.iter().zip(&qp.trial) {
            w[i] += v;
        }
        if w.iter().zip(lower).all(|(w, c)| *w >= c - 1e-13) {
            let mut image = vec![0.0; n];
            multiply(gram, &w, &mut image);
            best = best.min(dot(&w, &image));
        }
    }
    best
}

#[test]
fn identical_tasks_share_equally() {
    let w = check(&[1.0, 1.0, 1.0, 1.0], &[0.0, 0.0]);
    assert_abs_diff_eq!(w[0], 0.5, epsilon = 1e-14);
    // Two of three are identical and orthogonal to the third: ½ to the third, ¼ to each twin.
    let w = check(&[1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0], &[0.0; 3]);
    assert_abs_diff_eq!(w[0], 0.25, epsilon = 1e-13);
    assert_abs_diff_eq!(w[1], 0.25, epsilon = 1e-13);
}

#[test]
fn nearest_to_uniform_on_a_segment() {
    // g = (1, −1, −3) on a line: zero needs w0 = w1 + 3·w2, the segment from (½, ½, 0) to
    // (¾, 0, ¼). The uniform point is projected onto it by hand.
    let line = [1.0, -1.0, -3.0];
    let w = check(&gram_of(&line, 3), &[0.0; 3]);
    let (start, step) = ([0.5, 0.5, 0.0], [0.25, -0.5, 0.25]);
    let along: f64 = (0..3).map(|i| step[i] * (1.0 / 3.0 - start[i])).sum::<f64>()
        / step.iter().map(|s| s * s).sum::<f64>();
    let s = along.clamp(0.0, 1.0);
    for i in 0..3 {
        assert_abs_diff_eq!(w[i], start[i] + s * step[i], epsilon = 1e-12);
    }
}

#[test]
fn nearest_to_uniform_with_a_lower_bound_in_the_way() {
    // The same line with w1 ≥ 0.45: of the segment only s ≤ 0.1 is left.
    let w = check(&gram_of(&[1.0, -1.0, -3.0], 3), &[0.0, 0.45, 0.0]);
    for (w, expected) in w.iter().zip([0.525, 0.45, 0.025]) {
        assert_abs_diff_eq!(*w, expected, epsilon = 1e-12);
    }
}

#[test]
fn scales_six_orders_apart_keep_their_digits() {
    // Orthogonal gradients: w_t ∝ 1/‖g_t‖².
    let norms = [1.0_f64, 1e-10, 1e-12];
    let gram: Vec<f64> = (0..9).map(|k| if k % 4 == 0 { norms[k / 4] } else { 0.0 }).collect();
    let w = check(&gram, &[0.0; 3]);
    let total: f64 = norms.iter().map(|v| 1.0 / v).sum();
    for (w, norm) in w.iter().zip(norms) {
        assert!((w * norm * total - 1.0).abs() < 1e-3 * norm.recip().min(1.0), "{w}");
    }
    assert!((w[1] - 1.0 / 1e-10 / total).abs() < 1e-12);
}

#[test]
fn bounds_that_leave_nothing_free_are_the_answer() {
    assert_eq!(check(&[1.0, 0.0, 0.0, 4.0], &[0.75, 0.25]), [0.75, 0.25]);
}

/// One shared column and a row at a time: the gradients are parallel, and one is nearly zero.
#[test]
fn parallel_gradients_of_lengths_far_apart_are_solved() {
    for lengths in [[4.343e-11, 0.21643, -2.7332], [1e-9, 1.0, -3.0], [-1e-13, 2.0, -1e-6]] {
        let gram: Vec<f64> = (0..9).map(|k| lengths[k / 3] * lengths[k % 3]).collect();
        let mut w = [0.0; 3];
        let residual = SimplexQp::new(3).minimise(&gram, &[0.0; 3], 1.0, &mut w);
        assert!(residual <= 1e-9, "{lengths:?}: {residual:e} at {w:?}");
        assert!(w.iter().all(|w| *w >= 0.0) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn two_tasks_have_a_closed_form(
        a in 0.01..10.0_f64, b in 0.01..10.0_f64, cosine in -0.999..0.999_f64,
    ) {
        let (aa, bb, ab) = (a * a, b * b, a * b * cosine);
        let w = check(&[aa, ab, ab, bb], &[0.0, 0.0]);
        let expected = ((bb - ab) / (aa + bb - 2.0 * ab)).clamp(0.0, 1.0);
        prop_assert!((w[0] - expected).abs() < 1e-10, "{} {expected}", w[0]);
    }

    #[test]
    fn no_support_is_better(
        rows in proptest::collection::vec(-1.0..1.0_f64, 6 * 8),
        bounds in proptest::collection::vec(0.0..0.15_f64, 6),
    ) {
        let gram = gram_of(&rows, 6);
        let w = check(&gram, &bounds);
        let mut image = vec![0.0; 6];
        multiply(&gram, &w, &mut image);
        let best = enumerate(&gram, &bounds);
        prop_assert!((dot(&w, &image) - best).abs() <= 1e-10 * max_abs(&gram));
    }

    #[test]
    fn optimal_on_singular_and_badly_scaled_matrices(
        n in 1_usize..17,
        rank in 1_usize..17,
        rows in proptest::collection::vec(-1.0..1.0_f64, 16 * 16),
        scales in proptest::collection::vec(-6.0..0.0_f64, 16),
        scaled in any::<bool>(),
        bound in 0.0..1.0_f64,
    ) {
        let mut points = Vec::new();
        for i in 0..n {
            let scale = if scaled { 10.0_f64.powf(scales[i]) } else { 1.0 };
            // Zero gradients never come here: they are left out before.
            points.push(scale * (rows[i * 16] + 0.1_f64.copysign(rows[i * 16])));
            points.extend(rows[i * 16 + 1..i * 16 + rank].iter().map(|x| scale * x));
        }
        check(&gram_of(&points, n), &vec![bound / n as f64; n]);
    }

    #[test]
    fn optimal_at_condition_1e12(
        n in 2_usize..17,
        rows in proptest::collection::vec(-1.0..1.0_f64, 16 * 16),
    ) {
        // Q diag(1 … 1e-12) Qᵀ with Q from the eigenvectors of a random symmetric matrix.
        let symmetric: Vec<f64> =
            (0..n * n).map(|k| rows[(k / n) * 16 + k % n] + rows[(k % n) * 16 + k / n]).collect();
        let mut eigen = crate::linear_algebra::Eigen::new(n);
        prop_assert_eq!(eigen.decompose(&symmetric, n), Ok(()));
        let value = |k: usize| 10.0_f64.powf(-12.0 * k as f64 / (n - 1) as f64);
        let gram: Vec<f64> = (0..n * n)
            .map(|e| (0..n).map(|k| value(k) * eigen.vector(k, e / n) * eigen.vector(k, e % n)).sum())
            .collect();
        check(&gram, &vec![0.0; n]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn optimal_with_parallel_gradients_of_different_lengths(
        n in 1_usize..17,
        rows in proptest::collection::vec(
            prop_oneof![3 => Just(0.0), 1 => Just(1.0), 1 => Just(-1.0), 3 => -1.0..1.0_f64],
            16 * 6,
        ),
        scales in proptest::collection::vec(-2.0..2.0_f64, 16),
    ) {
        // More tasks than dimensions, many of them on one line: a large set of minimisers.
        let first = |k: usize| if k.is_multiple_of(6) && rows[k] == 0.0 { 1e-3 } else { rows[k] };
        let points: Vec<f64> =
            (0..n * 6).map(|k| first(k) * 10.0_f64.powf(scales[k / 6])).collect();
        check(&gram_of(&points, n), &vec![0.0; n]);
    }

    #[test]
    fn of_several_minimisers_the_nearest_to_uniform(
        n in 2_usize..10,
        rank in 1_usize..4,
        rows in proptest::collection::vec(-1.0..1.0_f64, 10 * 4),
        toward in proptest::collection::vec(0.0..1.0_f64, 10),
    ) {
        // Optimality of a projection: u − w makes no acute angle with the way to any other minimiser.
        // Others are found by solving from the same program with its tasks pulled to random points.
        let points: Vec<f64> = (0..n)
            .flat_map(|i| rows[i * 4..i * 4 + rank].iter().map(|x| x + 0.01_f64.copysign(*x)))
            .collect();
        let gram = gram_of(&points, n);
        let w = check(&gram, &vec![0.0; n]);
        // Pulling: minimise wᵀG w + 1e-9 ‖w − p‖² for a random p of the simplex.
        let total: f64 = toward[..n].iter().sum::<f64>() + 1e-3;
        let pull: Vec<f64> = toward[..n].iter().map(|t| (t + 1e-3 / n as f64) / total).collect();
        let other = pulled(&gram, &pull, 1e-9);
        let towards: f64 = (0..n).map(|i| (1.0 / n as f64 - w[i]) * (other[i] - w[i])).sum();
        prop_assert!(towards <= 1e-4, "{towards:e} {w:?} {other:?}");
    }
}

/// argmin wᵀG w + ε ‖w − p‖² over the simplex: where Σ w = 1 the objective is wᵀH w with
/// H = G + ε (I − p1ᵀ − 1pᵀ + ‖p‖²·11ᵀ).
fn pulled(gram: &[f64], p: &[f64], epsilon: f64) -> Vec<f64> {
    let n = p.len();
    let shifted: Vec<f64> = (0..n * n)
        .map(|k| {
            let (i, j) = (k / n, k % n);
            let constant = dot(p, p);
            gram[k] + epsilon * (f64::from(u8::from(i == j)) - p[i] - p[j] + constant)
        })
        .collect();
    let mut w = vec![0.0; n];
    SimplexQp::new(n).minimise(&shifted, &vec![0.0; n], 1.0, &mut w);
    w
}
