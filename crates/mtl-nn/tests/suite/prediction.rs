//! Predictions by packed weights: the bits of those by weights as they lie, of any number of rows.

use std::sync::Arc;

use crate::common::{Settings, batch, model, on_threads};
use mtl_nn::kernel::{Instructions, Kernels, Precision};
use mtl_nn::{Batch, Frozen, Graph, Params, Predictor, Result};

/// Some rows of a batch.
fn rows(graph: &Graph<f32>, from: &Batch<f32>, rows: std::ops::Range<usize>) -> Batch<f32> {
    let values = graph.value_slots().iter().zip(&from.values);
    Batch {
        rows: rows.len(),
        ids: from.ids.iter().map(|ids| ids[rows.clone()].to_vec()).collect(),
        lists: from
            .lists
            .iter()
            .map(|lists| rows.clone().map(|row| lists.row(row)).collect())
            .collect(),
        values: values
            .map(|(slot, v)| v[rows.start * slot.n_cols..rows.end * slot.n_cols].to_vec())
            .collect(),
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Kernels whose order of sums is ours: not the GEMM crate's.
fn kernels() -> impl Iterator<Item = Kernels> {
    let all = [Precision::F32, Precision::Bf16].map(Kernels::new);
    all.into_iter().filter(|k| *k != k.at_most(Instructions::Portable))
}

#[test]
fn frozen_values_predict_as_values_do_in_batches_of_any_size() -> Result<()> {
    let graph = model::<f32>(Settings { dropout: 0.3, norm: true })?;
    let (params, all) = (Params::init(graph.layout(), 7), batch(&graph, 600, 2));
    for kernels in kernels() {
        let frozen = Frozen::new(Arc::clone(&graph), &params, kernels);
        let mut predictor = Predictor::new(Arc::clone(&graph)).with_kernels(kernels);
        let expected = predictor.predict(&params, &all)?;
        let expected = expected.as_slice().expect("a new array");
        let width = expected.len() / 600;
        // One row, part of a shard, a shard in two threads' halves, several shards.
        for range in [599..600, 10..17, 100..165, 0..256, 3..600] {
            let some = rows(&graph, &all, range.clone());
            let expected = bits(&expected[range.start * width..range.end * width]);
            for threads in [1, 2] {
                let (mut plain, mut packed) =
                    (vec![0.0; some.rows * width], vec![0.0; some.rows * width]);
                on_threads(threads, || {
                    predictor.predict_into(&params, &some, &mut plain)?;
                    predictor.predict_frozen_into(&frozen, &some, &mut packed)
                })?;
                assert_eq!(bits(&plain), expected, "{kernels}, {range:?}, as they lie");
                assert_eq!(bits(&packed), expected, "{kernels}, {range:?}, packed");
            }
        }
    }
    Ok(())
}

#[test]
fn a_prediction_sees_values_that_have_changed() -> Result<()> {
    let graph = model::<f32>(Settings { dropout: 0.0, norm: false })?;
    let all = batch(&graph, 300, 2);
    let mut predictor = Predictor::new(Arc::clone(&graph));
    let (first, second) = (Params::init(graph.layout(), 1), Params::init(graph.layout(), 2));
    let before = predictor.predict(&first, &all)?;
    let other = predictor.predict(&second, &all)?;
    assert_ne!(before, other);
    assert_eq!(predictor.predict(&first, &all)?, before);
    assert_eq!(Predictor::new(Arc::clone(&graph)).predict(&second, &all)?, other);
    Ok(())
}

#[test]
fn bf16_is_near_f32_and_not_the_same() -> Result<()> {
    let graph = model::<f32>(Settings { dropout: 0.0, norm: false })?;
    let (params, all) = (Params::init(graph.layout(), 7), batch(&graph, 50, 2));
    let exact = Predictor::new(Arc::clone(&graph)).predict(&params, &all)?;
    for most in [Instructions::Portable, Instructions::Avx2, Instructions::AmxBf16] {
        let kernels = Kernels::new(Precision::Bf16).at_most(most);
        let frozen = Frozen::new(Arc::clone(&graph), &params, kernels);
        let mut out = vec![0.0; exact.len()];
        Predictor::new(Arc::clone(&graph)).predict_frozen_into(&frozen, &all, &mut out)?;
        let apart = exact.iter().zip(&out).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = exact.iter().fold(0.0f32, |size, v| size.max(v.abs()));
        assert!(apart > 0.0 && apart < 0.02 * size, "{kernels}: {apart} of {size}");
    }
    Ok(())
}
