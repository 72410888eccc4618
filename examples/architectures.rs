//! `mtl-arch` alone: every architecture over an x of 32 columns, and what it costs.
//!
//! `cargo run --release -p mtl-examples --example architectures`

use mtl_arch::{ArchitectureConfig, InputKind, Inputs, NAMES, architecture};
use mtl_nn::GraphBuilder;

fn main() -> Result<(), mtl_arch::Error> {
    for name in NAMES {
        let mut b = GraphBuilder::<f32>::new();
        let x = b.values("x", 32)?;
        let x = b.read(x)?;
        let model = architecture(name, &ArchitectureConfig::default(), &["click", "like"])?;
        let inputs = match model.input_kind() {
            InputKind::PerTask => Inputs::PerTask(vec![x; 2]),
            _ => Inputs::Shared(x),
        };
        let built = model.build(&mut b, &inputs)?;
        let (parameters, gates) = (b.layout().n_values(), built.gates.len());
        println!("{name:14} {parameters:>7} parameters, {gates} gates");
    }
    Ok(())
}
