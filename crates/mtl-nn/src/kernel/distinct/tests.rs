//! Products over classes against sums over rows.

use proptest::prelude::*;

use super::*;
use crate::kernel::{Bank, Instructions, Kernels, Precision, Scratch};

/// Columns of ids, each with the number of its ids, and columns of values between them.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    runs: Vec<(Range<usize>, usize)>,
    n_in: usize,
    n_out: usize,
}

impl Case {
    fn new(rows: usize, parts: &[(usize, usize)], n_out: usize) -> Self {
        let (mut runs, mut end) = (Vec::new(), 0);
        for &(width, n_ids) in parts {
            if n_ids > 0 {
                runs.push((end..end + width, n_ids));
            }
            end += width;
        }
        Self { rows, runs, n_in: end, n_out }
    }

    fn id(&self, run: usize, row: usize) -> usize {
        crate::kernel::hash(run as u64, row as u64) as usize % self.runs[run].1
    }

    /// x, whose rows of one id hold the same values in its columns.
    fn x(&self, row: usize, column: usize) -> f64 {
        let run = self.runs.iter().position(|(columns, _)| columns.contains(&column));
        let key = run.map_or(row, |run| 1000 + self.id(run, row));
        ((key * 31 + column * 7) as f64 * 0.37).sin()
    }

    fn distinct<S: Scalar>(&self, x: Mat<'_, S>) -> Distinct<S> {
        let columns = self.runs.iter().map(|run| run.0.clone()).collect();
        let mut distinct = Distinct::new(columns, self.n_in);
        // Twice: nothing of other rows stays.
        for rows in [self.rows.div_ceil(2), self.rows] {
            distinct.reset(rows);
            for run in 0..self.runs.len() {
                distinct.begin_run();
                let mut classes = std::collections::BTreeMap::new();
                for row in 0..rows {
                    match classes.get(&self.id(run, row)) {
                        Some(&class) => distinct.join(row, class),
                        None => {
                            classes.insert(self.id(run, row), distinct.open(row));
                        }
                    }
                }
            }
            distinct.close();
        }
        distinct.fill(x);
        distinct
    }
}

fn w(i: usize, j: usize) -> f64 {
    ((i * 13 + j * 5) as f64 * 0.71).cos()
}

fn dz(row: usize, j: usize) -> f64 {
    ((row * 17 + j * 3) as f64 * 0.53).sin()
}

fn values<S: Scalar>(rows: usize, cols: usize, of: impl Fn(usize, usize) -> f64) -> Vec<S> {
    (0..rows * cols).map(|i| S::of(of(i / cols, i % cols))).collect()
}

/// What a case's products are, by sums in f64 over rows.
struct Expected {
    y: Vec<f64>,
    dw: Vec<f64>,
    /// Of each row by itself.
    dx: Vec<f64>,
}

fn expected(case: &Case, start: usize) -> Expected {
    let (rows, n_in, n_out) = (case.rows, case.n_in, case.n_out);
    let n = n_out - start;
    let x = values::<f64>(rows, n_in, |r, c| case.x(r, c));
    let (w, dz) = (values::<f64>(n_in, n_out, w), values::<f64>(rows, n, dz));
    let mut expected = Expected {
        y: vec![0.0; rows * n_out],
        dw: vec![0.0; n_in * n],
        dx: vec![0.0; rows * n_in],
    };
    for (r, c) in (0..rows).flat_map(|r| (0..n_in).map(move |c| (r, c))) {
        let (x, w) = (x[r * n_in + c], &w[c * n_out..(c + 1) * n_out]);
        let dz = &dz[r * n..(r + 1) * n];
        add_times(&mut expected.y[r * n_out..(r + 1) * n_out], x, w);
        add_times(&mut expected.dw[c * n..(c + 1) * n], x, dz);
        expected.dx[r * n_in + c] = dz.iter().zip(&w[start..]).map(|(a, b)| a * b).sum();
    }
    expected
}

fn add_times(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor * value);
}

fn close<S: Scalar>(what: &str, found: &[S], slack: f64, expected: impl Fn(usize) -> f64) {
    for (i, found) in found.iter().enumerate() {
        let expected = expected(i);
        let near = (found.f64() - expected).abs() <= slack * (1.0 + expected.abs());
        assert!(near, "{what} {i}: {found} {expected}");
    }
}

