//! STAR: one network for all domains, its weights multiplied by those of the row's domain.
//!
//! `cargo run --release -p mtl-examples --example star`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let settings = "domain = 'part_of_day'\nbottom_units = [32]\ntower_units = [16]";
    let model = Log::draw()?.train("star", settings)?;
    // Factors of the three domains (and of rows whose domain is missing, of which there are none)
    // started at 1.
    let factors = model.params.get("bottom.0.domain.weight")?;
    println!("  {} factors beside {}", factors.len(), factors.len() / 4);
    Ok(())
}
