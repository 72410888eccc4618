//! Graphs and small ops that several tests use.

use mtl_nn::layers::Activation;
use mtl_nn::ops::{Dense, Unit};
use mtl_nn::{Backprop, Forward, GraphBuilder, Init, Op, Role, Scalar, ValueSlot, Var};

use crate::{BehaviourGraph, Conditional, Edge, Event, Preset, Result};

/// A chain of `n` stages: s1 → s2 → …, with the towers t1, t2, ….
pub(crate) fn chain(n: usize) -> Result<BehaviourGraph> {
    let mut builder = BehaviourGraph::builder();
    let mut before = "impression".to_owned();
    for i in 1..=n {
        let name = format!("s{i}");
        let edge = Edge::tower(format!("t{i}"));
        builder = builder.event(Event::new(&name).from(before, edge).label(format!("l{i}")));
        before = name;
    }
    builder.build()
}

/// click → cart, wish or neither (a softmax) → purchase from each, by a tower each.
pub(crate) fn three_branches() -> Result<BehaviourGraph> {
    BehaviourGraph::builder()
        .event(Event::new("click").from("impression", Edge::tower("click")).label("click"))
        .event(Event::new("cart").from("click", Edge::softmax("next", "cart")).label("cart"))
        .event(Event::new("wish").from("click", Edge::softmax("next", "wish")).label("wish"))
        .event(Event::new("neither").from("click", Edge::otherwise("next")))
        .event(
            Event::new("purchase")
                .from("cart", Edge::tower("buy_cart"))
                .from("wish", Edge::tower("buy_wish"))
                .from("neither", Edge::tower("buy_neither"))
                .label("purchase"),
        )
        .conditional(Conditional::new("pCVR", "purchase", "click"))
        .build()
}

/// Two of three branches merge into a union, which leads on: shared and certain edges.
pub(crate) fn union_graph() -> Result<BehaviourGraph> {
    BehaviourGraph::builder()
        .event(Event::new("click").from("impression", Edge::tower("a")).label("click"))
        .event(Event::new("cart").from("click", Edge::softmax("next", "b")))
        .event(Event::new("wish").from("click", Edge::softmax("next", "c")))
        .event(Event::new("leave").from("click", Edge::softmax("next", "d")))
        .event(Event::new("action").from("cart", Edge::Always).from("wish", Edge::Always))
        .event(Event::new("purchase").from("action", Edge::tower("e")).label("purchase"))
        .event(Event::new("none").from("click", Edge::tower("f")))
        .event(Event::new("rest").from("none", Edge::tower("e")).from("other", Edge::tower("g")))
        .event(Event::new("other").from("click", Edge::not("none")))
        .share_tower("e")
        .build()
}

/// Every kind of graph, by name.
pub(crate) fn graphs() -> Result<Vec<(&'static str, BehaviourGraph)>> {
    Ok(vec![
        ("esmm", Preset::Esmm.builder().build()?),
        ("esm2", Preset::Esm2.builder().build()?),
        ("chain6", chain(6)?),
        ("three_branches", three_branches()?),
        ("union", union_graph()?),
    ])
}

/// One logit a tower: the values of a slot of the tower's name, times `scale`.
pub(crate) fn logits_of<S: Scalar>(
    b: &mut GraphBuilder<S>,
    towers: &[String],
    scale: f64,
) -> Result<Vec<Var>> {
    let one = |tower: &String| {
        let slot = b.values(&format!("x.{tower}"), 1)?;
        let x = b.read(slot)?;
        let weight =
            b.param(format!("{tower}.scale"), (1, 1), Role::Weight, Init::Constant(scale))?;
        let unit =
            Unit { input: x, weight, bias: None, activation: Activation::Linear, dropout: None };
        let dense = Dense::new(b.layout(), vec![unit]);
        Ok(b.push(&format!("z.{tower}"), dense)?)
    };
    towers.iter().map(one).collect()
}

/// Reads a slot as a constant: no gradient reaches it, and finite differences leave it alone.
#[derive(Debug)]
pub(crate) struct Frozen {
    slot: [ValueSlot; 1],
    n_cols: usize,
}

impl Frozen {
    pub(crate) const fn new(slot: ValueSlot, n_cols: usize) -> Self {
        Self { slot: [slot], n_cols }
    }
}

impl<S: Scalar> Op<S> for Frozen {
    fn kind(&self) -> &'static str {
        "frozen"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn value_slots(&self) -> &[ValueSlot] {
        &self.slot
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let x = pass.values(self.slot[0], self.n_cols);
        let (mut y, _) = pass.output();
        for r in 0..x.rows() {
            // Log-probabilities: half of them below the floors that tests use.
            y.row(r).iter_mut().zip(x.row(r)).for_each(|(y, &x)| *y = -S::of(6.0) * x);
        }
    }

    fn backward(&self, _: &mut Backprop<'_, S>) {}
}