/// Compares the products, the gradients of the columns from `start` on alone.
fn check<S: Scalar>(
    (case, expected): (&Case, &Expected),
    kernels: Kernels,
    packed: bool,
    start: usize,
    slack: f64,
) {
    let (rows, n_in, n_out) = (case.rows, case.n_in, case.n_out);
    let x = values::<S>(rows, n_in, |r, c| case.x(r, c));
    let weights = values::<S>(n_in, n_out, w);
    let (x, weights) = (Mat::new(&x, rows, n_in, n_in), Mat::new(&weights, n_in, n_out, n_out));
    let mut bank = Bank::new::<S>(kernels, n_in, n_out).filter(|_| packed);
    if let Some(bank) = &mut bank {
        bank.pack(weights);
    }
    let (banks, mut scratch) = ([bank], Scratch::default());
    let mut products = Products::new(kernels, &banks, &mut scratch);
    let (distinct, mut room) = (case.distinct(x), ClassRoom::default());

    let mut y = vec![S::of(9.0); rows * n_out];
    let to = MatMut::new(&mut y, rows, n_out, n_out);
    let by = Factor { bank: 0, start: 0, w: weights };
    let mut done = Vec::new();
    products.forward_distinct(to, x, by, &distinct, &mut room, |_, n| done.push(n));
    assert!(done.is_sorted() && done.last() == Some(&n_out), "{done:?} of {n_out} columns");
    close("y", &y, slack, |i| expected.y[i]);

    let n = n_out - start;
    let gradient = values::<S>(rows, n, dz);
    let gradient = Mat::new(&gradient, rows, n, n);
    let by = Factor { bank: 0, start, w: weights.columns(start, n) };
    for (add, only_heads) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut dw = vec![S::one(); n_in * n];
        let mut dx = vec![S::one(); rows * n_in];
        products.backward_distinct(
            Some(Sink { to: MatMut::new(&mut dw, n_in, n, n), add }),
            Some(Sink { to: MatMut::new(&mut dx, rows, n_in, n_in), add }),
            (x, gradient),
            by,
            (&distinct, only_heads),
            &mut room,
        );
        let before = if add { 1.0 } else { 0.0 };
        close("dW", &dw, slack, |i| before + expected.dw[i]);
        close("dx", &dx, slack, |i| {
            let (r, c) = (i / n_in, i % n_in);
            let Some(run) = case.runs.iter().position(|run| run.0.contains(&c)) else {
                return before + expected.dx[i];
            };
            let alike = |&other: &usize| case.id(run, other) == case.id(run, r);
            let of_class = (0..rows).filter(alike).map(|r| expected.dx[r * n_in + c]);
            match (0..r).any(|other| alike(&other)) {
                true if only_heads => 1.0,
                true => before,
                false => before + of_class.sum::<f64>(),
            }
        });
    }
}

/// Every choice of kernels that this processor can run in f32.
fn all_kernels() -> impl Iterator<Item = Kernels> {
    let most = [Instructions::Portable, Instructions::Avx2, Instructions::Avx512];
    most.into_iter().map(|most| Kernels::new(Precision::F32).at_most(most))
}

fn check_all(case: &Case, start: usize) {
    let expected = expected(case, start);
    check::<f64>((case, &expected), Kernels::default(), false, start, 1e-11);
    for kernels in all_kernels() {
        check::<f32>((case, &expected), kernels, true, start, 1e-4);
        check::<f32>((case, &expected), kernels, false, start, 1e-4);
    }
}

#[test]
fn products_over_classes_are_those_over_rows() {
    let mixed = [(16, 5), (3, 0), (16, 40), (8, 2), (5, 3), (1, 1), (2, 0), (32, 9), (40, 200)];
    for n_out in [32, 70, 131] {
        for rows in [1, 2, 47] {
            check_all(&Case::new(rows, &mixed, n_out), 0);
            check_all(&Case::new(rows, &mixed, n_out), 7);
        }
    }
    check_all(&Case::new(33, &[(16, 4), (16, 9)], 96), 32);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn products_over_classes_of_any_columns(
        rows in 1usize..60,
        parts in prop::collection::vec((1usize..24, 0usize..12), 1..6),
        n_out in 1usize..100,
        start in 0usize..100,
    ) {
        prop_assume!(parts.iter().any(|part| part.1 > 0));
        check_all(&Case::new(rows, &parts, n_out), start % n_out);
    }
}

/// Sums of one value have one order, whichever rows stand beside it, and wherever the weights are.
#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    let case = Case::new(45, &[(16, 5), (3, 0), (8, 30), (5, 2), (4, 0)], 83);
    let x = values::<f32>(case.rows, case.n_in, |r, c| case.x(r, c));
    let weights = values::<f32>(case.n_in, case.n_out, w);
    let weights = Mat::new(&weights, case.n_in, case.n_out, case.n_out);
    for kernels in all_kernels().filter(|kernels| kernels.keep_order::<f32>()) {
        let mut found = Vec::new();
        for (rows, packed) in
            [(45, true), (45, false), (2, true), (2, false), (1, true), (1, false)]
        {
            let case = Case { rows, ..case.clone() };
            let x = Mat::new(&x, rows, case.n_in, case.n_in);
            let mut bank = Bank::forward::<f32>(kernels, case.n_in, case.n_out);
            bank.as_mut().expect("a packed engine").pack(weights);
            let (banks, mut scratch) = ([bank.filter(|_| packed)], Scratch::default());
            let mut products = Products::new(kernels, &banks, &mut scratch);
            let mut y = vec![0.0; rows * case.n_out];
            let to = MatMut::new(&mut y, rows, case.n_out, case.n_out);
            let by = Factor { bank: 0, start: 0, w: weights };
            let mut room = ClassRoom::default();
            products.forward_distinct(to, x, by, &case.distinct(x), &mut room, |_, _| ());
            y.truncate(case.n_out);
            found.push(y);
        }
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{kernels}");
    }
}
