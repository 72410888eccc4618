//! Shared-Bottom: h = MLP(x), and a tower a task over h. The cheapest way to share.
//!
//! `cargo run --release -p mtl-examples --example shared_bottom`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let model = Log::draw()?.train("shared_bottom", "bottom_units = [32]\ntower_units = [16]")?;
    for param in model.graph().layout().params() {
        println!("  {} {} × {}", param.path, param.rows, param.cols);
    }
    Ok(())
}
