//! `mtl-loss` alone: what methods make of two losses whose gradients are in conflict.
//!
//! `cargo run --release -p mtl-examples --example weighting`

use mtl_loss::{Gram, Setup, StepInput, WeightingConfig, Weights};

fn main() -> Result<(), mtl_loss::Error> {
    let tasks = ["click".to_owned(), "buy".to_owned()];
    // ‖g_click‖² = 4, ‖g_buy‖² = 1, ⟨g_click, g_buy⟩ = −1: they pull apart.
    let gram = [4.0, -1.0, -1.0, 1.0];
    for method in ["equal", "uncertainty", "mgda", "cagrad", "nash_mtl", "upgrad"] {
        let mut weigher = WeightingConfig::from_name(method)?.build(&Setup::new(&tasks))?;
        let (mut shared, mut own) = ([0.0; 2], [0.0; 2]);
        let input = StepInput {
            step: 0,
            epoch: 0,
            losses: &[0.7, 0.2],
            present: &[true, true],
            gram: Some(Gram::new(2, &gram)?),
        };
        weigher.weigh(&input, &mut Weights { shared: &mut shared, own: &mut own })?;
        println!("{method:12} click {:.3}  buy {:.3}", shared[0], shared[1]);
    }
    Ok(())
}
