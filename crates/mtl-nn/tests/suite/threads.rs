//! The trained model is the same, bit for bit, for any number of threads.

use std::sync::Arc;

use crate::common::{Settings, batch, bits, model, on_threads};
use mtl_nn::checkpoint::SavedOptimiser;
use mtl_nn::kernel::{Instructions, Kernels, Precision};
use mtl_nn::{Optimiser, OptimiserConfig, Params, Result, Rule, Scalar, Step, TableUpdate};

/// Everything that training leaves behind: parameters, moments, and the losses of each step.
type Trained = (Vec<(String, Vec<u64>)>, SavedOptimiser, Vec<u64>);

fn train<S: Scalar>(threads: usize, config: OptimiserConfig, kernels: Kernels) -> Result<Trained> {
    on_threads(threads, || {
        let graph = model::<S>(Settings { dropout: 0.2, norm: true })?;
        let mut params = Params::init(graph.layout(), 5);
        let mut optimiser = Optimiser::new(config, graph.layout())?;
        let mut step = Step::new(Arc::clone(&graph))?.with_kernels(kernels);
        let mut losses = Vec::new();
        for i in 0..4 {
            // Three shards, of 256, 256 and 188 rows.
            let batch = batch(&graph, 700, i);
            let report = step.run(&mut params, &mut optimiser, &batch, &[1.0, 0.5], 9)?;
            losses.extend(report.losses.iter().map(|l| l.to_bits()));
        }
        Ok((bits(&params), SavedOptimiser::of(&optimiser, graph.layout()), losses))
    })
}

fn compare<S: Scalar>(config: OptimiserConfig, kernels: Kernels) -> Result<()> {
    let one = train::<S>(1, config, kernels)?;
    assert_ne!(one.2[..2], one.2[6..], "the losses move");
    for threads in [2, 3] {
        assert_eq!(train::<S>(threads, config, kernels)?, one, "{threads} threads, {kernels}");
    }
    Ok(())
}

#[test]
fn one_two_and_three_threads_train_the_same_bits() -> Result<()> {
    let lazy = OptimiserConfig {
        tables: Some(Rule::adagrad(0.05)),
        l2: 1e-4,
        l2_tables: 1e-4,
        clip_norm: Some(0.5),
        ..OptimiserConfig::default()
    };
    for precision in [Precision::F32, Precision::Bf16] {
        for most in [
            Instructions::Portable,
            Instructions::Avx2,
            Instructions::Avx512,
            Instructions::Avx512Bf16,
            Instructions::AmxBf16,
        ] {
            compare::<f32>(lazy, Kernels::new(precision).at_most(most))?;
        }
    }
    let dense = OptimiserConfig { table_update: TableUpdate::Dense, ..Default::default() };
    compare::<f64>(dense, Kernels::default())
}
