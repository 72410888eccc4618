//! Single-Task: a network for each task, tables included. The yardstick of every comparison.
//!
//! `cargo run --release -p mtl-examples --example single_task`

use mtl_examples::{Anything, Log};

fn main() -> Result<(), Anything> {
    let model = Log::draw()?.train("single_task", "bottom_units = [32]\ntower_units = [16]")?;
    // Every parameter belongs to a task: none is shared.
    let shared = model.graph().layout().tables().iter().filter(|t| !t.path.starts_with("task."));
    println!("  {} shared tables", shared.count());
    Ok(())
}
