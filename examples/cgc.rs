//! CGC: experts that one task owns beside shared ones; no other task's gradient reaches the former.
//!
//! `cargo run --release -p mtl-examples --example cgc`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let log = Log::draw()?;
    let settings = "preset = 'paper'\nexpert_units = [16]\ntower_units = [16]
                    shared_experts = 2\ntask_experts = { click = 3, like = 1 }";
    let model = log.train("cgc", settings)?;
    for (gate, used) in model.gate_uses(&log.validation)? {
        let used = used.ok_or("validation has rows")?;
        for (expert, weight) in gate.experts.iter().zip(used.mean) {
            println!("  {} gives {weight:.2} to {expert}", gate.path);
        }
    }
    Ok(())
}
