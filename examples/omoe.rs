//! OMoE: one gate mixes the experts for all tasks. Do experts help without a gate a task?
//!
//! `cargo run --release -p mtl-examples --example omoe`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let log = Log::draw()?;
    let settings = "preset = 'paper'\nexperts = 4\nexpert_units = [16]\ntower_units = [16]";
    let model = log.train("omoe", settings)?;
    assert_eq!(model.gates().len(), 1, "one gate for all");
    for (gate, used) in model.gate_uses(&log.validation)? {
        println!("  {} uses its experts {:.2?}", gate.path, used.map(|used| used.mean));
    }
    Ok(())
}
