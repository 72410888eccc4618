//! `mtl-moe` alone: three experts and two gates over an x of your own.
//!
//! `cargo run --release -p mtl-examples --example experts`

use std::sync::Arc;

use mtl_moe::{Gate, mixture};
use mtl_nn::layers::{Activation, Mlp, Stack};
use mtl_nn::{Batch, GraphBuilder, Params, Predictor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut b = GraphBuilder::<f32>::new();
    let x = b.values("x", 8)?;
    let x = b.read(x)?;
    let expert = |k| Stack {
        path: format!("expert.{k}"),
        input: x,
        layers: Mlp::new(&[16, 4], Activation::Relu).layers(),
    };
    let gate = |task: &str, experts| Gate {
        path: format!("task.{task}.gate"),
        input: x,
        hidden: Vec::new(),
        bias: true,
        experts,
    };
    // `buy` may use all three experts, `click` the first two.
    let gates = vec![gate("buy", vec![0, 1, 2]), gate("click", vec![0, 1])];
    let mixed = mixture(&mut b, "moe", (0..3).map(expert).collect(), gates)?;

    let graph = Arc::new(b.finish());
    let params = Params::init(graph.layout(), 42);
    let mut batch = Batch::for_graph(&graph);
    batch.rows = 2;
    batch.values[0] = (0..16).map(|i| (i as f32 * 0.7).sin()).collect();
    for gate in &mixed.gates {
        let mut weights = Predictor::of(Arc::clone(&graph), vec![gate.weights]);
        println!("{}\n{:.3}", gate.path, weights.predict(&params, &batch)?);
    }
    Ok(())
}
