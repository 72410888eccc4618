//! `mtl-nn` alone: a graph of an embedding and a perceptron, trained by hand.
//!
//! `cargo run --release -p mtl-examples --example network`

use std::sync::Arc;

use mtl_nn::layers::{Activation, Mlp};
use mtl_nn::ops::{Bce, Embed, Part, RowLoss};
use mtl_nn::{Batch, GraphBuilder, Init, Optimiser, OptimiserConfig, Params, Rule, Step};

fn main() -> Result<(), mtl_nn::Error> {
    let mut b = GraphBuilder::<f32>::new();
    let user = b.ids("user");
    let table = b.table("embedding.user.table", 100, 8, Init::Uniform(0.05))?;
    let x = b.push("x", Embed::new(vec![Part::Lookup { slot: user, table, dim: 8 }]))?;
    let z = Mlp::new(&[16, 1], Activation::Relu).build(&mut b, "tower", x)?;
    let label = b.values("label", 1)?;
    let loss = b.push("loss", RowLoss::new(Bce, z, label, None))?;
    b.loss("click", loss)?;
    let graph = Arc::new(b.finish());

    // Every third user clicks.
    let ids: Vec<u32> = (0..100).collect();
    let labels = ids.iter().map(|&id| if id % 3 == 0 { 1.0 } else { 0.0 }).collect();
    let batch = Batch { rows: 100, ids: vec![ids], lists: vec![], values: vec![labels] };
    let mut params = Params::init(graph.layout(), 42);
    let rule = OptimiserConfig { dense: Rule::adam(1e-2), ..OptimiserConfig::default() };
    let mut optimiser = Optimiser::new(rule, graph.layout())?;
    let mut step = Step::new(graph)?;
    for number in 1..=100 {
        let report = step.run(&mut params, &mut optimiser, &batch, &[1.0], 42)?;
        if number % 20 == 0 {
            println!("step {number}: loss {:.4}", report.losses[0]);
        }
    }
    Ok(())
}
