//! Sums over rows that are the same for every number of threads.

use rayon::prelude::*;

/// Rows that one thread walks in one go. A constant, so that the order of additions does not depend on the machine.
pub(crate) const CHUNK: usize = 1 << 16;

/// Adds rows `0..n_rows` to an accumulator: in row order within chunks of a fixed length, then the
/// chunks in their order.
pub(crate) fn sum_over_rows<A: Send>(
    n_rows: usize,
    zero: impl Fn() -> A + Sync,
    add: impl Fn(&mut A, usize) + Sync,
    merge: impl Fn(&mut A, A),
) -> A {
    let parts: Vec<A> = (0..n_rows.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut part = zero();
            for row in chunk * CHUNK..((chunk + 1) * CHUNK).min(n_rows) {
                add(&mut part, row);
            }
            part
        })
        .collect();
    let mut total = zero();
    for part in parts {
        merge(&mut total, part);
    }
    total
}

/// Adds two or more sums element by element.
pub(crate) fn merge_sums<const N: usize>(total: &mut [f64; N], part: [f64; N]) {
    for (t, p) in total.iter_mut().zip(part) {
        *t += p;
    }
}
