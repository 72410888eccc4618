//! Cross-Stitch: a network for each task, and a small matrix after each layer that says how much of
//! the others each takes.
//!
//! `cargo run --release -p mtl-examples --example cross_stitch`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let model = Log::draw()?.train("cross_stitch", "bottom_units = [32]\ntower_units = [16]")?;
    // Rows and columns are `click` and `like`; every matrix started at 0.9 and 0.1.
    for layer in ["bottom.0", "tower.0"] {
        println!("  after {layer}: {:.2}", model.params.get(&format!("stitch.{layer}"))?);
    }
    Ok(())
}
