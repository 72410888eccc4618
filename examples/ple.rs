//! PLE: levels of CGC. Below the last one, a shared gate mixes what all tasks have found.
//!
//! `cargo run --release -p mtl-examples --example ple`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let log = Log::draw()?;
    let settings = "levels = 2\nexpert_units = [16]\ngate_units = [8]\ntower_units = [16]
                    shared_experts = [2, 1]\ntask_experts = 2";
    let model = log.train("ple", settings)?;
    for gate in model.gates() {
        println!("  {} mixes {} experts", gate.path, gate.experts.len());
    }
    Ok(())
}
