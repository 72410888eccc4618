//! Initial values, keyed by (seed, path).
//!
//! A parameter draws from a generator of its own, seeded by the model's seed and the parameter's
//! path, so adding, removing or reordering other parameters changes none of its values.

use ndarray_rand::rand::{RngCore, SeedableRng};
use ndarray_rand::rand_distr::{Distribution, Normal, Uniform};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// Every value the same.
    Constant(f64),
    /// U(−a, a) with a = √(6 / (n_in + n_out)); Glorot & Bengio, 2010, eq. 16.
    GlorotUniform,
    /// N(0, 2 / n_in); He et al., 2015, eq. 10.
    HeNormal,
    /// U(−bound, bound).
    Uniform(f64),
    /// N(0, deviation²).
    Normal(f64),
    /// One value on the diagonal, another beside it.
    Diagonal {
        /// Where row and column agree.
        on: f64,
        /// Everywhere else.
        off: f64,
    },
}

impl Init {
    /// The values of an `rows × cols` parameter, row-major, handed to `put` one by one.
    ///
    /// The draws are made in `f64`, so `f32` and `f64` models of one seed start alike.
    pub(crate) fn fill(
        self,
        seed: u64,
        path: &str,
        rows: usize,
        cols: usize,
        put: &mut dyn FnMut(f64),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(xxh3_64_with_seed(path.as_bytes(), seed));
        let n = rows * cols;
        match self {
            Self::Constant(value) => (0..n).for_each(|_| put(value)),
            Self::GlorotUniform => {
                uniform((6.0 / (rows + cols) as f64).sqrt(), n, &mut rng, put);
            }
            Self::Uniform(bound) => uniform(bound, n, &mut rng, put),
            Self::HeNormal => normal((2.0 / rows as f64).sqrt(), n, &mut rng, put),
            Self::Normal(deviation) => normal(deviation, n, &mut rng, put),
            Self::Diagonal { on, off } => {
                (0..n).for_each(|i| put(if i / cols == i % cols { on } else { off }));
            }
        }
    }
}

fn uniform(bound: f64, n: usize, rng: &mut impl RngCore, put: &mut dyn FnMut(f64)) {
    match Uniform::new(-bound, bound) {
        Ok(draw) => (0..n).for_each(|_| put(draw.sample(rng))),
        Err(_) => (0..n).for_each(|_| put(0.0)), // a bound of 0 leaves nothing to draw from
    }
}

fn normal(deviation: f64, n: usize, rng: &mut impl RngCore, put: &mut dyn FnMut(f64)) {
    match Normal::new(0.0, deviation) {
        Ok(draw) => (0..n).for_each(|_| put(draw.sample(rng))),
        Err(_) => (0..n).for_each(|_| put(0.0)),
    }
}
