//! A warm training step and a warm prediction allocate nothing of ours.
//!
//! In every larger product the GEMM crate allocates a buffer to pack its factors into, and a list
//! of what is packed. The buffer is told by its alignment, a cache line, which no type of this
//! crate asks for, and the list by being bytes that are zeroed; the first assertions show that a
//! product allocates nothing else. One thread runs all: with several, rayon may grow a queue
//! whenever the operating system happens to let one thread run ahead.

#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

#[path = "suite/common/mod.rs"]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{Settings, batch, model, on_threads};
use mtl_nn::kernel::{Instructions, Kernels, Precision, Transpose, product};
use mtl_nn::{
    Batch, Mat, MatMut, Optimiser, OptimiserConfig, Params, Predictor, Result, Rule, Step,
    TableUpdate,
};

/// The alignment of the GEMM crate's buffers.
const PACKING: usize = 128;

struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static OURS: AtomicUsize = AtomicUsize::new(0);
static PACKED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(layout: Layout, zeroed: bool) {
    if ON.load(Ordering::Relaxed) {
        let packing = layout.align() == PACKING || (zeroed && layout.align() == 1);
        let counter = if packing { &PACKED } else { &OURS };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, false);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout, true);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout, false);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Allocations that `work` makes: of ours, and of packing buffers.
fn allocations(work: impl FnOnce()) -> (usize, usize) {
    let before = (OURS.load(Ordering::Relaxed), PACKED.load(Ordering::Relaxed));
    ON.store(true, Ordering::Relaxed);
    work();
    ON.store(false, Ordering::Relaxed);
    (OURS.load(Ordering::Relaxed) - before.0, PACKED.load(Ordering::Relaxed) - before.1)
}

/// What the GEMM crate allocates: packing buffers and their lists, and nothing else.
fn products_only_pack() {
    let (m, k, n) = (256, 240, 200);
    let (a, b, mut c) = (vec![1.0f32; m * k], vec![1.0f32; k * n], vec![0.0f32; m * n]);
    let mut run = || {
        let c = MatMut::new(&mut c, m, n, n);
        product(c, false, Mat::new(&a, m, k, k), Mat::new(&b, k, n, n), Transpose::Neither);
    };
    run(); // the first product of a thread makes a buffer that it keeps
    let (ours, packed) = allocations(|| (0..10).for_each(|_| run()));
    assert_eq!(ours, 0);
    assert!(packed <= 20, "{packed} in 10 products");
    let (ours, _) = allocations(|| drop(std::hint::black_box(vec![0.0f32; 8])));
    assert_eq!(ours, 1, "the counter counts");
}

fn check(config: OptimiserConfig, kernels: Kernels) -> Result<()> {
    let graph = model::<f32>(Settings { dropout: 0.2, norm: true })?;
    let batches: Vec<Batch<f32>> = (0..4).map(|i| batch(&graph, 700 - 100 * i, i as u64)).collect();
    let mut params = Params::init(graph.layout(), 1);
    let mut optimiser = Optimiser::new(config, graph.layout())?;
    let mut step = Step::new(Arc::clone(&graph))?.with_kernels(kernels);
    let mut predictor = Predictor::new(Arc::clone(&graph));
    let mut out = vec![0.0; 700 * 2];
    step.run(&mut params, &mut optimiser, &batches[0], &[1.0, 1.0], 1)?;
    predictor.predict_into(&params, &batches[0], &mut out)?;
    for batch in &batches {
        let mut result = Ok(0.0);
        let (ours, packed) = allocations(|| {
            let report = step.run(&mut params, &mut optimiser, batch, &[1.0, 1.0], 1);
            result = report.map(|r| r.losses[0]);
        });
        assert!(result?.is_finite());
        // A buffer and a list, three products a layer, six layers, three shards.
        assert!(packed <= 2 * 3 * 6 * 3, "{packed} packing buffers, {kernels}, {config:?}");
        assert_eq!(ours, 0, "a step of {} rows, {config:?}", batch.rows);
        let mut result = Ok(());
        let out = &mut out[..2 * batch.rows];
        let (ours, _) = allocations(|| result = predictor.predict_into(&params, batch, out));
        result?;
        assert_eq!(ours, 0, "a prediction of {} rows", batch.rows);
    }
    Ok(())
}

#[test]
fn a_warm_step_allocates_nothing_of_ours() -> Result<()> {
    on_threads(1, || {
        products_only_pack();
        let base = OptimiserConfig { l2: 1e-4, l2_tables: 1e-4, ..OptimiserConfig::default() };
        let (f32, bf16) = (Kernels::default(), Kernels::new(Precision::Bf16));
        for kernels in [f32, f32.at_most(Instructions::Portable), bf16] {
            check(base, kernels)?;
        }
        let clip_norm = Some(0.1);
        check(OptimiserConfig { table_update: TableUpdate::Dense, clip_norm, ..base }, f32)?;
        let row = Rule::RowAdagrad { lr: 0.1, initial: 0.0, epsilon: 1e-8 };
        check(OptimiserConfig { tables: Some(row), ..base }, f32)
    })
}
