//! AITM: what the network knows of a click is handed on to the like that may follow it.
//!
//! `cargo run --release -p mtl-examples --example aitm`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let log = Log::draw()?;
    let settings = "sequence = ['click', 'like']\nbottom_units = [32]\ntower_units = [16]";
    let model = log.train("aitm", settings)?;
    // How much of a like's representation comes from the click, and how much from its own bottom.
    for (gate, used) in model.gate_uses(&log.validation)? {
        println!("  {} mixes {:?} by {:.2?}", gate.path, gate.experts, used.map(|used| used.mean));
    }
    Ok(())
}
