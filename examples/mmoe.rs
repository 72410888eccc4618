//! MMoE: each task has a gate of its own over shared experts, and so chooses what it shares.
//!
//! `cargo run --release -p mtl-examples --example mmoe`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let log = Log::draw()?;
    let settings = "preset = 'paper'\nexperts = 4\nexpert_units = [16]\ntower_units = [16]";
    let model = log.train("mmoe", settings)?;
    // Two gates, of `click` and of `like`, that use the experts in different proportions.
    for (gate, used) in model.gate_uses(&log.validation)? {
        println!("  {} uses its experts {:.2?}", gate.path, used.map(|used| used.mean));
    }
    Ok(())
}
