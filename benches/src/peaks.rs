//! What this machine does at most, on one thread: multiplications and additions, and bytes read.
//!
//! Every rate is the best of many calls: what is asked is what the machine can do, not what its
//! neighbours leave of it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtl_nn::kernel::{Kernels, Transpose, product, vectorise};
use mtl_nn::layers::{Activation, Mlp};
use mtl_nn::{
    Batch, Frozen, Graph, GraphBuilder, Mat, MatMut, Params, Predictor, Result, SHARD_ROWS, Var,
};
use pulp::{Arch, Simd, WithSimd};

use crate::uniform;

/// How long a rate is measured.
const BUDGET: Duration = Duration::from_millis(200);

/// Sums on the way at once: more than a fused multiplication takes cycles on two units.
const CHAINS: usize = 10;
/// Steps of each sum in a call.
const LINKS: usize = 20_000;

/// Sets of bytes that are read again and again: one that a second-level cache holds, one for the third
/// level, and one for no cache.
pub const READ_BYTES: [(&str, usize); 3] =
    [("L2", 256 << 10), ("L3", 8 << 20), ("memory", 256 << 20)];

/// GFLOP/s of multiplications and additions that stay in registers, fused where the processor fuses.
pub fn fused() -> f64 {
    let lanes = Arch::new().dispatch(Lanes);
    best((2 * CHAINS * lanes * LINKS) as f64, || {
        black_box(Arch::new().dispatch(Chains { a: black_box(0.5), b: black_box(0.25) }));
    })
}

/// GFLOP/s of the GEMM crate on a shard of rows: y = x·W, W n_in × n_out.
pub fn gemm(n_in: usize, n_out: usize) -> f64 {
    let x = values(1, SHARD_ROWS * n_in);
    let w = values(2, n_in * n_out);
    let mut y = vec![0.0; SHARD_ROWS * n_out];
    best(flops(n_in, n_out), || {
        let x = Mat::new(&x, SHARD_ROWS, n_in, n_in);
        let w = Mat::new(&w, n_in, n_out, n_out);
        let to = MatMut::new(&mut y, SHARD_ROWS, n_out, n_out);
        product(to, false, x, w, Transpose::Neither);
        black_box(&y);
    })
}

/// GFLOP/s of our kernels on the same, as a layer of a prediction: its bias and a copy of x count as
/// lost time. The caller's thread pool should have one thread.
///
/// # Errors
/// Those of the graph.
pub fn ours(n_in: usize, n_out: usize) -> Result<f64> {
    let (graph, y) = layer(n_in, n_out)?;
    let params = Params::init(graph.layout(), 1);
    let frozen = Frozen::new(Arc::clone(&graph), &params, Kernels::default());
    // One column is asked for, and the whole layer is computed.
    let mut predictor = Predictor::of(Arc::clone(&graph), vec![y.columns(0, 1)]);
    let mut batch = Batch::for_graph(&graph);
    batch.rows = SHARD_ROWS;
    batch.values[0] = values(1, SHARD_ROWS * n_in);
    let mut out = vec![0.0; SHARD_ROWS];
    predictor.predict_frozen_into(&frozen, &batch, &mut out)?; // it fits; from here on it does
    Ok(best(flops(n_in, n_out), || {
        let done = predictor.predict_frozen_into(&frozen, &batch, &mut out);
        black_box((done.is_ok(), &out));
    }))
}

/// GB/s at which so many bytes are read, again and again.
pub fn reading(bytes: usize) -> f64 {
    let words = vec![1.0f32; bytes / size_of::<f32>()];
    best(bytes as f64, || {
        black_box(vectorise(
            #[inline(always)]
            || sum(&words),
        ));
    })
}

fn layer(n_in: usize, n_out: usize) -> Result<(Arc<Graph<f32>>, Var)> {
    let mut b = GraphBuilder::new();
    let x = b.values("x", n_in)?;
    let x = b.read(x)?;
    let y = Mlp::new(&[n_out], Activation::Linear).build(&mut b, "layer", x)?;
    Ok((Arc::new(b.finish()), y))
}

fn flops(n_in: usize, n_out: usize) -> f64 {
    (2 * SHARD_ROWS * n_in * n_out) as f64
}

fn values(key: u64, n: usize) -> Vec<f32> {
    (0..n).map(|i| uniform(key, i) as f32 - 0.5).collect()
}

/// The best rate of a call that does so much work, in 10⁹ a second.
fn best(work: f64, mut call: impl FnMut()) -> f64 {
    call(); // pages and caches
    let (started, mut shortest) = (Instant::now(), f64::INFINITY);
    while started.elapsed() < BUDGET || shortest.is_infinite() {
        let start = Instant::now();
        call();
        shortest = shortest.min(start.elapsed().as_secs_f64());
    }
    work / shortest / 1e9
}

/// The values in a register.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// `CHAINS` registers, each `LINKS` times multiplied by a and added to b. A contraction to b / (1 − a):
/// neither overflow nor denormal numbers, which would be slower.
///
/// The registers are named as such: a loop over arrays of lanes was once left in memory by the
/// compiler, and gave a twentieth.
struct Chains {
    a: f32,
    b: f32,
}

impl WithSimd for Chains {
    /// The sum of all chains and lanes.
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (a, b) = (simd.splat_f32s(self.a), simd.splat_f32s(self.b));
        let mut sums = [simd.splat_f32s(0.0); CHAINS];
        for _ in 0..LINKS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, a, b);
            }
        }
        sums.iter().map(|&sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// Sums on the way at once while reading: as many as keep two loads a cycle busy.
const WIDE: usize = 64;

#[inline(always)]
fn sum(words: &[f32]) -> f32 {
    let mut lanes = [0.0f32; WIDE];
    for chunk in words.as_chunks::<WIDE>().0 {
        for l in 0..WIDE {
            lanes[l] += chunk[l];
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_and_sums_compute_what_they_say() {
        // The sum of a geometric series, in every lane of every chain.
        let arch = Arch::new();
        let n = (CHAINS * arch.dispatch(Lanes)) as f32;
        let found = arch.dispatch(Chains { a: 0.5, b: 0.25 });
        assert!((found - 0.5 * n).abs() < 1e-4 * n, "{found}");
        assert_eq!(arch.dispatch(Chains { a: 0.5, b: 0.0 }), 0.0);
        assert_eq!(sum(&[1.0; 3 * WIDE]), (3 * WIDE) as f32);
    }
}
