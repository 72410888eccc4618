//! How each op is written in ONNX: one table, one function an op.

mod dense;
mod domain;
mod embed;
mod event;
mod exchange;
mod gate;
mod normalise;
mod plain;
mod pool;

use std::any::Any;

use mtl_nn::layers::Activation;

use super::walk::{Pieces, Walk};
use super::writer::Writer;
use crate::{Error, Result};

/// Writes an op, as the node of that name.
type Write = fn(&dyn Any, &str, &mut Walk<'_>) -> Result<Pieces>;

/// Every kind of op that prediction can meet. A new op is one line here and one function.
pub(crate) const OPS: [(&str, Write); 18] = [
    ("add_sum", plain::add_sum),
    ("concat", plain::concat),
    ("dense", dense::dense),
    ("domain_dense", domain::domain_dense),
    ("domain_normalise", domain::domain_normalise),
    ("dot_scores", exchange::dot_scores),
    ("embed", embed::embed),
    ("embed_list", embed::embed_list),
    ("event_log_probability", event::event_log_probability),
    ("max_pool", pool::max_pool),
    ("mix", gate::mix),
    ("normalise", normalise::normalise),
    ("probability", event::probability),
    ("read", plain::read),
    ("sigmoid", plain::sigmoid),
    ("softmax", gate::softmax),
    ("stitch", exchange::stitch),
    ("target_attention", pool::target_attention),
];

/// The op as what its kind says it is. Another crate's op may have taken the name.
fn of<'a, T: 'static>(op: &'a dyn Any, kind: &str, node: &str) -> Result<&'a T> {
    op.downcast_ref().ok_or_else(|| Error::Op {
        node: node.to_owned(),
        kind: format!("{kind} (another crate's)"),
        known: OPS.map(|(known, _)| known).join(", "),
    })
}

/// act(z).
fn activate(to: &mut Writer, node: &str, z: String, activation: Activation) -> Result<String> {
    let op = match activation {
        Activation::Linear => return Ok(z),
        Activation::Relu => "Relu",
        Activation::Sigmoid => "Sigmoid",
        Activation::Tanh => "Tanh",
        other => {
            let (node, kind) = (node.to_owned(), format!("{other:?}"));
            return Err(Error::Op { node, kind, known: "Linear, Relu, Sigmoid, Tanh".to_owned() });
        }
    };
    Ok(to.node(node, op, &[&z]))
}
