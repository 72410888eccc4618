//! Training steps under every choice of product kernels: what a mask of the processor's
//! instructions changes, and what bf16 does.

use std::sync::Arc;

use crate::common::{Settings, batch, bits, model};
use mtl_nn::kernel::{Instructions, Kernels, Precision};
use mtl_nn::{Optimiser, OptimiserConfig, Params, Result, Scalar, Shared, Step};

const MASKS: [Instructions; 5] = [
    Instructions::Portable,
    Instructions::Avx2,
    Instructions::Avx512,
    Instructions::Avx512Bf16,
    Instructions::AmxBf16,
];

/// Every reduced gradient of a first step, parameter by parameter, and the loss of each task.
fn gradients<S: Scalar>(kernels: Kernels) -> Result<(Vec<Vec<f64>>, Vec<f64>)> {
    let graph = model::<S>(Settings { dropout: 0.2, norm: true })?;
    let mut params = Params::init(graph.layout(), 5);
    let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
    let mut step = Step::new(Arc::clone(&graph))?.with_kernels(kernels);
    // 256 rows and a shard of 45, an odd number.
    let batch = batch(&graph, 301, 3);
    let report = step.run(&mut params, &mut optimiser, &batch, &[1.0, 0.5], 9)?;
    let losses = report.losses.to_vec();
    let mut all = Vec::new();
    for spec in graph.layout().params() {
        if let mtl_nn::Entry::Param(id) = graph.layout().find(&spec.path)?
            && spec.role != mtl_nn::Role::State
        {
            let gradient = step.dense_gradient(id);
            let rows = (0..gradient.rows()).flat_map(|r| gradient.row(r));
            all.push(rows.map(|v| v.f64()).collect());
        }
    }
    Ok((all, losses))
}

/// The largest distance of two parameters' gradients, over the norm of the first or a hundredth of
/// that of all: a bias before a normalisation has no gradient but for rounding.
fn distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let least = 0.01 * norm(&mut a.iter().flatten().copied());
    let each = a.iter().zip(b).map(|(a, b)| {
        let apart = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
        apart / norm(&mut a.iter().copied()).max(least)
    });
    each.fold(0.0, f64::max)
}

/// The largest distance of two parameters' gradients, over the norm of all: some parts, such as the
/// attention's, have gradients that nearly cancel.
fn distance_in_all(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let all = norm(&mut a.iter().flatten().copied());
    let each = a.iter().zip(b).map(|(a, b)| norm(&mut a.iter().zip(b).map(|(a, b)| a - b)));
    each.fold(0.0, f64::max) / all
}

#[test]
fn the_same_binary_trains_alike_without_the_processors_instructions() -> Result<()> {
    for precision in [Precision::F32, Precision::Bf16] {
        let best = gradients::<f32>(Kernels::new(precision))?;
        for mask in MASKS {
            let kernels = Kernels::new(precision).at_most(mask);
            let masked = gradients::<f32>(kernels)?;
            let apart = distance(&best.0, &masked.0);
            // f32 rounding, though in bf16 it may tip an activation over to its other neighbour.
            let slack = if precision == Precision::F32 { 1e-5 } else { 1e-3 };
            assert!(apart < slack, "{kernels}: {apart}");
        }
    }
    Ok(())
}

#[test]
fn bf16_gradients_are_near_those_of_f32_and_not_the_same() -> Result<()> {
    let exact = gradients::<f64>(Kernels::default())?;
    for mask in MASKS {
        let rounded = gradients::<f32>(Kernels::new(Precision::Bf16).at_most(mask))?;
        let apart = distance_in_all(&exact.0, &rounded.0);
        // 8 bits of mantissa: 2⁻⁹ a factor, a few layers deep.
        assert!((5e-4..2e-2).contains(&apart), "{mask:?}: {apart}");
        for (a, b) in exact.1.iter().zip(&rounded.1) {
            assert!((a - b).abs() < 2e-3, "{mask:?}: loss {a}, {b}");
        }
    }
    Ok(())
}

#[test]
fn f64_has_no_precision_to_lose() -> Result<()> {
    let rounded = gradients::<f64>(Kernels::new(Precision::Bf16))?;
    assert_eq!(rounded, gradients::<f64>(Kernels::default())?);
    Ok(())
}

/// Passes of single losses multiply by some columns of a bank, wherever these start.
#[test]
fn weighed_steps_use_the_packed_weights_too() -> Result<()> {
    struct Fixed;
    impl mtl_nn::Weigh for Fixed {
        fn weigh(
            &mut self,
            _: &mtl_nn::Seen<'_>,
            out: &mut mtl_nn::LossWeights,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            out.shared.fill(1.0);
            out.own.fill(1.0);
            Ok(())
        }
    }
    let graph = model::<f32>(Settings { dropout: 0.2, norm: false })?;
    let batch = batch(&graph, 301, 3);
    for precision in [Precision::F32, Precision::Bf16] {
        let kernels = Kernels::new(precision);
        let (mut plain, mut weighed) =
            (Params::init(graph.layout(), 5), Params::init(graph.layout(), 5));
        let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
        let mut step = Step::new(Arc::clone(&graph))?.with_kernels(kernels);
        let norm = step.run(&mut plain, &mut optimiser, &batch, &[1.0, 1.0], 9)?.gradient_norm;
        for shared in [Shared::LastLayer, Shared::All] {
            let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
            let mut step = Step::weighed(Arc::clone(&graph), Some(shared))?.with_kernels(kernels);
            let weights = (&[1.0, 1.0][..], &mut Fixed as &mut dyn mtl_nn::Weigh);
            let report = step.run_weighed(&mut weighed, &mut optimiser, &batch, weights, 9)?;
            let apart = (report.gradient_norm - norm).abs() / norm;
            assert!(apart < if precision == Precision::F32 { 1e-5 } else { 5e-3 }, "{apart}");
            weighed = Params::init(graph.layout(), 5);
        }
        assert_ne!(bits(&plain), bits(&weighed), "the step moved the values");
    }
    Ok(())
}
