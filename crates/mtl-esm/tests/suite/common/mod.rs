//! Graphs that several test files use.

use mtl_esm::{BehaviourGraph, Conditional, Edge, Event, Result};

/// A chain of six stages, s1 → … → s6, with the towers t1 … t6 and the labels l1 … l6.
pub(crate) fn chain6() -> Result<BehaviourGraph> {
    let mut builder = BehaviourGraph::builder();
    let mut before = "impression".to_owned();
    for i in 1..=6 {
        let edge = Edge::tower(format!("t{i}"));
        let event = Event::new(format!("s{i}")).from(before, edge).label(format!("l{i}"));
        before = format!("s{i}");
        builder = builder.event(event);
    }
    builder.build()
}

/// click → cart, wish or neither (one softmax) → purchase from each, by a tower of its own.
pub(crate) fn three_branches() -> Result<BehaviourGraph> {
    let purchase = Event::new("purchase")
        .from("cart", Edge::tower("buy_cart"))
        .from("wish", Edge::tower("buy_wish"))
        .from("neither", Edge::tower("buy_neither"));
    BehaviourGraph::builder()
        .event(Event::new("click").from("impression", Edge::tower("click")).label("click"))
        .event(Event::new("cart").from("click", Edge::softmax("next", "cart")).label("cart"))
        .event(Event::new("wish").from("click", Edge::softmax("next", "wish")).label("wish"))
        .event(Event::new("neither").from("click", Edge::otherwise("next")))
        .event(purchase.label("purchase"))
        .conditional(Conditional::new("pCVR", "purchase", "click"))
        .build()
}
