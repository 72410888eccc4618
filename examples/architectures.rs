//! `mtl-arch` alone: every architecture over an x of 32 columns, and what it costs.
//!
//! `cargo run --release -p mtl-examples --example architectures`

use mtl_arch::{ArchitectureConfig, InputKind, Inputs, NAMES, architecture};
use mtl_nn::GraphBuilder;
use mtl_nn::ops::Domains;

fn main() -> Result<(), mtl_arch::Error> {
    for name in NAMES {
        let mut b = GraphBuilder::<f32>::new();
        let x = b.values("x", 32)?;
        let x = b.read(x)?;
        let sequence = Some(vec!["click".to_owned(), "like".to_owned()]); // AITM reads it
        let config = ArchitectureConfig { sequence, ..ArchitectureConfig::default() };
        let model = architecture(name, &config, &["click", "like"])?;
        let inputs = match model.input_kind() {
            InputKind::PerTask => Inputs::PerTask(vec![x; 2]),
            InputKind::Domain => {
                Inputs::Domain { x, domains: Domains { slot: b.ids("tab"), n: 5 } }
            }
            InputKind::Shared => Inputs::Shared(x),
        };
        let built = model.build(&mut b, &inputs)?;
        let (parameters, gates) = (b.layout().n_values(), built.gates.len());
        println!("{name:14} {parameters:>7} parameters, {gates} gates");
    }
    Ok(())
}
