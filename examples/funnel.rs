//! `mtl-esm` alone: a behaviour graph, its equations, towers and losses.
//!
//! `cargo run --release -p mtl-examples --example funnel`

use mtl_esm::{BehaviourGraph, Conditional, Edge, Event, Preset};

fn main() -> Result<(), mtl_esm::Error> {
    println!("{}\n", Preset::Esm2.builder().build()?);
    let own = BehaviourGraph::builder()
        .event(Event::new("click").from("impression", Edge::tower("click")).label("is_click"))
        .event(Event::new("trial").from("click", Edge::tower("trial")).label("is_trial"))
        .event(Event::new("paid").from("trial", Edge::tower("paid")).label("is_paid"))
        .conditional(Conditional::new("pPaidIfClicked", "paid", "click"))
        .build()?;
    println!("{own}\n\ntowers {:?}, losses {:?}", own.towers(), own.losses());
    Ok(())
}
